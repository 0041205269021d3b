"""Runs the parts of the test suite that tests/parts.toml lists, each within its budget.

Parts run side by side, as many as there are CPUs, in the order of the table; what one prints is
shown when it has ended. One that is marked `alone` has the machine for itself and is shown as it
goes: it measures, it counts on being on time, or it keeps every CPU busy by itself. At the end each
one's closing lines are repeated, and where the time went. A part that is asked for brings those
that it comes after. Exit status 0 only when every part that was asked for has passed.

Usage: python tests/run_all.py [--all] [--list] [--jobs N] [PART ...]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import resource
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
    alone: bool = False
    after: list[str] = field(default_factory=list)


@dataclass
class Result:
    """How a part ended; `cpu` is what its processes took of the CPUs, in seconds."""

    part: Part
    verdict: str
    seconds: float
    cpu: float
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


class Running:
    """A part that has been started. `ended` is told when it has ended."""

    def __init__(self, part: Part, ended: queue.SimpleQueue[Running]) -> None:
        self.part = part
        self._ended = ended
        self._begin = time.monotonic()
        self._late = threading.Event()
        self._ending = threading.Event()
        # A file and not a pipe, so that a part that nobody reads yet goes on.
        self._said = None if part.alone else tempfile.TemporaryFile()  # noqa: SIM115
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
        self.end()

    def _wait(self) -> None:
        # Waited for, but left to be asked once more, for what it and its own have used.
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        self._seconds = time.monotonic() - self._begin
        if self._ending.is_set():
            self._send(signal.SIGKILL)
        self._timer.cancel()
        self._ended.put(self)

    def _lines(self) -> Iterator[str]:
        """What it prints; of one that is not alone when it has ended."""
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
        before = used_by_ended()
        status = self._process.wait()
        cpu = used_by_ended() - before
        late = self._late.is_set()
        verdict = "over budget" if late else "passed" if status == 0 else f"failed ({status})"
        lines = list(last)
        return Result(part, verdict, self._seconds, cpu, lines[-max(part.closing, 1) :], lines)

    def end(self) -> None:
        """Ends it, unless it has ended, and what it started and still belongs to its group."""
        self._ending.set()
        for sig in (signal.SIGTERM, signal.SIGKILL):
            if self._waiter.is_alive():
                self._send(sig)
                self._waiter.join(timeout=5)

    def _send(self, sig: signal.Signals) -> None:
        """To its group, whose number is nobody else's before it has been waited for."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, sig)


def used_by_ended() -> float:
    """Seconds of CPU that ended children took, with their own ended children."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def may_start(part: Part, running: list[Running], waiting: set[str], jobs: int) -> bool:
    """Whether a part can run beside those that do, when all before it in the table have begun."""
    if part.alone or any(each.part.alone for each in running):
        return not running
    return len(running) < jobs and not waiting.intersection(part.after)


def run(parts: list[Part], jobs: int) -> list[Result]:
    """Begins them in their order; the results in the order in which they ended."""
    results: list[Result] = []
    left = deque(parts)
    running: list[Running] = []
    ended: queue.SimpleQueue[Running] = queue.SimpleQueue()
    try:
        while left or running:
            waiting = {each.part.name for each in running}
            while left and may_start(left[0], running, waiting, jobs):
                part = left.popleft()
                if not part.alone:
                    print(f"\n=== {part.name} has begun", flush=True)
                running.append(Running(part, ended))
                waiting.add(part.name)
            if running[0].part.alone:
                results.append(running[0].result())
                ended.get()
                running.clear()
                continue
            done = ended.get()
            results.append(done.result())
            running.remove(done)
    finally:
        for each in running:
            each.end()
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
            f" of {result.part.budget:6.0f} s   CPU {result.cpu:7.1f} s   {result.verdict}"
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
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="how many at once (all CPUs)"
    )
    parser.add_argument("parts", nargs="*", metavar="PART")
    options = parser.parse_args()
    parts = read_parts(options.table)
    if options.list:
        for part in parts:
            print(f"{part.name:>18}   {part.title}{' (long)' if part.long else ''}")
        return 0
    begin = time.monotonic()
    results = run(choose(parts, options.parts, options.all), options.jobs)
    summarise(results, time.monotonic() - begin)
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
