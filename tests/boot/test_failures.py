"""Whatever is wrong with a disk, the loader says one sentence and stops; it never hangs silently.

Each test damages one thing and compares what COM1 (and once the screen) shows.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess

import boot_rig
import pytest

SENTENCE = r"kiln loader: [^\r\n]*\r\n"


def failure(image, **options):
    outcome = boot_rig.boot(image, until=SENTENCE, **options)
    print(outcome.text)
    assert outcome.status is None, "the machine must stand still after the sentence"
    found = re.findall(SENTENCE, outcome.text)
    assert len(found) == 1
    return found[0].strip()


def flip(image, offset, mask=0x10):
    with image.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ mask]))


def put(image, offset, data):
    with image.open("r+b") as file:
        file.seek(offset)
        file.write(data)


@pytest.fixture
def built(parts, tmp_path):
    image = tmp_path / "disk.img"
    return image, parts.build(image, cmdline="log=debug")


def test_a_damaged_stage_2(built):
    image, layout = built
    flip(image, layout.partitions[0].offset + 3000)
    assert failure(image) == ("kiln loader: partition 1 is damaged; write the image again")


def test_an_empty_boot_partition(built):
    image, layout = built
    put(image, layout.partitions[0].offset, bytes(64 * 512))
    assert failure(image) == ("kiln loader: partition 1 is damaged; write the image again")


@pytest.mark.parametrize("place", [40, 4096 + 100, 250_000])
def test_a_flipped_bit_in_the_kernel(built, place):
    image, layout = built
    flip(image, layout.kernel_offset + place)
    said = failure(image)
    first = layout.kernel_offset // 512
    last = first + (layout.kernel_size + 511) // 512 - 1
    assert said.startswith(
        f"kiln loader: the kernel on this disk is damaged (blocks {first:#x} to {last:#x}, checksum"
    )


def test_a_damaged_command_line(built):
    image, layout = built
    data = image.read_bytes()
    flip(image, data.index(b"log=debug", layout.partitions[0].offset))
    assert failure(image).startswith("kiln loader: the command line on this disk is damaged")


@pytest.mark.parametrize(
    ("offset", "data", "said"),
    [
        (0, b"\x7fELG", "no ELF magic at its byte 0x0"),
        (4, b"\x01", "no 64-bit x86 ELF at its byte 0x4"),
        (18, b"\xb7\x00", "no 64-bit x86 ELF at its byte 0x4"),
        (32, struct.pack("<Q", 1 << 40), "program headers that are not in the first 4 KiB"),
        (32, struct.pack("<Q", 4090), "program headers that are not in the first 4 KiB"),
        (56, b"\xff\xff", "program headers that are not in the first 4 KiB"),
        (64 + 8, struct.pack("<Q", 1 << 63), "a segment that ends behind the file"),
        (64 + 32, struct.pack("<Q", 1 << 62), "a segment that ends behind the file"),
        (64 + 24, struct.pack("<Q", 0x8000), "memory below 1 MiB or above 4 GiB"),
        (64 + 24, struct.pack("<Q", (1 << 64) - 4096), "memory below 1 MiB or above 4 GiB"),
        (64 + 40, struct.pack("<Q", 1), "a segment larger in the file than in memory"),
        (64 + 40, struct.pack("<Q", 1 << 63), "memory below 1 MiB or above 4 GiB"),
        (64 + 56 + 32, struct.pack("<Q", 5000), "notes of more than 4 KiB"),
    ],
)
def test_an_impossible_kernel(built, offset, data, said):
    image, layout = built
    put(image, layout.kernel_offset + offset, data)
    text = failure(image)
    assert text.startswith("kiln loader: the kernel on this disk cannot be started: ")
    assert said in text


def unchecked(parts, tmp_path, monkeypatch, change):
    """An image of a kernel that the builder would refuse, with a right checksum."""
    elf = bytearray(parts.probe.read_bytes())
    change(elf)
    kernel = tmp_path / "bad.elf"
    kernel.write_bytes(elf)
    monkeypatch.setattr(boot_rig.disk, "check_kernel", lambda *_: None)
    parts.build(tmp_path / "disk.img", kernel=kernel)
    return tmp_path / "disk.img"


def note_offset(elf):
    return struct.unpack_from("<Q", elf, boot_rig.program_headers(elf)[1] + 8)[0]


def test_a_kernel_without_pvh_entry(parts, tmp_path, monkeypatch):
    def change(elf):
        struct.pack_into("<I", elf, note_offset(elf) + 8, 17)

    said = failure(unchecked(parts, tmp_path, monkeypatch, change))
    assert "no note with a PVH entry" in said


@pytest.mark.parametrize("size", [0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFC])
def test_a_note_with_an_impossible_size(parts, tmp_path, monkeypatch, size):
    def change(elf):
        struct.pack_into("<I", elf, note_offset(elf) + 4, size)

    said = failure(unchecked(parts, tmp_path, monkeypatch, change))
    assert "no note with a PVH entry" in said


def test_an_entry_outside_the_kernel(parts, tmp_path, monkeypatch):
    def change(elf):
        struct.pack_into("<I", elf, note_offset(elf) + 16, 0x10000000)

    said = failure(unchecked(parts, tmp_path, monkeypatch, change))
    assert "a PVH entry that is not in a loaded executable segment at its byte 0x10000000" in said


def test_too_little_memory(parts, tmp_path):
    elf = bytearray(parts.probe.read_bytes())
    data = boot_rig.program_headers(elf)[2]
    struct.pack_into("<Q", elf, data + 24, 0x3000000)
    size = struct.unpack_from("<Q", elf, data + 40)[0]
    kernel = tmp_path / "large.elf"
    kernel.write_bytes(elf)
    parts.build(tmp_path / "disk.img", kernel=kernel)
    assert failure(tmp_path / "disk.img", memory="32M") == (
        f"kiln loader: the kernel needs memory from 0x3000000 to {0x3000000 + size:#x}, and this"
        " machine has none there; give it more memory"
    )


def test_a_disk_that_ends_inside_the_kernel(built):
    image, layout = built
    with image.open("r+b") as file:
        file.truncate(layout.kernel_offset + 65536)
    said = failure(image)
    assert re.search(r"cannot read blocks 0x[0-9a-f]+ to 0x[0-9a-f]+ of BIOS drive 0x80", said)


def test_a_disk_that_ends_before_stage_2(built):
    image, layout = built
    with image.open("r+b") as file:
        file.truncate(layout.partitions[0].offset + 4096)
    assert re.fullmatch(
        r"kiln loader: cannot read partition 1, BIOS status [0-9A-F]{2}; check the disk",
        failure(image),
    )


def test_a_drive_without_block_addresses(built):
    image, _ = built
    with image.open("r+b") as file:
        file.truncate(1440 * 1024)
    assert failure(image, controller="floppy") == (
        "kiln loader: the BIOS cannot address this disk by block (no INT 13h, AH=42h)"
    )


def test_an_exception_inside_the_loader(parts, tmp_path):
    """An undefined instruction is put at the start of stage 2's main function."""
    loader = tmp_path / "loader"
    shutil.copytree(parts.loader, loader)
    symbols = subprocess.run(
        ["nm", next(loader.glob("**/stage2.elf"))], check=True, capture_output=True, text=True
    ).stdout
    found = re.search(r"^([0-9a-f]+) T stage2_main$", symbols, re.MULTILINE)
    assert found
    address = int(found[1], 16)
    put(loader / "stage2.bin", address - 0x8000, b"\x0f\x0b")
    image = tmp_path / "disk.img"
    boot_rig.disk.build_disk(
        parts.probe,
        parts.root,
        "",
        image,
        stage1=loader / "stage1.bin",
        stage2=loader / "stage2.bin",
        efi=loader / "bootx64.efi",
    )
    assert failure(image).startswith(
        f"kiln loader: exception 6 (error code 0x0) at {address:#x} inside the loader"
    )


@pytest.mark.parametrize("damage", ["stage 2", "kernel"])
def test_the_screen_shows_it_too(built, damage):
    """Both stages write on the screen; text mode's letters are every second byte at 0xb8000."""
    image, layout = built
    flip(image, layout.partitions[0].offset + 3000 if damage == "stage 2" else layout.kernel_offset)
    shown = boot_rig.screen_after(image, SENTENCE)
    wanted = "partition 1 is damaged" if damage == "stage 2" else "cannot be started: no ELF magic"
    assert (
        f"kiln loader: {'' if damage == 'stage 2' else 'the kernel on this disk '}{wanted}" in shown
    )


def test_run_passes_the_sentence_on(built, tmp_path):
    """kernel-src/run ends at once with 125 and the loader's words, not with a time-out."""
    image, layout = built
    flip(image, layout.kernel_offset)
    status = tmp_path / "status.json"
    done = subprocess.run(
        [
            boot_rig.TOP / "kernel-src/run",
            "--disk-boot",
            "--root",
            image,
            "--net",
            "none",
            "--status-file",
            status,
            "--timeout",
            str(boot_rig.TIMEOUT),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stderr)
    assert done.returncode == 125
    told = json.loads(status.read_text())
    assert not told["timeout"]
    start = f"{image}: the disk does not boot: loader: the kernel on this disk "
    assert told["error"].startswith(start)
