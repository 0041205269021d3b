"""The EBS direct API on top of moto's, with the checks and the block size of the real one."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from moto.core.responses import ActionResult
from moto.ebs.responses import EBSResponse

from tests.rigs.ec2 import world
from tests.rigs.ec2.rules import refuse
from tests.rigs.ec2.world import ACCOUNT, BLOCK, BLOCKS_A_GIB, LOCK, STATE, Snapshot


def linear(checksums: dict[int, bytes]) -> str:
    """The aggregate of checksums, as CompleteSnapshot wants it."""
    joined = b"".join(checksums[index] for index in sorted(checksums))
    return base64.b64encode(hashlib.sha256(joined).digest()).decode()


def token(snapshot: Snapshot, index: int) -> str:
    """The token under which a block can be read."""
    return base64.b64encode(f"{snapshot.id}:{index}".encode()).decode()


class StrictEBS(EBSResponse):
    """Each operation checks first, in the order of the reference's parameters."""

    def start_snapshot(self) -> ActionResult:
        """Makes a pending snapshot, or finds the one of the same client token."""
        wanted = {
            key: self._get_param(key)
            for key in (
                "VolumeSize Description Tags Encrypted KmsKeyArn ParentSnapshotId Timeout".split()
            )
        }
        self._check_start(wanted)
        client_token = self._get_param("ClientToken")
        if client_token and len(client_token) > 64:
            refuse("start-token", "INVALID_PARAMETER_VALUE")
        with LOCK:
            region = STATE.region(self.region)
            spelled = json.dumps(wanted, sort_keys=True)
            known = region.tokens.get(("snapshot", client_token or ""))
            if known and client_token:
                if known[1] != spelled:
                    refuse("start-conflict")
                snapshot = region.snapshots.get(known[0]) or Snapshot(known[0], 0, "")
            else:
                snapshot = self._fresh(wanted)
                region.tokens["snapshot", client_token or ""] = (snapshot.id, spelled)
        return ActionResult(
            {
                "SnapshotId": snapshot.id,
                "OwnerId": ACCOUNT,
                "Status": "pending",
                "StartTime": snapshot.started,
                "VolumeSize": wanted["VolumeSize"],
                "BlockSize": BLOCK,
                "Tags": wanted["Tags"],
                "Description": wanted["Description"],
                "KmsKeyArn": wanted["KmsKeyArn"],
            }
        )

    def _check_start(self, wanted: dict[str, Any]) -> None:
        if not 1 <= wanted["VolumeSize"] <= 65536:
            refuse("start-size", "INVALID_VOLUME_SIZE")
        if wanted["ParentSnapshotId"] and wanted["Encrypted"] is not None:
            refuse("start-parent", "INVALID_PARAMETER_VALUE")
        if wanted["KmsKeyArn"]:
            if not wanted["Encrypted"]:
                refuse("start-key-alone", "INVALID_PARAMETER_VALUE")
            if wanted["KmsKeyArn"] not in STATE.settings.kms_keys:
                refuse("start-key", "INVALID_CUSTOMER_KEY", key=wanted["KmsKeyArn"])

    def _fresh(self, wanted: dict[str, Any]) -> Snapshot:
        snapshot = Snapshot(
            STATE.identifier("snap"),
            wanted["VolumeSize"],
            wanted["Description"] or "",
            bool(wanted["Encrypted"]) or STATE.settings.encrypt_by_default,
            wanted["KmsKeyArn"],
            late=STATE.settings.late,
        )
        STATE.region(self.region).snapshots[snapshot.id] = snapshot
        for tag in wanted["Tags"] or []:
            self.ebs_backend.ec2_backend.create_tags([snapshot.id], {tag["Key"]: tag["Value"]})
        return snapshot

    def _snapshot(self, rule: str) -> Snapshot:
        name = self._get_param("SnapshotId")
        found = STATE.region(self.region).snapshots.get(name)
        if found is None:
            refuse(rule, "SNAPSHOT_NOT_FOUND", snapshot=name)
        return found

    def put_snapshot_block(self) -> ActionResult:
        """Takes one block."""
        data = self._get_param("BlockData") or b""
        index = self._get_param("BlockIndex")
        if len(data) != BLOCK or self._get_param("DataLength") != BLOCK:
            refuse("put-length", "INVALID_PARAMETER_VALUE", length=len(data))
        if self._get_param("ChecksumAlgorithm") != "SHA256":
            refuse("put-algorithm", "INVALID_PARAMETER_VALUE")
        digest = hashlib.sha256(data).digest()
        spelled = base64.b64encode(digest).decode()
        if self._get_param("Checksum") != spelled:
            refuse("put-checksum", "INVALID_BLOCK", index=index)
        with LOCK:
            snapshot = self._snapshot("put-missing")
            if snapshot.late:
                snapshot.late -= 1
                refuse("put-missing", "SNAPSHOT_NOT_FOUND", snapshot=snapshot.id)
            if snapshot.status != "pending" or snapshot.completing:
                refuse("put-state", "INVALID_SNAPSHOT_ID", status=snapshot.status)
            if not 0 <= index < snapshot.size * BLOCKS_A_GIB:
                refuse("put-index", "INVALID_BLOCK", index=index)
            snapshot.blocks[index] = b"" if STATE.settings.forget else bytes(data)
            snapshot.checksums[index] = digest
        return ActionResult({"Checksum": spelled, "ChecksumAlgorithm": "SHA256"})

    def complete_snapshot(self) -> ActionResult:
        """Seals a snapshot; it is pending for a while after that."""
        checksum = self._get_param("Checksum")
        with LOCK:
            snapshot = self._snapshot("complete-missing")
            if snapshot.status != "pending" or snapshot.completing:
                refuse("complete-state", "INVALID_SNAPSHOT_ID", status=snapshot.status)
            if self._get_param("ChangedBlocksCount") != len(snapshot.blocks):
                refuse("complete-count", "INVALID_PARAMETER_VALUE", written=len(snapshot.blocks))
            if checksum is not None:
                method = self._get_param("ChecksumAggregationMethod")
                if self._get_param("ChecksumAlgorithm") != "SHA256" or method != "LINEAR":
                    refuse("complete-method", "INVALID_PARAMETER_VALUE")
                if checksum != linear(snapshot.checksums):
                    refuse("complete-checksum", "INVALID_PARAMETER_VALUE")
            snapshot.completing = True
        return ActionResult({"Status": "pending"})

    def list_snapshot_blocks(self) -> ActionResult:
        """Lists a completed snapshot's blocks in ascending order."""
        with LOCK:
            snapshot = self._readable()
            blocks = [
                {"BlockIndex": index, "BlockToken": token(snapshot, index)}
                for index in sorted(snapshot.blocks)
            ]
        return ActionResult({"Blocks": blocks, "VolumeSize": snapshot.size, "BlockSize": BLOCK})

    def _readable(self) -> Snapshot:
        snapshot = self._snapshot("list-missing")
        if snapshot.completing and snapshot.status == "pending":
            world.ripen(snapshot, "completed")
        if snapshot.status != "completed":
            refuse("list-pending", "INVALID_SNAPSHOT_ID", status=snapshot.status)
        return snapshot

    def get_snapshot_block(self) -> ActionResult:
        """Reads one block."""
        index = self._get_param("BlockIndex")
        with LOCK:
            snapshot = self._readable()
            if index not in snapshot.blocks:
                refuse("get-block", "SNAPSHOT_NOT_FOUND", index=index)
            if self._get_param("BlockToken") != token(snapshot, index):
                refuse("get-token", "INVALID_BLOCK_TOKEN", index=index)
            digest = base64.b64encode(snapshot.checksums[index]).decode()
            data = snapshot.blocks[index]
        return ActionResult(
            {
                "DataLength": BLOCK,
                "BlockData": data,
                "Checksum": digest,
                "ChecksumAlgorithm": "SHA256",
            }
        )
