#!/usr/bin/env python3
"""Runs the suites of others that are judged by expected.yml, whole, and writes one table of them.

Takes hours on the emulator. The table, as it stands in README.md, goes to build/suites/table.md.

Usage: run_suites.py [SUITE ...]      suites: cpython go
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import outcomes

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build" / "suites"
COMMANDS = {"cpython": ["cpython_suite.py"], "go": ["go_suite.py", "--all"]}


def run(suite: str) -> tuple[int, outcomes.Verdict | None]:
    """One suite; its status, and the verdict that it has left."""
    results = BUILD / suite / "results.json"
    results.unlink(missing_ok=True)
    script, *words = COMMANDS[suite]
    status = subprocess.run([sys.executable, str(HERE / script), *words], check=False).returncode
    if not results.exists():
        return status or 1, None
    told = json.loads(results.read_text())
    return status, outcomes.Verdict(**told | {"excluded": Counter(told["excluded"])})


def main() -> int:
    """All suites asked for, then the table."""
    ends = {suite: run(suite) for suite in sys.argv[1:] or COMMANDS}
    table = outcomes.table(verdict for _, verdict in ends.values() if verdict)
    (BUILD / "table.md").write_text(table + "\n")
    print(table)
    bad = [suite for suite, (status, _) in ends.items() if status]
    print(f"suites: FAILED: {', '.join(bad)}" if bad else f"suites: as expected: {', '.join(ends)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
