# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Channels: names such as redis/stable for the image that is current, and what retention leaves.

A channel is an SSM parameter /kiln/<channel> in each region whose value is an AMI, so that launch
templates can follow it (resolve:ssm:/kiln/redis/stable). It is changed by one request, so it always
names one image, and its history is what a rollback goes by. An image that was rolled back from has
the tag kiln:withdrawn with the channel's name; a later rollback passes over it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._channels import (
    Kept,
    Pointer,
    check_channel,
)
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
    Step,
    at_once,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._retention import (
    Retention,
    Stock,
    leaving,
)

PREFIX = "/kiln/"
WITHDRAWN_TAG = "kiln:withdrawn"


def kept(image: dict[str, Any]) -> Kept:
    """An AMI as channels and retention see it."""
    tags = tag_dict(image.get("Tags"))
    return Kept(
        identifier=image["ImageId"],
        digest=tags.get(DIGEST_TAG, ""),
        withdrawn=tags.get(WITHDRAWN_TAG, ""),
        created=image["CreationDate"],
        name=image["Name"],
    )


def ready_images(cloud: Cloud, region: str, name: str) -> dict[str, dict[str, Any]]:
    """The available AMIs of a name, by their identifiers."""
    images = images_of(cloud, region, {NAME_TAG: name})
    return {item["ImageId"]: item for item in images if item["State"] == "available"}


def observe(cloud: Cloud, regions: list[str], channel: str) -> dict[str, Pointer]:
    """The channel in all regions, with the images that are available."""
    name = check_channel(channel)

    def look(region: str) -> Pointer:
        images = {key: kept(item) for key, item in ready_images(cloud, region, name).items()}
        return Pointer(region, history_of(cloud, region, PREFIX + channel), images)

    return {found.where: found for found in at_once(look, regions)}


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


def plan_retained(
    cloud: Cloud, regions: list[str], name: str, rule: Retention, now: datetime | None = None
) -> Plan:
    """Removes old images of a name; never one that a channel names or would roll back to."""
    before, after = {}, {}
    steps: list[Step] = []
    for region in regions:
        there = ready_images(cloud, region, name)
        stock = Stock(
            {identifier: kept(item) for identifier, item in there.items()},
            {
                channel: history_of(cloud, region, PREFIX + channel)
                for channel in channels_of(cloud, region)
            },
        )
        gone = leaving(stock, rule, "ami_name", now=now)
        for item in gone.images:
            facts = {"image": item.identifier, "snapshot": root_snapshot(there[item.identifier])}
            steps.append(Step("deregister", region, item.identifier, facts=facts))
        before[region], after[region] = gone.before, gone.after
    return Plan(before, after, tuple(steps))
