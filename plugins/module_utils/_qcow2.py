# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Writes QEMU's qcow2, version 3, from a raw disk image.

After QEMU's docs/interop/qcow2.txt. All numbers are big-endian, clusters have 64 KiB. Clusters of
zeros are not allocated. In the order of the file: header, data, level 2 tables, level 1 table,
reference counts, table of those. Nothing depends on chance or on the day, so the same disk gives
the same bytes.

The SHA-256 of the raw image is carried in a header extension of our own (type 0x4b694c4e, "KiLN",
32 bytes, at byte 104); the specification has readers ignore extensions that they do not know.
"""

from __future__ import annotations

import struct
from array import array
from pathlib import Path

from ansible_collections.kiln.unikernel.plugins.module_utils._sparse import RawDisk, SparseFile

CLUSTER = 1 << 16
EXTENSION = 0x4B694C4E

_HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQII")
_L2_ENTRIES = CLUSTER // 8
_COUNTS = CLUSTER // 2  # reference counts of 16 bits
_COPIED = 1 << 63  # "refcount is exactly one"


def write_qcow2(raw: RawDisk, target: Path, digest: str) -> None:
    """Writes the whole file."""
    with SparseFile(target) as out:
        tables: dict[int, array[int]] = {}
        used = 1
        for number, block in raw.blocks(CLUSTER):
            table = tables.setdefault(number // _L2_ENTRIES, array("Q", bytes(CLUSTER)))
            table[number % _L2_ENTRIES] = used * CLUSTER | _COPIED
            out.write(used * CLUSTER, block)
            used += 1
        level1 = array("Q", bytes(8 * -(-raw.size // (CLUSTER * _L2_ENTRIES))))
        for place, table in tables.items():
            level1[place] = used * CLUSTER | _COPIED
            out.write(used * CLUSTER, _big_endian(table))
            used += 1
        level1_at = used
        out.write(used * CLUSTER, _big_endian(level1))
        used += max(1, -(-len(level1) * 8 // CLUSTER))
        end, table_at, table_clusters = _write_counts(out, used)
        header = _HEADER.pack(
            b"QFI\xfb", 3, 0, 0, 16, raw.size, 0, len(level1), level1_at * CLUSTER,
            table_at * CLUSTER, table_clusters, 0, 0, 0, 0, 0, 4, _HEADER.size,
        )  # fmt: skip
        value = bytes.fromhex(digest)
        out.write(0, header + struct.pack(">II", EXTENSION, len(value)) + value + bytes(8))
        out.finish(end * CLUSTER)


def _write_counts(out: SparseFile, used: int) -> tuple[int, int, int]:
    """Counts one reference for each cluster. The clusters in all, the table's place and size."""
    blocks = tables = 0
    while True:  # the counts take clusters that must be counted too
        total = used + blocks + tables
        wanted = -(-total // _COUNTS)
        needed = wanted, -(-wanted * 8 // CLUSTER)
        if needed == (blocks, tables):
            break
        blocks, tables = needed
    for number in range(blocks):
        ones = min(_COUNTS, total - number * _COUNTS)
        out.write((used + number) * CLUSTER, b"\0\1" * ones)
    places = array("Q", [(used + number) * CLUSTER for number in range(blocks)])
    out.write((used + blocks) * CLUSTER, _big_endian(places))
    return total, used + blocks, tables


def _big_endian(words: array[int]) -> bytes:
    swapped = array("Q", words)
    swapped.byteswap()
    return swapped.tobytes()
