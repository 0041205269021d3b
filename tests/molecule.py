#!/usr/bin/env python3
"""Runs molecule's scenarios (extensions/molecule), with the counterparts that they publish to.

Usage: python tests/molecule.py [SCENARIO ...]      (all when none is named)

EC2's and vSphere's are started here and end with this; VirtualBox is the one that `make rigs` made,
with settings and machines in a folder of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
SCENARIOS = TOP / "extensions/molecule"
TREE = subprocess.run(
    [TOP / "tools/tree"], check=True, capture_output=True, text=True
).stdout.strip()
sys.path[:0] = [str(TOP), TREE]

from tests.publish.virtualbox import PROGRAM, end_server, own_environment  # noqa: E402
from tests.rigs.ec2 import rig as ec2_rig  # noqa: E402
from tests.rigs.vsphere import rig as vsphere_rig  # noqa: E402


@contextmanager
def ec2() -> Iterator[dict[str, str]]:
    """The strict EC2 server, and the way to it."""
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
    """The vCenter for tests, and the way to it."""
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
        raise SystemExit(f"molecule: there is no VirtualBox at {PROGRAM}; build it: make rigs")
    with tempfile.TemporaryDirectory(prefix="kiln-molecule-") as folder:
        own = own_environment(Path(folder))
        try:
            yield own | {"KILN_VBOXMANAGE": str(PROGRAM)}
        finally:
            end_server(own["VBOX_IPC_SOCKETID"])


COUNTERPARTS = {
    "publish_ec2": [ec2],
    "pipeline": [ec2],
    "publish_vsphere": [vsphere],
    "publish_virtualbox": [virtualbox],
}


def main() -> int:
    """Starts what is needed, and hands over."""
    there = sorted(path.parent.name for path in SCENARIOS.glob("*/molecule.yml"))
    wanted = sys.argv[1:] or there
    if unknown := set(wanted) - set(there):
        known = ", ".join(there)
        raise SystemExit(f"molecule: no scenario {', '.join(sorted(unknown))}; there are {known}")
    environment = os.environ | {
        "ANSIBLE_COLLECTIONS_PATH": f"{TREE}:{TOP / '.venv/collections'}",
        "ANSIBLE_HOME": str(TOP / "build/ansible"),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{TOP / '.venv/bin'}:{os.environ['PATH']}",
    }
    starts = {start for name in wanted for start in COUNTERPARTS.get(name, [])}
    with ExitStack() as stack:
        for start in starts:
            environment |= stack.enter_context(start())
        words = [word for name in wanted for word in ("--scenario-name", name)]
        command = [str(TOP / ".venv/bin/molecule"), "test", *words]
        return subprocess.run(command, cwd=TOP, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
