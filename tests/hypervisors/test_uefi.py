"""The image under UEFI, on QEMU's machines with OVMF.

The probe (tests/boot) says what the loader handed over; the kernel runs a program from every disk
that it drives; redis answers from outside; Secure Boot takes a signed loader and no other; whatever
is wrong is said in a sentence.
"""

from __future__ import annotations

import re
import struct
import subprocess
import time
from pathlib import Path

import boot_rig
import pytest
import redis_guest
from boot_rig import UEFI, UEFI_SECURE, boot_uefi
from probe_values import KEPT_BY_OVMF, KEPT_BY_SECURE_OVMF, check_probe
from test_failures import flip, put
from test_kernel import APP, build

MIB = 1 << 20
SENTENCE = r"kiln loader: [^\r\n]*\r\n"
KEY = Path("/usr/share/ovmf/PkKek-1-snakeoil.key")
CERTIFICATE = KEY.with_suffix(".pem")
LOADER = "::/EFI/BOOT/BOOTX64.EFI"

# Debian's OVMF has drivers for these; the kernel for those that are in DRIVEN.
FROM_UEFI = ["ide", "ahci", "virtio-blk", "nvme", "virtio-scsi", "usb"]
DRIVEN = ["ide", "ahci", "virtio-blk", "nvme", "virtio-scsi"]


def failure(image, **more):
    """The one sentence that the loader says before it stands still."""
    outcome = boot_uefi(image, until=SENTENCE, **more)
    print(outcome.text)
    assert outcome.status is None, "the machine must stand still after the sentence"
    found = re.findall(SENTENCE, outcome.text)
    assert len(found) == 1
    return found[0].strip()


@pytest.fixture
def built(parts, tmp_path):
    image = tmp_path / "disk.img"
    return image, parts.build(image, cmdline="log=debug")


@pytest.mark.parametrize("controller", FROM_UEFI)
def test_the_probe_starts_from_every_disk(built, controller):
    image, _ = built
    check_probe(boot_uefi(image, controller), "log=debug", 256 * MIB, KEPT_BY_OVMF)


@pytest.mark.parametrize("controller", DRIVEN)
def test_a_program_runs_from_every_disk(kernel, tree, tmp_path, controller):
    build(kernel, tree, tmp_path / "disk.img", APP)
    outcome = boot_uefi(tmp_path / "disk.img", controller, options=[*UEFI, "-smp", "2"])
    print(outcome.text)
    assert outcome.status == 0, "the guest powers off"
    assert "[from][the manifest] GREETING=good day in /srv" in outcome.text.splitlines()


@pytest.mark.parametrize("memory", [128, 5 << 10])
def test_little_and_much_memory(built, memory):
    image, _ = built
    outcome = boot_uefi(image, memory=f"{memory}M")
    check_probe(outcome, "log=debug", memory * MIB, KEPT_BY_OVMF)


def test_the_longest_command_line_arrives(parts, tmp_path):
    line = "".join(chr(33 + index % 90) for index in range(boot_rig.disk.CMDLINE_LIMIT))
    parts.build(tmp_path / "disk.img", cmdline=line)
    assert f"cmdline={line}\n" in boot_uefi(tmp_path / "disk.img").text


def test_a_kernel_where_the_firmware_has_its_own(parts, tmp_path):
    """OVMF's boot services live at the top of low memory, which is free when they have ended."""
    elf = bytearray(parts.probe.read_bytes())
    data = boot_rig.program_headers(elf)[2]
    size = struct.unpack_from("<Q", elf, data + 40)[0]
    assert size < 2 * MIB
    # Only zeroed data goes there: the probe's own text knows its addresses.
    struct.pack_into("<H", elf, 56, 4)
    added = max(boot_rig.program_headers(elf))
    elf[added : added + 56] = struct.pack(
        "<IIQQQQQQ", 1, 6, 0, 0xF800000, 0xF800000, 0, 4 * MIB, 4096
    )
    kernel = tmp_path / "high.elf"
    kernel.write_bytes(elf)
    parts.build(tmp_path / "disk.img", kernel=kernel)
    check_probe(boot_uefi(tmp_path / "disk.img"), "", 256 * MIB, KEPT_BY_OVMF)


def test_redis_answers(tmp_path):
    baked = redis_guest.bake()
    image = tmp_path / "disk.img"
    line = "ip=dhcp -- " + " ".join(
        f'"{word}"' for word in (redis_guest.PROGRAM, *redis_guest.FLAGS)
    )
    boot_rig.disk.build_disk(baked.kernel, baked.root, line, image)
    port = redis_guest.free_port()
    network = f"user,id=n,hostfwd=tcp:127.0.0.1:{port}-:6379"
    options = [
        *UEFI,
        "-smp",
        "2",
        "-netdev",
        network,
        "-device",
        "virtio-net-pci,netdev=n,romfile=",
    ]
    command = boot_rig.qemu_command(image, "nvme", "256M", options=options)
    at = command.index("-net")
    del command[at : at + 2]
    guest = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        answer = wait_for_answer(guest, port)
    finally:
        guest.kill()
        guest.wait()
    assert answer == b"+PONG\r\n"


def wait_for_answer(guest, port):
    until = time.monotonic() + boot_rig.UEFI_TIMEOUT
    while True:
        assert guest.poll() is None, "the guest has ended"
        assert time.monotonic() < until, "redis does not answer"
        try:
            answer = redis_guest.ask(port, b"PING\r\n", 7)
        except OSError:
            answer = b""
        if answer:
            return answer
        time.sleep(0.2)


def sign(image, layout, folder):
    """As docs/image.md tells: out of the disk, sbsign, back onto it."""
    partition = f"{image}@@{layout.partition('kiln-esp').offset}"
    plain, signed, key = (folder / name for name in ("plain.efi", "signed.efi", "key"))
    boot_rig.run("openssl", "pkey", "-in", KEY, "-passin", "pass:snakeoil", "-out", key)
    boot_rig.run("mcopy", "-i", partition, LOADER, plain)
    command = ["sbsign", "--key", key, "--cert", CERTIFICATE, "--output", signed, plain]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "warning" not in done.stderr.lower(), done.stderr
    boot_rig.run("sbverify", "--cert", CERTIFICATE, signed)
    boot_rig.run("mcopy", "-o", "-i", partition, signed, LOADER)


def test_secure_boot_takes_a_signed_loader(built, tmp_path):
    image, layout = built
    sign(image, layout, tmp_path)
    outcome = boot_uefi(image, "ahci", options=UEFI_SECURE)
    check_probe(outcome, "log=debug", 256 * MIB, KEPT_BY_SECURE_OVMF)
    # The BIOS does not mind, and the reader knows the signed loader for this kernel's.
    check_probe(boot_rig.boot(image), "log=debug", 64 * MIB)
    assert boot_rig.disk.read_layout(image).efi_size > layout.efi_size


def test_secure_boot_refuses_a_loader_that_is_not_signed(built):
    image, _ = built
    outcome = boot_uefi(image, "ahci", options=UEFI_SECURE, until="Access Denied")
    print(outcome.text)
    assert "kiln" not in outcome.text.lower().replace("qemu", "")
    assert "pattern=" not in outcome.text


@pytest.mark.parametrize("what", ["kernel", "command line"])
def test_what_a_signature_covers_cannot_be_exchanged(built, tmp_path, what):
    """The sums are in the signed loader: another kernel or command line does not start."""
    image, layout = built
    sign(image, layout, tmp_path)
    at = layout.kernel_offset + 5000
    if what == "command line":
        at = image.read_bytes().index(b"log=debug", layout.partitions[0].offset)
    flip(image, at)
    said = failure(image, controller="ahci", options=UEFI_SECURE)
    assert said.startswith(f"kiln loader: the {what} on this disk is damaged (blocks ")


def test_a_loader_without_a_kernel(built):
    image, layout = built
    put(image, layout.efi_offset + 4096 + 12, bytes(4))
    assert failure(image) == (
        "kiln loader: the image builder put no kernel on this disk; write the image again"
    )


def test_a_loader_of_another_version(built):
    image, layout = built
    put(image, layout.efi_offset + 4096 + 8, b"\x09")
    assert failure(image) == (
        "kiln loader: the UEFI loader is of version 9, not 1; write the image again"
    )


def test_a_disk_that_ends_inside_the_kernel(built):
    image, layout = built
    put(image, layout.efi_offset + 4096 + 16, struct.pack("<Q", 1 << 40))
    assert re.fullmatch(
        r"kiln loader: cannot read the kernel \(blocks 0x10000000000 to 0x1[0-9a-f]+,"
        r" status 0x[0-9a-f]+\); check the disk or write the image again",
        failure(image),
    )


def test_too_little_memory(parts, tmp_path):
    elf = bytearray(parts.probe.read_bytes())
    data = boot_rig.program_headers(elf)[2]
    struct.pack_into("<Q", elf, data + 24, 0x20000000)
    size = struct.unpack_from("<Q", elf, data + 40)[0]
    kernel = tmp_path / "large.elf"
    kernel.write_bytes(elf)
    parts.build(tmp_path / "disk.img", kernel=kernel)
    assert failure(tmp_path / "disk.img") == (
        f"kiln loader: the kernel needs memory from 0x20000000 to {0x20000000 + size:#x}, and this"
        " machine has none there; give it more memory"
    )


def test_a_loader_that_is_on_no_disk(built):
    """As QEMU hands it to OVMF with -kernel."""
    image, layout = built
    loader = image.with_name("loader.efi")
    data = image.read_bytes()
    loader.write_bytes(data[layout.efi_offset : layout.efi_offset + layout.efi_size])
    assert failure(image, options=[*UEFI, "-kernel", str(loader)]) == (
        "kiln loader: this loader was not started from a partition of a disk; start the machine"
        " from the disk that holds it"
    )
