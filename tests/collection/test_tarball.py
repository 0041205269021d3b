"""What `ansible-galaxy collection build` makes: its contents, and what an importer asks for."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
# All that is at the top of it.
WANTED = {
    "FILES.json", "LICENSE", "MANIFEST.json", "README.md", "changelogs", "collections", "docs",
    "extensions", "kernel-src", "meta", "packer", "playbooks", "plugins", "requirements.txt",
    "requirements-packer.txt", "requirements-publish.txt", "roles",
}  # fmt: skip
# Galaxy's limits: 20 MiB of archive, tags and namespaces of small letters, digits and _.
LARGEST = 20 << 20
WORD = re.compile(r"[a-z][a-z0-9_]*")


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tarball")
    command = [BIN / "ansible-galaxy", "collection", "build", "--output-path", folder]
    subprocess.run(command, cwd=TOP, check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def members(tarball: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(tarball) as archive:
        return {item.name: item for item in archive if not item.isdir()}


def known_to_git() -> set[str]:
    """What git has, or would take."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=TOP, check=True, capture_output=True, text=True)
    return {name for name in done.stdout.split("\0") if name and (TOP / name).exists()}


def test_it_holds_what_is_needed_and_nothing_else(members):
    made = {"FILES.json", "MANIFEST.json"}
    assert {name.split("/")[0] for name in members} <= WANTED
    left_out = ("kernel-src/tests/",)
    wanted = {
        name
        for name in known_to_git()
        if name.split("/")[0] in WANTED and not name.startswith(left_out)
    }
    assert set(members) - made == wanted


def test_its_files_are_the_ones_that_its_list_names(tarball, members):
    with tarfile.open(tarball) as archive:

        def data(name: str) -> bytes:
            stream = archive.extractfile(members[name])
            assert stream is not None
            return stream.read()

        listed = {item["name"]: item for item in json.loads(data("FILES.json"))["files"]}
        files = {name: item for name, item in listed.items() if item["ftype"] == "file"}
        assert set(files) == set(members) - {"FILES.json", "MANIFEST.json"}
        for name, item in files.items():
            if members[name].isreg():
                assert hashlib.sha256(data(name)).hexdigest() == item["chksum_sha256"], name


def test_no_link_leads_out_of_it(members):
    for name, item in members.items():
        assert item.isreg() or item.issym(), name
        if item.issym():
            place = os.path.normpath(Path(name).parent / item.linkname)
            assert not place.startswith(("..", "/")), name


def test_it_says_what_an_importer_asks_for(tarball, members):
    with tarfile.open(tarball) as archive:
        stream = archive.extractfile(members["MANIFEST.json"])
        assert stream is not None
        info = json.load(stream)["collection_info"]
    assert tarball.stat().st_size < LARGEST
    assert re.fullmatch(r"\d+\.\d+\.\d+", info["version"])
    assert tarball.name == f"{info['namespace']}-{info['name']}-{info['version']}.tar.gz"
    for word in (info["namespace"], info["name"], *info["tags"]):
        assert WORD.fullmatch(word), word
    assert len(info["tags"]) <= 20
    # Galaxy takes a collection only with one of these among its tags.
    kinds = "application cloud database infrastructure linux monitoring networking security storage"
    assert set(info["tags"]) & {*kinds.split(), "tools", "windows"}
    assert info["license"] == ["BSD-3-Clause"]
    assert info["readme"] in members
    for key in ("repository", "documentation", "homepage", "issues"):
        assert info[key].startswith("https://")
    assert info["authors"]
    assert info["description"]
    runtime = yaml.safe_load((TOP / "meta/runtime.yml").read_text())
    assert re.fullmatch(r">=\d+\.\d+\.\d+", runtime["requires_ansible"])


def test_every_module_is_in_an_action_group():
    runtime = yaml.safe_load((TOP / "meta/runtime.yml").read_text())
    grouped = [name for names in runtime["action_groups"].values() for name in names]
    modules = {path.stem for path in (TOP / "plugins/modules").glob("*.py")}
    assert modules == set(grouped)


@pytest.mark.parametrize("role", sorted(path.name for path in (TOP / "roles").iterdir()))
def test_every_role_is_described(role, members):
    for name in ("meta/argument_specs.yml", "meta/main.yml", "tasks/main.yml"):
        assert f"roles/{role}/{name}" in members
