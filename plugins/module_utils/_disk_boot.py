# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The BIOS-boot partition: loader, command line and kernel, written and read back.

The offsets of the boot header stand in ``kernel-src/boot/layout.hh`` too.
"""

from __future__ import annotations

import struct
import typing as t
from array import array
from pathlib import Path

from ansible_collections.kiln.unikernel.plugins.module_utils._disk_base import (
    ALIGNMENT,
    SECTOR,
    DiskError,
    Partition,
    checksum,
    fail,
    pad,
    read,
    read_at,
    round_up,
)

STAGE1_SIZE = 440
STAGE1_MAGIC = b"KLN1"
STAGE1_BLOCK_AT = 426
STAGE1_SECTORS_AT = 434
STAGE2_MAGIC = b"KILN-LD2"
STAGE2_VERSION = 1
STAGE2_LIMIT = 0x7800
BOOT_HEADER = struct.Struct("<4x8sIIIQIIQIIII")
CMDLINE_LIMIT = 0x4000 - 1


def encode_cmdline(cmdline: str) -> bytes:
    # Arguments are bytes on Linux; surrogateescape is how Python hands over those that are no text.
    data = cmdline.encode("utf-8", "surrogateescape")
    if len(data) > CMDLINE_LIMIT:
        raise DiskError(
            f"the kernel command line has {len(data)} bytes; at most {CMDLINE_LIMIT} fit"
        )
    if 0 in data:
        raise DiskError(f"the kernel command line has a NUL at byte {data.index(0)}")
    return data


def patch_stage1(path: Path, stage2_sectors: int) -> bytes:
    code = bytearray(read(path, "boot code (stage 1)"))
    if len(code) != STAGE1_SIZE:
        fail(path, len(code), f"stage 1 must have {STAGE1_SIZE} bytes; build the kernel again")
    if code[436:440] != STAGE1_MAGIC:
        fail(path, 436, "this is not Kiln's stage 1 (no KLN1); build the kernel again")
    struct.pack_into("<Q", code, STAGE1_BLOCK_AT, ALIGNMENT // SECTOR)
    struct.pack_into("<H", code, STAGE1_SECTORS_AT, stage2_sectors)
    return bytes(code)


def read_stage2(path: Path) -> bytes:
    code = read(path, "loader (stage 2)")
    if code[4:12] != STAGE2_MAGIC or len(code) < BOOT_HEADER.size:
        fail(path, 4, "this is not Kiln's stage 2 (no KILN-LD2); build the kernel again")
    version = struct.unpack_from("<I", code, 12)[0]
    if version != STAGE2_VERSION:
        fail(path, 12, f"stage 2 is of version {version}, this collection writes {STAGE2_VERSION}")
    if len(code) > STAGE2_LIMIT:
        fail(path, STAGE2_LIMIT, f"stage 2 has {len(code)} bytes; at most {STAGE2_LIMIT} fit")
    return pad(code, SECTOR)


def boot_partition(stage2: bytes, cmdline: bytes, kernel: bytes, check: tuple[int, int]) -> bytes:
    """Stage 2, the command line and the kernel, as they lie in the BIOS-boot partition."""
    cmdline_at = len(stage2)
    kernel_at = round_up(cmdline_at + len(cmdline), 4096)
    header = bytearray(stage2)

    def fill(correction: int) -> None:
        BOOT_HEADER.pack_into(
            header,
            0,
            STAGE2_MAGIC,
            STAGE2_VERSION,
            correction,
            len(stage2),
            (ALIGNMENT + kernel_at) // SECTOR,
            len(kernel),
            len(cmdline),
            (ALIGNMENT + cmdline_at) // SECTOR,
            *check,
            *checksum([cmdline]),
        )
        header[0:4] = stage2[0:4]

    fill(0)
    fill(-sum(array("I", bytes(header))) & 0xFFFFFFFF)
    lead = (bytes(header) + cmdline).ljust(kernel_at, b"\0")
    return pad(lead + kernel, ALIGNMENT)


def read_boot_header(path: Path, file: t.BinaryIO, boot: Partition) -> tuple[int, int, str]:
    stage2_head = read_at(path, file, boot.offset, BOOT_HEADER.size)
    (
        magic,
        version,
        _correction,
        stage2_size,
        kernel_block,
        kernel_size,
        cmdline_size,
        cmdline_block,
        _low,
        _high,
        *cmdline_check,
    ) = BOOT_HEADER.unpack(stage2_head)
    if magic != STAGE2_MAGIC or version != STAGE2_VERSION:
        fail(path, boot.offset, f"no stage 2 of version {STAGE2_VERSION}; write the image again")
    limit = boot.offset + boot.size
    if (
        stage2_size > STAGE2_LIMIT
        or kernel_block * SECTOR + kernel_size > limit
        or cmdline_size > CMDLINE_LIMIT
        or cmdline_block * SECTOR + cmdline_size > limit
    ):
        fail(
            path, boot.offset, "the boot header points outside its partition; write the image again"
        )
    stage2 = read_at(path, file, boot.offset, stage2_size)
    if len(stage2) % 4 or sum(array("I", stage2)) & 0xFFFFFFFF:
        fail(path, boot.offset, "the checksum of stage 2 is wrong; write the image again")
    raw = read_at(path, file, cmdline_block * SECTOR, cmdline_size)
    if checksum([raw]) != tuple(cmdline_check):
        fail(
            path,
            cmdline_block * SECTOR,
            "the checksum of the command line is wrong; write the image again",
        )
    return kernel_block * SECTOR, kernel_size, raw.decode("utf-8", "surrogateescape")
