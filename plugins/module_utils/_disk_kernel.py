# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Holds a kernel against what the loader can load, and takes from it what is loaded.

The loader checks the same at boot; a bad kernel fails here and not there.
"""

from __future__ import annotations

import dataclasses
import struct
import typing as t
from itertools import pairwise
from pathlib import Path

from ansible_collections.kiln.unikernel.plugins.module_utils._disk_base import MIB, fail, round_up

ELF_HEADER_LIMIT = 4096
NOTE_LIMIT = 4096
LOWEST_SEGMENT = MIB
ADDRESS_LIMIT = 1 << 32


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


def read_segments(path: Path, elf: bytes) -> list[_Segment]:
    if elf[:4] != b"\x7fELF":
        fail(path, 0, "this is no ELF file; give the kernel that the kernel role builds (kiln.elf)")
    if len(elf) < 64:
        fail(path, len(elf), "the ELF header is cut short; build the kernel again")
    if elf[4] != 2 or elf[5] != 1:
        fail(path, 4, "this ELF file is not 64-bit little-endian")
    machine = struct.unpack_from("<H", elf, 18)[0]
    if machine != 62:
        fail(path, 18, f"this ELF file is for machine {machine}, not for x86-64 (62)")
    table = struct.unpack_from("<Q", elf, 32)[0]
    size, count = struct.unpack_from("<HH", elf, 54)
    if size != 56 or count == 0:
        fail(path, 54, f"{count} program headers of {size} bytes; there must be some, of 56 bytes")
    if table + count * size > min(len(elf), ELF_HEADER_LIMIT):
        fail(
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
        fail(
            path,
            segment.at,
            "this program header points behind the end of the file; it is cut short",
        )
    if segment.kind == PT_NOTE and segment.file_size > NOTE_LIMIT:
        fail(path, segment.at, f"notes of {segment.file_size} bytes; the loader takes {NOTE_LIMIT}")
    if segment.kind != PT_LOAD:
        return
    if segment.file_size > segment.memory_size:
        fail(path, segment.at, "this segment is larger in the file than in memory")
    end = segment.physical + segment.memory_size
    if segment.physical < LOWEST_SEGMENT or end > ADDRESS_LIMIT:
        fail(
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
            fail(path, upper.at, f"this segment overlaps the one at {lower.physical:#x} in memory")


def _notes(data: bytes) -> t.Iterator[tuple[bytes, int, bytes]]:
    at = 0
    while at + 12 <= len(data):
        name_size, content_size, kind = struct.unpack_from("<III", data, at)
        content = at + 12 + round_up(name_size, 4)
        if content + content_size > len(data):
            return
        yield data[at + 12 : at + 12 + name_size], kind, data[content : content + content_size]
        at = content + round_up(content_size, 4)


def _entry_in(notes: bytes) -> int | None:
    for name, kind, content in _notes(notes):
        if name == b"Xen\0" and kind == XEN_ELFNOTE_PHYS32_ENTRY and len(content) >= 4:
            return int.from_bytes(content[:4], "little") or None
    return None


def loaded(elf: bytes, segments: t.Sequence[_Segment]) -> t.Iterator[bytes]:
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


def without_sections(elf: bytes, segments: t.Sequence[_Segment]) -> bytes:
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


def check_kernel(path: Path, elf: bytes, segments: t.Sequence[_Segment]) -> None:
    """Checks what the loader will check, so that a bad kernel fails here and not at boot."""
    for segment in segments:
        _check_segment(path, elf, segment)
    entry = _find_entry(elf, segments)
    if entry is None:
        fail(path, 0, "no PVH entry (note XEN_ELFNOTE_PHYS32_ENTRY); this is not Kiln's kernel")
    loads = [segment for segment in segments if segment.kind == PT_LOAD]
    _check_overlap(path, loads)
    if not any(
        segment.flags & PF_X and 0 <= entry - segment.physical < segment.file_size
        for segment in loads
    ):
        fail(path, 0, f"the PVH entry {entry:#x} is in no executable segment")
