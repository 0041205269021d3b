"""Runs a play from the linked tree, and reads the EXAMPLES that it is made of."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.publish.modules import MODULES

TOP = Path(__file__).resolve().parents[2]


def tasks(name: str) -> list:
    """The tasks in a module's EXAMPLES."""
    found: list = yaml.safe_load(importlib.import_module(f"{MODULES}.{name}").EXAMPLES)
    return found


def run_play(play: dict, tmp_path: Path) -> str:
    """Runs a play; what it said."""
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
    return done.stdout
