"""What is measured of a running guest, from outside and in the same way for both."""

from __future__ import annotations

import csv
import io
import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from guests import BenchError, Guest, cpu_seconds, free_port

# A new attempt this often: the user-mode network repeats a lost first packet only after long
# pauses, which would be measured in place of the guest.
_ATTEMPT_SECONDS = 0.02
_LOOK_SECONDS = 0.005
_IN_FLIGHT = 20
# No guest is given up before: a host that others use may be many times slower than an idle one.
_PATIENCE_SECONDS = 300
# A run takes a second or two; a guest that has not ended it after this time stands still.
_STANDSTILL_SECONDS = 120
# Between these the smallest memory is looked for.
_TOO_LITTLE_MIB, _PLENTY_MIB = 8, 128


@dataclass(frozen=True)
class Ask:
    """What a server is sent, what its answer holds, and how long it may take to come.

    A server that needs long for its first answer would be kept busy by attempts over and over: it is
    asked once, when it has written `listens` to the console.
    """

    request: bytes
    answer: bytes
    listens: bytes = b""
    patience: float = _PATIENCE_SECONDS


PING = Ask(b"PING\r\n", b"+PONG")


class _Attempts:
    """Connections that have sent a request; the first answer on any of them counts."""

    def __init__(self, port: int, ask: Ask) -> None:
        self._port = port
        self._ask = ask
        self._open: list[socket.socket] = []
        self._unsent: list[socket.socket] = []

    def add(self) -> None:
        """One more attempt; the oldest gives way."""
        attempt = socket.socket()
        attempt.setblocking(False)
        attempt.connect_ex(("127.0.0.1", self._port))
        self._open.append(attempt)
        self._unsent.append(attempt)
        if len(self._open) > _IN_FLIGHT:
            self._drop(self._open[0])

    def answered(self, seconds: float) -> bool:
        """Whether the answer arrives within this time."""
        ready, _, _ = select.select(self._open, [], [], seconds)
        for attempt in ready:
            try:
                if self._ask.answer in attempt.recv(4096):
                    return True
            except OSError:
                pass
            self._drop(attempt)
        return False

    def _drop(self, attempt: socket.socket) -> None:
        self._open.remove(attempt)
        if attempt in self._unsent:
            self._unsent.remove(attempt)
        attempt.close()

    def send(self) -> None:
        """The request on each connection that is through and has not sent it."""
        for attempt in list(self._unsent):
            try:
                attempt.send(self._ask.request)
            except OSError:
                continue
            self._unsent.remove(attempt)

    def close(self) -> None:
        """End them all."""
        for attempt in self._open:
            attempt.close()


def wait_for_answer(
    port: int, limit: float, process: subprocess.Popen[bytes], ask: Ask = PING
) -> float | None:
    """Seconds until the first answer, or None when there is none in time."""
    begun = time.monotonic()
    attempts = _Attempts(port, ask)
    try:
        while time.monotonic() - begun < limit and process.poll() is None:
            attempts.add()
            attempts.send()
            until = time.monotonic() + _ATTEMPT_SECONDS
            while (left := until - time.monotonic()) > 0:
                if attempts.answered(left):
                    return time.monotonic() - begun
    finally:
        attempts.close()
    return None


def wait_patiently(
    guest: Guest, port: int, process: subprocess.Popen[bytes], ask: Ask = PING
) -> None:
    """Until it answers; a guest that does not is an error."""
    if ask.listens:
        wait_for_words(guest, process, ask.listens, ask.patience)
        came = _ask_once(port, ask)
    else:
        came = wait_for_answer(port, ask.patience, process, ask) is not None
    if not came:
        raise BenchError(f"{guest.name} is silent after {ask.patience:g} s; see {guest.console}")


def wait_for_words(
    guest: Guest, process: subprocess.Popen[bytes], words: bytes, limit: float
) -> None:
    """Until they stand on the guest's console."""
    until = time.monotonic() + limit
    while words not in guest.console.read_bytes():
        if process.poll() is not None and words not in guest.console.read_bytes():
            raise BenchError(f"{guest.name} has ended; see {guest.console}")
        if time.monotonic() > until:
            raise BenchError(f"{guest.name} has not said {words!r}; see {guest.console}")
        time.sleep(_LOOK_SECONDS)


def _ask_once(port: int, ask: Ask) -> bool:
    with socket.create_connection(("127.0.0.1", port), ask.patience) as client:
        client.sendall(ask.request)
        said = b""
        while ask.answer not in said:
            part = client.recv(4096)
            if not part:
                return False
            said += part
    return True


def boot_seconds(guest: Guest, memory_mib: int, accel: str) -> float:
    """From QEMU's start to the first PONG."""
    port = free_port()
    begun = time.monotonic()
    with guest.running(port, memory_mib, accel) as process:
        wait_patiently(guest, port, process)
        return time.monotonic() - begun


def answers(guest: Guest, memory_mib: int, accel: str, limit: float) -> bool:
    """Whether redis comes up, sets and gets with this much memory."""
    port = free_port()
    with guest.running(port, memory_mib, accel) as process:
        if wait_for_answer(port, limit, process) is None:
            return False
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.settimeout(5)
            client.sendall(b"SET key value\r\nGET key\r\n")
            said = b""
            while len(said) < 16:
                try:
                    part = client.recv(100)
                except OSError:
                    return False
                if not part:
                    return False
                said += part
            return said == b"+OK\r\n$5\r\nvalue\r\n"


def smallest_memory(
    guest: Guest, accel: str, limit: float, told: Callable[[int, bool], None]
) -> int:
    """The least number of MiB with which it answers, by halving the interval.

    A size has failed when two starts did not answer, so that a busy host is not taken for want of
    memory. `told` hears of every size that was tried.
    """

    def enough(size: int) -> bool:
        found = any(answers(guest, size, accel, limit) for _ in range(2))
        told(size, found)
        return found

    low, high = _TOO_LITTLE_MIB, _PLENTY_MIB
    if not enough(high):
        raise BenchError(f"{guest.name} does not answer with {high} MiB")
    while high - low > 1:
        middle = (low + high) // 2
        if enough(middle):
            high = middle
        else:
            low = middle
    return high


@dataclass
class Rate:
    """Requests a second: of the clock, and of what the guest's CPU used of the host's."""

    clock: float
    guest_cpu: float


class Served:
    """A guest that runs and answers."""

    def __init__(self, guest: Guest, port: int, process: subprocess.Popen[bytes]) -> None:
        self.guest = guest
        self._port = port
        self._process = process

    def rate(self, test: str, depth: int, count: int) -> Rate:
        """One run of redis-benchmark: SET or GET, 50 connections."""
        command = ["redis-benchmark", "-p", str(self._port), "-t", test.lower(), "-n", str(count)]
        command += ["-c", "50", "-P", str(depth), "--csv"]
        before = cpu_seconds(self._process.pid)
        done = self._run(command)
        used = cpu_seconds(self._process.pid) - before
        if done.returncode:
            said = (done.stderr + done.stdout).strip().splitlines()[-3:]
            raise BenchError(f"redis-benchmark against {self.guest.name}: " + " ".join(said))
        for row in csv.reader(io.StringIO(done.stdout)):
            if row and row[0] == test:
                return Rate(float(row[1]), count / used)
        raise BenchError(f"redis-benchmark told no rate of {self.guest.name}: {done.stdout}")

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                command, capture_output=True, text=True, timeout=_STANDSTILL_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise BenchError(
                f"{self.guest.name} stands still: {' '.join(command)} has not ended after"
                f" {_STANDSTILL_SECONDS} s"
            ) from None


@contextmanager
def serving(guest: Guest, memory_mib: int, accel: str) -> Iterator[Served]:
    """The guest, started and answering, for as long as the block lasts."""
    port = free_port()
    with guest.running(port, memory_mib, accel) as process:
        wait_patiently(guest, port, process)
        yield Served(guest, port, process)
