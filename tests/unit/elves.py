"""ELF files made by hand, for tests of what reads them."""

from __future__ import annotations

import struct

MACHINES = {"x86-64": 62, "aarch64": 183, "i386": 3}


def make_elf(
    needed: tuple[str, ...] = (),
    interpreter: str | None = None,
    runpath: str | None = None,
    machine: str = "x86-64",
) -> bytes:
    """A 64-bit shared object that needs these libraries and holds no code."""
    strings = b"\0"
    places = {}
    for text in (*needed, *([runpath] if runpath else [])):
        places[text] = len(strings)
        strings += text.encode() + b"\0"
    headers = 3 if interpreter else 2
    base = 64 + 56 * headers
    loader = interpreter.encode() + b"\0" if interpreter else b""
    strings_at = base + len(loader)
    dynamic_at = -(-(strings_at + len(strings)) // 8) * 8
    tags = [(1, places[text]) for text in needed]  # DT_NEEDED
    tags += [(29, places[runpath])] if runpath else []  # DT_RUNPATH
    tags += [(5, strings_at), (10, len(strings)), (0, 0)]  # DT_STRTAB, DT_STRSZ, DT_NULL
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in tags)
    size = dynamic_at + len(dynamic)

    def segment(kind: int, at: int, length: int) -> bytes:
        return struct.pack("<IIQQQQQQ", kind, 4, at, at, at, length, length, 8)

    table = segment(1, 0, size) + segment(2, dynamic_at, len(dynamic))
    table += segment(3, base, len(loader)) if interpreter else b""
    identity = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        identity,
        3,
        MACHINES[machine],
        1,
        0,
        64,
        0,
        0,
        64,
        56,
        headers,
        64,
        0,
        0,
    )
    return (header + table + loader + strings).ljust(dynamic_at, b"\0") + dynamic
