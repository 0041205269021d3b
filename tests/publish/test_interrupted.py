"""What is left when the server or the module goes away in mid-upload, and what a next run does."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import _ec2
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import Patience

from tests.publish.modules import Publisher, blocks_of, make_disk
from tests.rigs.ec2.rig import Rig

TOP = Path(__file__).resolve().parents[2]
MODULE = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.kiln.unikernel.plugins.modules import ec2_image
with patch_module_args(json.loads(sys.argv[1])):
    ec2_image.main()
"""


def own_process(rig: Rig, disk: Path, store: Path) -> subprocess.Popen[str]:
    arguments = {"name": "redis", "path": str(disk), "endpoint_url": rig.url, "store": str(store)}
    env = dict(os.environ, PYTHONPATH=str(TOP / "build/tree"))
    return subprocess.Popen(
        [sys.executable, "-c", MODULE, json.dumps(arguments | {"parallel": 2, "timeout": 100})],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=env,
    )


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return make_disk(tmp_path / "disk.raw", {index: b"%d" % index for index in range(30)})


def test_the_server_is_gone_in_mid_upload(tmp_path, disk, monkeypatch):
    monkeypatch.setattr(_ec2, "Patience", functools.partial(Patience, tries=4))
    rig = Rig()
    publisher = Publisher(rig.url, tmp_path / "store")
    rig.fault("PutSnapshotBlock", "exit", after=12)
    failed = publisher.image(disk, timeout=100)
    rig.wait_gone()
    assert failed["failed"]
    assert "The connection to AWS in eu-central-1 was lost" in failed["msg"]
    assert "run this again to go on where it stopped" in failed["msg"]


def test_the_module_is_killed_in_mid_upload(rig, tmp_path, disk):
    publisher = Publisher(rig.url, tmp_path / "store")
    rig.fault("PutSnapshotBlock", "throttle", after=10, times=100_000)
    with own_process(rig, disk, publisher.store) as process:
        while rig.set()["counts"].get("PutSnapshotBlock", 0) < 14:
            assert process.poll() is None
        process.kill()
    assert publisher.info() == []
    rig.set(clear=True, recount=True)
    done = publisher.image(disk)
    assert done["changed"], done
    assert 20 <= rig.set()["counts"]["PutSnapshotBlock"] <= 22
    assert rig.set()["counts"].get("StartSnapshot") is None
    assert len(blocks_of(rig, done["images"][0]["snapshot_id"], "eu-central-1")) == 30


@pytest.mark.long
def test_memory_at_a_sparse_image_of_ten_gibibytes(rig, tmp_path):
    rig.set(settings={"forget": True})
    spread = {index: os.urandom(512 * 1024) for index in range(0, 20480, 320)}
    disk = make_disk(tmp_path / "big.raw", spread, 10 << 30)
    with own_process(rig, disk, tmp_path / "store") as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert json.loads(said)["changed"], said
    assert usage.ru_maxrss < 200 * 1024
