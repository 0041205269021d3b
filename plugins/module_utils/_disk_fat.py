# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The EFI system partition: a FAT12 volume with a few files, by Microsoft's fatgen103.

The same files give the same bytes: each file and folder is dated FAT's first day, 1980-01-01, and
takes the clusters behind those of the one before it.
"""

from __future__ import annotations

import struct
import typing as t
from array import array
from collections.abc import Mapping

from ansible_collections.kiln.unikernel.plugins.module_utils._disk_base import (
    MIB,
    SECTOR,
    DiskError,
    pad,
    round_up,
)

ESP_SIZE = MIB
LABEL = b"KILN-ESP   "
_RESERVED = 1
_ROOT_ENTRIES = 512
_SECTORS = ESP_SIZE // SECTOR
_FAT_SECTORS = -(-(_SECTORS * 3 // 2) // SECTOR)
_DATA_AT = (_RESERVED + 2 * _FAT_SECTORS) * SECTOR + _ROOT_ENTRIES * 32
_CLUSTER = SECTOR
_CLUSTERS = (ESP_SIZE - _DATA_AT) // _CLUSTER
_END = 0xFFF
_FOLDER = 0x10
_FILE = 0x20

Folder: t.TypeAlias = "dict[str, bytes | Folder]"


def _entry(name: bytes, attributes: int, cluster: int = 0, size: int = 0) -> bytes:
    return struct.pack("<11sB10xHHHI", name, attributes, 0, 0x21, cluster, size)


def _short(name: str) -> bytes:
    stem, extension = name.partition(".")[::2]
    short = stem.ljust(8).encode("ascii") + extension.ljust(3).encode("ascii")
    if len(short) != 11 or short != short.upper():
        raise DiskError(f"{name} is no name of 8 and 3 capital letters, which is all a FAT has")
    return short


class _Volume:
    """Clusters and their chains, as they fill."""

    def __init__(self) -> None:
        self._chains = array("H", [0xFF8, _END])
        self._data = bytearray()

    def take(self, size: int) -> int:
        """The first of the clusters for that many bytes, one after another; 0 for none."""
        first, count = len(self._chains), -(-size // _CLUSTER)
        if first + count - 2 > _CLUSTERS:
            raise DiskError(
                f"the EFI system partition has {_CLUSTERS * _CLUSTER} bytes for files; "
                f"{(first + count - 2) * _CLUSTER} are needed"
            )
        self._chains.extend(range(first + 1, first + count))
        self._chains.extend([_END] if count else [])
        self._data += bytes(count * _CLUSTER)
        return first if count else 0

    def put(self, cluster: int, data: bytes) -> None:
        """Fills clusters that were taken."""
        at = (cluster - 2) * _CLUSTER
        self._data[at : at + len(data)] = data

    def add(self, name: str, content: bytes | Folder, parent: int) -> bytes:
        """A file or a folder with all below it; its entry for the folder that holds it."""
        if isinstance(content, bytes):
            cluster = self.take(len(content))
            self.put(cluster, content)
            return _entry(_short(name), _FILE, cluster, len(content))
        cluster = self.take(32 * (len(content) + 2))
        entries = [
            _entry(b".".ljust(11), _FOLDER, cluster),
            _entry(b"..".ljust(11), _FOLDER, parent),
        ]
        entries += self.entries(content, cluster)
        self.put(cluster, b"".join(entries))
        return _entry(_short(name), _FOLDER, cluster)

    def entries(self, folder: Folder, cluster: int) -> list[bytes]:
        """The entries of what a folder holds."""
        return [self.add(name, content, cluster) for name, content in sorted(folder.items())]

    def table(self) -> bytes:
        """The chains, two of 12 bits in three bytes."""
        links = [*self._chains, 0]
        pairs = (links[at] | links[at + 1] << 12 for at in range(0, len(links) - 1, 2))
        return pad(b"".join(pair.to_bytes(3, "little") for pair in pairs), _FAT_SECTORS * SECTOR)

    def data(self) -> bytes:
        """What is in the clusters."""
        return bytes(self._data)


def _tree(files: Mapping[str, bytes]) -> Folder:
    root: Folder = {}
    for path, content in files.items():
        *folders, name = path.split("/")
        folder = root
        for each in folders:
            inner = folder.setdefault(each, {})
            if not isinstance(inner, dict):
                raise DiskError(f"{each} in {path} would be both a file and a folder")
            folder = inner
        folder[name] = content
    return root


def _boot_sector(first_block: int, serial: int) -> bytes:
    fields = struct.pack(
        "<3s8sHBHBHHBHHHIIBBBI11s8s",
        b"\xeb\x3c\x90",
        b"KILN    ",
        SECTOR,
        _CLUSTER // SECTOR,
        _RESERVED,
        2,
        _ROOT_ENTRIES,
        _SECTORS,
        0xF8,
        _FAT_SECTORS,
        32,
        64,
        first_block,
        0,
        0x80,
        0,
        0x29,
        serial,
        LABEL,
        b"FAT12   ",
    )
    return fields.ljust(510, b"\0") + b"\x55\xaa"


def fat_volume(first_block: int, serial: int, files: Mapping[str, bytes]) -> bytes:
    """The head of a volume of ESP_SIZE bytes with these files (path: content); zeros follow."""
    volume = _Volume()
    root = [_entry(LABEL, 0x08), *volume.entries(_tree(files), 0)]
    table = volume.table()
    head = _boot_sector(first_block, serial) + table + table
    return head + b"".join(root).ljust(_ROOT_ENTRIES * 32, b"\0") + volume.data()


def find_file(volume: bytes, path: str) -> tuple[int, int] | None:
    """Where a file that `fat_volume` put into a volume lies in it: offset and size."""
    folder = volume[_DATA_AT - _ROOT_ENTRIES * 32 : _DATA_AT]
    place = None
    for name in path.split("/"):
        wanted = _short(name)
        at = next((at for at in range(0, len(folder), 32) if folder[at : at + 11] == wanted), None)
        if at is None:
            return None
        cluster, size = struct.unpack_from("<HI", folder, at + 26)
        start = _DATA_AT + (cluster - 2) * _CLUSTER
        place = (start, size)
        folder = volume[start : start + round_up(max(size, 1), _CLUSTER)]
    return place
