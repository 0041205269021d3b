"""The EXAMPLES of the modules for vSphere, as documented, run against the strict vCenter."""

from __future__ import annotations

import sys

from tests.publish.ova import make_ova
from tests.publish.play import run_play, tasks
from tests.rigs.vsphere.rig import PASSWORD, USER


def test_the_examples_for_vsphere_run(vcenter, tmp_path):
    publish, library, remove = tasks("vsphere_image")
    promote, roll_back = tasks("vsphere_channel")
    publish["register"] = "published"
    first = {"ova_path": str(make_ova(tmp_path / "0.ova", b"0"))}
    again = {"ova_path": str(make_ova(tmp_path / "1.ova", b"1"))}
    chain = [dict(publish, vars=first), dict(promote), dict(library, vars=first), publish, promote]
    login = {
        "hostname": vcenter.host,
        "port": vcenter.port,
        "username": USER,
        "password": PASSWORD,
        "validate_certs": False,
    }
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": again | {"ansible_python_interpreter": sys.executable},
        "module_defaults": {"group/kiln.unikernel.vsphere": login},
        "tasks": [
            *chain,
            library,
            *tasks("vsphere_image_info"),
            roll_back,
            *tasks("vsphere_retention"),
            remove,
        ],
    }
    said = run_play(play, tmp_path)
    # Published and promoted twice, two versions of an item, rolled back, removed.
    assert "changed=8" in said, said
    assert PASSWORD not in said
