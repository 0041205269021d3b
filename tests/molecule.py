#!/usr/bin/env python3
"""Runs molecule's scenarios (extensions/molecule), with the counterparts that they publish to.

Usage: python tests/molecule.py [SCENARIO ...]      (all when none is named)
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
SCENARIOS = TOP / "extensions/molecule"
sys.path.insert(0, str(TOP))

from tests.rigs.counterparts import TREE, of_roles  # noqa: E402


def main() -> int:
    """Starts what is needed, and hands over."""
    there = sorted(path.parent.name for path in SCENARIOS.glob("*/molecule.yml"))
    wanted = sys.argv[1:] or there
    if unknown := set(wanted) - set(there):
        known = ", ".join(there)
        raise SystemExit(f"molecule: no scenario {', '.join(sorted(unknown))}; there are {known}")
    environment = os.environ | {
        "ANSIBLE_COLLECTIONS_PATH": f"{TREE}:{TOP / '.venv/collections'}",
        "ANSIBLE_HOME": str(TOP / "build/ansible"),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{TOP / '.venv/bin'}:{os.environ['PATH']}",
    }
    with of_roles(wanted) as ways:
        words = [word for name in wanted for word in ("--scenario-name", name)]
        # One scenario a CPU; they have names of their own, and the store has locks.
        options = ["--workers", "cpus", "--continue-on-failure"]
        command = [str(TOP / ".venv/bin/molecule"), "test", *options, *words]
        return subprocess.run(command, cwd=TOP, env=environment | ways, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
