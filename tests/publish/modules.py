"""Runs a module in this process, with its arguments and its result as Python values."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
from pathlib import Path
from typing import Any

from ansible.module_utils.testing import patch_module_args

MODULES = "ansible_collections.kiln.unikernel.plugins.modules"
BLOCK = 512 * 1024


def run(name: str, /, check: bool = False, **arguments: Any) -> dict[str, Any]:
    """One run; the module's result, with `failed` in it when it has failed."""
    module = importlib.import_module(f"{MODULES}.{name}")
    special = {"_ansible_check_mode": check, "_ansible_diff": True}
    said = io.StringIO()
    with (
        patch_module_args(arguments | special),
        contextlib.redirect_stdout(said),
        contextlib.suppress(SystemExit),
    ):
        module.main()
    result: dict[str, Any] = json.loads(said.getvalue())
    return result


class Publisher:
    """The modules with the options that all calls share."""

    def __init__(self, url: str, store: Path) -> None:
        self.url = url
        self.store = store
        self.said: list[str] = []

    def _run(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        result = run(name, **({"endpoint_url": self.url, "timeout": 60} | arguments))
        self.said.append(json.dumps(result))
        return result

    def image(self, path: Path | None = None, **rest: Any) -> dict[str, Any]:
        """ec2_image."""
        place = {} if path is None else {"path": str(path)}
        return self._run(
            "ec2_image", **({"name": "redis", "store": str(self.store)} | place | rest)
        )

    def info(self, **rest: Any) -> list[dict[str, Any]]:
        """ec2_image_info."""
        found: list[dict[str, Any]] = self._run("ec2_image_info", **rest)["images"]
        return found

    def channel(self, **rest: Any) -> dict[str, Any]:
        """ec2_channel."""
        return self._run("ec2_channel", **({"channel": "redis/stable"} | rest))

    def retention(self, **rest: Any) -> dict[str, Any]:
        """ec2_retention."""
        return self._run("ec2_retention", **({"name": "redis"} | rest))


def make_disk(path: Path, data: dict[int, bytes], size: int = 64 << 20) -> Path:
    """A sparse raw image with data at some blocks."""
    with path.open("wb") as stream:
        stream.truncate(size)
        for index, content in data.items():
            stream.seek(index * BLOCK)
            stream.write(content)
    return path


def blocks_of(rig: Any, snapshot: str, region: str) -> dict[int, bytes]:
    """What a snapshot holds, read back by the direct API."""
    ebs = rig.client("ebs", region)
    listed = ebs.list_snapshot_blocks(SnapshotId=snapshot)["Blocks"]
    return {
        block["BlockIndex"]: ebs.get_snapshot_block(SnapshotId=snapshot, **block)[
            "BlockData"
        ].read()
        for block in listed
    }
