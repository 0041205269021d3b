"""The disk is full in mid-conversion, wherever that is: a sentence, and nothing half-made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.publish.installed import make_program
from tests.unit.elves import write_kernel

HERE = Path(__file__).resolve().parent


def test_the_disk_is_full_in_mid_conversion(tmp_path):
    """Each try has one MiB more than the one before, so all steps of a bake meet the end of it."""
    (tmp_path / "noise").write_bytes(os.urandom(3 << 20))
    (tmp_path / "disk").mkdir()
    options = {
        "name": "full",
        "kernel": str(write_kernel(tmp_path / "kernel")),
        "argv": ["/bin/check"],
        "files": [
            {"src": str(make_program(tmp_path)), "dest": "/bin/check"},
            {"src": str(tmp_path / "noise"), "dest": "/noise"},
        ],
        "formats": ["raw", "qcow2", "vmdk", "vdi", "vhd", "ova"],
    }
    # Who is not root may mount in a namespace of users.
    space = ["unshare", "--mount", *([] if os.getuid() == 0 else ["--map-root-user"])]
    command = [*space, sys.executable, HERE / "full_disk.py", tmp_path / "disk"]
    done = subprocess.run(
        [*command, json.dumps(options)], capture_output=True, text=True, check=False
    )
    tries = [json.loads(line) for line in done.stdout.splitlines()]
    *failed, last = tries
    assert last["said"] is None, done.stderr
    assert last["images"] == 1
    for one in failed:
        assert "ake room there" in one["said"], one
        assert one["images"] == 0, one
    said = " ".join(one["said"] for one in failed)
    assert "cannot be written below" in said
    assert "No space left on device" in said
    assert len(failed) > 10, "the raw disk and five more are converted one after the other"
