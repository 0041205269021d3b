"""Runs for a while: ended by a text, by themselves, by the clock."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import _java, _trial
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError

LONG = 60.0
FOREVER = "wait"


def run(script: str, until: str = "", seconds: float = LONG) -> _trial.Heard:
    sleeper = "sleep 600 >/dev/null 2>&1 & trap 'kill '$! EXIT; trap 'echo ends; exit 3' TERM; "
    return _trial.run(
        ["/bin/sh", "-c", sleeper + script], cwd=Path("/"), env={}, until=until, seconds=seconds
    )


def test_a_text_ends_it_wherever_it_stands_and_its_last_words_are_heard():
    before = time.monotonic()
    heard = run(f"echo no; printf 'it is rea'; echo 'dy now'; {FOREVER}", "ready now")
    assert (heard.complete, heard.status) == (True, 3)
    assert heard.last.endswith("it is ready now\nends\n")
    assert time.monotonic() - before < LONG


@pytest.mark.parametrize("noise", [0, 300_000])
def test_the_clock_ends_it_too_and_then_the_text_is_missing(noise):
    heard = run(f"head -c {noise} /dev/zero; echo waits; {FOREVER}", "ready", seconds=1)
    assert (heard.complete, heard.status) == (False, 3)
    assert heard.last.endswith("waits\nends\n")


def test_without_a_text_the_clock_is_what_was_asked_for():
    assert run(FOREVER, seconds=0.5) == _trial.Heard(True, 3, "ends\n")


def test_one_that_ends_by_itself_has_its_status():
    assert run("echo done; exit 7") == _trial.Heard(True, 7, "done\n")
    assert run("echo done; exit 7", "ready") == _trial.Heard(False, 7, "done\n")


def test_one_that_closes_its_output_is_left_to_end():
    assert run("exec >&- 2>&-; sleep 0.3; exit 5").status == 5


def test_what_it_leaves_behind_is_ended(monkeypatch):
    monkeypatch.setattr(_trial, "_PATIENCE", 0.5)
    before = time.monotonic()
    assert run("sleep 600 & echo child; exit 0", "child").last.startswith("child\n")
    assert time.monotonic() - before < LONG


def test_a_text_that_never_came_makes_no_archive(tmp_path):
    java = tmp_path / "bin/java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho starting; echo 'no port' >&2; exit 1\n")
    java.chmod(0o755)
    spec = _java.JavaSpec("web", [], [], archive_run=["Main"], archive_run_until="is up")
    with pytest.raises(KilnError) as raised:
        _java.Java(tmp_path).trained(spec, [], tmp_path)
    assert str(raised.value) == (
        "The run of Main has not said 'is up' within 60 s, its status was 1; see "
        "archive_run_until. It said last: starting\nno port\n"
    )
