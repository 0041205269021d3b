"""What a guest of the Xen host can ask for: a Debian one has disks, a network card, events.

What these cannot do here, Kiln cannot be asked to.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_nics import nic_root
from xen_host import PATIENCE, Xen, scratch, started

__all__ = ["nic_root"]
READ = random.Random(6).randbytes(8 << 20)
WRITTEN = 16 << 20


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def host() -> Iterator[Xen]:
    with scratch() as folder:
        images = {name: folder / f"{name}.img" for name in ("read", "written")}
        images["read"].write_bytes(READ)
        with images["written"].open("wb") as file:
            file.truncate(2 * WRITTEN)
        with started(folder, images) as xen:
            yield xen


@pytest.fixture
def xen(host: Xen) -> Iterator[Xen]:
    yield host
    host.host.destroy_all()


@pytest.mark.parametrize(("kind", "cpus"), [("pvh", 1)])
def test_debian_has_its_disks_and_its_card(kind: str, cpus: int, xen: Xen, nic_root: Path) -> None:
    guest = xen.debian(f"debian-{kind}-{cpus}", kind, nic_root / "nic", cpus)
    said = guest.wait_said("link up", PATIENCE)
    assert f"guest: xvda holds {sha256(READ)}" in said
    written = said.partition("guest: xvdb holds ")[2].split()[0]
    assert sha256(xen.images["written"].read_bytes()[:WRITTEN]) == written
    assert f"guest: {cpus} CPUs" in said
    xen.exchange()
