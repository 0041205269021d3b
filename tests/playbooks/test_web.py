"""The ready-made web servers, by name from the installed collection, on two CPUs and under load."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pages
import pytest
import served
from world import TOP, in_tree, tools, unpack

from tests.lib.ports import free_port
from tests.publish.installed import Desk

LARGE = 3_000_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of every kind."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("index.html", "style.css"):
        (folder / name).write_bytes((TOP / "playbooks/files/web/site" / name).read_bytes())
    (folder / "bytes").write_bytes(bytes(range(256)) * 100)
    (folder / "large").write_bytes(b"".join(b"%09d\n" % n for n in range(LARGE // 10)))
    (folder / "with space").write_text("odd\n", encoding="ascii")
    (folder / "folder").mkdir()
    (folder / "folder/index.html").write_text("inner\n", encoding="ascii")
    return folder


def wrapper(folder: Path, tree: Path, program: str) -> Path:
    """A command that starts a tree's program with the tree's libraries."""
    path = folder / Path(program).name
    words = " ".join(f"'{word}'" for word in in_tree(tree, program))
    path.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path


def check(desk: Desk, tmp_path: Path, site: Path, playbook: str, **variables: Any) -> None:
    """The playbook twice, of which the second changes nothing; then its guest against Linux."""
    variables["site"] = str(site)
    with served.kept(desk, playbook, **variables) as guest:
        again = served.again(desk, playbook, guest, **variables)
        assert again.count("changed") == 0, again.text
        served.compare(guest, pages.PARTS, tmp_path / "linux", 8080)


@pytest.mark.parametrize(
    "playbook",
    [
        "nginx",
        pytest.param("python", marks=pytest.mark.long),
        pytest.param("nodejs", marks=pytest.mark.long),
    ],
)
def test_it_serves_as_on_linux(desk: Desk, tmp_path: Path, site: Path, playbook: str) -> None:
    """Debian's own programs."""
    check(desk, tmp_path, site, playbook)


@pytest.mark.long
def test_go(desk: Desk, tmp_path: Path, site: Path) -> None:
    """Built by Debian's Go, which is unpacked, not installed."""
    check(desk, tmp_path, site, "go", go=str(tools() / "usr/lib/go-1.19/bin/go"))


@pytest.mark.long
def test_rust(desk: Desk, tmp_path: Path, site: Path) -> None:
    """Built by Debian's cargo and rustc, which are unpacked, not installed."""
    tree = unpack("rust", ["cargo", "rustc"], ["/usr/share/doc", "/usr/share/man"], lambda _: None)
    programs = [wrapper(tmp_path, tree, f"/usr/bin/{name}") for name in ("cargo", "rustc")]
    desk.environment |= {"RUSTC": str(programs[1]), "CARGO_HOME": str(tmp_path / "cargo")}
    check(desk, tmp_path, site, "rust", cargo=str(programs[0]))


@pytest.fixture
def own_program(tmp_path: Path) -> Path:
    """A server in C, linked against the host's libc as a user's would be."""
    program = tmp_path / "hello"
    source = Path(__file__).with_name("hello.c")
    subprocess.run(["gcc", "-O2", "-Wall", "-Werror", "-o", program, source], check=True)
    return program


def test_an_elf_of_ones_own(desk: Desk, own_program: Path) -> None:
    """By the playbook that takes it as a variable."""
    variables = {"program": str(own_program), "arguments": ["8080"]}
    with served.kept(desk, "elf", **variables) as guest:
        assert pages.ask(pages.open_connection(guest.port), "GET", "/x")[::2] == (200, b"GET /x\n")


def test_the_playbook_in_the_readme(desk: Desk, own_program: Path) -> None:
    """As it stands there, at another port; what the role builder installs is here already."""
    text = (TOP / "README.md").read_text(encoding="utf-8")
    (play,) = re.findall(r"^```yaml\n(- hosts:.*?)^```", text, re.M | re.S)
    port = free_port()
    play = play.replace("    - role: kiln.unikernel.builder\n", "").replace(
        "host: 8080", f"host: {port}"
    )
    (own_program.parent / "hello.yml").write_text(play, encoding="utf-8")
    try:
        done = desk.command("ansible-playbook", str(own_program.parent / "hello.yml"))
        assert done.code == 0, done.text
        said = served.until_it_says(port, "GET /readme HTTP/1.0\r\n\r\n")
        assert said.endswith("GET /readme\n")
    finally:
        desk.command(
            "ansible", "localhost", "-m", "kiln.unikernel.instance", "-a", "name=hello state=absent"
        )
