# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Packs OVA files: an OVF descriptor, its manifest and a disk in one tar archive.

After DMTF's DSP0243: the archive is USTAR, and in it come the descriptor, the manifest, then the
files in the order of the descriptor's References (5.3); the manifest has a line with the digest of
each of them (5.1). Owners, modes and times are fixed, so the same disk gives the same bytes.
"""

from __future__ import annotations

import io
import tarfile
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.kiln.unikernel.plugins.module_utils import _ovf, _ovf_rules
from ansible_collections.kiln.unikernel.plugins.module_utils._ovf import DiskFile, Machine
from ansible_collections.kiln.unikernel.plugins.module_utils._store import (
    KilnError,
    digest_bytes,
    digest_file,
)

try:
    import xmlschema

    HAS_XMLSCHEMA = True
except ImportError:
    HAS_XMLSCHEMA = False

# 1980-01-01, as everywhere in an image.
_TIME = 315532800
_LARGEST = (8 << 30) - 1  # what a USTAR header can say


def disk_name(machine: Machine) -> str:
    """What the disk is called in the package, and so in its own descriptor."""
    return f"{machine.name}-disk1.vmdk"


def write_ova(
    target: Path, machine: Machine, disk: DiskFile, content: Path, schemas: Sequence[Path] = ()
) -> None:
    """Packs the VMDK at `content`; refuses to when the descriptor breaks a rule."""
    if disk.size > _LARGEST:
        raise KilnError(f"The disk of {machine.name} has {disk.size} bytes, too many for an OVA.")
    descriptor = _ovf.describe(machine, disk)
    offences = _ovf_rules.check(descriptor, {disk.name: content.stat().st_size})
    if offences:
        raise KilnError(f"The OVF descriptor of {machine.name} is not valid: {offences[0]}.")
    validate(descriptor, schemas)
    names = f"{machine.name}.ovf", f"{machine.name}.mf"
    manifest = "".join(
        f"SHA256({name})= {digest}\n"
        for name, digest in (
            (names[0], digest_bytes(descriptor)),
            (disk.name, digest_file(content)),
        )
    )
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in zip(names, (descriptor, manifest.encode()), strict=True):
            archive.addfile(_member(name, len(data)), io.BytesIO(data))
        with content.open("rb") as stream:
            archive.addfile(_member(disk.name, disk.size), stream)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, _TIME, 0o644
    return member


def read_descriptor(path: Path) -> bytes:
    """The descriptor of an OVA, which is its first member."""
    with tarfile.open(path) as archive:
        first = archive.next()
        stream = archive.extractfile(first) if first and first.name.endswith(".ovf") else None
        if stream is None:
            raise KilnError(f"{path} does not begin with an OVF descriptor, so it is no OVA.")
        return stream.read()


def validate(descriptor: bytes, schemas: Sequence[Path]) -> None:
    """Holds a descriptor against XML schema files, which import each other by namespace.

    Nothing is fetched: what a schema imports must be among the files.
    """
    if not schemas:
        return
    spaces = {_read_schema(path).get("targetNamespace", ""): path for path in schemas}
    root = ET.fromstring(descriptor).tag.partition("}")[0].lstrip("{")
    if root not in spaces:
        raise KilnError(
            f"None of the files in ovf_schema is for the namespace {root}; give DMTF's DSP8023 of "
            "the version that ovf_version says."
        )
    try:
        locations = [(space, spaces[space].resolve().as_uri()) for space in _needed(root, spaces)]
        schema = xmlschema.XMLSchema(
            str(spaces[root].resolve()), locations=locations, allow="local", use_fallback=False
        )
        problem = next(schema.iter_errors(io.BytesIO(descriptor)), None)
    except xmlschema.XMLSchemaException as trouble:
        raise KilnError(f"The files in ovf_schema cannot be used: {_line(trouble)}.") from None
    if problem is not None:
        raise KilnError(
            f"The OVF descriptor is not valid by {spaces[root]}: {_line(problem.reason)} at "
            f"{problem.path}."
        )


def _read_schema(path: Path) -> ET.Element:
    try:
        return ET.parse(path).getroot()
    except (OSError, ET.ParseError) as problem:
        raise KilnError(f"The schema {path} of ovf_schema cannot be read: {problem}.") from None


def _needed(root: str, spaces: dict[str, Path]) -> list[str]:
    """The namespaces that a schema imports, and those that these import, as far as given."""
    found: list[str] = []
    left = [root]
    while left:
        space = left.pop()
        imports = _read_schema(spaces[space]).iter("{http://www.w3.org/2001/XMLSchema}import")
        wanted = {str(each.get("namespace")) for each in imports} & set(spaces)
        left += sorted(wanted - {root, *found})
        found += sorted(wanted - {root, *found})
    return found


def _line(problem: object) -> str:
    """The first line of a long report."""
    return str(problem).strip().splitlines()[0].rstrip(".:")
