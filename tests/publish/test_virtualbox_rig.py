"""The rig with VirtualBox: how its builder fails; a half-built one is not taken for done."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
BUILD = TOP / "tests/rigs/virtualbox/build"
MIRROR = "file:/nonexistent/debian"


def put(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment in which apt names a mirror that is not there, and a store of its own."""
    programs = tmp_path / "bin"
    programs.mkdir()
    put(programs, "apt-get", f"echo {MIRROR}")
    path = f"{programs}:{os.environ['PATH']}"
    return dict(os.environ, PATH=path, KILN_CACHE=str(tmp_path / "a store"))


def build(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BUILD], env=env, capture_output=True, text=True, check=False)


def left(env: dict[str, str]) -> set[str]:
    return {path.name for path in Path(env["KILN_CACHE"], "rigs").iterdir()}


def test_a_mirror_that_has_nothing_is_said_and_nothing_half_built_stays(bare):
    done = build(bare)
    assert done.returncode != 0
    assert f"debootstrap could not make Debian sid from {MIRROR}" in done.stderr
    assert left(bare) == {"virtualbox.lock", "virtualbox.log"}


def test_a_root_without_the_package_is_said(bare, tmp_path):
    """debootstrap gives a root in which apt knows no virtualbox."""
    put(
        tmp_path / "bin",
        "debootstrap",
        'mkdir -p "$5" && cd "$5" && mkdir -p etc/apt/apt.conf.d usr/sbin proc sys dev',
    )
    done = build(bare)
    assert done.returncode != 0
    assert f"Debian sid at {MIRROR} has no package virtualbox now" in done.stderr
    assert left(bare) == {"virtualbox.lock", "virtualbox.log"}
    assert bare["KILN_CACHE"] not in Path("/proc/self/mounts").read_text()


def test_a_finished_one_is_taken_and_another_recipe_is_not(bare, tmp_path):
    place = Path(bare["KILN_CACHE"]) / "rigs/virtualbox"
    place.mkdir(parents=True)
    (place / "version").write_text("7.2.0")
    (place / "recipe").write_text("of another day")
    assert "debootstrap could not make" in build(bare).stderr
    assert (place / "version").read_text() == "7.2.0"


def test_a_name_without_a_builder_is_refused():
    command = [TOP / "tools/rigs", "nothing"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "nothing to build for nothing" in done.stderr
