# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Channels: names such as redis/stable for the image that is current, and what retention leaves.

A channel is an SSM parameter /kiln/<channel> in each region whose value is an AMI, so that launch
templates can follow it (resolve:ssm:/kiln/redis/stable). It is changed by one request, so it always
names one image, and its history is what a rollback goes by. An image that was rolled back from has
the tag kiln:withdrawn with the channel's name; a later rollback passes over it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._ec2 import (
    AwsError,
    Cloud,
    tag_dict,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._ec2_images import (
    DIGEST_TAG,
    NAME_TAG,
    images_of,
    root_snapshot,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Plan,
    PublishError,
    Step,
    at_once,
)

PREFIX = "/kiln/"
WITHDRAWN_TAG = "kiln:withdrawn"
CHANNEL = re.compile(r"[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*")


@dataclass
class Pointer:
    """A channel in one region: what it names, what it named (oldest first), what it could name."""

    region: str
    history: list[str] = field(default_factory=list)
    images: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def current(self) -> str:
        """The image that it names, empty when there is no such channel."""
        return self.history[-1] if self.history else ""

    def digest(self, image: str) -> str:
        """An image's digest, empty when it is gone."""
        return tag_dict(self.images.get(image, {}).get("Tags")).get(DIGEST_TAG, "")

    def of_digest(self, digest: str) -> str:
        """The image with a digest, empty when there is none."""
        names = sorted(name for name in self.images if self.digest(name) == digest)
        return names[0] if names else ""

    def before_this(self, channel: str) -> str:
        """What the channel named before, that is still there and was not withdrawn."""
        for name in reversed(self.history):
            tags = tag_dict(self.images.get(name, {}).get("Tags"))
            if name != self.current and tags and tags.get(WITHDRAWN_TAG) != channel:
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


def observe(cloud: Cloud, regions: list[str], channel: str) -> dict[str, Pointer]:
    """The channel in all regions, with the images that are available."""
    name = check_channel(channel)

    def look(region: str) -> Pointer:
        images = images_of(cloud, region, {NAME_TAG: name})
        ready = {item["ImageId"]: item for item in images if item["State"] == "available"}
        return Pointer(region, history_of(cloud, region, PREFIX + channel), ready)

    return {found.region: found for found in at_once(look, regions)}


def history_of(cloud: Cloud, region: str, parameter: str) -> list[str]:
    """A parameter's values, oldest first; empty when there is no such parameter."""
    try:
        found = cloud.pages(
            "ssm", region, "get_parameter_history", "Parameters", Name=parameter, MaxResults=50
        )
    except AwsError as problem:
        if problem.code == "ParameterNotFound":
            return []
        raise
    return [item["Value"] for item in sorted(found, key=lambda item: int(item["Version"]))]


def channels_of(cloud: Cloud, region: str) -> dict[str, str]:
    """All channels of a region with the images they name."""
    found = cloud.pages(
        "ssm", region, "get_parameters_by_path", "Parameters", Path=PREFIX, Recursive=True
    )
    return {item["Name"].removeprefix(PREFIX): item["Value"] for item in found}


def names_by_image(cloud: Cloud, regions: list[str]) -> dict[str, list[str]]:
    """Which channels name an image, by its identifier."""
    found: dict[str, list[str]] = {}
    for channels in at_once(lambda region: channels_of(cloud, region), regions):
        for channel, image in channels.items():
            found.setdefault(image, []).append(channel)
    return found


def plan_promoted(found: dict[str, Pointer], channel: str, digest: str) -> Plan:
    """The channel names the image with this digest, in every region or, failing that, in none."""
    targets = {region: item.of_digest(digest) for region, item in found.items()}
    missing = sorted(region for region, image in targets.items() if not image)
    if missing:
        raise PublishError(
            f"There is no image of {channel.partition('/')[0]} with the digest {digest[:12]} in "
            f"{', '.join(missing)}; publish it there first (ec2_image)."
        )
    return _plan(found, channel, targets, "promote")


def plan_rolled_back(found: dict[str, Pointer], channel: str, digest: str) -> Plan:
    """A channel that names the image with this digest names the one before it."""
    targets = {}
    for region, item in found.items():
        targets[region] = item.current
        if item.current and item.digest(item.current) == digest:
            targets[region] = item.before_this(channel)
            if not targets[region]:
                raise PublishError(
                    f"The channel {channel} has nothing to go back to in {region}: of what it "
                    "named before, nothing is left. Publish and promote a good image instead."
                )
    return _plan(found, channel, targets, "roll back")


def plan_absent(found: dict[str, Pointer], channel: str) -> Plan:
    """There is no such channel."""
    return _plan(found, channel, dict.fromkeys(found, ""), "remove")


def _plan(found: dict[str, Pointer], channel: str, targets: dict[str, str], verb: str) -> Plan:
    steps = []
    for region, item in found.items():
        target = targets[region]
        tags = tag_dict(item.images.get(target, {}).get("Tags"))
        if verb == "promote" and tags.get(WITHDRAWN_TAG) == channel:
            steps.append(Step("restore", region, target, stage=0))
        if target != item.current:
            if verb == "roll back":
                steps.append(Step("withdraw", region, item.current, stage=0))
            steps.append(Step(verb, region, target, stage=1))
    return Plan(
        {region: item.facts(item.current) for region, item in found.items() if item.current},
        {region: item.facts(targets[region]) for region, item in found.items() if targets[region]},
        tuple(steps),
    )


class Mover:
    """Takes the steps on a channel."""

    def __init__(self, cloud: Cloud, channel: str) -> None:
        self._cloud = cloud
        self._channel = channel

    def verbs(self) -> dict[str, Callable[[Step], None]]:
        """What it can do."""
        return {
            "promote": self.point,
            "roll back": self.point,
            "remove": self.remove,
            "withdraw": self.withdraw,
            "restore": self.restore,
        }

    def point(self, step: Step) -> None:
        """Names another image, and sees it named: AWS checks the value after it has answered."""
        parameter = PREFIX + self._channel
        self._cloud.call(
            "ssm",
            step.where,
            "put_parameter",
            Name=parameter,
            Value=step.detail,
            Type="String",
            DataType="aws:ec2:image",
            Description=f"Kiln's channel {self._channel}",
            Overwrite=True,
        )

        def named() -> bool | None:
            return history_of(self._cloud, step.where, parameter)[-1:] == [step.detail] or None

        self._cloud.patience.until(named, f"waiting for {parameter} in {step.where}")

    def remove(self, step: Step) -> None:
        """Takes the channel away."""
        name = PREFIX + self._channel
        self._cloud.call("ssm", step.where, "delete_parameter", Name=name)

    def withdraw(self, step: Step) -> None:
        """Marks the image that is rolled back from."""
        tags = [{"Key": WITHDRAWN_TAG, "Value": self._channel}]
        self._cloud.call("ec2", step.where, "create_tags", Resources=[step.detail], Tags=tags)

    def restore(self, step: Step) -> None:
        """Takes that mark away."""
        tags = [{"Key": WITHDRAWN_TAG}]
        self._cloud.call("ec2", step.where, "delete_tags", Resources=[step.detail], Tags=tags)


@dataclass(frozen=True)
class Retention:
    """What may go: only what both limits let go, where both are given."""

    keep: int | None
    older_than: float | None

    def goes(self, place: int, created: str, now: datetime) -> bool:
        """Whether an image may go; `place` is 0 for the newest."""
        age = (now - datetime.fromisoformat(created)).total_seconds()
        return (self.keep is None or place >= self.keep) and (
            self.older_than is None or age >= self.older_than
        )


def plan_retained(
    cloud: Cloud, regions: list[str], name: str, rule: Retention, now: datetime | None = None
) -> Plan:
    """Removes old images of a name; never one that a channel names or would roll back to."""
    now = now or datetime.now(UTC)
    before, after = {}, {}
    steps: list[Step] = []
    for region in regions:
        images = [
            item
            for item in images_of(cloud, region, {NAME_TAG: name})
            if item["State"] == "available"
        ]
        images.sort(key=lambda item: (item["CreationDate"], item["ImageId"]), reverse=True)
        held = _held(cloud, region, {item["ImageId"]: item for item in images})
        facts = {}
        for place, item in enumerate(images):
            identifier = item["ImageId"]
            facts[identifier] = {
                "ami_name": item["Name"],
                "created": item["CreationDate"],
                "channels": held.get(identifier, []),
            }
            if identifier not in held and rule.goes(place, item["CreationDate"], now):
                told = {"image": identifier, "snapshot": root_snapshot(item)}
                steps.append(Step("deregister", region, identifier, facts=told))
        gone = {step.detail for step in steps if step.where == region}
        before[region] = facts
        after[region] = {key: value for key, value in facts.items() if key not in gone}
    return Plan(before, after, tuple(steps))


def _held(cloud: Cloud, region: str, images: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """The images that channels hold, each with the channels' names."""
    found: dict[str, list[str]] = {}
    for channel, current in channels_of(cloud, region).items():
        pointer = Pointer(region, history_of(cloud, region, PREFIX + channel), images)
        previous = pointer.before_this(channel)
        for identifier, what in ((current, channel), (previous, f"{channel} (before)")):
            if identifier in images:
                found.setdefault(identifier, []).append(what)
    return found
