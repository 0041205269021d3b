# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Reads OVA files: what is in them, whether they are whole, and what their descriptor says.

An OVA is a USTAR archive of descriptor, manifest and files (DMTF's DSP0243, 5.3). The manifest has
the digest of each (5.1), SHA-1 in old ones, SHA-256 or SHA-512, and is held to. `outline` reads no
more than it must to know the descriptor, `hold` all files, `read` does both and digests the whole:
the digest of an OVA is the SHA-256 of the file.
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
from ansible_collections.kiln.unikernel.plugins.module_utils._store import digest_file

_CHUNK = 1 << 20
_LINE = re.compile(r"(SHA1|SHA256|SHA512)\s?\((.+)\)\s?=\s*([0-9A-Fa-f]+)")
# Two blocks of zeros end an archive (POSIX 1003.1, pax, "ustar Interchange Format").
_END = bytes(1024)


@dataclass(frozen=True)
class Place:
    """Where a file lies in the archive."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True)
class Member(Place):
    """A file in the archive that was read, with its SHA-256."""

    digest: str


@dataclass(frozen=True)
class Outline:
    """An OVA of which nothing but headers and descriptor was read."""

    path: Path
    places: tuple[Place, ...]
    descriptor: str
    root: ET.Element


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
        for chunk in _chunks(self.path, member):
            state.update(chunk)
            yield chunk
        if state.hexdigest() != member.digest:
            raise PublishError(
                f"{self.path} has changed while it was being published; nothing of it is shown as "
                "published. Let whatever writes it come to its end, and run this again."
            )


def read(path: Path) -> Package:
    """Reads all of an OVA; fails with a sentence for what is not one, or not whole."""
    found = outline(path)
    try:
        digest = digest_file(path)
    except OSError as problem:
        raise _unreadable(path, problem) from None
    networks = tuple(_attributes(found.root, "Network", "name"))
    package = Package(path, digest, found.descriptor, hold(found), networks)
    for href in _attributes(found.root, "File", "href"):
        package.member(href)
    return package


def outline(path: Path) -> Outline:
    """The files' places and the descriptor; fails when it is not an OVA, or cut short."""
    try:
        places = _places(path)
        first = places[0] if places else None
        if first is None or not first.name.endswith(".ovf"):
            raise PublishError(f"{path} does not begin with an OVF descriptor, so it is no OVA.")
        text = _text(path, first)
    except OSError as problem:
        raise _unreadable(path, problem) from None
    try:
        return Outline(path, places, text, ET.fromstring(text))
    except ET.ParseError as problem:
        raise PublishError(f"The OVF descriptor in {path} is not XML: {problem}.") from None


def hold(found: Outline, manifest_needed: bool = True) -> tuple[Member, ...]:
    """Reads all files and holds them to the manifest, which need not be there unless it is needed.

    Each file but manifest and signature must be in it, and be what it says.
    """
    try:
        told = _manifest(found, manifest_needed)
        members = tuple(_held(found.path, place, told) for place in found.places)
    except OSError as problem:
        raise _unreadable(found.path, problem) from None
    missing = sorted(set(told or {}) - {item.name for item in members})
    if missing:
        raise PublishError(
            f"The manifest in {found.path} names {missing[0]}, which is not in it; make or fetch "
            "it again."
        )
    return members


def _places(path: Path) -> tuple[Place, ...]:
    try:
        with tarfile.open(path, "r:") as archive:
            files = _files(path, archive)
    except tarfile.TarError:
        raise PublishError(
            f"{path} is not an OVA, or its beginning is damaged; make or fetch it again."
        ) from None
    end = max((item.offset_data + item.size for item in files), default=0)
    with path.open("rb") as stream:
        stream.seek(-(-end // 512) * 512)
        if stream.read(len(_END)) != _END:
            raise _cut_short(path)
    return tuple(Place(item.name, item.offset_data, item.size) for item in files)


def _files(path: Path, archive: tarfile.TarFile) -> list[tarfile.TarInfo]:
    try:
        return [item for item in archive.getmembers() if item.isfile()]
    except tarfile.TarError:
        raise _cut_short(path) from None


def _cut_short(path: Path) -> PublishError:
    return PublishError(f"The OVA {path} is cut short; make or fetch it again.")


def _unreadable(path: Path, problem: OSError) -> PublishError:
    return PublishError(f"The OVA {path} cannot be read: {problem.strerror}.")


def _chunks(path: Path, place: Place) -> Iterator[bytes]:
    size = place.size
    with path.open("rb") as stream:
        stream.seek(place.offset)
        while size > 0 and (chunk := stream.read(min(_CHUNK, size))):
            size -= len(chunk)
            yield chunk


def _text(path: Path, place: Place) -> str:
    return b"".join(_chunks(path, place)).decode(errors="replace")


def _manifest(found: Outline, needed: bool) -> dict[str, tuple[str, str]] | None:
    """File → algorithm and digest; None when there is no manifest."""
    place = next((item for item in found.places if item.name.endswith(".mf")), None)
    if place is not None:
        return dict(parse_manifest(found.path, _text(found.path, place)))
    if needed:
        raise PublishError(f"{found.path} has no .mf file in it, so it is not a whole OVA.")
    return None


def parse_manifest(path: Path, text: str) -> list[tuple[str, tuple[str, str]]]:
    """The manifest's lines: file, algorithm, digest."""
    lines = []
    for line in filter(None, map(str.strip, text.splitlines())):
        found = _LINE.fullmatch(line)
        if not found:
            raise PublishError(f"The manifest in {path} cannot be understood: '{line}'.")
        lines.append((found[2], (found[1].lower(), found[3].lower())))
    return lines


def _held(path: Path, place: Place, told: dict[str, tuple[str, str]] | None) -> Member:
    """A file with its SHA-256; fails when it is not what the manifest says."""
    own = told is None or place.name.endswith((".mf", ".cert"))
    algorithm, digest = ("sha256", "") if own or told is None else told.get(place.name, ("", ""))
    if not algorithm:
        raise PublishError(
            f"The manifest in {path} does not name {place.name}, which is in it; make or fetch it "
            "again."
        )
    states = {name: hashlib.new(name) for name in ("sha256", algorithm)}
    for chunk in _chunks(path, place):
        for state in states.values():
            state.update(chunk)
    found = states[algorithm].hexdigest()
    if digest and found != digest:
        raise PublishError(
            f"{place.name} in {path} does not have the digest that the manifest says "
            f"({algorithm.upper()} {digest[:12]}, found {found[:12]}): it was changed or damaged; "
            "make or fetch it again."
        )
    return Member(place.name, place.offset, place.size, states["sha256"].hexdigest())


def _attributes(root: ET.Element, tag: str, attribute: str) -> list[str]:
    """An attribute of all elements of this tag, whatever the envelope's version."""
    return [
        value
        for element in root.iter()
        if element.tag.rpartition("}")[2] == tag
        for key, value in element.attrib.items()
        if key.rpartition("}")[2] == attribute
    ]
