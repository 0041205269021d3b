"""The disk of the OVA for vSphere on QEMU's models of VMware's devices.

From a BIOS on a PVSCSI adapter as the OVA asks for it, LSI Logic SAS or NVMe in its place, and from
UEFI on NVMe, with vmxnet3 or e1000e; and once as the stream-optimised VMDK that is in the OVA.
"""

from __future__ import annotations

from pathlib import Path

import boot_rig
import pytest
import redis_guest
import smoke
from hypervisor_rig import baked, built_kernel, smoke_root
from smoke import Machine

__all__ = ["baked", "built_kernel", "smoke_root"]
FROM_BIOS = [
    (Machine("pvscsi", "vmxnet3", board="pc"), "button"),
    (Machine("pvscsi", "vmxnet3", cpus=2), "inside"),
    (Machine("lsi-sas", "e1000e", board="pc", cpus=2), "button"),
    (Machine("lsi-sas", "vmxnet3"), "inside"),
    (Machine("nvme", "e1000e"), "inside"),
]
# Debian's OVMF has no driver for the others.
FROM_UEFI = [
    (Machine("nvme", "vmxnet3", "uefi"), "button"),
    (Machine("nvme", "e1000e", "uefi", cpus=2), "inside"),
]
MACHINES = [
    FROM_BIOS[0],
    *(pytest.param(*each, marks=pytest.mark.long) for each in FROM_BIOS[1:] + FROM_UEFI),
]
REDIS = [Machine("pvscsi", "vmxnet3", cpus=2), Machine("nvme", "vmxnet3", "uefi")]


@pytest.mark.parametrize(("machine", "how"), MACHINES, ids=str)
def test_disk_network_and_end(
    machine: Machine, how: str, built_kernel: str, smoke_root: Path, tmp_path: Path
) -> None:
    smoke.check_machine(machine, how, Path(built_kernel), smoke_root, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("machine", REDIS, ids=str)
def test_redis_answers(machine: Machine, baked: redis_guest.Baked, tmp_path: Path) -> None:
    smoke.check_redis(machine, baked, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("cpus", [1, 2])
def test_the_vmdk_of_the_ova_answers(
    cpus: int, built_kernel: str, smoke_root: Path, tmp_path: Path
) -> None:
    machine = Machine("pvscsi", "vmxnet3", board="pc", cpus=cpus)
    raw, kernel = tmp_path / "disk.img", Path(built_kernel)
    boot_rig.disk.build_disk(kernel, smoke_root, "ip=dhcp -- /smoke none 0", raw)
    ports, network = smoke.forwards(smoke.ECHO, smoke.END)
    command = machine.command(boot_rig.convert(raw, "vmdk"), "", kernel, network)
    command = [word.replace("format=raw", "format=vmdk,snapshot=on") for word in command]
    with smoke.started(command, tmp_path, ports) as guest:
        guest.exchange()
        assert guest.end("inside").splitlines()[-1] == "kiln: exit status 0"
