# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What there is to import: an OVA or a disk, its digest, and the hardware that it asks for.

An OVA is verified before VirtualBox sees it, by _ova_read. VirtualBox takes an OVA without a
manifest; so it is here.
"""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field, replace
from pathlib import Path

from ansible_collections.kiln.unikernel.plugins.module_utils import _ova_read
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import PublishError
from ansible_collections.kiln.unikernel.plugins.module_utils._store import digest_file
from ansible_collections.kiln.unikernel.plugins.module_utils._vmdk import content_of

_MAGIC = {b"KDMV": "vmdk", b"cone": "vhd", b"<<< ": "vdi"}
_OTHERS = {
    b"QFI\xfb": "a qcow2 image",
    b"vhdx": "a VHDX",
    b"\x1f\x8b\x08\x00": "compressed by gzip",
    b"\xfd7zX": "compressed by xz",
    b"(\xb5/\xfd": "compressed by zstd",
}
# CIM_ResourceAllocationSettingData.ResourceType
_CPU, _MEMORY, _ETHERNET, _CONTROLLERS = "3", "4", "10", ("5", "6", "20")
# ResourceSubType, in lower case → the word that our options have for it.
ADAPTERS = {"e1000": "e1000", "virtionet": "virtio", "pcnet32": "pcnet"}
CONTROLLERS = {"ahci": "ahci", "lsilogic": "lsilogic", "virtioscsi": "virtio-scsi"}


@dataclass(frozen=True)
class Package:
    """A file to import.

    `holds` are the bytes that are written when it is copied, `asked` is hardware that an OVA asks
    for, by our options' names.
    """

    path: Path
    kind: str
    digest: str
    size: int
    modified: int
    holds: int
    description: str = ""
    asked: dict[str, str | int] = field(default_factory=dict)

    def check_unchanged(self) -> None:
        """Fails when the file is not the one that was read."""
        state = _stat(self.path)
        if (state.st_size, state.st_mtime_ns) != (self.size, self.modified):
            raise PublishError(
                f"{self.path} has changed while it was being imported; nothing was registered. Let "
                "whatever writes it come to its end, and run this again."
            )


def examine(path: Path) -> Package:
    """Reads a file whole; fails for what VirtualBox cannot have."""
    state = _stat(path)
    kind = _kind_of(path, state.st_size)
    plain = Package(
        path, kind, digest_file(path), state.st_size, state.st_mtime_ns,
        min(state.st_size, state.st_blocks * 512),
    )  # fmt: skip
    package = _of_ova(plain) if kind == "ova" else plain
    package.check_unchanged()
    return package


def _stat(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as problem:
        raise PublishError(f"The image {path} cannot be read: {problem.strerror}.") from None


def _kind_of(path: Path, size: int) -> str:
    if not path.is_file():
        raise PublishError(f"{path} is not a file; `path` names an OVA or a disk.")
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
            stream.seek(max(0, size - 512))
            tail = stream.read(512)
    except OSError as problem:
        raise PublishError(f"The image {path} cannot be read: {problem.strerror}.") from None
    if head[257:262] == b"ustar":
        return "ova"
    if head[:4] in _MAGIC:
        return _MAGIC[head[:4]]
    if tail[:8] == b"conectix":
        return "vhd"
    other = _OTHERS.get(head[:4])
    if other:
        raise PublishError(
            f"{path} is {other}; VirtualBox gets an OVA, a raw disk, a VDI, a VMDK or a VHD: bake "
            "it with one of these among its `formats`."
        )
    if not size or size % 512:
        raise PublishError(
            f"{path} has {size} bytes, which is neither an OVA nor a whole number of 512-byte "
            "sectors above zero; it is cut short or not a disk image."
        )
    return "raw"


def _of_ova(package: Package) -> Package:
    """With what the descriptor says, and how much its disks hold when they are unpacked."""
    found = _ova_read.outline(package.path)
    disks = (place for place in found.places if place.name.endswith(".vmdk"))
    holds = sum(content_of(package.path, place.offset, place.size) for place in disks)
    return replace(
        package,
        holds=holds or package.size,
        description=_annotation(found.root),
        asked=_asked(found.root),
    )


def _annotation(root: ET.Element) -> str:
    return next((each.text or "" for each in root.iter() if _local(each) == "Annotation"), "")


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _asked(root: ET.Element) -> dict[str, str | int]:
    """The hardware of its first machine; a word that we have no option for is kept as it is."""
    asked: dict[str, str | int] = {}
    names = ("Item", "StorageItem", "EthernetPortItem")
    for item in (each for each in root.iter() if _local(each) in names):
        facts = {_local(each): (each.text or "").strip() for each in item}
        kind, subtype = facts.get("ResourceType"), facts.get("ResourceSubType", "")
        if kind == _CPU:
            asked.setdefault("cpus", int(facts.get("VirtualQuantity", "1")))
        elif kind == _MEMORY:
            asked.setdefault("memory", _mebibytes(facts))
        elif kind == _ETHERNET and subtype:
            asked.setdefault("network_adapter", ADAPTERS.get(subtype.lower(), subtype))
        elif kind in _CONTROLLERS and subtype:
            asked.setdefault("controller", CONTROLLERS.get(subtype.lower(), subtype))
    return asked


def _mebibytes(facts: dict[str, str]) -> int:
    """Memory by its unit, DSP0004's programmatic units; those in use are bytes by powers of two."""
    power = re.search(r"2\s*\^\s*(\d+)", facts.get("AllocationUnits", "byte * 2^20"))
    amount = int(facts.get("VirtualQuantity", "0")) << int(power[1] if power else 0)
    return amount >> 20


def verify(package: Package) -> None:
    """Holds the files of an OVA against its manifest."""
    if package.kind == "ova":
        _ova_read.hold(_ova_read.outline(package.path), manifest_needed=False)
