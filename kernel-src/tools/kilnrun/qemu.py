"""QEMU's command line and its process."""

import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import time

from .errors import RunError
from .options import Options
from .rootfs import Drive
from .streams import Port

# What the machine does not have need not be found by firmware and kernel.
_MACHINE = "q35,sata=off,smbus=off,smm=off,vmport=off"
# Minimal firmware that comes with QEMU: a third of the time to a program's first answer less. The
# kernel places the devices itself.
_QBOOT = "/usr/share/qemu/qboot.rom"
PORTS = ("stdin", "stdout", "stderr", "log", "control")
MONITOR = "monitor"
_STOP_SECONDS = 2.0


def program() -> str:
    """Path of the emulator."""
    wanted = os.environ.get("KILN_QEMU", "qemu-system-x86_64")
    found = shutil.which(wanted)
    if not found:
        raise RunError(f"{wanted} is not installed (Debian package qemu-system-x86)")
    return found


def _file(path: str) -> str:
    """A path inside a QEMU option, where a comma is written twice."""
    return path.replace(",", ",,")


def _streams(ports: dict[str, Port]) -> list[str]:
    words = ["-device", "virtio-serial-pci-non-transitional,id=serial,max_ports=8"]
    for name, port in ports.items():
        words += ["-chardev", f"socket,id={name},fd={port.far.fileno()}"]
        if name in PORTS:
            words += ["-device", f"virtserialport,bus=serial.0,chardev={name},name=kiln.{name}"]
        elif name == MONITOR:
            words += ["-mon", f"chardev={name},mode=control"]
        else:
            words += ["-serial", f"chardev:{name}"]
    return words


def _card_address(interface: str) -> str:
    """Of the card behind a host's interface: guests on one bridge must not all have QEMU's default."""
    digest = hashlib.sha256(os.fsencode(interface)).digest()
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in digest[:3])


def _network(options: Options) -> list[str]:
    if options.net == "none":
        return []
    card = "virtio-net-pci-non-transitional,netdev=net,romfile="
    if options.net == "user":
        guest = options.ip.split("/")[0] if options.ip and ":" not in options.ip else ""
        backend = "user,id=net"
        for protocol, host_port, guest_port in options.forward:
            backend += f",hostfwd={protocol}:127.0.0.1:{host_port}-{guest}:{guest_port}"
    else:
        interface = options.net.removeprefix("tap=")
        backend = f"tap,id=net,ifname={interface},script=no,downscript=no"
        card += f",mac={_card_address(interface)}"
    return ["-netdev", backend, "-device", card]


def _boot(options: Options, kernel: str | None, line: str) -> list[str]:
    if kernel is None:
        return []
    chosen = options.firmware or ("qboot" if os.path.exists(_QBOOT) else "seabios")
    words = ["-kernel", kernel, "-append", line]
    return words + (["-bios", "qboot.rom"] if chosen == "qboot" else [])


def _accelerator(options: Options, accel: str) -> list[str]:
    if options.icount:
        return ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"]
    return ["-accel", "tcg,thread=multi" if accel == "tcg" else accel]


def command(
    options: Options,
    accel: str,
    kernel: str | None,
    line: str,
    drive: Drive,
    ports: dict[str, Port],
) -> list[str]:
    """The whole command; with no kernel the drive is booted by the BIOS."""
    disk = f"file={_file(drive.path)},format={drive.format},if=none,id=root,readonly=on"
    words = [program(), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    words += ["-M", _MACHINE, "-cpu", "max", "-m", f"{options.memory_mib}M"]
    words += _accelerator(options, accel)
    words += ["-smp", str(options.smp)]
    words += _boot(options, kernel, line)
    words += ["-drive", disk]
    words += ["-device", "virtio-blk-pci-non-transitional,drive=root"]
    words += _network(options)
    words += _streams(ports)
    words += ["-device", "virtio-rng-pci-non-transitional"]
    return words + shlex.split(os.environ.get("KILN_QEMU_ARGS", ""))


class Process:
    """A running QEMU that cannot outlive the tool.

    It leads a session of its own, so a Ctrl-C at the terminal reaches only the tool, and gets
    SIGKILL from the host's kernel should the tool die without a word.
    """

    def __init__(self, words: list[str], ports: dict[str, Port], errors: Port) -> None:
        guard = ["setpriv", "--pdeathsig", "KILL", "--"]
        try:
            self._child = subprocess.Popen(
                guard + words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors.far.fileno(),
                pass_fds=[port.far.fileno() for port in ports.values()],
                start_new_session=True,
            )
        except FileNotFoundError as missing:
            raise RunError(f"{missing.filename} is not installed") from None

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._child.pid

    @property
    def status(self) -> int | None:
        """QEMU's exit status, if it has ended."""
        return self._child.poll()

    def wait(self, until: float | None) -> bool:
        """Whether QEMU ended before this moment of time.monotonic()."""
        try:
            self._child.wait(None if until is None else max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        """End QEMU: politely, then not."""
        if self.status is None:
            self._child.send_signal(signal.SIGTERM)
            if not self.wait(time.monotonic() + _STOP_SECONDS):
                self._child.kill()
                self._child.wait()
