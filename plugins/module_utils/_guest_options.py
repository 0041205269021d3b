# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The options that all modules which run a guest have; the doc fragment guest describes them."""

from __future__ import annotations

from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError

_FORWARD = {
    "guest": {"type": "int", "required": True},
    "host": {"type": "int", "default": 0},
    "protocol": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
    "address": {"type": "str", "default": "127.0.0.1"},
}
_WAIT_FOR = {
    "port": {"type": "int", "required": True},
    "send": {"type": "str", "default": ""},
    "expect": {"type": "str", "required": True},
    "timeout": {"type": "int", "default": 60},
}
STATES = ["present", "started", "stopped", "absent"]
GUEST_SPEC: dict[str, Any] = {
    "state": {"type": "str", "choices": STATES, "default": "started"},
    "forwards": {"type": "list", "elements": "dict", "default": [], "options": _FORWARD},
    "wait_for": {"type": "dict", "options": _WAIT_FOR},
    "stop_timeout": {"type": "int", "default": 10},
}


def check_wait(wait_for: dict[str, Any] | None, forwards: list[dict[str, Any]]) -> None:
    """Fails when the port to wait for leads nowhere."""
    if wait_for and wait_for["port"] not in [item["guest"] for item in forwards]:
        raise KilnError(f"The guest's port {wait_for['port']}, to wait for, is not in `forwards`.")
