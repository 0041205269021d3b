"""The module ec2_image against the strict server: publishing, again, changes, removal."""

from __future__ import annotations

import hashlib
import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import _ebs

from tests.publish.modules import BLOCK, Publisher, blocks_of, make_disk
from tests.rigs.ec2.rig import KEY, SECRET, Rig

MAIN, FAR, WEST = "eu-central-1", "us-east-1", "eu-west-1"
ORGANISATION = "arn:aws:organizations::123456789012:organization/o-example"


@pytest.fixture
def publisher(rig: Rig, tmp_path: Path) -> Publisher:
    return Publisher(rig.url, tmp_path / "a store")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Blocks 0, 3 and the last; block 5 is written, but with zeros."""
    data = {0: b"boot", 3: b"\x01" * BLOCK, 5: bytes(BLOCK), 127: b"\0" * 1000 + b"end"}
    return make_disk(tmp_path / "disk.raw", data)


def ami(rig: Rig, region: str = MAIN) -> dict[str, Any]:
    images = rig.client("ec2", region).describe_images(Owners=["self"])["Images"]
    assert len(images) == 1
    return images[0]


def snapshots(rig: Rig, region: str = MAIN) -> list[dict[str, Any]]:
    return rig.client("ec2", region).describe_snapshots(OwnerIds=["self"])["Snapshots"]


def test_publish_makes_an_image_of_exactly_these_blocks(rig, publisher, disk):
    made = publisher.image(disk, description="Redis on Kiln", tags={"team": "data"})
    assert made["changed"], made
    found = ami(rig)
    assert found["ImageId"] == made["image_id"]
    assert found["Name"] == f"redis-{made['digest'][:12]}"
    assert {
        "Architecture": "x86_64",
        "BootMode": "legacy-bios",
        "EnaSupport": True,
        "ImdsSupport": "v2.0",
        "VirtualizationType": "hvm",
        "RootDeviceName": "/dev/xvda",
        "Description": "Redis on Kiln",
        "State": "available",
    }.items() <= found.items()
    volume = found["BlockDeviceMappings"][0]["Ebs"]
    assert (volume["VolumeType"], volume["VolumeSize"]) == ("gp3", 1)
    tags = {tag["Key"]: tag["Value"] for tag in found["Tags"]}
    assert tags == {"kiln:name": "redis", "kiln:digest": made["digest"], "team": "data"}
    held = blocks_of(rig, volume["SnapshotId"], MAIN)
    raw = disk.read_bytes()
    assert sorted(held) == [0, 3, 127]
    assert all(held[index] == raw[index * BLOCK : (index + 1) * BLOCK] for index in held)
    assert made["data_bytes"] == 3 * BLOCK
    assert rig.set()["counts"]["PutSnapshotBlock"] == 3


def test_check_mode_tells_the_same_and_changes_nothing(rig, publisher, disk):
    options = {"regions": [FAR], "description": "one", "share": {"accounts": ["210987654321"]}}
    told = publisher.image(disk, check=True, **options)
    assert told["changed"]
    assert snapshots(rig) == []
    assert not publisher.store.exists()
    done = publisher.image(disk, **options)
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    again = publisher.image(disk, check=True, **options)
    assert not again["changed"]
    assert again["diff"]["before"] == again["diff"]["after"] == done["diff"]["after"]


def test_a_second_publish_sends_nothing(rig, publisher, disk):
    first = publisher.image(disk, regions=[FAR, WEST])
    rig.set(recount=True)
    second = publisher.image(disk, regions=[FAR, WEST])
    assert not second["changed"]
    assert second["images"] == first["images"]
    assert set(rig.set()["counts"]) == {
        "DescribeRegions",
        "DescribeImages",
        "DescribeSnapshots",
        "DescribeImageAttribute",
    }


def test_other_regions_get_copies_with_all_attributes(rig, publisher, disk):
    options = {
        "regions": [FAR, WEST],
        "tags": {"team": "data"},
        "share": {
            "accounts": ["210987654321"],
            "organizations": [ORGANISATION],
            "public": True,
        },
        "deprecate_at": "2030-06-30T12:00:59Z",
        "description": "one",
    }
    made = publisher.image(disk, **options)
    assert made["changed"], made
    assert [item["region"] for item in made["images"]] == [MAIN, FAR, WEST]
    for region in (MAIN, FAR, WEST):
        found = ami(rig, region)
        assert found["DeprecationTime"] == "2030-06-30T12:00:00.000Z"
        assert found["Description"] == "one"
        assert found["Public"]
        told = rig.client("ec2", region).describe_image_attribute(
            ImageId=found["ImageId"], Attribute="launchPermission"
        )
        assert len(told["LaunchPermissions"]) == 3
        assert {"Key": "team", "Value": "data"} in snapshots(rig, region)[0]["Tags"]
    assert rig.set()["counts"]["StartSnapshot"] == 1
    assert not publisher.image(disk, **options)["changed"]


def test_what_can_be_changed_is_changed_and_only_that(rig, publisher, disk):
    publisher.image(disk, tags={"a": "1", "b": "2"}, share={"accounts": ["210987654321"]})
    rig.set(recount=True)
    options = {
        "description": "new",
        "tags": {"b": "3"},
        "share": {"accounts": ["109876543210"]},
        "deprecate_at": "2030-01-01",
    }
    changed = publisher.image(disk, **options)
    assert changed["steps"] == [
        f"{verb} {MAIN}" for verb in ("description", "tags", "share", "deprecate_at")
    ]
    assert not publisher.image(disk, check=True, **options)["changed"]
    assert rig.set()["counts"].get("StartSnapshot") is None
    found = ami(rig)
    assert found["Description"] == "new"
    assert {"Key": "b", "Value": "3"} in found["Tags"]
    assert "a" not in [tag["Key"] for tag in found["Tags"]]
    kept = publisher.image(disk, tags={"c": "4"}, purge_tags=False, deprecate_at="")
    assert kept["changed"]
    found = ami(rig)
    assert "DeprecationTime" not in found
    assert {tag["Key"] for tag in found["Tags"]} == {"b", "c", "kiln:name", "kiln:digest"}
    assert not publisher.image(disk)["changed"]


def test_other_content_is_another_image(rig, publisher, disk, tmp_path):
    one = publisher.image(disk)
    two = publisher.image(make_disk(tmp_path / "two.raw", {0: b"other"}))
    assert one["digest"] != two["digest"]
    assert [item["image_id"] for item in publisher.info(name="redis")] == [
        two["image_id"],
        one["image_id"],
    ]
    assert publisher.info(digest=one["digest"])[0]["image_id"] == one["image_id"]
    assert publisher.info(name="memcached") == []


def test_the_digest_does_not_depend_on_holes(publisher, disk, tmp_path):
    full = tmp_path / "full.raw"
    full.write_bytes(disk.read_bytes())
    one = publisher.image(disk, check=True)["digest"]
    assert publisher.image(full, check=True)["digest"] == one
    longer = make_disk(tmp_path / "longer.raw", {0: b"boot"}, 65 << 20)
    assert publisher.image(longer, check=True)["digest"] != one


def test_absent_removes_image_and_snapshot_everywhere(rig, publisher, disk):
    publisher.image(disk, regions=[FAR])
    told = publisher.image(disk, regions=[FAR], state="absent", check=True)
    assert told["changed"]
    assert ami(rig, FAR)
    done = publisher.image(disk, regions=[FAR], state="absent")
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    for region in (MAIN, FAR):
        assert snapshots(rig, region) == []
        assert rig.client("ec2", region).describe_images(Owners=["self"])["Images"] == []
    digest = done["digest"]
    assert not publisher.image(None, digest=digest, regions=[FAR], state="absent")["changed"]
    again = publisher.image(disk, regions=[FAR])
    assert again["changed"], again
    assert ami(rig, FAR)


def test_uefi_with_tpm_and_variables(rig, publisher, disk):
    made = publisher.image(disk, boot_mode="uefi", tpm=True, uefi_data="AMZNUEFI", imds="optional")
    assert made["changed"], made
    found = ami(rig)
    assert (found["BootMode"], found["TpmSupport"]) == ("uefi", "v2.0")
    assert "ImdsSupport" not in found


def test_encryption_with_a_key_for_each_region(rig, publisher, disk):
    keys = {
        region: f"arn:aws:kms:{region}:123456789012:key/00000000-0000-0000-0000-00000000000{number}"
        for number, region in enumerate((MAIN, FAR))
    }
    rig.set(settings={"kms_keys": list(keys.values())})
    options = {"regions": [FAR], "kms_keys": keys}
    made = publisher.image(disk, **options)
    assert made["changed"], made
    for region in (MAIN, FAR):
        assert snapshots(rig, region)[0]["KmsKeyId"] == keys[region]
    assert not publisher.image(disk, **options)["changed"]


def test_an_account_that_encrypts_by_default(rig, publisher, disk):
    rig.set(settings={"encrypt_by_default": True})
    assert publisher.image(disk)["changed"]
    assert snapshots(rig)[0]["Encrypted"]
    again = publisher.image(disk)
    assert not again.get("failed"), again
    assert not again["changed"]


def test_a_snapshot_that_is_not_encrypted_as_asked_is_not_used(rig, publisher, disk):
    made = publisher.image(disk)
    rig.client("ec2").deregister_image(ImageId=made["image_id"])
    again = publisher.image(disk, encrypted=True)
    assert again["changed"], again
    assert ami(rig)["BlockDeviceMappings"][0]["Ebs"]["Encrypted"]


def test_a_copy_that_failed_is_made_anew(rig, publisher, disk):
    rig.set(settings={"copy_ends": "failed"})
    failed = publisher.image(disk, regions=[FAR])
    assert "has ended in the state 'failed'" in failed["msg"]
    assert publisher.info(region=FAR) == []
    rig.set(settings={"copy_ends": "available"})
    done = publisher.image(disk, regions=[FAR])
    assert done["changed"], done
    assert ami(rig, FAR)["State"] == "available"
    assert not publisher.image(disk, regions=[FAR])["changed"]


QUICK = [
    ("PutSnapshotBlock", "throttle"),
    ("PutSnapshotBlock", "drop"),
    ("RegisterImage", "drop-answer"),
]
OPERATIONS = (
    "StartSnapshot",
    "PutSnapshotBlock",
    "CompleteSnapshot",
    "RegisterImage",
    "CopyImage",
)
KINDS = ("throttle", "server-error", "drop", "drop-answer")


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        pytest.param(*pair, marks=[] if pair in QUICK else pytest.mark.long)
        for pair in itertools.product(OPERATIONS, KINDS)
    ],
)
def test_what_passes_is_tried_again(rig, publisher, disk, operation, kind):
    rig.fault(operation, kind, times=2 if kind in ("throttle", "server-error") else 1)
    made = publisher.image(disk, regions=[FAR])
    assert made["changed"], made
    assert len(snapshots(rig)) == 1
    assert len(snapshots(rig, FAR)) == 1
    assert ami(rig, FAR)["State"] == "available"
    held = blocks_of(rig, ami(rig)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"], MAIN)
    assert sorted(held) == [0, 3, 127]


def test_a_snapshot_that_is_not_yet_known_everywhere(rig, publisher, disk):
    rig.set(settings={"late": 2})
    made = publisher.image(disk)
    assert made["changed"], made


def test_an_interrupted_upload_goes_on_where_it_stopped(rig, publisher, tmp_path):
    big = make_disk(tmp_path / "big.raw", {index: b"%d" % index for index in range(40)})
    rig.fault("PutSnapshotBlock", "throttle", after=25, times=10_000)
    failed = publisher.image(big, timeout=3, parallel=4)
    assert failed["failed"]
    assert publisher.info() == []
    rig.set(recount=True)
    resumed = publisher.image(big, check=True, timeout=10)
    assert "resume" in " ".join(resumed["steps"])
    rig.set(settings={})
    _clear_faults(rig)
    rig.set(recount=True)
    done = publisher.image(big)
    assert done["changed"], done
    assert rig.set()["counts"]["PutSnapshotBlock"] == 15
    assert len(snapshots(rig)) == 1
    assert len(blocks_of(rig, snapshots(rig)[0]["SnapshotId"], MAIN)) == 40
    assert list((publisher.store / "publish/ec2").iterdir()) == []


def _clear_faults(rig: Rig) -> None:
    rig.set(clear=True)


def test_an_upload_begun_elsewhere_goes_on_without_its_journal(rig, publisher, tmp_path):
    big = make_disk(tmp_path / "big.raw", {index: b"%d" % index for index in range(20)})
    rig.fault("PutSnapshotBlock", "throttle", after=10, times=10_000)
    publisher.image(big, timeout=2, parallel=4)
    _clear_faults(rig)
    elsewhere = Publisher(rig.url, tmp_path / "another store")
    assert elsewhere.image(big)["changed"]
    assert len(snapshots(rig)) == 1


def test_an_upload_that_has_expired_is_made_anew(rig, publisher, tmp_path):
    big = make_disk(tmp_path / "big.raw", {index: b"%d" % index for index in range(20)})
    rig.fault("PutSnapshotBlock", "throttle", after=10, times=10_000)
    publisher.image(big, timeout=2, parallel=4)
    _clear_faults(rig)
    rig.set(expire=True)
    done = publisher.image(big)
    assert done["changed"], done
    assert [item["State"] for item in snapshots(rig)] == ["completed"]


def test_import_snapshot_by_s3(rig, publisher, disk):
    rig.set(settings={"roles": ["vmimport"]})
    rig.client("s3", FAR).create_bucket(Bucket="images")
    options = {"method": "import_snapshot", "bucket": "images"}
    made = publisher.image(disk, **options)
    assert made["changed"], made
    held = blocks_of(rig, ami(rig)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"], MAIN)
    raw = disk.read_bytes()
    assert {index: raw[index * BLOCK : (index + 1) * BLOCK] for index in (0, 3, 127)} == held
    assert "Contents" not in rig.client("s3", FAR).list_objects_v2(Bucket="images")
    assert not publisher.image(disk, **options)["changed"]


def test_progress_is_written_for_who_asks(rig, publisher, disk, tmp_path, monkeypatch):
    folder = tmp_path / "progress"
    folder.mkdir()
    monkeypatch.setenv("KILN_PROGRESS", str(folder))
    publisher.image(disk)
    lines = [json.loads(line) for line in next(folder.iterdir()).read_text().splitlines()]
    assert lines[0]["done"] == 0
    assert lines[-1] == {
        "label": f"disk.raw to {MAIN}",
        "total": 3 * BLOCK,
        "done": 3 * BLOCK,
        "finished": True,
    }


# --- bad input: each ends in a sentence, and leaves nothing that looks published


def refused(publisher: Publisher, path: Path | None, says: str, **options: Any) -> str:
    before = publisher.info()
    result = publisher.image(path, **options)
    assert result.get("failed"), result
    assert says in result["msg"], result["msg"]
    assert publisher.info() == before
    return str(result["msg"])


@pytest.mark.parametrize("wrong", [{"secret_key": "wrong"}, {"access_key": "AKIANOBODY"}])
def test_wrong_credentials(publisher, disk, wrong):
    options = {"access_key": KEY, "secret_key": SECRET} | wrong
    said = refused(publisher, disk, "AWS has refused the credentials in eu-central-1", **options)
    assert options["secret_key"] not in said


def test_no_credentials(publisher, disk, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    result = publisher.image(disk)
    assert "There are no AWS credentials" in result["msg"]


def test_no_such_region(publisher, disk):
    refused(publisher, disk, "There is no region mars-north-1", region="mars-north-1")
    refused(publisher, disk, "There is no region mars-north-1", regions=["mars-north-1"])


def test_no_region_at_all(publisher, disk, monkeypatch):
    monkeypatch.delenv("AWS_REGION")
    assert "Which region?" in publisher.image(disk)["msg"]


def test_no_such_bucket(publisher, disk):
    refused(
        publisher, disk, "There is no bucket nowhere", method="import_snapshot", bucket="nowhere"
    )


def test_no_vmimport_role(rig, publisher, disk):
    rig.client("s3", FAR).create_bucket(Bucket="images")
    said = refused(
        publisher, disk, "IAM role 'vmimport'", method="import_snapshot", bucket="images"
    )
    assert "vmie.amazonaws.com" in said
    assert "Contents" not in rig.client("s3", FAR).list_objects_v2(Bucket="images")


def test_no_such_kms_key(rig, publisher, disk):
    key = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"
    refused(publisher, disk, f"The KMS key {key} cannot be used", kms_keys={MAIN: key})
    assert snapshots(rig) == []


def test_a_name_with_another_digest(publisher, disk, tmp_path):
    publisher.image(disk, ami_name="redis-7")
    other = make_disk(tmp_path / "other.raw", {0: b"other"})
    refused(publisher, other, "the name 'redis-7' belongs to ami-", ami_name="redis-7")
    refused(publisher, other, "the name 'redis-7'", ami_name="redis-7", check=True)


def test_the_same_content_registered_in_another_way(publisher, disk):
    publisher.image(disk)
    refused(publisher, disk, "boot_mode 'legacy-bios', not 'uefi'", boot_mode="uefi")


def test_an_image_that_changes_under_way(rig, publisher, tmp_path, monkeypatch):
    disk = make_disk(tmp_path / "disk.raw", {index: b"%d" % index for index in range(8)})
    start = _ebs.Upload.start

    def start_and_write(self, *rest):
        with disk.open("r+b") as stream:
            stream.seek(6 * BLOCK)
            stream.write(b"another")
        return start(self, *rest)

    monkeypatch.setattr(_ebs.Upload, "start", start_and_write)
    refused(publisher, disk, "has changed while it was being published")
    assert snapshots(rig) == []


def test_an_image_that_is_not_what_was_promised(publisher, disk):
    refused(publisher, disk, "it was changed, or it is another image", digest="0" * 64)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"QFI\xfb" + bytes(508), "is a qcow2 image"),
        (b"", "0 bytes"),
        (b"x" * 700, "not a whole number of 512-byte sectors"),
    ],
)
def test_a_file_that_is_no_raw_disk(publisher, tmp_path, content, says):
    path = tmp_path / "bad"
    path.write_bytes(content)
    refused(publisher, path, says)


def test_no_file(publisher, tmp_path):
    refused(publisher, tmp_path / "none.raw", "none.raw cannot be read")


def test_public_sharing_while_it_is_blocked(rig, publisher, disk):
    rig.set(settings={"public_blocked": True})
    result = publisher.image(disk, share={"public": True})
    assert "blocks public sharing" in result["msg"]


def test_options_that_ec2_cannot_have(publisher, disk):
    refused(publisher, disk, "A TPM needs boot_mode uefi", tpm=True)
    refused(publisher, disk, "cannot be given", tags={"kiln:digest": "x"})
    refused(publisher, disk, "write a time", deprecate_at="soon")
    refused(publisher, make_disk(disk, {0: b"x"}, 2 << 30), "needs 2", volume_size=1)


def test_the_deadline_holds_for_all(rig, publisher, disk):
    rig.fault("PutSnapshotBlock", "throttle", times=10_000)
    begin = datetime.now(UTC)
    refused(publisher, disk, "The time limit of 2 seconds was over", timeout=2)
    assert datetime.now(UTC) - begin < timedelta(seconds=10)


def test_the_secret_is_in_nothing_that_was_said(rig, publisher, disk):
    publisher.image(disk, access_key=KEY, secret_key=SECRET, debug_botocore_endpoint_logs=True)
    publisher.image(disk, access_key=KEY, secret_key=SECRET + "x")
    assert publisher.said
    without = [
        text.replace("rig-secretx", "").replace("VALUE_SPECIFIED", "") for text in publisher.said
    ]
    assert not any(SECRET in text for text in without)
    stored = [path for path in publisher.store.rglob("*") if path.is_file()]
    assert not any(SECRET in path.read_text() for path in stored)


def test_the_digest_is_what_the_documentation_says(publisher, disk):
    state = hashlib.sha256(b"kiln-blocks-1\0" + (64 << 20).to_bytes(8, "big"))
    raw = disk.read_bytes()
    for index in (0, 3, 127):
        block = raw[index * BLOCK : (index + 1) * BLOCK]
        state.update(index.to_bytes(8, "big") + hashlib.sha256(block).digest())
    assert publisher.image(disk, check=True)["digest"] == state.hexdigest()
