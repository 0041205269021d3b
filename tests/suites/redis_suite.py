#!/usr/bin/env python3
"""Runs redis' own test suite against redis on Kiln and, as the oracle, against redis on Linux.

The suite is the one of Debian's source package for the very version that is in the image. Flags,
tags, the runs and what is left out stand in redis.yml. Passes when each check that passes on Linux
passes on Kiln or is left out there by name, no other fails, and no name in redis.yml is out of date.

Usage: redis_suite.py [--all] [--side linux|kiln] [--only TEST] [UNIT ...]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import debian_source  # noqa: E402
import outcomes  # noqa: E402
import redis_guest  # noqa: E402
from redis_guest import NotReadyError  # noqa: E402

BUILD = redis_guest.BUILD / "suites" / "redis"
SIDES = ("linux", "kiln")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_UNIT = re.compile(r"^Testing (\S+)$")
_LINE = re.compile(r"^\[(ok|err|exception|skip|ignore|timeout)\]: (.*?)(?: \(\d+ ms\))?$")


@dataclass
class Run:
    """Units that one server is asked for (none: all but `without`), and its further flags."""

    name: str
    units: list[str]
    without: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)


@dataclass
class Record:
    """What the suite said: names of checks by verdict, and whether it came to its end."""

    passed: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    skipped: set[str] = field(default_factory=set)
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many checks passed."""
        return self.passed.total()


def prepare(config: dict[str, Any]) -> Path:
    """The source package's tests, as Debian patches them, and links to the clients."""
    tree = debian_source.fetch(BUILD, config["source"], "redis-server")
    for client in ("redis-cli", "redis-benchmark"):
        link = tree / "src" / client
        if not link.is_symlink():
            link.symlink_to(shutil.which(client) or f"/usr/bin/{client}")
    add_order(tree / "tests" / "support")
    return tree


def add_order(support: Path) -> None:
    """Let the suite's client keep requests in order between connections (redis_order.tcl)."""
    shutil.copy(HERE / "redis_order.tcl", support)
    client = support / "redis.tcl"
    line = "\nsource tests/support/redis_order.tcl\n"
    if not client.read_text().endswith(line):
        client.write_text(client.read_text() + line)


def plan(config: dict[str, Any], wanted: list[str], everything: bool) -> list[Run]:
    """One run for all units that can share a server, and one for each that needs its own."""
    own: dict[str, Any] = {
        unit: entry for entry in config["own_servers"] for unit in entry["units"]
    }
    shared = [] if everything else [unit for unit in wanted if unit not in own]
    runs = [Run("shared", shared, list(own))] if everything or shared else []
    for unit in own if everything else [unit for unit in wanted if unit in own]:
        runs.append(Run(unit.replace("/", "-"), [unit], flags=own[unit]["flags"]))
    groups = ["tags"] if everything else ["tags", "choice_tags"]
    for run in runs:
        run.tags = [entry["tag"] for group in groups for entry in config[group]]
    return runs


def names_left_out(config: dict[str, Any], side: str) -> list[str]:
    """The checks that are not asked for on this side."""
    groups = [*config["not_external"], *(config["not_on_kiln"] if side == "kiln" else [])]
    return [name for group in groups for name in group["tests"]]


def command(config: dict[str, Any], run: Run, side: str, only: list[str], port: int) -> list[str]:
    """The suite's own command line. --durable: an error ends its check, not the run."""
    words = ["tclsh", "tests/test_helper.tcl", "--host", "127.0.0.1", "--port", str(port)]
    # Another suite on this machine looks for its own ports elsewhere.
    words += ["--durable", "--baseport", str(21111 + os.getpid() % 20000)]
    words += ["--tags", " ".join(run.tags)]
    for option, values in (
        ("--skiptest", names_left_out(config, side)),
        ("--only", only),
        ("--single", run.units),
        ("--skipunit", [] if run.units else run.without),
    ):
        words += [word for value in values for word in (option, value)]
    return words


def take(record: Record, line: str, unit: str) -> str:
    """Note one line of the suite's output; the unit that is being tested from here on."""
    if found := _UNIT.match(line):
        return found[1]
    if found := _LINE.match(line):
        verdict, name = found[1], re.sub(r" in tests/\S+$", "", found[2])
        if verdict == "ok":
            record.passed[f"{unit}: {name}"] += 1
        elif verdict == "skip":
            record.skipped.add(name)
        elif verdict != "ignore":
            record.failed[f"{unit}: {name}"] += 1
    return unit


def drive(words: list[str], tree: Path, log: Path, record: Record, limit: float) -> None:
    """One run of the suite; what it says goes to the log and into the record."""
    begun = time.monotonic()
    with log.open("wb") as stream:
        try:
            subprocess.run(
                words,
                cwd=tree,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                timeout=limit,
                check=False,
            )
            problem = "the suite ended before its end"
        except subprocess.TimeoutExpired:
            problem = f"no end within {limit:g} s"
    unit = "?"
    lines = _COLOUR.sub("", log.read_text(errors="replace")).splitlines()
    for line in lines:
        unit = take(record, line, unit)
    record.seconds += time.monotonic() - begun
    if not any("The End" in line for line in lines):
        record.wrong.append(f"{problem} ({log}):\n    " + "\n    ".join(lines[-12:]))


def measure(
    config: dict[str, Any],
    baked: redis_guest.Baked,
    tree: Path,
    side: str,
    options: argparse.Namespace,
) -> Record:
    """All runs on one side."""
    record = Record()
    flags = [word for entry in config["server_flags"] for word in entry["flag"]]
    for run in plan(config, options.units or config["choice"], options.all):
        if side == "linux":
            entered = redis_guest.on_host(baked, flags + run.flags)
        else:
            entered = redis_guest.in_guest(baked, flags + run.flags, smp=options.smp)
        with entered as server:
            server.wait(90)
            words = command(config, run, side, options.only, server.port)
            before = len(record.wrong)
            drive(words, tree, BUILD / f"{side}-{run.name}.txt", record, options.limit)
            if len(record.wrong) > before:
                record.wrong += server.said().splitlines()[-12:]
    left_out = f"{len(record.skipped)} left out by name"
    end = ", WITHOUT COMING TO ITS END" if record.wrong else ""
    print(
        f"on {side}: {record.count} checks passed, {record.failed.total()} failed, {left_out}, "
        f"{record.seconds:.0f} s{end}",
        flush=True,
    )
    return record


def out_of_date(config: dict[str, Any], linux: Record) -> list[str]:
    """Names in redis.yml that say nothing any more, in sentences."""
    passed = {name.partition(": ")[2] for name in linux.passed}
    failed = {name.partition(": ")[2] for name in linux.failed}
    own = {name for group in config["not_on_kiln"] for name in group["tests"]}
    expected = {entry["test"] for entry in config["expected_failures"]}
    told = {
        "is left out on Kiln and does not pass on Linux": own - passed,
        "is left out and the suite has no such check": set(names_left_out(config, "linux"))
        - linux.skipped,
        "is expected to fail and does not": expected - failed,
    }
    return [f"{problem}: {name}" for problem, names in told.items() for name in sorted(names)]


def missing(linux: Record, kiln: Record, left_out: set[str]) -> list[str]:
    """What passes on Linux, is not seen on Kiln and is not left out there; the first twenty."""
    lost = sorted(linux.passed - kiln.passed - kiln.failed)
    names = [name for name in lost if name.partition(": ")[2] not in left_out]
    told = [f"passes on Linux and is missing on Kiln: {name}" for name in names[:20]]
    return told + ([f"… and {len(names) - 20} more are missing"] if len(names) > 20 else [])


def judge(config: dict[str, Any], linux: Record, kiln: Record, everything: bool) -> list[str]:
    """What is wrong, in sentences."""
    expected = {entry["test"] for entry in config["expected_failures"]}
    told = [f"on Linux {problem}" for problem in linux.wrong]
    told += [f"on Kiln {problem}" for problem in kiln.wrong]
    for side, record in (("Linux", linux), ("Kiln", kiln)):
        bad = sorted(name for name in record.failed if name.partition(": ")[2] not in expected)
        told += [f"fails on {side}: {name}" for name in bad]
    told += missing(linux, kiln, set(names_left_out(config, "kiln")))
    if everything:
        told += out_of_date(config, linux)
    if linux.count == 0:
        told.append("the oracle passed no check at all")
    return told


def count(config: dict[str, Any], linux: Record, kiln: Record) -> outcomes.Verdict:
    """Both sides' checks, for the table."""
    verdict = outcomes.Verdict("redis", linux_passed=linux.count)
    verdict.passed = (linux.passed & kiln.passed).total()
    classes = {name: group["class"] for group in config["not_on_kiln"] for name in group["tests"]}
    for name, lost in (linux.passed - kiln.passed).items():
        if kind := classes.get(name.partition(": ")[2]):
            verdict.excluded[kind] += lost
    return verdict


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("units", nargs="*", help="units such as unit/type/list")
    parser.add_argument("--all", action="store_true", help="the whole suite")
    parser.add_argument(
        "--side", choices=SIDES, help="only the run on one side; nothing is compared"
    )
    parser.add_argument("--only", action="append", default=[], help="a check's name, or /regexp")
    parser.add_argument("--smp", type=int, default=1)
    parser.add_argument("--kernel", type=Path)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--limit", type=float, help="seconds for each run")
    options = parser.parse_args()
    options.limit = options.limit or (2400.0 if options.all else 420.0)
    return options


def main() -> int:
    """Both sides and the comparison."""
    options = parse()
    config = yaml.safe_load((HERE / "redis.yml").read_text())
    BUILD.mkdir(parents=True, exist_ok=True)
    try:
        tree = prepare(config)
        baked = redis_guest.bake(options.kernel, options.root)
        sides = [options.side] if options.side else SIDES
        records = {side: measure(config, baked, tree, side, options) for side in sides}
    except NotReadyError as problem:
        print(f"redis suite: {problem}", file=sys.stderr)
        return 2
    (BUILD / "records.json").write_text(json.dumps(records, default=_plain, indent=1) + "\n")
    if options.side:
        print("\n".join([*records[options.side].wrong, *records[options.side].failed]))
        return 1 if records[options.side].wrong else 0
    linux, kiln = records["linux"], records["kiln"]
    wrong = judge(config, linux, kiln, options.all)
    if options.all and not options.only:
        verdict = count(config, linux, kiln)
        verdict.wrong = wrong
        outcomes.keep(BUILD / "results.json", verdict)
    for sentence in wrong:
        print(sentence)
    scope = "the whole suite" if options.all else f"{len(options.units or config['choice'])} units"
    print(
        f"redis suite: {scope}: {linux.count} checks pass on Linux, {kiln.count} on Kiln, "
        f"{len(kiln.skipped)} names left out there, {len(config['expected_failures'])} expected "
        f"failure(s), {len(wrong)} wrong"
    )
    return 1 if wrong else 0


def _plain(value: Any) -> Any:
    return vars(value) if isinstance(value, Record) else sorted(value)


if __name__ == "__main__":
    sys.exit(main())
