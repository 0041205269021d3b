"""The EXAMPLES of the modules for EC2, as they are documented, run against the strict server."""

from __future__ import annotations

import sys

from tests.publish.modules import make_disk
from tests.publish.play import run_play, tasks


def test_the_examples_run(rig, tmp_path):
    publish, remove = tasks("ec2_image")
    promote, roll_back = tasks("ec2_channel")
    publish["register"] = "published"
    others = [dict(publish, vars={"image_path": str(make_disk(tmp_path / "0.raw", {0: b"0"}))})]
    others.append(dict(promote))
    disk = make_disk(tmp_path / "1.raw", {0: b"1"})
    chain = [*others, publish, promote, *tasks("ec2_image_info"), roll_back]
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"image_path": str(disk), "ansible_python_interpreter": sys.executable},
        "module_defaults": {"group/kiln.unikernel.ec2": {"endpoint_url": rig.url}},
        "tasks": [*chain, *tasks("ec2_retention"), remove],
    }
    said = run_play(play, tmp_path)
    # Published and promoted twice, rolled back, removed; nothing is old enough for retention.
    assert "changed=6" in said, said
