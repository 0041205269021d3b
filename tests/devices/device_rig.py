"""A stand-in for QEMU, for tests here and in other folders."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


@pytest.fixture
def wrapper(tmp_path: Path) -> Path:
    """A program that can be named as QEMU and rewrites its command line."""
    path = tmp_path / "qemu"
    variant = shlex.join([sys.executable, str(HERE / "qemu_variant.py")])
    path.write_text(f'#!/bin/sh\nexec {variant} "$@"\n')
    path.chmod(0o755)
    return path
