"""The pipeline to all three counterparts at once, which needs what `make rigs` makes.

Bake, publish, promote; again, which changes nothing; two more versions, of which the last lets the
first one go; and back: what check mode's diff says is what then happens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.publish.installed import Desk, Play
from tests.publish.modules import run
from tests.publish.test_pipeline import PIPELINE, target
from tests.publish.virtualbox import PROGRAM
from tests.rigs.vsphere.rig import (
    CLUSTER,
    DATACENTER,
    FOLDER,
    PASSWORD,
    STORES,
    USER,
)

KINDS = ("ec2", "vsphere", "virtualbox")
CHANNEL = "redis/stable"


@dataclass
class Targets:
    """The three: what leads to each, by the names of the modules' options."""

    ways: dict[str, dict[str, Any]]

    def images(self, kind: str) -> list[dict[str, Any]]:
        """What there is, by the info module, newest first."""
        told = run(f"{kind}_image_info", name="redis", **self.ways[kind])
        found: list[dict[str, Any]] = told["images"]
        return found

    def digests(self) -> dict[str, set[str]]:
        """The contents that there are."""
        return {kind: {image["digest"] for image in self.images(kind)} for kind in KINDS}

    def current(self) -> dict[str, str]:
        """The content that the channel names, which is one in each."""
        named = {
            kind: {item["digest"] for item in self.images(kind) if CHANNEL in item["channels"]}
            for kind in KINDS
        }
        assert all(len(digests) == 1 for digests in named.values()), named
        return {kind: digests.pop() for kind, digests in named.items()}


def rollback(targets: Targets) -> list[dict[str, Any]]:
    """A play that rolls the channel back from what it names now."""
    tasks = [
        {
            "name": f"Roll back on {kind}",
            f"kiln.unikernel.{kind}_channel": {
                "channel": CHANNEL,
                "state": "rolled_back",
                "digest": digest,
                **targets.ways[kind],
            },
        }
        for kind, digest in targets.current().items()
    ]
    words = {"hosts": "localhost", "connection": "local", "gather_facts": False}
    variables = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    return [words | {"vars": variables, "tasks": tasks}]


def diffs(play: Play, words: str) -> dict[str, list[str]]:
    """The lines of the diffs of those tasks whose name begins with these words."""
    found: dict[str, list[str]] = {}
    for block in re.split(r"^TASK \[", play.text, flags=re.MULTILINE)[1:]:
        name = block.partition("]")[0]
        if name.rpartition(" : ")[2].startswith(words) and "\n--- " in block:
            found[name] = [line for line in block.splitlines() if re.match(r"[-+ @]", line)]
    return found


def do(desk: Desk, *words: str, **given: Any) -> Play:
    """The pipeline, which must end well."""
    play = desk.run(PIPELINE, "--diff", *words, **given)
    assert play.code == 0, play.text
    return play


@pytest.mark.long
def test_one_playbook_publishes_redis_to_all_three_counterparts(rig, vcenter, vbox, desk):
    login = {"hostname": vcenter.host, "port": vcenter.port, "validate_certs": False}
    login |= {"username": USER, "password": PASSWORD, "timeout": 120}
    place = {"cluster": CLUSTER, "datastore": STORES[0], "folder": FOLDER, "datacenter": DATACENTER}
    channel = {"channel": CHANNEL, "keep": 1}
    given = {
        "pipeline_name": "redis",
        "pipeline_role": "redis",
        "pipeline_boot": {"wait_for": {"port": 6379, "send": "PING\r\n", "expect": "+PONG"}},
        "pipeline_targets": [
            target(rig, **channel),
            {"type": "vsphere", "options": login | place, **channel},
            {"type": "virtualbox", "options": {"vboxmanage": str(PROGRAM)}, **channel},
        ],
    }
    ec2 = {key: given["pipeline_targets"][0]["options"][key] for key in ("region", "regions")}
    ways = {"ec2": ec2 | {"endpoint_url": rig.url}, "vsphere": login}
    targets = Targets(ways | {"virtualbox": {"vboxmanage": str(PROGRAM)}})
    do(desk, **given)
    first = targets.current()
    assert [each["template"] for each in vcenter.machines()] == [True]
    for words in (["--check"], []):
        again = do(desk, *words, **given)
        assert again.count("changed") == 0, again.text

    # The two that follow are not booted; that the first one talks is enough.
    given["pipeline_stages"] = ["publish", "promote"]
    do(desk, **given, redis_arguments=["--maxmemory", "16mb"])
    second = targets.current()
    assert targets.digests() == {kind: {first[kind], second[kind]} for kind in KINDS}

    # A dry run bakes nothing, so what it would publish is baked before it.
    given["redis_arguments"] = ["--maxmemory", "32mb"]
    do(desk, **(given | {"pipeline_stages": []}))
    told = do(desk, "--check", **given)
    assert targets.current() == second
    done = do(desk, **given)
    third = targets.current()
    for words in ("Remove old ones", "Bring the image"):
        assert len(diffs(told, words)) == len(KINDS), told.text
        assert diffs(done, words) == diffs(told, words)
    assert targets.digests() == {kind: {second[kind], third[kind]} for kind in KINDS}

    (desk.folder / "back.yml").write_text(yaml.safe_dump(rollback(targets), sort_keys=False))
    back = ("ansible-playbook", "--diff", "back.yml")
    told = desk.command(*back, "--check")
    assert targets.current() == third
    done = desk.command(*back)
    assert (told.count("changed"), done.count("changed")) == (3, 3), told.text + done.text
    assert diffs(done, "Roll back") == diffs(told, "Roll back") != {}
    assert targets.current() == second
    assert desk.command(*back).count("changed") == 0
