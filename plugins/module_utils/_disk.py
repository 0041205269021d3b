# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The raw disk image that a BIOS boots: GPT, loader, kernel, command line and root.

``build_disk`` writes an image, ``read_layout`` reads one back and checks it. The same inputs give
the same bytes: every GUID is a version 5 UUID of the content. Blocks of zeros are not written, so
the image is sparse. The offsets of the boot header stand in ``kernel-src/boot/layout.hh`` too.

The GPT is that of the UEFI specification 2.10, chapter 5; the empty FAT of the EFI system
partition follows Microsoft's FAT specification (fatgen103).
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import struct
import typing as t
import uuid
import zlib
from array import array
from itertools import accumulate, pairwise
from pathlib import Path

SECTOR = 512
MIB = 1 << 20
ALIGNMENT = MIB
ENTRY_COUNT = 128
ENTRY_SIZE = 128
TABLE_SECTORS = ENTRY_COUNT * ENTRY_SIZE // SECTOR
BACKUP_SECTORS = TABLE_SECTORS + 1
ESP_SIZE = MIB

STAGE1_SIZE = 440
STAGE1_MAGIC = b"KLN1"
STAGE1_BLOCK_AT = 426
STAGE1_SECTORS_AT = 434
STAGE2_MAGIC = b"KILN-LD2"
STAGE2_VERSION = 1
STAGE2_LIMIT = 0x7800
BOOT_HEADER = struct.Struct("<4x8sIIIQIIQIIII")
CMDLINE_LIMIT = 0x4000 - 1
ELF_HEADER_LIMIT = 4096
NOTE_LIMIT = 4096
LOWEST_SEGMENT = MIB
ADDRESS_LIMIT = 1 << 32

EROFS_MAGIC = 0xE0F5E1E2
EROFS_SUPERBLOCK = 1024

NAMESPACE = uuid.UUID("6f6f2f0e-57a5-5f0c-9d0b-6b696c6e0001")
TYPE_BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
TYPE_ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
TYPE_LINUX_DATA = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")

NAME_BOOT = "kiln-boot"
NAME_ESP = "kiln-esp"
NAME_ROOT = "kiln-root"
NAME_DATA = "kiln-data"


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
    """What is where in a disk image; offsets and sizes are in bytes."""

    guid: uuid.UUID
    size: int
    partitions: tuple[Partition, ...]
    kernel_offset: int
    kernel_size: int
    cmdline: str

    def partition(self, name: str) -> Partition:
        for candidate in self.partitions:
            if candidate.name == name:
                return candidate
        raise KeyError(name)


@dataclasses.dataclass(frozen=True)
class _Segment:
    """The fields of an ELF program header that the loader uses."""

    at: int
    kind: int
    flags: int
    offset: int
    physical: int
    file_size: int
    memory_size: int


PT_LOAD = 1
PT_NOTE = 4
PF_X = 1
XEN_ELFNOTE_PHYS32_ENTRY = 18


def _fail(path: Path, offset: int, message: str) -> t.NoReturn:
    raise DiskError(f"{path}: byte {offset:#x}: {message}")


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DiskError(f"{path}: the {what} cannot be read: {error.strerror}") from error


def _round_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


def _pad(data: bytes, unit: int) -> bytes:
    return data.ljust(_round_up(len(data), unit), b"\0")


# --- the kernel --------------------------------------------------------------------------------


def _segments(path: Path, elf: bytes) -> list[_Segment]:
    if elf[:4] != b"\x7fELF":
        _fail(
            path, 0, "this is no ELF file; give the kernel that the kernel role builds (kiln.elf)"
        )
    if len(elf) < 64:
        _fail(path, len(elf), "the ELF header is cut short; build the kernel again")
    if elf[4] != 2 or elf[5] != 1:
        _fail(path, 4, "this ELF file is not 64-bit little-endian")
    machine = struct.unpack_from("<H", elf, 18)[0]
    if machine != 62:
        _fail(path, 18, f"this ELF file is for machine {machine}, not for x86-64 (62)")
    table = struct.unpack_from("<Q", elf, 32)[0]
    size, count = struct.unpack_from("<HH", elf, 54)
    if size != 56 or count == 0:
        _fail(path, 54, f"{count} program headers of {size} bytes; there must be some, of 56 bytes")
    if table + count * size > min(len(elf), ELF_HEADER_LIMIT):
        _fail(
            path, 32, "the program headers are not in the first 4 KiB, where the loader reads them"
        )
    return [_segment(elf, table + index * size) for index in range(count)]


def _segment(elf: bytes, at: int) -> _Segment:
    kind, flags, offset, _virtual, physical, file_size, memory_size, _align = struct.unpack_from(
        "<IIQQQQQQ", elf, at
    )
    return _Segment(at, kind, flags, offset, physical, file_size, memory_size)


def _check_segment(path: Path, elf: bytes, segment: _Segment) -> None:
    if segment.offset + segment.file_size > len(elf):
        _fail(
            path,
            segment.at,
            "this program header points behind the end of the file; it is cut short",
        )
    if segment.kind == PT_NOTE and segment.file_size > NOTE_LIMIT:
        _fail(
            path, segment.at, f"notes of {segment.file_size} bytes; the loader takes {NOTE_LIMIT}"
        )
    if segment.kind != PT_LOAD:
        return
    if segment.file_size > segment.memory_size:
        _fail(path, segment.at, "this segment is larger in the file than in memory")
    end = segment.physical + segment.memory_size
    if segment.physical < LOWEST_SEGMENT or end > ADDRESS_LIMIT:
        _fail(
            path,
            segment.at,
            f"this segment is for {segment.physical:#x} to {end:#x};"
            " the loader fills memory from 1 MiB to 4 GiB only",
        )


def _check_overlap(path: Path, loads: t.Sequence[_Segment]) -> None:
    ordered = sorted(
        (segment for segment in loads if segment.memory_size), key=lambda s: s.physical
    )
    for lower, upper in pairwise(ordered):
        if lower.physical + lower.memory_size > upper.physical:
            _fail(path, upper.at, f"this segment overlaps the one at {lower.physical:#x} in memory")


def _notes(data: bytes) -> t.Iterator[tuple[bytes, int, bytes]]:
    at = 0
    while at + 12 <= len(data):
        name_size, content_size, kind = struct.unpack_from("<III", data, at)
        content = at + 12 + _round_up(name_size, 4)
        if content + content_size > len(data):
            return
        yield data[at + 12 : at + 12 + name_size], kind, data[content : content + content_size]
        at = content + _round_up(content_size, 4)


def _entry_in(notes: bytes) -> int | None:
    for name, kind, content in _notes(notes):
        if name == b"Xen\0" and kind == XEN_ELFNOTE_PHYS32_ENTRY and len(content) >= 4:
            return int.from_bytes(content[:4], "little") or None
    return None


def _checksum(pieces: t.Iterable[bytes]) -> tuple[int, int]:
    """Fletcher's sum over 32-bit words, as the loader computes it of what it loaded."""
    low = high = 0
    for piece in pieces:
        words = array("I", _pad(piece, 4))
        sums = list(accumulate(words, initial=low))
        high += sum(sums) - low
        low = sums[-1]
    return low & 0xFFFFFFFF, high & 0xFFFFFFFF


def _loaded(elf: bytes, segments: t.Sequence[_Segment]) -> t.Iterator[bytes]:
    """The pieces of the file that the loader reads, in its order."""
    entry: int | None = None
    yield elf[:ELF_HEADER_LIMIT]
    for segment in segments:
        data = elf[segment.offset : segment.offset + segment.file_size]
        if segment.kind == PT_LOAD:
            yield data
        elif segment.kind == PT_NOTE and entry is None:
            yield data
            entry = _entry_in(data)


def _without_sections(elf: bytes, segments: t.Sequence[_Segment]) -> bytes:
    """The file without what is never loaded: section headers, symbols, debugging information."""
    needed = [segment for segment in segments if segment.kind in (PT_LOAD, PT_NOTE)]
    end = max([len(elf[:ELF_HEADER_LIMIT])] + [part.offset + part.file_size for part in needed])
    kept = bytearray(elf[:end])
    struct.pack_into("<Q", kept, 40, 0)  # e_shoff
    struct.pack_into("<HHH", kept, 58, 0, 0, 0)  # e_shentsize, e_shnum, e_shstrndx
    return bytes(kept)


def _find_entry(elf: bytes, segments: t.Sequence[_Segment]) -> int | None:
    for segment in segments:
        if segment.kind == PT_NOTE:
            entry = _entry_in(elf[segment.offset : segment.offset + segment.file_size])
            if entry is not None:
                return entry
    return None


def _check_kernel(path: Path, elf: bytes, segments: t.Sequence[_Segment]) -> None:
    """Checks what the loader will check, so that a bad kernel fails here and not at boot."""
    for segment in segments:
        _check_segment(path, elf, segment)
    entry = _find_entry(elf, segments)
    if entry is None:
        _fail(path, 0, "no PVH entry (note XEN_ELFNOTE_PHYS32_ENTRY); this is not Kiln's kernel")
    loads = [segment for segment in segments if segment.kind == PT_LOAD]
    _check_overlap(path, loads)
    if not any(
        segment.flags & PF_X and 0 <= entry - segment.physical < segment.file_size
        for segment in loads
    ):
        _fail(path, 0, f"the PVH entry {entry:#x} is in no executable segment")


# --- the other inputs --------------------------------------------------------------------------


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
        _fail(path, size, "the file is too short for an EROFS image; make it with mkfs.erofs")
    magic = struct.unpack_from("<I", superblock, 0)[0]
    if magic != EROFS_MAGIC:
        _fail(
            path,
            EROFS_SUPERBLOCK,
            f"magic {magic:#010x}, not EROFS's {EROFS_MAGIC:#010x};"
            " make the root image with mkfs.erofs",
        )
    block_bits = superblock[12]
    if not 9 <= block_bits <= 16:
        _fail(
            path,
            EROFS_SUPERBLOCK + 12,
            f"an EROFS block size of 2^{block_bits} bytes is impossible",
        )
    blocks = struct.unpack_from("<I", superblock, 36)[0]
    if blocks << block_bits > size:
        _fail(
            path,
            size,
            f"the EROFS image is cut short: its superblock says {blocks << block_bits} bytes",
        )
    return size


def _encode_cmdline(cmdline: str) -> bytes:
    # Arguments are bytes on Linux; surrogateescape is how Python hands over those that are no text.
    data = cmdline.encode("utf-8", "surrogateescape")
    if len(data) > CMDLINE_LIMIT:
        raise DiskError(
            f"the kernel command line has {len(data)} bytes; at most {CMDLINE_LIMIT} fit"
        )
    if 0 in data:
        raise DiskError(f"the kernel command line has a NUL at byte {data.index(0)}")
    return data


def _patch_stage1(path: Path, stage2_sectors: int) -> bytes:
    code = bytearray(_read(path, "boot code (stage 1)"))
    if len(code) != STAGE1_SIZE:
        _fail(path, len(code), f"stage 1 must have {STAGE1_SIZE} bytes; build the kernel again")
    if code[436:440] != STAGE1_MAGIC:
        _fail(path, 436, "this is not Kiln's stage 1 (no KLN1); build the kernel again")
    struct.pack_into("<Q", code, STAGE1_BLOCK_AT, ALIGNMENT // SECTOR)
    struct.pack_into("<H", code, STAGE1_SECTORS_AT, stage2_sectors)
    return bytes(code)


def _read_stage2(path: Path) -> bytes:
    code = _read(path, "loader (stage 2)")
    if code[4:12] != STAGE2_MAGIC or len(code) < BOOT_HEADER.size:
        _fail(path, 4, "this is not Kiln's stage 2 (no KILN-LD2); build the kernel again")
    version = struct.unpack_from("<I", code, 12)[0]
    if version != STAGE2_VERSION:
        _fail(path, 12, f"stage 2 is of version {version}, this collection writes {STAGE2_VERSION}")
    if len(code) > STAGE2_LIMIT:
        _fail(path, STAGE2_LIMIT, f"stage 2 has {len(code)} bytes; at most {STAGE2_LIMIT} fit")
    return _pad(code, SECTOR)


def _boot_partition(stage2: bytes, cmdline: bytes, kernel: bytes, check: tuple[int, int]) -> bytes:
    """Stage 2, the command line and the kernel, as they lie in the BIOS-boot partition."""
    cmdline_at = len(stage2)
    kernel_at = _round_up(cmdline_at + len(cmdline), 4096)
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
            *_checksum([cmdline]),
        )
        header[0:4] = stage2[0:4]

    fill(0)
    fill(-sum(array("I", bytes(header))) & 0xFFFFFFFF)
    lead = (bytes(header) + cmdline).ljust(kernel_at, b"\0")
    return _pad(lead + kernel, ALIGNMENT)


def _empty_fat(first_block: int, serial: int) -> bytes:
    """The head of an empty FAT12 volume of ESP_SIZE bytes; the rest of it is zeros."""
    sectors, reserved, root_entries = ESP_SIZE // SECTOR, 1, 512
    root_sectors = root_entries * 32 // SECTOR
    fat_sectors = -(-(sectors * 3 // 2) // SECTOR)
    label = b"KILN-ESP   "
    boot = struct.pack(
        "<3s8sHBHBHHBHHHIIBBBI11s8s",
        b"\xeb\x3c\x90",
        b"KILN    ",
        SECTOR,
        1,
        reserved,
        2,
        root_entries,
        sectors,
        0xF8,
        fat_sectors,
        32,
        64,
        first_block,
        0,
        0x80,
        0,
        0x29,
        serial,
        label,
        b"FAT12   ",
    )
    boot = boot.ljust(510, b"\0") + b"\x55\xaa"
    fat = b"\xf8\xff\xff".ljust(fat_sectors * SECTOR, b"\0")
    # Attribute 8 is the volume label; its date is FAT's first day, 1980-01-01.
    entry = struct.pack("<11sB10xHHHI", label, 0x08, 0, 0x21, 0, 0)
    return boot + fat + fat + entry.ljust(root_sectors * SECTOR, b"\0")


# --- the partition table -----------------------------------------------------------------------


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


def _write_table(image: _SparseWriter, layout: DiskLayout, boot_code: bytes) -> None:
    blocks = layout.size // SECTOR
    table = _table(layout.partitions)
    image.write(0, _protective_mbr(boot_code, blocks))
    image.write(SECTOR, _gpt_header(layout, table, primary=True))
    image.write(2 * SECTOR, table)
    image.write((blocks - BACKUP_SECTORS) * SECTOR, table)
    image.write((blocks - 1) * SECTOR, _gpt_header(layout, table, primary=False))


# --- writing -----------------------------------------------------------------------------------


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
        (NAME_ROOT, TYPE_LINUX_DATA, _round_up(root_size, ALIGNMENT)),
    ]
    if data_size:
        wanted.append((NAME_DATA, TYPE_LINUX_DATA, _round_up(data_size, ALIGNMENT)))
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
    data_size: int = 0,
) -> DiskLayout:
    """Writes the image ``out`` and returns its layout.

    The loader's ``stage1.bin`` and ``stage2.bin`` are those beside the kernel, where the kernel's
    build puts them, unless others are given.
    ``data_size`` is the size in bytes of an empty partition at the end, 0 for none; it is rounded
    up to whole MiB. ``out`` appears only when the image is complete.
    """
    if data_size < 0:
        raise DiskError(f"the size of the data partition is negative: {data_size}")
    elf = _read(kernel, "kernel")
    segments = _segments(kernel, elf)
    _check_kernel(kernel, elf, segments)
    elf = _without_sections(elf, segments)
    check = _checksum(_loaded(elf, segments))
    root_size = _check_root(root)
    command = _encode_cmdline(cmdline)
    loader = _read_stage2(stage2 or kernel.with_name("stage2.bin"))
    boot_code = _patch_stage1(stage1 or kernel.with_name("stage1.bin"), len(loader) // SECTOR)
    boot = _boot_partition(loader, command, elf, check)
    places = _plan(len(boot), root_size, data_size)
    end = places[-1][2] + places[-1][3]
    size = _round_up(end + BACKUP_SECTORS * SECTOR, ALIGNMENT)
    with _SparseWriter(out) as image:
        root_digest = image.copy(places[2][2], root)
        boot_digest = hashlib.sha256(boot_code + boot).hexdigest()
        guid = uuid.uuid5(NAMESPACE, f"disk:{boot_digest}:{root_digest}:{size}")
        layout = DiskLayout(
            guid,
            size,
            tuple(
                Partition(number, name, kind, uuid.uuid5(guid, name), offset, length)
                for number, (name, kind, offset, length) in enumerate(places, 1)
            ),
            BOOT_HEADER.unpack_from(boot)[4] * SECTOR,
            len(elf),
            cmdline,
        )
        esp = layout.partition(NAME_ESP)
        image.write(ALIGNMENT, boot)
        image.write(esp.offset, _empty_fat(esp.first_block, guid.fields[0]))
        _write_table(image, layout, boot_code)
        image.finish(size)
    return layout


# --- reading -----------------------------------------------------------------------------------


def _read_at(path: Path, file: t.BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) != size:
        _fail(path, offset, f"the image ends here; {size} bytes were expected")
    return data


def _read_gpt(path: Path, file: t.BinaryIO, block: int) -> tuple[tuple[t.Any, ...], bytes]:
    """Reads and checks one of the two headers with its table."""
    at = block * SECTOR
    raw = _read_at(path, file, at, SECTOR)
    fields = GPT_HEADER.unpack_from(raw)
    signature, revision, header_size, crc = fields[:4]
    if signature != GPT_SIGNATURE or revision != GPT_REVISION or header_size != GPT_HEADER.size:
        _fail(path, at, "there is no GPT header; this is no Kiln disk image")
    if zlib.crc32(raw[:16] + bytes(4) + raw[20:header_size]) != crc:
        _fail(path, at + 16, "the checksum of the GPT header is wrong; write the image again")
    if fields[5] != block or fields[11] != ENTRY_COUNT or fields[12] != ENTRY_SIZE:
        _fail(path, at + 24, "the GPT header does not describe its own place or table")
    table = _read_at(path, file, fields[10] * SECTOR, ENTRY_COUNT * ENTRY_SIZE)
    if zlib.crc32(table) != fields[13]:
        _fail(
            path,
            fields[10] * SECTOR,
            "the checksum of the partition table is wrong; write the image again",
        )
    return fields, table


def _read_partitions(path: Path, table: bytes, first: int, last: int) -> tuple[Partition, ...]:
    found = []
    for number in range(1, ENTRY_COUNT + 1):
        entry = table[(number - 1) * ENTRY_SIZE : number * ENTRY_SIZE]
        kind, guid, start, end, _flags, name = struct.unpack("<16s16sQQQ72s", entry)
        if kind == bytes(16):
            continue
        if not first <= start <= end <= last:
            _fail(
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


def _read_boot_header(path: Path, file: t.BinaryIO, boot: Partition) -> tuple[int, int, str]:
    stage2_head = _read_at(path, file, boot.offset, BOOT_HEADER.size)
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
        _fail(path, boot.offset, f"no stage 2 of version {STAGE2_VERSION}; write the image again")
    limit = boot.offset + boot.size
    if (
        stage2_size > STAGE2_LIMIT
        or kernel_block * SECTOR + kernel_size > limit
        or cmdline_size > CMDLINE_LIMIT
        or cmdline_block * SECTOR + cmdline_size > limit
    ):
        _fail(
            path, boot.offset, "the boot header points outside its partition; write the image again"
        )
    stage2 = _read_at(path, file, boot.offset, stage2_size)
    if len(stage2) % 4 or sum(array("I", stage2)) & 0xFFFFFFFF:
        _fail(path, boot.offset, "the checksum of stage 2 is wrong; write the image again")
    raw = _read_at(path, file, cmdline_block * SECTOR, cmdline_size)
    if _checksum([raw]) != tuple(cmdline_check):
        _fail(
            path,
            cmdline_block * SECTOR,
            "the checksum of the command line is wrong; write the image again",
        )
    return kernel_block * SECTOR, kernel_size, raw.decode("utf-8", "surrogateescape")


def read_layout(path: Path) -> DiskLayout:
    """Reads the layout of an image that ``build_disk`` wrote and checks both partition tables."""
    try:
        size = path.stat().st_size
        file = path.open("rb")
    except OSError as error:
        raise DiskError(f"{path}: the image cannot be read: {error.strerror}") from error
    with file:
        primary, table = _read_gpt(path, file, 1)
        backup, backup_table = _read_gpt(path, file, primary[6])
        if primary[6] != size // SECTOR - 1 or backup[6] != 1:
            _fail(
                path,
                SECTOR + 32,
                "the backup GPT is not in the last block; the image is cut or grown",
            )
        if backup_table != table or backup[9] != primary[9]:
            _fail(
                path, primary[6] * SECTOR, "the two partition tables differ; write the image again"
            )
        partitions = _read_partitions(path, table, primary[7], primary[8])
        by_name = {part.name: part for part in partitions}
        if NAME_BOOT not in by_name or NAME_ROOT not in by_name:
            _fail(
                path,
                2 * SECTOR,
                f"there is no partition {NAME_BOOT} or {NAME_ROOT}; this is no Kiln disk image",
            )
        kernel_offset, kernel_size, cmdline = _read_boot_header(path, file, by_name[NAME_BOOT])
    return DiskLayout(
        uuid.UUID(bytes_le=primary[9]), size, partitions, kernel_offset, kernel_size, cmdline
    )
