# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Writes VirtualBox's VDI, version 1.1, dynamically allocated, from a raw disk image.

There is no published specification; the fields are those of VirtualBox's VDICore.h and QEMU's
block/vdi.c, all little-endian. Blocks have 1 MiB; those of zeros are not allocated. What other
writers take from chance follows here from the SHA-256 of the raw image:

    0x054  256 bytes  description    the SHA-256 as a text
    0x188   16 bytes  UUID of the image
    0x198   16 bytes  UUID of its last change
"""

from __future__ import annotations

import struct
from array import array
from pathlib import Path

from ansible_collections.kiln.unikernel.plugins.module_utils._sparse import (
    MIB,
    SECTOR,
    RawDisk,
    SparseFile,
    comment,
    identity,
    round_up,
)

BLOCK = MIB
# Text, signature, version, size of the header from here on, type (1: dynamic), flags, description,
# places of map and data, legacy geometry, unused, size, block size and extra, blocks, allocated,
# four UUIDs, and geometry.
_HEADER = struct.Struct("<64sIIIII256sIIIIIIIQIIII16s16s16s16sIIII")
_SIGNATURE = 0xBEDA107F
_VERSION = 0x00010001
_HEADER_FROM = 72
_MAP_AT = MIB
_FREE = 0xFFFFFFFF


def write_vdi(raw: RawDisk, target: Path, digest: str) -> None:
    """Writes the whole file."""
    count = -(-raw.size // BLOCK)
    places = array("I", [_FREE]) * count
    data_at = _MAP_AT + round_up(4 * count, MIB)
    used = 0
    with SparseFile(target) as out:
        for number, block in raw.blocks(BLOCK):
            places[number] = used
            out.write(data_at + used * BLOCK, block)
            used += 1
        out.write(_MAP_AT, places.tobytes())
        out.write(0, _header(raw.size, digest, data_at, used))
        out.finish(data_at + used * BLOCK)


def _header(size: int, digest: str, data_at: int, used: int) -> bytes:
    return _HEADER.pack(
        b"<<< Oracle VM VirtualBox Disk Image >>>\n",
        _SIGNATURE,
        _VERSION,
        _HEADER.size - _HEADER_FROM,
        1,
        0,
        comment(digest).encode(),
        _MAP_AT,
        data_at,
        *(0, 0, 0, SECTOR),
        0,
        size,
        BLOCK,
        0,
        -(-size // BLOCK),
        used,
        identity(digest, "vdi").bytes_le,
        identity(digest, "vdi-change").bytes_le,
        bytes(16),
        bytes(16),
        *(0, 0, 0, SECTOR),
    )
