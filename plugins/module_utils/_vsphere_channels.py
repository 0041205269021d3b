# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Channels and retention on a vCenter, by the plans of _channels.

A channel is a custom attribute kiln.channel.NAME/WORD of the datacenter: the beginnings of the
digests that it named, newest first. It is changed by one request, so it always names one image. An
image that was rolled back from has the channel's name in its custom attribute kiln.withdrawn.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._channels import (
    Kept,
    Pointer,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import Plan, Step
from ansible_collections.kiln.unikernel.plugins.module_utils._retention import (
    Retention,
    Stock,
    leaving,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere import (
    Vcenter,
    attributes,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere_templates import (
    NAME,
    WITHDRAWN,
    Found,
    Machine,
)

with contextlib.suppress(ImportError):
    from pyVmomi import vim

PREFIX = "kiln.channel."
# Digits of a digest, and how many are kept: a custom attribute's value is a short text.
SHORT = 12
DEPTH = 16


def kept(machine: Machine) -> Kept:
    """A template as _channels knows it."""
    return Kept(
        machine.identifier,
        machine.digest,
        machine.marks.get(WITHDRAWN, ""),
        machine.created,
        machine.name,
    )


def values_of(vcenter: Vcenter, datacenter: Any) -> dict[str, list[str]]:
    """All channels of a datacenter: the beginnings of digests, oldest first."""
    values = vcenter.read("looking for channels", lambda: datacenter.customValue)
    return {
        name.removeprefix(PREFIX): text.split()[::-1]
        for name, text in attributes(values, vcenter.fields()).items()
        if name.startswith(PREFIX)
    }


def pointer_of(found: Found, channel: str, history: list[str]) -> Pointer:
    """One channel, with the templates that it could name."""
    images = [kept(item) for item in found.of(channel.partition("/")[0])]
    by_digest = {item.digest[:SHORT]: item.identifier for item in images}
    return Pointer(
        found.where,
        [by_digest.get(short, short) for short in history],
        {item.identifier: item for item in images},
    )


def names_by_image(vcenter: Vcenter, datacenter: Any, found: Found) -> dict[str, list[str]]:
    """Which channels name a template, by its identifier."""
    named: dict[str, list[str]] = {}
    for channel, history in sorted(values_of(vcenter, datacenter).items()):
        pointer = pointer_of(found, channel, history)
        if pointer.current in pointer.images:
            named.setdefault(pointer.current, []).append(channel)
    return named


def plan_retained(
    vcenter: Vcenter, datacenter: Any, found: Found, name: str, rule: Retention
) -> Plan:
    """Removes old templates of a name; never one that a channel names or would roll back to."""
    images = [kept(item) for item in found.of(name)]
    histories = {
        channel: pointer_of(found, channel, history).history
        for channel, history in values_of(vcenter, datacenter).items()
    }
    stock = Stock({item.identifier: item for item in images}, histories)
    gone = leaving(stock, rule, "template_name")
    steps = [
        Step(
            "remove",
            found.where,
            item.name,
            facts={"machine": found.of_image(item.identifier)},
        )
        for item in gone.images
    ]
    return Plan({found.where: gone.before}, {found.where: gone.after}, tuple(steps))


class Mover:
    """Takes the steps on a channel."""

    def __init__(
        self, vcenter: Vcenter, datacenter: Any, found: Found, channel: str, pointer: Pointer
    ) -> None:
        self._vcenter = vcenter
        self._datacenter = datacenter
        self._found = found
        self._channel = channel
        self._pointer = pointer

    def verbs(self) -> dict[str, Callable[[Step], None]]:
        """What it can do."""
        return {
            "promote": self.point,
            "roll back": self.point,
            "remove": lambda _step: self._write(""),
            "withdraw": lambda step: self._mark(step.detail, self._channel),
            "restore": lambda step: self._mark(step.detail, ""),
        }

    def point(self, step: Step) -> None:
        """Names another image; what it named stays known."""
        history = [
            self._pointer.digest(item)[:SHORT] or item
            for item in reversed(self._pointer.history)
            if item != step.detail
        ]
        newest = self._pointer.digest(step.detail)[:SHORT]
        self._write(" ".join([newest, *history][:DEPTH]))

    def _write(self, value: str) -> None:
        self._vcenter.set_field(self._datacenter, vim.Datacenter, PREFIX + self._channel, value)

    def _mark(self, identifier: str, channel: str) -> None:
        machine = self._found.of_image(identifier)
        self._vcenter.set_field(machine.ref, vim.VirtualMachine, WITHDRAWN, channel)


def listed(found: Found, channels: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Templates for a reader; newest first."""
    ready = sorted(found.published, key=lambda item: (item.created, item.identifier), reverse=True)
    return [
        {
            "image_id": item.identifier,
            "name": item.marks[NAME],
            **item.facts,
            "created": item.created,
            "channels": channels.get(item.identifier, []),
        }
        for item in ready
    ]
