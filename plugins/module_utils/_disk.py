# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The raw disk image that a BIOS and UEFI boot: GPT, loaders, kernel, command line and root.

``build_disk`` writes an image, ``read_layout`` reads one back and checks it. The same inputs give
the same bytes: every GUID is a version 5 UUID of the content. Blocks of zeros are not written, so
the image is sparse.

``kernel-src/run`` imports this file where no Ansible is: it and its ``_disk_*`` parts need nothing
but each other.
"""

from __future__ import annotations

import hashlib
import os
import struct
import typing as t
import uuid
from pathlib import Path

from ansible_collections.kiln.unikernel.plugins.module_utils._disk_base import (
    ALIGNMENT,
    EFI_PATH,
    MIB,
    NAME_BOOT,
    NAME_DATA,
    NAME_ESP,
    NAME_ROOT,
    SECTOR,
    DiskError,
    DiskLayout,
    Partition,
    checksum,
    fail,
    read,
    round_up,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._disk_boot import (
    BOOT_HEADER,
    CMDLINE_LIMIT,
    boot_partition,
    encode_cmdline,
    patch_stage1,
    read_boot_header,
    read_stage2,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._disk_efi import (
    patch_loader,
    read_loader,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._disk_fat import ESP_SIZE, fat_volume
from ansible_collections.kiln.unikernel.plugins.module_utils._disk_gpt import (
    BACKUP_SECTORS,
    read_gpt,
    read_partitions,
    write_table,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._disk_kernel import (
    check_kernel,
    loaded,
    read_segments,
    without_sections,
)

__all__ = ["CMDLINE_LIMIT", "DiskError", "DiskLayout", "Partition", "build_disk", "read_layout"]

EROFS_MAGIC = 0xE0F5E1E2
EROFS_SUPERBLOCK = 1024

NAMESPACE = uuid.UUID("6f6f2f0e-57a5-5f0c-9d0b-6b696c6e0001")
TYPE_BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
TYPE_ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
TYPE_LINUX_DATA = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")


def _check_root(path: Path) -> int:
    """Checks the EROFS superblock and returns the size of the file."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(EROFS_SUPERBLOCK)
            superblock = file.read(128)
    except OSError as error:
        raise DiskError(f"{path}: the root image cannot be read: {error.strerror}") from error
    if len(superblock) < 128:
        fail(path, size, "the file is too short for an EROFS image; make it with mkfs.erofs")
    magic = struct.unpack_from("<I", superblock, 0)[0]
    if magic != EROFS_MAGIC:
        fail(
            path,
            EROFS_SUPERBLOCK,
            f"magic {magic:#010x}, not EROFS's {EROFS_MAGIC:#010x};"
            " make the root image with mkfs.erofs",
        )
    block_bits = superblock[12]
    if not 9 <= block_bits <= 16:
        fail(
            path,
            EROFS_SUPERBLOCK + 12,
            f"an EROFS block size of 2^{block_bits} bytes is impossible",
        )
    blocks = struct.unpack_from("<I", superblock, 36)[0]
    if blocks << block_bits > size:
        fail(
            path,
            size,
            f"the EROFS image is cut short: its superblock says {blocks << block_bits} bytes",
        )
    return size


class _SparseWriter:
    """Writes pieces into a new file and leaves out blocks of zeros; takes its name when done."""

    BLOCK = 4096

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            self._file = self._partial.open("wb")
        except OSError as error:
            raise DiskError(f"{path}: the image cannot be written: {error.strerror}") from error

    def __enter__(self) -> t.Self:
        return self

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        self._file.close()
        if kind is not None:
            self._partial.unlink()

    def write(self, offset: int, data: bytes) -> None:
        zeros = bytes(self.BLOCK)
        for at in range(0, len(data), self.BLOCK):
            block = data[at : at + self.BLOCK]
            if block != zeros[: len(block)]:
                self._file.seek(offset + at)
                self._file.write(block)

    def copy(self, offset: int, source: Path) -> str:
        """Copies a file in and returns its SHA-256."""
        digest = hashlib.sha256()
        with source.open("rb") as file:
            while piece := file.read(MIB):
                digest.update(piece)
                self.write(offset, piece)
                offset += len(piece)
        return digest.hexdigest()

    def finish(self, size: int) -> None:
        self._file.truncate(size)
        self._file.close()
        self._partial.replace(self._path)


def _plan(boot_size: int, root_size: int, data_size: int) -> list[tuple[str, uuid.UUID, int, int]]:
    """Name, type, offset and size of each partition, in the order of the disk."""
    wanted = [
        (NAME_BOOT, TYPE_BIOS_BOOT, boot_size),
        (NAME_ESP, TYPE_ESP, ESP_SIZE),
        (NAME_ROOT, TYPE_LINUX_DATA, round_up(root_size, ALIGNMENT)),
    ]
    if data_size:
        wanted.append((NAME_DATA, TYPE_LINUX_DATA, round_up(data_size, ALIGNMENT)))
    placed = []
    offset = ALIGNMENT
    for name, kind, size in wanted:
        placed.append((name, kind, offset, size))
        offset += size
    return placed


def build_disk(
    kernel: Path,
    root: Path,
    cmdline: str,
    out: Path,
    *,
    stage1: Path | None = None,
    stage2: Path | None = None,
    efi: Path | None = None,
    data_size: int = 0,
) -> DiskLayout:
    """Writes the image ``out`` and returns its layout.

    The loaders' ``stage1.bin``, ``stage2.bin`` and ``bootx64.efi`` are those beside the kernel,
    where the kernel's build puts them, unless others are given.
    ``data_size`` is the size in bytes of an empty partition at the end, 0 for none; it is rounded
    up to whole MiB. ``out`` appears only when the image is complete.
    """
    if data_size < 0:
        raise DiskError(f"the size of the data partition is negative: {data_size}")
    elf = read(kernel, "kernel")
    segments = read_segments(kernel, elf)
    check_kernel(kernel, elf, segments)
    elf = without_sections(elf, segments)
    check = checksum(loaded(elf, segments))
    root_size = _check_root(root)
    command = encode_cmdline(cmdline)
    loader = read_stage2(stage2 or kernel.with_name("stage2.bin"))
    boot_code = patch_stage1(stage1 or kernel.with_name("stage1.bin"), len(loader) // SECTOR)
    boot = boot_partition(loader, command, elf, check)
    header = BOOT_HEADER.unpack_from(boot)
    kernel_offset, cmdline_offset = header[4] * SECTOR, header[7] * SECTOR
    efi_loader = patch_loader(
        efi or kernel.with_name("bootx64.efi"), (kernel_offset, elf), (cmdline_offset, command)
    )
    places = _plan(len(boot), root_size, data_size)
    end = places[-1][2] + places[-1][3]
    size = round_up(end + BACKUP_SECTORS * SECTOR, ALIGNMENT)
    with _SparseWriter(out) as image:
        root_digest = image.copy(places[2][2], root)
        boot_digest = hashlib.sha256(boot_code + boot + efi_loader).hexdigest()
        guid = uuid.uuid5(NAMESPACE, f"disk:{boot_digest}:{root_digest}:{size}")
        esp_offset = places[1][2]
        volume = fat_volume(esp_offset // SECTOR, guid.fields[0], {EFI_PATH: efi_loader})
        layout = DiskLayout(
            guid,
            size,
            tuple(
                Partition(number, name, kind, uuid.uuid5(guid, name), offset, length)
                for number, (name, kind, offset, length) in enumerate(places, 1)
            ),
            kernel_offset,
            len(elf),
            cmdline,
            esp_offset + volume.index(efi_loader),
            len(efi_loader),
        )
        image.write(ALIGNMENT, boot)
        image.write(esp_offset, volume)
        write_table(image, layout, boot_code)
        image.finish(size)
    return layout


def read_layout(path: Path) -> DiskLayout:
    """Reads the layout of an image that ``build_disk`` wrote and checks both partition tables."""
    try:
        size = path.stat().st_size
        file = path.open("rb")
    except OSError as error:
        raise DiskError(f"{path}: the image cannot be read: {error.strerror}") from error
    with file:
        primary, table = read_gpt(path, file, 1)
        backup, backup_table = read_gpt(path, file, primary[6])
        if primary[6] != size // SECTOR - 1 or backup[6] != 1:
            fail(
                path,
                SECTOR + 32,
                "the backup GPT is not in the last block; the image is cut or grown",
            )
        if backup_table != table or backup[9] != primary[9]:
            fail(
                path, primary[6] * SECTOR, "the two partition tables differ; write the image again"
            )
        partitions = read_partitions(path, table, primary[7], primary[8])
        by_name = {part.name: part for part in partitions}
        absent = [name for name in (NAME_BOOT, NAME_ESP, NAME_ROOT) if name not in by_name]
        if absent:
            fail(
                path,
                2 * SECTOR,
                f"there is no partition {absent[0]}; this is no Kiln disk image",
            )
        *kernel, cmdline = read_boot_header(path, file, by_name[NAME_BOOT])
        loader = read_loader(path, file, by_name[NAME_ESP], (kernel[0], kernel[1]))
    guid = uuid.UUID(bytes_le=primary[9])
    return DiskLayout(guid, size, partitions, kernel[0], kernel[1], cmdline, *loader)
