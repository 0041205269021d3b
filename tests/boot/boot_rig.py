"""What the loader's tests stand on: the built loader, a probe kernel, and QEMU with a disk.

The probe (probe.S) prints what the loader gave it; ``boot`` starts a disk image and returns what
came out on the serial port.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import time
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
TIMEOUT = 60  # a loaded machine is no failure
UEFI_TIMEOUT = 300  # OVMF alone takes five seconds of CPU
OVMF = Path("/usr/share/OVMF")
PROBE_STATUS = (0x2A << 1) | 1  # what isa-debug-exit makes of 0x2a

PATTERN = bytes((index * index * 7 + index // 251) & 0xFF for index in range(300_001))

CONTROLLERS = {
    "ide": ["-machine", "pc", "-drive", "file={},format=raw,if=ide"],
    "ahci": ["-machine", "q35", "-drive", "file={},format=raw,if=ide"],
    "virtio-blk": [
        "-machine",
        "pc",
        "-drive",
        "file={},format=raw,if=none,id=d",
        "-device",
        "virtio-blk-pci,drive=d",
    ],
    "nvme": [
        "-machine",
        "q35",
        "-drive",
        "file={},format=raw,if=none,id=d",
        "-device",
        "nvme,drive=d,serial=kiln",
    ],
    "pvscsi": [
        "-machine",
        "pc",
        "-drive",
        "file={},format=raw,if=none,id=d",
        "-device",
        "pvscsi",
        "-device",
        "scsi-hd,drive=d",
    ],
    "virtio-scsi": [
        "-machine",
        "q35",
        "-drive",
        "file={},format=raw,if=none,id=d",
        "-device",
        "virtio-scsi-pci",
        "-device",
        "scsi-hd,drive=d",
    ],
    "virtio-blk-legacy": [
        "-machine",
        "pc",
        "-drive",
        "file={},format=raw,if=none,id=d",
        "-device",
        "virtio-blk-pci,drive=d,disable-modern=on",
    ],
    "lsi53c895a": [
        "-machine",
        "pc",
        "-drive",
        "file={},format=raw,if=none,id=d",
        "-device",
        "lsi53c895a",
        "-device",
        "scsi-hd,drive=d",
    ],
    "mptsas1068": [
        "-machine",
        "pc",
        "-drive",
        "file={},format=raw,if=none,id=d",
        "-device",
        "mptsas1068",
        "-device",
        "scsi-hd,drive=d",
    ],
    "megasas": [
        "-machine",
        "pc",
        "-drive",
        "file={},format=raw,if=none,id=d",
        "-device",
        "megasas",
        "-device",
        "scsi-hd,drive=d",
    ],
    "usb": [
        "-machine",
        "q35",
        "-drive",
        "file={},format=raw,if=none,id=d",
        "-device",
        "qemu-xhci",
        "-device",
        "usb-storage,drive=d",
    ],
}
FLOPPY = ["-machine", "pc", "-drive", "file={},format=raw,if=floppy"]


def load_disk_module() -> types.ModuleType:
    """Imports the disk builder as kernel-src/run does, without an installed collection."""
    sys.path.insert(0, str(TOP / "kernel-src/tools"))
    return importlib.import_module("kilnrun.rootfs").disk_builder()


disk = load_disk_module()


def convert(image: Path, name: str) -> Path:
    """The image in another format of the collection, beside it."""
    base = disk.__name__.rpartition(".")[0]
    made = image.with_suffix(f".{name}")
    with importlib.import_module(f"{base}._sparse").RawDisk(image) as raw:
        writer = importlib.import_module(f"{base}._{name}")
        getattr(writer, f"write_{name}")(raw, made, "5a" * 32)
    return made


def run(*command: object, cwd: Path | None = None, timeout: float = 120) -> None:
    """Runs a build tool; its output is shown only when it fails."""
    subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        check=True,
        timeout=timeout,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def build_loader(folder: Path) -> Path:
    """Builds the loaders alone and returns their folder."""
    run("cmake", "-S", TOP / "kernel-src/boot", "-B", folder, "-G", "Ninja")
    run("ninja", "-C", folder, "-j2")
    return folder


def build_probe(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pattern.bin").write_bytes(PATTERN)
    run(
        "gcc",
        "-m64",
        "-I",
        folder,
        f"-Wa,-I,{folder}",
        "-c",
        HERE / "probe.S",
        "-o",
        "probe.o",
        cwd=folder,
    )
    run(
        "ld",
        "-nostdlib",
        "--build-id=none",
        "-z",
        "noexecstack",
        "--no-warn-rwx-segments",
        "-T",
        HERE / "probe.ld",
        "-o",
        "probe.elf",
        "probe.o",
        cwd=folder,
    )
    return folder / "probe.elf"


def build_root(folder: Path) -> Path:
    tree = folder / "tree"
    tree.mkdir(parents=True, exist_ok=True)
    (tree / "greeting").write_text("hello\n")
    image = folder / "root.erofs"
    run("mkfs.erofs", "-T0", "-U", "00000000-0000-0000-0000-000000000001", image, tree)
    return image


def program_headers(elf: bytes | bytearray) -> list[int]:
    """The file offset of each program header."""
    table = struct.unpack_from("<Q", elf, 32)[0]
    return [table + 56 * index for index in range(struct.unpack_from("<H", elf, 56)[0])]


def repack(elf: bytes, shift: int) -> bytes:
    """The same program with its segments at odd places in the file and no sections."""
    out = bytearray(elf[: max(program_headers(elf)) + 56])
    out[40:48] = bytes(8)
    out[60:62] = bytes(2)
    for at in program_headers(elf):
        offset, size = struct.unpack_from("<Q16xQ", elf, at + 8)
        out += b"\xcc" * shift
        struct.pack_into("<Q", out, at + 8, len(out))
        out += elf[offset : offset + size]
    return bytes(out)


@dataclasses.dataclass
class Outcome:
    """What a boot gave: QEMU's status, the serial lines, seconds from start to the last one."""

    status: int | None
    text: str
    seconds: float

    def values(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in self.text.splitlines():
            name, equals, value = line.partition("=")
            if equals:
                found.setdefault(name, []).append(value.strip())
        return found


def flash(code: str, variables: str) -> list[str]:
    """OVMF for QEMU: what it is, and variables that are as new at every start."""
    units = ((code, "readonly=on"), (variables, "snapshot=on"))
    drives = [
        f"if=pflash,unit={unit},format=raw,file={OVMF / name},{option}"
        for unit, (name, option) in enumerate(units)
    ]
    return [word for drive in drives for word in ("-drive", drive)]


UEFI = flash("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd")
# UEFI with Secure Boot, which trusts the key that the package ovmf gives away.
UEFI_SECURE = [
    *flash("OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.snakeoil.fd"),
    *("-machine", "smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"),
]


def qemu_command(
    image: Path,
    controller: str,
    memory: str,
    file_format: str = "raw",
    options: Sequence[str] = (),
) -> list[str]:
    name = str(image).replace(",", ",,")
    drive = FLOPPY if controller == "floppy" else CONTROLLERS[controller]
    drive = [word.replace("format=raw", f"format={file_format}") for word in drive]
    return [
        "qemu-system-x86_64",
        "-accel",
        "tcg,thread=multi",
        "-cpu",
        "max",
        "-m",
        memory,
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
        "-net",
        "none",
        "-device",
        "VGA",
        "-device",
        "isa-debug-exit,iobase=0xf4,iosize=4",
        "-serial",
        "stdio",
        *(word.format(name) for word in drive),
        *options,
    ]


def boot(
    image: Path,
    controller: str = "virtio-blk",
    memory: str = "64M",
    until: str = "",
    file_format: str = "raw",
    options: Sequence[str] = (),
    limit: float = TIMEOUT,
) -> Outcome:
    """Boots the image until QEMU ends by itself, or until a line matches `until`."""
    start = time.monotonic()
    process = subprocess.Popen(
        qemu_command(image, controller, memory, file_format, options),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        text = _read_lines(process, until, start + limit)
        seconds = time.monotonic() - start
        status = None if until and re.search(until, text) else process.wait(timeout=TIMEOUT)
    finally:
        process.kill()
        process.wait()
    return Outcome(status, text, seconds)


def boot_uefi(image: Path, controller: str = "virtio-blk", **more: Any) -> Outcome:
    """The same under OVMF; what does not boot ends in its shell."""
    shell = "EFI Internal Shell"
    more["until"] = f"{more['until']}|{shell}" if "until" in more else shell
    more = {"memory": "256M", "options": UEFI, "limit": UEFI_TIMEOUT} | more
    return boot(image, controller, **more)


def screen_after(image: Path, until: str) -> str:
    """Boots until a line on COM1 matches, then returns the letters of the text screen."""
    monitor = image.with_name("monitor")
    dump = image.with_name("screen")
    command = qemu_command(image, "virtio-blk", "64M")
    command += ["-qmp", f"unix:{monitor},server=on,wait=off"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        _read_lines(process, until, time.monotonic() + TIMEOUT)
        _qmp(
            monitor,
            {"execute": "qmp_capabilities"},
            {
                "execute": "pmemsave",
                "arguments": {"val": 0xB8000, "size": 4000, "filename": str(dump)},
            },
        )
    finally:
        process.kill()
        process.wait()
    return dump.read_bytes()[::2].decode("latin-1")


def _qmp(path: Path, *requests: dict[str, object]) -> None:
    """Sends the requests one by one; an answer that is an error fails the test."""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(TIMEOUT)
        channel.connect(str(path))
        answers = channel.makefile()
        answers.readline()
        for request in requests:
            channel.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(answers.readline())
            assert "return" in answer, answer


def _read_lines(process: subprocess.Popen[bytes], until: str, deadline: float) -> str:
    assert process.stdout
    descriptor = process.stdout.fileno()
    os.set_blocking(descriptor, False)
    text = ""
    while time.monotonic() < deadline:
        if not select.select([descriptor], [], [], 0.2)[0]:
            continue
        piece = os.read(descriptor, 65536)
        text += piece.decode("latin-1")
        if not piece or (until and re.search(until, text)):
            return text
    raise AssertionError(f"it took too long; this came: {text!r}")
