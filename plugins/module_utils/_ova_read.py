# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Reads OVA files: what is in them, whether they are whole, and their descriptor's networks.

An OVA is a USTAR archive of descriptor, manifest and files (DMTF's DSP0243, 5.3). The manifest has
the digest of each (5.1), and is held to. The digest of an OVA is the SHA-256 of the whole file.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.kiln.unikernel.plugins.module_utils._publish import PublishError

_CHUNK = 1 << 20
_LINE = re.compile(r"(SHA1|SHA256|SHA512)\((.+)\)= *([0-9a-f]+)")
# Two blocks of zeros end an archive (POSIX 1003.1, pax, "ustar Interchange Format").
_END = bytes(1024)


@dataclass(frozen=True)
class Member:
    """A file in the archive: where it lies, and its SHA-256."""

    name: str
    offset: int
    size: int
    digest: str


@dataclass(frozen=True)
class Package:
    """An OVA that was read and found whole."""

    path: Path
    digest: str
    descriptor: str
    members: tuple[Member, ...]
    networks: tuple[str, ...]

    def member(self, name: str) -> Member:
        """The file of this name."""
        for item in self.members:
            if item.name == name:
                return item
        raise PublishError(f"{self.path} has no file {name}, which its descriptor names.")

    def content(self, member: Member) -> Iterator[bytes]:
        """A file's bytes; fails when they are not those that were read before."""
        state = hashlib.sha256()
        for chunk in _chunks(self.path, member.offset, member.size):
            state.update(chunk)
            yield chunk
        if state.hexdigest() != member.digest:
            raise PublishError(
                f"{self.path} has changed while it was being published; nothing of it is shown as "
                "published. Let whatever writes it come to its end, and run this again."
            )


def read(path: Path) -> Package:
    """Reads all of an OVA; fails with a sentence for what is not one, or not whole."""
    try:
        places = _places(path)
        whole = hashlib.sha256()
        for chunk in _chunks(path, 0, path.stat().st_size):
            whole.update(chunk)
        members = tuple(_member(path, *place) for place in places)
        descriptor, manifest = (_text(path, members, ending) for ending in (".ovf", ".mf"))
    except OSError as problem:
        raise PublishError(f"The OVA {path} cannot be read: {problem.strerror}.") from None
    _hold(path, members, manifest)
    root = _parse(path, descriptor)
    package = Package(path, whole.hexdigest(), descriptor, members, _networks(root))
    for href in _attributes(root, "File", "href"):
        package.member(href)
    return package


def _places(path: Path) -> list[tuple[str, int, int]]:
    """Name, offset and size of each member."""
    try:
        with tarfile.open(path, "r:") as archive:
            places = [(item.name, item.offset_data, item.size) for item in archive.getmembers()]
    except tarfile.TarError:
        raise PublishError(f"{path} is not an OVA, or its beginning is damaged.") from None
    end = max((offset + size for _name, offset, size in places), default=0)
    with path.open("rb") as stream:
        stream.seek(-(-end // 512) * 512)
        if stream.read(len(_END)) != _END:
            raise PublishError(f"The OVA {path} is not whole: its end is missing. Copy it again.")
    return places


def _member(path: Path, name: str, offset: int, size: int) -> Member:
    state = hashlib.sha256()
    for chunk in _chunks(path, offset, size):
        state.update(chunk)
    return Member(name, offset, size, state.hexdigest())


def _chunks(path: Path, offset: int, size: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(offset)
        while size > 0 and (chunk := stream.read(min(_CHUNK, size))):
            size -= len(chunk)
            yield chunk


def _text(path: Path, members: tuple[Member, ...], ending: str) -> str:
    for item in members:
        if item.name.endswith(ending):
            return b"".join(_chunks(path, item.offset, item.size)).decode(errors="replace")
    raise PublishError(f"{path} has no {ending} file in it, so it is not a whole OVA.")


def _hold(path: Path, members: tuple[Member, ...], manifest: str) -> None:
    """Holds the files to the manifest."""
    told = {found[2]: (found[1], found[3]) for found in _LINE.finditer(manifest)}
    for item in members:
        if item.name.endswith((".mf", ".cert")):
            continue
        kind, digest = told.get(item.name, ("", ""))
        if not kind or _digest(path, item, kind) != digest:
            raise PublishError(
                f"{item.name} in {path} is not what the manifest says; bake or copy the OVA again."
            )


def _digest(path: Path, item: Member, kind: str) -> str:
    if kind == "SHA256":
        return item.digest
    state = hashlib.new(kind.lower())
    for chunk in _chunks(path, item.offset, item.size):
        state.update(chunk)
    return state.hexdigest()


def _parse(path: Path, descriptor: str) -> ET.Element:
    try:
        return ET.fromstring(descriptor)
    except ET.ParseError as problem:
        raise PublishError(f"The descriptor in {path} is not XML: {problem}.") from None


def _networks(root: ET.Element) -> tuple[str, ...]:
    return tuple(_attributes(root, "Network", "name"))


def _attributes(root: ET.Element, tag: str, attribute: str) -> list[str]:
    """An attribute of all elements of this tag, whatever the envelope's version."""
    return [
        value
        for element in root.iter()
        if element.tag.rpartition("}")[2] == tag
        for key, value in element.attrib.items()
        if key.rpartition("}")[2] == attribute
    ]
