"""EC2's images and snapshots on top of moto's EC2: what was registered is kept and read back."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.responses import EC2Response

from tests.rigs.ec2 import world
from tests.rigs.ec2.rules import refuse
from tests.rigs.ec2.world import ACCOUNT, LOCK, STATE, Image, Region, Snapshot

NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}")
ARCHITECTURES = ("i386", "x86_64", "arm64", "x86_64_mac", "arm64_mac")
ARN = re.compile(r"arn:aws[a-z-]*:organizations::\d{12}:(organization|ou)/.+")
KEPT = (
    "Architecture BootMode Description EnaSupport ImdsSupport Name RootDeviceName SriovNetSupport "
    "TpmSupport UefiData VirtualizationType"
).split()
READABLE = ("description", "launchPermission", "bootMode", "tpmSupport", "imdsSupport", "uefiData")


def matches(facts: dict[str, str], tags: dict[str, str], filters: list[dict[str, Any]]) -> bool:
    """Whether a thing passes all filters; a filter's values are alternatives, with * and ?."""

    def values(name: str) -> Iterable[str]:
        if name.startswith("tag:"):
            return [tags[name[4:]]] if name[4:] in tags else []
        return tags if name == "tag-key" else [facts.get(name, "")]

    return all(
        any(
            fnmatch.fnmatchcase(value, wanted)
            for value in values(item["Name"])
            for wanted in item["Values"]
        )
        for item in filters
    )


class StrictImages(EC2Response):
    """Images and snapshots; all else is moto's."""

    @property
    def here(self) -> Region:
        """The region of this request."""
        return STATE.region(self.region)

    def tags_of(self, identifier: str) -> dict[str, str]:
        """A thing's tags."""
        found = self.ec2_backend.describe_tags(filters={"resource-id": [identifier]})
        return {tag["key"]: tag["value"] for tag in found}

    def tag_list(self, identifier: str) -> list[dict[str, str]]:
        """The same as EC2 spells it."""
        return [{"Key": key, "Value": value} for key, value in self.tags_of(identifier).items()]

    def specified_tags(self, allowed: tuple[str, ...], rule: str) -> dict[str, dict[str, str]]:
        """The tags of a request, by type of resource."""
        found: dict[str, dict[str, str]] = {}
        for item in self._get_param("TagSpecifications", []):
            if item["ResourceType"] not in allowed:
                refuse(rule, type=item["ResourceType"])
            found[item["ResourceType"]] = {tag["Key"]: tag["Value"] for tag in item["Tags"]}
        return found

    def once(self, kind: str, make: Callable[[], str]) -> str:
        """Makes a thing, or finds the one that the same client token has made."""
        client_token = self._get_param("ClientToken")
        spelled = json.dumps(self.params, sort_keys=True, default=str)
        known = self.here.tokens.get((kind, client_token or ""))
        if known and client_token:
            if known[1] != spelled:
                refuse("token-conflict", operation=kind)
            return known[0]
        made = make()
        self.here.tokens[kind, client_token or ""] = (made, spelled)
        return made

    # --- snapshots

    def describe_snapshots(self) -> ActionResult:
        """Lists snapshots; each look lets a pending one ripen."""
        filters = self._get_param("Filters", [])
        chosen = self._get_param("SnapshotIds", [])
        with LOCK:
            for name in chosen:
                if name not in self.here.snapshots:
                    refuse("snapshot-missing", snapshot=name)
            found = []
            for snapshot in list(self.here.snapshots.values()):
                if snapshot.completing and snapshot.status == "pending":
                    world.ripen(snapshot, "completed")
                facts = {"status": snapshot.status, "snapshot-id": snapshot.id}
                wanted = not chosen or snapshot.id in chosen
                if wanted and matches(facts, self.tags_of(snapshot.id), filters):
                    found.append(self._snapshot_shape(snapshot))
        return ActionResult({"Snapshots": found})

    def _snapshot_shape(self, snapshot: Snapshot) -> dict[str, Any]:
        return {
            "SnapshotId": snapshot.id,
            "VolumeId": "vol-ffffffff",
            "VolumeSize": snapshot.size,
            "State": snapshot.status,
            "Progress": "100%" if snapshot.status == "completed" else "0%",
            "OwnerId": ACCOUNT,
            "Description": snapshot.description,
            "StartTime": snapshot.started,
            "Encrypted": snapshot.encrypted,
            "KmsKeyId": snapshot.kms_key,
            "Tags": self.tag_list(snapshot.id),
        }

    def delete_snapshot(self) -> ActionResult:
        """Deletes a snapshot that no image uses."""
        name = self._get_param("SnapshotId")
        with LOCK:
            if name not in self.here.snapshots:
                refuse("snapshot-missing", snapshot=name)
            if any(name == snapshot_of(image) for image in self.here.images.values()):
                refuse("snapshot-in-use", snapshot=name)
            del self.here.snapshots[name]
        return ActionResult({})

    # --- images

    def register_image(self) -> ActionResult:
        """Registers an image, with the defaults that the reference gives."""
        given = {key: self._get_param(key) for key in KEPT}
        facts: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        facts.setdefault("Architecture", "i386")
        facts.setdefault("VirtualizationType", "paravirtual")
        facts.setdefault("EnaSupport", False)
        facts["Mappings"] = self._get_param("BlockDeviceMappings", [])
        tags = self.specified_tags(("image", "snapshot"), "image-tags")
        self.error_on_dryrun()
        with LOCK:
            self._check_name(facts.get("Name", ""))
            check_attributes(facts)
            self._check_mappings(facts)
            image = self._enter(facts, tags, "available")
        return ActionResult({"ImageId": image.id})

    def _check_name(self, name: str) -> None:
        if not NAME.fullmatch(name):
            refuse("image-name", name=name)
        if any(image.facts["Name"] == name for image in self.here.images.values()):
            refuse("image-duplicate", name=name)

    def _check_mappings(self, facts: dict[str, Any]) -> None:
        mapped = {item["DeviceName"]: item.get("Ebs", {}) for item in facts["Mappings"]}
        if facts.get("RootDeviceName") not in mapped:
            refuse("image-root", root=facts.get("RootDeviceName"))
        for volume in mapped.values():
            snapshot = self.here.snapshots.get(volume.get("SnapshotId", ""))
            if snapshot is None:
                refuse("image-snapshot", snapshot=volume.get("SnapshotId"))
            if snapshot.status != "completed":
                refuse("image-pending", snapshot=snapshot.id, status=snapshot.status)
            if volume.setdefault("VolumeSize", snapshot.size) < snapshot.size:
                refuse("image-volume", size=volume["VolumeSize"])
            volume.setdefault("DeleteOnTermination", True)
            volume.setdefault("VolumeType", "gp2")
            volume["Encrypted"] = snapshot.encrypted

    def _enter(self, facts: dict[str, Any], tags: dict[str, dict[str, str]], state: str) -> Image:
        image = Image(STATE.identifier("ami"), facts, state)
        self.here.images[image.id] = image
        if tags.get("image"):
            self.ec2_backend.create_tags([image.id], tags["image"])
        if tags.get("snapshot"):
            self.ec2_backend.create_tags([snapshot_of(image)], tags["snapshot"])
        return image

    def describe_images(self) -> ActionResult:
        """Lists the account's images."""
        chosen = self._get_param("ImageIds", [])
        filters = self._get_param("Filters", [])
        with LOCK:
            for name in chosen:
                if name not in self.here.images:
                    refuse("image-missing", image=name)
            found = []
            for image in list(self.here.images.values()):
                if image.state == "pending":
                    world.ripen(image, STATE.settings.copy_ends)
                shape = self._image_shape(image)
                facts = {"name": shape["Name"], "state": shape["State"], "image-id": image.id}
                wanted = not chosen or image.id in chosen
                if wanted and matches(facts, self.tags_of(image.id), filters):
                    found.append(shape)
        return ActionResult({"Images": found})

    def _image_shape(self, image: Image) -> dict[str, Any]:
        shape = {
            key: value for key, value in image.facts.items() if key not in ("Mappings", "UefiData")
        }
        return shape | {
            "ImageId": image.id,
            "ImageLocation": f"{ACCOUNT}/{image.facts['Name']}",
            "ImageType": "machine",
            "OwnerId": ACCOUNT,
            "State": image.state,
            "CreationDate": image.created,
            "RootDeviceType": "ebs",
            "Hypervisor": "xen",
            "Public": {"Group": "all"} in image.permissions,
            "BlockDeviceMappings": image.facts["Mappings"],
            "DeprecationTime": image.deprecation,
            "Tags": self.tag_list(image.id),
        }

    def deregister_image(self) -> ActionResult:
        """Takes an image away and leaves its snapshots."""
        image = self._image()
        with LOCK:
            del self.here.images[image.id]
            self.here.gone.add(image.id)
        return ActionResult({"Return": True})

    def _image(self) -> Image:
        name = self._get_param("ImageId")
        found = self.here.images.get(name)
        if found is None:
            refuse("image-gone" if name in self.here.gone else "image-missing", image=name)
        return found

    def copy_image(self) -> ActionResult:
        """Copies an image here, without its permissions and, unless asked for, its tags."""
        tags = self.specified_tags(("image", "snapshot"), "image-tags")
        key = self._get_param("KmsKeyId")
        if key and (not self._get_param("Encrypted") or key not in STATE.settings.kms_keys):
            refuse("copy-key", key=key)
        self.error_on_dryrun()
        with LOCK:
            identifier = self.once("copy-image", lambda: self._copy(tags, key))
        return ActionResult({"ImageId": identifier})

    def _copy(self, tags: dict[str, dict[str, str]], key: str | None) -> str:
        source_region = STATE.region(self._get_param("SourceRegion"))
        source = source_region.images.get(self._get_param("SourceImageId"))
        if source is None:
            refuse("copy-source", image=self._get_param("SourceImageId"))
        if source.state != "available":
            refuse("copy-state", state=source.state)
        name = self._get_param("Name")
        self._check_name(name)
        facts = dict(source.facts, Name=name, Description=self._get_param("Description") or "")
        facts["Mappings"] = [
            dict(item, Ebs=self._copy_volume(item["Ebs"], source_region, key))
            for item in source.facts["Mappings"]
        ]
        facts |= {"SourceImageId": source.id, "SourceImageRegion": self._get_param("SourceRegion")}
        return self._enter(facts, tags, "pending").id

    def _copy_volume(
        self, volume: dict[str, Any], source_region: Region, key: str | None
    ) -> dict[str, Any]:
        old = source_region.snapshots[volume["SnapshotId"]]
        encrypted = bool(self._get_param("Encrypted")) or old.encrypted
        fresh = Snapshot(STATE.identifier("snap"), old.size, "Copied", encrypted, key, "completed")
        fresh.blocks, fresh.checksums = dict(old.blocks), dict(old.checksums)
        self.here.snapshots[fresh.id] = fresh
        return dict(volume, SnapshotId=fresh.id, Encrypted=encrypted)

    # --- what can be changed of an image

    def modify_image_attribute(self) -> ActionResult:
        """Changes launch permissions, the description or the IMDS setting."""
        given = [
            key
            for key in ("LaunchPermission", "Description", "ImdsSupport", "Attribute")
            if self._get_param(key)
        ]
        if len(given) != 1:
            refuse("attribute-one", given=given)
        with LOCK:
            image = self._image()
            if given == ["LaunchPermission"]:
                self._change_permissions(image, self._get_param("LaunchPermission"))
            elif given == ["ImdsSupport"]:
                image.facts["ImdsSupport"] = self._get_param("ImdsSupport")["Value"]
                check_attributes(image.facts)
            elif given == ["Description"]:
                image.facts["Description"] = self._get_param("Description")["Value"]
            else:
                refuse("attribute-name", name=self._get_param("Attribute"))
        return ActionResult({})

    def _change_permissions(self, image: Image, change: dict[str, list[dict[str, str]]]) -> None:
        for item in change.get("Add", []):
            check_permission(item)
        for item in change.get("Add", []):
            if item not in image.permissions:
                image.permissions.append(item)
        image.permissions = [
            item for item in image.permissions if item not in change.get("Remove", [])
        ]

    def describe_image_attribute(self) -> ActionResult:
        """Reads one attribute."""
        name = self._get_param("Attribute")
        if name not in READABLE:
            refuse("attribute-name", name=name)
        with LOCK:
            image = self._image()
            if name == "launchPermission":
                return ActionResult(
                    {"ImageId": image.id, "LaunchPermissions": list(image.permissions)}
                )
            member = name[0].upper() + name[1:]
            return ActionResult({"ImageId": image.id, member: {"Value": image.facts.get(member)}})

    def enable_image_deprecation(self) -> ActionResult:
        """Deprecates; the seconds are dropped, as the reference says."""
        time = self._get_param("DeprecateAt")
        time = time.replace(tzinfo=time.tzinfo or UTC)
        now = datetime.now(UTC)
        if not now < time < now + timedelta(days=3653):
            refuse("deprecate-past", time=time)
        with LOCK:
            self._image().deprecation = time.strftime("%Y-%m-%dT%H:%M:00.000Z")
        return ActionResult({"Return": True})

    def disable_image_deprecation(self) -> ActionResult:
        """Takes the deprecation back."""
        with LOCK:
            self._image().deprecation = None
        return ActionResult({"Return": True})

    def create_tags(self) -> ActionResult:
        """Tags things that are there."""
        tags = {tag["Key"]: tag["Value"] for tag in self._get_param("Tags", [])}
        with LOCK:
            self._check_tagged()
            self.ec2_backend.create_tags(self._get_param("Resources", []), tags)
        return ActionResult({})

    def delete_tags(self) -> ActionResult:
        """Takes tags from things that are there."""
        tags = {tag["Key"]: tag.get("Value") for tag in self._get_param("Tags", [])}
        with LOCK:
            self._check_tagged()
            self.ec2_backend.delete_tags(self._get_param("Resources", []), tags)
        return ActionResult({})

    def _check_tagged(self) -> None:
        for name in self._get_param("Resources", []):
            if name.startswith("ami-") and name not in self.here.images:
                refuse("image-missing", image=name)
            if name.startswith("snap-") and name not in self.here.snapshots:
                refuse("snapshot-missing", snapshot=name)


def snapshot_of(image: Image) -> str:
    """The snapshot of an image's root volume."""
    root = image.facts["RootDeviceName"]
    mapped = {item["DeviceName"]: item["Ebs"] for item in image.facts["Mappings"]}
    return str(mapped[root]["SnapshotId"])


def check_attributes(facts: dict[str, Any]) -> None:
    """The rules on what an image says of itself."""
    boot = facts.get("BootMode")
    if boot is not None and boot not in ("legacy-bios", "uefi", "uefi-preferred"):
        refuse("image-boot-mode", boot_mode=boot)
    if facts["Architecture"] not in ARCHITECTURES:
        refuse("image-arch", architecture=facts["Architecture"])
    if facts.get("ImdsSupport") not in (None, "v2.0"):
        refuse("image-imds", value=facts["ImdsSupport"])
    if facts.get("TpmSupport") is not None and boot != "uefi":
        refuse("image-tpm", boot_mode=boot)
    if facts["EnaSupport"] and facts["VirtualizationType"] != "hvm":
        refuse("image-ena", virtualization=facts["VirtualizationType"])


def check_permission(item: dict[str, str]) -> None:
    """The rules on one launch permission."""
    if "Group" in item and STATE.settings.public_blocked:
        refuse("permission-public")
    if "UserId" in item and not re.fullmatch(r"\d{12}", item["UserId"]):
        refuse("permission-account", account=item["UserId"])
    for key in ("OrganizationArn", "OrganizationalUnitArn"):
        if key in item and not ARN.fullmatch(item[key]):
            refuse("permission-arn", arn=item[key])
