"""The pipeline to vSphere from the installed collection: dry, done, and nothing to do again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.publish.installed import Desk, install, make_program, make_store
from tests.rigs.vsphere.rig import CLUSTER, FOLDER, PASSWORD, STORES, USER, Rig

PIPELINE = "kiln.unikernel.pipeline"


def variables(rig: Rig, folder: Path) -> dict[str, Any]:
    options = {
        "hostname": rig.host,
        "port": rig.port,
        "username": USER,
        "password": PASSWORD,
        "validate_certs": False,
        "cluster": CLUSTER,
        "datastore": STORES[0],
        "folder": FOLDER,
    }
    target = {"type": "vsphere", "channel": "check/stable", "keep": 5, "options": options}
    return {
        "pipeline_name": "check",
        "pipeline_targets": [target],
        "image_files": [{"src": str(make_program(folder)), "dest": "/bin/check"}],
        "image_argv": ["/bin/check"],
        "image_env": {"STATUS": "0"},
    }


@pytest.mark.long
def test_check_run_check_run(vcenter: Rig, vsphere: Any, tmp_path: Path) -> None:
    place = install(tmp_path)
    desk = Desk(place, tmp_path, KILN_CACHE=str(make_store(tmp_path / "store")))
    given = variables(vcenter, tmp_path)
    dry = desk.run(PIPELINE, "--check", **given)
    assert dry.code == 0, dry.text
    assert vcenter.machines() == []
    first = desk.run(PIPELINE, **given)
    assert first.code == 0, first.text
    (image,) = vsphere.info()["images"]
    assert (image["name"], image["channels"]) == ("check", ["check/stable"])
    for words in (["--check"], []):
        again = desk.run(PIPELINE, *words, **given)
        assert again.code == 0, again.text
        assert again.count("changed") == 0, again.text
    assert PASSWORD not in dry.text + first.text
