"""tests/run_all.py: which parts run, which run side by side, and what is said of them."""

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


def test_parts_run_side_by_side_and_wait_for_what_they_come_after(tmp_path):
    """The first can only end once the second has run, and the third needs the first."""
    path = parts(
        tmp_path,
        ("first", f"while [ ! -e {tmp_path}/2 ]; do sleep 0.01; done; echo one", ""),
        ("second", f"touch {tmp_path}/2; echo two", ""),
        ("third", "echo three", "after = ['first']"),
    )
    done = run(path, "--jobs", "2")
    assert done.returncode == 0, done.stdout
    said = done.stdout.splitlines()
    assert said.index("two") < said.index("one") < said.index("three")
    assert said[-1] == "all 3 parts passed"


def test_no_more_at_once_than_are_allowed(tmp_path):
    """Each leaves a trace while it runs and fails when it finds another's."""
    look = f"mkdir {tmp_path}/trace && sleep 0.1 && rmdir {tmp_path}/trace"
    path = parts(tmp_path, *((name, look, "") for name in ("first", "second", "third")))
    assert run(path, "--jobs", "1").returncode == 0
    assert run(path, "--jobs", "3").returncode == 1


def test_what_is_alone_has_nothing_beside_it(tmp_path):
    look = f"mkdir {tmp_path}/trace && sleep 0.1 && rmdir {tmp_path}/trace"
    path = parts(
        tmp_path,
        *((name, look, "alone = true") for name in ("first", "second")),
        ("third", look, ""),
        ("fourth", look, "alone = true"),
    )
    done = run(path, "--jobs", "4")
    assert done.returncode == 0, done.stdout


def test_what_a_part_used_of_the_cpus_is_said(tmp_path):
    busy = f"'{sys.executable}' -c 'import time\nwhile time.process_time() < 0.5: pass'"
    done = run(parts(tmp_path, ("first", busy, ""), ("second", "sleep 0.6", "")), "--jobs", "2")
    assert done.returncode == 0, done.stdout
    used = {
        words[0]: float(words[words.index("CPU") + 1])
        for words in map(str.split, done.stdout.splitlines())
        if "CPU" in words
    }
    assert used["first"] >= 0.5
    assert used["second"] < 0.2


@pytest.mark.parametrize("more", ["", "alone = true"])
def test_what_fails_fails_the_whole(tmp_path, more):
    path = parts(tmp_path, ("first", "echo no; exit 3", more), ("second", "true", ""))
    done = run(path)
    assert done.returncode == 1
    assert "=== the last lines of first, failed (3)\nno\n" in done.stdout


def test_a_part_brings_what_it_comes_after(tmp_path):
    path = parts(
        tmp_path,
        ("first", "echo one", ""),
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


@pytest.mark.parametrize("more", ["", "alone = true"])
def test_one_that_is_over_its_budget_is_ended(tmp_path, more):
    """With what it started, which does not end by being asked to."""
    stays = f"trap : TERM; echo $$ > {tmp_path}/stays; while :; do sleep 0.1; done"
    path = parts(tmp_path, ("first", f'sh -c "{stays}" & wait', more))
    path.write_text(path.read_text().replace("$$", "\\$\\$").replace("budget = 20", "budget = 0.5"))
    done = run(path)
    assert done.returncode == 1
    assert "over budget" in done.stdout
    stat = Path("/proc", (tmp_path / "stays").read_text().strip(), "stat")
    # Ended and not waited for yet by init is as good.
    assert not stat.exists() or stat.read_text().rpartition(") ")[2].startswith("Z")
