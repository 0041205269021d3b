"""What KVM offers, on QEMU's emulator: virtio by PVH, BIOS and UEFI; and microVMs, with no more.

KVM itself is not to be had here: its clock is checked by `kernel-src/tests` alone.
"""

from __future__ import annotations

import collections
import re
import subprocess
from pathlib import Path

import boot_rig
import pytest
import redis_guest
import smoke
from hypervisor_rig import baked, built_kernel, smoke_root
from smoke import Machine

__all__ = ["baked", "built_kernel", "smoke_root"]
SEVERAL = "virtio-net-pci,mq=on,vectors=6"
MMIO = ("virtio-mmio", "virtio-net-device")
MACHINES = [
    (Machine("virtio-blk", "virtio-net-pci", "pvh"), "inside"),
    *(
        pytest.param(*each, marks=pytest.mark.long)
        for each in [
            (Machine("virtio-blk", SEVERAL, "pvh", cpus=2), "button"),
            (Machine("virtio-blk", "virtio-net-pci", board="pc"), "button"),
            (Machine("virtio-blk", "virtio-net-pci", cpus=2), "inside"),
            (Machine("virtio-scsi", "virtio-net-pci", "pvh"), "button"),
            (Machine("virtio-scsi", "virtio-net-pci", board="pc", cpus=2), "inside"),
            (Machine("virtio-blk", "virtio-net-pci", "uefi"), "inside"),
            (Machine("virtio-scsi", "virtio-net-pci", "uefi", cpus=2), "button"),
            (Machine(*MMIO, "pvh", board="microvm,acpi=on"), "button"),
            (Machine(*MMIO, "pvh", board="microvm,acpi=on", cpus=2), "inside"),
            (Machine(*MMIO, "pvh", board="microvm,acpi=off"), "inside"),
            (Machine(*MMIO, "pvh", board="microvm,acpi=off", cpus=2), "inside"),
        ]
    ),
]
REDIS = [
    Machine("virtio-blk", "virtio-net-pci", "pvh", cpus=2),
    Machine("virtio-scsi", "virtio-net-pci"),
    Machine(*MMIO, "pvh", board="microvm,acpi=on", cpus=2),
]


@pytest.mark.parametrize(("machine", "how"), MACHINES, ids=str)
def test_disk_network_and_end(
    machine: Machine, how: str, built_kernel: str, smoke_root: Path, tmp_path: Path
) -> None:
    smoke.check_machine(machine, how, Path(built_kernel), smoke_root, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("machine", REDIS, ids=str)
def test_redis_answers(machine: Machine, baked: redis_guest.Baked, tmp_path: Path) -> None:
    smoke.check_redis(machine, baked, tmp_path)


PANIC = 'int main(void) { __asm__ volatile("int $18"); return 0; }'  # a machine check
TELLS = ("-device", "pvpanic", "-action", "panic=exit-failure")


@pytest.fixture(scope="session")
def panic_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root whose program makes the kernel panic."""
    folder = tmp_path_factory.mktemp("panic")
    tree, root = folder / "tree", folder / "root.erofs"
    tree.mkdir()
    compile_it = ["gcc", "-O1", "-static", "-x", "c", "-", "-o", tree / "panic"]
    subprocess.run(compile_it, input=PANIC, text=True, check=True)
    boot_rig.run("mkfs.erofs", "-T0", root, tree)
    return root


@pytest.mark.parametrize(("options", "status"), [(TELLS, 1), ((), 0)], ids=["told", "not told"])
def test_the_host_is_told_of_a_panic(
    options: tuple[str, ...], status: int, built_kernel: str, panic_root: Path, tmp_path: Path
) -> None:
    """By pvpanic, where there is one; then QEMU ends as it was asked to."""
    machine = Machine("virtio-blk", "virtio-net-pci", "pvh", options=options)
    command = machine.command(
        panic_root, "ip=none -- /panic", Path(built_kernel), smoke.forwards()[1]
    )
    with smoke.started(command, tmp_path, {}) as guest:
        assert guest.process.wait(smoke.PATIENCE) == status
        assert "kiln: panic: machine check" in guest.said()


@pytest.mark.parametrize(("how", "status"), [("inside", 0), ("button", 9)])
def test_a_port_takes_the_programs_status(
    how: str, status: int, built_kernel: str, smoke_root: Path, tmp_path: Path
) -> None:
    """QEMU's isa-debug-exit, which ends with twice that and one."""
    options = ("-device", "isa-debug-exit,iobase=0xf4,iosize=4")
    machine = Machine("virtio-blk", "virtio-net-pci", "pvh", options=options)
    ports, network = smoke.forwards(smoke.ECHO, smoke.END)
    line = "ip=dhcp exit=port:244 -- /smoke none 0"
    command = machine.command(smoke_root, line, Path(built_kernel), network)
    with smoke.started(command, tmp_path, ports) as guest:
        guest.connect(smoke.ECHO).close()
        guest.end(how, 2 * status + 1)


@pytest.mark.parametrize("cpus", [1, 2])
def test_each_cpu_has_a_queue_of_a_disk(
    cpus: int, built_kernel: str, smoke_root: Path, tmp_path: Path
) -> None:
    """QEMU counts by queue what it is notified of."""
    image, trace = tmp_path / "disk.img", tmp_path / "trace"
    machine = Machine("virtio-blk", "e1000e", "pvh", cpus=cpus)
    kernel = Path(built_kernel)
    line = f"ip=none -- /disk {machine.data} write 8 7"
    boot_rig.disk.build_disk(kernel, smoke_root, line, image, data_size=9 << 20)
    command = machine.command(image, line, kernel, smoke.forwards()[1])
    traced = ["-trace", "virtio_queue_notify", "-D", str(trace)]
    with smoke.started([*command, *traced], tmp_path, {}) as guest:
        assert guest.process.wait(smoke.PATIENCE) == 0, guest.said()
        assert "8 MiB are right" in guest.said()
    notified = collections.Counter(re.findall(r" n (\d+) vq ", trace.read_text()))
    assert sorted(notified) == [str(cpu) for cpu in range(cpus)], notified
    assert min(notified.values()) >= 0.1 * sum(notified.values()), notified
