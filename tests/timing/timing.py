#!/usr/bin/env python3
"""Compares how punctual Kiln is with a Debian guest on the same emulator.

The same static program (timing.c) runs in both. What the Debian guest said stands in linux.json,
with the kernel and QEMU it was said by; `timing.py record` makes it anew, and takes the smallest of
several runs, because other work on the host can only make a guest late. Without an argument the
program runs on Kiln, again while a figure is worse than allowed, at most RUNS times: the best counts.

Usage: timing.py [record] [--kernel FILE]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
BUILD = TOP / "build" / "tests" / "timing"
RECORD = HERE / "linux.json"
RUNS = 5
MEMORY_MIB = 256
LIMIT = 120.0
# What a shared host may add to a figure: the allowed is the recorded one times FACTOR plus SLACK.
FACTOR = 1.5
SLACK = {"us": 1000, "ns": 0}
LEAST_PERCENT = 0.7  # of the recorded share


class TimingError(Exception):
    """The figures could not be had."""


def build() -> Path:
    """The static program, in a folder that can be a guest's root."""
    program = BUILD / "root" / "timing"
    program.parent.mkdir(parents=True, exist_ok=True)
    command = ["gcc", "-O1", "-static", "-pthread", "-Wall", "-o", str(program)]
    subprocess.run([*command, str(HERE / "timing.c")], check=True)
    return program


def parse(text: str) -> dict[str, tuple[str, int]]:
    """Figures by name, each with its unit; the program must have come to its end."""
    lines = [line.strip().split() for line in text.splitlines()]
    if ["begin"] not in lines or ["end"] not in lines:
        raise TimingError(f"the program did not come to its end; it said:\n{text[-2000:]}")
    told = lines[lines.index(["begin"]) + 1 : lines.index(["end"])]
    return {name: (unit, int(figure)) for name, unit, figure in told}


def best(
    one: dict[str, tuple[str, int]], other: dict[str, tuple[str, int]]
) -> dict[str, tuple[str, int]]:
    """The better figure of each subject."""
    chosen = {}
    for name, (unit, figure) in one.items():
        pick = max if unit == "percent" else min
        chosen[name] = (unit, pick(figure, other.get(name, (unit, figure))[1]))
    return chosen


def run_on_kiln(kernel: str | None) -> dict[str, tuple[str, int]]:
    """One run in a Kiln guest."""
    command = [str(TOP / "kernel-src" / "run"), "--root", str(BUILD / "root"), "--net", "none"]
    command += ["--accel", "tcg", "--memory", f"{MEMORY_MIB}M", "--timeout", str(int(LIMIT))]
    command += ["--kernel", kernel] if kernel else []
    done = subprocess.run([*command, "--", "/timing"], capture_output=True, text=True, check=False)
    return parse(done.stdout + done.stderr)


def run_on_linux() -> dict[str, tuple[str, int]]:
    """One run in the Debian guest of the bench."""
    sys.path.insert(0, str(TOP / "tests" / "bench"))
    import guests

    guests.BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        image, tree = Path(folder, "root.erofs"), Path(folder, "root")
        shutil.copytree(BUILD / "root", tree)
        config = tree / "etc" / "kiln" / "app.json"
        config.parent.mkdir(parents=True)
        config.write_text(json.dumps({"argv": ["/timing"], "cwd": "/"}))
        command = ["mkfs.erofs", "--quiet", "-x-1", "--all-root", str(image), str(tree)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        guest = guests.linux(guests.debian_kernel(), image)
    with guest.running(guests.free_port(), MEMORY_MIB, "tcg") as process:
        process.wait(LIMIT)
    return parse((guests.BUILD / "linux.console").read_text(errors="replace"))


def said_by(*command: str) -> str:
    """The first line of a command's output."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[
        0
    ]


def record() -> int:
    """Writes linux.json."""
    figures = run_on_linux()
    for _ in range(RUNS - 1):
        figures = best(figures, run_on_linux())
    kernel = (TOP / "build" / "bench" / "debian" / "complete").read_text().strip()
    told = {
        "guest": kernel,
        "emulator": said_by("qemu-system-x86_64", "--version"),
        "runs": RUNS,
        "figures": {
            name: {"unit": unit, "figure": figure} for name, (unit, figure) in figures.items()
        },
    }
    RECORD.write_text(json.dumps(told, indent=2) + "\n")
    print(RECORD.read_text(), end="")
    return 0


def allowed(unit: str, recorded: int) -> float:
    """The worst figure that is still as good as Linux's on a shared host."""
    return recorded * LEAST_PERCENT if unit == "percent" else recorded * FACTOR + SLACK[unit]


def late(figures: dict[str, tuple[str, int]], recorded: dict[str, dict[str, object]]) -> list[str]:
    """The subjects whose figure is worse than allowed, or missing on one side."""
    wrong = sorted(set(figures) ^ set(recorded))
    for name in sorted(set(figures) & set(recorded)):
        unit, figure = figures[name]
        limit = allowed(unit, int(str(recorded[name]["figure"])))
        if figure < limit if unit == "percent" else figure > limit:
            wrong.append(name)
    return wrong


def compare(kernel: str | None) -> int:
    """Runs on Kiln and judges."""
    recorded = json.loads(RECORD.read_text())["figures"]
    figures = run_on_kiln(kernel)
    runs = 1
    while late(figures, recorded) and runs < RUNS:
        figures = best(figures, run_on_kiln(kernel))
        runs += 1
    wrong = late(figures, recorded)
    print(f"{'subject':>30} {'Debian':>9} {'allowed':>9} {'Kiln':>9}")
    for name, (unit, figure) in figures.items():
        linux = int(recorded.get(name, {}).get("figure", 0))
        verdict = "  WORSE" if name in wrong else ""
        print(f"{name:>30} {linux:>9} {allowed(unit, linux):>9.0f} {figure:>9} {unit}{verdict}")
    print(f"timing: {len(figures)} subjects, {runs} runs, {len(wrong)} worse than allowed")
    return 1 if wrong else 0


def main() -> int:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("action", nargs="?", choices=("compare", "record"), default="compare")
    parser.add_argument("--kernel", help="the kernel to look at")
    options = parser.parse_args()
    build()
    try:
        return record() if options.action == "record" else compare(options.kernel)
    except TimingError as problem:
        print(f"timing: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
