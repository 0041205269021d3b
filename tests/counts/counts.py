#!/usr/bin/env python3
"""Counts what common operations cost in instructions of the guest, and holds them to what was recorded.

The same static program (counts.c) runs under an emulator on which an instruction is a nanosecond
(QEMU's `-icount shift=0`), so that a busy host changes nothing: on Kiln and, for the record, in a
Debian guest. counts.json holds both. A subject that takes more on Kiln than TOLERANCE above its record
is a failure. So is one that takes as much less: `record` writes down what was gained, so that it is
not lost again unseen.

Usage: counts.py [record] [--kernel FILE]
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

BUILD = TOP / "build" / "tests" / "counts"
RECORD = HERE / "counts.json"
TOLERANCE = 0.08
LEAST = 3  # instructions that a subject may differ in any case

Counts = dict[str, float]


def counts(told: dict[str, list[str]]) -> Counts:
    """By name."""
    return {name: float(count) for name, (count,) in told.items()}


def record(program: Program, kernel: str | None) -> int:
    """Writes counts.json."""
    linux, kiln = counts(program.on_linux()), counts(program.on_kiln(kernel))
    told = {
        "guest": linux_guest(),
        "emulator": emulator(),
        "instructions": {name: {"linux": linux[name], "kiln": kiln[name]} for name in linux},
    }
    RECORD.write_text(json.dumps(told, indent=2) + "\n")
    show(kiln, told["instructions"], [])
    return 0


def judge(found: Counts, recorded: dict[str, Counts]) -> list[str]:
    """The subjects that are not as recorded."""
    wrong = sorted(set(found) ^ set(recorded))
    for name in sorted(set(found) & set(recorded)):
        wanted = recorded[name]["kiln"]
        if abs(found[name] - wanted) > max(LEAST, wanted * TOLERANCE):
            wrong.append(name)
    return wrong


def show(found: Counts, recorded: dict[str, Counts], wrong: list[str]) -> None:
    """The table."""
    print(f"{'instructions':>16} {'Debian':>10} {'recorded':>10} {'Kiln':>10}   Debian/Kiln")
    for name, count in found.items():
        of = recorded.get(name, {"linux": 0.0, "kiln": 0.0})
        verdict = "  CHANGED" if name in wrong else ""
        print(
            f"{name:>16} {of['linux']:>10.1f} {of['kiln']:>10.1f} {count:>10.1f}"
            f"   {of['linux'] / count:.1f}{verdict}"
        )


def compare(program: Program, kernel: str | None) -> int:
    """Runs on Kiln and judges."""
    recorded = json.loads(RECORD.read_text())["instructions"]
    found = counts(program.on_kiln(kernel))
    wrong = judge(found, recorded)
    show(found, recorded, wrong)
    if wrong:
        print(
            "counts: what became faster on purpose is written down by tests/counts/counts.py record"
        )
    print(f"counts: {len(found)} subjects, {len(wrong)} not as recorded")
    return 1 if wrong else 0


def main() -> int:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("action", nargs="?", choices=("compare", "record"), default="compare")
    parser.add_argument("--kernel", help="the kernel to look at")
    options = parser.parse_args()
    program = Program(HERE / "counts.c", BUILD, icount=True)
    try:
        if options.action == "record":
            return record(program, options.kernel)
        return compare(program, options.kernel)
    except ProgramError as problem:
        print(f"counts: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
