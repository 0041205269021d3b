#!/usr/bin/env python3
"""Runs memcached's own tests against memcached on Kiln and, as the oracle, on Linux.

The tests are those of Debian's source package, in Perl; each starts its servers itself, through
memcached_server.py, which boots a guest a server. What is left out stands in memcached.yml, by name
and with its reason. Passes when each check that passes on Linux passes on Kiln too, and no name in
memcached.yml is out of date.

Usage: memcached_suite.py [--all] [--kernel FILE] [--jobs N] [TEST ...]
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path[:0] = [str(TOP / "tests/lib"), str(TOP / "tests/programs")]
import debian_source  # noqa: E402
import outcomes  # noqa: E402
import world  # noqa: E402
from redis_guest import NotReadyError  # noqa: E402

BUILD = TOP / "build/suites/memcached"
_CHECK = re.compile(r"^(not ok|ok) (\d+)(?: - )?(.*?)\s*(# (?:skip|TODO).*)?$", re.I | re.M)
_PLAN = re.compile(r"^1\.\.(\d+)", re.M)
SHOWN = 6
# How often a test tries to reach its server, four times a second: a guest on a machine with much to
# do takes longer to boot than the suite's own limit.
TRIES = ("for (1..80) {", "for (1..1200) {")
# What a test starts its server through; the suite's own limits its time in C.
TIMED_RUN = '#!/bin/sh\nshift\nexec setpriv --pdeathsig TERM -- "$@"\n'


@dataclass
class Record:
    """What one test said on one side."""

    passed: dict[int, str] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    skipped: int = 0
    planned: int = -1
    problem: str = ""
    last: list[str] = field(default_factory=list)

    @property
    def says(self) -> str:
        """In few words."""
        if self.planned == 0:
            return "skips itself"
        end = f", {self.problem}" if self.problem else ""
        return f"{len(self.passed)} passed, {len(self.failed)} failed{end}"


def lay_server_tree(sources: Path) -> tuple[Path, Path]:
    """The folder with Debian's memcached and its libraries, and the image of it for guests."""
    world.BUILD.mkdir(parents=True, exist_ok=True)

    def finish(tree: Path) -> None:
        (tree / "t").mkdir()
        for path in sources.joinpath("t").iterdir():
            if path.is_file() and path.suffix not in (".t", ".pl"):
                shutil.copy(path, tree / "t")

    tree = world.unpack("memcached", ["memcached"], world.GUEST_EXCLUDE, finish)
    image = BUILD / "root.erofs"
    world._image.pack(tree, image, "memcached")
    return tree, image


def prepare(original: Path, place: Path) -> Path:
    """A copy of the sources with the programs that the tests look for where they were built.

    The tests put paths of theirs into a shell's words as they are, so the checkout's own path, which
    may have blanks, is none for them.
    """
    if len(str(place).split()) != 1:
        raise NotReadyError(
            f"the suite needs a folder without blanks, {place} has some; set TMPDIR"
        )
    sources = shutil.copytree(original, place / "memcached")
    timed = sources / "timedrun"
    timed.write_text(TIMED_RUN)
    timed.chmod(0o755)
    library = sources / "t/lib/MemcachedTest.pm"
    library.write_text(library.read_text().replace(*TRIES))
    server = sources / "memcached-debug"
    server.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "memcached_server.py"}" "$@"\n')
    server.chmod(0o755)
    return sources


def run(test: str, suite: dict[str, str], limit: float) -> Record:
    """One test on one side."""
    record = Record()
    command = ["perl", "-It/lib", f"t/{test}.t"]
    environment = os.environ | {"MEMCACHED_SUITE": json.dumps(suite), "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            command,
            cwd=suite["sources"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=limit,
            check=False,
        )
        said, status = done.stdout, done.returncode
    except subprocess.TimeoutExpired as late:
        said, status = late.stdout or b"", -1
        record.problem = f"no end within {limit:.0f} s"
    text = said.decode(errors="replace")
    (BUILD / f"{suite['side']}-{test}.txt").write_text(text)
    for verdict, number, name, note in _CHECK.findall(text):
        if note:
            record.skipped += 1
        else:
            # Some names hold thousands of random letters.
            into = record.passed if verdict.lower() == "ok" else record.failed
            into[int(number)] = name[:80]
    if planned := _PLAN.search(text):
        record.planned = int(planned[1])
    seen = len(record.passed) + len(record.failed) + record.skipped
    if not record.problem and record.planned != seen:
        record.problem = f"{seen} of {record.planned} checks, status {status}"
    record.last = text.splitlines()[-8:]
    return record


def differences(linux: Record, kiln: Record, expected: set[str]) -> list[str]:
    """What passes on Linux and not on Kiln, but for what is expected to; and the other way round."""
    lost = {number: name for number, name in linux.passed.items() if number not in kiln.passed}
    told = [
        f"passes on Linux only: {at} {name}" for at, name in lost.items() if name not in expected
    ]
    told += [
        f"is expected to differ and does not: {name}" for name in expected - set(lost.values())
    ]
    told = told[:SHOWN] + ([f"… and {len(told) - SHOWN} more"] if len(told) > SHOWN else [])
    if not linux.passed and linux.planned != 0:
        told.append("the oracle passes nothing")
    if kiln.problem and not linux.problem:
        told.append(f"on Kiln: {kiln.problem}")
    return told


def judge(
    test: str, both: dict[str, dict[str, str]], expected: dict[str, str], limit: float
) -> tuple[list[str], str, outcomes.Verdict]:
    """One test on both sides. `expected`: checks that differ, and the class of the reason."""
    begun = time.monotonic()
    linux, kiln = (run(test, both[side], limit) for side in ("linux", "kiln"))
    told = differences(linux, kiln, set(expected))
    counts = count(linux, kiln, expected)
    if told:
        told += [f"on Kiln: {line}" for line in kiln.last]
    line = f"{test}: Linux {linux.says}; Kiln {kiln.says} ({time.monotonic() - begun:.0f} s)"
    return told, line, counts


def count(linux: Record, kiln: Record, expected: dict[str, str]) -> outcomes.Verdict:
    """The checks of a test, for the table."""
    verdict = outcomes.Verdict("memcached", linux_passed=len(linux.passed))
    verdict.passed = len(linux.passed.keys() & kiln.passed.keys())
    verdict.only_here = len(kiln.passed.keys() - linux.passed.keys())
    verdict.skipped_on_both = min(linux.skipped, kiln.skipped)
    lost = [name for number, name in linux.passed.items() if number not in kiln.passed]
    verdict.excluded.update(expected[name] for name in lost if name in expected)
    return verdict


def count_left_out(config: dict[str, Any], linux: dict[str, str], limit: float) -> outcomes.Verdict:
    """What passes on Linux of the tests that are not run here."""
    verdict = outcomes.Verdict("memcached")
    for group in config["leave_out"]:
        for test in group["tests"]:
            passed = len(run(test, linux, limit).passed)
            verdict.linux_passed += passed
            verdict.excluded[group["class"]] += passed
    return verdict


def choose(config: dict[str, Any], sources: Path, options: argparse.Namespace) -> list[str]:
    """The tests asked for; the configuration may name only such as there are."""
    there = {path.stem for path in (sources / "t").glob("*.t")}
    out = {name for group in config["leave_out"] for name in group["tests"]}
    if unknown := (out | set(config["choice"])) - there:
        raise NotReadyError(f"memcached.yml names what the suite does not have: {sorted(unknown)}")
    return options.tests or (sorted(there - out) if options.all else config["choice"])


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tests", nargs="*", metavar="TEST")
    parser.add_argument("--all", action="store_true", help="every test that is not left out")
    parser.add_argument("--kernel", default=str(TOP / "build/kernel/kiln.elf"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--limit", type=float, default=600, help="seconds for each test")
    return parser.parse_args()


def compare(
    original: Path, tests: list[str], config: dict[str, Any], options: Any
) -> outcomes.Verdict:
    """All tests; each is told of as soon as it is done."""
    total = outcomes.Verdict("memcached")
    with tempfile.TemporaryDirectory(prefix="memcached-") as place:
        sources = prepare(original, Path(place))
        tree, image = lay_server_tree(sources)
        common = {"tree": str(tree), "image": str(image), "sources": str(sources)}
        common["kernel"] = options.kernel
        both = {side: common | {"side": side} for side in ("linux", "kiln")}

        def one(test: str) -> tuple[list[str], str, outcomes.Verdict]:
            rows = [row for row in config["differs"] if row["test"] == test]
            return judge(test, both, {row["check"]: row["class"] for row in rows}, options.limit)

        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for test, (told, line, counts) in zip(tests, pool.map(one, tests), strict=True):
                total.add(counts)
                total.wrong += [f"{test}: {sentence}" for sentence in told[:1]]
                print(f"{'DIFFERENT' if told else 'same'}: {line}")
                print("".join(f"    {sentence}\n" for sentence in told), end="", flush=True)
        if options.all:
            total.add(count_left_out(config, both["linux"], options.limit))
    return total


def main() -> int:
    """Prepare, run, conclude."""
    options = parse()
    config = yaml.safe_load((HERE / "memcached.yml").read_text())
    BUILD.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    try:
        sources = debian_source.fetch(BUILD, "memcached", "memcached")
        tests = choose(config, sources, options)
        verdict = compare(sources, tests, config, options)
    except NotReadyError as problem:
        print(f"memcached suite: {problem}", file=sys.stderr)
        return 2
    if options.all and not options.tests:
        outcomes.keep(BUILD / "results.json", verdict)
    out = sum(len(group["tests"]) for group in config["leave_out"])
    wrong = len(verdict.wrong)
    print(
        f"memcached suite: {len(tests)} tests on Linux and on Kiln, {out} left out by name,"
        f" {wrong} wrong, {time.monotonic() - begun:.0f} s"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
