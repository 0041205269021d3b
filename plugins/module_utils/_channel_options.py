# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the modules for channels and for retention do in the same way, whoever holds the images.

CHANNEL and RETENTION are what a module's set-up takes: its options, and what they demand of each
other. The doc fragments kiln.unikernel.publish.channel and .retention describe them.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._channels import (
    Pointer,
    plan_absent,
    plan_promoted,
    plan_rolled_back,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Plan,
    PublishError,
    parse_age,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._retention import Pending, Retention

CHANNEL: dict[str, Any] = {
    "spec": {
        "channel": {"type": "str", "required": True},
        "state": {
            "type": "str",
            "choices": ["promoted", "rolled_back", "absent"],
            "default": "promoted",
        },
        "digest": {"type": "str"},
    },
    "required_if": [("state", "promoted", ("digest",)), ("state", "rolled_back", ("digest",))],
}

RETENTION: dict[str, Any] = {
    "spec": {
        "name": {"type": "str", "required": True},
        "keep": {"type": "int"},
        "older_than": {"type": "str"},
        "pending": {
            "type": "dict",
            "options": {
                "digest": {"type": "str", "required": True},
                "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
                "channel": {"type": "str", "default": ""},
            },
        },
    },
    "required_one_of": [("keep", "older_than")],
}


def plan_channel(params: dict[str, Any], found: dict[str, Pointer], publisher: str) -> Plan:
    """The steps to the state that is asked for; `publisher` brings a missing image there."""
    channel, digest = params["channel"], params["digest"]
    if params["state"] == "promoted":
        return plan_promoted(found, channel, digest, publisher)
    if params["state"] == "rolled_back":
        return plan_rolled_back(found, channel, digest)
    return plan_absent(found, channel)


def retention_of(params: dict[str, Any]) -> Retention:
    """The rule that the options give; fails for one that cannot be."""
    keep, age = params["keep"], params["older_than"]
    if keep is not None and keep < 0:
        raise PublishError(f"`keep` is a number of images, 0 or more, not {keep}.")
    pending = Pending(**params["pending"]) if params["pending"] else None
    return Retention(keep, parse_age(age) if age else None, pending)
