"""The role publish_virtualbox through its states, and the modules' EXAMPLES, as plays."""

from __future__ import annotations

import sys

import pytest

from tests.publish.play import run_play, tasks
from tests.publish.virtualbox import PROGRAM, make_ova

ROLE = "kiln.unikernel.publish_virtualbox"


def play(listed: list, **facts: object) -> dict:
    """A play of these tasks on the rig's VirtualBox."""
    return {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable, **facts},
        "module_defaults": {"group/kiln.unikernel.virtualbox": {"vboxmanage": str(PROGRAM)}},
        "tasks": listed,
    }


def call(path: object, *runs: tuple[bool, bool, bool], **options: object) -> list:
    """Calls the role; a run is: check mode, whether it changes, whether the image is there then."""
    wanted = {"name": "redis", "path": str(path), "channel": "redis/stable"}
    wanted |= {"vboxmanage": str(PROGRAM), **options}
    listed = []
    for check, changed, there in runs:
        listed.append(
            {
                "name": f"Call the role, check mode {check}",
                "include_role": {"name": ROLE, "apply": {"check_mode": check, "diff": True}},
                "vars": {f"publish_virtualbox_{key}": value for key, value in wanted.items()},
            }
        )
        told = "publish_virtualbox_published"
        conditions = [f"{told}.changed == {changed}", f"{told}.published == {there}"]
        conditions.append(f"({told}.diff.before == {told}.diff.after) == {not changed}")
        listed.append({"name": "Compare", "assert": {"that": conditions, "quiet": True}})
    return listed


@pytest.mark.long
def test_the_role_goes_through_all_states(vbox, tmp_path):
    one, two = (make_ova(tmp_path / f"{word}.ova", word.encode()) for word in ("one", "two"))
    dry, run = True, False
    promoted = "publish_virtualbox_promoted.current.digest == publish_virtualbox_published.digest"
    listed = [
        *call(one, (dry, True, False), (run, True, True), (dry, False, True), (run, False, True)),
        {"name": "Compare", "assert": {"that": [promoted], "quiet": True}},
        *call(one, (dry, True, True), (run, True, True), (run, False, True), description="Another"),
        *call(two, (run, True, True), keep=1),
        *call(one, (run, True, False), (run, False, False), state="absent"),
        *call(two, (dry, True, True), (run, True, False), (run, False, False), state="absent"),
    ]
    run_play(play(listed), tmp_path)
    assert (vbox.names(), vbox.files()) == ([], [])


@pytest.mark.long
def test_the_examples_run(vbox, tmp_path):
    publish, remove = tasks("virtualbox_image")
    promote, roll_back = tasks("virtualbox_channel")
    make, unmake = tasks("virtualbox_vm")
    # A port of the host's that nobody has, in place of the one that is shown.
    make["kiln.unikernel.virtualbox_vm"]["forwards"][0]["host"] = 0
    ovas = [str(make_ova(tmp_path / f"{n}.ova", b"%d" % n)) for n in (0, 1)]
    before = [dict(publish, vars={"baked": {"ova": {"virtualbox": ovas[0]}}}), promote]
    now = [publish, promote, make, *tasks("virtualbox_vm_info"), unmake]
    now += [*tasks("virtualbox_image_info"), roll_back, *tasks("virtualbox_retention"), remove]
    said = run_play(play([*before, *now], baked={"ova": {"virtualbox": ovas[1]}}), tmp_path)
    # Published and promoted twice, a machine made and removed, rolled back, removed; nothing is old
    # enough for retention.
    assert "changed=8" in said, said
    assert len(vbox.names()) == 1


@pytest.mark.long
def test_the_playbook_bakes_redis_and_brings_it_in(vbox, desk):
    given = {"vboxmanage": str(PROGRAM), "channel": "redis/stable"}
    desk.publish(ROLE, **{f"publish_virtualbox_{key}": value for key, value in given.items()})
    (image,) = vbox.images(name="redis")
    assert image["channels"] == ["redis/stable"]
