#!/usr/bin/env python3
"""What a guest has to stand: requests while it boots, floods of connections, too little memory,
damaged images, and (with --nightly) ten minutes of mixed load on two CPUs.

Each test prints what it looked at. A guest may refuse in words; it may not hang, panic or go on
with something wrong.

Usage: robustness.py [--nightly] [--kernel FILE --root FILE] [TEST ...]
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE.parent / "bench")]
import measure  # noqa: E402
import redis_guest  # noqa: E402
from redis_guest import Baked, NotReady, Server  # noqa: E402

BOOTS = 50
CONNECTIONS = 2000
SIZES_MIB = (8, 12, 16, 24, 32, 40, 48)
FLIPS = 12
SECONDS_TO_END = 40


class Failed(Exception):
    """The guest did what it must not do; the text says what."""


def started(server: Server, limit: float = 60.0) -> float:
    """Seconds until the first PONG, with requests sent from the first millisecond on."""
    seconds = measure.wait_for_pong(server.port, limit, server.process)
    if seconds is None:
        raise Failed(f"no PONG within {limit:g} s: {server.said()[-1500:]}")
    return seconds


def flood_while_booting(baked: Baked) -> str:
    """SYNs and requests from the first millisecond of 50 boots; each must come to a PONG."""
    times = []
    for number in range(BOOTS):
        with redis_guest.in_guest(baked, [], smp=1 + number % 2) as server:
            times.append(started(server))
    return f"{BOOTS} boots answered after {min(times):.1f} to {max(times):.1f} s"


def _open_and_drop(port: int, number: int) -> bool:
    client = socket.create_connection(("127.0.0.1", port), 20)
    try:
        client.settimeout(20)
        if number % 2:
            client.sendall(b"PING\r\n")
            if client.recv(7) != b"+PONG\r\n":
                return False
        if number % 3 == 0:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    finally:
        client.close()
    return True


def _clients(server: Server) -> int:
    said = redis_guest.ask(server.port, b"INFO clients\r\nQUIT\r\n", 4096, 20.0).decode()
    return int(said.partition("connected_clients:")[2].split("\r\n")[0])


def connections(baked: Baked) -> str:
    """2,000 connections opened and dropped, orderly and by reset, with requests and without."""
    with redis_guest.in_guest(baked, []) as server:
        server.wait()
        for number in range(CONNECTIONS):
            try:
                if not _open_and_drop(server.port, number):
                    raise Failed(f"connection {number} got a wrong answer")
            except OSError as problem:
                raise Failed(f"connection {number} of {CONNECTIONS}: {problem}") from None
        until = time.monotonic() + 30
        while (left := _clients(server)) > 1:
            if time.monotonic() > until:
                raise Failed(f"{left} connections are still open in the guest")
            time.sleep(0.2)
    return f"{CONNECTIONS} connections, all answered, none left open"


def _run_once(baked: Baked, root: Path, memory: str, arguments: list[str]) -> tuple[int, str, str]:
    """Tool's exit code, standard output and standard error of one short program."""
    with tempfile.TemporaryDirectory(prefix="kiln-robust-") as folder:
        command = [str(redis_guest.RUN), "--kernel", str(baked.kernel), "--root", str(root)]
        command += ["--memory", memory, "--timeout", str(SECONDS_TO_END), "--cwd", "/"]
        command += ["--status-file", f"{folder}/status", "--", *arguments]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            check=False,
        )  # fmt: skip
        told = json.loads(Path(folder, "status").read_text())
    if told["timeout"]:
        raise Failed(f"a silent hang ({memory}, {root.name}): {done.stderr[-1500:]}")
    if told["panic"] is not None:
        raise Failed(f"a panic ({memory}, {root.name}): {done.stderr[-1500:]}")
    return done.returncode, done.stdout, done.stderr


VERSION = [redis_guest.PROGRAM, "--version"]


def little_memory(baked: Baked) -> str:
    """Started with less and less memory the guest runs or says in words why not."""
    told = []
    for size in SIZES_MIB:
        code, output, errors = _run_once(baked, baked.root, f"{size}M", VERSION)
        if code == 0 and "v=7" not in output:
            raise Failed(f"with {size} MiB it ended well and said {output!r}")
        if code != 0 and not errors.strip():
            raise Failed(f"with {size} MiB it ended with {code} and without a word")
        told.append(f"{size} MiB: {'runs' if code == 0 else errors.strip().splitlines()[-1]}")
    if not told[-1].endswith("runs"):
        raise Failed(f"it does not even run with {SIZES_MIB[-1]} MiB: {told[-1]}")
    return "; ".join(told)


def truncated(baked: Baked) -> str:
    """Cut at several places the image is refused, or what is missing is named."""
    size = baked.root.stat().st_size
    with tempfile.TemporaryDirectory(prefix="kiln-robust-") as folder:
        for part in (0.001, 0.01, 0.25, 0.6):
            image = Path(folder, "cut.erofs")
            shutil.copyfile(baked.root, image)
            with image.open("r+b") as stream:
                stream.truncate(max(2048, int(size * part) & ~511))
            code, output, errors = _run_once(baked, image, "128M", VERSION)
            if code == 0 and "v=7" not in output:
                raise Failed(f"cut to {part:.1%} it ended well and said {output!r}")
            if code != 0 and not errors.strip():
                raise Failed(f"cut to {part:.1%} it ended with {code} and without a word")
            if part <= 0.25 and code == 0:
                raise Failed(f"cut to {part:.1%} it ran as if nothing were missing")
            print(f"  cut to {part:.1%}: {code}: {(errors.strip().splitlines() or [''])[-1]}")
    return "4 truncated images, each refused in words or unharmed"


def bit_flips(baked: Baked) -> str:
    """One flipped bit: in the superblock it is refused; elsewhere there is an end, not a hang."""
    draw = random.Random(20260101)
    size = baked.root.stat().st_size
    places = [1024 + 4, 1024 + 16, 1024 + 40] + [draw.randrange(4096, size) for _ in range(FLIPS)]
    ends: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="kiln-robust-") as folder:
        image = Path(folder, "flipped.erofs")
        for place in places:
            shutil.copyfile(baked.root, image)
            with image.open("r+b") as stream:
                stream.seek(place)
                byte = stream.read(1)[0] ^ (1 << draw.randrange(8))
                stream.seek(place)
                stream.write(bytes([byte]))
            code, _, errors = _run_once(baked, image, "128M", VERSION)
            if code != 0 and not errors.strip():
                raise Failed(f"bit flipped at {place}: ended with {code} and without a word")
            if place < 2048 and code != 125:
                raise Failed(f"bit flipped in the superblock at {place}: ended with {code}")
            word = "unharmed" if code == 0 else f"status {code}"
            ends[word] = ends.get(word, 0) + 1
    return f"{len(places)} images with one flipped bit: " + ", ".join(
        f"{count} {word}" for word, count in sorted(ends.items())
    )


def mixed_load(baked: Baked, seconds: float = 600.0) -> str:
    """Pipelines, big values, short connections and idle ones at once on two CPUs."""
    with redis_guest.in_guest(baked, [], smp=2) as server:
        server.wait()
        until = time.monotonic() + seconds
        problems: list[str] = []
        works = (_pipeline, _big_values, _short_ones)
        threads = [
            threading.Thread(target=_repeat, args=(work, server.port, until, problems))
            for work in works
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if problems:
            raise Failed("; ".join(problems[:5]))
        server.wait(10)
    return f"{seconds:g} s of mixed load, no wrong answer"


def _repeat(work: Callable[[int], None], port: int, until: float, problems: list[str]) -> None:
    while time.monotonic() < until and not problems:
        try:
            work(port)
        except (OSError, Failed) as problem:
            problems.append(f"{work.__name__}: {problem}")


def _pipeline(port: int) -> None:
    request = b"".join(b"SET p:%d %d\r\nGET p:%d\r\n" % (n, n, n) for n in range(200))
    wanted = b"".join(b"+OK\r\n$%d\r\n%d\r\n" % (len(str(n)), n) for n in range(200))
    if redis_guest.ask(port, request, len(wanted), 60.0) != wanted:
        raise Failed("a pipeline got a wrong answer")


def _big_values(port: int) -> None:
    value = random.randbytes(1 << 20)
    key = b"big:%d" % threading.get_ident()
    head = b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n" % (len(key), key, len(value))
    if redis_guest.ask(port, head + value + b"\r\n", 5, 60.0) != b"+OK\r\n":
        raise Failed("a big value was not taken")
    wanted = b"$%d\r\n%s\r\n" % (len(value), value)
    request = b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(key), key)
    if redis_guest.ask(port, request, len(wanted), 60.0) != wanted:
        raise Failed("a big value came back changed")


def _short_ones(port: int) -> None:
    for number in range(50):
        if not _open_and_drop(port, number):
            raise Failed("a short connection got a wrong answer")


TESTS: dict[str, Callable[[Baked], str]] = {
    "flood_while_booting": flood_while_booting,
    "connections": connections,
    "little_memory": little_memory,
    "truncated": truncated,
    "bit_flips": bit_flips,
}


def main() -> int:
    """Run the chosen tests and count."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tests", nargs="*", choices=[*TESTS, "mixed_load", []], metavar="TEST")
    parser.add_argument("--nightly", action="store_true", help="mixed load for ten minutes, too")
    parser.add_argument("--kernel", type=Path)
    parser.add_argument("--root", type=Path)
    options = parser.parse_args()
    names = options.tests or [*TESTS, *(["mixed_load"] if options.nightly else [])]
    try:
        baked = redis_guest.bake(options.kernel, options.root)
    except NotReady as problem:
        print(f"robustness: {problem}", file=sys.stderr)
        return 2
    failed = 0
    for name in names:
        begun = time.monotonic()
        try:
            found = "passed: " + (TESTS | {"mixed_load": mixed_load})[name](baked)
        except (Failed, NotReady, OSError) as problem:
            failed += 1
            found = f"FAILED: {problem}"
        print(f"{name} ({time.monotonic() - begun:.0f} s) {found}", flush=True)
    print(f"robustness: {len(names)} tests, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
