"""What the probe printed, as values, and what they have to be: Xen's docs/misc/pvh.pandoc.

Whatever loader started it, the probe has to find the same.
"""

from __future__ import annotations

import struct
from itertools import pairwise

import boot_rig

START_INFO_MAGIC = 0x336EC578
USABLE = 1
KEPT_BY_OVMF = 16 << 20
KEPT_BY_SECURE_OVMF = 48 << 20  # it has memory for system management mode too


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


def check_memory_map(
    values: dict[str, list[str]], count: int, memory: int, kept: int = 1 << 20
) -> None:
    """`kept` is what the firmware may keep of the memory."""
    ranges = []
    for line in values["range"]:
        low, high, size_low, size_high, kind = words(line)
        ranges.append((low | high << 32, size_low | size_high << 32, kind))
    assert len(ranges) == count
    usable = sum(size for _, size, kind in ranges if kind == USABLE)
    assert memory - kept < usable <= memory
    assert any(base == 1 << 20 and kind == USABLE for base, _, kind in ranges)
    ordered = sorted(ranges)
    for (base, size, _), (following, _, _) in pairwise(ordered):
        assert base + size <= following


def check_probe(outcome: boot_rig.Outcome, cmdline: str, memory: int, kept: int = 1 << 20) -> None:
    """All that the probe was given, by the BIOS's loader or by UEFI's."""
    assert outcome.status == boot_rig.PROBE_STATUS
    values = outcome.values()
    check_processor_state(values)
    magic, version, _, modules, _, _, rsdp, _, count, _ = start_info(values)
    assert (magic, version, modules) == (START_INFO_MAGIC, 1, 0)
    assert values["cmdline"] == [cmdline.encode().decode("latin-1")]
    assert rsdp != 0
    assert struct.pack("<2I", *words(values["rsdp"][0])) == b"RSD PTR "
    check_memory_map(values, count, memory, kept)
    assert words(values["pattern"][0]) == [pattern_sum(boot_rig.PATTERN)]
    assert words(values["nonzero"][0]) == [0]
