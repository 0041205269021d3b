"""What the tests of hypervisors share: the folders of other tests, and a kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# For a disk whose program echoes what comes to port 7 (tests/devices/nic.c).
ECHO_APP = {"version": 1, "name": "nic", "argv": ["/nic"], "network": {"mode": "dhcp"}}
TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/devices"), str(TOP / "tests/boot")]


@pytest.fixture(scope="session")
def built_kernel() -> str:
    """KILN_KERNEL names one (with the loader beside it); without it one is built."""
    built = TOP / "build/kernel"
    if "KILN_KERNEL" not in os.environ:
        for command in (
            ["cmake", "-S", TOP / "kernel-src", "-B", built, "-G", "Ninja"],
            ["ninja", "-C", built],
        ):
            subprocess.run(command, check=True, capture_output=True, timeout=600)
    return os.environ.get("KILN_KERNEL", str(built / "kiln.elf"))
