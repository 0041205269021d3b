"""The kernel on QEMU's microvm, which has neither BIOS nor PCI: its devices, and how it ends.

With ACPI the devices are named by the DSDT, without it on the boot line, and CPUs by an MP table.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from device_rig import wrapper
from hypervisor_rig import built_kernel
from test_devices import EXPECTED, MACHINE, MICROVM, root, run_guest

__all__ = ["built_kernel", "root", "wrapper"]
NEWER_REGISTERS = "\n-global\nvirtio-mmio.force-legacy=false"
QEMU = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "128M"]
QEMU += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"]


@pytest.mark.parametrize("cpus", ["1", "2"])
@pytest.mark.parametrize("registers", ["", NEWER_REGISTERS], ids=["older", "newer"])
@pytest.mark.parametrize("acpi", ["on", "off"])
def test_every_device_works(
    acpi: str, registers: str, cpus: str, built_kernel: str, root: Path, wrapper: Path
) -> None:
    """Disk, network, streams and entropy; the status arrives, and the machine ends."""
    rewrite = [[MACHINE, f"microvm,acpi={acpi}{registers}"], *MICROVM]
    output = run_guest(built_kernel, root, wrapper, rewrite, "--smp", cpus)
    assert output.splitlines() == EXPECTED


@pytest.mark.parametrize("acpi", ["on", "off"])
@pytest.mark.parametrize("cpus", ["1", "2"])
def test_all_cpus_are_found_and_the_machine_ends(acpi: str, cpus: str, built_kernel: str) -> None:
    """Without a program it says so and ends, by itself; nobody stops this QEMU."""
    machine = ["-M", f"microvm,acpi={acpi}", "-smp", cpus]
    boot = ["-kernel", built_kernel, "-append", "log=debug -- /none"]
    ended = subprocess.run(
        [*QEMU, *machine, *boot], capture_output=True, text=True, timeout=60, check=False
    )
    assert f"{cpus} CPUs," in ended.stdout
    assert "panic" not in ended.stdout
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_machine_without_any_known_clock_says_so(built_kernel: str) -> None:
    """No HPET, no ACPI timer, no PIT, and nobody tells how fast the TSC is."""
    machine = ["-M", "microvm,acpi=off,pit=off", "-kernel", built_kernel, "-append", "-- /none"]
    ended = subprocess.run(
        [*QEMU, *machine], capture_output=True, text=True, timeout=60, check=False
    )
    assert "panic: the TSC's frequency is not known" in ended.stdout
