"""Runs the parts of the test suite that tests/parts.toml lists, each within its budget.

Prints what the parts print, as they print it; at the end repeats each one's closing lines and
says where the time went. Exit status 0 only when every part that was asked for has passed.

A part with `beside` runs beside those that follow it, up to the first that has its name in `after`:
what it prints is shown then. A part that is asked for brings those that it comes after.

Usage: python tests/run_all.py [--all] [--list] [PART ...]
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections import deque
from collections.abc import Iterator
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
    beside: bool = False
    after: list[str] = field(default_factory=list)


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
    names: set[str] = set()
    for part in parts:
        if part.name in names:
            raise SystemExit(f"{path}: a part's name is given twice: {part.name}")
        if strangers := set(part.after) - names:
            raise SystemExit(
                f"{path}: {part.name} comes after {sorted(strangers)}, which is not named before it"
            )
        names.add(part.name)
    return parts


def choose(parts: list[Part], names: list[str], everything: bool) -> list[Part]:
    """The parts named, or all that are not long, or all."""
    unknown = set(names) - {part.name for part in parts}
    if unknown:
        known = ", ".join(part.name for part in parts)
        raise SystemExit(f"no part named {', '.join(sorted(unknown))}; there are: {known}")
    wanted = set(names) or {part.name for part in parts if everything or not part.long}
    for part in reversed(parts):
        if part.name in wanted:
            wanted.update(part.after)
    return [part for part in parts if part.name in wanted]


def environment() -> dict[str, str]:
    """The caller's environment with the virtualenv's programs first."""
    env = dict(os.environ, PYTHONUNBUFFERED="1")
    env["PATH"] = f"{TOP / '.venv/bin'}:{env.get('PATH', os.defpath)}"
    env["VIRTUAL_ENV"] = str(TOP / ".venv")
    return env


def end_group(process: subprocess.Popen[bytes]) -> None:
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


class Running:
    """A part that has been started."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self._begin = time.monotonic()
        self._late = threading.Event()
        # A file and not a pipe, so that a part that nobody reads yet goes on.
        self._said = tempfile.TemporaryFile() if part.beside else None  # noqa: SIM115
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", part.command],
            cwd=TOP,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=self._said or subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._timer = threading.Timer(part.budget, self._expire)
        self._timer.daemon = True
        self._timer.start()
        self._waiter = threading.Thread(target=self._wait, daemon=True)
        self._waiter.start()

    def _expire(self) -> None:
        self._late.set()
        end_group(self._process)

    def _wait(self) -> None:
        self._process.wait()
        self._seconds = time.monotonic() - self._begin
        self._timer.cancel()

    def _lines(self) -> Iterator[str]:
        """What it prints; of one that runs beside others when it has ended."""
        stream = self._process.stdout
        if self._said:
            self._waiter.join()
            self._said.seek(0)
            stream = self._said
        assert stream is not None
        with stream:
            for line in stream:
                yield line.decode(errors="replace")

    def result(self) -> Result:
        """Prints what it says until it has ended."""
        part = self.part
        print(f"\n=== {part.name}: {part.title} (budget {part.budget:.0f} s)", flush=True)
        print(f"$ {part.command}", flush=True)
        last: deque[str] = deque(maxlen=max(part.closing, LAST_LINES))
        for line in self._lines():
            print(line, end="", flush=True)
            if line.strip():
                last.append(line.rstrip())
        self._waiter.join()
        status = self._process.returncode
        late = self._late.is_set()
        verdict = "over budget" if late else "passed" if status == 0 else f"failed ({status})"
        lines = list(last)
        return Result(part, verdict, self._seconds, lines[-max(part.closing, 1) :], lines)

    def end(self) -> None:
        """Ends it, unless it has ended."""
        if self._process.poll() is None:
            end_group(self._process)


def run(parts: list[Part]) -> list[Result]:
    """Runs them in their order, those marked so beside the ones that follow."""
    results: list[Result] = []
    beside: dict[str, Running] = {}
    try:
        for part in parts:
            results += [beside.pop(name).result() for name in part.after if name in beside]
            if part.beside:
                print(f"\n=== {part.name} is begun, beside what follows", flush=True)
                beside[part.name] = Running(part)
            else:
                results.append(Running(part).result())
        results += [running.result() for running in beside.values()]
    finally:
        for running in beside.values():
            running.end()
    return results


def summarise(results: list[Result], seconds: float) -> None:
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
            f"{' (beside others)' if result.part.beside else ''}"
        )
    failed = [result for result in results if not result.passed]
    print(f"{'total':>18}   {seconds:7.1f} s")
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
    parser.add_argument("--table", type=Path, default=TOP / "tests/parts.toml", help="the table")
    parser.add_argument("parts", nargs="*", metavar="PART")
    options = parser.parse_args()
    parts = read_parts(options.table)
    if options.list:
        for part in parts:
            print(f"{part.name:>18}   {part.title}{' (long)' if part.long else ''}")
        return 0
    begin = time.monotonic()
    results = run(choose(parts, options.parts, options.all))
    summarise(results, time.monotonic() - begin)
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
