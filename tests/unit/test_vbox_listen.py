"""A long call of VBoxManage is heard while it works; a script stands in for the program here."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import _publish
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import Deadline, PublishError
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox import VBox, VBoxError
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_listen import Course, listen

SCRIPT = """#!/bin/sh
[ "$1" = --version ] && { echo 7.2.22r1; exit; }
printf '0%%...10%%...' >&2
while [ ! -e "$KILN_GO" ]; do sleep 0.02; done
printf '20%%...90%%' >&2
echo said
[ "$2" = fail ] && { echo "VBoxManage: error: no (VERR_DISK_FULL)" >&2; exit 1; }
printf '...100%%\\n' >&2
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where progress is written; the stand-in goes on when `go` is there."""
    script = tmp_path / "VBoxManage"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    shown = tmp_path / "progress"
    shown.mkdir()
    monkeypatch.setenv(_publish.PROGRESS_FOLDER, str(shown))
    monkeypatch.setenv("KILN_GO", str(tmp_path / "go"))
    return tmp_path


def lines(folder):
    texts = [path.read_text() for path in sorted((folder / "progress").glob("*.jsonl"))]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def vbox(folder):
    return VBox(str(folder / "VBoxManage"), Deadline(60))


def test_the_figures_are_seen_while_it_works(folder):
    box = vbox(folder)
    course = Course("a.ova to VirtualBox", 1000)
    said = []
    thread = threading.Thread(
        target=lambda: said.append(box.call("import", doing="importing", course=course))
    )
    thread.start()
    until = time.monotonic() + 60
    while lines(folder)[-1]["done"] != 100 and time.monotonic() < until:
        course._progress._last = 0.0
        time.sleep(0.02)
    seen = lines(folder)[-1]
    (folder / "go").touch()
    thread.join()
    assert (seen["label"], seen["total"]) == ("a.ova to VirtualBox", 1000)
    assert said == ["said\n"]
    assert lines(folder)[-1] == seen | {"done": 1000, "finished": True}


def test_a_failure_is_explained_and_not_shown_as_done(folder):
    (folder / "go").touch()
    with pytest.raises(VBoxError, match="the disk is full"):
        vbox(folder).call("fail", doing="importing", course=Course("a", 1000))
    assert lines(folder)[-1] == {"label": "a", "total": 1000, "done": 900, "finished": True}


def test_the_time_limit_ends_it(folder):
    box = vbox(folder)
    box.deadline = Deadline(1)
    with pytest.raises(PublishError, match="time limit of 1 seconds was over while importing"):
        box.call("import", doing="importing", course=Course("a", 1000))
    assert lines(folder)[-1]["finished"]


def test_without_figures_the_file_that_is_written_tells(folder):
    target = folder / "disk.vdi"
    course = Course("disk.raw to VirtualBox", 4096, target)
    course.look()
    course.hear("99%")
    assert lines(folder)[-1]["done"] == 0
    target.write_bytes(bytes(1024))
    course._progress._last = 0.0
    course.look()
    assert lines(folder)[-1]["done"] == 1024
    target.write_bytes(bytes(9000))
    course.finish(whole=False)
    assert lines(folder)[-1] == {
        "label": "disk.raw to VirtualBox", "total": 4096, "done": 1024, "finished": True,
    }  # fmt: skip


def test_a_folder_tells_by_all_that_is_in_it(folder):
    target = folder / "VMs/redis"
    course = Course("a.ova to VirtualBox", 4096, target)
    course.look()
    course.hear("100%")
    assert lines(folder)[-1]["done"] == 0
    (target / "Logs").mkdir(parents=True)
    (target / "disk1.vmdk").write_bytes(bytes(1000))
    (target / "Logs/x").write_bytes(bytes(24))
    (target / "gone").symlink_to("nowhere")
    course._progress._last = 0.0
    course.look()
    assert lines(folder)[-1]["done"] == 1024
    (target / "disk1.vmdk").unlink()
    course.look()
    course.finish(whole=True)
    assert lines(folder)[-1]["done"] == 4096


def test_much_output_on_both_streams_stops_nothing():
    many = "head -c {} /dev/zero | tr '\\0' x"
    script = f"{many.format(50000)}; {many.format(90000)} >&2; {many.format(50000)}"
    done = listen(["sh", "-c", script], dict(os.environ), 60, Course("x", 1))
    assert (len(done.stdout), len(done.stderr), done.returncode) == (100_000, 90_000, 0)
    with pytest.raises(subprocess.TimeoutExpired):
        listen(["sleep", "60"], dict(os.environ), 0.2, Course("x", 1))
