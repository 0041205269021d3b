# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Templates of one content in a datacenter: what there is, what shall be, the steps between.

A template is found by its custom attributes kiln.name and kiln.digest, never by its own name. It
gets them when all its disks are there, and becomes a template after that; only then it counts as
published. kiln.uuid is its own instance UUID, so a copy that took the attributes along is not ours.

A machine is born under `birth_name` with kiln.unfinished in its extra configuration, which is taken
away before it becomes a template: machines deployed from it inherit what is there. So one that an
interrupted run has left behind is known, and cleared away by the next, and no other ever is.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils import _vsphere_tags
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Plan,
    PublishError,
    Step,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere import (
    Vcenter,
    attributes,
)

with contextlib.suppress(ImportError):
    from pyVmomi import vim

NAME = "kiln.name"
DIGEST = "kiln.digest"
UUID = "kiln.uuid"
UNFINISHED = "kiln.unfinished"
WITHDRAWN = "kiln.withdrawn"
FIXED = ("datastore", "networks")
_PROPERTIES = (
    "name",
    "customValue",
    "parent",
    "config.template",
    "config.annotation",
    "config.createDate",
    "config.instanceUuid",
    "datastore",
    "network",
)


@dataclass
class Machine:
    """A virtual machine or template."""

    ref: Any
    identifier: str
    facts: dict[str, Any]
    marks: dict[str, str]
    template: bool
    created: str = ""

    @property
    def name(self) -> str:
        """Its name in the inventory."""
        return str(self.facts["template_name"])

    @property
    def digest(self) -> str:
        """The content's digest, empty for what Kiln has not made or not ended."""
        return self.marks.get(DIGEST, "")


@dataclass
class Found:
    """What the datacenter has: published ones, and what is left of one that was interrupted.

    `whole` ones are complete but no templates, because a run ended just there or somebody has made
    them machines again.
    """

    where: str
    published: list[Machine] = field(default_factory=list)
    whole: list[Machine] = field(default_factory=list)
    unfinished: list[Machine] = field(default_factory=list)
    others: list[Machine] = field(default_factory=list)

    def of(self, name: str, digest: str | None = None) -> list[Machine]:
        """Published ones of a name, and of a content if given."""
        return [
            item
            for item in self.published
            if item.marks[NAME] == name and digest in (None, item.digest)
        ]

    def of_image(self, identifier: str) -> Machine:
        """The published one with this identifier."""
        return next(item for item in self.published if item.identifier == identifier)


@dataclass(frozen=True)
class Wanted:
    """What is to be; None leaves a thing as it is."""

    name: str
    digest: str
    template_name: str
    folder: str
    fixed: dict[str, Any]
    description: str | None = None
    replace: bool = False
    tags: dict[str, str] | None = None
    purge_tags: bool = True


def birth_name(name: str, digest: str) -> str:
    """What a machine is called at first, and stays when no other name is asked for."""
    return f"{name}-{digest[:12]}"


def birth_mark(name: str, digest: str) -> dict[str, str]:
    """The extra configuration of an unfinished machine."""
    return {UNFINISHED: f"{digest} {name}"}


def observe(vcenter: Vcenter, datacenter: Any, name: str = "", digest: str = "") -> Found:
    """Looks at all machines of the datacenter, and for what is left of a try at one content."""
    found = Found(str(vcenter.read("looking at the datacenter", lambda: datacenter.name)))
    fields = vcenter.fields()
    folders = _folders(vcenter, datacenter)
    names = _names(vcenter, datacenter)
    for ref, facts in vcenter.listing(vim.VirtualMachine, datacenter.vmFolder, _PROPERTIES):
        marks = attributes(facts.get("customValue", []), fields)
        machine = _machine(ref, facts, marks, folders, names)
        own = marks.get(UUID) == facts.get("config.instanceUuid")
        if machine.template and own and machine.digest and NAME in marks:
            found.published.append(machine)
        elif own and {NAME: name, DIGEST: digest}.items() <= marks.items():
            found.whole.append(machine)
        elif (
            digest
            and not machine.template
            and machine.name == birth_name(name, digest)
            and _born(vcenter, ref) == birth_mark(name, digest)
        ):
            found.unfinished.append(machine)
        else:
            machine.marks = {}
            found.others.append(machine)
    return found


def _machine(
    ref: Any,
    facts: dict[str, Any],
    marks: dict[str, str],
    folders: dict[str, str],
    names: dict[str, str],
) -> Machine:
    # Of one that a vCenter before 6.7 made nothing is known; it counts as new, so that it stays.
    created = facts.get("config.createDate") or datetime.now(UTC)
    return Machine(
        ref,
        ref._moId,
        {
            "template_name": facts["name"],
            "digest": marks.get(DIGEST, ""),
            "description": facts.get("config.annotation") or "",
            "folder": folders.get(facts["parent"]._moId, "") if facts.get("parent") else "",
            "datastore": ", ".join(names[item._moId] for item in facts["datastore"]),
            "networks": sorted(names[item._moId] for item in facts["network"]),
            "tags": _vsphere_tags.tags_of(marks),
        },
        marks,
        bool(facts.get("config.template")),
        created.isoformat(),
    )


def _born(vcenter: Vcenter, ref: Any) -> dict[str, str]:
    """What Kiln wrote into the extra configuration of a machine that it began."""
    config = vcenter.read("looking at a machine", lambda: ref.config)
    options = config.extraConfig if config else []
    return {item.key: str(item.value) for item in options if item.key == UNFINISHED}


def _names(vcenter: Vcenter, datacenter: Any) -> dict[str, str]:
    """The names of datastores and networks."""
    stores = vcenter.listing(vim.Datastore, datacenter.datastoreFolder, ["name"])
    networks = vcenter.listing(vim.Network, datacenter.networkFolder, ["name"])
    return {ref._moId: facts["name"] for ref, facts in stores + networks}


def _folders(vcenter: Vcenter, datacenter: Any) -> dict[str, str]:
    """The paths of folders for machines; the topmost is ''."""
    top = datacenter.vmFolder._moId
    known = {
        ref._moId: (facts["name"], facts["parent"]._moId)
        for ref, facts in vcenter.listing(vim.Folder, datacenter.vmFolder, ["name", "parent"])
    }

    def path(identifier: str) -> str:
        if identifier == top or identifier not in known:
            return ""
        name, parent = known[identifier]
        above = path(parent)
        return f"{above}/{name}" if above else name

    return {identifier: path(identifier) for identifier in [top, *known]}


def folder_of(vcenter: Vcenter, datacenter: Any, path: str) -> Any:
    """A folder for machines by its path; fails with those that there are."""
    paths = _folders(vcenter, datacenter)
    wanted = path.strip("/")
    for ref, _facts in vcenter.listing(vim.Folder, datacenter.vmFolder, ["name"]):
        if paths[ref._moId] == wanted:
            return ref
    if not wanted:
        return datacenter.vmFolder
    there = ", ".join(sorted(text for text in paths.values() if text)) or "none"
    raise PublishError(
        f"There is no folder '{path}' for virtual machines in {datacenter.name}; make it first. "
        f"There are: {there}."
    )


# --- plans


def desired(now: dict[str, Any], wanted: Wanted) -> dict[str, Any]:
    """What a template's facts will be."""
    facts = {
        "template_name": wanted.template_name,
        "digest": wanted.digest,
        "folder": wanted.folder,
        "description": wanted.description or "",
        "tags": _vsphere_tags.merged(now.get("tags", {}), wanted.tags, wanted.purge_tags),
        **wanted.fixed,
    }
    if now and wanted.description is None:
        facts["description"] = now["description"]
    return facts


def plan_present(found: Found, wanted: Wanted, channels: dict[str, list[str]]) -> Plan:
    """The steps that make the datacenter have the template, as it shall be.

    `channels` says which channels name a template, by its identifier.
    """
    ours = found.of(wanted.name, wanted.digest)
    machine = next(iter(ours + found.whole), None)
    now = machine.facts if machine else {}
    if machine:
        _check_fixed(machine, wanted, found.where)
    gone = _taken(found, wanted, machine, channels)
    after = desired(now, wanted)
    steps = [
        Step("discard", found.where, item.name, stage=0, facts={"machine": item})
        for item in found.unfinished
    ]
    if machine is None:
        born = birth_name(wanted.name, wanted.digest)
        steps.append(Step("import", found.where, born, stage=1))
        now = after | {"template_name": born}
    elif not ours:
        steps.append(Step("finish", found.where, machine.name, 1, {"machine": machine}))
    steps += [Step("remove", found.where, item.name, 2, {"machine": item}) for item in gone]
    for key, verb in (("template_name", "rename"), ("folder", "move"), ("description", "describe")):
        if now[key] != after[key]:
            steps.append(Step(verb, found.where, str(after[key]), 3, {"machine": machine}))
    if now["tags"] != after["tags"]:
        facts = {"before": now["tags"], "after": after["tags"]}
        steps.append(Step("tag", found.where, _vsphere_tags.told(after["tags"]), 3, facts))
    before = {found.where: ours[0].facts} if ours else {}
    replaced = {f"{found.where}, replaced": item.facts for item in gone}
    return Plan(before | replaced, {found.where: after}, tuple(steps))


def _taken(
    found: Found, wanted: Wanted, own: Machine | None, channels: dict[str, list[str]]
) -> list[Machine]:
    """Templates to be replaced that have the name; fails when they may not be."""
    gone: list[Machine] = []
    needed = {wanted.template_name} | (set() if own else {birth_name(wanted.name, wanted.digest)})
    for item in [*found.published, *found.others]:
        if item is own or item.name not in needed or item.facts["folder"] != wanted.folder:
            continue
        _check_replaced(found, wanted, item, channels)
        gone.append(item)
    return gone


def _check_replaced(
    found: Found, wanted: Wanted, item: Machine, channels: dict[str, list[str]]
) -> None:
    """Fails unless a template that has the name may go."""
    ours = item in found.published
    what = f"the content {item.digest[:12]}" if ours else "something not made by Kiln"
    if not ours or not wanted.replace or item.name != wanted.template_name:
        raise PublishError(
            f"In {found.where} the name '{item.name}' belongs to {what}, not "
            f"{wanted.digest[:12]}; choose another `template_name`, leave it out to get one with "
            "the digest in it" + (", or set `replace`." if ours else ", or rename that one.")
        )
    if channels.get(item.identifier):
        raise PublishError(
            f"'{item.name}' in {found.where} is what the channel "
            f"{channels[item.identifier][0]} names, so it is not replaced; publish under another "
            "`template_name` and promote that."
        )


def _check_fixed(machine: Machine, wanted: Wanted, where: str) -> None:
    """Fails when a template of this content lies elsewhere."""
    for key in FIXED:
        if machine.facts[key] != wanted.fixed[key]:
            raise PublishError(
                f"'{machine.name}' in {where} has this content but its {key} is "
                f"{machine.facts[key]!r}, not {wanted.fixed[key]!r}, and that is not changed; "
                "remove it first (state absent), or publish under another `name`."
            )


def plan_absent(
    found: Found, name: str, digest: str, channels: dict[str, list[str]], force: bool
) -> Plan:
    """The steps that take the template of this content away, and what is left of others' tries."""
    ours = found.of(name, digest)
    for item in ours:
        if channels.get(item.identifier) and not force:
            raise PublishError(
                f"'{item.name}' in {found.where} is what the channel "
                f"{channels[item.identifier][0]} names; promote another image or remove the "
                "channel first, or set `force`."
            )
    steps = [Step("remove", found.where, item.name, 0, {"machine": item}) for item in ours]
    steps += [
        Step("discard", found.where, item.name, 0, {"machine": item}) for item in found.unfinished
    ]
    return Plan({found.where: ours[0].facts} if ours else {}, {}, tuple(steps))
