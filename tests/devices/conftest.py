"""What the tests of devices share."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from device_rig import wrapper

__all__ = ["wrapper"]

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def kernel() -> str:
    """A built kernel: KILN_KERNEL, or one that is built here."""
    chosen = os.environ.get("KILN_KERNEL")
    if chosen:
        return chosen
    built = TOP / "build/kernel"
    for command in (
        ["cmake", "-S", TOP / "kernel-src", "-B", built, "-G", "Ninja"],
        ["ninja", "-C", built],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=600)
    return str(built / "kiln.elf")
