"""What a guest of the Xen host can ask for: a Debian one has disks, a network card, events.

What these cannot do here, Kiln cannot be asked to.
"""

from __future__ import annotations

import hashlib

import pytest
from xen_host import PATIENCE, READ, WRITTEN, Machine, Xen


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("machine", [Machine("pvh", 1), Machine("pvh", 2)], ids=str)
def test_debian_has_its_disks_and_its_card(machine: Machine, xen: Xen) -> None:
    said = xen.debian(machine).wait_said("link up", PATIENCE)
    assert f"guest: xvda holds {sha256(READ)}" in said
    written = said.partition("guest: xvdb holds ")[2].split()[0]
    assert sha256(xen.images["written"].read_bytes()[:WRITTEN]) == written
    assert f"guest: {machine.cpus} CPUs" in said
    xen.exchange()
