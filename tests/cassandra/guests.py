"""Cassandra's baked image, and guests that run it, for the tests that drive it from outside."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/lib"))
import guest_memory  # noqa: E402
from guest_memory import touched_mib  # noqa: E402
from ports import free_port  # noqa: E402

RUN = TOP / "kernel-src" / "run"
JAVA = "/usr/lib/jvm/java-17-openjdk-amd64/bin/java"
ARGV = [JAVA, "@/etc/cassandra/jvm.options", "org.apache.cassandra.service.CassandraDaemon"]
# OPTIONS of CQL's protocol, version 4, and the word that its answer must hold.
ASK, ANSWER = b"\x04\x00\x00\x00\x05\x00\x00\x00\x00", b"CQL_VERSION"


class WrongError(Exception):
    """The server did what it must not do, or nothing; the text says what."""


@dataclass(frozen=True)
class Baked:
    """What the collection's roles made: paths of the kernel and of the EROFS root."""

    kernel: Path
    root: Path


def bake(kernel: Path | None, root: Path | None, seeds: list[str] | None = None) -> Baked:
    """Kernel and image by the collection's own roles, from this checkout; those given stay."""
    if kernel and root:
        return Baked(kernel, root)
    facts = TOP / "build" / "cassandra-image.json"
    facts.parent.mkdir(exist_ok=True)
    tree = subprocess.run(
        ["sh", str(TOP / "tools" / "tree")], check=True, capture_output=True, text=True
    ).stdout.strip()
    environment = os.environ | {"ANSIBLE_COLLECTIONS_PATH": tree, "LC_ALL": "C.UTF-8"}
    environment["PATH"] = f"{TOP / '.venv/bin'}:{os.environ.get('PATH', os.defpath)}"
    given = {"facts_file": str(facts), "cassandra_seeds": seeds or []}
    given["cassandra_name"] = "cassandra-ring" if seeds else "cassandra"
    command = ["ansible-playbook", "-i", "localhost,", str(TOP / "tests/lib/cassandra_image.yml")]
    done = subprocess.run(
        [*command, "-e", json.dumps(given)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise WrongError(f"the image could not be baked:\n{(done.stdout + done.stderr)[-3000:]}")
    found = json.loads(facts.read_text())
    return Baked(kernel or Path(found["kernel"]), root or Path(found["root"]))


@dataclass
class Server:
    """A running guest, and where CQL is spoken."""

    process: subprocess.Popen[bytes]
    host: str
    port: int
    log: Path
    born: float

    def said(self) -> str:
        """All that it wrote so far."""
        return self.log.read_text(errors="replace")

    def wait(self, limit: float) -> float:
        """Seconds from its start to the first answer to a CQL frame."""
        while time.monotonic() < self.born + limit:
            if self.process.poll() is not None:
                raise WrongError(f"ended with {self.process.returncode}: {self.said()[-4000:]}")
            if self._answers():
                return time.monotonic() - self.born
            time.sleep(0.2)
        raise WrongError(f"no CQL within {limit:g} s: {self.said()[-4000:]}")

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), 2) as probe:
                probe.settimeout(10)
                probe.sendall(ASK)
                return ANSWER in probe.recv(4096)
        except OSError:
            return False

    def kill(self) -> None:
        """As a machine that loses power: nothing is told to the program."""
        for machine in _children(self.process.pid):
            os.kill(machine, signal.SIGKILL)
        self.process.wait(30)

    def errors(self) -> list[str]:
        """What it logged as an error, or threw."""
        words = ("ERROR", "FATAL", "kiln: panic")
        return [line for line in self.said().splitlines() if line.startswith(words)]

    def memory_mib(self) -> float:
        """What the guest has touched of its memory."""
        return sum(touched_mib(machine) for machine in _children(self.process.pid))


def _children(process: int) -> list[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
    return [int(word) for word in text.split()]


@contextmanager
def guest(
    baked: Baked, *, smp: int = 2, memory_mib: int = 2048, tap: str = "", address: str = ""
) -> Iterator[Server]:
    """One guest: behind a forwarded port, or with a tap interface and an address of its own."""
    with tempfile.TemporaryDirectory(prefix="kiln-cassandra-") as folder:
        port = 9042 if tap else free_port()
        command = [str(RUN), "--kernel", str(baked.kernel), "--root", str(baked.root)]
        command += ["--smp", str(smp), "--memory", f"{memory_mib}M", "--timeout", "0"]
        if tap:
            command += ["--net", f"tap={tap}", "--ip", address]
        else:
            command += ["--forward", f"{port}:9042"]
        environment = os.environ | {"KILN_QEMU_ARGS": shlex.join(guest_memory.words(memory_mib))}
        log = Path(folder, "log")
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [*command, "--", *ARGV],
                env=environment, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
            )  # fmt: skip
        host = address.partition("/")[0] if tap else "127.0.0.1"
        try:
            yield Server(process, host, port, log, time.monotonic())
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
