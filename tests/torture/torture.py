#!/usr/bin/env python3
"""Wears the kernel: programs of our own, sysbench and fio, on two CPUs, for a time each.

Our own (the C files here) check what they see and say "wrong: 0"; sysbench and fio are Debian's,
and fio reads back and verifies what it wrote. Each runs on Linux first, briefly: it has to find
nothing wrong there either. In the guest it must end in time, with status 0 and in the same words.

Usage: torture.py [--seconds N] [--kernel FILE] [--own] [NAME ...]      names: threads, fio ...
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path.insert(0, str(TOP / "tests/programs"))
import world  # noqa: E402

BUILD = TOP / "build" / "tests" / "torture"
LINUX_SECONDS = 1
MEMORY = "256M"
# What our own may take; `memory` asks how much there is, and takes nearly all.
MEGABYTES = {"linux": "200", "kiln": "4000"}
# Boot, what runs on after its time, and a machine that has other things to do.
PATIENCE = 240
FLAGS = ["-O1", "-g", "-Wall", "-Werror", "-D_GNU_SOURCE", f"-I{TOP / 'tests/guest/include'}"]

SYSBENCH = "/usr/bin/sysbench"
FIO = "/usr/bin/fio"


@dataclass(frozen=True)
class Work:
    """A program, its words, and a judge: what of its output is to be the same on both sides."""

    program: str
    words: Callable[[int, str], list[str]]
    essence: Callable[[str], str]


def own(name: str) -> Work:
    """One of the C programs."""
    return Work(
        f"/t/{name}",
        lambda seconds, side: [str(seconds), MEGABYTES[side]],
        lambda said: said,
    )


def sysbench(test: str, *words: str) -> Work:
    """A test of sysbench: that it did something."""
    return Work(
        SYSBENCH,
        lambda seconds, _: [test, f"--time={seconds}", *words, "run"],
        lambda said: "done" if re.search(r"total number of events: +[1-9]", said) else said,
    )


def fio(pattern: str, *, timed: bool) -> Work:
    """Files that four threads write, read and verify: for a time, or a few times over."""
    job = ["--thread", "--ioengine=psync", "--verify=crc32c", "--verify_fatal=1", "--numjobs=4"]
    job += ["--name=worn", "--directory=.", "--size=8M", "--bs=1k-32k", f"--rw={pattern}"]
    job += ["--output-format=json"]

    def words(seconds: int, _: str) -> list[str]:
        return [*job, "--time_based", f"--runtime={seconds}"] if timed else [*job, "--loops=4"]

    return Work(FIO, words, fio_essence)


def fio_essence(said: str) -> str:
    """Errors of all jobs, and whether each wrote and read."""
    jobs = json.loads(said[said.index("{") :])["jobs"]
    transfers = [[job[way]["total_ios"] > 0 for way in ("read", "write")] for job in jobs]
    return json.dumps([[job["error"] for job in jobs], transfers])


OWN = [path.stem for path in sorted(HERE.glob("*.c"))]
WORKS = {name: own(name) for name in OWN} | {
    "sysbench-cpu": sysbench("cpu", "--threads=4"),
    "sysbench-memory": sysbench("memory", "--threads=4", "--memory-total-size=1T"),
    "sysbench-threads": sysbench("threads", "--threads=8", "--thread-locks=4"),
    "sysbench-mutex": sysbench("mutex", "--threads=8", "--mutex-num=16", "--mutex-locks=20000"),
    "fio-write": fio("write", timed=False),
    "fio-random": fio("randrw", timed=True),
}


@dataclass(frozen=True)
class Ending:
    """What a run came to."""

    status: str
    essence: str
    noise: str


def make_root(own: bool) -> world.World:
    """Our programs in /t, and unless only these are wanted Debian's sysbench and fio."""
    name = "torture-own" if own else "torture"
    BUILD.mkdir(parents=True, exist_ok=True)
    world.BUILD.mkdir(parents=True, exist_ok=True)
    with world.Store().lock("torture"):
        packages = ["libgcc-s1"] if own else ["fio", "libgcc-s1", "sysbench"]
        tree = world.unpack(name, packages, world.GUEST_EXCLUDE, lambda _: None)
        shutil.rmtree(tree / "t", ignore_errors=True)
        (tree / "t").mkdir()
        for program in OWN:
            source, made = HERE / f"{program}.c", tree / "t" / program
            command = ["gcc", "-pthread", *FLAGS, "-o", str(made), str(source)]
            subprocess.run(command, check=True)
        image = BUILD / f"{name}.erofs"
        world._image.pack(tree, image, name)
    return world.World(tree, image)


def on_linux(work: Work, tree: Path) -> Ending:
    """A short run in the same root, on this machine's Linux."""
    box = ["/usr/bin/python3", "-IS", str(TOP / "tests/programs/linux_box.py"), "--tree", str(tree)]
    command = [*box, "--cwd", "/tmp", "--", work.program, *work.words(LINUX_SECONDS, "linux")]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=LINUX_SECONDS + PATIENCE, check=False,
    )  # fmt: skip
    return judged(work, f"exit {done.returncode}", done.stdout, done.stderr)


def on_kiln(work: Work, image: Path, options: argparse.Namespace) -> Ending:
    """The run that matters."""
    limit = options.seconds + PATIENCE
    with tempfile.TemporaryDirectory(prefix="kiln-torture-") as folder:
        command = [str(TOP / "kernel-src/run"), "--kernel", options.kernel, "--root", str(image)]
        command += ["--smp", "2", "--memory", MEMORY, "--timeout", str(limit), "--cwd", "/tmp"]
        command += ["--status-file", f"{folder}/status", "--", work.program]
        done = subprocess.run(
            [*command, *work.words(options.seconds, "kiln")],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            check=False,
        )  # fmt: skip
        told = json.loads(Path(folder, "status").read_text())
    return judged(work, status_of(told), done.stdout, done.stderr)


def status_of(told: dict[str, Any]) -> str:
    """How a guest ended."""
    if told["timeout"]:
        return "no end in time"
    ways = ("exit", "signal", "panic", "error")
    return " ".join(f"{way} {told[way]}" for way in ways if told[way] is not None)


def judged(work: Work, status: str, said: str, noise: str) -> Ending:
    """With what of the output counts; all of it where it cannot be read."""
    try:
        essence = work.essence(said)
    except (ValueError, KeyError) as problem:
        essence = f"{problem}: {said}"
    return Ending(status, essence, noise)


def compare(name: str, place: world.World, options: argparse.Namespace) -> bool:
    """One program on both sides; says what it came to."""
    begun = time.monotonic()
    work = WORKS[name]
    linux, kiln = on_linux(work, place.tree), on_kiln(work, place.image, options)
    same = (linux.status, linux.essence) == (kiln.status, kiln.essence)
    good = same and linux.status == "exit 0"
    print(f"{'good' if good else 'WRONG'}: {name} ({time.monotonic() - begun:.0f} s)", flush=True)
    rounds = [line for line in kiln.noise.splitlines() if line.endswith(" rounds")]
    if rounds:
        print(f"    {', '.join(rounds)}", flush=True)
    if not good:
        for side, ending in (("Linux", linux), ("here", kiln)):
            lines = [ending.status, *ending.essence.splitlines(), *ending.noise.splitlines()[-25:]]
            print("".join(f"    {side}: {line}\n" for line in lines), end="", flush=True)
    return good


def main() -> int:
    """All that are asked for, one after the other: each takes both CPUs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(WORKS))
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--own", action="store_true", help="only our own programs")
    parser.add_argument("--kernel", default=str(TOP / "build/kernel-debug/kiln.elf"))
    options = parser.parse_args()
    if unknown := set(options.names) - WORKS.keys():
        parser.error(f"no such program: {', '.join(sorted(unknown))}; there are {', '.join(WORKS)}")
    begun = time.monotonic()
    chosen = options.names or (OWN if options.own else list(WORKS))
    place = make_root(set(chosen) <= set(OWN))
    wrong = [name for name in chosen if not compare(name, place, options)]
    told = f"{len(wrong)} wrong: {', '.join(wrong)}" if wrong else "nothing wrong"
    print(
        f"torture: {len(chosen)} programs of {options.seconds} s each on two CPUs,"
        f" {told}, {time.monotonic() - begun:.0f} s"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
