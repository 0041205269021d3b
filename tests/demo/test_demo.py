"""The demo as a user has it: from the installed collection, twice, dry, and with one change."""

from __future__ import annotations

import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.lib.ports import free_port

TOP = Path(__file__).resolve().parents[2]
TALK = ["PING -> PONG", "GET greeting -> hello from kiln", "INCR counter -> 42"]


@dataclass
class Play:
    """What a run printed, and how each task ended."""

    text: str
    seconds: float

    def ended(self, task: str) -> list[str]:
        """How the tasks of this name ended, such as ok or changed."""
        blocks = re.split(r"^TASK \[", self.text, flags=re.MULTILINE)
        mine = [block for block in blocks if block.split("]")[0].endswith(task)]
        return [end for block in mine for end in re.findall(r"^(\w+): \[localhost\]", block, re.M)]


def demo(*words: str, **env: str) -> Play:
    """Runs tools/demo, which must end well."""
    begin = time.monotonic()
    done = subprocess.run(
        [TOP / "tools/demo", *words],
        cwd="/",
        env={**os.environ, "KILN_PORT": str(free_port()), **env},
        capture_output=True,
        text=True,
        check=False,
    )
    play = Play(done.stdout + done.stderr, time.monotonic() - begin)
    assert done.returncode == 0, play.text
    return play


def assert_answers(play: Play) -> None:
    for line in TALK:
        assert f"redis-cli {line}" in play.text
    assert re.search(r"first PONG +\d+ ms", play.text), play.text


def test_a_second_run_makes_nothing_again() -> None:
    assert_answers(demo())
    again = demo()
    assert_answers(again)
    print(f"the second run took {again.seconds:.1f} s")
    assert again.ended("kiln.unikernel.kernel : Build the kernel") == ["ok"]
    assert again.ended("kiln.unikernel.image : Bake the image") == ["ok"]


def test_a_variable_of_the_image_makes_the_image_again_and_nothing_else() -> None:
    limit = str(40_000_000 + time.time_ns() % 1_000_000)
    words = ["-e", f'{{"redis_arguments": ["--maxmemory", "{limit}"]}}']
    dry = demo("--check", "--diff", *words)
    wet = demo(*words)
    assert_answers(wet)
    for play in (dry, wet):
        assert play.ended("kiln.unikernel.kernel : Build the kernel") == ["ok"]
        assert play.ended("kiln.unikernel.image : Bake the image") == ["changed"]
    assert re.search(rf'^\+ +"{limit}"', dry.text, re.M)
    assert dry.ended("Send commands and compare the answers") == []


def test_a_guest_that_is_kept_is_found_again_and_then_stopped() -> None:
    port = str(free_port())
    kept = demo(KEEP="1", KILN_PORT=port)
    assert kept.ended("Stop the guest") == []
    ping = subprocess.run(
        ["redis-cli", "-p", port, "PING"], capture_output=True, text=True, check=False
    )
    assert ping.stdout == "PONG\n"
    again = demo(KILN_PORT=port)
    assert again.ended("kiln.unikernel.run : Bring the guest to its state") == ["ok"]
    assert again.ended("Stop the guest") == ["changed"]
    ping = subprocess.run(
        ["redis-cli", "-p", port, "PING"], capture_output=True, text=True, check=False
    )
    assert ping.returncode != 0


def test_whole_disks_boot_and_answer() -> None:
    env = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(TOP / "build/collections"),
        "ANSIBLE_HOME": str(TOP / "build/ansible"),
        "LC_ALL": "C.UTF-8",
    }
    playbook = TOP / "tests/demo/disk.yml"
    command = [TOP / ".venv/bin/ansible-playbook", "-i", "localhost,", playbook]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed=0" in done.stdout
