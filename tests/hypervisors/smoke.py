"""The same test for each machine: a disk is written and read back, bulk is echoed, redis answers.

The image is a whole disk as the collection makes it, with a partition for data, or a kernel that
QEMU starts itself (PVH). Each machine is ended once from inside and once by its power button.
KILN_DISK_MEGABYTES says how much is written.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boot_rig
import redis_guest
from ports import free_port
from test_nics import CONNECTIONS, exchange_with_all

HERE = Path(__file__).resolve().parent
DEVICES = HERE.parent / "devices"
MEGABYTES = int(os.environ.get("KILN_DISK_MEGABYTES", "8"))
PATIENCE = 120 + MEGABYTES
ECHO, END, REDIS = 7, 8, 6379
QEMU = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-nodefaults", "-no-user-config"]
QEMU += ["-display", "none", "-no-reboot", "-m", "256M"]

# QEMU's devices for the disk `disk`, and what the kernel calls it.
DISKS = {
    "virtio-blk": ("vda", ["virtio-blk-pci,drive=disk"]),
    "virtio-scsi": ("sda", ["virtio-scsi-pci", "scsi-hd,drive=disk"]),
    "virtio-mmio": ("vda", ["virtio-blk-device,drive=disk"]),
    "nvme": ("nvme0n1", ["nvme,drive=disk,serial=kiln"]),
    "nvme, few messages": ("nvme0n1", ["nvme,drive=disk,serial=kiln,msix_qsize=2,max_ioqpairs=3"]),
    "pvscsi": ("sda", ["pvscsi", "scsi-hd,drive=disk"]),
    "lsi-sas": ("sda", ["mptsas1068", "scsi-hd,drive=disk"]),
    "ahci": ("sda", ["ahci,id=sata", "ide-hd,bus=sata.0,drive=disk"]),
    "ide": ("sda", ["ide-hd,bus=ide.0,drive=disk"]),
}


def count_of(cpus: int) -> str:
    """For the name of a test."""
    return "1 CPU" if cpus == 1 else f"{cpus} CPUs"


def partition_for_data(disk: str) -> str:
    """On a disk of that name."""
    return f"/dev/{disk}{'p' if disk[-1].isdigit() else ''}4"


@dataclass(frozen=True)
class Machine:
    """One of QEMU's."""

    disk: str
    card: str
    firmware: str = "bios"  # or uefi, or pvh
    cpus: int = 1
    board: str = "q35"
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.board} {self.firmware}, {self.disk}, {self.card}, {count_of(self.cpus)}"

    @property
    def data(self) -> str:
        """The partition for data."""
        return partition_for_data(DISKS[self.disk][0])

    def command(self, image: Path, line: str, kernel: Path, network: str) -> list[str]:
        """QEMU and what it is to start."""
        words = [*QEMU, "-M", self.board, "-cpu", "max", "-smp", str(self.cpus)]
        if self.firmware == "uefi":
            words += boot_rig.UEFI
        if self.firmware == "pvh":
            words += ["-kernel", str(kernel), "-append", line]
        words += ["-drive", f"file={image},format=raw,if=none,id=disk"]
        for device in DISKS[self.disk][1]:
            words += ["-device", device]
        rom = "" if self.card.endswith("-device") else ",romfile="
        words += ["-netdev", network, "-device", f"{self.card},netdev=net{rom}"]
        return [*words, *self.options]


@dataclass
class Guest:
    """A machine that runs."""

    process: subprocess.Popen[bytes]
    console: Path
    control: Path
    ports: dict[int, int] = field(default_factory=dict)

    def said(self) -> str:
        """All that came over the serial port so far."""
        text = self.console.read_text(errors="replace") if self.console.exists() else ""
        return text.replace("\r\n", "\n")

    def wait_said(self, pattern: str) -> str:
        """Until a line matches."""
        until = time.monotonic() + PATIENCE
        while not re.search(pattern, said := self.said(), re.MULTILINE):
            assert self.process.poll() is None, f"QEMU has ended; it said: {said[-3000:]}"
            assert time.monotonic() < until, f"no {pattern!r}: {said[-3000:]}"
            time.sleep(0.05)  # between looks at a file
        return said

    def connect(self, port: int, limit: float = 60) -> socket.socket:
        """A connection on which the guest has answered one byte, or for `END` only a connection."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError):
                peer = socket.create_connection(("127.0.0.1", self.ports[port]), limit)
                if port == END:
                    return peer
                peer.sendall(b"!")
                if peer.recv(1) == b"!":
                    return peer
                peer.close()
            time.sleep(0.05)  # between attempts
        raise AssertionError(f"the guest does not answer: {self.said()[-3000:]}")

    def exchange(self) -> None:
        """Bulk both ways over several connections; every byte is compared."""
        exchange_with_all([self.connect(ECHO) for _ in range(CONNECTIONS)])

    def ask(self, command: str, **arguments: Any) -> Any:
        """QMP."""
        with socket.socket(socket.AF_UNIX) as channel, channel.makefile("rw") as talk:
            channel.settimeout(60)
            channel.connect(str(self.control))
            talk.readline()
            for what in (
                {"execute": "qmp_capabilities"},
                {"execute": command, "arguments": arguments},
            ):
                talk.write(json.dumps(what) + "\n")
                talk.flush()
                # Events may come before the answer.
                while "return" not in (answer := json.loads(talk.readline())):
                    assert "event" in answer, answer
        return answer["return"]

    def end(self, how: str, status: int = 0) -> str:
        """From inside, or by the power button; QEMU ends by itself. What the guest said."""
        with contextlib.ExitStack() as stack:
            if how == "inside":
                stack.enter_context(self.connect(END))
            else:
                self.ask("system_powerdown")
            ended = self.process.wait(PATIENCE)
        assert ended == status, self.said()[-3000:]
        return self.said()


@contextlib.contextmanager
def started(command: list[str], folder: Path, ports: dict[int, int]) -> Iterator[Guest]:
    """QEMU with a serial port in a file and a control socket."""
    guest_console, control = folder / "console", folder / "control"
    words = [*command, "-serial", f"file:{guest_console}"]
    words += ["-qmp", f"unix:{control},server=on,wait=off"]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL)
    try:
        yield Guest(process, guest_console, control, ports)
    finally:
        process.kill()
        process.wait()


def forwards(*guest: int) -> tuple[dict[int, int], str]:
    """Free ports of this machine for the guest's, and QEMU's network with them."""
    ports = {port: free_port() for port in guest}
    told = "".join(f",hostfwd=tcp:127.0.0.1:{here}-:{port}" for port, here in ports.items())
    return ports, f"user,id=net{told}"


def build_tree(folder: Path) -> Path:
    """A root with the program, and the one that writes disks alone."""
    folder.mkdir(parents=True, exist_ok=True)
    objects = []
    for name in ("disk", "nic"):
        objects.append(folder.with_name(f"{name}.o"))
        compile_it = ["gcc", "-O2", "-Wall", f"-Dmain={name}_main", "-c", DEVICES / f"{name}.c"]
        subprocess.run([*compile_it, "-o", objects[-1]], check=True)
    link = ["gcc", "-O2", "-Wall", "-static", "-pthread"]
    subprocess.run([*link, HERE / "smoke.c", *objects, "-o", folder / "smoke"], check=True)
    build_disk_program(folder)
    return folder


def build_disk_program(folder: Path) -> Path:
    """The program that writes a disk and checks what is on it."""
    program, source = folder / "disk", DEVICES / "disk.c"
    boot_rig.run("gcc", "-O2", "-static", "-pthread", "-Wall", "-o", program, source)
    return program


def build_root(folder: Path) -> Path:
    """The same as EROFS."""
    root = folder / "root.erofs"
    boot_rig.run("mkfs.erofs", "-T0", root, build_tree(folder / "tree"))
    return root


def check_partition(image: Path, layout: Any, folder: Path) -> None:
    """Linux reads from the disk's file what the guest wrote."""
    part = folder / "part"
    data = layout.partition("kiln-data")
    with image.open("rb") as file, part.open("wb") as to:
        file.seek(data.offset)
        shutil.copyfileobj(file, to)
    boot_rig.run(build_disk_program(folder), part, "check", str(MEGABYTES), "7")


def fill_partition(image: Path, layout: Any, folder: Path, megabytes: int) -> None:
    """Linux writes into the disk's file what the guest is to read."""
    part = folder / "part"
    with part.open("wb") as file:
        file.truncate(megabytes << 20)
    boot_rig.run(build_disk_program(folder), part, "write", str(megabytes), "7")
    with image.open("r+b") as to, part.open("rb") as file:
        to.seek(layout.partition("kiln-data").offset)
        shutil.copyfileobj(file, to)
    part.unlink()


def check_machine(machine: Machine, how: str, kernel: Path, root: Path, folder: Path) -> None:
    """Disk, network, and the end."""
    image = folder / "disk.img"
    line = f"ip=dhcp -- /smoke {machine.data} {MEGABYTES}"
    layout = boot_rig.disk.build_disk(kernel, root, line, image, data_size=(MEGABYTES + 1) << 20)
    ports, network = forwards(ECHO, END)
    command = machine.command(image, line, kernel, network)
    with started(command, folder, ports) as guest:
        guest.wait_said(f"^{MEGABYTES} MiB are right$")
        guest.exchange()
        lines = guest.end(how).splitlines()
    asked = ["ends by itself", "asked to end"][how == "button"]
    assert asked in lines, lines[-20:]
    assert lines[-1] == f"kiln: exit status {9 if how == 'button' else 0}", lines[-20:]
    check_partition(image, layout, folder)
    image.unlink()


def check_redis(machine: Machine, baked: redis_guest.Baked, folder: Path) -> None:
    """It answers, keeps a large value, and ends when the machine's power button is pressed."""
    image = folder / "disk.img"
    words = " ".join(f'"{word}"' for word in (redis_guest.PROGRAM, *redis_guest.FLAGS))
    line = f"ip=dhcp -- {words}"
    boot_rig.disk.build_disk(baked.kernel, baked.root, line, image)
    ports, network = forwards(REDIS)
    command = machine.command(image, line, baked.kernel, network)
    value = os.urandom(1 << 20)
    request = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s\r\n" % (len(value), value)
    with started(command, folder, ports) as guest:
        until = time.monotonic() + PATIENCE
        while not (answer := ping(ports[REDIS])):
            assert guest.process.poll() is None, guest.said()[-3000:]
            assert time.monotonic() < until, guest.said()[-3000:]
            time.sleep(0.1)  # between attempts
        assert answer == b"+PONG\r\n"
        assert redis_guest.ask(ports[REDIS], request, 5, PATIENCE) == b"+OK\r\n"
        wanted = b"$%d\r\n%s\r\n" % (len(value), value)
        asking = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
        got = redis_guest.ask(ports[REDIS], asking, len(wanted), PATIENCE)
        assert got == wanted
        assert guest.end("button").splitlines()[-1] == "kiln: exit status 0"


def ping(port: int) -> bytes:
    """redis' answer; empty where there is none yet."""
    try:
        return redis_guest.ask(port, b"PING\r\n", 7)
    except OSError:
        return b""
