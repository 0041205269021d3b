"""The EXAMPLES of the modules for vSphere, as documented, run against the strict vCenter."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

from tests.publish.ova import make_ova
from tests.publish.play import run_play, tasks
from tests.rigs.vsphere.rig import PASSWORD, USER

TOP = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.long


def login(vcenter) -> dict:
    return {
        "hostname": vcenter.host,
        "port": vcenter.port,
        "username": USER,
        "password": PASSWORD,
        "validate_certs": False,
    }


def test_what_the_documentation_shows_runs(vcenter, tmp_path):
    text = (TOP / "docs/publish.md").read_text()
    section = text.partition("\n## vSphere\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    assert len(blocks) == 3
    ova = make_ova(tmp_path / "one.ova")
    said = run_play(
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {
                "ansible_python_interpreter": sys.executable,
                "image_baked": {"ova": {"vsphere": str(ova)}},
            },
            "module_defaults": {"group/kiln.unikernel.vsphere": login(vcenter)},
            "tasks": [task for block in blocks for task in yaml.safe_load(block)],
        },
        tmp_path,
    )
    (machine,) = vcenter.machines()
    assert f"['{machine['name']}']" in said.replace('"', "'").replace("\n", "").replace(" ", "")
    assert len(vcenter.items()) == 1


def test_the_examples_for_vsphere_run(vcenter, tmp_path):
    publish, library, remove = tasks("vsphere_image")
    promote, roll_back = tasks("vsphere_channel")
    publish["register"] = "published"
    first = {"ova_path": str(make_ova(tmp_path / "0.ova", b"0"))}
    again = {"ova_path": str(make_ova(tmp_path / "1.ova", b"1"))}
    chain = [dict(publish, vars=first), dict(promote), dict(library, vars=first), publish, promote]
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": again | {"ansible_python_interpreter": sys.executable},
        "module_defaults": {"group/kiln.unikernel.vsphere": login(vcenter)},
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
