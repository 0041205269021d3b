# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The UEFI loader: what the builder writes into it, so that it finds the kernel and trusts it.

The offsets of the header stand in ``kernel-src/boot/uefi/header.hh`` too.
"""

from __future__ import annotations

import hashlib
import struct
import typing as t
from pathlib import Path

from ansible_collections.kiln.unikernel.plugins.module_utils._disk_base import (
    EFI_PATH,
    SECTOR,
    Partition,
    fail,
    read,
    read_at,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._disk_fat import ESP_SIZE, find_file

HEADER_AT = 4096
MAGIC = b"KILN-EFI"
VERSION = 1
LIMIT = ESP_SIZE // 2  # the other half is room for a signed one
HEADER = struct.Struct("<8sIIQQI4x32s32s")


def patch_loader(path: Path, kernel: tuple[int, bytes], cmdline: tuple[int, bytes]) -> bytes:
    """The loader with places and SHA-256 of the kernel and of the command line (offset, bytes)."""
    code = bytearray(read(path, "UEFI loader"))
    if code[:2] != b"MZ" or code[HEADER_AT : HEADER_AT + 8] != MAGIC:
        fail(
            path, HEADER_AT, "this is not Kiln's UEFI loader (no KILN-EFI); build the kernel again"
        )
    version = struct.unpack_from("<I", code, HEADER_AT + 8)[0]
    if version != VERSION:
        fail(
            path,
            HEADER_AT + 8,
            f"the UEFI loader is of version {version}, this collection writes {VERSION}",
        )
    if len(code) > LIMIT:
        fail(path, LIMIT, f"the UEFI loader has {len(code)} bytes; at most {LIMIT} fit")
    HEADER.pack_into(
        code,
        HEADER_AT,
        MAGIC,
        VERSION,
        len(kernel[1]),
        kernel[0] // SECTOR,
        cmdline[0] // SECTOR,
        len(cmdline[1]),
        hashlib.sha256(kernel[1]).digest(),
        hashlib.sha256(cmdline[1]).digest(),
    )
    return bytes(code)


def read_loader(
    path: Path, file: t.BinaryIO, esp: Partition, kernel: tuple[int, int]
) -> tuple[int, int]:
    """Where the loader is on the disk (offset, size), held against the kernel (offset, size)."""
    found = find_file(read_at(path, file, esp.offset, esp.size), EFI_PATH)
    if found is None or found[0] + found[1] > esp.size or found[1] < HEADER_AT + HEADER.size:
        fail(path, esp.offset, f"the EFI system partition has no {EFI_PATH}; write the image again")
    offset, size = esp.offset + found[0], found[1]
    fields = HEADER.unpack(read_at(path, file, offset + HEADER_AT, HEADER.size))
    if fields[:2] != (MAGIC, VERSION):
        fail(
            path, offset + HEADER_AT, f"no UEFI loader of version {VERSION}; write the image again"
        )
    place, length = kernel
    data = read_at(path, file, place, length)
    if fields[2:4] != (length, place // SECTOR) or fields[6] != hashlib.sha256(data).digest():
        fail(
            path,
            offset + HEADER_AT,
            "the UEFI loader is not that of this kernel; write the image again",
        )
    return offset, size
