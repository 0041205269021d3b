"""A machine of the real VirtualBox, without its kernel driver: every instruction is interpreted.

It is made by importing the collection's OVA, as it is; what a test wants otherwise (the controller,
the card, the firmware, the number of CPUs) is changed afterwards.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boot_rig
import smoke
from ansible_collections.kiln.unikernel.plugins.module_utils import _ova, _ovf
from ansible_collections.kiln.unikernel.plugins.module_utils._sparse import RawDisk
from ansible_collections.kiln.unikernel.plugins.module_utils._store import digest_file
from ansible_collections.kiln.unikernel.plugins.module_utils._vmdk import write_vmdk
from test_nics import CONNECTIONS, connect, exchange_with_all

from tests.publish.virtualbox import RIG, Rig

NAME = "kiln"
# Interpreted, a start takes tens of seconds.
PATIENCE = 420
# storagectl's words, and what the kernel calls the disk. The OVA's own is AHCI.
CONTROLLERS = {
    "ahci": ("sata", "IntelAhci", "sda"),
    "ide": ("ide", "PIIX4", "sda"),
    "lsilogic-sas": ("sas", "LSILogicSAS", "sda"),
    "nvme": ("pcie", "NVMe", "nvme0n1"),
    "virtio-scsi": ("virtio", "VirtIO", "sda"),
}


@dataclass(frozen=True)
class Kind:
    """What differs from the OVA."""

    controller: str = "ahci"
    card: str = "82540EM"
    firmware: str = "bios"
    cpus: int = 1

    def __str__(self) -> str:
        return f"{self.firmware}, {self.controller}, {self.card}, {smoke.count_of(self.cpus)}"

    @property
    def data(self) -> str:
        """The partition for data."""
        return smoke.partition_for_data(CONTROLLERS[self.controller][2])


@dataclass
class Box:
    """A machine that runs, or has run."""

    vbox: Rig
    process: subprocess.Popen[bytes]
    console: Path
    log: Path
    ports: dict[int, int]

    def said(self) -> str:
        text = self.console.read_text(errors="replace") if self.console.exists() else ""
        return text.replace("\r\n", "\n")

    def told(self) -> str:
        """For whoever reads of a failure: the console, and what VirtualBox printed."""
        return f"{self.said()[-3000:]}\n{self.log.read_text(errors='replace')[-1500:]}"

    def wait_said(self, pattern: str, patience: float = PATIENCE) -> str:
        """Until a line matches."""
        until = time.monotonic() + patience
        while not re.search(pattern, said := self.said(), re.MULTILINE):
            assert self.process.poll() is None, f"VirtualBox has ended: {self.told()}"
            assert time.monotonic() < until, f"no {pattern!r}: {self.told()}"
            time.sleep(0.1)  # between looks at a file
        return said

    def connect(self, port: int) -> Any:
        """A connection that the guest has answered."""
        return connect(self.ports[port])

    def exchange(self) -> None:
        """Bulk both ways over several connections; every byte is compared."""
        exchange_with_all([self.connect(smoke.ECHO) for _ in range(CONNECTIONS)])

    def end(self, how: str) -> str:
        """From inside, or by the power button; VirtualBox ends by itself. What the guest said."""
        with contextlib.ExitStack() as stack:
            if how == "inside":
                where = ("127.0.0.1", self.ports[smoke.END])
                stack.enter_context(socket.create_connection(where, 60))
            else:
                self.vbox.call("controlvm", NAME, "acpipowerbutton")
            self.process.wait(PATIENCE)
        return self.said()


def make_ova(folder: Path, raw: Path) -> Path:
    """The OVA that the collection makes of a disk."""
    machine = _ovf.Machine(name=NAME, profile="virtualbox", memory=256)
    disk, digest = folder / "disk.vmdk", digest_file(raw)
    with RawDisk(raw) as content:
        write_vmdk(content, disk, digest)
    told = _ovf.DiskFile(_ova.disk_name(machine), disk.stat().st_size, raw.stat().st_size, digest)
    _ova.write_ova(folder / f"{NAME}.ova", machine, told, disk)
    return folder / f"{NAME}.ova"


def disk_of(vbox: Rig) -> tuple[str, str]:
    """The machine's controller and the disk on it."""
    facts = vbox.facts(NAME)
    controller = facts["storagecontrollername0"]
    disks = [
        value
        for key, value in facts.items()
        if key.startswith(f"{controller}-") and value.startswith("/")
    ]
    return controller, disks[0]


def set_up(vbox: Rig, kind: Kind, console: Path) -> dict[int, int]:
    """Makes the imported machine what is wanted; returns the ports that lead to it."""
    if kind.controller != "ahci":
        old, disk = disk_of(vbox)
        bus, chip, _ = CONTROLLERS[kind.controller]
        vbox.call("storagectl", NAME, "--name", old, "--remove")
        words = ["--name", "Other", "--add", bus, "--controller", chip, "--bootable", "on"]
        vbox.call("storagectl", NAME, *words)
        place = ["--storagectl", "Other", "--port", "0", "--device", "0"]
        vbox.call("storageattach", NAME, *place, "--type", "hdd", "--medium", disk)
    ports, _ = smoke.forwards(smoke.ECHO, smoke.END, smoke.REDIS)
    words = ["--firmware", kind.firmware, "--cpus", str(kind.cpus), "--nic1", "nat"]
    words += ["--nictype1", kind.card, "--uart1", "0x3F8", "4", "--uartmode1", "file", str(console)]
    words += ["--audio-enabled", "off", "--usb-ohci", "off", "--graphicscontroller", "vmsvga"]
    vbox.call("modifyvm", NAME, *words, "--mouse", "ps2")
    for guest, here in ports.items():
        vbox.call("modifyvm", NAME, "--natpf1", f"p{guest},tcp,127.0.0.1,{here},,{guest}")
    return ports


@contextlib.contextmanager
def started(vbox: Rig, kind: Kind, raw: Path) -> Iterator[Box]:
    """The machine, from the OVA of this disk."""
    ova = make_ova(vbox.folder, raw)
    vbox.call("import", str(ova), "--vsys", "0", "--vmname", NAME)
    console, log = vbox.folder / "console", vbox.folder / "log"
    ports = set_up(vbox, kind, console)
    with log.open("wb") as to:
        # A group of its own: the front end is a child of a script.
        process = subprocess.Popen(
            [RIG / "bin/driverless", NAME], stdin=subprocess.DEVNULL, stdout=to, stderr=to,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield Box(vbox, process, console, log, ports)
    finally:
        if process.poll() is None:
            with contextlib.suppress(AssertionError):
                vbox.call("controlvm", NAME, "poweroff")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def disk_as_raw(vbox: Rig, to: Path) -> Path:
    """What the machine's disk holds now."""
    _, disk = disk_of(vbox)
    vbox.call("clonemedium", "disk", disk, str(to), "--format", "RAW")
    return to


def build_smoke_disk(kind: Kind, kernel: Path, root: Path, folder: Path) -> tuple[Path, Any]:
    """The disk whose program writes to it, echoes and ends; and its layout."""
    raw = folder / "disk.raw"
    line = f"ip=dhcp -- /smoke {kind.data} {smoke.MEGABYTES}"
    size = (smoke.MEGABYTES + 1) << 20
    return raw, boot_rig.disk.build_disk(kernel, root, line, raw, data_size=size)
