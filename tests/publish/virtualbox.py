"""VirtualBox as a test sees it: the real one of the rig, empty, with modules that talk to it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "build/tree"))

from ansible_collections.kiln.unikernel.plugins.module_utils import _ova, _ovf
from ansible_collections.kiln.unikernel.plugins.module_utils._sparse import RawDisk
from ansible_collections.kiln.unikernel.plugins.module_utils._store import (
    default_store,
    digest_file,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox import (
    parse_facts,
    parse_machines,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vmdk import write_vmdk

from tests.publish.modules import run

RIG = default_store() / "rigs/virtualbox"
PROGRAM = RIG / "bin/VBoxManage"


class Rig:
    """One user's VirtualBox, in folders of its own, and the modules on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.machines = folder / "VMs"
        self.store = folder / "a store"

    def prepare(self) -> Rig:
        """Starts its server process and tells it where VMs go."""
        self.call("setproperty", "machinefolder", str(self.machines))
        return self

    def call(self, *words: str) -> str:
        """VBoxManage."""
        done = subprocess.run(
            [PROGRAM, "-q", *words], capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def restart(self) -> None:
        """Ends the server process, so that the next call starts another."""
        end_server(os.environ["VBOX_IPC_SOCKETID"])

    def names(self) -> list[str]:
        """The names of all VMs."""
        return sorted(parse_machines(self.call("list", "vms")).values())

    def facts(self, machine: str) -> dict[str, str]:
        """What VirtualBox says of a VM."""
        return parse_facts(self.call("showvminfo", machine, "--machinereadable"))

    def files(self) -> list[str]:
        """All that lies where VMs are, without settings."""
        return sorted(
            path.name for path in self.machines.rglob("*") if path.suffix in (".vdi", ".vmdk")
        )

    def run(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        """A module."""
        common = {"vboxmanage": str(PROGRAM), "timeout": 120, "store": str(self.store)}
        return run(f"virtualbox_{name}", **(common | arguments))

    def image(self, path: Path | None = None, **rest: Any) -> dict[str, Any]:
        """virtualbox_image."""
        place = {} if path is None else {"path": str(path)}
        return self.run("image", **({"name": "redis"} | place | rest))

    def images(self, **rest: Any) -> list[dict[str, Any]]:
        """virtualbox_image_info."""
        found: list[dict[str, Any]] = self.run("image_info", **rest)["images"]
        return found

    def vm(self, **rest: Any) -> dict[str, Any]:
        """virtualbox_vm."""
        return self.run("vm", **({"name": "web-1"} | rest))

    def vms(self, **rest: Any) -> list[dict[str, Any]]:
        """virtualbox_vm_info."""
        result = self.run("vm_info", **rest)
        assert "msg" not in result, result["msg"]
        found: list[dict[str, Any]] = result["machines"]
        return found

    def channel(self, **rest: Any) -> dict[str, Any]:
        """virtualbox_channel."""
        return self.run("channel", **({"channel": "redis/stable"} | rest))

    def retention(self, **rest: Any) -> dict[str, Any]:
        """virtualbox_retention."""
        return self.run("retention", **({"name": "redis"} | rest))


def faulty(folder: Path, words: str) -> str:
    """A VBoxManage that fails once, when it is called with these words."""
    path = Path(tempfile.mkdtemp(dir=folder)) / "VBoxManage"
    path.write_text(
        f'#!/bin/sh\ncase "$*" in *"{words}"*) [ -e "$0.once" ] || {{ : > "$0.once"\n'
        f'echo "VBoxManage: error: Broken for once" >&2; exit 1; }};;\nesac\nexec {PROGRAM} "$@"\n'
    )
    path.chmod(0o755)
    return str(path)


def make_raw(path: Path, data: bytes, size: int = 1 << 20) -> Path:
    """A raw disk that begins with this data."""
    with path.open("wb") as stream:
        stream.truncate(size)
        stream.write(data)
    return path


def make_vmdk(path: Path, data: bytes, size: int = 1 << 20) -> Path:
    """A stream-optimized VMDK of such a disk."""
    raw = make_raw(path.with_suffix(".raw"), data, size)
    with RawDisk(raw) as disk:
        write_vmdk(disk, path, digest_file(raw))
    return path


def make_ova(path: Path, data: bytes, size: int = 1 << 20, **machine: Any) -> Path:
    """An OVA around such a disk, as the module image makes it."""
    wanted = _ovf.Machine(**({"name": "redis", "profile": "virtualbox"} | machine))
    disk = make_vmdk(path.with_suffix(".vmdk"), data, size)
    raw = digest_file(disk.with_suffix(".raw"))
    told = _ovf.DiskFile(_ova.disk_name(wanted), disk.stat().st_size, size, raw)
    _ova.write_ova(path, wanted, told, disk)
    return path


def own_environment(folder: Path) -> dict[str, str]:
    """A VirtualBox that shares nothing with the user's: settings, machines, server process."""
    home = folder / "VirtualBox"
    home.mkdir()
    return {"VBOX_USER_HOME": str(home), "VBOX_IPC_SOCKETID": f"kiln-{os.getpid()}-{id(folder):x}"}


def end_server(socket_id: str) -> None:
    """Ends VBoxSVC, which would wait some seconds for another client, and takes its socket away."""
    place = Path(f"/tmp/.vbox-{socket_id}-ipc")
    try:
        pid = int((place / "lock").read_text())
        os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError):
        pid = 0
    until = time.monotonic() + 20
    while pid and Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.02)
    shutil.rmtree(place, ignore_errors=True)
