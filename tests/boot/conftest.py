"""The fixtures are in a module of their own, which tests/hypervisors takes too."""

from __future__ import annotations

from boot_fixtures import kernel, parts, tree

__all__ = ["kernel", "parts", "tree"]
