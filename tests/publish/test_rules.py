"""Each rule of the strict server refuses what it should, and what is right passes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError

from tests.rigs.ec2.rig import Rig
from tests.rigs.ec2.rules import RULES

BLOCK = b"k" * 524288
ORGANISATION = "arn:aws:organizations::123456789012:organization/o-example"


def checksum(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


class Caller:
    """A client with the steps that many cases share."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.ebs = rig.client("ebs")
        self.ec2 = rig.client("ec2")

    def start(self, **rest: Any) -> str:
        return str(self.ebs.start_snapshot(**({"VolumeSize": 1} | rest))["SnapshotId"])

    def put(self, snapshot: str, index: int = 0, data: bytes = BLOCK, **rest: Any) -> Any:
        usual = {"DataLength": len(data), "Checksum": checksum(data), "ChecksumAlgorithm": "SHA256"}
        return self.ebs.put_snapshot_block(
            SnapshotId=snapshot, BlockIndex=index, BlockData=data, **(usual | rest)
        )

    def pending(self, blocks: int = 1) -> str:
        snapshot = self.start()
        for index in range(blocks):
            self.put(snapshot, index)
        return snapshot

    def complete(self, snapshot: str, count: int = 1, **rest: Any) -> Any:
        return self.ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=count, **rest)

    def snapshot(self, size: int = 1) -> str:
        snapshot = self.start(VolumeSize=size)
        self.put(snapshot)
        self.complete(snapshot)
        for _ in range(2):
            found = self.ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]
        assert found["State"] == "completed"
        return snapshot

    def register(self, snapshot: str | None = None, **rest: Any) -> str:
        volume = {"SnapshotId": snapshot or self.snapshot()} | rest.pop("volume", {})
        usual: dict[str, Any] = {
            "Name": "one",
            "Architecture": "x86_64",
            "VirtualizationType": "hvm",
            "RootDeviceName": "/dev/xvda",
            "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": volume}],
        }
        return str(self.ec2.register_image(**(usual | rest))["ImageId"])

    def copy(self, image: str, **rest: Any) -> str:
        usual = {"SourceImageId": image, "SourceRegion": "eu-central-1", "Name": "two"}
        return str(self.rig.client("ec2", "us-east-1").copy_image(**(usual | rest))["ImageId"])

    def permit(self, image: str, **item: str) -> Any:
        return self.ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [item]})

    def deprecate(self, image: str, when: Any) -> Any:
        return self.ec2.enable_image_deprecation(ImageId=image, DeprecateAt=when)

    def bring(self, **rest: Any) -> Any:
        s3 = self.rig.client("s3", "us-east-1")
        s3.create_bucket(Bucket="images")
        s3.put_object(Bucket="images", Key="disk.raw", Body=b"disk")
        self.rig.set(settings={"roles": ["vmimport"]})
        place = {"S3Bucket": "images", "S3Key": rest.pop("key", "disk.raw")}
        container = {"Format": rest.pop("format", "RAW"), "UserBucket": place}
        return self.ec2.import_snapshot(DiskContainer=container, **rest)


def _twice_with_another_size(caller: Caller) -> None:
    caller.start(ClientToken="t")
    caller.start(ClientToken="t", VolumeSize=2)


def _copy_twice_differently(caller: Caller) -> None:
    image = caller.register()
    caller.copy(image, ClientToken="t")
    caller.copy(image, ClientToken="t", Name="three")


def _copy_of_a_copy_under_way(caller: Caller) -> None:
    copied = caller.copy(caller.register())
    caller.ec2.copy_image(SourceImageId=copied, SourceRegion="us-east-1", Name="three")


def _get_wrongly(caller: Caller, index: int) -> None:
    caller.ebs.get_snapshot_block(SnapshotId=caller.snapshot(), BlockIndex=index, BlockToken="AAAA")


def _deregister_twice(caller: Caller) -> None:
    image = caller.register()
    caller.ec2.deregister_image(ImageId=image)
    caller.ec2.deregister_image(ImageId=image)


def _two_attributes(caller: Caller) -> None:
    caller.ec2.modify_image_attribute(
        ImageId=caller.register(), Description={"Value": "x"}, ImdsSupport={"Value": "v2.0"}
    )


def _delete_used(caller: Caller) -> None:
    snapshot = caller.snapshot()
    caller.register(snapshot)
    caller.ec2.delete_snapshot(SnapshotId=snapshot)


def _public_while_blocked(caller: Caller) -> None:
    caller.rig.set(settings={"public_blocked": True})
    caller.permit(caller.register(), Group="all")


def _import_without_role(caller: Caller) -> None:
    caller.ec2.import_snapshot(DiskContainer={"Format": "RAW"})


NONE = "snap-0123456789abcdef0"
TASK_TAG = [{"ResourceType": "snapshot", "Tags": [{"Key": "a", "Value": "b"}]}]
VOLUME_TAG = [{"ResourceType": "volume", "Tags": [{"Key": "a", "Value": "b"}]}]
KMS = "arn:aws:kms:eu-central-1:123456789012:key/none"

CASES: dict[str, Callable[[Caller], Any]] = {
    "start-size": lambda c: c.start(VolumeSize=65537),
    "start-parent": lambda c: c.start(ParentSnapshotId=NONE, Encrypted=False),
    "start-key": lambda c: c.start(Encrypted=True, KmsKeyArn=KMS),
    "start-key-alone": lambda c: c.start(KmsKeyArn=KMS),
    "start-token": lambda c: c.start(ClientToken="t" * 65),
    "start-conflict": _twice_with_another_size,
    "put-missing": lambda c: c.put(NONE),
    "put-state": lambda c: c.put(c.snapshot()),
    "put-index": lambda c: c.put(c.start(), 2048),
    "put-length": lambda c: c.put(c.start(), data=BLOCK[1:]),
    "put-algorithm": lambda c: c.put(c.start(), ChecksumAlgorithm="SHA1"),
    "put-checksum": lambda c: c.put(c.start(), Checksum=checksum(b"")),
    "complete-missing": lambda c: c.complete(NONE),
    "complete-state": lambda c: c.complete(c.snapshot()),
    "complete-count": lambda c: c.complete(c.pending(), 2),
    "complete-method": lambda c: c.complete(c.pending(), Checksum=checksum(b"")),
    "complete-checksum": lambda c: c.complete(
        c.pending(),
        Checksum=checksum(BLOCK),
        ChecksumAlgorithm="SHA256",
        ChecksumAggregationMethod="LINEAR",
    ),
    "list-missing": lambda c: c.ebs.list_snapshot_blocks(SnapshotId=NONE),
    "list-pending": lambda c: c.ebs.list_snapshot_blocks(SnapshotId=c.pending()),
    "get-block": lambda c: _get_wrongly(c, 1),
    "get-token": lambda c: _get_wrongly(c, 0),
    "image-name": lambda c: c.register(Name="no!"),
    "image-duplicate": lambda c: (c.register(), c.register()),
    "image-boot-mode": lambda c: c.register(BootMode="bios"),
    "image-arch": lambda c: c.register(Architecture="x86-64"),
    "image-imds": lambda c: c.register(ImdsSupport="v1.0"),
    "image-tpm": lambda c: c.register(TpmSupport="v2.0", BootMode="legacy-bios"),
    "image-ena": lambda c: c.register(EnaSupport=True, VirtualizationType="paravirtual"),
    "image-root": lambda c: c.register(RootDeviceName="/dev/sda1"),
    "image-snapshot": lambda c: c.register(NONE),
    "image-pending": lambda c: c.register(c.pending()),
    "image-volume": lambda c: c.register(c.snapshot(2), volume={"VolumeSize": 1}),
    "image-tags": lambda c: c.register(TagSpecifications=VOLUME_TAG),
    "image-missing": lambda c: c.ec2.describe_images(ImageIds=["ami-0123456789abcdef0"]),
    "image-gone": _deregister_twice,
    "copy-source": lambda c: c.copy("ami-0123456789abcdef0"),
    "copy-state": _copy_of_a_copy_under_way,
    "copy-key": lambda c: c.copy(c.register(), Encrypted=True, KmsKeyId=KMS),
    "token-conflict": _copy_twice_differently,
    "permission-account": lambda c: c.permit(c.register(), UserId="1234"),
    "permission-arn": lambda c: c.permit(c.register(), OrganizationArn="o-example"),
    "permission-public": _public_while_blocked,
    "attribute-one": _two_attributes,
    "attribute-name": lambda c: c.ec2.describe_image_attribute(
        ImageId=c.register(), Attribute="colour"
    ),
    "deprecate-past": lambda c: c.deprecate(c.register(), datetime(2020, 1, 1, tzinfo=UTC)),
    "snapshot-missing": lambda c: c.ec2.delete_snapshot(SnapshotId=NONE),
    "snapshot-in-use": _delete_used,
    "import-role": _import_without_role,
    "import-bucket": lambda c: c.bring(key="no.raw"),
    "import-format": lambda c: c.bring(format="QCOW2"),
    "import-task": lambda c: c.ec2.describe_import_snapshot_tasks(ImportTaskIds=["import-snap-0"]),
    "import-tags": lambda c: c.bring(TagSpecifications=TASK_TAG),
    "import-key": lambda c: c.bring(Encrypted=True, KmsKeyId=KMS),
}


@pytest.mark.parametrize("name", CASES)
def test_a_rule_refuses(rig: Rig, name: str) -> None:
    with pytest.raises(ClientError) as caught:
        CASES[name](Caller(rig))
    error = caught.value.response["Error"]
    assert error["Code"] == RULES[name].code
    assert f"[{name}" in error["Message"]


def test_every_rule_has_its_case() -> None:
    assert set(CASES) == set(RULES)
    assert all(item.page.endswith(".html") for item in RULES.values())


def test_blocks_come_back_as_they_were_sent(rig: Rig) -> None:
    caller = Caller(rig)
    snapshot = caller.start(VolumeSize=1)
    other = b"z" * 524288
    caller.put(snapshot, 7, other)
    caller.put(snapshot, 2)
    joined = hashlib.sha256(BLOCK).digest() + hashlib.sha256(other).digest()
    whole = checksum(joined)
    caller.complete(
        snapshot, 2, Checksum=whole, ChecksumAlgorithm="SHA256", ChecksumAggregationMethod="LINEAR"
    )
    caller.ec2.describe_snapshots(SnapshotIds=[snapshot])
    listed = caller.ebs.list_snapshot_blocks(SnapshotId=snapshot)
    assert listed["BlockSize"] == 524288
    assert [block["BlockIndex"] for block in listed["Blocks"]] == [2, 7]
    read = caller.ebs.get_snapshot_block(
        SnapshotId=snapshot, BlockIndex=7, BlockToken=listed["Blocks"][1]["BlockToken"]
    )
    assert read["BlockData"].read() == other
    assert read["Checksum"] == checksum(other)


def test_the_same_client_token_makes_one_snapshot(rig: Rig) -> None:
    caller = Caller(rig)
    assert caller.start(ClientToken="t") == caller.start(ClientToken="t")
    assert len(caller.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]) == 1


def test_defaults_and_attributes_are_read_back(rig: Rig) -> None:
    caller = Caller(rig)
    plain = caller.ec2.register_image(
        Name="plain",
        RootDeviceName="/dev/xvda",
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": caller.snapshot()}}],
    )["ImageId"]
    found = caller.ec2.describe_images(ImageIds=[plain])["Images"][0]
    assert (found["Architecture"], found["VirtualizationType"]) == ("i386", "paravirtual")
    assert not found["EnaSupport"]
    assert "BootMode" not in found
    full = caller.register(
        BootMode="uefi", TpmSupport="v2.0", ImdsSupport="v2.0", EnaSupport=True, UefiData="AMZNUEFI"
    )
    found = caller.ec2.describe_images(ImageIds=[full])["Images"][0]
    assert [found[key] for key in ("BootMode", "TpmSupport", "ImdsSupport", "EnaSupport")] == [
        "uefi",
        "v2.0",
        "v2.0",
        True,
    ]
    data = caller.ec2.describe_image_attribute(ImageId=full, Attribute="uefiData")
    assert data["UefiData"]["Value"] == "AMZNUEFI"


def test_a_copy_has_the_blocks_and_attributes_and_no_permissions(rig: Rig) -> None:
    caller = Caller(rig)
    image = caller.register(BootMode="legacy-bios", EnaSupport=True)
    caller.permit(image, UserId="210987654321")
    caller.permit(image, OrganizationArn=ORGANISATION)
    copied = caller.copy(image)
    there = rig.client("ec2", "us-east-1")
    states = [there.describe_images(ImageIds=[copied])["Images"][0]["State"] for _ in range(2)]
    assert states == ["pending", "available"]
    found = there.describe_images(ImageIds=[copied])["Images"][0]
    assert found["BootMode"] == "legacy-bios"
    assert found["EnaSupport"]
    permitted = there.describe_image_attribute(ImageId=copied, Attribute="launchPermission")
    assert permitted["LaunchPermissions"] == []
    snapshot = found["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    blocks = rig.client("ebs", "us-east-1").list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]
    assert [block["BlockIndex"] for block in blocks] == [0]


def test_deprecation_is_kept_to_the_minute(rig: Rig) -> None:
    caller = Caller(rig)
    image = caller.register()
    when = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    caller.deprecate(image, when)
    kept = caller.ec2.describe_images(ImageIds=[image])["Images"][0]["DeprecationTime"]
    assert kept == when.strftime("%Y-%m-%dT%H:%M:00.000Z")
    caller.ec2.disable_image_deprecation(ImageId=image)
    assert "DeprecationTime" not in caller.ec2.describe_images(ImageIds=[image])["Images"][0]


def test_an_import_goes_through_its_states(rig: Rig) -> None:
    caller = Caller(rig)
    task = caller.bring()["ImportTaskId"]
    seen = []
    for _ in range(4):
        told = caller.ec2.describe_import_snapshot_tasks(ImportTaskIds=[task])
        seen.append(told["ImportSnapshotTasks"][0]["SnapshotTaskDetail"])
    assert [item["Status"] for item in seen] == ["active", "active", "active", "completed"]
    blocks = caller.ebs.list_snapshot_blocks(SnapshotId=seen[-1]["SnapshotId"])["Blocks"]
    assert len(blocks) == 1


@pytest.mark.parametrize("credentials", [{"key": "AKIANOBODY"}, {"secret": "wrong"}])
@pytest.mark.parametrize("service", ["ec2", "ebs"])
def test_wrong_credentials_are_refused(rig: Rig, service: str, credentials: dict[str, str]) -> None:
    client = rig.client(service, **credentials)
    with pytest.raises(ClientError) as caught:
        client.start_snapshot(VolumeSize=1) if service == "ebs" else client.describe_images()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (401, 403)


def test_a_region_that_is_not_there_is_refused(rig: Rig) -> None:
    with pytest.raises(ClientError, match="valid region"):
        rig.client("ec2", "mars-north-1").describe_images()


def test_faults_come_when_they_were_asked_for(rig: Rig) -> None:
    caller = Caller(rig)
    snapshot = caller.start()
    rig.fault("PutSnapshotBlock", "throttle", after=1)
    caller.put(snapshot, 0)
    with pytest.raises(ClientError, match="RequestThrottledException"):
        caller.put(snapshot, 1)
    rig.fault("PutSnapshotBlock", "server-error")
    with pytest.raises(ClientError, match="InternalServerException"):
        caller.put(snapshot, 1)
    rig.fault("PutSnapshotBlock", "drop")
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        caller.put(snapshot, 1)
    rig.fault("PutSnapshotBlock", "drop-answer")
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        caller.put(snapshot, 1)
    caller.complete(snapshot, 2)
    assert rig.set()["counts"]["PutSnapshotBlock"] == 5
