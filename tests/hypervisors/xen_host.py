"""The Xen host of these tests: one start of it serves them all, with all the disks of its guests.

Kiln's disks are whole images, the same for guests whose kernel dom0 loads (PVH) and guests that
start from their own disk (HVM); each runs one program.
"""

from __future__ import annotations

import random
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boot_rig
import redis_guest
from hypervisor_rig import ECHO_APP, TOP
from test_kernel import build
from test_nics import CONNECTIONS, connect, exchange_with_all

from tests.lib.ports import free_port
from tests.rigs.xen.host import RIG, Guest, Host
from tests.rigs.xen.pack import Archive
from tests.rigs.xen.wanted import Wanted

ECHO, REDIS = 7, 6379
# The emulated machine emulates another, and a loaded host is no failure.
PATIENCE = 600
# What a Debian guest reads, and how much it writes.
READ = random.Random(6).randbytes(8 << 20)
WRITTEN = 16 << 20
# What a Kiln guest writes and compares, MiB, of which byte the seed tells.
MEGABYTES, SEED = 200, 7
NO_NETWORK = {"version": 1, "name": "test", "network": {"mode": "none"}}
APPS: dict[str, dict[str, object]] = {
    "echo": ECHO_APP,
    "disk": NO_NETWORK | {"argv": ["/disk", "/dev/xvdb", "write", str(MEGABYTES), str(SEED)]},
    "power": NO_NETWORK | {"argv": ["/power"]},
}


@dataclass(frozen=True)
class Machine:
    """xl's type of guest, and its CPUs."""

    kind: str
    cpus: int

    def __str__(self) -> str:
        return f"{self.kind}-{self.cpus}"


@dataclass
class Xen:
    """The host, the disks' images, and the ports here that lead to the guest that runs."""

    host: Host
    folder: Path
    kernel: Path
    programs: Path
    images: dict[str, Path]
    ports: dict[int, int]

    def debian(self, machine: Machine) -> Guest:
        """Debian's kernel with its own drivers and two disks, and the program that echoes."""
        over = Archive()
        over.add("nic", stat.S_IFREG | 0o755, (self.programs / "nic").read_bytes())
        start = self.folder / "debian.cpio"
        over.write(start)
        start.write_bytes((RIG / "guest.cpio").read_bytes() + start.read_bytes())
        kernel = RIG / ("guest.linux" if machine.kind == "pvh" else "guest.vmlinuz")
        line = "console=hvc0 quiet panic=-1 rdinit=/init"
        disks = ("read", "written")
        wanted = Wanted(machine.kind, kernel, start, line, disks, cpus=machine.cpus)
        return self.host.create(f"debian-{machine}", wanted)

    def kiln(self, machine: Machine, *disks: str, on_reboot: str = "destroy") -> Guest:
        """Kiln, with the first disk's program."""
        kernel = self.kernel if machine.kind == "pvh" else None
        wanted = Wanted(
            machine.kind, kernel, None, "log=debug" if kernel else "", disks,
            cpus=machine.cpus, on_reboot=on_reboot,
        )  # fmt: skip
        return self.host.create(f"{disks[0]}-{machine}", wanted)

    def exchange(self) -> None:
        """Over several connections to the guest that runs; every byte comes back.

        More of them carry one byte, so that each of several queues gets some (test_queues.py).
        """
        peers = [connect(self.ports[ECHO]) for _ in range(16)]
        exchange_with_all(peers[:CONNECTIONS])
        for peer in peers[CONNECTIONS:]:
            peer.close()

    def end_of_input(self, guest: Guest) -> str:
        """Ctrl-D by what `xl console` starts; what that showed until the guest was gone."""
        there = f"while xl domid {guest.name} >/dev/null 2>&1; do sleep 0.2; done"
        console = f"xenconsole --interactive $(xl domid {guest.name})"
        return self.host.run(f"{{ printf '\\004'; {there}; }} | {console}", PATIENCE)

    def show(self) -> None:
        """What all said, for whoever reads about a failure."""
        for path in [self.folder / "host/host.log", *sorted(self.host.work.glob("log/*.log"))]:
            print(f"---- {path.name}\n{path.read_text(errors='replace')[-20000:]}")


def compiled(folder: Path) -> Path:
    """A folder with the programs."""
    folder.mkdir()
    for name in ("nic", "disk", "power"):
        source = TOP / f"tests/devices/{name}.c"
        boot_rig.run("gcc", "-O2", "-static", "-pthread", "-o", folder / name, source)
    return folder


def kiln_images(kernel: Path, programs: Path, folder: Path) -> dict[str, Path]:
    """A whole disk for each program, and redis'."""
    images = {name: folder / f"{name}.img" for name in APPS}
    for name, app in APPS.items():
        tree = folder / f"tree-{name}"
        (tree / "etc/kiln").mkdir(parents=True)
        program = Path(str(app["argv"][0])).name  # type: ignore[index]
        shutil.copy(programs / program, tree / program)
        build(kernel, tree, images[name], app, "log=debug")
    words = " ".join(f'"{word}"' for word in (redis_guest.PROGRAM, *redis_guest.FLAGS))
    images["redis"] = folder / "redis.img"
    root = redis_guest.bake(kernel=kernel).root
    boot_rig.disk.build_disk(kernel, root, f"log=debug ip=dhcp -- {words}", images["redis"])
    return images


def empty(path: Path, size: int) -> Path:
    """A sparse file of zeros."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


@contextmanager
def started(kernel: Path) -> Iterator[Xen]:
    """The host with all disks, in a folder that goes with it."""
    with tempfile.TemporaryDirectory(prefix="kiln-xen-") as name:
        folder = Path(name)
        programs = compiled(folder / "programs")
        images = kiln_images(kernel, programs, folder)
        images["read"] = folder / "read.img"
        images["read"].write_bytes(READ)
        images["written"] = empty(folder / "written.img", 2 * WRITTEN)
        images["scratch"] = empty(folder / "scratch.img", (MEGABYTES + 1) << 20)
        ports = {port: free_port() for port in (ECHO, REDIS)}
        forwards = {here: there for there, here in ports.items()}
        with Host(folder / "host", images, forwards) as host:
            yield Xen(host, folder, kernel, programs, images, ports)
