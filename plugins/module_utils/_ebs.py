# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Sends a scanned image to an EBS snapshot by the direct API.

Each block goes out with its SHA-256, and the whole with the aggregate over them, so that a snapshot
that becomes complete has what was scanned. A block is read again when it is sent: if it is not what
was scanned, the upload ends and its snapshot is deleted.

An upload that was interrupted goes on: the snapshot is found by its tag or by the client token, and
what of it is sent is in a journal, for EBS cannot be asked about a pending snapshot. Without the
journal all blocks are sent again, into the same snapshot; a block that is there is overwritten.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils import _blocks
from ansible_collections.kiln.unikernel.plugins.module_utils._blocks import BLOCK, Scan
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

# A snapshot that was just started may be unknown to the next request for a moment.
_YOUNG = frozenset({"ResourceNotFoundException"})
_IDLE_MINUTES = 60


class Journal:
    """What is known of one upload on this machine: lines of JSON, appended as things happen."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.facts: dict[str, Any] = {}
        self.sent: set[int] = set()
        for line in self._lines():
            value = json.loads(line)
            if "sent" in value:
                self.sent.add(value["sent"])
            else:
                self.facts |= value

    def _lines(self) -> list[str]:
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        # A line without its end was cut by whatever ended the last run.
        return text.split("\n")[:-1]

    def note(self, **facts: Any) -> None:
        """Appends one line."""
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(facts) + "\n")
            if "sent" in facts:
                self.sent.add(facts["sent"])
            else:
                self.facts |= facts

    def begin(self, snapshot: str) -> None:
        """Binds the journal to a snapshot; what it knows of another one is forgotten."""
        if self.facts.get("snapshot") != snapshot:
            token = self.facts.get("token")
            self.forget()
            self.note(token=token, snapshot=snapshot)

    def forget(self) -> None:
        """The upload has come to its end."""
        self._path.unlink(missing_ok=True)
        self.facts, self.sent = {}, set()


class Upload:
    """One image on its way to one region."""

    def __init__(
        self, cloud: Cloud, region: str, image: Scan, journal: Journal, parallel: int = 16
    ) -> None:
        self._cloud = cloud
        self._region = region
        self._image = image
        self._journal = journal
        self._parallel = parallel
        self._stop = threading.Event()

    def begun(self) -> str | None:
        """The snapshot that the journal knows; what is known of one that ended is forgotten."""
        name: str | None = self._journal.facts.get("snapshot")
        if name is None:
            return None
        try:
            if state_of(self._cloud, self._region, name) == "pending":
                return name
        except AwsError as problem:
            if not problem.code.endswith(".NotFound"):
                raise
        self._journal.forget()
        return None

    def start(
        self, description: str, tags: dict[str, str], kms_key: str | None, encrypted: bool
    ) -> str:
        """A pending snapshot for this image.

        The token is written down before it is used: when the answer is lost, the next try, even one
        of another run, gets the same snapshot.
        """
        parameters: dict[str, Any] = {
            "VolumeSize": self._image.gibibytes,
            "Description": description[:255],
            "Tags": tag_list(tags),
            "Encrypted": True if encrypted or kms_key else None,
            "KmsKeyArn": kms_key,
        }
        if not self._journal.facts.get("token"):
            self._journal.note(token=uuid.uuid4().hex)
        spelled = json.dumps([self._journal.facts["token"], parameters], sort_keys=True)
        token = hashlib.sha256(spelled.encode()).hexdigest()
        try:
            answer = self._cloud.call(
                "ebs",
                self._region,
                "start_snapshot",
                ClientToken=token,
                Timeout=_IDLE_MINUTES,
                **parameters,
            )
        except AwsError as problem:
            if kms_key and "key" in str(problem.cause).lower():
                raise PublishError(
                    f"The KMS key {kms_key} cannot be used in {self._region}; give the ARN of a "
                    "key of this region that these credentials may use",
                    problem.cause,
                ) from problem
            raise
        if answer["BlockSize"] != BLOCK:
            raise PublishError(
                f"EBS asks for blocks of {answer['BlockSize']} bytes in {self._region}; this "
                f"collection sends blocks of {BLOCK}."
            )
        return str(answer["SnapshotId"])

    def send(self, snapshot: str) -> None:
        """Sends what is not sent yet and seals the snapshot."""
        self._journal.begin(snapshot)
        try:
            if not self._journal.facts.get("sealed"):
                self._send_blocks(snapshot)
                self._image.check_unchanged()
                self._seal(snapshot)
        except AwsError as problem:
            # It may be sealed already: by a try whose answer was lost, or by a run elsewhere.
            if problem.code != "ValidationException" or not self._is_sealed(snapshot):
                raise
            self._journal.note(sealed=True)
        except _ChangedError:
            with contextlib.suppress(AwsError):
                self._cloud.call("ec2", self._region, "delete_snapshot", SnapshotId=snapshot)
            self._journal.forget()
            raise _blocks.changed(self._image.path) from None

    def _send_blocks(self, snapshot: str) -> None:
        left = [index for index in sorted(self._image.blocks) if index not in self._journal.sent]
        progress = Progress(f"{self._image.path.name} to {self._region}", self._image.bytes_of_data)
        progress.advance(self._image.bytes_of_data - len(left) * BLOCK)
        feed = _Feed(iter(left))
        # The client is made here: its making is not for many threads at a time.
        self._cloud.client("ebs", self._region)
        descriptor = os.open(self._image.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            at_once(
                lambda _number: self._work(snapshot, descriptor, feed, progress),
                range(min(self._parallel, max(1, len(left)))),
                self._parallel,
            )
        finally:
            os.close(descriptor)
            progress.finish()

    def _work(self, snapshot: str, descriptor: int, feed: _Feed, progress: Progress) -> None:
        try:
            for index in feed:
                if self._stop.is_set():
                    return
                self._put(snapshot, descriptor, index)
                progress.advance(BLOCK)
        except BaseException:
            self._stop.set()
            raise

    def _put(self, snapshot: str, descriptor: int, index: int) -> None:
        try:
            data = _blocks.read_block(descriptor, index)
        except EOFError:
            raise _ChangedError from None
        digest = hashlib.sha256(data).digest()
        if digest != self._image.blocks[index]:
            raise _ChangedError
        self._cloud.call(
            "ebs",
            self._region,
            "put_snapshot_block",
            also_again=_YOUNG,
            SnapshotId=snapshot,
            BlockIndex=index,
            BlockData=data,
            DataLength=BLOCK,
            Checksum=base64.b64encode(digest).decode(),
            ChecksumAlgorithm="SHA256",
        )
        self._journal.note(sent=index)

    def _seal(self, snapshot: str) -> None:
        self._cloud.call(
            "ebs",
            self._region,
            "complete_snapshot",
            SnapshotId=snapshot,
            ChangedBlocksCount=len(self._image.blocks),
            Checksum=self._image.linear,
            ChecksumAlgorithm="SHA256",
            ChecksumAggregationMethod="LINEAR",
        )
        self._journal.note(sealed=True)

    def _is_sealed(self, snapshot: str) -> bool:
        """Whether a snapshot that cannot be completed is on its way to being complete already."""
        for _attempt in range(5):
            state = state_of(self._cloud, self._region, snapshot)
            if state != "pending":
                return state == "completed"
            self._cloud.patience.sleep(min(2.0, self._cloud.deadline.left()))
        return False

    def wait(self, snapshot: str) -> None:
        """Waits until the snapshot is complete."""
        wait_completed(self._cloud, self._region, snapshot)
        self._journal.forget()


class _ChangedError(Exception):
    """A block is not what was scanned."""


class _Feed:
    """One iterator for many threads."""

    def __init__(self, source: Iterator[int]) -> None:
        self._source = source
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        with self._lock:
            return next(self._source)


def state_of(cloud: Cloud, region: str, snapshot: str) -> str:
    """A snapshot's state: pending, completed, error."""
    told = cloud.call("ec2", region, "describe_snapshots", SnapshotIds=[snapshot])
    return str(told["Snapshots"][0]["State"])


def wait_completed(cloud: Cloud, region: str, snapshot: str) -> None:
    """Waits until a snapshot can be used."""

    def ready() -> str | None:
        state = state_of(cloud, region, snapshot)
        return None if state == "pending" else state

    state = cloud.patience.until(ready, f"waiting for the snapshot {snapshot} in {region}")
    if state != "completed":
        raise PublishError(
            f"The snapshot {snapshot} in {region} has ended in the state '{state}'; run this again "
            "to send the image anew."
        )
