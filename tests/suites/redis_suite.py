#!/usr/bin/env python3
"""Runs redis' own test suite against redis on Kiln and, as the oracle, against redis on Linux.

The suite is the one of Debian's source package for the very version that is in the image. Flags,
tags, skips and expected failures stand in redis.yml. Passes when each check that passes on Linux
passes on Kiln, and no other fails.

Usage: redis_suite.py [--all] [--oracle-only] [UNIT ...]
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import redis_guest  # noqa: E402
from redis_guest import NotReady, Server, run_checked  # noqa: E402

BUILD = redis_guest.BUILD / "suites" / "redis"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_UNIT = re.compile(r"^Testing (\S+)$")
_LINE = re.compile(r"^\[(ok|err|exception|skip|ignore|timeout)\]: (.*?)(?: \(\d+ ms\))?$")


@dataclass
class Record:
    """What the suite said: names of checks by verdict, and whether it came to its end."""

    passed: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    skipped: int = 0
    count: int = 0
    seconds: float = 0.0
    complete: bool = False
    tail: list[str] = field(default_factory=list)


def _sources_list(folder: Path) -> Path:
    """deb-src lines for the archives that this host's apt knows already."""
    form = "$(SITE) $(CODENAME) $(COMPONENT) $(ORIGIN)"
    found = run_checked(["apt-get", "indextargets", "--format", form, "Created-By: Packages"])
    lines = {
        f"deb-src {site} {codename} {component}\n"
        for site, codename, component, origin in (line.split(" ", 3) for line in found.splitlines())
        if origin in ("Debian", "Ubuntu")
    }
    path = folder / "sources.list"
    path.write_text("".join(sorted(lines)))
    return path


def _private_apt(folder: Path) -> list[str]:
    """Options for apt-get that keep everything below one folder."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    settings = {
        "Dir::State": folder / "state",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::sourcelist": _sources_list(folder),
        "Dir::Etc::sourceparts": "/dev/null",
        "APT::Sandbox::User": "",
    }
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def fetch(config: dict[str, Any]) -> Path:
    """The source package's tests, unpacked and patched as Debian does, and links to the clients."""
    shown = run_checked(["apt-cache", "show", "--no-all-versions", "redis-server"])
    version = re.search(r"^Version: (\S+)$", shown, re.MULTILINE)
    if not version:
        raise NotReady("apt knows no redis-server")
    folder = BUILD / version[1].replace(":", "_")
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        options = _private_apt(BUILD / "apt")
        run_checked(["apt-get", "-q", *options, "update"])
        package = f"{config['source']}={version[1]}"
        run_checked(["apt-get", "-q", *options, "--only-source", "source", package], cwd=folder)
        (folder / "complete").write_text(package + "\n")
    tree = next(path for path in folder.iterdir() if (path / "tests" / "test_helper.tcl").exists())
    for client in ("redis-cli", "redis-benchmark"):
        link = tree / "src" / client
        if not link.is_symlink():
            link.symlink_to(shutil.which(client) or f"/usr/bin/{client}")
    return tree


def command(config: dict[str, Any], units: list[str], port: int) -> list[str]:
    """The suite's own command line."""
    words = ["tclsh", "tests/test_helper.tcl", "--host", "127.0.0.1", "--port", str(port)]
    words += ["--tags", " ".join(entry["tag"] for entry in config["tags"])]
    for entry in config["skip"]:
        words += ["--skiptest", entry["test"]]
    for unit in units:
        words += ["--single", unit]
    return words


def take(record: Record, line: str, unit: str) -> str:
    """Note one line of the suite's output; the unit that is being tested from here on."""
    if found := _UNIT.match(line):
        return found[1]
    if found := _LINE.match(line):
        verdict, name = found[1], re.sub(r" in tests/\S+$", "", found[2])
        if verdict == "ok":
            record.count += 1
            record.passed.add(f"{unit}: {name}")
        elif verdict in ("skip", "ignore"):
            record.skipped += 1
        else:
            record.failed.add(f"{unit}: {name}")
    record.complete |= "All tests passed without errors" in line or "tests failed" in line
    return unit


def drive(
    config: dict[str, Any], tree: Path, units: list[str], server: Server, limit: float
) -> Record:
    """Run the suite against one server."""
    record = Record()
    begun = time.monotonic()
    server.wait(90)
    log = BUILD / "last-run.txt"
    with log.open("wb") as stream:
        try:
            done = subprocess.run(
                command(config, units, server.port),
                cwd=tree,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                timeout=limit,
                check=False,
            )
            ended = done.returncode
        except subprocess.TimeoutExpired:
            ended = -1
    unit = "?"
    lines = _COLOUR.sub("", log.read_text(errors="replace")).splitlines()
    for line in lines:
        unit = take(record, line, unit)
    record.seconds = time.monotonic() - begun
    record.complete |= ended == 0
    record.tail = lines[-12:] + ([f"no end within {limit:g} s"] if ended == -1 else [])
    return record


def judge(config: dict[str, Any], linux: Record, kiln: Record) -> list[str]:
    """What is wrong, in sentences."""
    expected = {entry["test"] for entry in config["expected_failures"]}
    told = []
    if not linux.complete:
        told.append("the oracle did not come to its end:\n    " + "\n    ".join(linux.tail))
    if not kiln.complete:
        told.append("the run on Kiln did not come to its end:\n    " + "\n    ".join(kiln.tail))
    for name in sorted(linux.failed | kiln.failed):
        if name.partition(": ")[2] not in expected and name in kiln.failed:
            also = " (on Linux too)" if name in linux.failed else ""
            told.append(f"fails on Kiln{also}: {name}")
    lost = sorted(linux.passed - kiln.passed - kiln.failed)
    told += [f"passes on Linux and is missing on Kiln: {name}" for name in lost[:20]]
    if len(lost) > 20:
        told.append(f"… and {len(lost) - 20} more are missing")
    if linux.count == 0:
        told.append("the oracle passed no check at all")
    return told


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("units", nargs="*", help="units such as unit/type/list")
    parser.add_argument("--all", action="store_true", help="the whole suite")
    parser.add_argument("--oracle-only", action="store_true", help="only the run on Linux")
    parser.add_argument("--smp", type=int, default=1)
    parser.add_argument("--kernel", type=Path)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--limit", type=float, help="seconds for each of the two runs")
    return parser.parse_args()


def main() -> int:
    """Both runs and the comparison."""
    options = parse()
    config = yaml.safe_load((HERE / "redis.yml").read_text())
    units = options.units or ([] if options.all else config["units"])
    flags = [word for entry in config["server_flags"] for word in entry["flag"]]
    limit = options.limit or (2400.0 if options.all else 420.0)
    BUILD.mkdir(parents=True, exist_ok=True)
    try:
        tree = fetch(config)
        baked = redis_guest.bake(options.kernel, options.root)
        with redis_guest.on_host(baked, flags) as server:
            linux = drive(config, tree, units, server, limit)
        tell("Linux", linux)
        if options.oracle_only:
            return 0 if linux.complete else 1
        with redis_guest.in_guest(baked, flags, smp=options.smp) as server:
            kiln = drive(config, tree, units, server, limit)
            if not kiln.complete:
                kiln.tail += server.said().splitlines()[-12:]
        tell("Kiln", kiln)
    except NotReady as problem:
        print(f"redis suite: {problem}", file=sys.stderr)
        return 2
    wrong = judge(config, linux, kiln)
    for sentence in wrong:
        print(sentence)
    rows = {name: vars(of) | {"passed": sorted(of.passed), "failed": sorted(of.failed)}
            for name, of in (("linux", linux), ("kiln", kiln))}  # fmt: skip
    (BUILD / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    scope = f"{len(units)} units" if units else "all units"
    print(
        f"redis suite: {scope}: {linux.count} checks pass on Linux, {kiln.count} on Kiln, "
        f"{len(config['expected_failures'])} expected failure(s), {len(wrong)} wrong"
    )
    return 1 if wrong else 0


def tell(where: str, record: Record) -> None:
    """One line on one run."""
    end = "" if record.complete else ", WITHOUT COMING TO ITS END"
    print(
        f"on {where}: {record.count} checks passed, {len(record.failed)} failed, "
        f"{record.skipped} left out, {record.seconds:.0f} s{end}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
