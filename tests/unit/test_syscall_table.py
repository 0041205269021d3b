"""What is written of the kernel's system calls elsewhere is what its sources say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("tool", ["kernel-src/tools/syscall_table.py", "tools/absent_calls"])
def test_what_is_written_is_current(tool: str) -> None:
    command = [sys.executable, str(TOP / tool), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
