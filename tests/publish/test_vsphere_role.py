"""The role publish_vsphere: check and run, twice; a change, rollback, retention; absent, twice."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.publish.installed import Desk
from tests.publish.ova import make_ova
from tests.publish.play import run_play
from tests.rigs.vsphere.rig import CLUSTER, FOLDER, PASSWORD, STORES, USER, Rig

ROLE = "kiln.unikernel.publish_vsphere"


def login(rig: Rig) -> dict[str, Any]:
    return {
        "hostname": rig.host,
        "port": rig.port,
        "username": USER,
        "password": PASSWORD,
        "validate_certs": False,
    }


class Cycle:
    """A play out of calls of the role, each held to whether it changes and what is there then."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.login = login(rig)
        self.store = str(folder / "store")
        self.tasks: list[dict[str, Any]] = []

    def call(self, path: Path, *runs: tuple[bool, bool, bool], **options: Any) -> None:
        """Calls the role; a run is: check mode, whether it changes, whether it is there then."""
        wanted = {"name": "redis", "path": str(path), "cluster": CLUSTER, "store": self.store}
        wanted |= {"datastore": STORES[0], "folder": FOLDER, "channel": "redis/stable"}
        wanted |= self.login | options
        for check, changed, there in runs:
            says = f"{path.name}, check mode {check}"
            self.tasks.append(
                {
                    "name": f"Call the role, {says}",
                    "include_role": {
                        "name": ROLE,
                        "apply": {"check_mode": check, "diff": True},
                    },
                    "vars": {f"publish_vsphere_{key}": value for key, value in wanted.items()},
                }
            )
            self.holds(
                f"publish_vsphere_published.changed == {changed}",
                f"publish_vsphere_published.published == {there}",
                "(publish_vsphere_published.diff.before == publish_vsphere_published.diff.after) "
                f"== {not changed}",
            )

    def holds(self, *conditions: str) -> None:
        """Something that must be true."""
        self.tasks.append({"name": "Compare", "assert": {"that": list(conditions), "quiet": True}})

    def module(self, name: str, register: str, /, **options: Any) -> None:
        """A module, with its result kept."""
        task = {f"kiln.unikernel.{name}": self.login | options, "register": register}
        self.tasks.append({"name": f"Call {name}", **task})

    def play(self) -> dict[str, Any]:
        """The play."""
        return {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": sys.executable},
            "tasks": self.tasks,
        }


@pytest.mark.long
def test_the_role_goes_through_all_states(vcenter: Rig, tmp_path: Path) -> None:
    one = make_ova(tmp_path / "one.ova", b"one")
    two = make_ova(tmp_path / "two.ova", b"two")
    cycle = Cycle(vcenter, tmp_path)
    dry, run = True, False
    cycle.call(one, (dry, True, False), (run, True, True), (dry, False, True), (run, False, True))
    cycle.call(one, (dry, True, True), (run, True, True), (run, False, True), description="Another")
    cycle.call(two, (dry, True, False), (run, True, True), (run, False, True))
    cycle.holds("publish_vsphere_promoted.current.DC0.digest == publish_vsphere_published.digest")
    back = {"channel": "redis/stable", "state": "rolled_back"}
    back["digest"] = "{{ publish_vsphere_published.digest }}"
    cycle.module("vsphere_channel", "rolled", **back)
    cycle.module("vsphere_channel", "again", **back)
    cycle.module("vsphere_retention", "kept", name="redis", keep=1)
    cycle.holds("rolled.changed", "not again.changed", "not kept.changed")
    gone = ((dry, True, True), (run, True, False), (dry, False, False), (run, False, False))
    cycle.call(two, *gone, state="absent")
    cycle.call(one, *gone, state="absent")
    said = run_play(cycle.play(), tmp_path)
    assert PASSWORD not in said
    assert vcenter.machines() == []


@pytest.mark.long
def test_the_role_publishes_to_a_library_and_fails_with_a_sentence(
    vcenter: Rig, tmp_path: Path
) -> None:
    ova = make_ova(tmp_path / "one.ova", b"one")
    cycle = Cycle(vcenter, tmp_path)
    item = {f"publish_vsphere_{key}": value for key, value in login(vcenter).items()} | {
        "publish_vsphere_name": "redis",
        "publish_vsphere_path": str(ova),
        "publish_vsphere_target": "library_item",
        "publish_vsphere_library": "images",
    }
    call = {"include_role": {"name": ROLE}}
    cycle.tasks.append({"name": "Publish", "vars": item, **call})
    cycle.tasks.append({"name": "Publish again", "vars": item, **call})
    cycle.holds("not publish_vsphere_published.changed", "publish_vsphere_published.published")
    bad = item | {"publish_vsphere_library": "none"}
    failing = {"name": "Publish to none", "vars": bad, **call}
    words = "'There is no content library' in ansible_failed_result.msg"
    rescue = {"name": "Look at the sentence", "assert": {"that": [words]}}
    cycle.tasks.append({"name": "Fail", "block": [failing], "rescue": [rescue]})
    run_play(cycle.play(), tmp_path)
    assert [item["name"] for item in vcenter.items()] == ["redis"]


@pytest.mark.long
def test_the_playbook_bakes_redis_and_publishes_it(vcenter: Rig, desk: Desk) -> None:
    place = {"cluster": CLUSTER, "datastore": STORES[0], "folder": FOLDER}
    given = login(vcenter) | place | {"channel": "redis/stable"}
    desk.publish(ROLE, **{f"publish_vsphere_{key}": value for key, value in given.items()})
    (machine,) = vcenter.machines()
    assert machine["template"]
    assert machine["name"].startswith("redis-")
