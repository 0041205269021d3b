"""One run of a module in a process of its own, as Ansible would start it, and what it took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[2]
MODULE = """
import importlib, json, sys
from ansible.module_utils.testing import patch_module_args
name, arguments = sys.argv[1], json.loads(sys.argv[2])
module = importlib.import_module("ansible_collections.kiln.unikernel.plugins.modules." + name)
with patch_module_args(arguments):
    module.main()
"""


@dataclass(frozen=True)
class Run:
    """Seconds by the clock, seconds of a CPU, the module's result, the most memory in MiB."""

    seconds: float
    cpu: float
    result: dict[str, Any]
    peak: float


class Goals:
    """What the figures are held to."""

    def __init__(self) -> None:
        self._missed: list[str] = []
        self._count = 0

    def hold(self, what: str, found: float, most: float) -> None:
        """One figure and what it may be at most."""
        self._count += 1
        if found > most:
            self._missed.append(f"{what}: {found:.4g}, at most {most:g}")

    def judge(self) -> str | int:
        """For sys.exit: which were missed, or that none was."""
        if self._missed:
            return "bench: goals missed: " + "; ".join(self._missed)
        print(f"{self._count} goals, none missed")
        return 0


def run_module(name: str, /, **arguments: Any) -> Run:
    """Runs it; ends the bench when it fails."""
    tree = subprocess.run([TOP / "tools/tree"], check=True, capture_output=True, text=True)
    env = dict(os.environ, PYTHONPATH=tree.stdout.strip(), AWS_EC2_METADATA_DISABLED="true")
    begin = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-c", MODULE, name, json.dumps(arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=env,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - begin
    result = json.loads(said)
    if result.get("failed"):
        sys.exit(f"bench: {name} failed: {result['msg']}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, result, usage.ru_maxrss / 1024)
