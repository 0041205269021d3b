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
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path.insert(0, str(TOP / "tests" / "lib"))
from one_program import Program, ProgramError, emulator, linux_guest  # noqa: E402

BUILD = TOP / "build" / "tests" / "timing"
RECORD = HERE / "linux.json"
RUNS = 5
# What a shared host may add to a figure: the allowed is the recorded one times FACTOR plus SLACK.
FACTOR = 1.5
SLACK = {"us": 1000, "ns": 0}
LEAST_PERCENT = 0.7  # of the recorded share


def figures(told: dict[str, list[str]]) -> dict[str, tuple[str, int]]:
    """By name, each with its unit."""
    return {name: (unit, int(figure)) for name, (unit, figure) in told.items()}


def best(
    one: dict[str, tuple[str, int]], other: dict[str, tuple[str, int]]
) -> dict[str, tuple[str, int]]:
    """The better figure of each subject."""
    chosen = {}
    for name, (unit, figure) in one.items():
        pick = max if unit == "percent" else min
        chosen[name] = (unit, pick(figure, other.get(name, (unit, figure))[1]))
    return chosen


def record(program: Program) -> int:
    """Writes linux.json."""
    found = figures(program.on_linux())
    for _ in range(RUNS - 1):
        found = best(found, figures(program.on_linux()))
    told = {
        "guest": linux_guest(),
        "emulator": emulator(),
        "runs": RUNS,
        "figures": {
            name: {"unit": unit, "figure": figure} for name, (unit, figure) in found.items()
        },
    }
    RECORD.write_text(json.dumps(told, indent=2) + "\n")
    print(RECORD.read_text(), end="")
    return 0


def allowed(unit: str, recorded: int) -> float:
    """The worst figure that is still as good as Linux's on a shared host."""
    return recorded * LEAST_PERCENT if unit == "percent" else recorded * FACTOR + SLACK[unit]


def late(found: dict[str, tuple[str, int]], recorded: dict[str, dict[str, object]]) -> list[str]:
    """The subjects whose figure is worse than allowed, or missing on one side."""
    wrong = sorted(set(found) ^ set(recorded))
    for name in sorted(set(found) & set(recorded)):
        unit, figure = found[name]
        limit = allowed(unit, int(str(recorded[name]["figure"])))
        if figure < limit if unit == "percent" else figure > limit:
            wrong.append(name)
    return wrong


def compare(program: Program, kernel: str | None) -> int:
    """Runs on Kiln and judges."""
    recorded = json.loads(RECORD.read_text())["figures"]
    found = figures(program.on_kiln(kernel))
    runs = 1
    while late(found, recorded) and runs < RUNS:
        found = best(found, figures(program.on_kiln(kernel)))
        runs += 1
    wrong = late(found, recorded)
    print(f"{'subject':>30} {'Debian':>9} {'allowed':>9} {'Kiln':>9}")
    for name, (unit, figure) in found.items():
        linux = int(recorded.get(name, {}).get("figure", 0))
        verdict = "  WORSE" if name in wrong else ""
        print(f"{name:>30} {linux:>9} {allowed(unit, linux):>9.0f} {figure:>9} {unit}{verdict}")
    print(f"timing: {len(found)} subjects, {runs} runs, {len(wrong)} worse than allowed")
    return 1 if wrong else 0


def main() -> int:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("action", nargs="?", choices=("compare", "record"), default="compare")
    parser.add_argument("--kernel", help="the kernel to look at")
    options = parser.parse_args()
    program = Program(HERE / "timing.c", BUILD)
    try:
        return record(program) if options.action == "record" else compare(program, options.kernel)
    except ProgramError as problem:
        print(f"timing: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
