"""The disk image: judged by sfdisk, fsck.fat and by its own reader."""

from __future__ import annotations

import hashlib
import json
import re
import struct
import subprocess
from pathlib import Path

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import _disk as disk

from .elves import make_efi_loader as efi_loader
from .elves import make_kernel as elf
from .elves import make_stage2 as stage2
from .elves import write_kernel

TOP = Path(__file__).resolve().parents[2]
MIB = 1 << 20


@pytest.fixture
def inputs(tmp_path):
    """Writes good inputs and returns the folder; a test spoils what it wants to spoil."""
    folder = tmp_path / "in puts"
    (folder / "tree").mkdir(parents=True)
    (folder / "tree/file").write_bytes(b"content " * 1000)
    subprocess.run(
        ["mkfs.erofs", "-T0", "-U", "00000000-0000-0000-0000-000000000001",
         folder / "root.erofs", folder / "tree"],
        check=True, capture_output=True,
    )  # fmt: skip
    write_kernel(folder)
    return folder


def build(folder, out="disk.img", cmdline="log=debug -- /bin/true", **options):
    return disk.build_disk(
        folder / "kiln.elf", folder / "root.erofs", cmdline, folder / out, **options
    )


def sfdisk(image):
    done = subprocess.run(["/usr/sbin/sfdisk", "--json", image], check=True, capture_output=True)
    return json.loads(done.stdout)["partitiontable"]


def test_sfdisk_reads_the_same_partitions(inputs):
    layout = build(inputs, data_size=3 * MIB)
    table = sfdisk(inputs / "disk.img")
    assert (table["label"], table["sectorsize"]) == ("gpt", 512)
    assert table["id"] == str(layout.guid).upper()
    found = [(p["name"], p["type"], p["uuid"], p["start"], p["size"]) for p in table["partitions"]]
    assert found == [
        (
            part.name,
            str(part.type_guid).upper(),
            str(part.guid).upper(),
            part.offset // 512,
            part.size // 512,
        )
        for part in layout.partitions
    ]
    assert [entry[0] for entry in found] == ["kiln-boot", "kiln-esp", "kiln-root", "kiln-data"]
    assert [entry[1] for entry in found] == [
        "21686148-6449-6E6F-744E-656564454649",
        "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
        "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
        "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
    ]
    assert all(entry[-2] % 2048 == 0 and entry[-1] % 2048 == 0 for entry in found)


@pytest.mark.parametrize("data_size", [0, 1, 5 * MIB])
def test_sfdisk_finds_no_fault(inputs, data_size):
    build(inputs, data_size=data_size)
    done = subprocess.run(
        ["/usr/sbin/sfdisk", "--verify", inputs / "disk.img"],
        check=True,
        capture_output=True,
        text=True,
    )
    print(done.stdout, done.stderr)
    assert "No errors detected" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("damaged", ["primary", "backup"])
def test_sfdisk_accepts_each_table_alone(inputs, damaged):
    """With either table gone the other one must be found and describe the same partitions."""
    build(inputs)
    image = inputs / "disk.img"
    before = sfdisk(image)
    data = bytearray(image.read_bytes())
    at = 512 if damaged == "primary" else len(data) - 512
    data[at : at + 512] = bytes(512)
    image.write_bytes(data)
    assert sfdisk(image)["partitions"] == before["partitions"]


def test_the_protective_mbr(inputs):
    layout = build(inputs)
    sector = (inputs / "disk.img").read_bytes()[:512]
    assert sector[:426] == b"\xcc" * 426
    block, sectors, magic = struct.unpack("<QH4s", sector[426:440])
    assert (block, sectors, magic) == (2048, 6, b"KLN1")
    status, kind, first, count = struct.unpack("<B3xB3xII", sector[446:462])
    assert (status, kind, first, count) == (0, 0xEE, 1, layout.size // 512 - 1)
    assert sector[462:510] == bytes(48)
    assert sector[510:] == b"\x55\xaa"


def efi_partition(folder, layout):
    esp = layout.partition("kiln-esp")
    data = (folder / "disk.img").read_bytes()[esp.offset : esp.offset + esp.size]
    (folder / "esp").write_bytes(data)
    assert struct.unpack_from("<I", data, 28)[0] == esp.offset // 512, "hidden sectors"
    return folder / "esp"


def test_the_efi_partition_is_a_clean_fat(inputs):
    esp = efi_partition(inputs, build(inputs))
    done = subprocess.run(
        ["/usr/sbin/fsck.fat", "-n", "-v", esp], capture_output=True, text=True, check=False
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    # fsck counts folders and the volume's label too.
    assert re.search(r": 4 files, 18/\d+ clusters", done.stdout)
    assert done.stderr == ""


def test_mtools_read_the_loader_from_the_efi_partition(inputs):
    layout = build(inputs)
    esp = efi_partition(inputs, layout)
    listed = subprocess.run(
        ["mdir", "-/", "-b", "-i", esp], check=True, capture_output=True, text=True
    )
    assert (listed.stdout.split(), listed.stderr) == (
        ["::/EFI/", "::/EFI/BOOT/", "::/EFI/BOOT/BOOTX64.EFI"],
        "",
    )
    read = subprocess.run(
        ["mcopy", "-n", "-i", esp, "::/EFI/BOOT/BOOTX64.EFI", "-"], check=True, capture_output=True
    )
    data = (inputs / "disk.img").read_bytes()
    assert read.stdout == data[layout.efi_offset : layout.efi_offset + layout.efi_size]
    kernel = data[layout.kernel_offset : layout.kernel_offset + layout.kernel_size]
    version, kernel_size, block, cmdline_size, kernel_sum, cmdline_sum = struct.unpack_from(
        "<8xIIQ8xI4x32s32s", read.stdout, 4096
    )
    assert (version, kernel_size, block * 512) == (1, len(kernel), layout.kernel_offset)
    assert kernel_sum == hashlib.sha256(kernel).digest()
    line = b"log=debug -- /bin/true"
    assert (cmdline_size, cmdline_sum) == (len(line), hashlib.sha256(line).digest())
    assert read.stdout[:4096] == efi_loader()[:4096]


def test_the_layout_says_what_was_written(inputs):
    layout = build(inputs)
    told = layout.told()
    assert json.loads(json.dumps(told)) == told
    assert [part["name"] for part in told["partitions"]] == ["kiln-boot", "kiln-esp", "kiln-root"]
    uefi = told["loaders"]["uefi"]
    assert uefi["path"] == "EFI/BOOT/BOOTX64.EFI"
    data = (inputs / "disk.img").read_bytes()
    assert data[uefi["offset"] : uefi["offset"] + 2] == b"MZ"
    assert data[told["loaders"]["bios"]["offset"] + 4 :][:8] == b"KILN-LD2"
    assert data[told["kernel"]["offset"] :][:4] == b"\x7fELF"


def test_the_root_arrives_unchanged(inputs):
    layout = build(inputs)
    root = layout.partition("kiln-root")
    wanted = (inputs / "root.erofs").read_bytes()
    found = (inputs / "disk.img").read_bytes()[root.offset : root.offset + root.size]
    assert found[: len(wanted)] == wanted
    assert not any(found[len(wanted) :])


def test_the_kernel_and_the_sum_of_stage_2(inputs):
    layout = build(inputs)
    data = (inputs / "disk.img").read_bytes()
    kernel = (inputs / "kiln.elf").read_bytes()  # has no sections
    assert data[layout.kernel_offset : layout.kernel_offset + layout.kernel_size] == kernel
    loaded = data[MIB : MIB + 6 * 512]
    assert sum(struct.unpack(f"<{len(loaded) // 4}I", loaded)) % (1 << 32) == 0
    assert loaded[64:3000] == stage2()[64:]


def test_only_what_is_loaded_of_the_kernel_takes_room(inputs):
    """Symbols and debugging information stay behind; an independent reader still takes the rest."""
    source = inputs / "probe.S"
    source.write_text(
        '.section .note.pvh,"a",@note\n.long 4, 4, 18\n.asciz "Xen"\n.long _start\n'
        ".text\n.globl _start\n_start: hlt\n.section .debug_x\n.fill 300000, 1, 0x55\n"
    )
    subprocess.run(
        ["gcc", "-nostdlib", "-static", "-Wl,-Ttext-segment=0x200000,-z,noexecstack",
         "-Wl,--build-id=none", "-o", inputs / "kiln.elf", source],
        check=True,
    )  # fmt: skip
    layout = build(inputs)
    assert layout.kernel_size < 20000 < (inputs / "kiln.elf").stat().st_size
    data = (inputs / "disk.img").read_bytes()
    stored = inputs / "stored.elf"
    stored.write_bytes(data[layout.kernel_offset : layout.kernel_offset + layout.kernel_size])
    segments = [
        subprocess.run(
            ["readelf", "--program-headers", "--wide", path],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split("Section to Segment")[0].split("Program Headers:")[1]
        for path in (inputs / "kiln.elf", stored)
    ]  # fmt: skip
    assert segments[0].strip() == segments[1].strip()


def test_the_reader_returns_what_the_builder_returned(inputs):
    layout = build(inputs, cmdline='env="A=ü\tb" -- /bin/x \udcff', data_size=MIB)
    assert disk.read_layout(inputs / "disk.img") == layout


def test_the_same_inputs_give_the_same_bytes(inputs, tmp_path):
    first = build(inputs)
    other = tmp_path / "elsewhere"
    inputs.rename(other)
    second = build(other, "second.img")
    assert first == second
    assert (other / "disk.img").read_bytes() == (other / "second.img").read_bytes()


@pytest.mark.parametrize("change", ["kernel", "root", "cmdline", "stage1", "stage2", "efi", "data"])
def test_any_other_input_gives_another_identity(inputs, change):
    guid = build(inputs).guid
    options = {}
    if change == "kernel":
        (inputs / "kiln.elf").write_bytes(elf(code=b"\xf4" * 5000))
    elif change == "root":
        with (inputs / "root.erofs").open("ab") as file:
            file.write(b"\1")
    elif change == "cmdline":
        options["cmdline"] = "log=quiet"
    elif change == "stage1":
        (inputs / "stage1.bin").write_bytes(b"\xcd" * 436 + b"KLN1")
    elif change == "stage2":
        (inputs / "stage2.bin").write_bytes(stage2(3001))
    elif change == "efi":
        (inputs / "bootx64.efi").write_bytes(efi_loader() + b"\1")
    else:
        options["data_size"] = MIB
    assert build(inputs, **options).guid != guid


def test_zeros_take_no_room(inputs):
    layout = build(inputs, data_size=512 * MIB)
    status = (inputs / "disk.img").stat()
    print(f"{status.st_size} bytes, {status.st_blocks * 512} allocated")
    assert status.st_size == layout.size > 512 * MIB
    assert status.st_blocks * 512 < MIB


def test_the_image_appears_only_when_complete(inputs, monkeypatch):
    build(inputs)
    before = (inputs / "disk.img").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "write_table", full)
    with pytest.raises(OSError, match="No space left"):
        build(inputs, cmdline="another")
    assert (inputs / "disk.img").read_bytes() == before
    assert [path.name for path in inputs.iterdir() if "partial" in path.name] == []


def cut(data, size):
    return data[:size]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("kiln.elf", b"#!/bin/sh\n", "byte 0x0: this is no ELF file"),
        ("kiln.elf", b"", "byte 0x0: this is no ELF file"),
        ("kiln.elf", cut(elf(), 40), "byte 0x28: the ELF header is cut short"),
        ("kiln.elf", b"\x7fELF\x01" + elf()[5:], "byte 0x4: this ELF file is not 64-bit"),
        ("kiln.elf", elf(machine=183), "byte 0x12: this ELF file is for machine 183"),
        ("kiln.elf", cut(elf(), 6000), "byte 0x40: this program header points behind the end"),
        ("kiln.elf", elf(note_type=17), "no PVH entry"),
        ("kiln.elf", elf(entry=0), "no PVH entry"),
        ("kiln.elf", elf(entry=0x300000), "the PVH entry 0x300000 is in no executable segment"),
        ("kiln.elf", elf(flags=4), "the PVH entry 0x200010 is in no executable segment"),
        ("kiln.elf", elf(paddr=0x8000, entry=0x8010), "byte 0x40: this segment is for 0x8000"),
        ("kiln.elf", elf(extra=1 << 32), "the loader fills memory from 1 MiB to 4 GiB only"),
        ("kiln.elf", elf(extra=-1), "byte 0x40: this segment is larger in the file than in memory"),
        ("root.erofs", b"hsqs".ljust(8192, b"\0"), "byte 0x400: magic 0x00000000, not EROFS's"),
        ("root.erofs", b"", "byte 0x0: the file is too short for an EROFS image"),
        ("stage1.bin", b"\xcc" * 512, "byte 0x200: stage 1 must have 440 bytes"),
        ("stage1.bin", b"\xcc" * 440, "byte 0x1b4: this is not Kiln's stage 1"),
        ("stage2.bin", b"\xcc" * 440, "byte 0x4: this is not Kiln's stage 2"),
        ("stage2.bin", stage2(version=9), "byte 0xc: stage 2 is of version 9"),
        ("bootx64.efi", b"\x7fELF" * 2000, "byte 0x1000: this is not Kiln's UEFI loader"),
        ("bootx64.efi", b"MZ", "byte 0x1000: this is not Kiln's UEFI loader"),
        ("bootx64.efi", efi_loader(version=9), "byte 0x1008: the UEFI loader is of version 9"),
        ("bootx64.efi", efi_loader() * 200, "the UEFI loader has 1638400 bytes; at most 524288"),
        ("stage2.bin", stage2(40000), "stage 2 has 40000 bytes; at most 30720 fit"),
    ],
)
def test_a_bad_input_is_named_with_its_offset(inputs, name, content, said):
    (inputs / name).write_bytes(content)
    with pytest.raises(disk.DiskError) as caught:
        build(inputs)
    print(caught.value)
    assert str(caught.value).startswith(f"{inputs / name}: byte 0x")
    assert said in str(caught.value)
    assert not (inputs / "disk.img").exists()


def test_overlapping_segments(inputs):
    data = bytearray(elf(note_type=18))
    # A third program header: the same place in memory once more.
    struct.pack_into("<H", data, 56, 3)
    struct.pack_into("<IIQQQQQQ", data, 64 + 112, 1, 6, 4096, 0, 0x200800, 16, 16, 4096)
    (inputs / "kiln.elf").write_bytes(data)
    with pytest.raises(
        disk.DiskError, match=r"byte 0xb0: this segment overlaps the one at 0x200000"
    ):
        build(inputs)


def test_a_truncated_root(inputs):
    path = inputs / "root.erofs"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-4096])
    with pytest.raises(disk.DiskError, match=rf"cut short: its superblock says {size} bytes"):
        build(inputs)


@pytest.mark.parametrize(
    "name", ["kiln.elf", "root.erofs", "stage1.bin", "stage2.bin", "bootx64.efi"]
)
def test_a_missing_input(inputs, name):
    (inputs / name).unlink()
    with pytest.raises(disk.DiskError, match=rf"{name}: .* cannot be read: No such file"):
        build(inputs)


def test_bad_values(inputs):
    with pytest.raises(disk.DiskError, match="data partition is negative: -1"):
        build(inputs, data_size=-1)
    with pytest.raises(disk.DiskError, match=r"16384 bytes; at most 16383 fit"):
        build(inputs, cmdline="x" * 16384)
    with pytest.raises(disk.DiskError, match="a NUL at byte 3"):
        build(inputs, cmdline="a=b\0c")
    with pytest.raises(disk.DiskError, match="cannot be written: No such file"):
        build(inputs, "missing/disk.img")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (512, "byte 0x200: there is no GPT header"),
        (512 + 60, "byte 0x210: the checksum of the GPT header is wrong"),
        (1024 + 40, "byte 0x400: the checksum of the partition table is wrong"),
        (MIB + 4, "byte 0x100000: no stage 2 of version 1"),
        (MIB + 700, "byte 0x100000: the checksum of stage 2 is wrong"),
        (MIB + 3072, "byte 0x100c00: the checksum of the command line is wrong"),
        (-512, "there is no GPT header"),
        (-512 * 33, "the checksum of the partition table is wrong"),
    ],
)
def test_the_reader_names_what_is_damaged(inputs, place, said):
    build(inputs)
    image = inputs / "disk.img"
    data = bytearray(image.read_bytes())
    data[place] ^= 0x20
    image.write_bytes(data)
    with pytest.raises(disk.DiskError) as caught:
        disk.read_layout(image)
    print(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize("size", [0, 512, 700, MIB, 3 * MIB, 4 * MIB - 512])
def test_the_reader_rejects_a_cut_image(inputs, size):
    build(inputs)
    image = inputs / "disk.img"
    image.write_bytes(image.read_bytes()[:size])
    with pytest.raises(disk.DiskError, match=r"byte 0x[0-9a-f]+: "):
        disk.read_layout(image)


def test_the_reader_rejects_a_grown_image(inputs):
    build(inputs)
    with (inputs / "disk.img").open("ab") as file:
        file.write(bytes(MIB))
    with pytest.raises(disk.DiskError, match="not in the last block"):
        disk.read_layout(inputs / "disk.img")


def test_the_builder_needs_nothing_but_its_parts(inputs):
    """As kernel-src/run has it: no Ansible, no site packages, no installed collection."""
    code = (
        f"import sys; sys.path.insert(0, {str(TOP / 'kernel-src/tools')!r})\n"
        "from pathlib import Path\n"
        "from kilnrun.rootfs import disk_builder\n"
        f"folder = Path({str(inputs)!r})\n"
        "disk_builder().build_disk(folder / 'kiln.elf', folder / 'root.erofs', '', folder / 'd')\n"
        "assert 'ansible' not in sys.modules\n"
    )
    subprocess.run(["/usr/bin/python3", "-I", "-S", "-c", code], check=True)
    layout = build(inputs, cmdline="")
    assert disk.read_layout(inputs / "d") == layout
