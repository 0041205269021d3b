"""ELF files made by hand, for tests of what reads them."""

from __future__ import annotations

import struct
from pathlib import Path

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


def make_kernel(
    *,
    machine=62,
    entry=0x200010,
    paddr=0x200000,
    flags=5,
    code=b"\x90" * 5000,
    extra=0,
    note_type=18,
):
    """A kernel in miniature: one segment and a PVH note; the note is the last thing in the file."""
    note = struct.pack("<III4sI", 4, 4, note_type, b"Xen\0", entry)
    code_at, note_at = 4096, 4096 + len(code)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header += struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load_segment = struct.pack(
        "<IIQQQQQQ", 1, flags, code_at, 0, paddr, len(code), len(code) + extra, 4096
    )
    note_segment = struct.pack("<IIQQQQQQ", 4, 4, note_at, 0, 0, len(note), len(note), 4)
    return (header + load_segment + note_segment).ljust(code_at, b"\0") + code + note


def make_stage2(size=3000, version=1):
    return (b"\xeb\x3e\x90\x90KILN-LD2" + struct.pack("<I", version)).ljust(size, b"\x5a")


def make_efi_loader(version=1):
    """Only what the builder looks at of the UEFI loader."""
    head = b"MZ".ljust(4096, b"\0") + b"KILN-EFI" + struct.pack("<I", version)
    return head.ljust(8192, b"\x5a")


def write_kernel(folder: Path) -> Path:
    """A kernel in miniature with its loaders beside it, for disks that nothing ever boots."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kiln.elf").write_bytes(make_kernel())
    (folder / "stage1.bin").write_bytes(b"\xcc" * 436 + b"KLN1")
    (folder / "stage2.bin").write_bytes(make_stage2())
    (folder / "bootx64.efi").write_bytes(make_efi_loader())
    return folder / "kiln.elf"
