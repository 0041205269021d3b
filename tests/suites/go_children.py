"""The programs that the tests of Go's runtime build and start, each run by itself.

A guest has no second process, so those tests fail in it. What they would start can run on Linux and
in a guest of its own all the same: it ends in the same way and says the same in its first lines.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = "/t/testprog"
SUITE = "runtime/testprog"
LIMIT = 120
FIRST_LINES = 3
# Addresses, and numbers of goroutines, threads and lines.
_VARIABLE = re.compile(r"0x[0-9a-f]+|\d+")
_KERNEL_LINE = re.compile(r"^kiln: .*\n", re.M)


@dataclass(frozen=True)
class Ending:
    """How a program ended, and what it said first."""

    status: str
    lines: tuple[str, ...]


def run(command: list[str], name: str) -> Ending:
    """One of the programs on one side."""
    with tempfile.TemporaryDirectory(prefix="kiln-go-") as scratch:
        status = Path(scratch, "status")
        words = [*command, "--status-file", str(status), "--cwd", "/tmp", "--", PROGRAM, name]
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT + 30,
            check=False,
        )
        told: dict[str, Any] = json.loads(status.read_text()) if status.exists() else {}
    ways = [f"{way} {told[way]}" for way in ("exit", "signal") if told.get(way) is not None]
    said = _KERNEL_LINE.sub("", done.stdout.decode(errors="replace"))
    lines = _VARIABLE.sub("~", said).strip().split("\n")[:FIRST_LINES]
    return Ending(" ".join(ways) or "no status", tuple(lines))


def compare(
    names: list[str], linux: list[str], guest: list[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Outcomes of both sides; Linux is the oracle. What differs is printed."""
    here = {}
    for name in names:
        there, ours = run(linux, name), run(guest, name)
        here[f"{SUITE}.{name}"] = "pass" if there == ours else "fail"
        if there != ours:
            print(f"{SUITE} {name}: Linux {there}, here {ours}", flush=True)
    return dict.fromkeys(here, "pass"), here
