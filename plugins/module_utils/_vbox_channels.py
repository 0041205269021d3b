# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Channels in VirtualBox: notes kiln/channel/<channel> in the extradata that is for all VMs.

Such a note holds the UUIDs of the images that the channel has named, the current one last. It is
changed by one call, so it always names one image. An image that was rolled back from has the
channel's name in its note kiln/withdrawn.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

from ansible_collections.kiln.unikernel.plugins.module_utils._channels import (
    Kept,
    Pointer,
    check_channel,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import Plan, Step
from ansible_collections.kiln.unikernel.plugins.module_utils._retention import (
    Retention,
    Stock,
    leaving,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox import Machine, VBox
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_images import WHERE, images_of

_KEY = "channel/"
_REMEMBERED = 50


def kept(image: Machine) -> Kept:
    """An image as channels and retention see it."""
    return Kept(
        identifier=image.uuid,
        digest=image.notes["digest"],
        withdrawn=image.notes.get("withdrawn", ""),
        created=image.notes.get("created", ""),
        name=image.name,
    )


def kept_of(machines: list[Machine], name: str) -> dict[str, Kept]:
    """The images of a name by their UUIDs."""
    return {item.uuid: kept(item) for item in images_of(machines, name, None)}


def histories(vbox: VBox) -> dict[str, list[str]]:
    """All channels: what each has named, the current image last."""
    return {
        key.removeprefix(_KEY): json.loads(value)
        for key, value in vbox.notes("global").items()
        if key.startswith(_KEY)
    }


def names_by_image(vbox: VBox) -> dict[str, list[str]]:
    """Which channels name an image, by its UUID."""
    found: dict[str, list[str]] = {}
    for channel, history in sorted(histories(vbox).items()):
        found.setdefault(history[-1], []).append(channel)
    return found


def observe(vbox: VBox, channel: str) -> dict[str, Pointer]:
    """A channel, with the images that it could name."""
    images = kept_of(vbox.machines(), check_channel(channel))
    return {WHERE: Pointer(WHERE, histories(vbox).get(channel, []), images)}


class Mover:
    """Takes the steps on a channel."""

    def __init__(self, vbox: VBox, channel: str, history: list[str]) -> None:
        self._vbox = vbox
        self._channel = channel
        self._history = history

    def verbs(self) -> dict[str, Callable[[Step], None]]:
        """What it can do."""
        return {
            "promote": self.point,
            "roll back": self.point,
            "remove": lambda _step: self._vbox.note("global", {_KEY + self._channel: ""}),
            "withdraw": lambda step: self._vbox.note(step.detail, {"withdrawn": self._channel}),
            "restore": lambda step: self._vbox.note(step.detail, {"withdrawn": ""}),
        }

    def point(self, step: Step) -> None:
        """Names another image."""
        history = [*self._history, step.detail][-_REMEMBERED:]
        self._vbox.note("global", {_KEY + self._channel: json.dumps(history)})


def plan_retained(
    vbox: VBox, name: str, rule: Retention, in_use: set[str], now: datetime | None = None
) -> Plan:
    """Removes old images of a name; never one that a channel needs, or that linked clones need.

    `in_use` has the UUIDs of the latter.
    """
    images = kept_of(vbox.machines(), name)
    needed = {uuid: ["linked clones"] for uuid in in_use & set(images)}
    gone = leaving(Stock(images, histories(vbox)), rule, "vm_name", needed, now)
    steps = [
        Step("remove", WHERE, item.name, facts={"uuid": item.identifier}) for item in gone.images
    ]
    return Plan(gone.before, gone.after, tuple(steps))
