"""The schema of app.json and the kernel agree: the kernel's unit test has the same cases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import _app
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError

TOP = Path(__file__).resolve().parents[2]
CASES = json.loads((TOP / "kernel-src/tests/data/manifests.json").read_text())


@pytest.mark.parametrize("text", CASES["valid"])
def test_accepted(text):
    _app.validate(json.loads(text))


@pytest.mark.parametrize("text", CASES["invalid"])
def test_refused(text):
    with pytest.raises(KilnError, match="is not valid at"):
        _app.validate(json.loads(text))
