# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Writes VMware's streamOptimized VMDK from a raw disk image: what an OVF package carries.

After VMware's "Virtual Disk Format 5.0" (2011). All numbers are little-endian. A header, the
descriptor, then one deflated grain of 64 KiB after another, each behind a marker that says where
it belongs; then the grain tables, the grain directory, the header once more as a footer, and the
end. Grains of zeros and tables of such grains are left out. It can be written and read in one go.

In the descriptor, other writers take `CID` from chance. Here it and `ddb.longContentID`, whose last
eight digits it is, are the first digits of the SHA-256 of the raw image; `ddb.comment` has all.
"""

from __future__ import annotations

import struct
import zlib
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

GRAIN = 1 << 16
FORMAT_URI = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"

# magicNumber version flags capacity grainSize descriptorOffset descriptorSize numGTEsPerGT
# rgdOffset gdOffset overHead uncleanShutdown, the four end-of-line characters, compressAlgorithm
_HEADER = struct.Struct("<4sIIQQQQIQQQ?4sH")
_FLAGS = 0x30001  # newlines can be tested, grains are compressed, markers are there
_DESCRIPTOR_SECTORS = 20
_ENTRIES = 512
_AT_END = (1 << 64) - 1
_OVERHEAD = 128
_GRAIN_MARK = struct.Struct("<QI")
_MARK = struct.Struct("<QII")
_END_OF_STREAM, _TABLE, _DIRECTORY, _FOOTER = range(4)
_LEVEL = 6


class _Stream:
    """Where the file has come to; every piece begins at a sector."""

    def __init__(self, out: SparseFile, at: int) -> None:
        self._out = out
        self.at = at

    def put(self, data: bytes) -> int:
        """Appends a piece; its sector."""
        sector = self.at // SECTOR
        self._out.write(self.at, data)
        self.at += round_up(len(data), SECTOR)
        return sector

    def mark(self, kind: int, data: bytes) -> int:
        """Appends metadata behind its marker; the sector of the data."""
        self.put(_MARK.pack(round_up(len(data), SECTOR) // SECTOR, 0, kind).ljust(SECTOR, b"\0"))
        return self.put(data) if data else 0


def write_vmdk(raw: RawDisk, target: Path, digest: str) -> None:
    """Writes the whole file."""
    with SparseFile(target) as out:
        stream = _Stream(out, _OVERHEAD * SECTOR)
        tables: dict[int, array[int]] = {}
        for number, block in raw.blocks(GRAIN):
            packed = zlib.compress(block, _LEVEL)
            mark = _GRAIN_MARK.pack(number * (GRAIN // SECTOR), len(packed))
            table = tables.setdefault(number // _ENTRIES, array("I", bytes(4 * _ENTRIES)))
            table[number % _ENTRIES] = stream.put(mark + packed)
        directory = array("I", bytes(4 * -(-raw.size // (GRAIN * _ENTRIES))))
        for place, table in tables.items():
            directory[place] = stream.mark(_TABLE, table.tobytes())
        directory_at = stream.mark(_DIRECTORY, directory.tobytes())
        stream.mark(_FOOTER, _header(raw.size, directory_at))
        stream.mark(_END_OF_STREAM, b"")
        out.write(0, _header(raw.size, _AT_END))
        out.write(SECTOR, descriptor(raw.size, digest, target.name).encode())
        out.finish(stream.at)


def _header(size: int, directory: int) -> bytes:
    return _HEADER.pack(
        b"KDMV", 3, _FLAGS, size // SECTOR, GRAIN // SECTOR, 1, _DESCRIPTOR_SECTORS, _ENTRIES, 0,
        directory, _OVERHEAD, False, b"\n \r\n", 1,
    ).ljust(SECTOR, b"\0")  # fmt: skip


def descriptor(size: int, digest: str, name: str) -> str:
    """The text that describes the disk."""
    # All ones and all ones but the last mean "no parent" and "not set".
    content = int(digest[:8], 16) % 0xFFFFFFFE
    return f"""# Disk DescriptorFile
version=1
CID={content:08x}
parentCID=ffffffff
createType="streamOptimized"

# Extent description
RDONLY {size // SECTOR} SPARSE "{name}"

# The Disk Data Base
#DDB

ddb.adapterType = "lsilogic"
ddb.comment = "{comment(digest)}"
ddb.geometry.cylinders = "{min(size // SECTOR // (16 * 63), 16383)}"
ddb.geometry.heads = "16"
ddb.geometry.sectors = "63"
ddb.longContentID = "{digest[8:32]}{content:08x}"
ddb.uuid.image = "{identity(digest, "vmdk")}"
ddb.virtualHWVersion = "10"
"""


def content_of(path: Path, offset: int, size: int) -> int:
    """How many bytes the grains of a streamed VMDK have, which lies somewhere in a file.

    Its footer is the last but one of its sectors; 0 when it is not such a VMDK.
    """
    with path.open("rb") as stream:

        def numbers(sector: int, count: int) -> array[int]:
            if sector * SECTOR + 4 * count > size:
                return array("I")
            stream.seek(offset + sector * SECTOR)
            return array("I", stream.read(4 * count))

        stream.seek(offset + max(0, size - 2 * SECTOR))
        footer = stream.read(_HEADER.size)
        if len(footer) < _HEADER.size or footer[:4] != b"KDMV":
            return 0
        facts = _HEADER.unpack(footer)
        capacity, grain, entries, directory = facts[3], facts[4], facts[7], facts[9]
        if entries != _ENTRIES or not grain:
            return 0
        tables = numbers(directory, -(-capacity // (grain * entries)))
        grains = sum(1 for table in tables if table for entry in numbers(table, entries) if entry)
        return int(grains * grain * SECTOR)
