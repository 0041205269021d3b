"""The installed collection, and a store of its own that shares what takes long to make."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/programs"))

from tests.publish.installed import Desk, install, make_store  # noqa: E402


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Where the playbooks are run from."""
    folder = tmp_path_factory.mktemp("desk")
    return Desk(install(folder), folder, KILN_CACHE=str(make_store(folder / "store")))
