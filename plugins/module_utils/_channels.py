# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Channels, whatever holds the images: plans only, nothing is asked or changed here.

A channel is a name such as redis/stable for the image that is current. What it named before is what
a rollback goes by; an image that was rolled back from is withdrawn from the channel, and a later
rollback passes over it. Each publisher tells what there is (Pointer, Kept) and takes the steps:
promote, roll back, remove, withdraw, restore.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Plan,
    PublishError,
    Step,
)

CHANNEL = re.compile(r"[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True)
class Kept:
    """A published image: who it is, what it holds, and the channel that it was withdrawn from."""

    identifier: str
    digest: str
    withdrawn: str = ""
    created: str = ""
    name: str = ""


@dataclass
class Pointer:
    """A channel in one place: what it names, what it named (oldest first), what it could name."""

    where: str
    history: list[str] = field(default_factory=list)
    images: dict[str, Kept] = field(default_factory=dict)

    @property
    def current(self) -> str:
        """The image that it names, empty when there is no such channel."""
        return self.history[-1] if self.history else ""

    def digest(self, image: str) -> str:
        """An image's digest, empty when it is gone."""
        return self.images[image].digest if image in self.images else ""

    def of_digest(self, digest: str) -> str:
        """The image with a digest, empty when there is none."""
        names = sorted(name for name in self.images if self.digest(name) == digest)
        return names[0] if names else ""

    def withdrawn(self, image: str, channel: str) -> bool:
        """Whether an image was rolled back from in this channel."""
        return image in self.images and self.images[image].withdrawn == channel

    def before_this(self, channel: str) -> str:
        """What the channel named before, that is still there and was not withdrawn."""
        for name in reversed(self.history):
            there = name != self.current and name in self.images
            if there and not self.withdrawn(name, channel):
                return name
        return ""

    def facts(self, image: str) -> dict[str, str]:
        """For the diff."""
        return {"image_id": image, "digest": self.digest(image)} if image else {}


def check_channel(channel: str) -> str:
    """The image's name in a channel's."""
    if not CHANNEL.fullmatch(channel):
        raise PublishError(
            f"'{channel}' cannot be a channel; write what is published, a slash and a word, in "
            "lower-case letters and digits, as redis/stable."
        )
    return channel.partition("/")[0]


def plan_promoted(found: dict[str, Pointer], channel: str, digest: str, publisher: str) -> Plan:
    """The channel names the image with this digest, in every place or, failing that, in none.

    `publisher` is the module that would bring a missing one there.
    """
    targets = {where: item.of_digest(digest) for where, item in found.items()}
    missing = sorted(where for where, image in targets.items() if not image)
    if missing:
        raise PublishError(
            f"There is no image of {channel.partition('/')[0]} with the digest {digest[:12]} in "
            f"{', '.join(missing)}; publish it there first ({publisher})."
        )
    return _plan(found, channel, targets, "promote")


def plan_rolled_back(found: dict[str, Pointer], channel: str, digest: str) -> Plan:
    """A channel that names the image with this digest names the one before it."""
    targets = {}
    for where, item in found.items():
        targets[where] = item.current
        if item.current and item.digest(item.current) == digest:
            targets[where] = item.before_this(channel)
            if not targets[where]:
                raise PublishError(
                    f"The channel {channel} has nothing to go back to in {where}: of what it "
                    "named before, nothing is left. Publish and promote a good image instead."
                )
    return _plan(found, channel, targets, "roll back")


def plan_absent(found: dict[str, Pointer], channel: str) -> Plan:
    """There is no such channel."""
    return _plan(found, channel, dict.fromkeys(found, ""), "remove")


def _plan(found: dict[str, Pointer], channel: str, targets: dict[str, str], verb: str) -> Plan:
    steps = []
    for where, item in found.items():
        target = targets[where]
        if verb == "promote" and item.withdrawn(target, channel):
            steps.append(Step("restore", where, target, stage=0))
        if target != item.current:
            if verb == "roll back":
                steps.append(Step("withdraw", where, item.current, stage=0))
            steps.append(Step(verb, where, target, stage=1))
    return Plan(
        {where: item.facts(item.current) for where, item in found.items() if item.current},
        {where: item.facts(targets[where]) for where, item in found.items() if targets[where]},
        tuple(steps),
    )


def without(channels: dict[str, list[str]], ignored: list[str]) -> dict[str, list[str]]:
    """Which channels name an image, those aside that are about to be taken away."""
    return {
        image: [name for name in names if name not in ignored] for image, names in channels.items()
    }
