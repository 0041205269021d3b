"""tests/run_all.py: which parts run, which run beside others, and what is said of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


def parts(folder: Path, *listed: tuple[str, str, str]) -> Path:
    """A table of parts: name, command, further lines."""
    path = folder / "parts.toml"
    text = (
        f"[[part]]\nname = '{name}'\ntitle = 'x'\nbudget = 20\ncommand = '''{command}'''\n{more}\n"
        for name, command, more in listed
    )
    path.write_text("\n".join(text))
    return path


def run(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, TOP / "tests/run_all.py", "--table", path, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_part_beside_others_is_waited_for_where_it_is_needed(tmp_path):
    """The first can only end once the second has run, and the third needs the first."""
    path = parts(
        tmp_path,
        ("first", f"while [ ! -e {tmp_path}/2 ]; do sleep 0.01; done; echo one", "beside = true"),
        ("second", f"touch {tmp_path}/2; echo two", ""),
        ("third", "echo three", "after = ['first']"),
    )
    done = run(path)
    assert done.returncode == 0, done.stdout
    said = done.stdout.splitlines()
    assert said.index("two") < said.index("one") < said.index("three")
    assert said[-1] == "all 3 parts passed"


def test_what_fails_beside_others_fails_the_whole(tmp_path):
    path = parts(tmp_path, ("first", "echo no; exit 3", "beside = true"), ("second", "true", ""))
    done = run(path)
    assert done.returncode == 1
    assert "=== the last lines of first, failed (3)\nno\n" in done.stdout


def test_a_part_brings_what_it_comes_after(tmp_path):
    path = parts(
        tmp_path,
        ("first", "echo one", "beside = true"),
        ("second", "echo two", ""),
        ("third", "echo three", "after = ['first']\nlong = true"),
    )
    done = run(path, "third")
    assert [word for word in done.stdout.splitlines() if word in ("one", "two", "three")] == [
        "one",
        "three",
    ]


@pytest.mark.parametrize("more", ["after = ['second']", "after = ['none']"])
def test_a_part_cannot_come_after_what_stands_behind_it(tmp_path, more):
    done = run(parts(tmp_path, ("first", "true", more), ("second", "true", "")))
    assert done.returncode == 1
    assert "which is not named before it" in done.stderr


def test_one_that_is_over_its_budget_is_ended(tmp_path):
    path = parts(tmp_path, ("first", "sleep 60", "beside = true"))
    path.write_text(path.read_text().replace("budget = 20", "budget = 0.2"))
    done = run(path)
    assert done.returncode == 1
    assert "over budget" in done.stdout
