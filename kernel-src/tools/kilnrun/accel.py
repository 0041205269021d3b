"""Chooses the accelerator by trying it.

A /dev/kvm may be there and yet not run a program: on some nested hosts it stops the guest after the
firmware, on others it interprets the guest's instructions and gives up at the first vector
instruction.  So a guest of a few bytes is booted: it uses a vector register, counts to a number that
interpretation does not reach in time, and writes to the debug-exit port.  The answer holds until
the host reboots or the probe changes.
"""

import hashlib
import os
import struct
import subprocess
import tempfile

from . import cache

_ANSWER = "accelerator"
_EXIT_PORT = 0x501
_EXIT_VALUE = 5
_PROBE_SECONDS = 5
_LOAD_AT = 0x200000
_COUNT = 50_000_000


def probe_guest() -> bytes:
    """An ELF with a PVH note (Xen public/elfnote.h: type 18); see the head of this file."""
    code = bytes.fromhex("0f20e0 0d00060000 0f22e0")  # CR4 |= OSFXSR | OSXMMEXCPT
    code += bytes.fromhex("660fefc0")  # pxor %xmm0, %xmm0
    code += struct.pack("<BI3s", 0xB9, _COUNT, b"\x49\x75\xfd")  # count %ecx down
    code += struct.pack("<BBBBHBB", 0xB0, _EXIT_VALUE, 0x66, 0xBA, _EXIT_PORT, 0xEE, 0xF4)
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", _LOAD_AT + 0x200)
    header = struct.pack(
        "<4sBBBB8xHHIQQQIHHHHHH",
        b"\x7fELF", 2, 1, 1, 0, 2, 62, 1, _LOAD_AT + 0x200, 64, 0, 0, 64, 56, 2, 0, 0, 0,
    )  # fmt: skip
    size = 0x200 + len(code)
    load = struct.pack("<IIQQQQQQ", 1, 7, 0, _LOAD_AT, _LOAD_AT, size, size, 0x1000)
    notes = struct.pack(
        "<IIQQQQQQ", 4, 4, 0x100, _LOAD_AT + 0x100, _LOAD_AT + 0x100, len(note), len(note), 4
    )
    image = bytearray(size)
    image[: len(header)] = header
    image[64 : 64 + 112] = load + notes
    image[0x100 : 0x100 + len(note)] = note
    image[0x200:] = code
    return bytes(image)


def works(qemu: str, accel: str) -> bool:
    """Whether a guest really runs with this accelerator."""
    with tempfile.NamedTemporaryFile(prefix="kiln-probe-", suffix=".elf") as guest:
        guest.write(probe_guest())
        guest.flush()
        command = [qemu, "-nodefaults", "-no-user-config", "-display", "none", "-M", "q35"]
        command += ["-accel", accel, "-cpu", "max", "-m", "64", "-kernel", guest.name]
        command += ["-device", f"isa-debug-exit,iobase={_EXIT_PORT},iosize=1"]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_PROBE_SECONDS,
                check=False,
            )
        except (subprocess.TimeoutExpired, OSError):
            return False
    return done.returncode == _EXIT_VALUE * 2 + 1


def _host_key() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        boot = stream.read().strip()
    return f"{boot} {os.getuid()} {hashlib.sha256(probe_guest()).hexdigest()[:16]}"


def choose(wanted: str, qemu: str) -> str:
    """`kvm` or `tcg`."""
    if wanted != "auto":
        return wanted
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    key = _host_key()
    remembered = (cache.read(_ANSWER) or "").rpartition(" ")
    if remembered[0] == key and remembered[2] in ("kvm", "tcg"):
        return remembered[2]
    answer = "kvm" if works(qemu, "kvm") else "tcg"
    cache.write(_ANSWER, f"{key} {answer}")
    return answer
