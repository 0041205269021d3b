# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The disks of an image in every format, all made from one raw disk and carrying its SHA-256.

The formats are written here and not by a tool, so that their bytes follow from the inputs alone:
no format holds a date or a number drawn by chance, whatever its usual writers do.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._disk import DiskError, build_disk
from ansible_collections.kiln.unikernel.plugins.module_utils._qcow2 import write_qcow2
from ansible_collections.kiln.unikernel.plugins.module_utils._sparse import RawDisk
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError, digest_file
from ansible_collections.kiln.unikernel.plugins.module_utils._vdi import write_vdi
from ansible_collections.kiln.unikernel.plugins.module_utils._vhd import write_vhd
from ansible_collections.kiln.unikernel.plugins.module_utils._vmdk import write_vmdk

# Raise when the same raw disk begins to give other bytes in some format.
WRITER = 1

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
_DEFLATED = {"vmdk"}


@dataclass(frozen=True)
class DiskSpec:
    """What a disk is made of, beside the root, and the formats it is wanted in."""

    kernel: Path
    formats: list[str]
    cmdline: str = ""
    data_size: int = 0


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
        "writer": versions,
    }


def make(spec: DiskSpec, root: Path, made: Path) -> str:
    """Writes the disks into the folder `made`; the SHA-256 of the raw one, kept or not."""
    raw = made / RAW
    try:
        build_disk(spec.kernel, root, spec.cmdline, raw, data_size=spec.data_size)
    except DiskError as problem:
        raise KilnError(f"The disk image cannot be made: {problem}.") from None
    digest = digest_file(raw)
    for name in sorted(set(spec.formats) - {"raw"}):
        with RawDisk(raw) as disk:
            _WRITERS[name](disk, made / FILES[name], digest)
    if "raw" not in spec.formats:
        raw.unlink()
    return digest
