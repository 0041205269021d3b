"""The callback that shows progress: lines in a log, bars on a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.kiln.unikernel.plugins.callback.progress import Plain, Watcher
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import Progress

from tests.publish.modules import make_disk
from tests.rigs.ec2.rig import Rig

TOP = Path(__file__).resolve().parents[2]
MIB = 1 << 20
PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Publish
      kiln.unikernel.ec2_image:
        name: redis
        path: "{{ disk }}"
        endpoint_url: "{{ url }}"
        store: "{{ store }}"
"""


def test_lines_come_at_the_interval_and_at_the_end(tmp_path):
    said: list[str] = []
    watcher = Watcher(tmp_path, Plain(said.append, 5.0))
    progress = Progress("disk to there", 10 * MIB, str(tmp_path))
    watcher.look(100.0)
    progress._last = 0.0
    progress.advance(4 * MIB)
    watcher.look(102.0)
    progress._last = 0.0
    progress.advance(MIB)
    watcher.look(105.0)
    progress.advance(5 * MIB)
    progress.finish()
    watcher.look(106.0)
    assert said == [
        "progress: disk to there: 0 % of 10.0 MiB",
        "progress: disk to there: 50 % of 10.0 MiB, 1.0 MiB/s",
        "progress: disk to there: 100 % of 10.0 MiB, 1.7 MiB/s",
    ]


@pytest.fixture
def play(rig: Rig, tmp_path: Path) -> tuple[list[str], dict[str, str]]:
    disk = make_disk(tmp_path / "disk.raw", {index: b"%d" % index for index in range(16)})
    (tmp_path / "play.yml").write_text(PLAY)
    rig.fault("PutSnapshotBlock", "throttle", after=8, times=8)
    values = {"disk": disk, "url": rig.url, "store": tmp_path / "store"}
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "play.yml"]
    for key, value in values.items():
        command += ["-e", f"{key}={value}"]
    # As JSON: the other form ends at a blank, which a checkout may have in its path.
    command += ["-e", json.dumps({"ansible_python_interpreter": sys.executable})]
    env = dict(
        os.environ,
        ANSIBLE_CALLBACKS_ENABLED="kiln.unikernel.progress",
        ANSIBLE_COLLECTIONS_PATH=str(TOP / "build/tree"),
        ANSIBLE_HOME=str(tmp_path / "home"),
        ANSIBLE_LOCALHOST_WARNING="false",
        ANSIBLE_INVENTORY_UNPARSED_WARNING="false",
        LC_ALL="C.UTF-8",
        TERM="xterm",
    )
    return command, env


def test_plain_lines_where_there_is_no_terminal(play, tmp_path):
    command, env = play
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "progress: disk.raw to eu-central-1: 100 % of 8.0 MiB" in done.stdout
    assert "\x1b[" not in done.stdout
    assert "rig-secret" not in done.stdout + done.stderr


def test_bars_on_a_terminal(play, tmp_path):
    command, env = play
    here, there = pty.openpty()
    with subprocess.Popen(
        command, cwd=tmp_path, env=env, stdin=there, stdout=there, stderr=there
    ) as process:
        os.close(there)
        seen = b""
        while True:
            try:
                part = os.read(here, 65536)
            except OSError:
                break
            if not part:
                break
            seen += part
    os.close(here)
    assert process.returncode == 0, seen.decode(errors="replace")
    assert "disk.raw to eu-central-1" in seen.decode(errors="replace")
    assert "8.4/8.4 MB" in seen.decode() or "8.0/8.0 MiB" in seen.decode(errors="replace")
    assert b"progress: " not in seen
