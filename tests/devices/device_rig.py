"""A stand-in for QEMU, for tests here and in other folders."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


def stand_in(folder: Path, script: str = "qemu_variant.py") -> Path:
    """A program in `folder` that can be named as QEMU and runs a script of this one instead."""
    path = folder / "qemu"
    variant = shlex.join([sys.executable, str(HERE / script)])
    path.write_text(f'#!/bin/sh\nexec {variant} "$@"\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def wrapper(tmp_path: Path) -> Path:
    """One that rewrites the command line."""
    return stand_in(tmp_path)
