#!/usr/bin/env python3
"""Runs the tests of Go's standard library in the guest and on Linux and compares them by name.

`go test -c` of Debian's Go 1.19 makes a program a package (go_world.py); each runs in its package's
folder, on Linux (tests/programs/linux_box.py) and on two CPUs in the guest. Which packages, and for
how long, says go.yml; what may differ, expected.yml, held to in both directions (outcomes.py).

Usage: go_suite.py [--all] [--run REGEXP] [--kernel FILE] [PACKAGE ...]
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import go_children
import go_world
import outcomes
import yaml
from go_output import parse, pattern
from go_world import BINARY, HERE, TOP, inside, world

LOGS = TOP / "build/suites/go"
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin",
    "HOME": "/root",
    "GOROOT": f"/{go_world.ROOT}",
    "TMPDIR": "/tmp",
}


@dataclass(frozen=True)
class Package:
    """A package's tests, and what they are allowed."""

    name: str
    timeout: int = 120
    memory: str = "512M"
    choice: str = ""
    flags: list[str] = field(default_factory=lambda: ["-test.short"])
    leave_out: list[dict[str, Any]] = field(default_factory=list)

    @property
    def left_out(self) -> set[str]:
        """Tests that can run on neither side."""
        return {name for entry in self.leave_out for name in entry["tests"]}


def read_packages(table: dict[str, Any]) -> list[Package]:
    """What go.yml says of packages."""
    return [Package(name, **row) for name, row in table["packages"].items()]


def list_tests(package: Package, tree: Path, regexp: str) -> list[str]:
    """Names of the tests of a program."""
    folder = tree / inside(package.name).lstrip("/")
    command = [str(folder / BINARY), f"-test.list={regexp}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.split("\n") if re.match("(Test|Example)", line)]


def execute(package: Package, side: str, command: list[str], chosen: str) -> dict[str, str]:
    """A package's program, on one side."""
    limit = package.timeout
    with tempfile.TemporaryDirectory(prefix="kiln-go-") as scratch:
        command = [*command, "--status-file", f"{scratch}/status", "--cwd", inside(package.name)]
        for key, value in ENVIRONMENT.items():
            command += ["--env", f"{key}={value}"]
        command += ["--", f"{inside(package.name)}/{BINARY}", "-test.v", f"-test.timeout={limit}s"]
        command += [f"-test.run={chosen}", *package.flags]
        log = LOGS / f"{package.name.replace('/', '-')}.{side}.txt"
        with log.open("wb") as stream:
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                timeout=limit + 60,
                check=False,
            )
    return parse(package.name, log.read_text(errors="replace"))


def on_linux(place: world.World) -> list[str]:
    """The start of a command that is the oracle."""
    box = str(TOP / "tests/programs/linux_box.py")
    return ["/usr/bin/python3", "-IS", box, "--tree", str(place.tree)]


def in_guest(place: world.World, kernel: str, memory: str, timeout: int) -> list[str]:
    """The same for Kiln."""
    command = [str(TOP / "kernel-src/run"), "--kernel", kernel, "--root", str(place.image)]
    command += ["--smp", "2", "--memory", memory, "--net", "none"]
    return [*command, "--timeout", str(timeout + 30)]


def run_package(
    package: Package, place: world.World, entries: list[outcomes.Entry], options: argparse.Namespace
) -> tuple[dict[str, str], dict[str, str], outcomes.Again]:
    """Both sides' outcomes, and what runs some tests again in the guest."""
    regexp = options.run or ("." if options.all or not package.choice else package.choice)
    every = list_tests(package, place.tree, ".")
    names = [
        name for name in list_tests(package, place.tree, regexp) if name not in package.left_out
    ]
    untried = outcomes.not_tried(entries)
    tried = [name for name in names if not _answers(f"{package.name}.{name}", untried)]

    def chosen(wanted: list[str]) -> str:
        return pattern(wanted, [name for name in every if name not in set(wanted)])

    guest = in_guest(place, options.kernel, package.memory, package.timeout)

    def again(late: list[str]) -> dict[str, str]:
        tops = sorted({name.removeprefix(f"{package.name}.").split("/")[0] for name in late})
        return execute(package, "kiln", guest, chosen(tops))

    linux = execute(package, "linux", on_linux(place), chosen(names))
    return linux, execute(package, "kiln", guest, chosen(tried)), again


def _answers(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, each) for each in patterns)


def parse_options() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("packages", nargs="*", metavar="PACKAGE")
    parser.add_argument("--all", action="store_true", help="every test, not a short choice")
    parser.add_argument("--run", help="only the tests that this regular expression matches")
    parser.add_argument("--kernel", default=str(TOP / "build/kernel/kiln.elf"))
    return parser.parse_args()


def choose(packages: list[Package], options: argparse.Namespace) -> list[Package]:
    """Those asked for: by name, all, or those of which there is a short choice."""
    if options.packages:
        return [package for package in packages if package.name in options.packages]
    return [package for package in packages if options.all or package.choice]


class Comparison:
    """Both sides' outcomes, as they come in."""

    def __init__(self) -> None:
        self.linux: dict[str, str] = {}
        self.here: dict[str, str] = {}
        self._repeats: dict[str, outcomes.Again] = {}

    def take(self, sides: tuple[dict[str, str], dict[str, str]], name: str, begun: float) -> None:
        """Note the outcomes of a package, and say how many passed."""
        self.linux |= sides[0]
        self.here |= sides[1]
        there, here = (f"{list(side.values()).count('pass')} of {len(side)}" for side in sides)
        spent = time.monotonic() - begun
        print(f"{name}: {there} pass on Linux, {here} here ({spent:.0f} s)", flush=True)

    def run(self, package: Package, place: world.World, options: argparse.Namespace) -> None:
        """A package on both sides."""
        begun = time.monotonic()
        entries = outcomes.read("go")
        linux, here, self._repeats[package.name] = run_package(package, place, entries, options)
        self.take((linux, here), package.name, begun)

    def again(self, late: list[str]) -> dict[str, str]:
        """Some tests once more in the guest."""
        told: dict[str, str] = {}
        for name, repeat in self._repeats.items():
            if mine := [each for each in late if each.startswith(f"{name}.")]:
                told |= repeat(mine)
        return told


def main() -> int:
    """Prepare, run, judge."""
    options = parse_options()
    table: dict[str, Any] = yaml.safe_load((HERE / "go.yml").read_text())
    known = read_packages(table)
    chosen = choose(known, options)
    LOGS.mkdir(parents=True, exist_ok=True)
    quick = not options.all and all(package.choice for package in chosen)
    place = go_world.make(
        "go-choice" if quick else "go-all",
        [package.name for package in known if package.choice or not quick],
    )
    both = Comparison()
    for package in chosen:
        both.run(package, place, options)
    whole = options.all and not options.packages and not options.run
    if whole:
        begun = time.monotonic()
        guest = in_guest(place, options.kernel, "512M", go_children.LIMIT)
        sides = go_children.compare(table["children"].split(), on_linux(place), guest)
        both.take(sides, go_children.SUITE, begun)
    verdict = outcomes.judge("Go", both.linux, both.here, outcomes.read("go"), both.again, whole)
    if whole:
        outcomes.keep(LOGS / "results.json", verdict)
    print(outcomes.report(verdict))
    return 1 if verdict.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
