"""The drivers with every kind of device that QEMU has for them.

Disk, network, streams, entropy and power-off; by the newer and the older virtio registers, by MSI-X
and by interrupt lines, placed by firmware or by the kernel itself. KILN_KERNEL names a kernel;
without it one is built.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.lib.ports import free_port

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
NEWER = "-non-transitional"
MACHINE = "q35,sata=off,smbus=off,smm=off,vmport=off"
TIMEOUT = 60
FILE_SIZE = 3_000_017
INPUT_SIZE = 400_003
SENT_SIZE = 300_007


def pattern(size: int, seed: int) -> bytes:
    """Bytes without a short period."""
    state, out = seed, bytearray()
    while len(out) < size:
        state = (state * 6364136223846793005 + 1442695040888963407) & (1 << 64) - 1
        out += state.to_bytes(8, "little")
    return bytes(out[:size])


def fnv(data: bytes) -> str:
    """The digest that exercise.c prints."""
    value = 14695981039346656037
    for byte in data:
        value = ((value ^ byte) * 1099511628211) & (1 << 64) - 1
    return f"{value:016x}"


FILE = pattern(FILE_SIZE, 1)
INPUT = pattern(INPUT_SIZE, 2)
SENT = pattern(SENT_SIZE, 3)
FILE_DIGEST, INPUT_DIGEST = fnv(FILE), fnv(INPUT)


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the program and the file that it reads."""
    folder = tmp_path_factory.mktemp("root")
    subprocess.run(
        ["gcc", "-O1", "-static", "-Wall", "-o", folder / "exercise", HERE / "exercise.c"],
        check=True,
    )
    (folder / "data").write_bytes(FILE)
    return folder


def exchange(port: int) -> bytes:
    """Sends SENT and returns what comes back until the end."""
    received = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as peer:
        peer.setblocking(True)
        peer.settimeout(TIMEOUT)
        for start in range(0, len(SENT), 30_000):
            piece = SENT[start : start + 30_000]
            peer.sendall(piece)
            while len(received) < start + len(piece):
                more = peer.recv(65536)
                if not more:
                    raise ConnectionResetError
                received += more
        peer.shutdown(socket.SHUT_WR)
        while more := peer.recv(65536):
            received += more
    return bytes(received)


def echo_when_ready(port: int, guest: subprocess.Popen[bytes]) -> bytes:
    """The exchange, tried again until the guest listens."""
    while guest.poll() is None:
        with contextlib.suppress(ConnectionError):
            return exchange(port)
        time.sleep(0.05)  # between attempts; the guest ends by its own time-out
    return b""


def run_guest(
    kernel: str, root: Path, wrapper: Path, rewrite: list[list[str]], *options: str
) -> str:
    """Runs the exercise and returns its output; checks its status and what came back."""
    port = free_port()
    command = [TOP / "kernel-src/run", "--kernel", kernel, "--root", root]
    command += [
        "--timeout",
        str(TIMEOUT),
        *options,
        "--forward",
        f"{port}:7",
        "--",
        "/exercise",
        "7",
    ]
    environment = os.environ | {
        "KILN_QEMU": str(wrapper),
        "KILN_TEST_REWRITE": json.dumps(rewrite),
    }
    with (
        subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as guest,
    ):
        assert guest.stdin is not None
        assert guest.stdout is not None
        assert guest.stderr is not None
        guest.stdin.write(INPUT)
        guest.stdin.close()
        back = echo_when_ready(port, guest)
        output = guest.stdout.read().decode()
        errors = guest.stderr.read().decode()
        status = guest.wait()
    assert (status, errors.splitlines()[-1:]) == (42, ["done"]), output + errors
    assert back == SENT
    return output


EXPECTED = [
    f"file {FILE_SIZE} {FILE_DIGEST}",
    f"input {INPUT_SIZE} {INPUT_DIGEST}",
    "random 64",
    f"echoed {SENT_SIZE}",
]

ROOT_DISK = f"virtio-blk-pci{NEWER},drive=root"
NVME = "nvme,drive=root,serial=kiln"
AHCI = "ahci,id=sata\n-device\nide-hd,bus=sata.0,drive=root"
VIRTIO_SCSI = f"virtio-scsi-pci{NEWER},id=scsi\n-device\nscsi-hd,bus=scsi.0,drive=root"
LSI_SAS = "mptsas1068,id=scsi\n-device\nscsi-hd,bus=scsi.0,drive=root"
PVSCSI = "pvscsi,id=scsi\n-device\nscsi-hd,bus=scsi.0,drive=root"
VMXNET3 = [f"virtio-net-pci{NEWER},netdev", "vmxnet3,netdev"]
# QEMU has no ATA disks that cannot be written.
WRITABLE = ["readonly=on", "snapshot=on"]

# No BIOS and no PCI. Devices are named by ACPI's DSDT, or on the boot line, with an MP table.
MICROVM = [["-pci-non-transitional", "-device"], [",romfile=", ""]]
MICROVM_ACPI = [MACHINE, "microvm,acpi=on\n-global\nvirtio-mmio.force-legacy=false"]
MICROVM_PLAIN = [MACHINE, "microvm,acpi=off"]

# Interrupt lines and I/O registers are where the firmware puts them, which qboot does not.
BIOS = ["--firmware", "seabios"]
VARIANTS: dict[str, tuple[list[list[str]], list[str]]] = {
    "as kernel-src/run makes them": ([], []),
    "two CPUs": ([], ["--smp", "2"]),
    "newer registers, interrupt lines": ([[NEWER, ",disable-legacy=on,vectors=0"]], BIOS),
    "transitional": ([[NEWER, ""]], BIOS),
    "older registers": ([[NEWER, ",disable-modern=on,disable-legacy=off"]], BIOS),
    "older registers, lines, two CPUs": (
        [[NEWER, ",disable-modern=on,disable-legacy=off,vectors=0"]],
        [*BIOS, "--smp", "2"],
    ),
    "no event index": ([[NEWER, f"{NEWER},event_idx=off"]], []),
    "packed rings": ([[NEWER, f"{NEWER},packed=on"]], []),
    "packed rings, no event index, two CPUs": (
        [[NEWER, f"{NEWER},packed=on,event_idx=off"]],
        ["--smp", "2"],
    ),
    "packed rings, interrupt lines": (
        [[NEWER, ",disable-legacy=on,vectors=0,packed=on"]],
        BIOS,
    ),
    "no merged buffers, older registers": (
        [
            [f"net-pci{NEWER}", "net-pci,disable-modern=on,disable-legacy=off,mrg_rxbuf=off"],
        ],
        BIOS,
    ),
    "a disk with a short queue": ([[f"blk-pci{NEWER}", f"blk-pci{NEWER},queue-size=8"]], []),
    "an older PC": ([[MACHINE, "pc"], [NEWER, ""]], BIOS),
    "an older PC, lines": ([[MACHINE, "pc"], [NEWER, ",vectors=0"]], BIOS),
    "a disk by NVMe": ([[ROOT_DISK, NVME]], []),
    "NVMe, two CPUs": ([[ROOT_DISK, NVME]], ["--smp", "2"]),
    "NVMe with fewer queues than CPUs": ([[ROOT_DISK, f"{NVME},max_ioqpairs=1"]], ["--smp", "2"]),
    "NVMe with fewer messages than CPUs": ([[ROOT_DISK, f"{NVME},msix_qsize=2"]], ["--smp", "3"]),
    "NVMe, short transfers, sectors of 4 KiB": (
        [[ROOT_DISK, f"{NVME},mdts=1,logical_block_size=4096,physical_block_size=4096"]],
        [],
    ),
    "a disk by AHCI": ([[ROOT_DISK, AHCI], WRITABLE], []),
    "AHCI on an older PC, two CPUs": (
        [[MACHINE, "pc"], [ROOT_DISK, AHCI], WRITABLE],
        [*BIOS, "--smp", "2"],
    ),
    "a disk by virtio-scsi": ([[ROOT_DISK, VIRTIO_SCSI]], []),
    "virtio-scsi on an older PC, lines, two CPUs": (
        [[MACHINE, "pc"], [ROOT_DISK, VIRTIO_SCSI], [NEWER, ",vectors=0"]],
        [*BIOS, "--smp", "2"],
    ),
    "the devices of the OVA for vSphere": ([[ROOT_DISK, PVSCSI], VMXNET3], BIOS),
    "PVSCSI, two CPUs, sectors of 4 KiB": (
        [[ROOT_DISK, f"{PVSCSI},logical_block_size=4096,physical_block_size=4096"]],
        ["--smp", "2"],
    ),
    "LSI Logic SAS": ([[ROOT_DISK, LSI_SAS]], []),
    "LSI Logic SAS on an older PC, two CPUs, sectors of 4 KiB": (
        [
            [MACHINE, "pc"],
            [ROOT_DISK, f"{LSI_SAS},logical_block_size=4096,physical_block_size=4096"],
        ],
        [*BIOS, "--smp", "2"],
    ),
    "a disk by IDE": (
        [[MACHINE, "pc"], [ROOT_DISK, "ide-hd,bus=ide.0,drive=root"], WRITABLE],
        BIOS,
    ),
    "IDE, the second disk of the second channel, two CPUs": (
        [[MACHINE, "pc"], [ROOT_DISK, "ide-hd,bus=ide.1,unit=1,drive=root"], WRITABLE],
        [*BIOS, "--smp", "2"],
    ),
    "a microVM with ACPI, two CPUs": ([MICROVM_ACPI, *MICROVM], ["--smp", "2"]),
    "a microVM without ACPI, older registers": ([MICROVM_PLAIN, *MICROVM], []),
    "firmware that places nothing": ([], ["--firmware", "qboot", "--smp", "2"]),
    "firmware that places everything": ([], BIOS),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_device_works(name: str, kernel: str, root: Path, wrapper: Path) -> None:
    """One boot: what the program saw of each device, and what came back over TCP."""
    rewrite, options = VARIANTS[name]
    assert run_guest(kernel, root, wrapper, rewrite, *options).splitlines() == EXPECTED


def test_the_serial_port_carries_everything_where_there_are_no_streams(
    kernel: str, root: Path
) -> None:
    """Program output, kernel lines and the exit status on COM1; power-off ends QEMU."""
    command = ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-no-reboot", "-m", "256"]
    command += ["-cpu", "max", "-accel", "tcg,thread=multi", "-serial", "stdio"]
    image = root.parent / "serial.erofs"
    subprocess.run(["mkfs.erofs", "--quiet", image, root], check=True, capture_output=True)
    command += ["-drive", f"file={image},format=raw,if=virtio,readonly=on"]
    command += ["-kernel", kernel, "-append", "ip=none -- /exercise"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as guest:
        assert guest.stdin is not None
        assert guest.stdout is not None
        ending = threading.Timer(TIMEOUT, guest.kill)
        ending.start()
        before = b""
        # What is typed before the kernel has set the port up is lost, as on any PC.
        while FILE_DIGEST.encode() not in before and (more := guest.stdout.readline()):
            before += more
        guest.stdin.write(b"tyPE\x7f\x7fped\r\x04")
        guest.stdin.flush()
        text = (before + guest.stdout.read()).decode(errors="replace").replace("\r\n", "\n")
        status = guest.wait()
        ending.cancel()
    assert status == 0, text
    assert f"file {FILE_SIZE} {FILE_DIGEST}\n" in text
    assert f"input 6 {fnv(b'typed' + bytes([10]))}\n" in text
    assert text.rstrip().endswith("kiln: exit status 42"), text[-400:]
