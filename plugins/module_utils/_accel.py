# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Chooses QEMU's accelerator by trying it.

A /dev/kvm may be there and yet not run a program: some nested hosts stop the guest after the
firmware, others interpret its instructions and give up at the first vector register. So a guest of
a few bytes is booted with a time limit; it uses a vector register, counts to a number that
interpretation does not reach in time, and writes to the debug-exit port. The answer holds until
the host reboots or the probe changes; kernel-src/run, which stands alone and so has a probe of its
own, remembers its answer in the same file and the same words (tests/unit compares the two).
"""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
from pathlib import Path

from ansible_collections.kiln.unikernel.plugins.module_utils._store import Store, write_text

ANSWER = "accelerator"
_KVM = Path("/dev/kvm")
_EXIT_PORT = 0x501
_EXIT_VALUE = 5
_SECONDS = 5
_LOAD_AT = 0x200000
_NOTE_AT = 0x100
_CODE_AT = 0x200
_COUNT = 50_000_000


def choose(wanted: str, qemu: str, store: Store) -> str:
    """`kvm` or `tcg`; asks the machine when `auto` is wanted."""
    if wanted != "auto":
        return wanted
    if not os.access(_KVM, os.R_OK | os.W_OK):
        return "tcg"
    key = _host_key()
    remembered = _remembered(store.path / ANSWER, key)
    if remembered:
        return remembered
    answer = "kvm" if works(qemu, "kvm", store) else "tcg"
    write_text(store.path / ANSWER, f"{key} {answer}\n")
    return answer


def _host_key() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot} {os.getuid()} {hashlib.sha256(probe_guest()).hexdigest()[:16]}"


def _remembered(path: Path, key: str) -> str | None:
    try:
        words = path.read_text(encoding="utf-8").strip().rsplit(" ", 1)
    except OSError:
        return None
    return words[1] if words in ([key, "kvm"], [key, "tcg"]) else None


def works(qemu: str, accel: str, store: Store) -> bool:
    """Whether a guest really runs with this accelerator."""
    with store.scratch() as scratch:
        guest = scratch / "probe.elf"
        guest.write_bytes(probe_guest())
        command = [qemu, "-nodefaults", "-no-user-config", "-display", "none", "-M", "q35"]
        command += ["-accel", accel, "-cpu", "max", "-m", "64", "-kernel", str(guest)]
        command += ["-device", f"isa-debug-exit,iobase={_EXIT_PORT},iosize=1"]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_SECONDS,
                check=False,
            )
        except (subprocess.TimeoutExpired, OSError):
            return False
    # isa-debug-exit ends QEMU with twice the value written, plus one.
    return done.returncode == _EXIT_VALUE * 2 + 1


def probe_guest() -> bytes:
    """A 32-bit program in an ELF with a PVH entry note; see the head of this file."""
    code = _probe_code()
    # Xen's public/elfnote.h: type 18 is XEN_ELFNOTE_PHYS32_ENTRY.
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", _LOAD_AT + _CODE_AT)
    size = _CODE_AT + len(code)
    entry = _LOAD_AT + _CODE_AT
    identity = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", identity, 2, 62, 1, entry, 64, 0, 0, 64, 56, 2, 0, 0, 0
    )
    load = struct.pack("<IIQQQQQQ", 1, 7, 0, _LOAD_AT, _LOAD_AT, size, size, 0x1000)
    at = _LOAD_AT + _NOTE_AT
    notes = struct.pack("<IIQQQQQQ", 4, 4, _NOTE_AT, at, at, len(note), len(note), 4)
    image = (header + load + notes).ljust(_NOTE_AT, b"\0") + note
    return image.ljust(_CODE_AT, b"\0") + code


def _probe_code() -> bytes:
    return b"".join(
        (
            b"\x0f\x20\xe0\x0d\x00\x06\x00\x00\x0f\x22\xe0",  # CR4 |= OSFXSR | OSXMMEXCPT
            b"\x66\x0f\xef\xc0",  # pxor %xmm0, %xmm0
            b"\xb9" + struct.pack("<I", _COUNT),  # mov $count, %ecx
            b"\x49\x75\xfd",  # 1: dec %ecx; jne 1b
            bytes([0xB0, _EXIT_VALUE]),  # mov $value, %al
            b"\x66\xba" + struct.pack("<H", _EXIT_PORT),  # mov $port, %dx
            b"\xee\xf4",  # out %al, %dx; hlt
        )
    )
