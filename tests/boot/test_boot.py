"""The BIOS loader brings a kernel up from every controller with the state that PVH demands.

The probe prints what it was given; the expected values are those of Xen's docs/misc/pvh.pandoc,
of what the test put on the disk, and of the machine that QEMU was told to be.
"""

from __future__ import annotations

import boot_rig
import pytest
from probe_values import check_memory_map, check_probe, pattern_sum, start_info, words

CMDLINE = 'log=debug env="A=b c" -- /bin/redis-server "--save " "\\"quoted\\"" \u00e9'


@pytest.mark.parametrize("controller", boot_rig.CONTROLLERS)
def test_boots_with_the_state_that_pvh_demands(parts, tmp_path, controller):
    image = tmp_path / "disk, raw.img"
    parts.build(image, cmdline=CMDLINE)
    outcome = boot_rig.boot(image, controller)
    print(f"{controller}: {outcome.seconds * 1000:.0f} ms from QEMU's start\n{outcome.text}")
    check_probe(outcome, CMDLINE, 64 << 20)
    rsdp = start_info(outcome.values())[6]
    assert rsdp % 16 == 0


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
