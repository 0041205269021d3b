# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Writes Microsoft's VHD, dynamically allocated, from a raw disk image.

After the "Virtual Hard Disk Image Format Specification", version 1.0 (2006-10-11). All numbers are
big-endian, blocks have 2 MiB and a bitmap of one sector before them; blocks of zeros are not
allocated. In the order of the file: copy of the footer, dynamic disk header, block allocation
table, one sector with the SHA-256 of the raw image, blocks, footer. That one sector is of our own:
readers find table and blocks by their offsets and never look at it.

Fields of the footer that other writers take from the day or from chance:

    24   4 bytes  time stamp      0, the format's first second (2000-01-01)
    28   4 bytes  creator         "win ", which says that the size below is the disk's, to the byte;
                                  of other creators some readers take the size from the geometry
    68  16 bytes  unique identifier, from the SHA-256 of the raw image
"""

from __future__ import annotations

import struct
from array import array
from pathlib import Path

from ansible_collections.kiln.unikernel.plugins.module_utils._sparse import (
    SECTOR,
    RawDisk,
    SparseFile,
    comment,
    identity,
    round_up,
)

BLOCK = 2 << 20

_FOOTER = struct.Struct(">8sIIQI4sI4sQQHBBII16sB")
_HEADER = struct.Struct(">8sQQIIII")
_HEADER_SIZE = 1024
_TABLE_AT = SECTOR + _HEADER_SIZE
_FREE = 0xFFFFFFFF
_DYNAMIC = 3
_LARGEST = 2040 << 30  # bytes; of what the specification's 32-bit sector numbers reach


def write_vhd(raw: RawDisk, target: Path, digest: str) -> None:
    """Writes the whole file."""
    if raw.size > _LARGEST:
        raise ValueError(f"a VHD holds at most 2040 GiB, and this disk has {raw.size} bytes")
    count = -(-raw.size // BLOCK)
    places = array("I", [_FREE]) * count
    mark_at = _TABLE_AT + round_up(4 * count, SECTOR)
    end = mark_at + SECTOR
    with SparseFile(target) as out:
        for number, block in raw.blocks(BLOCK):
            places[number] = end // SECTOR
            out.write(end, b"\xff" * SECTOR)
            out.write(end + SECTOR, block)
            end += SECTOR + BLOCK
        footer = _footer(raw.size, digest)
        out.write(0, footer)
        out.write(SECTOR, _dynamic_header(count))
        places.byteswap()
        out.write(_TABLE_AT, places.tobytes().ljust(mark_at - _TABLE_AT, b"\xff"))
        out.write(mark_at, comment(digest).encode())
        out.write(end, footer)
        out.finish(end + SECTOR)


def _footer(size: int, digest: str) -> bytes:
    fields = (b"conectix", 2, 0x00010000, SECTOR, 0, b"win ", 0x00010000, b"Wi2k", size, size)
    tail = (*geometry(size // SECTOR), _DYNAMIC)
    unique = identity(digest, "vhd").bytes
    zero = _FOOTER.pack(*fields, *tail, 0, unique, 0)
    return _FOOTER.pack(*fields, *tail, _checksum(zero), unique, 0).ljust(SECTOR, b"\0")


def _dynamic_header(count: int) -> bytes:
    fields = (b"cxsparse", (1 << 64) - 1, _TABLE_AT, 0x00010000, count, BLOCK)
    checksum = _checksum(_HEADER.pack(*fields, 0))
    return _HEADER.pack(*fields, checksum).ljust(_HEADER_SIZE, b"\0")


def _checksum(data: bytes) -> int:
    """One's complement of the sum of all bytes, those of the checksum itself taken as zero."""
    return ~sum(data) & 0xFFFFFFFF


def geometry(sectors: int) -> tuple[int, int, int]:
    """Cylinders, heads and sectors a track, by the specification's appendix."""
    sectors = min(sectors, 65535 * 16 * 255)
    if sectors >= 65535 * 16 * 63:
        return sectors // 255 // 16, 16, 255
    track = 17
    heads = max(4, -(-(sectors // track) // 1024))
    if sectors // track >= heads * 1024 or heads > 16:
        track, heads = 31, 16
    if sectors // track >= heads * 1024:
        track, heads = 63, 16
    return sectors // track // heads, heads, track
