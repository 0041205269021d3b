"""What the tests of hypervisors share: the folders of other tests, a kernel, roots."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# For a disk whose program echoes what comes to port 7 (tests/devices/nic.c).
ECHO_APP = {"version": 1, "name": "nic", "argv": ["/nic"], "network": {"mode": "dhcp"}}
TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests" / folder) for folder in ("devices", "boot", "lib")]

import redis_guest  # noqa: E402 # found by the line above
import smoke  # noqa: E402


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


@pytest.fixture(scope="session")
def smoke_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root with the program that each machine runs."""
    return smoke.build_root(tmp_path_factory.mktemp("smoke"))


@pytest.fixture(scope="session")
def baked(built_kernel: str) -> redis_guest.Baked:
    """redis as the collection bakes it, on the kernel of these tests."""
    return redis_guest.bake(Path(built_kernel))
