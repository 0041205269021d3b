#!/usr/bin/env python3
"""Runs the suites of others, whole, and writes one table of them.

Takes hours on the emulator. What each came to stays in build/suites, so that they can be run one by
one; the table is of all that are there. It goes to build/suites/table.md, and into README.md with
--readme, for a suite that was run to its end and as expected.

Usage: run_suites.py [--readme] [--kept] [SUITE ...]      suites: cpython go redis memcached
    --kept      modules of CPython that a run has judged already are not run again
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import outcomes

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
BUILD = TOP / "build" / "suites"
README = TOP / "README.md"
BEGIN, END = "<!-- by make suites -->\n", "<!-- the end of what make suites writes -->\n"
COMMANDS = {
    "cpython": ["cpython_suite.py"],
    "go": ["go_suite.py", "--all"],
    "redis": ["redis_suite.py", "--all"],
    "memcached": ["memcached_suite.py", "--all"],
}


def results(suite: str) -> Path:
    """What a suite's whole run has left."""
    return BUILD / suite / "results.json"


def run(suite: str, options: argparse.Namespace) -> int:
    """One suite; its status."""
    results(suite).unlink(missing_ok=True)
    script, *words = COMMANDS[suite]
    words += ["--kept"] if options.kept and suite == "cpython" else []
    command = [sys.executable, str(HERE / script), *words]
    status = subprocess.run(command, check=False).returncode
    return status if results(suite).exists() else status or 1


def table() -> str:
    """Of all suites whose verdict is there."""
    kept = [outcomes.kept(results(suite)) for suite in COMMANDS if results(suite).exists()]
    return outcomes.table(kept)


def put_into(text: str, made: str) -> str:
    """The README with another table."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"suites: README.md has no {BEGIN.strip()} … {END.strip()}")
    return f"{before}{begin}\n{made}\n\n{end}{after}"


def main() -> int:
    """All suites asked for, then the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(COMMANDS))
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    parser.add_argument("--kept", action="store_true", help="run only what no run has left yet")
    options = parser.parse_args()
    if unknown := set(options.suites) - COMMANDS.keys():
        parser.error(
            f"no such suite: {', '.join(sorted(unknown))}; there are {', '.join(COMMANDS)}"
        )
    ends = {suite: run(suite, options) for suite in options.suites or COMMANDS}
    made = table()
    (BUILD / "table.md").write_text(made + "\n")
    print(made)
    bad = [suite for suite, status in ends.items() if status]
    if options.readme and not bad:
        README.write_text(put_into(README.read_text(), made))
    print(f"suites: FAILED: {', '.join(bad)}" if bad else f"suites: as expected: {', '.join(ends)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
