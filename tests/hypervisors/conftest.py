"""The loaders' rig and fixtures (tests/boot) serve here too."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "boot"), str(TESTS / "devices"), str(TESTS / "lib")]

from boot_fixtures import kernel, parts, tree  # noqa: E402 # found by the line above

__all__ = ["kernel", "parts", "tree"]
