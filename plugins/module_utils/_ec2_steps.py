# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Takes the steps that _ec2_images has planned. Each step can be taken again after a failure."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils import _ec2_import
from ansible_collections.kiln.unikernel.plugins.module_utils._blocks import Scan
from ansible_collections.kiln.unikernel.plugins.module_utils._ebs import Journal, Upload
from ansible_collections.kiln.unikernel.plugins.module_utils._ec2 import (
    AwsError,
    Cloud,
    tag_dict,
    tag_list,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._ec2_images import (
    DIGEST_TAG,
    ROOT_DEVICE,
    Found,
    Wanted,
    images_of,
    own_tags,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Plan,
    PublishError,
    Step,
    carry_out,
)


class Remover:
    """Takes images and snapshots away."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def verbs(self) -> dict[str, Callable[[Step], None]]:
        """What it can do."""
        return {"deregister": self.deregister, "discard": self.discard}

    def run(self, plan: Plan) -> None:
        """Takes all steps."""
        carry_out(plan, self.verbs())

    def deregister(self, step: Step) -> None:
        """First the image, then its snapshot: never an image without one."""
        self.gone("deregister_image", step.where, ImageId=step.facts["image"])
        if step.facts["snapshot"]:
            self.gone("delete_snapshot", step.where, SnapshotId=step.facts["snapshot"])

    def discard(self, step: Step) -> None:
        """Deletes a snapshot that no image has."""
        self.gone("delete_snapshot", step.where, SnapshotId=step.detail)

    def gone(self, operation: str, region: str, **parameters: Any) -> None:
        """Removes; what is gone already is fine."""
        try:
            self.cloud.call("ec2", region, operation, **parameters)
        except AwsError as problem:
            if not problem.code.endswith((".NotFound", ".Unavailable")):
                raise


class Publisher(Remover):
    """Makes images and changes them."""

    def __init__(
        self,
        cloud: Cloud,
        wanted: Wanted,
        found: dict[str, Found],
        image: Scan,
        journals: Path,
        parallel: int = 16,
        bucket: _ec2_import.Bucket | None = None,
    ) -> None:
        super().__init__(cloud)
        self._wanted = wanted
        self._found = found
        self._image = image
        self._journals = journals
        self._parallel = parallel
        self._bucket = bucket
        self._names = {
            region: item.image["ImageId"] for region, item in found.items() if item.image
        }

    def verbs(self) -> dict[str, Callable[[Step], None]]:
        """What it can do."""
        return super().verbs() | {
            "upload": self.upload,
            "import": self.bring_in,
            "register": self.register,
            "copy": self.copy,
            "await": lambda step: self._wait_available(step.where, step.detail),
            "description": self.set_description,
            "tags": self.set_tags,
            "share": self.set_share,
            "deprecate_at": self.set_deprecation,
        }

    def all_tags(self) -> dict[str, str]:
        """The tags of what is made."""
        return self._wanted.identity() | (self._wanted.tags or {})

    def upload(self, step: Step) -> None:
        """Sends the blocks."""
        wanted = self._wanted
        journal = Journal(self._journals / f"{step.where}-{wanted.name}-{wanted.digest}.journal")
        work = Upload(self.cloud, step.where, self._image, journal, self._parallel)
        snapshot = self._found[step.where].snapshot("pending") or work.begun()
        if snapshot is None:
            key = wanted.kms_keys.get(step.where)
            snapshot = work.start(wanted.ami_name, self.all_tags(), key, wanted.fixed["encrypted"])
        work.send(snapshot)
        work.wait(snapshot)
        self._note_snapshot(step.where, snapshot)

    def bring_in(self, step: Step) -> None:
        """Sends the image by way of S3."""
        if self._bucket is None:
            raise PublishError("The method import_snapshot needs a `bucket`.")
        snapshot = _ec2_import.bring_in(
            self.cloud,
            step.where,
            self._image,
            self._bucket,
            self._wanted.ami_name,
            self.all_tags(),
            self._wanted.kms_keys.get(step.where),
            self._wanted.fixed["encrypted"],
        )
        self._note_snapshot(step.where, snapshot)

    def _note_snapshot(self, region: str, snapshot: str) -> None:
        self._found[region].snapshots.append({"SnapshotId": snapshot, "State": "completed"})

    def register(self, step: Step) -> None:
        """Registers the image on its completed snapshot."""
        fixed = self._wanted.fixed
        snapshot = self._found[step.where].snapshot("completed")
        volume = {
            "SnapshotId": snapshot,
            "VolumeSize": fixed["size"],
            "VolumeType": fixed["volume_type"],
            "DeleteOnTermination": True,
        }
        try:
            name = self.cloud.call(
                "ec2",
                step.where,
                "register_image",
                Name=self._wanted.ami_name,
                Description=self._wanted.description or None,
                Architecture=fixed["architecture"],
                VirtualizationType="hvm",
                RootDeviceName=ROOT_DEVICE,
                BlockDeviceMappings=[{"DeviceName": ROOT_DEVICE, "Ebs": volume}],
                EnaSupport=fixed["ena"],
                BootMode=fixed["boot_mode"],
                ImdsSupport=fixed["imds"] or None,
                TpmSupport=fixed["tpm"] or None,
                UefiData=self._wanted.uefi_data,
                TagSpecifications=[{"ResourceType": "image", "Tags": tag_list(self.all_tags())}],
            )["ImageId"]
        except AwsError as problem:
            # There is no client token here: a first try may have worked though its answer was lost.
            if problem.code != "InvalidAMIName.Duplicate":
                raise
            made = images_of(self.cloud, step.where, self._wanted.identity())
            if not made:
                raise
            name = made[0]["ImageId"]
        self._wait_available(step.where, name)

    def copy(self, step: Step) -> None:
        """Copies the main region's image."""
        main = self.cloud.region
        key = self._wanted.kms_keys.get(step.where)
        tags = tag_list(self.all_tags())
        parameters: dict[str, Any] = {
            "SourceRegion": main,
            "SourceImageId": self._names[main],
            "Name": self._wanted.ami_name,
            "Description": self._wanted.description or None,
            "Encrypted": True if self._wanted.fixed["encrypted"] else None,
            "KmsKeyId": key,
            "TagSpecifications": [
                {"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")
            ],
        }
        # Fresh in each run: a token of the past could stand for a copy that is gone.
        made = self.cloud.call(
            "ec2",
            step.where,
            "copy_image",
            ClientToken=uuid.uuid4().hex,
            **parameters,
        )
        self._wait_available(step.where, made["ImageId"])

    def _wait_available(self, region: str, name: str) -> None:
        def ready() -> str | None:
            told = self.cloud.call("ec2", region, "describe_images", ImageIds=[name])
            state = str(told["Images"][0]["State"]) if told["Images"] else "pending"
            return None if state == "pending" else state

        state = self.cloud.patience.until(ready, f"waiting for {name} in {region}")
        if state != "available":
            raise PublishError(
                f"{name} in {region} has ended in the state '{state}'; run this again to make "
                "it anew."
            )
        self._names[region] = name

    # --- what can be changed afterwards

    def _modify(self, step: Step, **change: Any) -> None:
        self.cloud.call(
            "ec2", step.where, "modify_image_attribute", ImageId=self._names[step.where], **change
        )

    def set_description(self, step: Step) -> None:
        """Changes the description."""
        self._modify(step, Description={"Value": step.facts["to"]})

    def set_tags(self, step: Step) -> None:
        """Changes the user's tags."""
        name = [self._names[step.where]]
        old = [{"Key": key} for key in sorted(set(step.facts["from"]) - set(step.facts["to"]))]
        if step.facts["to"]:
            self.cloud.call(
                "ec2", step.where, "create_tags", Resources=name, Tags=tag_list(step.facts["to"])
            )
        if old:
            self.cloud.call("ec2", step.where, "delete_tags", Resources=name, Tags=old)

    def set_share(self, step: Step) -> None:
        """Changes who may launch it, by what is new and what is no longer wanted."""
        add = [item for item in step.facts["to"] if item not in step.facts["from"]]
        remove = [item for item in step.facts["from"] if item not in step.facts["to"]]
        change = {"Add": add} if add else {}
        try:
            self._modify(step, LaunchPermission=change | ({"Remove": remove} if remove else {}))
        except AwsError as problem:
            if problem.code != "OperationNotPermitted":
                raise
            raise PublishError(
                f"The account blocks public sharing of images in {step.where}; lift that in the "
                "EC2 settings of the region, or leave `share.public` out",
                problem.cause,
            ) from problem

    def set_deprecation(self, step: Step) -> None:
        """Deprecates, or takes that back."""
        name = self._names[step.where]
        if step.facts["to"]:
            self.cloud.call(
                "ec2",
                step.where,
                "enable_image_deprecation",
                ImageId=name,
                DeprecateAt=step.facts["to"],
            )
        else:
            self.cloud.call("ec2", step.where, "disable_image_deprecation", ImageId=name)


def listed(cloud: Cloud, region: str, tags: dict[str, str]) -> list[dict[str, Any]]:
    """Images that are there for use, for a reader; newest first."""
    ready = [item for item in images_of(cloud, region, tags) if item["State"] == "available"]
    ready.sort(key=lambda item: (item["CreationDate"], item["ImageId"]), reverse=True)
    return [
        {
            "region": region,
            "image_id": item["ImageId"],
            "ami_name": item["Name"],
            "digest": tag_dict(item.get("Tags"))[DIGEST_TAG],
            "created": item["CreationDate"],
            "description": item.get("Description", ""),
            "deprecate_at": item.get("DeprecationTime", ""),
            "tags": own_tags(tag_dict(item.get("Tags"))),
        }
        for item in ready
        if DIGEST_TAG in tag_dict(item.get("Tags"))
    ]
