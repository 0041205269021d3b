# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The disks of an image in every format, all made from one raw disk and carrying its SHA-256.

The formats are written here and not by a tool, so that their bytes follow from the inputs alone:
no format holds a date or a number drawn by chance, whatever its usual writers do.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils import _ova
from ansible_collections.kiln.unikernel.plugins.module_utils._disk import DiskError, build_disk
from ansible_collections.kiln.unikernel.plugins.module_utils._ovf import DiskFile, Machine
from ansible_collections.kiln.unikernel.plugins.module_utils._qcow2 import write_qcow2
from ansible_collections.kiln.unikernel.plugins.module_utils._sparse import RawDisk
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError, digest_file
from ansible_collections.kiln.unikernel.plugins.module_utils._vdi import write_vdi
from ansible_collections.kiln.unikernel.plugins.module_utils._vhd import write_vhd
from ansible_collections.kiln.unikernel.plugins.module_utils._vmdk import write_vmdk

# Raise when the same raw disk begins to give other bytes in some format.
WRITER = 3

RAW = "disk.raw"
FILES = {
    "raw": RAW,
    "qcow2": "disk.qcow2",
    "vmdk": "disk.vmdk",
    "vdi": "disk.vdi",
    "vhd": "disk.vhd",
}

_WRITERS: dict[str, Callable[[RawDisk, Path, str], None]] = {
    "qcow2": write_qcow2,
    "vmdk": write_vmdk,
    "vdi": write_vdi,
    "vhd": write_vhd,
}
_DEFLATED = {"vmdk", "ova"}


@dataclass(frozen=True)
class DiskSpec:
    """What a disk is made of, beside the root, and the formats it is wanted in."""

    kernel: Path
    formats: list[str]
    cmdline: str = ""
    data_size: int = 0
    machines: tuple[Machine, ...] = ()  # one OVA for each
    schemas: tuple[Path, ...] = ()


def ova_file(profile: str) -> str:
    """The file name of a profile's OVA."""
    return f"{profile}.ova"


def paths(spec: DiskSpec, folder: Path) -> dict[str, Any]:
    """Where the disks lie, or will lie: format → path, and under `ova` profile → path."""
    plain = {name: str(folder / FILES[name]) for name in spec.formats if name in FILES}
    ovas = {each.profile: str(folder / ova_file(each.profile)) for each in spec.machines}
    return plain | ({"ova": ovas} if ovas else {})


def facts(spec: DiskSpec, kernel: str) -> dict[str, Any]:
    """What identifies the disks, beside the root; `kernel` stands for the kernel's content."""
    versions: dict[str, Any] = {"disk": WRITER}
    if _DEFLATED & set(spec.formats):
        # Another zlib may pack the same grain in another way.
        versions["zlib"] = zlib.ZLIB_RUNTIME_VERSION
    return {
        "kernel": kernel,
        "formats": sorted(spec.formats),
        "cmdline": spec.cmdline,
        "data_size": spec.data_size,
        "ova": [asdict(machine) for machine in spec.machines],
        "writer": versions,
    }


def make(spec: DiskSpec, root: Path, made: Path) -> tuple[str, dict[str, Any]]:
    """Writes the disks into the folder `made`; SHA-256 and layout of the raw one, kept or not."""
    raw = made / RAW
    try:
        layout = build_disk(spec.kernel, root, spec.cmdline, raw, data_size=spec.data_size)
    except DiskError as problem:
        raise KilnError(f"The disk image cannot be made: {problem}.") from None
    digest = digest_file(raw)
    for name in sorted(set(spec.formats) & set(_WRITERS)):
        with RawDisk(raw) as disk:
            _WRITERS[name](disk, made / FILES[name], digest)
    _make_ovas(spec, raw, digest, made)
    if "raw" not in spec.formats:
        raw.unlink()
    return digest, layout.told()


def _make_ovas(spec: DiskSpec, raw: Path, digest: str, made: Path) -> None:
    """All of them around one VMDK."""
    if not spec.machines:
        return
    name = _ova.disk_name(spec.machines[0])
    packed = made / name
    with RawDisk(raw) as disk:
        write_vmdk(disk, packed, digest)
        described = DiskFile(name, packed.stat().st_size, disk.size, digest)
    for machine in spec.machines:
        _ova.write_ova(made / ova_file(machine.profile), machine, described, packed, spec.schemas)
    packed.unlink()


def check_schemas(spec: DiskSpec, folder: Path) -> None:
    """Holds the OVAs that are there already against the schemas that are asked for now."""
    for machine in spec.machines if spec.schemas else ():
        _ova.validate(_ova.read_descriptor(folder / ova_file(machine.profile)), spec.schemas)
