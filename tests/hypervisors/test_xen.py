"""Kiln as a guest of a real Xen: its disks, its card, its console, and how it ends.

The same disk images serve every kind of guest. A Debian guest is asked first (test_xen_rig.py).
"""

from __future__ import annotations

import random
import re

import boot_rig
import pytest
import redis_guest
from xen_host import MEGABYTES, PATIENCE, REDIS, SEED, Machine, Xen

PVH = [Machine("pvh", 1), Machine("pvh", 2)]
# Its BIOS reads the kernel word by word from an emulated IDE disk, which takes a minute here.
HVM = [Machine("hvm", 1)]
POWER_OFF, REBOOT = 0, 1


@pytest.mark.parametrize("machine", PVH, ids=str)
def test_bulk_both_ways_and_a_power_off_from_inside(machine: Machine, xen: Xen) -> None:
    """Every byte is compared; the program ends with its input, which comes by `xl console`."""
    guest = xen.kiln(machine, "echo")
    guest.wait_said("link up", PATIENCE)
    xen.exchange()
    shown = xen.end_of_input(guest)
    assert guest.wait_end(PATIENCE) == [POWER_OFF]
    assert "link up" in shown
    assert f"xvda of {xen.images['echo'].stat().st_size} bytes, {machine.cpus} queues" in shown
    moved = re.findall(r"([rt]x)_queue_(\d)_packets (\d+)", guest.said())
    sent = {queue: int(packets) for way, queue, packets in moved if way == "tx"}
    assert sorted(sent) == [str(cpu) for cpu in range(machine.cpus)]
    # dom0 receives all on one queue, and gives it to the guest on the one of that number.
    assert min(sent.values()) > 0


@pytest.mark.parametrize("machine", HVM, ids=str)
def test_from_its_own_disk_it_leaves_the_emulated_devices(machine: Machine, xen: Xen) -> None:
    """By BIOS from IDE; the root and the network are Xen's then. Every byte is compared."""
    guest = xen.kiln(machine, "echo")
    said = guest.wait_said("link up", PATIENCE)
    assert "took away emulated disks and network cards" in said
    assert f"xvda of {xen.images['echo'].stat().st_size} bytes" in said
    assert "xen-netfront: vif 0" in said
    xen.exchange()


@pytest.mark.parametrize("machine", PVH, ids=str)
def test_what_is_written_is_there(machine: Machine, xen: Xen) -> None:
    """By four threads, read back by four, and by Linux from the image."""
    guest = xen.kiln(machine, "disk", "scratch")
    assert guest.wait_end(PATIENCE) == [POWER_OFF]
    assert f"{MEGABYTES} MiB are right" in guest.said()
    check = [xen.programs / "disk", xen.images["scratch"], "check", MEGABYTES, SEED]
    boot_rig.run(*map(str, check))


def ask_redis(xen: Xen, request: bytes, size: int) -> bytes:
    """The answer, or what there is of it."""
    try:
        return redis_guest.ask(xen.ports[REDIS], request, size, 60)
    except OSError:
        return b""


@pytest.mark.parametrize("machine", PVH, ids=str)
def test_redis_answers(machine: Machine, xen: Xen) -> None:
    """A value of a megabyte comes back as it went in."""
    guest = xen.kiln(machine, "redis")
    xen.host.wait(
        lambda: ask_redis(xen, b"PING\r\n", 7) == b"+PONG\r\n",
        PATIENCE,
        lambda: f"redis does not answer:\n{guest.said()}",
    )
    value = random.Random(8).randbytes(1 << 20)
    counted = b"$%d\r\n%s\r\n" % (len(value), value)
    assert ask_redis(xen, b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n" + counted, 5) == b"+OK\r\n"
    assert ask_redis(xen, b"GET key\r\n", len(counted)) == counted


@pytest.mark.parametrize("machine", PVH, ids=str)
def test_the_operator_reboots_it_and_shuts_it_down(machine: Machine, xen: Xen) -> None:
    """By xenstore; both are SIGTERM for the program."""
    guest = xen.kiln(machine, "power", on_reboot="restart")
    guest.wait_said("waiting", PATIENCE)
    guest.reboot()
    guest.wait_said("waiting", PATIENCE, times=2)
    guest.shut_down()
    assert guest.wait_end(PATIENCE) == [REBOOT, POWER_OFF]
    assert guest.said().count("asked to end") == 2
