#!/usr/bin/env python3
"""Runs Debian's own programs on this machine's Linux and on Kiln and compares what they do.

The same files run on both sides (world.py unpacks them, linux_box.py is the Linux side), and the
output, the messages on standard error and the status have to be the same.  The cases stand in
cases/*.yml, a file a program:

    defaults:  what every case of the file has unless it says otherwise; also
      program: words before those of `run`
    cases:     a list; each has
      run: the command line, split as a shell would, without a shell  (or argv: a list)
      name: how it is called (default: the command line)
      stdin: text            env: {K: V}        cwd: folder (default /var/w, laid by world.py)
      watch: folder          list it, with hashes, when the program has ended (observe.c)
      sorted: true           compare the lines of output without their order
      messages: false        do not compare standard error
      status: exit 0         how Linux has to end (default: in any way, and Kiln in the same)
      on_kiln: {status, out, err}   how Kiln ends where it has to be another way (no second process)
      mask: [regex, ...]     what may differ: each match is replaced by ~ on both sides
      differs: [{linux: line, kiln: line, why: reason}]   expected differences
      smp: CPUs              memory: SIZE       timeout: seconds
      quick: false           only in the long run (--all)

Usage: run_programs.py [--all] [--kernel FILE] [--jobs N] [FILE[/PATTERN] ...]
"""

from __future__ import annotations

import argparse
import concurrent.futures
import difflib
import fnmatch
import json
import re
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml
from world import HERE, TOP, World, make_world

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin", "LC_ALL": "C.UTF-8", "HOME": "/root", "TZ": "UTC"}
FOLDERS = ("/usr/bin/", "/usr/sbin/", "/t/")
LAST_LINES = 24
_KERNEL_LINE = re.compile(r"^kiln: .*\n", re.MULTILINE)


@dataclass
class Case:
    """One command line and what its comparison allows for."""

    group: str
    name: str
    argv: list[str]
    stdin: str = ""
    env: dict[str, str] = field(default_factory=dict)
    cwd: str = "/var/w"
    watch: str = ""
    sorted: bool = False
    messages: bool = True
    status: str = ""
    on_kiln: dict[str, str] = field(default_factory=dict)
    mask: list[str] = field(default_factory=list)
    differs: list[dict[str, str]] = field(default_factory=list)
    smp: int = 1
    memory: str = "256M"
    timeout: int = 60
    quick: bool = True

    @property
    def settings(self) -> dict[str, str]:
        """The whole environment."""
        watching = {"LD_PRELOAD": "/t/observe.so", "OBSERVE": self.watch} if self.watch else {}
        return ENVIRONMENT | watching | self.env


@dataclass
class Ending:
    """What a run came to."""

    status: str
    out: str
    err: str


class BadCase(Exception):
    """The table is at fault."""


def read_group(path: Path, world: World) -> list[Case]:
    """The cases of one file."""
    table = yaml.safe_load(path.read_text())
    known = {each.name for each in fields(Case)} | {"run"}
    common = dict(table.get("defaults", {}))
    program = common.pop("program", [])
    cases = []
    for entry in table["cases"]:
        row: dict[str, Any] = common | entry
        if unknown := set(row) - known:
            raise BadCase(f"{path.name}: {entry}: unknown: {', '.join(sorted(unknown))}")
        run = row.pop("run", "")
        argv = [str(word) for word in row.pop("argv", []) or [*program, *shlex.split(run)]]
        argv[0] = _find(argv[0], world)
        row.setdefault("name", run or shlex.join(argv))
        cases.append(Case(group=path.stem, argv=argv, **row))
    names = [case.name for case in cases]
    if twice := {name for name in names if names.count(name) > 1}:
        raise BadCase(f"{path.name}: given twice: {', '.join(sorted(twice))}")
    return cases


def _find(program: str, world: World) -> str:
    places = [program] if program.startswith("/") else [folder + program for folder in FOLDERS]
    for place in places:
        if (world.tree / place.lstrip("/")).is_file():
            return place
    raise BadCase(f"no {program} in the tree")


def choose(options: argparse.Namespace, world: World) -> list[Case]:
    """The cases asked for."""
    cases = [
        case for path in sorted((HERE / "cases").glob("*.yml")) for case in read_group(path, world)
    ]
    if options.names:
        cases = [case for case in cases if any(_matches(case, name) for name in options.names)]
    elif not options.all:
        cases = [case for case in cases if case.quick]
    if not cases:
        raise BadCase(f"no case is called {' '.join(options.names)}")
    return cases


def _matches(case: Case, name: str) -> bool:
    group, _, pattern = name.partition("/")
    return case.group == group and fnmatch.fnmatch(case.name, f"{pattern}*" if pattern else "*")


# Running


def on_linux(case: Case, world: World) -> Ending:
    """The oracle."""
    command = ["/usr/bin/python3", "-IS", str(HERE / "linux_box.py"), "--tree", str(world.tree)]
    return _run(case, [*command, "--cwd", case.cwd])


def on_kiln(case: Case, world: World, kernel: str) -> Ending:
    """The same in a guest."""
    command = [str(TOP / "kernel-src" / "run"), "--kernel", kernel, "--root", str(world.image)]
    command += ["--smp", str(case.smp), "--memory", case.memory, "--timeout", str(case.timeout)]
    return _run(case, [*command, "--cwd", case.cwd])


def _run(case: Case, command: list[str]) -> Ending:
    with tempfile.TemporaryDirectory(prefix="kiln-programs-") as folder:
        status = Path(folder, "status")
        command += ["--status-file", str(status)]
        for key, value in case.settings.items():
            command += ["--env", f"{key}={value}"]
        done = subprocess.run(
            [*command, "--", *case.argv],
            input=case.stdin.encode(),
            capture_output=True,
            timeout=case.timeout + 30,
            check=False,
        )
        told = json.loads(status.read_text()) if status.exists() else {"error": "no status"}
    out, err = (text.decode(errors="backslashreplace") for text in (done.stdout, done.stderr))
    return Ending(_status(told), out, err)


def _status(told: dict[str, Any]) -> str:
    for key in ("panic", "timeout", "error"):
        if told.get(key):
            return f"{key} ({told[key]})"
    return f"signal {told['signal']}" if told.get("signal") is not None else f"exit {told['exit']}"


# Comparing


def seen(case: Case, ending: Ending) -> Ending:
    """A run without the kernel's lines and without what may differ."""
    out, err = ending.out, _KERNEL_LINE.sub("", ending.err) if case.messages else ""
    for pattern in case.mask:
        out, err = (re.sub(pattern, "~", text, flags=re.MULTILINE) for text in (out, err))
    if case.sorted:
        out = "\n".join(sorted(out.split("\n")))
    return Ending(ending.status, out, err)


def wanted_of_kiln(case: Case, linux: Ending) -> Ending:
    """Linux's ending with the differences that the case allows for."""
    out, err = linux.out, linux.err
    for entry in case.differs:
        if entry["linux"] not in (out + "\n" + err).split("\n"):
            raise BadCase(f'Linux did not say "{entry["linux"]}", which differs names')
        old, new = (f"\n{entry[side]}\n" for side in ("linux", "kiln"))
        out, err = (f"\n{text}\n".replace(old, new)[1:-1] for text in (out, err))
    return Ending(**{"status": linux.status, "out": out, "err": err} | case.on_kiln)


def compare(case: Case, linux: Ending, kiln: Ending) -> list[str]:
    """What differs, for a reader; empty when nothing does."""
    if "error while loading shared libraries" in linux.err:
        raise BadCase(f"the tree lacks what the program needs: {linux.err.strip()}")
    told = []
    if case.status and linux.status != case.status:
        told.append(f"Linux has to end with {case.status} and ended with {linux.status}")
    wanted, found = wanted_of_kiln(case, seen(case, linux)), seen(case, kiln)
    if wanted.status != found.status:
        told.append(f"status: Linux {wanted.status}, Kiln {found.status}")
    told += _line_differences("out", wanted.out, found.out)
    told += _line_differences("err", wanted.err, found.err)
    if told:
        told += ["on Kiln: " + line for line in kiln.err.splitlines()[-LAST_LINES:]]
    return told


def _line_differences(stream: str, left: str, right: str) -> list[str]:
    found = difflib.unified_diff(left.split("\n"), right.split("\n"), lineterm="", n=0)
    sides = {"-": "Linux: ", "+": "Kiln:  "}
    lines = [line for line in found if not line.startswith(("---", "+++", "@@"))]
    return [f"{stream}: {sides[line[0]]}{line[1:]}" for line in lines[:LAST_LINES]]


def judge(case: Case, world: World, kernel: str) -> tuple[Case, list[str], float, str]:
    """Run one case on both sides."""
    begun = time.monotonic()
    try:
        linux = on_linux(case, world)
        told = compare(case, linux, on_kiln(case, world, kernel))
        note = f"{linux.out.count(chr(10))} lines, {linux.status}"
    except (BadCase, subprocess.TimeoutExpired, OSError, ValueError) as problem:
        told, note = [f"the test failed: {problem}"], ""
    return case, told, time.monotonic() - begun, note


def run_all(cases: list[Case], world: World, options: argparse.Namespace) -> int:
    """All cases, a few at a time; how many are wrong."""
    wrong = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        tasks = [pool.submit(judge, case, world, options.kernel) for case in cases]
        for task in concurrent.futures.as_completed(tasks):
            case, told, seconds, note = task.result()
            line = f"{case.group}: {case.name} ({seconds:.1f} s)"
            if told:
                wrong.append(f"{case.group}/{case.name}")
                print(f"DIFFERENT: {line}\n    " + "\n    ".join(told), flush=True)
            else:
                print(f"same: {line}: {note}", flush=True)
    if wrong:
        print(f"wrong ({len(wrong)}): " + "; ".join(sorted(wrong)))
    return len(wrong)


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="FILE[/PATTERN]")
    parser.add_argument("--all", action="store_true", help="the long cases too")
    parser.add_argument("--list", action="store_true", help="only say what would run")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--kernel", default=str(TOP / "build" / "kernel" / "kiln.elf"))
    return parser.parse_args()


def main() -> int:
    """Prepare, run, conclude."""
    options = parse()
    begun = time.monotonic()
    world = make_world()
    try:
        cases = choose(options, world)
    except BadCase as problem:
        print(f"programs: {problem}", file=sys.stderr)
        return 2
    if options.list:
        print("\n".join(f"{case.group}/{case.name}" for case in cases))
        return 0
    wrong = run_all(cases, world, options)
    counts = {case.group: sum(other.group == case.group for other in cases) for case in cases}
    print(
        f"programs: {len(cases)} command lines on Linux and on Kiln ("
        + ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        + f"), {wrong} wrong, {time.monotonic() - begun:.0f} s"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
