# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Images of one content in several regions: what there is, what shall be, and the steps between.

An image is found by two tags, kiln:name and kiln:digest, never by its own name. It gets them in the
request that registers or copies it, so none is ever seen without them. The first region gets the
blocks, the others copies of its image.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._ec2 import Cloud, tag_dict
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Plan,
    PublishError,
    Step,
    at_once,
)

NAME_TAG = "kiln:name"
DIGEST_TAG = "kiln:digest"
OWN = "kiln:"
ROOT_DEVICE = "/dev/xvda"
FIXED = ("architecture", "boot_mode", "ena", "imds", "tpm", "encrypted", "volume_type", "size")


@dataclass(frozen=True)
class Share:
    """Who may launch an image."""

    accounts: tuple[str, ...] = ()
    organizations: tuple[str, ...] = ()
    organizational_units: tuple[str, ...] = ()
    public: bool = False

    def items(self) -> list[dict[str, str]]:
        """As EC2 spells them."""
        return [
            *({"UserId": name} for name in sorted(set(self.accounts))),
            *({"OrganizationArn": name} for name in sorted(set(self.organizations))),
            *({"OrganizationalUnitArn": name} for name in sorted(set(self.organizational_units))),
            *([{"Group": "all"}] if self.public else []),
        ]


@dataclass(frozen=True)
class Wanted:
    """What is to be; None leaves a thing as it is."""

    name: str
    digest: str
    ami_name: str
    fixed: dict[str, Any]
    kms_keys: dict[str, str] = field(default_factory=dict)
    description: str | None = None
    tags: dict[str, str] | None = None
    purge_tags: bool = True
    share: Share | None = None
    deprecate_at: str | None = None
    uefi_data: str | None = None

    def identity(self) -> dict[str, str]:
        """The tags that it is found by."""
        return {NAME_TAG: self.name, DIGEST_TAG: self.digest}


@dataclass
class Found:
    """What one region has of it."""

    region: str
    image: dict[str, Any] | None = None
    permissions: list[dict[str, str]] = field(default_factory=list)
    snapshots: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)

    def use_only(self, encrypted: bool, key: str | None) -> None:
        """Looks away from snapshots that are not encrypted as they shall be."""
        self.snapshots = [
            item
            for item in self.snapshots
            if not encrypted or (item.get("Encrypted") and key in (None, item.get("KmsKeyId")))
        ]

    def snapshot(self, state: str) -> str | None:
        """A snapshot of this content in a state."""
        names = sorted(item["SnapshotId"] for item in self.snapshots if item["State"] == state)
        return names[0] if names else None


def filters(tags: dict[str, str]) -> list[dict[str, Any]]:
    """Tags as filters."""
    return [{"Name": f"tag:{key}", "Values": [value]} for key, value in tags.items()]


def images_of(cloud: Cloud, region: str, tags: dict[str, str]) -> list[dict[str, Any]]:
    """The account's images with these tags."""
    return cloud.pages(
        "ec2", region, "describe_images", "Images", Owners=["self"], Filters=filters(tags)
    )


def snapshots_of(cloud: Cloud, region: str, tags: dict[str, str]) -> list[dict[str, Any]]:
    """The account's snapshots with these tags."""
    return cloud.pages(
        "ec2", region, "describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=filters(tags)
    )


def observe(cloud: Cloud, regions: list[str], tags: dict[str, str]) -> dict[str, Found]:
    """Looks into all regions at once."""

    def look(region: str) -> Found:
        found = Found(region, snapshots=snapshots_of(cloud, region, tags))
        images: list[dict[str, Any]] = []
        for item in images_of(cloud, region, tags):
            (found.failed if item["State"] == "failed" else images).append(item)
        if images:
            found.image = min(images, key=lambda item: (item["CreationDate"], item["ImageId"]))
            found.permissions = permissions_of(cloud, region, found.image["ImageId"])
        return found

    return {found.region: found for found in at_once(look, regions)}


def permissions_of(cloud: Cloud, region: str, image: str) -> list[dict[str, str]]:
    """Who may launch it, in one order."""
    told = cloud.call(
        "ec2", region, "describe_image_attribute", ImageId=image, Attribute="launchPermission"
    )
    return ordered(told.get("LaunchPermissions", []))


def ordered(items: list[dict[str, str]]) -> list[dict[str, str]]:
    """One spelling of a set of permissions."""
    return sorted(items, key=lambda item: sorted(item.items()))


def check_names(cloud: Cloud, regions: list[str], wanted: Wanted) -> None:
    """Fails when the image's name is taken by another content."""

    def check(region: str) -> None:
        for item in cloud.pages(
            "ec2",
            region,
            "describe_images",
            "Images",
            Owners=["self"],
            Filters=[{"Name": "name", "Values": [wanted.ami_name]}],
        ):
            digest = tag_dict(item.get("Tags")).get(DIGEST_TAG)
            if digest != wanted.digest:
                other = f"the content {digest[:12]}" if digest else "something not made by Kiln"
                raise PublishError(
                    f"In {region} the name '{wanted.ami_name}' belongs to {item['ImageId']}, which "
                    f"is {other}, not {wanted.digest[:12]}; choose another `ami_name`, or leave it "
                    "out to get one with the digest in it."
                )

    at_once(check, regions)


def describe(found: Found) -> dict[str, Any]:
    """An image's facts in the words of the module's options."""
    image = found.image
    if image is None:
        return {}
    tags = tag_dict(image.get("Tags"))
    return {
        "ami_name": image["Name"],
        "digest": tags.get(DIGEST_TAG, ""),
        **fixed_of(image),
        "description": image.get("Description", ""),
        "tags": own_tags(tags),
        "share": found.permissions,
        "deprecate_at": image.get("DeprecationTime", ""),
    }


def fixed_of(image: dict[str, Any]) -> dict[str, Any]:
    """What cannot be changed once an image is registered."""
    mapped = {item["DeviceName"]: item.get("Ebs", {}) for item in image["BlockDeviceMappings"]}
    root = mapped.get(image.get("RootDeviceName", ""), {})
    return {
        "architecture": image["Architecture"],
        "boot_mode": image.get("BootMode", ""),
        "ena": bool(image.get("EnaSupport")),
        "imds": image.get("ImdsSupport", ""),
        "tpm": image.get("TpmSupport", ""),
        "encrypted": bool(root.get("Encrypted")),
        "volume_type": root.get("VolumeType", ""),
        "size": root.get("VolumeSize", 0),
    }


def root_snapshot(image: dict[str, Any]) -> str:
    """The snapshot that an image starts from."""
    for item in image["BlockDeviceMappings"]:
        if item["DeviceName"] == image.get("RootDeviceName"):
            return str(item.get("Ebs", {}).get("SnapshotId", ""))
    return ""


def own_tags(tags: dict[str, str]) -> dict[str, str]:
    """The tags that are the user's."""
    return {key: value for key, value in tags.items() if not key.startswith((OWN, "aws:"))}


def desired(found: Found, wanted: Wanted) -> dict[str, Any]:
    """What `describe` will say afterwards."""
    now = describe(found)
    if now:
        check_fixed(found, wanted)
    else:
        now = {"ami_name": wanted.ami_name, "digest": wanted.digest, **wanted.fixed}
        now |= {"description": "", "tags": {}, "share": [], "deprecate_at": ""}
    now = dict(now)
    if wanted.description is not None:
        now["description"] = wanted.description
    if wanted.tags is not None:
        now["tags"] = wanted.tags if wanted.purge_tags else now["tags"] | wanted.tags
    if wanted.share is not None:
        now["share"] = ordered(wanted.share.items())
    if wanted.deprecate_at is not None:
        now["deprecate_at"] = wanted.deprecate_at
    return now


def check_fixed(found: Found, wanted: Wanted) -> None:
    """Fails when an image of this content was registered in another way."""
    has = fixed_of(found.image or {})
    for key, value in wanted.fixed.items():
        # Not asked for, but an account may encrypt all that is made in it.
        unasked = key == "encrypted" and not value
        if has[key] != value and not unasked:
            raise PublishError(
                f"{(found.image or {})['ImageId']} in {found.region} has this content but was "
                f"registered with {key} {has[key]!r}, not {value!r}, and that cannot be changed; "
                "remove it first (state absent), or publish under another `name`."
            )


def plan_present(
    found: dict[str, Found], wanted: Wanted, main: str, method: str = "direct"
) -> Plan:
    """The steps that make every region have the image, as it shall be."""
    before = {region: describe(item) for region, item in found.items() if item.image}
    after = {region: desired(item, wanted) for region, item in found.items()}
    steps: list[Step] = []
    for region, item in found.items():
        steps += _steps_to_forget(item)
        item.use_only(wanted.fixed["encrypted"], wanted.kms_keys.get(region))
        if item.image is None:
            steps += _steps_to_make(item, region == main, method)
        elif item.image["State"] == "pending":
            steps.append(Step("await", region, item.image["ImageId"], stage=2))
        for key in ("description", "tags", "share", "deprecate_at"):
            made = item.image is None and key in ("description", "tags")
            if not made and after[region][key] != before.get(region, _NOTHING)[key]:
                facts = {"to": after[region][key], "from": before.get(region, _NOTHING)[key]}
                steps.append(Step(key, region, stage=4, facts=facts))
    return Plan(before, after, tuple(steps))


_NOTHING: dict[str, Any] = {"description": "", "tags": {}, "share": [], "deprecate_at": ""}


def _steps_to_forget(item: Found) -> list[Step]:
    """Images that came to nothing, and would stand in the way of a good one by their name."""
    return [
        Step(
            "deregister",
            item.region,
            bad["ImageId"],
            facts={"image": bad["ImageId"], "snapshot": ""},
        )
        for bad in item.failed
    ]


def _steps_to_make(item: Found, main: bool, method: str) -> list[Step]:
    if not main:
        return [Step("copy", item.region, stage=3)]
    steps = [
        Step("discard", item.region, broken["SnapshotId"], stage=0)
        for broken in item.snapshots
        if broken["State"] == "error"
    ]
    ready, begun = item.snapshot("completed"), item.snapshot("pending")
    if not ready:
        verb = "upload" if method == "direct" else "import"
        steps.append(Step(verb, item.region, f"resume {begun}" if begun else "", stage=1))
    return [*steps, Step("register", item.region, stage=2)]


def plan_absent(found: dict[str, Found], channels: dict[str, list[str]], force: bool) -> Plan:
    """The steps that take the image and its snapshots out of every region.

    `channels` says which channels name an image, by its identifier.
    """
    before = {region: describe(item) for region, item in found.items() if item.image}
    steps: list[Step] = []
    for region, item in found.items():
        steps += _steps_to_forget(item)
        if item.image:
            name = item.image["ImageId"]
            if channels.get(name) and not force:
                raise PublishError(
                    f"{name} in {region} is what the channel {channels[name][0]} names; promote "
                    "another image or remove the channel first, or set `force`."
                )
            facts = {"image": name, "snapshot": root_snapshot(item.image)}
            steps.append(Step("deregister", region, name, stage=0, facts=facts))
        held = {root_snapshot(item.image)} if item.image else set()
        steps += [
            Step("discard", region, left["SnapshotId"], stage=1)
            for left in item.snapshots
            if left["SnapshotId"] not in held
        ]
    return Plan(before, {}, tuple(steps))


def normal_time(text: str) -> str:
    """A time as EC2 keeps it, to the minute."""
    if not text:
        return ""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise PublishError(
            f"deprecate_at is '{text}'; write a time such as 2027-06-30T12:00:00Z."
        ) from None
    time = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    return time.strftime("%Y-%m-%dT%H:%M:00.000Z")
