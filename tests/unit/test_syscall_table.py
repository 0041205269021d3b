"""The table of system calls in docs/ is what the kernel's sources say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def test_document_is_current() -> None:
    tool = TOP / "kernel-src" / "tools" / "syscall_table.py"
    done = subprocess.run(
        [sys.executable, str(tool), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
