# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The other way to a snapshot, where the direct API is not allowed: S3 and ImportSnapshot.

The image goes up whole, holes included, in parts; the object is deleted when the snapshot is there,
and an upload that fails leaves no parts behind.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._blocks import Scan
from ansible_collections.kiln.unikernel.plugins.module_utils._ec2 import (
    AwsError,
    Cloud,
    tag_list,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Progress,
    PublishError,
    at_once,
)

PART = 16 << 20
PARTS_AT_ONCE = 4


@dataclass(frozen=True)
class Bucket:
    """Where the image waits, and the role that EC2 reads it with."""

    name: str
    prefix: str = "kiln/"
    role: str = "vmimport"


def check_bucket(cloud: Cloud, region: str, bucket: Bucket) -> None:
    """Fails when the bucket is not there or not ours."""
    try:
        cloud.call("s3", region, "head_bucket", Bucket=bucket.name)
    except AwsError as problem:
        if problem.code in ("404", "NoSuchBucket"):
            raise PublishError(
                f"There is no bucket {bucket.name}; make one in {region}, or name another in "
                "`bucket`",
                problem.cause,
            ) from problem
        if problem.code in ("403", "AccessDenied"):
            raise PublishError(
                f"The bucket {bucket.name} belongs to another account, or these credentials may "
                "not use it",
                problem.cause,
            ) from problem
        raise


def bring_in(
    cloud: Cloud,
    region: str,
    image: Scan,
    bucket: Bucket,
    description: str,
    tags: dict[str, str],
    kms_key: str | None,
    encrypted: bool,
) -> str:
    """Uploads, imports, waits, tags; returns the snapshot."""
    key = f"{bucket.prefix}{image.digest}.raw"
    _upload(cloud, region, image, bucket.name, key)
    try:
        task = _start(cloud, region, bucket, key, description, kms_key, encrypted)
        snapshot = _wait(cloud, region, task)
    finally:
        cloud.call("s3", region, "delete_object", Bucket=bucket.name, Key=key)
    cloud.call("ec2", region, "create_tags", Resources=[snapshot], Tags=tag_list(tags))
    return snapshot


def _upload(cloud: Cloud, region: str, image: Scan, bucket: str, key: str) -> None:
    upload = cloud.call("s3", region, "create_multipart_upload", Bucket=bucket, Key=key)
    place = {"Bucket": bucket, "Key": key, "UploadId": upload["UploadId"]}
    progress = Progress(f"{image.path.name} to s3://{bucket}", image.size)
    descriptor = os.open(image.path, os.O_RDONLY | os.O_CLOEXEC)
    # S3 takes 10,000 parts; a part has whole mebibytes.
    size = max(PART, -(-image.size // 10_000 // (1 << 20) + 1) * (1 << 20))

    def part(number: int) -> dict[str, Any]:
        data = os.pread(descriptor, size, (number - 1) * size)
        told = cloud.call("s3", region, "upload_part", PartNumber=number, Body=data, **place)
        progress.advance(len(data))
        return {"PartNumber": number, "ETag": told["ETag"]}

    try:
        numbers = range(1, -(-image.size // size) + 1)
        parts = at_once(part, numbers, PARTS_AT_ONCE)
        image.check_unchanged()
        cloud.call(
            "s3", region, "complete_multipart_upload", MultipartUpload={"Parts": parts}, **place
        )
    except BaseException:
        cloud.call("s3", region, "abort_multipart_upload", **place)
        raise
    finally:
        os.close(descriptor)
        progress.finish()


def _start(
    cloud: Cloud,
    region: str,
    bucket: Bucket,
    key: str,
    description: str,
    kms_key: str | None,
    encrypted: bool,
) -> str:
    spelled = f"{bucket.name}/{key}/{kms_key}/{encrypted}/{os.urandom(8).hex()}"
    try:
        told = cloud.call(
            "ec2",
            region,
            "import_snapshot",
            ClientToken=hashlib.sha256(spelled.encode()).hexdigest(),
            Description=description,
            DiskContainer={
                "Format": "RAW",
                "Description": description,
                "UserBucket": {"S3Bucket": bucket.name, "S3Key": key},
            },
            RoleName=bucket.role,
            Encrypted=True if encrypted or kms_key else None,
            KmsKeyId=kms_key,
        )
    except AwsError as problem:
        if "role" in str(problem.cause):
            raise PublishError(role_missing(bucket), problem.cause) from problem
        raise
    return str(told["ImportTaskId"])


def role_missing(bucket: Bucket) -> str:
    """What to do when EC2 cannot take on the role."""
    return (
        f"EC2 reads the bucket with the IAM role '{bucket.role}', which does not exist or may not "
        f"do so. Make a role of that name which the service vmie.amazonaws.com may assume (with "
        f"sts:ExternalId vmimport) and which may call s3:GetBucketLocation, s3:GetObject and "
        f"s3:ListBucket on arn:aws:s3:::{bucket.name} and its objects, and ec2:ModifySnapshotAttri"
        f"bute, ec2:CopySnapshot, ec2:RegisterImage and ec2:Describe*; or name another role in "
        "`role_name`, or use the method direct, which needs none"
    )


def _wait(cloud: Cloud, region: str, task: str) -> str:
    def ready() -> dict[str, Any] | None:
        told = cloud.call("ec2", region, "describe_import_snapshot_tasks", ImportTaskIds=[task])
        detail: dict[str, Any] = told["ImportSnapshotTasks"][0]["SnapshotTaskDetail"]
        return None if detail["Status"] in ("active", "pending") else detail

    detail = cloud.patience.until(ready, f"waiting for the import {task} in {region}")
    if detail["Status"] != "completed":
        raise PublishError(
            f"The import {task} in {region} has ended in the state '{detail['Status']}': "
            f"{detail.get('StatusMessage', '')}."
        )
    return str(detail["SnapshotId"])
