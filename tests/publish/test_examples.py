"""The EXAMPLES of the modules, as they are documented, run against the strict server."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.publish.modules import MODULES, make_disk

TOP = Path(__file__).resolve().parents[2]


def test_the_examples_run(rig, tmp_path):
    def tasks(name: str) -> list:
        return yaml.safe_load(importlib.import_module(f"{MODULES}.{name}").EXAMPLES)

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
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False))
    env = dict(
        os.environ,
        ANSIBLE_COLLECTIONS_PATH=str(TOP / "build/tree"),
        ANSIBLE_HOME=str(tmp_path / "home"),
        KILN_CACHE=str(tmp_path / "store"),
        LC_ALL="C.UTF-8",
    )
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "play.yml"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # Published and promoted twice, rolled back, removed; nothing is old enough for retention.
    assert "changed=6" in done.stdout, done.stdout
