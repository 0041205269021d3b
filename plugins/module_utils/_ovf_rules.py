# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Holds an OVF descriptor against the rules of DMTF's DSP0243, each cited by its clause.

The clauses are those of version 1.1.0; 2.1.1 has the same ones for what is checked here, but for
StorageItem and EthernetPortItem, which are its own. `check` returns one sentence an offence.

These rules see what DMTF's XML schemas see (order, required elements and attributes) for the
elements that our descriptors have, and what schemas cannot see: references that lead nowhere.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Mapping

from ansible_collections.kiln.unikernel.plugins.module_utils._ovf import (
    ENVELOPE,
    EPASD,
    RASD,
    SASD,
    VSSD,
)

_SECTIONS = {
    "DiskSection", "NetworkSection", "ResourceAllocationSection", "AnnotationSection",
    "ProductSection", "EulaSection", "StartupSection", "DeploymentOptionSection",
    "OperatingSystemSection", "InstallSection", "VirtualHardwareSection",
}  # fmt: skip
# What sections and their elements hold: names in order, with the most there may be of each (0: any
# number). Only those that our descriptors have; elements of other namespaces may follow.
_HOLDS: dict[str, dict[str, int]] = {
    "References": {"File": 0},
    "File": {},
    "DiskSection": {"Info": 1, "Disk": 0},
    "Disk": {},
    "NetworkSection": {"Info": 1, "Network": 0},
    "Network": {"Description": 1},
    "OperatingSystemSection": {"Info": 1, "Description": 1},
    "AnnotationSection": {"Info": 1, "Annotation": 1},
    "VirtualHardwareSection": {
        "Info": 1, "System": 1, "Item": 0, "EthernetPortItem": 0, "StorageItem": 0
    },
}  # fmt: skip
_NEEDED = {"AnnotationSection": "Annotation", "VirtualHardwareSection": "System"}
# Settings that CIM's schemas have for every kind of item, and those of a system.
_ITEM_SETTINGS = set(
    "Address AddressOnParent AllocationUnits AutomaticAllocation AutomaticDeallocation Caption "
    "ChangeableType ConfigurationName Connection ConsumerVisibility Description ElementName "
    "Generation HostResource InstanceID Limit MappingBehavior OtherResourceType Parent PoolID "
    "Reservation ResourceSubType ResourceType VirtualQuantity Weight".split()
)
_SYSTEM_SETTINGS = set(
    "Caption Description ElementName InstanceID Notes VirtualSystemIdentifier "
    "VirtualSystemType".split()
)
_REPEATED = {"Connection", "HostResource", "Notes"}
_CONTENT = {"VirtualSystem", "VirtualSystemCollection"}
# Element → namespace of its children.
_ITEMS = {"Item": RASD, "StorageItem": SASD, "EthernetPortItem": EPASD}


def check(text: bytes, files: Mapping[str, int]) -> list[str]:
    """The offences of a descriptor in a package with these other files (name → size)."""
    try:
        root = ET.fromstring(text)
    except ET.ParseError as problem:
        return [f"the descriptor is not well-formed XML ({problem}) (DSP0243, 6)"]
    space, name = _split(root.tag)
    if name != "Envelope" or space not in ENVELOPE.values():
        return [f"the root element is {root.tag}, not Envelope of a known version (DSP0243, 7.1)"]
    return [*_Checker(root, space, files).offences()]


def _split(tag: str) -> tuple[str, str]:
    space, separator, name = tag.rpartition("}")
    return space.lstrip("{") if separator else "", name


class _Checker:
    """One descriptor under examination."""

    def __init__(self, root: ET.Element, space: str, files: Mapping[str, int]) -> None:
        self._root = root
        self._space = space
        self._files = files

    def offences(self) -> Iterator[str]:
        yield from self._envelope()
        yield from self._file_references()
        yield from self._disks()
        yield from self._networks()
        for system in self._all("VirtualSystem"):
            yield from self._content(system)
        for section in self._root.iter():
            if self._name(section) in _SECTIONS:
                yield from self._section(section)
            if self._name(section) in _HOLDS:
                yield from self._holds(section)
        for hardware in self._all("VirtualHardwareSection"):
            yield from self._hardware(hardware)

    def _name(self, element: ET.Element) -> str:
        """The name of an OVF element, empty for others."""
        space, name = _split(element.tag)
        return name if space == self._space else ""

    def _all(self, name: str) -> list[ET.Element]:
        return list(self._root.iter(f"{{{self._space}}}{name}"))

    def _attribute(self, element: ET.Element, name: str) -> str | None:
        return element.get(f"{{{self._space}}}{name}")

    def _envelope(self) -> Iterator[str]:
        """References, sections, one content, strings: in this order."""
        ranks = [self._rank(child) for child in self._root]
        names = [_split(child.tag)[1] for child in self._root]
        if ranks != sorted(ranks):
            yield (
                f"Envelope holds {', '.join(names)}; it must hold References, sections, the "
                "content and Strings, in this order (DSP0243, 7.1 and schema DSP8023)"
            )
        for rank, what in ((0, "References"), (2, "VirtualSystem or VirtualSystemCollection")):
            if ranks.count(rank) != 1:
                yield f"Envelope must hold exactly one {what} (DSP0243, 7.1)"

    def _holds(self, element: ET.Element) -> Iterator[str]:
        """Known elements of the envelope's namespace, in order, none too often."""
        what = self._name(element)
        order = _HOLDS[what]
        own = [child for child in element if _split(child.tag)[0] == self._space]
        names = [self._name(child) for child in own]
        foreign = [name for name in names if name not in order]
        for name in foreign:
            yield f"{what} holds {name}, which it has no place for (DSP0243, 7.3)"
        places = [list(order).index(name) for name in names if name in order]
        if places != sorted(places) or list(element)[: len(own)] != own:
            wanted = ", ".join(order)
            yield f"{what} must hold {wanted} in this order (DSP0243, 7.1 and schema DSP8023)"
        for name, most in order.items():
            if most and names.count(name) > most:
                yield f"{what} holds {names.count(name)} {name} (DSP0243, 7.1)"
        if what in _NEEDED and _NEEDED[what] not in names:
            yield f"{what} has no {_NEEDED[what]} (DSP0243, 9.4 and 8.1)"

    def _rank(self, child: ET.Element) -> int:
        name = self._name(child)
        order = [{"References"}, _SECTIONS, _CONTENT, {"Strings"}]
        return next((rank for rank, names in enumerate(order) if name in names), len(order))

    def _file_references(self) -> Iterator[str]:
        files = self._all("File")
        yield from self._unique(files, "id", "7.1")
        yield from self._unique(files, "href", "7.1")
        for file in files:
            href, size = (self._attribute(file, name) or "" for name in ("href", "size"))
            if href not in self._files:
                yield f"File refers to {href}, which is not in the package (DSP0243, 7.1)"
            elif size and size != str(self._files[href]):
                yield (
                    f"File says that {href} has {size} bytes, but it has {self._files[href]} "
                    "(DSP0243, 7.1)"
                )
        for name in sorted(set(self._files) - {self._attribute(file, "href") for file in files}):
            yield f"the package holds {name}, to which no File refers (DSP0243, 5.1)"

    def _unique(self, elements: list[ET.Element], name: str, clause: str) -> Iterator[str]:
        values = [self._attribute(element, name) for element in elements]
        what = _split(elements[0].tag)[1] if elements else ""
        if None in values:
            yield f"{what} has no attribute ovf:{name} (DSP0243, {clause})"
        for value, count in Counter(values).items():
            if count > 1 and value is not None:
                yield f'{count} {what} elements have the ovf:{name} "{value}" (DSP0243, {clause})'

    def _disks(self) -> Iterator[str]:
        disks = self._all("Disk")
        known = {self._attribute(file, "id") for file in self._all("File")}
        yield from self._unique(disks, "diskId", "9.1")
        for disk in disks:
            capacity = self._attribute(disk, "capacity") or ""
            if not capacity.isdigit() and not capacity.startswith("${"):
                yield f'the capacity "{capacity}" of a Disk is no number (DSP0243, 9.1)'
            reference = self._attribute(disk, "fileRef")
            if reference is not None and reference not in known:
                yield f'a Disk refers to the File "{reference}", which is not there (DSP0243, 9.1)'
            if not self._attribute(disk, "format"):
                yield "a Disk has no ovf:format (DSP0243, 9.1)"

    def _networks(self) -> Iterator[str]:
        networks = self._all("Network")
        yield from self._unique(networks, "name", "9.2")
        known = {self._attribute(network, "name") for network in networks}
        for space in _ITEMS.values():
            for connection in self._root.iter(f"{{{space}}}Connection"):
                if connection.text not in known:
                    yield (
                        f'a Connection names "{connection.text}", which is no Network of the '
                        "NetworkSection (DSP0243, 9.2)"
                    )

    def _content(self, system: ET.Element) -> Iterator[str]:
        if not self._attribute(system, "id"):
            yield "VirtualSystem has no ovf:id (DSP0243, 7.2)"
        names = [self._name(child) for child in system]
        ranks = [{"Info": 0, "Name": 1}.get(name, 2) for name in names]
        known = _SECTIONS | {"Info", "Name"}
        if names[:1] != ["Info"] or ranks != sorted(ranks) or not set(names) <= known:
            yield "VirtualSystem must hold Info, Name, then sections (DSP0243, 7.2)"
        if names.count("Info") > 1 or names.count("Name") > 1:
            yield "VirtualSystem holds Info or Name more than once (DSP0243, 7.2)"
        if names.count("VirtualHardwareSection") != 1:
            yield "VirtualSystem must hold a VirtualHardwareSection (DSP0243, 8.1)"

    def _section(self, section: ET.Element) -> Iterator[str]:
        names = [self._name(child) for child in section]
        if names[:1] != ["Info"]:
            yield f"{self._name(section)} does not begin with Info (DSP0243, 7.1)"
        if (
            self._name(section) == "OperatingSystemSection"
            and not (self._attribute(section, "id") or "").isdigit()
        ):
            yield "OperatingSystemSection has no number as ovf:id (DSP0243, 9.9)"

    def _hardware(self, section: ET.Element) -> Iterator[str]:
        names = [self._name(child) for child in section]
        if self._space == ENVELOPE["1.0"] and {"StorageItem", "EthernetPortItem"} & set(names):
            yield "StorageItem and EthernetPortItem are of envelope 2 (DSP0243 2.1.1, 8.3)"
        for system in section.iter(f"{{{self._space}}}System"):
            yield from self._settings(system, VSSD, ("ElementName", "InstanceID"), "8.1")
        items = [child for child in section if self._name(child) in _ITEMS]
        numbers = []
        for item in items:
            space = _ITEMS[self._name(item)]
            needed = ("ElementName", "InstanceID", "ResourceType")
            yield from self._settings(item, space, needed, "8.3")
            numbers.append(item.findtext(f"{{{space}}}InstanceID"))
        for number, count in Counter(numbers).items():
            if count > 1:
                yield f"{count} items have the InstanceID {number} (DSP0243, 8.3)"
        for item in items:
            yield from self._item_references(item, set(numbers))

    def _settings(
        self, element: ET.Element, space: str, needed: tuple[str, ...], clause: str
    ) -> Iterator[str]:
        """CIM's settings: in the order of the alphabet, with what must be there."""
        names = [_split(child.tag)[1] for child in element if _split(child.tag)[0] == space]
        what = self._name(element)
        if names != sorted(names):
            yield f"the settings of {what} are not in their schema's order (DSP0243, {clause})"
        allowed = _SYSTEM_SETTINGS if space == VSSD else _ITEM_SETTINGS
        for name, count in Counter(names).items():
            if name not in allowed:
                yield f"{what} holds {name}, which is no setting of it (DSP0243, {clause})"
            elif count > 1 and name not in _REPEATED:
                yield f"{what} holds {count} {name} (DSP0243, {clause})"
        for name in needed:
            if not element.findtext(f"{{{space}}}{name}"):
                yield f"{what} has no {name} (DSP0243, {clause})"

    def _item_references(self, item: ET.Element, numbers: set[str | None]) -> Iterator[str]:
        space = _ITEMS[self._name(item)]
        parent = item.findtext(f"{{{space}}}Parent")
        if parent is not None and parent not in numbers:
            yield f"an item's Parent is {parent}, which no item is (DSP0243, 8.3)"
        known = {f"disk/{self._attribute(disk, 'diskId')}" for disk in self._all("Disk")}
        known |= {f"file/{self._attribute(file, 'id')}" for file in self._all("File")}
        for resource in item.iter(f"{{{space}}}HostResource"):
            if (resource.text or "").removeprefix("ovf:/") not in known:
                yield f"an item's HostResource is {resource.text}, which is nothing (DSP0243, 8.3)"
