"""The loaders' rig and fixtures (tests/boot) serve here too; the Xen host is one for all tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "boot"), str(TESTS / "devices"), str(TESTS / "lib")]

from boot_fixtures import kernel, parts, tree  # noqa: E402 # found by the line above
from xen_host import Xen, started  # noqa: E402

__all__ = ["kernel", "parts", "tree"]


@pytest.fixture(scope="session")
def xen_host(kernel: Path) -> Iterator[Xen]:
    """Started once."""
    with started(kernel) as xen:
        yield xen


@pytest.fixture
def xen(xen_host: Xen) -> Iterator[Xen]:
    """Without guests. What all said is shown with a failure."""
    yield xen_host
    xen_host.show()
    xen_host.host.destroy_all()
