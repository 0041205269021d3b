# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Machines cloned from images in VirtualBox: what there is, what shall be, and the steps between.

A machine of ours has the notes kiln/from (its image's digest) and kiln/clone. It gets its own name
last; until then its name begins with `kiln-clone-`, and the next run takes it away.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils import _vbox_channels
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Plan,
    PublishError,
    Step,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._qemu import Forward
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox import Machine, VBox
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_images import (
    WHERE,
    hardware_of,
    images_of,
)

UNFINISHED = "kiln-clone-"
_AT_REST = {"poweroff", "aborted", "saved", "aborted-saved"}
# What needs another clone, and what is set on the one there is.
_MADE = ("image", "clone")
_SET = ("memory", "cpus", "network", "network_adapter", "forwards", "console")


@dataclass(frozen=True)
class Wanted:
    """A machine as it shall be; its image is None when it shall be absent."""

    name: str
    image: Machine | None = None
    clone: str = "linked"
    memory: int | None = None
    cpus: int | None = None
    network: str = "nat"
    forwards: tuple[Forward, ...] = ()
    console: str = ""

    def image_or_fail(self) -> Machine:
        """The image, of a machine that shall not be absent."""
        if self.image is None:
            raise ValueError(f"{self.name} has no image")
        return self.image

    @property
    def working_name(self) -> str:
        """What it is called until it is finished."""
        return UNFINISHED + self.name


@dataclass
class Found:
    """What VirtualBox has of it."""

    machine: Machine | None = None
    facts: dict[str, str] = field(default_factory=dict)
    unfinished: list[Machine] = field(default_factory=list)


def is_ours(machine: Machine) -> bool:
    """Whether a VM is a finished machine."""
    return "from" in machine.notes and not machine.name.startswith(UNFINISHED)


def observe(vbox: VBox, name: str, machines: list[Machine]) -> Found:
    """Looks for a machine; fails when the name is somebody else's."""
    found = Found(unfinished=[item for item in machines if item.name == UNFINISHED + name])
    named = [item for item in machines if item.name == name]
    if named and not is_ours(named[0]):
        raise PublishError(
            f"The name '{name}' belongs to a VM that was not made by virtualbox_vm "
            f"({named[0].uuid}); choose another name."
        )
    if named:
        found.machine = named[0]
        found.facts = vbox.facts(named[0].uuid)
    return found


def image_of(
    vbox: VBox, machines: list[Machine], digest: str | None, channel: str | None
) -> Machine:
    """The image with a digest, or that a channel names."""
    if channel is None:
        images = images_of(machines, None, digest)
        if images:
            return images[0]
        raise PublishError(
            f"There is no image with the digest {str(digest)[:12]} in VirtualBox; bring it there "
            "first (virtualbox_image)."
        )
    history = _vbox_channels.histories(vbox).get(channel, [""])
    current = [item for item in images_of(machines, None, None) if item.uuid == history[-1]]
    if not current:
        raise PublishError(
            f"The channel {channel} names no image in VirtualBox; promote one first "
            "(virtualbox_channel)."
        )
    return current[0]


def state_of(facts: dict[str, str]) -> str:
    """absent, stopped or started."""
    if not facts:
        return "absent"
    return "stopped" if facts.get("VMState") in _AT_REST else "started"


def forwards_of(facts: dict[str, str]) -> list[dict[str, Any]]:
    """The port forwards in our words, in one order."""
    found = []
    for key, value in facts.items():
        if key.startswith("Forwarding("):
            _name, protocol, address, host, _guest_address, guest = value.split(",")
            found.append(Forward(int(guest), int(host), protocol, address))
    return ordered(found)


def ordered(forwards: list[Forward]) -> list[dict[str, Any]]:
    """One spelling of a set of forwards."""
    told = [dataclasses.asdict(item) for item in forwards]
    return sorted(told, key=lambda item: (item["guest"], item["protocol"], item["host"]))


def rules_of(facts: dict[str, str]) -> list[str]:
    """The names of the forwards' rules."""
    return [value.split(",")[0] for key, value in facts.items() if key.startswith("Forwarding(")]


def console_of(facts: dict[str, str]) -> str:
    """The file that the first serial port writes; empty when it writes none."""
    return facts.get("uartmode1", "").partition("file,")[2]


def describe(found: Found) -> dict[str, Any]:
    """A machine's facts in the words of the module's options."""
    if found.machine is None:
        return {"state": "absent"}
    hardware = hardware_of(found.facts)
    network = found.facts.get("nic1", "none")
    return {
        "state": state_of(found.facts),
        "image": found.machine.notes["from"],
        "clone": found.machine.notes.get("clone", ""),
        "memory": hardware["memory"],
        "cpus": hardware["cpus"],
        "network": network,
        "network_adapter": hardware["network_adapter"] if network != "none" else "none",
        "forwards": forwards_of(found.facts),
        "console": console_of(found.facts),
    }


def settle(wanted: tuple[Forward, ...], now: list[dict[str, Any]]) -> list[Forward]:
    """The wanted forwards; a host port that is to be a free one stays the one that it is."""
    settled = []
    for item in wanted:
        asked = dataclasses.asdict(item)
        same = [
            each["host"]
            for each in now
            if all(each[key] == asked[key] for key in ("guest", "protocol", "address"))
        ]
        settled.append(dataclasses.replace(item, host=item.host or (same[0] if same else 0)))
    return settled


def desired(found: Found, wanted: Wanted, image_facts: dict[str, str]) -> dict[str, Any]:
    """What `describe` will say afterwards, but for the state."""
    image = wanted.image_or_fail()
    hardware = hardware_of(image_facts)
    now = describe(found)
    nat = wanted.network == "nat"
    return {
        "image": image.notes["digest"],
        "clone": wanted.clone,
        "memory": wanted.memory or hardware["memory"],
        "cpus": wanted.cpus or hardware["cpus"],
        "network": wanted.network,
        "network_adapter": hardware["network_adapter"] if nat else "none",
        "forwards": ordered(settle(wanted.forwards, now.get("forwards", []))),
        "console": wanted.console,
    }


def plan(found: Found, wanted: Wanted, state: str, image_facts: dict[str, str]) -> Plan:
    """The steps to `state`: present (running or not), started, stopped or absent."""
    before = describe(found)
    if state == "absent":
        return Plan(before, {"state": "absent"}, _steps_to_remove(found, before))
    after = desired(found, wanted, image_facts)
    there, runs = before["state"] != "absent", before["state"] == "started"
    other = there and any(before[key] != after[key] for key in _MADE)
    differs = there and any(before[key] != after[key] for key in _SET)
    end = ("started" if runs else "stopped") if state == "present" else state
    pause = runs and (end == "stopped" or other or differs)
    verbs = {
        "discard": bool(found.unfinished),
        "stop": pause,
        "remove": other,
        "clone": not there or other,
        "define": differs and not other,
        "start": end == "started" and (pause or not runs),
    }
    steps = [
        Step(verb, WHERE, wanted.name, stage, after)
        for stage, (verb, due) in enumerate(verbs.items())
        if due
    ]
    return Plan(before, {"state": end, **after}, tuple(steps))


def _steps_to_remove(found: Found, before: dict[str, Any]) -> tuple[Step, ...]:
    verbs = {
        "discard": bool(found.unfinished),
        "stop": before["state"] == "started",
        "remove": found.machine is not None,
    }
    name = found.machine.name if found.machine else UNFINISHED
    due = [(stage, verb) for stage, (verb, due) in enumerate(verbs.items()) if due]
    return tuple(Step(verb, WHERE, name, stage) for stage, verb in due)
