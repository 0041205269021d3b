# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The machine a local guest gets: QEMU's command line and the kernel's.

The machine is the one that kernel-src/run uses: q35 without the devices a Kiln guest has no use
for, modern virtio only. The program's output, the kernel's log and the serial port (where a panic
is reported) are appended to one console file.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError

_MACHINE = "q35,sata=off,smbus=off,smm=off,vmport=off"
# Minimal firmware that comes with QEMU: a third of the time to a program's first answer less. The
# kernel places the devices itself.
_QBOOT = Path("/usr/share/qemu/qboot.rom")
LEAST_MEMORY = 4 << 20
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_QCOW2_MAGIC = b"QFI\xfb"
# The room that QEMU's PVH loader has for it.
_CMDLINE_LIMIT = 4095


@dataclass(frozen=True)
class Forward:
    """A port of the host that leads to one of the guest; host port 0 takes a free one."""

    guest: int
    host: int = 0
    protocol: str = "tcp"
    address: str = "127.0.0.1"


@dataclass(frozen=True)
class Machine:
    """What a guest is started with."""

    image: Path
    kernel: Path | None
    memory: int
    cpus: int = 1
    forwards: list[Forward] = field(default_factory=list)
    network: bool = True
    cmdline: str = ""
    argv: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Places:
    """Where a guest's files and sockets are."""

    console: Path
    pid: Path
    qmp: Path
    control: Path


def parse_size(text: str) -> int:
    """Bytes of `256M` and the like."""
    match = re.fullmatch(r"(\d+)\s*([KMG]?)(i?B)?", text.strip(), re.IGNORECASE)
    if not match:
        raise KilnError(f"'{text}' is not a size; write a number with K, M or G, such as 128M.")
    return int(match[1]) * _UNITS[match[2].upper()]


def guest_memory(text: str) -> int:
    """The bytes of a guest's memory; with less than this the kernel is not even loaded."""
    size = parse_size(text)
    if size < LEAST_MEMORY:
        raise KilnError(
            f"A memory of '{text}' does not hold the kernel, which needs {LEAST_MEMORY >> 20}M at "
            "the least; was a unit forgotten (M, G)?"
        )
    return size


def program() -> str:
    """Path of the emulator."""
    found = shutil.which("qemu-system-x86_64")
    if not found:
        raise KilnError(
            "qemu-system-x86_64 is not installed; on Debian install the package qemu-system-x86."
        )
    return found


def quote(word: str) -> str:
    """A word of the kernel's command line, quoted when it has to be."""
    if word and not re.search(r'[\s"\\]', word):
        return word
    body = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{body}"'


def kernel_line(machine: Machine) -> str:
    """The kernel's command line: the caller's words, then what overrides the image's argv."""
    words = ["root=auto"] if "root=" not in machine.cmdline else []
    words += [machine.cmdline] if machine.cmdline else []
    words += [] if machine.network or "ip=" in machine.cmdline else ["ip=none"]
    if machine.argv:
        words += ["--", *(quote(word) for word in machine.argv)]
    line = " ".join(words)
    if len(line.encode()) > _CMDLINE_LIMIT:
        raise KilnError(
            f"The kernel's command line has {len(line.encode())} bytes; at most {_CMDLINE_LIMIT} "
            "fit. Put argv and env into the image."
        )
    return line


def image_format(image: Path) -> str:
    """The image's format, raw or qcow2, by the file's first bytes."""
    with image.open("rb") as stream:
        return "qcow2" if stream.read(4) == _QCOW2_MAGIC else "raw"


def command(machine: Machine, places: Places, accel: str) -> list[str]:
    """QEMU's whole command line, as a process that goes into the background when it is set up."""
    words = [program(), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    words += ["-M", _MACHINE, "-cpu", "max", "-m", f"{machine.memory >> 20}M"]
    words += ["-smp", str(machine.cpus)]
    words += ["-accel", "tcg,thread=multi" if accel == "tcg" else accel]
    if machine.kernel is not None:
        words += ["-kernel", str(machine.kernel), "-append", kernel_line(machine)]
        words += ["-bios", str(_QBOOT)] if _QBOOT.exists() else []
    words += _drive(machine.image) + _network(machine) + _streams(places)
    words += ["-device", "virtio-rng-pci-non-transitional"]
    words += ["-qmp", f"unix:{_escape(places.qmp)},server=on,wait=off"]
    return [*words, "-pidfile", str(places.pid), "-daemonize"]


def _escape(path: Path) -> str:
    """A path inside an option of QEMU, where a comma is written twice."""
    return str(path).replace(",", ",,")


def _drive(image: Path) -> list[str]:
    facts = f"file={_escape(image)},format={image_format(image)},if=none,id=root,readonly=on"
    return ["-drive", facts, "-device", "virtio-blk-pci-non-transitional,drive=root"]


def _network(machine: Machine) -> list[str]:
    if not machine.network:
        return []
    backend = "user,id=net"
    for item in machine.forwards:
        backend += f",hostfwd={item.protocol}:{item.address}:{item.host}-:{item.guest}"
    return ["-netdev", backend, "-device", "virtio-net-pci-non-transitional,netdev=net,romfile="]


def _streams(places: Places) -> list[str]:
    console = f"path={_escape(places.console)},append=on"
    words = ["-chardev", f"file,id=serial,{console}", "-serial", "chardev:serial"]
    words += ["-device", "virtio-serial-pci-non-transitional,id=ports,max_ports=8"]
    for name in ("stdout", "stderr", "log"):
        words += ["-chardev", f"file,id={name},{console}"]
        words += ["-device", f"virtserialport,bus=ports.0,chardev={name},name=kiln.{name}"]
    words += ["-chardev", f"socket,id=control,path={_escape(places.control)},server=on,wait=off"]
    words += ["-device", "virtserialport,bus=ports.0,chardev=control,name=kiln.control"]
    return words
