# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Ansible's diff of what there is and what there will be."""

from __future__ import annotations

import json
from typing import Any


def diff(what: str, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Ansible's diff of two plans' ends."""
    return {
        "before_header": what,
        "after_header": what,
        "before": _text(before),
        "after": _text(after),
    }


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n" if value else ""
