"""ImportSnapshot on top of moto's EC2: the tasks, and the snapshot that comes of an S3 object."""

from __future__ import annotations

import hashlib
from typing import Any

from moto.core.responses import ActionResult
from moto.s3.models import s3_backends

from tests.rigs.ec2.images import StrictImages
from tests.rigs.ec2.rules import refuse
from tests.rigs.ec2.world import ACCOUNT, BLOCK, GIB, LOCK, STATE, Snapshot

STEPS = ("pending", "validating", "validated", "converting", "completed")


class StrictEC2(StrictImages):
    """All of EC2 that the strict server has."""

    def import_snapshot(self) -> ActionResult:
        """Starts a task."""
        container = self._get_param("DiskContainer", {})
        tags = self.specified_tags(("import-snapshot-task",), "import-tags")
        key = self._get_param("KmsKeyId")
        if self._get_param("RoleName", "vmimport") not in STATE.settings.roles:
            refuse("import-role", role=self._get_param("RoleName", "vmimport"))
        if str(container.get("Format")).upper() not in ("VHD", "VMDK", "RAW"):
            refuse("import-format", format=container.get("Format"))
        if key and (not self._get_param("Encrypted") or key not in STATE.settings.kms_keys):
            refuse("import-key", key=key)
        with LOCK:
            data = self._object(container.get("UserBucket", {}))
            name = self.once("import-snapshot", lambda: self._task(container, data, tags, key))
            return ActionResult(self._shape(name))

    def _object(self, place: dict[str, str]) -> bytes:
        bucket, key = place.get("S3Bucket", ""), place.get("S3Key", "")
        buckets = s3_backends[ACCOUNT]["aws"].buckets
        found = buckets[bucket].keys.get(key) if bucket in buckets else None
        if found is None:
            refuse("import-bucket", bucket=bucket, key=key)
        return bytes(found.value)

    def _task(
        self, container: dict[str, Any], data: bytes, tags: dict[str, Any], key: str | None
    ) -> str:
        name = STATE.identifier("import-snap")
        snapshot = Snapshot(
            STATE.identifier("snap"),
            max(1, -(-len(data) // GIB)),
            f"Created by AWS-VMImport service for {name}",
            bool(self._get_param("Encrypted")),
            key,
        )
        for index in range(-(-len(data) // BLOCK)):
            block = data[index * BLOCK : (index + 1) * BLOCK].ljust(BLOCK, b"\0")
            if block.strip(b"\0"):
                snapshot.blocks[index] = block
                snapshot.checksums[index] = hashlib.sha256(block).digest()
        self.here.tasks[name] = {
            "asked": 0,
            "container": container,
            "snapshot": snapshot,
            "tags": tags,
            "size": len(data),
        }
        return name

    def describe_import_snapshot_tasks(self) -> ActionResult:
        """Lists tasks; each look takes one a step further."""
        with LOCK:
            chosen = self._get_param("ImportTaskIds", [])
            for name in chosen:
                if name not in self.here.tasks:
                    refuse("import-task", task=name)
            for name in chosen or self.here.tasks:
                self.here.tasks[name]["asked"] += 1
            shapes = [self._shape(name) for name in chosen or self.here.tasks]
        return ActionResult({"ImportSnapshotTasks": shapes})

    def _shape(self, name: str) -> dict[str, Any]:
        task = self.here.tasks[name]
        step = min(task["asked"], len(STEPS) - 1)
        detail: dict[str, Any] = {
            "Status": "completed" if step == len(STEPS) - 1 else "active",
            "StatusMessage": STEPS[step],
            "Progress": str(25 * step),
            "DiskImageSize": float(task["size"]),
            "Format": task["container"].get("Format"),
            "UserBucket": task["container"].get("UserBucket"),
        }
        if step == len(STEPS) - 1:
            snapshot = task["snapshot"]
            snapshot.status = "completed"
            self.here.snapshots.setdefault(snapshot.id, snapshot)
            detail["SnapshotId"] = snapshot.id
        spelled = task["tags"].get("import-snapshot-task", {})
        return {
            "ImportTaskId": name,
            "SnapshotTaskDetail": detail,
            "Tags": [{"Key": key, "Value": value} for key, value in spelled.items()],
        }
