# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The partition table of a disk, written and read back: GPT, UEFI specification 2.10, chapter 5."""

from __future__ import annotations

import struct
import typing as t
import uuid
import zlib
from pathlib import Path

from ansible_collections.kiln.unikernel.plugins.module_utils._disk_base import (
    SECTOR,
    DiskLayout,
    Partition,
    fail,
    read_at,
)

ENTRY_COUNT = 128
ENTRY_SIZE = 128
TABLE_SECTORS = ENTRY_COUNT * ENTRY_SIZE // SECTOR
BACKUP_SECTORS = TABLE_SECTORS + 1


def _protective_mbr(boot_code: bytes, total_sectors: int) -> bytes:
    entry = struct.pack(
        "<B3sB3sII",
        0,
        b"\x00\x02\x00",
        0xEE,
        b"\xff\xff\xff",
        1,
        min(total_sectors - 1, 0xFFFFFFFF),
    )
    return boot_code.ljust(446, b"\0") + entry.ljust(64, b"\0") + b"\x55\xaa"


def _table(partitions: t.Sequence[Partition]) -> bytes:
    entries = b"".join(
        struct.pack(
            "<16s16sQQQ72s",
            part.type_guid.bytes_le,
            part.guid.bytes_le,
            part.first_block,
            part.last_block,
            0,
            part.name.encode("utf-16-le"),
        )
        for part in partitions
    )
    return entries.ljust(ENTRY_COUNT * ENTRY_SIZE, b"\0")


GPT_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
GPT_SIGNATURE = b"EFI PART"
GPT_REVISION = 0x00010000


def _gpt_header(layout: DiskLayout, table: bytes, *, primary: bool) -> bytes:
    blocks = layout.size // SECTOR
    last = blocks - 1
    here, other, table_at = (1, last, 2) if primary else (last, 1, last - TABLE_SECTORS)
    usable = (2 + TABLE_SECTORS, blocks - BACKUP_SECTORS - 1)
    guid = layout.guid.bytes_le
    shape = (table_at, ENTRY_COUNT, ENTRY_SIZE, zlib.crc32(table))

    def pack(crc: int) -> bytes:
        start = (GPT_SIGNATURE, GPT_REVISION, GPT_HEADER.size, crc, 0)
        return GPT_HEADER.pack(*start, here, other, *usable, guid, *shape)

    return pack(zlib.crc32(pack(0)))


class Writer(t.Protocol):
    """What takes pieces of an image."""

    def write(self, offset: int, data: bytes) -> None:
        """Puts data at an offset."""


def write_table(image: Writer, layout: DiskLayout, boot_code: bytes) -> None:
    blocks = layout.size // SECTOR
    table = _table(layout.partitions)
    image.write(0, _protective_mbr(boot_code, blocks))
    image.write(SECTOR, _gpt_header(layout, table, primary=True))
    image.write(2 * SECTOR, table)
    image.write((blocks - BACKUP_SECTORS) * SECTOR, table)
    image.write((blocks - 1) * SECTOR, _gpt_header(layout, table, primary=False))


def read_gpt(path: Path, file: t.BinaryIO, block: int) -> tuple[tuple[t.Any, ...], bytes]:
    """Reads and checks one of the two headers with its table."""
    at = block * SECTOR
    raw = read_at(path, file, at, SECTOR)
    fields = GPT_HEADER.unpack_from(raw)
    signature, revision, header_size, crc = fields[:4]
    if signature != GPT_SIGNATURE or revision != GPT_REVISION or header_size != GPT_HEADER.size:
        fail(path, at, "there is no GPT header; this is no Kiln disk image")
    if zlib.crc32(raw[:16] + bytes(4) + raw[20:header_size]) != crc:
        fail(path, at + 16, "the checksum of the GPT header is wrong; write the image again")
    if fields[5] != block or fields[11] != ENTRY_COUNT or fields[12] != ENTRY_SIZE:
        fail(path, at + 24, "the GPT header does not describe its own place or table")
    table = read_at(path, file, fields[10] * SECTOR, ENTRY_COUNT * ENTRY_SIZE)
    if zlib.crc32(table) != fields[13]:
        fail(
            path,
            fields[10] * SECTOR,
            "the checksum of the partition table is wrong; write the image again",
        )
    return fields, table


def read_partitions(path: Path, table: bytes, first: int, last: int) -> tuple[Partition, ...]:
    found = []
    for number in range(1, ENTRY_COUNT + 1):
        entry = table[(number - 1) * ENTRY_SIZE : number * ENTRY_SIZE]
        kind, guid, start, end, _flags, name = struct.unpack("<16s16sQQQ72s", entry)
        if kind == bytes(16):
            continue
        if not first <= start <= end <= last:
            fail(
                path,
                2 * SECTOR + (number - 1) * ENTRY_SIZE,
                f"partition {number} is at blocks {start} to {end}, outside {first} to {last}",
            )
        found.append(
            Partition(
                number,
                name.decode("utf-16-le", "replace").rstrip("\0"),
                uuid.UUID(bytes_le=kind),
                uuid.UUID(bytes_le=guid),
                start * SECTOR,
                (end - start + 1) * SECTOR,
            )
        )
    return tuple(found)
