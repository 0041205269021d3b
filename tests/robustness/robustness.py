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
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE.parent / "bench")]
import measure  # noqa: E402
import redis_guest  # noqa: E402
from redis_guest import Baked, NotReadyError, Server  # noqa: E402

BOOTS = 50
CONNECTIONS = 2000
SIZES_MIB = (8, 12, 16, 24, 32, 40, 48)
FLIPS = 12
SECONDS_TO_END = 40


class Failed(Exception):
    """The guest did what it must not do; the text says what."""


def started(server: Server, limit: float = 60.0) -> float:
    """Seconds until the first PONG, with requests sent from the first millisecond on."""
    seconds = measure.wait_for_answer(server.port, limit, server.process)
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


PROGRAM = redis_guest.PROGRAM
PROGRAM_FILE = "/usr/bin/redis-check-rdb"  # PROGRAM is a symbolic link to it
VERSION = [PROGRAM, "--version"]


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


def _said_last(image: Path, code: int, errors: str, place: str) -> str:
    """The sentence with which a damaged image was refused; it has to name the image and the place."""
    last = (errors.strip().splitlines() or [""])[-1]
    if code != 125 or not last.startswith(f"run: {image}: ") or not re.search(place, last):
        raise Failed(f"wanted 125 and a sentence on {image.name} with {place!r}: {code}: {last!r}")
    return last.removeprefix(f"run: {image}: ")


def truncated(baked: Baked) -> str:
    """Cut at many places, down to one sector, the image is refused, and the place is named."""
    size = baked.root.stat().st_size
    sizes = [512, 1024, 1536, 2048, 4096, size // 100, size // 4, size * 3 // 5, size - 512]
    with tempfile.TemporaryDirectory(prefix="kiln-robust-") as folder:
        image = Path(folder, "cut.erofs")
        for cut in sizes:
            shutil.copyfile(baked.root, image)
            end = cut // 512 * 512
            os.truncate(image, end)
            code, _, errors = _run_once(baked, image, "128M", VERSION)
            print(f"  cut to {end}: {_said_last(image, code, errors, f'at offset {end}')}")
    return f"{len(sizes)} truncated images, each refused with the place"


def _change(image: Path, offset: int, data: bytes) -> None:
    with image.open("r+b") as stream:
        stream.seek(offset)
        stream.write(data)


def _flip(image: Path, offset: int, bit: int) -> None:
    with image.open("rb") as stream:
        stream.seek(offset)
        byte = stream.read(1)[0]
    _change(image, offset, bytes([byte ^ 1 << bit]))


# Their places in the superblock: checksum, features, size of a block, root, number of blocks,
# further features; and a byte behind it that its checksum covers as well.
FIRST_BLOCK = (1028, 1032, 1036, 1038, 1060, 1104, 2100)


def bit_flips(baked: Baked) -> str:
    """A flipped bit in the first block is refused; elsewhere there is an end, not a hang."""
    draw = random.Random(20260101)
    size = baked.root.stat().st_size
    ends: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="kiln-robust-") as folder:
        image = Path(folder, "flipped.erofs")
        for place in (1024, *FIRST_BLOCK, *(draw.randrange(4096, size) for _ in range(FLIPS))):
            shutil.copyfile(baked.root, image)
            _flip(image, place, draw.randrange(8))
            code, _, errors = _run_once(baked, image, "128M", VERSION)
            if place < 4096:
                _said_last(image, code, errors, f"at offset {1024 if place == 1024 else 1028}")
            elif code == 125:
                _said_last(image, code, errors, r"at offset \d+")
            elif code != 0 and not errors.strip():
                raise Failed(f"bit flipped at {place}: ended with {code} and without a word")
            word = "unharmed" if code == 0 else f"status {code}"
            ends[word] = ends.get(word, 0) + 1
    return f"{sum(ends.values())} images with one flipped bit: " + ", ".join(
        f"{count} {word}" for word, count in sorted(ends.items())
    )


@dataclass
class Placed:
    """Where a file lies in an image, as dump.erofs tells."""

    path: str
    inode: int
    pieces: list[tuple[int, int]]


def _place(image: Path, path: str) -> Placed:
    said = redis_guest.run_checked(["dump.erofs", "-e", f"--path={path}", str(image)])
    inode = re.search(r"^NID: (\d+)", said, re.M)
    pieces = re.findall(r"^ *\d+: .*: *(\d+)\.\. *(\d+) *\| *\d+$", said, re.M)
    if not inode or not pieces:
        raise NotReadyError(f"dump.erofs says nothing of {path}: {said}")
    return Placed(path, int(inode[1]) * 32, [(int(start), int(end)) for start, end in pieces])


def damaged_files(baked: Baked) -> str:
    """Damage in a file is said with the file's name and the place, when it starts and when it runs."""
    program = _place(baked.root, PROGRAM_FILE)
    library = _place(baked.root, "/usr/lib/x86_64-linux-gnu/libc.so.6")

    def check(what: str, wanted: int, sentence: str, changes: list[tuple[int, bytes]]) -> None:
        shutil.copyfile(baked.root, image)
        for offset, data in changes:
            _change(image, offset, data)
        code, _, errors = _run_once(baked, image, "128M", VERSION)
        found = re.search(sentence, errors)
        if code != wanted or not found:
            raise Failed(f"{what}: wanted {wanted} and {sentence!r}: {code}: {errors[-1500:]}")
        print(f"  {what}: {code}: {found[0]}")

    def ruin(pieces: list[tuple[int, int]]) -> list[tuple[int, bytes]]:
        return [(start, b"\xff" * (end - start)) for start, end in pieces]

    with tempfile.TemporaryDirectory(prefix="kiln-robust-") as folder:
        image = Path(folder, "damaged.erofs")
        start = rf"run: {image}: cannot start {PROGRAM}: .*vda: "
        check("the program's inode", 125,
              rf"{start}inode \d+ at offset {program.inode}: .*\(the file {program.path}\)",
              [(program.inode + 1, b"\xff")])  # fmt: skip
        check("the program's first data", 125,
              rf"{start}{program.path}, inode \d+ at offset {program.pieces[0][0]}: bad LZ4 data.*",
              ruin(program.pieces[:1]))  # fmt: skip
        check("the program's later data", 128 + signal.SIGBUS,
              rf"vda: {program.path}, inode \d+ at offset \d+: bad LZ4 data.*",
              ruin(program.pieces[8:-1]))  # fmt: skip
        check("a library's first data", 127,
              rf"vda: {library.path}, inode \d+ at offset {library.pieces[0][0]}: bad LZ4 data.*",
              ruin(library.pieces[:1]))  # fmt: skip
    return "4 damaged files, each named with the place"


GOOD_MANIFEST = {"version": 1, "name": "hello", "argv": ["/bin/true"]}
# What stands in /etc/kiln/app.json, and what is said of it.
BAD_MANIFESTS = (
    ("", "line 1, column 1: "),
    ('{"version": 1,\n "name": "a"\n "argv": []}', "line 3, column 2: "),
    ('{"version": 1, "name": "hello"}', 'line 1, column 1: the key "argv" is missing'),
    (json.dumps(GOOD_MANIFEST | {"argz": []}), 'the key "argz" is not known'),
    (json.dumps(GOOD_MANIFEST | {"version": 2}), 'version: "2" is no version'),
    (json.dumps(GOOD_MANIFEST | {"argv": "true"}, indent=1),
     "line 4, column 10: argv must be a list, not a text"),
    (json.dumps(GOOD_MANIFEST)[:-4], "line 1, column "),
)  # fmt: skip


def bad_manifests(baked: Baked) -> str:
    """What is wrong in /etc/kiln/app.json is said with line and column."""
    with tempfile.TemporaryDirectory(prefix="kiln-robust-") as folder:
        root = Path(folder, "root")
        (root / "etc/kiln").mkdir(parents=True)
        for text, wanted in BAD_MANIFESTS:
            (root / "etc/kiln/app.json").write_text(text)
            code, _, errors = _run_once(baked, root, "64M", ["/bin/true"])
            print(f"  {_said_last(root, code, errors, re.escape(wanted))}")
            _said_last(root, code, errors, r"/etc/kiln/app\.json, line \d+, column \d+: ")
    return f"{len(BAD_MANIFESTS)} bad manifests, each refused with line and column"


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
    "damaged_files": damaged_files,
    "bad_manifests": bad_manifests,
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
    except NotReadyError as problem:
        print(f"robustness: {problem}", file=sys.stderr)
        return 2
    failed = 0
    for name in names:
        begun = time.monotonic()
        try:
            found = "passed: " + (TESTS | {"mixed_load": mixed_load})[name](baked)
        except (Failed, NotReadyError, OSError) as problem:
            failed += 1
            found = f"FAILED: {problem}"
        print(f"{name} ({time.monotonic() - begun:.0f} s) {found}", flush=True)
    print(f"robustness: {len(names)} tests, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
