"""Disk formats: judged by qemu-img, which reads each one back, and field by field."""

from __future__ import annotations

import hashlib
import json
import random
import re
import struct
import subprocess
import zlib

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import (
    _disks,
    _qcow2,
    _sparse,
    _vdi,
    _vhd,
    _vmdk,
)

from .elves import write_kernel

MIB = 1 << 20
NAMES = {"qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc"}  # qemu-img's word
WRITERS = {
    "qcow2": _qcow2.write_qcow2,
    "vmdk": _vmdk.write_vmdk,
    "vdi": _vdi.write_vdi,
    "vhd": _vhd.write_vhd,
}
each_format = pytest.mark.parametrize("name", sorted(NAMES))


def make_raw(path, size, places=(0,), seed=1, length=70_000):
    """A sparse disk with noise in these places."""
    noise = random.Random(seed)
    with path.open("wb") as file:
        for at in places:
            file.seek(at)
            file.write(noise.randbytes(min(length, size - at)))
        file.truncate(size)


def write(name, raw, target, digest=None):
    with _sparse.RawDisk(raw) as disk:
        WRITERS[name](disk, target, digest or make_digest(raw))
    return target


def make_digest(raw):
    with raw.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def qemu_img(*words):
    command = ["qemu-img", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    return done.stdout


@each_format
@pytest.mark.parametrize(
    ("size", "places"),
    [
        (MIB, ()),
        (5 * MIB, (0, 5 * MIB - 512)),
        (3 * MIB, (MIB + 512,)),
        # More than one L2 table, grain table and page of the block table.
        (1100 * MIB, (0, 33 * MIB, 600 * MIB, 1100 * MIB - 512)),
    ],
)
def test_what_comes_back_is_bit_by_bit_what_went_in(tmp_path, name, size, places):
    raw = tmp_path / "disk.raw"
    make_raw(raw, size, places)
    made = write(name, raw, tmp_path / f"disk.{name}", "ab" * 32)
    back = tmp_path / "back.raw"
    qemu_img("convert", "-f", NAMES[name], "-O", "raw", made, back)
    assert back.stat().st_size == size
    assert "identical" in qemu_img("compare", "-f", "raw", "-F", "raw", raw, back)
    if name != "vhd":  # for which qemu-img has no check
        assert "No errors" in qemu_img("check", "-f", NAMES[name], made)


@each_format
def test_the_size_that_a_format_says_is_the_disks(tmp_path, name):
    make_raw(tmp_path / "disk.raw", 7 * MIB)
    made = write(name, tmp_path / "disk.raw", tmp_path / f"disk.{name}")
    info = json.loads(qemu_img("info", "-f", NAMES[name], "--output=json", made))
    assert info["virtual-size"] == 7 * MIB


@each_format
def test_the_same_disk_gives_the_same_bytes_and_another_one_another_identity(tmp_path, name):
    for folder, seed in (("one", 1), ("two", 1), ("other", 2)):
        (tmp_path / folder).mkdir()
        make_raw(tmp_path / folder / "disk.raw", 2 * MIB, seed=seed)
        write(name, tmp_path / folder / "disk.raw", tmp_path / folder / f"disk.{name}")
    one, two, other = (
        (tmp_path / folder / f"disk.{name}").read_bytes() for folder in ("one", "two", "other")
    )
    assert one == two
    assert one[:4096] != other[:4096]


@each_format
def test_each_format_carries_the_digest_of_the_raw_disk(tmp_path, name):
    make_raw(tmp_path / "disk.raw", 2 * MIB)
    digest = make_digest(tmp_path / "disk.raw")
    data = write(name, tmp_path / "disk.raw", tmp_path / f"disk.{name}").read_bytes()
    carried = bytes.fromhex(digest) if name == "qcow2" else f"kiln sha256:{digest}".encode()
    assert data.count(carried) == 1


@each_format
def test_zeros_take_no_room_and_no_time(tmp_path, name):
    raw = tmp_path / "disk.raw"
    size = 8 << 30
    make_raw(raw, size, (0, size // 2, size - 512), length=512)
    status = write(name, raw, tmp_path / "made", "5a" * 32).stat()
    print(f"{status.st_size} bytes, {status.st_blocks * 512} allocated")
    assert status.st_blocks * 512 < MIB
    assert status.st_size < 16 * MIB


def test_the_fields_of_a_vhd_that_others_take_from_the_day(tmp_path):
    make_raw(tmp_path / "disk.raw", 4 * MIB)
    data = write("vhd", tmp_path / "disk.raw", tmp_path / "disk.vhd").read_bytes()
    footer = data[-512:]
    assert data[:512] == footer
    cookie, stamp, creator, size, kind = struct.unpack(">8s16xI4s16xQ4xI", footer[:64])
    assert (cookie, stamp, creator, size, kind) == (b"conectix", 0, b"win ", 4 * MIB, 3)
    assert struct.unpack(">I", footer[64:68])[0] == ~sum(footer[:64] + footer[68:]) & 0xFFFFFFFF
    header = data[512:1536]
    assert struct.unpack(">I", header[36:40])[0] == ~sum(header[:36] + header[40:]) & 0xFFFFFFFF


@pytest.mark.parametrize("size", ["8M", "600M", "40G", "126G", "200G"])
def test_the_geometry_of_a_vhd_is_that_of_the_specification(tmp_path, size):
    """qemu-img makes a disk that its geometry holds to the sector: ours for it must be the same."""
    qemu_img("create", "-f", "vpc", tmp_path / "disk.vhd", size)
    footer = (tmp_path / "disk.vhd").read_bytes()[-512:]
    cylinders, heads, track = struct.unpack(">HBB", footer[56:60])
    assert _vhd.geometry(cylinders * heads * track) == (cylinders, heads, track)


def test_the_fields_of_a_vdi_that_others_draw_by_chance(tmp_path):
    make_raw(tmp_path / "disk.raw", 4 * MIB)
    digest = make_digest(tmp_path / "disk.raw")
    data = write("vdi", tmp_path / "disk.raw", tmp_path / "disk.vdi").read_bytes()
    assert data[0x54 : 0x54 + 256].rstrip(b"\0") == f"kiln sha256:{digest}".encode()
    assert data[0x188:0x198] == _sparse.identity(digest, "vdi").bytes_le
    assert data[0x198:0x1A8] == _sparse.identity(digest, "vdi-change").bytes_le
    assert data[0x1A8:0x1C8] == bytes(32), "no parent"


def test_the_descriptor_of_a_vmdk(tmp_path):
    make_raw(tmp_path / "disk.raw", 4 * MIB)
    digest = make_digest(tmp_path / "disk.raw")
    data = write("vmdk", tmp_path / "disk.raw", tmp_path / "disk.vmdk").read_bytes()
    text = data[512 : 21 * 512].rstrip(b"\0").decode("ascii")
    cid = re.search(r"^CID=([0-9a-f]{8})$", text, re.M)[1]
    assert cid == digest[:8]
    assert re.search(r'^ddb.longContentID = "([0-9a-f]{32})"$', text, re.M)[1].endswith(cid)
    assert 'createType="streamOptimized"' in text
    assert f'RDONLY {4 * MIB // 512} SPARSE "disk.vmdk"' in text


def test_a_vmdk_can_be_read_as_a_stream(tmp_path):
    """From its markers alone, without the tables at its end: as an importer over HTTP does."""
    places = (0, 3 * MIB, 34 * MIB)
    make_raw(tmp_path / "disk.raw", 40 * MIB, places)
    data = write("vmdk", tmp_path / "disk.raw", tmp_path / "disk.vmdk").read_bytes()
    disk = bytearray(40 * MIB)
    at, kinds = struct.unpack("<Q", data[64:72])[0] * 512, []
    while at < len(data):
        value, size, kind = struct.unpack("<QII", data[at : at + 16])
        if size:
            grain = zlib.decompress(data[at + 12 : at + 12 + size])
            disk[value * 512 : value * 512 + len(grain)] = grain
            at += -(-(12 + size) // 512) * 512
        else:
            kinds.append(kind)
            at += 512 + value * 512
    assert kinds == [1, 1, 2, 3, 0], "two grain tables, the directory, the footer, the end"
    assert bytes(disk) == (tmp_path / "disk.raw").read_bytes()


def test_how_much_a_vmdk_holds_is_known_from_its_tables(tmp_path):
    places = (0, 3 * MIB, 34 * MIB)
    make_raw(tmp_path / "disk.raw", 40 * MIB, places)
    disk = write("vmdk", tmp_path / "disk.raw", tmp_path / "disk.vmdk")
    data = disk.read_bytes()
    grains = 6 * _vmdk.GRAIN  # two each: the noise is a little longer than one
    assert _vmdk.content_of(disk, 0, len(data)) == grains
    within = tmp_path / "archive"
    within.write_bytes(bytes(1536) + data + bytes(1024))
    assert _vmdk.content_of(within, 1536, len(data)) == grains
    for size in (0, 100, 1024, len(data) - 512):
        disk.write_bytes(data[:size])
        assert _vmdk.content_of(disk, 0, size) == 0


def test_tables_of_a_vmdk_that_lie_outside_of_it_are_passed_over(tmp_path):
    make_raw(tmp_path / "disk.raw", 40 * MIB, (0, 34 * MIB))
    data = write("vmdk", tmp_path / "disk.raw", tmp_path / "disk.vmdk").read_bytes()
    footer = len(data) - 1024
    for field, value in ((12, 1 << 62), (44, 3), (20, 0), (56, 1 << 60), (56, len(data) // 512)):
        broken = bytearray(data)
        struct.pack_into("<Q" if field != 44 else "<I", broken, footer + field, value)
        (tmp_path / "broken.vmdk").write_bytes(broken)
        assert _vmdk.content_of(tmp_path / "broken.vmdk", 0, len(data)) == 0


def test_a_content_id_never_means_that_there_is_none():
    for special in ("ffffffff", "fffffffe"):
        text = _vmdk.descriptor(MIB, special + "0" * 56, "x")
        assert re.search(r"^CID=0000000[01]$", text, re.M)


def test_a_disk_larger_than_a_vhd_can_be_is_refused(tmp_path):
    make_raw(tmp_path / "disk.raw", 2041 << 30)
    with (
        _sparse.RawDisk(tmp_path / "disk.raw") as disk,
        pytest.raises(ValueError, match="at most 2040 GiB"),
    ):
        _vhd.write_vhd(disk, tmp_path / "disk.vhd", "0" * 64)


def make_disks(folder, formats):
    kernel = write_kernel(folder / "kernel")
    (folder / "tree").mkdir()
    (folder / "tree/file").write_text("content " * 1000)
    root = folder / "root.erofs"
    subprocess.run(
        ["mkfs.erofs", "-T0", "-U", "00000000-0000-0000-0000-000000000001", root, folder / "tree"],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / "made").mkdir()
    spec = _disks.DiskSpec(kernel, formats, data_size=3 * MIB)
    return _disks.make(spec, root, folder / "made")[0]


def test_all_formats_of_an_image_hold_the_same_disk(tmp_path):
    digest = make_disks(tmp_path, sorted(_disks.FILES))
    made = tmp_path / "made"
    assert sorted(path.name for path in made.iterdir()) == sorted(_disks.FILES.values())
    assert make_digest(made / "disk.raw") == digest
    for name, word in NAMES.items():
        back = tmp_path / "back.raw"
        qemu_img("convert", "-f", word, "-O", "raw", made / _disks.FILES[name], back)
        assert make_digest(back) == digest, name


def test_a_raw_disk_that_nobody_asked_for_is_not_kept(tmp_path):
    digest = make_disks(tmp_path, ["vdi"])
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["disk.vdi"]
    assert digest.encode() in (tmp_path / "made/disk.vdi").read_bytes()[:512]
