"""The same disk under UEFI: what fits into minutes; tests/hypervisors has the rest."""

from __future__ import annotations

import re

import boot_rig
from probe_values import KEPT_BY_OVMF, check_probe
from test_failures import flip
from test_kernel import APP, build

CMDLINE = 'log=debug env="A=b c" -- /bin/x \u00e9'
SENTENCE = r"kiln loader: [^\r\n]*\r\n"


def test_uefi_boots_with_the_state_that_pvh_demands(parts, tmp_path):
    parts.build(tmp_path / "disk, raw.img", cmdline=CMDLINE)
    outcome = boot_rig.boot_uefi(tmp_path / "disk, raw.img")
    print(outcome.text)
    check_probe(outcome, CMDLINE, 256 << 20, KEPT_BY_OVMF)


def test_uefi_says_that_the_kernel_is_damaged(parts, tmp_path):
    image = tmp_path / "disk.img"
    layout = parts.build(image)
    flip(image, layout.kernel_offset + 250_000)
    outcome = boot_rig.boot_uefi(image, until=SENTENCE)
    first = layout.kernel_offset // 512
    last = first + (layout.kernel_size + 511) // 512 - 1
    assert outcome.status is None, "the machine must stand still after the sentence"
    assert re.findall(SENTENCE, outcome.text) == [
        f"kiln loader: the kernel on this disk is damaged (blocks {first:#x} to {last:#x}: not the"
        " SHA-256 in the loader); write the image again\r\n"
    ]


def test_the_kernel_runs_its_program_under_uefi(kernel, tree, tmp_path):
    build(kernel, tree, tmp_path / "disk.img", APP)
    outcome = boot_rig.boot_uefi(tmp_path / "disk.img", "nvme")
    print(outcome.text)
    assert outcome.status == 0, "the guest powers off"
    lines = outcome.text.splitlines()
    assert "[from][the manifest] GREETING=good day in /srv" in lines
    assert lines[-1] == "kiln: exit status 7"
