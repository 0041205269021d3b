"""The rig with VirtualBox: how its builder fails; a half-built one is not taken for done."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
RIGS = TOP / "tests/rigs"
BUILD = RIGS / "virtualbox/build"
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
    put(
        programs,
        "apt-get",
        f'[ "$1" = indextargets ] && echo {MIRROR} || exec /usr/bin/apt-get "$@"',
    )
    path = f"{programs}:{os.environ['PATH']}"
    return dict(os.environ, PATH=path, KILN_CACHE=str(tmp_path / "a store"))


@pytest.fixture
def filled(bare: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The same, in which apt can read the mirror, and finds VirtualBox of some version there."""
    programs = tmp_path / "bin"
    put(programs, "apt-get", f'[ "$1" = indextargets ] && echo {MIRROR}; [ "$2" != -s ]')
    put(programs, "apt-cache", 'echo "  Candidate: $FOUND"')
    return bare


def build(
    env: dict[str, str], program: Path = BUILD, **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program], env=env | more, capture_output=True, text=True, check=False)


def left(env: dict[str, str]) -> set[str]:
    return {path.name for path in Path(env["KILN_CACHE"], "rigs").iterdir()}


def pinned() -> str:
    found = re.search(r"^tested=(\S+)$", BUILD.read_text(), re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.parametrize(("rig", "suite"), [("virtualbox", "sid"), ("xen", "bookworm")])
def test_a_mirror_that_has_nothing_is_said_and_nothing_half_built_stays(bare, rig, suite):
    done = build(bare, RIGS / rig / "build")
    assert done.returncode != 0
    assert f"Debian {suite} cannot be read from {MIRROR}" in done.stderr
    assert left(bare) == {f"{rig}.lock", f"{rig}.log"}


def test_a_mirror_without_the_package_is_said(filled):
    done = build(filled, FOUND="(none)")
    assert done.returncode != 0
    assert f"Debian sid at {MIRROR} has no package virtualbox now" in done.stderr
    assert left(filled) == {"virtualbox.lock", "virtualbox.log"}


def test_another_series_is_refused_unless_it_is_named(filled):
    done = build(filled, FOUND="9.1.0-dfsg-1")
    assert done.returncode != 0
    assert "has VirtualBox 9.1.0-dfsg-1 now, and keeps no older one" in done.stderr
    assert f"the tests are for what {pinned()} does" in done.stderr
    assert "KILN_RIG_VIRTUALBOX=9.1 make rigs" in done.stderr
    asked = build(filled, FOUND="9.1.0-dfsg-1", KILN_RIG_VIRTUALBOX="9.1")
    assert "cannot be had from Debian sid" in asked.stderr, "it went on"
    assert left(filled) == {"virtualbox.lock", "virtualbox.log"}


def test_another_version_of_the_series_is_told(filled):
    series = ".".join(pinned().split(".")[:2])
    assert (
        f"this is {series}.99-1; the tests were last"
        in build(filled, FOUND=f"{series}.99-1").stdout
    )
    assert "the tests were last" not in build(filled, FOUND=pinned()).stdout


def test_a_finished_one_is_taken_and_another_recipe_is_not(bare):
    place = Path(bare["KILN_CACHE"]) / "rigs/virtualbox"
    place.mkdir(parents=True)
    (place / "version").write_text("7.2.0")
    (place / "recipe").write_text("of another day")
    assert "cannot be read from" in build(bare).stderr
    assert (place / "version").read_text() == "7.2.0"


def test_a_name_without_a_builder_is_refused():
    command = [TOP / "tools/rigs", "nothing"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "nothing to build for nothing" in done.stderr
