"""The collection as a user has it: built, installed, and its playbooks run by name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TOP = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
# What takes long to make is shared with the user's store: it is named by its content.
SHARED = ("apt", "kernels", "packages")

CHECK = """
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
    puts("all is well");
    return atoi(getenv("STATUS"));
}
"""


def install(folder: Path) -> Path:
    """Builds the tarball and installs it; the path for ANSIBLE_COLLECTIONS_PATH."""
    galaxy = [str(BIN / "ansible-galaxy"), "collection"]
    env = dict(os.environ, ANSIBLE_HOME=str(folder / "home"), LC_ALL="C.UTF-8")
    build = [*galaxy, "build", "--output-path", str(folder)]
    subprocess.run(build, cwd=TOP, env=env, check=True, stdout=subprocess.DEVNULL)
    tarball = next(folder.glob("*.tar.gz"))
    place = folder / "collections"
    command = [*galaxy, "install", "--offline", "--no-deps", "-p", str(place), str(tarball)]
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    return place


def make_store(path: Path) -> Path:
    """An empty store that shares what takes long to make."""
    usual = Path(os.environ.get("KILN_CACHE") or "~/.cache/kiln").expanduser()
    path.mkdir()
    for name in SHARED:
        (usual / name).mkdir(parents=True, exist_ok=True)
        (path / name).symlink_to(usual / name)
    return path


def make_program(folder: Path) -> Path:
    """A program that says something and ends with the status in its environment."""
    source = folder / "check.c"
    source.write_text(CHECK, encoding="ascii")
    program = folder / "check"
    subprocess.run(["gcc", "-static", "-O2", "-o", program, source], check=True)
    return program


@dataclass
class Play:
    """How a run ended."""

    code: int
    text: str

    def count(self, what: str, host: str = "localhost") -> int:
        """A figure of the recap, such as changed."""
        found = re.search(rf"^{re.escape(host)} .*\b{what}=(\d+)", self.text, re.MULTILINE)
        assert found, self.text
        return int(found[1])


class Desk:
    """A folder to run the installed collection's playbooks from."""

    def __init__(self, collections: Path, folder: Path, **env: str) -> None:
        self.folder = folder
        self.environment = dict(
            os.environ,
            ANSIBLE_COLLECTIONS_PATH=str(collections),
            ANSIBLE_HOME=str(folder / "home"),
            ANSIBLE_LOCALHOST_WARNING="false",
            ANSIBLE_INVENTORY_UNPARSED_WARNING="false",
            ANSIBLE_NOCOLOR="1",
            LC_ALL="C.UTF-8",
            PATH=f"{BIN}:{os.environ['PATH']}",
            **env,
        )

    def run(self, playbook: str, *words: str, **variables: Any) -> Play:
        """One run with variables in a file."""
        file = self.folder / "variables.yml"
        file.write_text(yaml.safe_dump(variables), encoding="utf-8")
        return self.command("ansible-playbook", playbook, "-e", f"@{file}", *words)

    def publish(self, playbook: str, **variables: Any) -> None:
        """A playbook that bakes and publishes: dry, then twice; the second changes nothing."""
        runs = [self.run(playbook, *words, **variables) for words in (["--check"], [], [])]
        assert [play.code for play in runs] == [0, 0, 0], runs[0].text + runs[1].text + runs[2].text
        assert runs[0].count("changed") > 0, runs[0].text
        assert runs[2].count("changed") == 0, runs[2].text

    def command(self, *words: str) -> Play:
        """One of Ansible's commands."""
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return Play(done.returncode, done.stdout + done.stderr)
