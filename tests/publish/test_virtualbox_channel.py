"""Channels, rollback and retention on the real VirtualBox; and the modules' examples as a play."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.publish.modules import MODULES
from tests.publish.virtualbox import PROGRAM, TOP, Rig, make_ova, make_raw


def publish(vbox: Rig, word: str) -> str:
    done = vbox.image(make_raw(vbox.folder / f"{word}.raw", word.encode()))
    assert done["changed"], done
    return str(done["digest"])


def names(vbox: Rig) -> dict[str, list[str]]:
    """Digest → channels."""
    return {item["digest"]: item["channels"] for item in vbox.images()}


def test_promote_roll_back_keep_and_remove(vbox):
    one, two, three = (publish(vbox, word) for word in ("one", "two", "three"))
    said = vbox.channel(digest="0" * 64)["msg"]
    assert "no image of redis with the digest 000000000000 in VirtualBox" in said
    told = vbox.channel(digest=one, check=True)
    assert names(vbox) == {one: [], two: [], three: []}
    done = vbox.channel(digest=one)
    assert (done["diff"], done["steps"], done["current"]["digest"]) == (
        told["diff"],
        told["steps"],
        one,
    )
    assert not vbox.channel(digest=one, check=True)["changed"]
    assert not vbox.channel(digest=one)["changed"]
    for digest in (two, three):
        vbox.channel(digest=digest)
    assert names(vbox) == {one: [], two: [], three: ["redis/stable"]}
    said = vbox.image(None, digest=three, state="absent")["msg"]
    assert "is what the channel redis/stable names" in said

    back = {"state": "rolled_back", "digest": three}
    told, done = vbox.channel(check=True, **back), vbox.channel(**back)
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    assert names(vbox)[two] == ["redis/stable"]
    assert not vbox.channel(**back)["changed"]

    # Two is current, one is what it would go back to; three was withdrawn and is the newest.
    told, done = vbox.retention(keep=0, check=True), vbox.retention(keep=0)
    assert (done["diff"], done["removed"]) == (told["diff"], told["removed"])
    assert [item["vm_name"] for item in done["removed"]] == [f"redis-{three[:12]}"]
    assert set(names(vbox)) == {one, two}
    assert not vbox.retention(keep=0)["changed"]

    assert vbox.channel(state="absent", check=True)["changed"]
    assert vbox.channel(state="absent")["changed"]
    assert not vbox.channel(state="absent")["changed"]
    assert not vbox.retention(keep=0, older_than="1h")["changed"]
    assert len(vbox.retention(older_than="0s")["removed"]) == 2
    assert (vbox.names(), vbox.files()) == ([], [])


@pytest.mark.parametrize(
    ("module", "options", "says"),
    [
        ("channel", {"channel": "stable", "digest": "0"}, "cannot be a channel"),
        ("retention", {"name": "redis", "older_than": "a month"}, "is not an age"),
        ("retention", {"name": "redis", "keep": -1}, "keep is a number"),
    ],
)
def test_what_is_refused(vbox, module, options, says):
    assert says in vbox.run(module, **options)["msg"]


def examples(name: str) -> list:
    found: list = yaml.safe_load(importlib.import_module(f"{MODULES}.virtualbox_{name}").EXAMPLES)
    return found


def play(vbox: Rig, tasks: list, **facts: object) -> str:
    """Runs tasks with ansible-playbook; what it said."""
    whole = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable, **facts},
        "module_defaults": {"group/kiln.unikernel.virtualbox": {"vboxmanage": str(PROGRAM)}},
        "tasks": tasks,
    }
    (vbox.folder / "play.yml").write_text(yaml.safe_dump([whole], sort_keys=False))
    env = dict(
        os.environ,
        ANSIBLE_COLLECTIONS_PATH=str(TOP / "build/tree"),
        ANSIBLE_HOME=str(vbox.folder / "home"),
        KILN_CACHE=str(vbox.store),
        LC_ALL="C.UTF-8",
    )
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "play.yml"],
        cwd=vbox.folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_examples_run(vbox, tmp_path):
    publish_it, remove = examples("image")
    promote, roll_back = examples("channel")
    baked = [
        {"ova": {"virtualbox": str(make_ova(tmp_path / f"{n}.ova", b"%d" % n))}} for n in (0, 1)
    ]
    before = [dict(publish_it, vars={"baked": baked[0]}), promote]
    make, unmake = examples("vm")
    # A port of the host's that nobody has, in place of the one that is shown.
    make["kiln.unikernel.virtualbox_vm"]["forwards"][0]["host"] = 0
    machine = [make, *examples("vm_info"), unmake]
    now = [publish_it, promote, *machine, *examples("image_info"), roll_back]
    now += [*examples("retention"), remove]
    said = play(vbox, [*before, *now], baked=baked[1])
    # Published and promoted twice, a machine made and removed, rolled back, removed; nothing is old
    # enough for retention.
    assert "changed=8" in said, said
    assert len(vbox.names()) == 1
