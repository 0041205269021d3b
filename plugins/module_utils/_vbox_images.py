# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Images in VirtualBox: what there is, what shall be, and the steps between.

An image is a VM that is never started: machines are cloned from it, from its snapshot `kiln`. It is
found by the notes kiln/name and kiln/digest on it. kiln/digest is the last that it gets of
these, so one that is not finished is not seen; until then kiln/import, or a name that begins with
`kiln-import-`, says what it is, and the next run takes it away.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Plan,
    PublishError,
    Step,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox import Machine, VBox

WHERE = "VirtualBox"
SNAPSHOT = "kiln"
UNFINISHED = "kiln-import-"

# Our word → what showvminfo calls it.
ADAPTERS = {"e1000": "82540EM", "virtio": "virtio", "pcnet": "Am79C973"}
CONTROLLERS = {"ahci": "IntelAhci", "lsilogic": "LsiLogic", "virtio-scsi": "VirtioSCSI"}
DEFAULTS: dict[str, str | int] = {
    "network_adapter": "e1000",
    "controller": "ahci",
    "cpus": 1,
    "memory": 256,
}
HARDWARE = tuple(DEFAULTS)


@dataclass(frozen=True)
class Wanted:
    """What is to be; None leaves a thing as it is."""

    name: str
    digest: str
    vm_name: str | None
    hardware: dict[str, str | int]
    description: str | None = None
    tags: dict[str, str] | None = None
    purge_tags: bool = True
    replace: bool = False

    @property
    def own_name(self) -> str:
        """What a new VM is called."""
        return self.vm_name or f"{self.name}-{self.digest[:12]}"

    @property
    def working_name(self) -> str:
        """What it is called until it is finished; the names are for our use alone."""
        return f"{UNFINISHED}{self.name}-{self.digest[:16]}"


@dataclass
class Found:
    """What VirtualBox has of it."""

    machines: list[Machine] = field(default_factory=list)
    image: Machine | None = None
    facts: dict[str, str] = field(default_factory=dict)
    unfinished: list[Machine] = field(default_factory=list)

    def named(self, name: str) -> Machine | None:
        """The VM of a name."""
        return next((item for item in self.machines if item.name == name), None)


def is_image(machine: Machine) -> bool:
    """Whether a VM is a finished image."""
    return "digest" in machine.notes and "from" not in machine.notes


def images_of(machines: list[Machine], name: str | None, digest: str | None) -> list[Machine]:
    """The images of a name and a content, where these are given; the newest first."""
    found = [
        item
        for item in machines
        if is_image(item)
        and name in (None, item.notes.get("name"))
        and digest in (None, item.notes["digest"])
    ]
    return sorted(found, key=lambda item: (item.notes.get("created", ""), item.uuid), reverse=True)


def observe(vbox: VBox, name: str, digest: str) -> Found:
    """Looks for an image, and for what is left of attempts to make it."""
    machines = vbox.machines()
    found = Found(machines)
    images = images_of(machines, name, digest)
    if images:
        found.image = images[-1]
        found.facts = vbox.facts(found.image.uuid)
    found.unfinished = [
        item
        for item in machines
        if not is_image(item)
        and (
            item.notes.get("import") == f"{name} {digest}"
            or item.name == f"{UNFINISHED}{name}-{digest[:16]}"
        )
    ]
    return found


def tags_of(machine: Machine) -> dict[str, str]:
    """The tags that a user has given."""
    tags: dict[str, str] = json.loads(machine.notes.get("tags", "{}"))
    return tags


def tags_text(tags: dict[str, str]) -> str:
    """As they are noted; empty when there are none."""
    return json.dumps(tags, sort_keys=True) if tags else ""


def hardware_of(facts: dict[str, str]) -> dict[str, str | int]:
    """The hardware in our words; what we have no word for is said in VirtualBox's."""
    adapters = {value: key for key, value in ADAPTERS.items()}
    controllers = {value: key for key, value in CONTROLLERS.items()}
    adapter = facts.get("nictype1", "none")
    controller = facts.get("storagecontrollertype0", "none")
    return {
        "network_adapter": adapters.get(adapter, adapter),
        "controller": controllers.get(controller, controller),
        "cpus": int(facts.get("cpus", 0)),
        "memory": int(facts.get("memory", 0)),
    }


def asked_hardware(
    asked: dict[str, str | int], options: dict[str, Any], path: Path
) -> dict[str, str | int]:
    """What the options say, else the OVA, else the defaults; fails for what there is not."""
    given = {key: options[key] for key in HARDWARE if options.get(key) is not None}
    hardware = DEFAULTS | asked | given
    for key, known in (("network_adapter", ADAPTERS), ("controller", CONTROLLERS)):
        if hardware[key] not in known:
            raise PublishError(
                f"{path} asks for the {key} {hardware[key]}, which VirtualBox does not have; bake "
                "it with the OVA profile virtualbox, or choose one with "
                f"`{key}`: {', '.join(known)}."
            )
    return hardware


def describe(found: Found) -> dict[str, Any]:
    """An image's facts in the words of the module's options."""
    if found.image is None:
        return {}
    return {
        "vm_name": found.image.name,
        "digest": found.image.notes["digest"],
        **hardware_of(found.facts),
        "description": found.facts.get("description", ""),
        "tags": tags_of(found.image),
    }


def desired(found: Found, wanted: Wanted, description: str) -> dict[str, Any]:
    """What `describe` will say afterwards; `description` is what the image brings along."""
    now = describe(found)
    if now and now["controller"] != wanted.hardware["controller"]:
        raise PublishError(
            f"The VM {now['vm_name']} has this content but its disk is on the controller "
            f"{now['controller']}, not {wanted.hardware['controller']}, and machines are cloned "
            "from it; remove it first (state absent), or publish under another `name`."
        )
    if not now:
        now = {"vm_name": wanted.own_name, "digest": wanted.digest}
        now |= {"description": description, "tags": {}}
    now = now | wanted.hardware
    if wanted.vm_name is not None:
        now["vm_name"] = wanted.vm_name
    if wanted.description is not None:
        now["description"] = wanted.description
    if wanted.tags is not None:
        now["tags"] = wanted.tags if wanted.purge_tags else now["tags"] | wanted.tags
    return now


def plan_present(
    found: Found, wanted: Wanted, description: str, channels: dict[str, list[str]]
) -> Plan:
    """The steps to there being the image, as it shall be; `channels` by the image's UUID."""
    before, after = describe(found), desired(found, wanted, description)
    steps = [
        Step("discard", WHERE, item.name, stage=0, facts={"uuid": item.uuid})
        for item in found.unfinished
    ]
    old = _in_the_way(found, wanted, after["vm_name"], channels)
    if found.image is None:
        steps.append(Step("import", WHERE, after["vm_name"], stage=1, facts=after))
    if old:
        steps.append(Step("replace", WHERE, old.name, stage=2, facts={"uuid": old.uuid}))
    if found.image is None:
        steps.append(Step("register", WHERE, after["vm_name"], stage=3, facts=after))
        return Plan(before, after, tuple(steps))
    uuid = found.image.uuid
    for verb, keys in (
        ("hardware", HARDWARE),
        ("description", ("description",)),
        ("tags", ("tags",)),
        ("rename", ("vm_name",)),
    ):
        if any(before[key] != after[key] for key in keys):
            changes = {key: after[key] for key in keys}
            steps.append(Step(verb, WHERE, before["vm_name"], 3, {"uuid": uuid} | changes))
    return Plan(before, after, tuple(steps))


def _in_the_way(
    found: Found, wanted: Wanted, vm_name: str, channels: dict[str, list[str]]
) -> Machine | None:
    """The image that has the name and is to give it up; fails when it shall not."""
    other = found.named(vm_name)
    if other is None or other in found.unfinished:
        return None
    if found.image is not None and other.uuid == found.image.uuid:
        return None
    if not is_image(other):
        raise PublishError(
            f"The name '{vm_name}' belongs to a VM that is not an image made by Kiln "
            f"({other.uuid}); choose another `vm_name`, or leave it out to get one with the digest "
            "in it."
        )
    if not wanted.replace:
        raise PublishError(
            f"The name '{vm_name}' belongs to an image with the content "
            f"{other.notes['digest'][:12]}, not {wanted.digest[:12]}; set `replace` to have it "
            "replaced, or choose another `vm_name`, or leave that out to get one with the digest "
            "in it."
        )
    check_unused(other, channels)
    return other


def check_unused(image: Machine, channels: dict[str, list[str]]) -> None:
    """Fails when a channel names the image."""
    if channels.get(image.uuid):
        raise PublishError(
            f"{image.name} is what the channel {channels[image.uuid][0]} names; promote another "
            "image or remove the channel first, or set `force`."
        )


def plan_absent(found: Found, channels: dict[str, list[str]]) -> Plan:
    """The steps to there being no such image."""
    steps = [
        Step("discard", WHERE, item.name, facts={"uuid": item.uuid}) for item in found.unfinished
    ]
    if found.image:
        check_unused(found.image, channels)
        steps.append(Step("remove", WHERE, found.image.name, 1, {"uuid": found.image.uuid}))
    return Plan(describe(found), {}, tuple(steps))


def listed(vbox: VBox, images: list[Machine]) -> list[dict[str, Any]]:
    """Images for a reader."""
    told = []
    for item in images:
        facts = vbox.facts(item.uuid)
        told.append(
            {
                "image_id": item.uuid,
                "name": item.notes.get("name", ""),
                "created": item.notes.get("created", ""),
                **describe(Found(image=item, facts=facts)),
            }
        )
    return told
