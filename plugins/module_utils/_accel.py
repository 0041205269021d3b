# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Chooses QEMU's accelerator by trying it.

A /dev/kvm may be there and yet not run a guest (nested hosts), so a guest of a few bytes is booted
with a time limit. The answer holds until the host reboots; kernel-src/run, which stands alone and
so has a probe of its own, remembers its answer in the same file and the same words.
"""

from __future__ import annotations

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


def choose(wanted: str, qemu: str, store: Store) -> str:
    """`kvm` or `tcg`; asks the machine when `auto` is wanted."""
    if wanted != "auto":
        return wanted
    if not os.access(_KVM, os.R_OK | os.W_OK):
        return "tcg"
    key = f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.getuid()}"
    remembered = _remembered(store.path / ANSWER, key)
    if remembered:
        return remembered
    answer = "kvm" if works(qemu, "kvm", store) else "tcg"
    write_text(store.path / ANSWER, f"{key} {answer}\n")
    return answer


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
    """A 32-bit program in an ELF with a PVH entry note; it writes to the exit port at once."""
    # mov $value,%al; mov $port,%dx; out %al,%dx; hlt
    code = bytes([0xB0, _EXIT_VALUE, 0x66, 0xBA]) + struct.pack("<H", _EXIT_PORT) + b"\xee\xf4"
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
