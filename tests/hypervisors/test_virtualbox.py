"""The collection's OVA on the real VirtualBox, which interprets every instruction (see tests/rigs).

As it is, with AHCI, and with its disk on PIIX4's IDE and on LSI Logic SAS: the disk is written and
read back, bulk goes over the 82540EM and NAT, and the machine ends from inside or by its button.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import smoke
import virtualbox_machine
from hypervisor_rig import built_kernel, smoke_root
from virtualbox_machine import Kind

from tests.publish.conftest import vbox
from tests.publish.virtualbox import Rig

__all__ = ["built_kernel", "smoke_root", "vbox"]
# What has been seen; virtualbox_machine.py can do more.
KINDS = [(Kind(), "inside"), (Kind("ide"), "button"), (Kind("lsilogic-sas"), "inside")]


@pytest.mark.parametrize(("kind", "how"), KINDS, ids=str)
def test_disk_network_and_end(
    kind: Kind, how: str, vbox: Rig, built_kernel: str, smoke_root: Path
) -> None:
    raw, layout = virtualbox_machine.build_smoke_disk(
        kind, Path(built_kernel), smoke_root, vbox.folder
    )
    with virtualbox_machine.started(vbox, kind, raw) as box:
        box.wait_said(f"^{smoke.MEGABYTES} MiB are right$")
        box.exchange()
        said = box.end(how)
    assert said.splitlines()[-1] == f"kiln: exit status {9 if how == 'button' else 0}", said
    written = virtualbox_machine.disk_as_raw(vbox, vbox.folder / "written.raw")
    smoke.check_partition(written, layout, vbox.folder)
