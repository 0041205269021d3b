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
IMPORTER = TOP / ".venv/importer"
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


def test_galaxys_own_importer_takes_it(tarball, tmp_path):
    """It reads all contents and their documentation; the linters are run elsewhere."""
    settings = tmp_path / "importer.cfg"
    settings.write_text("[galaxy-importer]\nRUN_ANSIBLE_LINT = False\nCHECK_REQUIRED_TAGS = True\n")
    environment = dict(
        os.environ,
        ANSIBLE_HOME=str(tmp_path / "home"),
        GALAXY_IMPORTER_CONFIG=str(settings),
        PATH=f"{BIN}:{os.environ['PATH']}",
        PYTHONPATH=str(IMPORTER),
    )
    command = [sys.executable, "-m", "galaxy_importer.main", tarball]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Importer processing completed successfully" in said
    assert not re.search("^(ERROR|WARNING)", said, re.MULTILINE), said


def builder(tmp_path: Path, *words: object) -> str:
    """ansible-builder, which makes Execution Environments; what it said."""
    start = "import sys; from ansible_builder.cli import run; sys.exit(run())"
    command = [sys.executable, "-c", start, *map(str, words)]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=dict(os.environ, PYTHONPATH=str(IMPORTER)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_execution_environment_gets_what_the_collection_says(tarball, tmp_path):
    place = tmp_path / "ansible_collections/kiln/unikernel"
    place.mkdir(parents=True)
    with tarfile.open(tarball) as archive:
        archive.extractall(place)
    told = yaml.safe_load(builder(tmp_path, "introspect", tmp_path))
    for kind, name in (("python", "ee-requirements.txt"), ("system", "ee-bindep.txt")):
        found = [line.partition("  # from")[0] for line in told[kind]]
        assert found == (TOP / "meta" / name).read_text().splitlines()


def test_the_documented_execution_environment_can_be_built(tmp_path):
    """As far as without the registries: what a container is made of is written down."""
    text = (TOP / "docs/builders.md").read_text()
    (described,) = re.findall(r"```yaml\n(# execution-environment.yml\n.*?)```", text, re.DOTALL)
    (tmp_path / "execution-environment.yml").write_text(described)
    builder(tmp_path, "create", "--context", "context", "--output-filename", "Containerfile")
    recipe = (tmp_path / "context/Containerfile").read_text()
    assert "docker.io/library/debian:12" in recipe
    galaxy = yaml.safe_load((tmp_path / "context/_build/requirements.yml").read_text())
    assert galaxy == {"collections": ["kiln.unikernel"]}


def test_every_module_is_in_an_action_group():
    runtime = yaml.safe_load((TOP / "meta/runtime.yml").read_text())
    grouped = [name for names in runtime["action_groups"].values() for name in names]
    modules = {path.stem for path in (TOP / "plugins/modules").glob("*.py")}
    assert modules == set(grouped)


@pytest.mark.parametrize("role", sorted(path.name for path in (TOP / "roles").iterdir()))
def test_every_role_is_described(role, members):
    for name in ("README.md", "meta/argument_specs.yml", "meta/main.yml", "tasks/main.yml"):
        assert f"roles/{role}/{name}" in members
