# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the parts of the disk builder share: sizes, errors that name a file and an offset, sums."""

from __future__ import annotations

import dataclasses
import typing as t
import uuid
from array import array
from itertools import accumulate
from pathlib import Path

SECTOR = 512
MIB = 1 << 20
ALIGNMENT = MIB

NAME_BOOT = "kiln-boot"
NAME_ESP = "kiln-esp"
NAME_ROOT = "kiln-root"
NAME_DATA = "kiln-data"
# Where UEFI looks on a disk that no boot entry names (UEFI 2.10, section 3.5.1.1).
EFI_PATH = "EFI/BOOT/BOOTX64.EFI"


class DiskError(Exception):
    """An input or an image that cannot be used; the message names the file and the offset."""


@dataclasses.dataclass(frozen=True)
class Partition:
    """One GPT partition; offsets and sizes are in bytes."""

    number: int
    name: str
    type_guid: uuid.UUID
    guid: uuid.UUID
    offset: int
    size: int

    @property
    def first_block(self) -> int:
        return self.offset // SECTOR

    @property
    def last_block(self) -> int:
        return (self.offset + self.size) // SECTOR - 1


@dataclasses.dataclass(frozen=True)
class DiskLayout:
    """What is where in a disk image; offsets and sizes are in bytes.

    ``efi_offset`` and ``efi_size`` are those of the UEFI loader's file in the EFI system partition.
    """

    guid: uuid.UUID
    size: int
    partitions: tuple[Partition, ...]
    kernel_offset: int
    kernel_size: int
    cmdline: str
    efi_offset: int
    efi_size: int

    def partition(self, name: str) -> Partition:
        for candidate in self.partitions:
            if candidate.name == name:
                return candidate
        raise KeyError(name)

    def told(self) -> dict[str, t.Any]:
        """For people and playbooks: what the module image returns as ``disk_layout``."""
        boot = self.partition(NAME_BOOT)
        return {
            "guid": str(self.guid),
            "size": self.size,
            "partitions": [
                {
                    "number": part.number,
                    "name": part.name,
                    "type": str(part.type_guid),
                    "offset": part.offset,
                    "size": part.size,
                }
                for part in self.partitions
            ],
            "kernel": {"offset": self.kernel_offset, "size": self.kernel_size},
            "loaders": {
                "bios": {"offset": boot.offset, "size": self.kernel_offset - boot.offset},
                "uefi": {"path": EFI_PATH, "offset": self.efi_offset, "size": self.efi_size},
            },
        }


def fail(path: Path, offset: int, message: str) -> t.NoReturn:
    raise DiskError(f"{path}: byte {offset:#x}: {message}")


def read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DiskError(f"{path}: the {what} cannot be read: {error.strerror}") from error


def round_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


def pad(data: bytes, unit: int) -> bytes:
    return data.ljust(round_up(len(data), unit), b"\0")


def checksum(pieces: t.Iterable[bytes]) -> tuple[int, int]:
    """Fletcher's sum over 32-bit words, as the loader computes it of what it loaded."""
    low = high = 0
    for piece in pieces:
        words = array("I", pad(piece, 4))
        sums = list(accumulate(words, initial=low))
        high += sum(sums) - low
        low = sums[-1]
    return low & 0xFFFFFFFF, high & 0xFFFFFFFF


def read_at(path: Path, file: t.BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) != size:
        fail(path, offset, f"the image ends here; {size} bytes were expected")
    return data
