"""Runs the parts of the test suite that tests/parts.toml lists, each within its budget.

Prints what the parts print, as they print it; at the end repeats each one's closing lines and
says where the time went. Exit status 0 only when every part that was asked for has passed.

Usage: python tests/run_all.py [--all] [--list] [PART ...]
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
# How much of a failed part is said again after everything else, where a reader looks first.
LAST_LINES = 60


@dataclass
class Part:
    """One table of parts.toml."""

    name: str
    title: str
    command: str
    budget: float
    closing: int = 3
    long: bool = False


@dataclass
class Result:
    """How a part ended."""

    part: Part
    verdict: str
    seconds: float
    tail: list[str] = field(default_factory=list)
    last: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether the part ended well within its budget."""
        return self.verdict == "passed"


def read_parts(path: Path) -> list[Part]:
    """The table; an unknown key is an error, as is a name given twice."""
    parts = [Part(**entry) for entry in tomllib.loads(path.read_text())["part"]]
    names = [part.name for part in parts]
    if len(set(names)) != len(names):
        raise SystemExit(f"{path}: a part's name is given twice")
    return parts


def choose(parts: list[Part], names: list[str], everything: bool) -> list[Part]:
    """The parts named, or all that are not long, or all."""
    unknown = set(names) - {part.name for part in parts}
    if unknown:
        known = ", ".join(part.name for part in parts)
        raise SystemExit(f"no part named {', '.join(sorted(unknown))}; there are: {known}")
    if names:
        return [part for part in parts if part.name in names]
    return [part for part in parts if everything or not part.long]


def environment() -> dict[str, str]:
    """The caller's environment with the virtualenv's programs first."""
    env = dict(os.environ, PYTHONUNBUFFERED="1")
    env["PATH"] = f"{TOP / '.venv/bin'}:{env.get('PATH', os.defpath)}"
    env["VIRTUAL_ENV"] = str(TOP / ".venv")
    return env


def end_group(process: subprocess.Popen[str]) -> None:
    """Ends the part and whatever it started and still belongs to its process group."""
    for sig in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sig)
        except ProcessLookupError:
            return
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            continue


def run(part: Part) -> Result:
    """Runs one part; its output goes through, its last lines are kept."""
    print(f"\n=== {part.name}: {part.title} (budget {part.budget:.0f} s)", flush=True)
    print(f"$ {part.command}", flush=True)
    begin = time.monotonic()
    process = subprocess.Popen(
        ["/bin/sh", "-c", part.command],
        cwd=TOP,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    late = threading.Event()

    def expire() -> None:
        late.set()
        end_group(process)

    timer = threading.Timer(part.budget, expire)
    timer.daemon = True
    timer.start()
    last: deque[str] = deque(maxlen=max(part.closing, LAST_LINES))
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        if line.strip():
            last.append(line.rstrip())
    status = process.wait()
    timer.cancel()
    verdict = "over budget" if late.is_set() else "passed" if status == 0 else f"failed ({status})"
    lines = list(last)
    return Result(part, verdict, time.monotonic() - begin, lines[-max(part.closing, 1) :], lines)


def summarise(results: list[Result]) -> None:
    """The closing lines of each part, then a table of where the time went."""
    print("\n=== closing lines")
    for result in results:
        for line in result.tail:
            print(f"{result.part.name:>18} | {line}")
    print("\n=== where the time went")
    for result in results:
        print(
            f"{result.part.name:>18}   {result.seconds:7.1f} s"
            f" of {result.part.budget:6.0f} s   {result.verdict}"
        )
    total = sum(result.seconds for result in results)
    failed = [result for result in results if not result.passed]
    print(f"{'total':>18}   {total:7.1f} s")
    for result in failed:
        print(f"\n=== the last lines of {result.part.name}, {result.verdict}")
        print("\n".join(result.last))
    names = ", ".join(result.part.name for result in failed)
    print(f"FAILED: {names}" if failed else f"all {len(results)} parts passed")


def main() -> int:
    """Parses the command line, runs the parts, sums up."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--all", action="store_true", help="the long parts too")
    parser.add_argument("--list", action="store_true", help="list the parts and stop")
    parser.add_argument("parts", nargs="*", metavar="PART")
    options = parser.parse_args()
    parts = read_parts(TOP / "tests" / "parts.toml")
    if options.list:
        for part in parts:
            print(f"{part.name:>18}   {part.title}{' (long)' if part.long else ''}")
        return 0
    results = [run(part) for part in choose(parts, options.parts, options.all)]
    summarise(results)
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
