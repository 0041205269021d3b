"""The pipeline to all three counterparts at once, which needs what `make rigs` makes."""

from __future__ import annotations

import subprocess

import pytest

from tests.publish.test_pipeline import PIPELINE, published, target
from tests.publish.virtualbox import PROGRAM
from tests.rigs.vsphere.rig import (
    CLUSTER,
    DATACENTER,
    FOLDER,
    PASSWORD,
    STORES,
    USER,
)


@pytest.mark.long
def test_one_playbook_publishes_redis_to_all_three_counterparts(rig, vcenter, vbox, desk):
    login = {"hostname": vcenter.host, "port": vcenter.port, "validate_certs": False}
    login |= {"username": USER, "password": PASSWORD, "timeout": 120}
    place = {"cluster": CLUSTER, "datastore": STORES[0], "folder": FOLDER, "datacenter": DATACENTER}
    channel = {"channel": "redis/stable", "keep": 2}
    given = {
        "pipeline_name": "redis",
        "pipeline_role": "redis",
        "pipeline_boot": {"wait_for": {"port": 6379, "send": "PING\r\n", "expect": "+PONG"}},
        "pipeline_targets": [
            target(rig, **channel),
            {"type": "vsphere", "options": login | place, **channel},
            {"type": "virtualbox", "options": {"vboxmanage": str(PROGRAM)}, **channel},
        ],
    }
    first = desk.run(PIPELINE, **given)
    assert first.code == 0, first.text
    assert len(published(rig)) == 1
    assert [each["template"] for each in vcenter.machines()] == [True]
    names = subprocess.run([PROGRAM, "list", "vms"], capture_output=True, text=True, check=True)
    assert "redis" in names.stdout
    for words in (["--check"], []):
        again = desk.run(PIPELINE, *words, **given)
        assert again.code == 0, again.text
        assert again.count("changed") == 0, again.text
