from __future__ import annotations

from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def names(path):
    lines = (TOP / path).read_text().splitlines()
    wanted = (line.split("==")[0].strip() for line in lines if not line.startswith(("-", "#")))
    return {line for line in wanted if line}


def test_an_execution_environment_gets_what_the_modules_need():
    ours = names("requirements.in") | names("requirements-publish.in")
    ours |= names("requirements-packer.in")
    assert names("meta/ee-requirements.txt") == ours - {"ansible-core"}
