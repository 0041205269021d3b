"""The ready-made web servers, by name from the installed collection, on two CPUs and under load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pages
import pytest
import served
from world import TOP, in_tree, tools

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


@pytest.mark.parametrize("playbook", ["nginx", "python", "nodejs"])
def test_it_serves_as_on_linux(desk: Desk, tmp_path: Path, site: Path, playbook: str) -> None:
    """Debian's own programs."""
    check(desk, tmp_path, site, playbook)


def test_go(desk: Desk, tmp_path: Path, site: Path) -> None:
    """Built by Debian's Go, which is unpacked, not installed."""
    check(desk, tmp_path, site, "go", go=str(tools() / "usr/lib/go-1.19/bin/go"))
