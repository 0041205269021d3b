"""The BIOS loader brings a kernel up from every controller with the state that PVH demands.

The probe prints what it was given; the expected values are those of Xen's docs/misc/pvh.pandoc,
of what the test put on the disk, and of the machine that QEMU was told to be.
"""

from __future__ import annotations

import struct
from itertools import pairwise

import boot_rig
import pytest

CMDLINE = 'log=debug env="A=b c" -- /bin/redis-server "--save " "\\"quoted\\"" \u00e9'
START_INFO_MAGIC = 0x336EC578
USABLE = 1


def pattern_sum(data: bytes) -> int:
    total = 0
    for byte in data:
        total = (((total << 5) | (total >> 27)) + byte) & 0xFFFFFFFF
    return total


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def descriptor(text: str) -> tuple[int, int, int]:
    """Base, limit in bytes and access bits (with G and D at 0xc000) of a segment descriptor."""
    low, high = words(text)
    base = low >> 16 | (high & 0xFF) << 16 | high & 0xFF000000
    limit = low & 0xFFFF | high & 0xF0000
    if high & 1 << 23:
        limit = limit << 12 | 0xFFF
    return base, limit, high >> 8 & 0xC0FF


def start_info(values: dict[str, list[str]]) -> tuple[int, ...]:
    raw = struct.pack("<14I", *words(values["start_info"][0]))
    return struct.unpack("<IIIIQQQQII", raw)


def check_processor_state(values: dict[str, list[str]]) -> None:
    flags = words(values["eflags"][0])[0]
    assert flags & (1 << 17 | 1 << 9 | 1 << 8) == 0, "VM, IF and TF must be clear"
    # Bit 4 (ET) cannot be cleared on a processor of this century.
    assert words(values["cr0"][0])[0] & ~(1 << 4) == 1
    assert words(values["cr4"][0]) == [0]
    base, limit, access = descriptor(values["cs"][0])
    assert (base, limit) == (0, 0xFFFFFFFF)
    assert access & 0xC0FE == 0xC09A, "a present 32-bit execute/read segment"
    for name in ("ds", "es", "ss"):
        base, limit, access = descriptor(values[name][0])
        assert (base, limit) == (0, 0xFFFFFFFF), name
        assert access & 0xC0FE == 0xC092, f"{name}: a present 32-bit read/write segment"
    base, limit, access = descriptor(values["tr"][0])
    assert (base, limit, access & 0xFF) == (0, 0x67, 0x8B), "a busy 32-bit TSS"


def check_memory_map(values: dict[str, list[str]], count: int, memory: int) -> None:
    ranges = []
    for line in values["range"]:
        low, high, size_low, size_high, kind = words(line)
        ranges.append((low | high << 32, size_low | size_high << 32, kind))
    assert len(ranges) == count
    usable = sum(size for _, size, kind in ranges if kind == USABLE)
    assert memory - (1 << 20) < usable <= memory
    assert any(base == 1 << 20 and kind == USABLE for base, _, kind in ranges)
    ordered = sorted(ranges)
    for (base, size, _), (following, _, _) in pairwise(ordered):
        assert base + size <= following


@pytest.mark.parametrize("controller", boot_rig.CONTROLLERS)
def test_boots_with_the_state_that_pvh_demands(parts, tmp_path, controller):
    image = tmp_path / "disk, raw.img"
    parts.build(image, cmdline=CMDLINE)
    outcome = boot_rig.boot(image, controller)
    print(f"{controller}: {outcome.seconds * 1000:.0f} ms from QEMU's start\n{outcome.text}")
    assert outcome.status == boot_rig.PROBE_STATUS
    values = outcome.values()
    check_processor_state(values)
    magic, version, _, modules, _, _, rsdp, _, count, _ = start_info(values)
    assert (magic, version, modules) == (START_INFO_MAGIC, 1, 0)
    assert values["cmdline"] == [CMDLINE.encode().decode("latin-1")]
    assert rsdp % 16 == 0
    assert struct.pack("<2I", *words(values["rsdp"][0])) == b"RSD PTR "
    check_memory_map(values, count, 64 << 20)
    assert words(values["pattern"][0]) == [pattern_sum(boot_rig.PATTERN)]
    assert words(values["nonzero"][0]) == [0]


@pytest.mark.parametrize(
    ("name", "word"), [("qcow2", "qcow2"), ("vmdk", "vmdk"), ("vdi", "vdi"), ("vhd", "vpc")]
)
def test_boots_from_every_format(parts, tmp_path, name, word):
    parts.build(tmp_path / "disk.raw", cmdline=CMDLINE)
    made = boot_rig.convert(tmp_path / "disk.raw", name)
    outcome = boot_rig.boot(made, file_format=word)
    assert outcome.status == boot_rig.PROBE_STATUS
    values = outcome.values()
    assert values["cmdline"] == [CMDLINE.encode().decode("latin-1")]
    assert words(values["pattern"][0]) == [pattern_sum(boot_rig.PATTERN)]


@pytest.mark.parametrize("shift", [1, 511, 513, 4095])
def test_segments_may_lie_anywhere_in_the_file(parts, tmp_path, shift):
    kernel = tmp_path / "shifted.elf"
    kernel.write_bytes(boot_rig.repack(parts.probe.read_bytes(), shift))
    parts.build(tmp_path / "disk.img", kernel=kernel)
    outcome = boot_rig.boot(tmp_path / "disk.img")
    assert outcome.status == boot_rig.PROBE_STATUS
    assert words(outcome.values()["pattern"][0]) == [pattern_sum(boot_rig.PATTERN)]
    assert outcome.values()["cmdline"] == [""]


def test_the_longest_command_line_arrives(parts, tmp_path):
    line = "".join(chr(33 + index % 90) for index in range(boot_rig.disk.CMDLINE_LIMIT))
    parts.build(tmp_path / "disk.img", cmdline=line)
    outcome = boot_rig.boot(tmp_path / "disk.img")
    assert outcome.status == boot_rig.PROBE_STATUS
    assert f"cmdline={line}\n" in outcome.text


def test_memory_above_4_gib_is_in_the_map(parts, tmp_path):
    parts.build(tmp_path / "disk.img")
    values = boot_rig.boot(tmp_path / "disk.img", memory="5G").values()
    *_, count, _ = start_info(values)
    check_memory_map(values, count, 5 << 30)
