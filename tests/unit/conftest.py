"""Lets the unit tests import the collection by its installed name from a plain checkout.

Under `ansible-test units` the name is there already; under plain pytest it is reached through a
link in build/tree.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


def _reachable() -> bool:
    try:
        return importlib.util.find_spec("ansible_collections.kiln.unikernel.plugins") is not None
    except ModuleNotFoundError:
        return False


if not _reachable():
    tree = subprocess.run([TOP / "tools/tree"], check=True, capture_output=True, text=True)
    sys.path.insert(0, tree.stdout.strip())
    importlib.invalidate_caches()


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    """A folder for a store of its own, with a blank in its name."""
    return tmp_path / "a store"
