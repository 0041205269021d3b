"""A machine like those of EC2's Nitro: NVMe, from a BIOS and from UEFI, ended by the power button.

QEMU has no ENA, so another card stands in here; ENA's driver has met only a model of the card
(kernel-src/tests/ena), which `make test-nitro` runs too, and no hardware.
"""

from __future__ import annotations

import time
from pathlib import Path

import boot_rig
import pytest
import redis_guest
import smoke
from hypervisor_rig import baked, built_kernel, smoke_root
from smoke import Machine

__all__ = ["baked", "built_kernel", "smoke_root"]
CARD = "virtio-net-pci"
FEW = "nvme, few messages"
MACHINES = [
    (Machine("nvme", CARD), "button"),
    pytest.param(Machine("nvme", CARD, cpus=2), "inside", marks=pytest.mark.long),
    pytest.param(Machine(FEW, CARD, cpus=4), "button", marks=pytest.mark.long),
    pytest.param(Machine("nvme", CARD, "uefi"), "inside", marks=pytest.mark.long),
    pytest.param(Machine("nvme", CARD, "uefi", cpus=2), "button", marks=pytest.mark.long),
]
REDIS = [Machine("nvme", CARD, cpus=2), Machine("nvme", CARD, "uefi")]

# So many commands a second, so that the guest waits for the disk; four threads read.
PACE, THREADS, READ = 200, 4, 192
SAMPLES = 6


@pytest.mark.parametrize(("machine", "how"), MACHINES, ids=str)
def test_disk_network_and_end(
    machine: Machine, how: str, built_kernel: str, smoke_root: Path, tmp_path: Path
) -> None:
    smoke.check_machine(machine, how, Path(built_kernel), smoke_root, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("machine", REDIS, ids=str)
def test_redis_answers(machine: Machine, baked: redis_guest.Baked, tmp_path: Path) -> None:
    smoke.check_redis(machine, baked, tmp_path)


@pytest.mark.parametrize(
    "machine",
    [
        Machine("nvme", CARD),
        pytest.param(Machine(FEW, CARD, cpus=4), marks=pytest.mark.long),
    ],
    ids=str,
)
def test_several_commands_are_under_way_at_all_times(
    machine: Machine, built_kernel: str, smoke_root: Path, tmp_path: Path
) -> None:
    """Where four threads read: also with more CPUs than queues, or than messages."""
    image, kernel = tmp_path / "disk.img", Path(built_kernel)
    line = f"log=debug ip=none -- /disk {machine.data} check {READ} 7"
    layout = boot_rig.disk.build_disk(kernel, smoke_root, line, image, data_size=READ << 20)
    smoke.fill_partition(image, layout, tmp_path, READ)
    command = machine.command(image, line, kernel, smoke.forwards()[1])
    command = [
        f"{word},stats-intervals.0=1,throttling.iops-total={PACE}" if "id=disk" in word else word
        for word in command
    ]
    with smoke.started(command, tmp_path, {}) as guest:
        guest.wait_said("/disk loaded")
        depths = []
        while len(depths) < SAMPLES:
            time.sleep(1)  # the interval over which QEMU counts
            depths.append(depth(guest))
        guest.wait_said(f"^{READ} MiB are right$")
    # The first second is not whole.
    assert min(depths[1:]) > 1, depths
    assert max(depths) <= THREADS, depths


def depth(guest: smoke.Guest) -> float:
    """How many commands were under way, on average of the last second."""
    (disk,) = guest.ask("query-blockstats")
    (second,) = disk["stats"]["timed_stats"]
    return float(second["avg_rd_queue_depth"])
