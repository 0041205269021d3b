"""The counterparts that roles publish to, each started for one run and ended with it.

EC2's and vSphere's are processes of their own; VirtualBox is the one that `make rigs` has made,
with settings and machines in a folder of its own. Each hands over what leads to it, by the names
of environment variables.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
TREE = subprocess.run(
    [TOP / "tools/tree"], check=True, capture_output=True, text=True
).stdout.strip()
sys.path[:0] = [str(TOP), TREE]

from tests.publish.ova import make_ova  # noqa: E402
from tests.publish.virtualbox import PROGRAM, end_server, own_environment  # noqa: E402
from tests.publish.virtualbox import make_ova as make_virtualbox_ova  # noqa: E402
from tests.rigs.ec2 import rig as ec2_rig  # noqa: E402
from tests.rigs.vsphere import rig as vsphere_rig  # noqa: E402


@contextmanager
def ec2() -> Iterator[dict[str, str]]:
    """The strict EC2 server."""
    rig = ec2_rig.Rig()
    try:
        yield {
            "KILN_EC2_URL": rig.url,
            "AWS_ACCESS_KEY_ID": ec2_rig.KEY,
            "AWS_SECRET_ACCESS_KEY": ec2_rig.SECRET,
            "AWS_REGION": ec2_rig.REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    finally:
        rig.stop()


@contextmanager
def vsphere() -> Iterator[dict[str, str]]:
    """The vCenter for tests."""
    rig = vsphere_rig.Rig()
    try:
        yield {
            "VMWARE_HOST": rig.host,
            "VMWARE_PORT": str(rig.port),
            "VMWARE_USER": vsphere_rig.USER,
            "VMWARE_PASSWORD": vsphere_rig.PASSWORD,
        }
    finally:
        rig.stop()


@contextmanager
def virtualbox() -> Iterator[dict[str, str]]:
    """The real VirtualBox, empty."""
    if not PROGRAM.exists():
        raise SystemExit(f"There is no VirtualBox at {PROGRAM}; build it first: make rigs")
    with tempfile.TemporaryDirectory(prefix="kiln-virtualbox-") as folder:
        own = own_environment(Path(folder))
        try:
            yield own | {"KILN_VBOXMANAGE": str(PROGRAM)}
        finally:
            end_server(own["VBOX_IPC_SOCKETID"])


Start = Callable[[], AbstractContextManager[dict[str, str]]]
OF_ROLE: dict[str, list[Start]] = {
    "publish_ec2": [ec2],
    "pipeline": [ec2],
    "publish_vsphere": [vsphere],
    "publish_virtualbox": [virtualbox],
}


@contextmanager
def of_roles(names: Iterable[str]) -> Iterator[dict[str, str]]:
    """All that these roles publish to."""
    starts = {start: None for name in names for start in OF_ROLE.get(name, [])}
    with ExitStack() as stack:
        found: dict[str, str] = {}
        for start in starts:
            found |= stack.enter_context(start())
        yield found


def make_ovas(folder: Path) -> dict[str, list[str]]:
    """Three small ones for each of those that take such."""
    makers: dict[str, Callable[[Path, bytes], Path]] = {
        "vsphere": make_ova,
        "virtualbox": make_virtualbox_ova,
    }
    return {
        kind: [
            str(make(folder / f"{kind}-{word}.ova", word.encode()))
            for word in ("one", "two", "three")
        ]
        for kind, make in makers.items()
    }
