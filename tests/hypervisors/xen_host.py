"""The Xen host of these tests: one for all of a file, with the disks that its guests have."""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from test_nics import CONNECTIONS, connect, exchange_with_all, free_port

from tests.rigs.xen.host import RIG, Guest, Host
from tests.rigs.xen.pack import Archive
from tests.rigs.xen.wanted import Wanted

ECHO = 7
# The emulated machine emulates another, and a loaded host is no failure.
PATIENCE = 600


@dataclass
class Xen:
    """The host, the disks' images, and the ports here that lead to the guest that runs."""

    host: Host
    folder: Path
    images: dict[str, Path]
    ports: dict[int, int]

    def debian(self, name: str, kind: str, program: Path, cpus: int) -> Guest:
        """Debian's kernel with its own drivers and two disks, and the program."""
        over = Archive()
        over.add("nic", stat.S_IFREG | 0o755, program.read_bytes())
        start = self.folder / "debian.cpio"
        over.write(start)
        start.write_bytes((RIG / "guest.cpio").read_bytes() + start.read_bytes())
        kernel = RIG / ("guest.linux" if kind == "pvh" else "guest.vmlinuz")
        line = "console=hvc0 quiet panic=-1 rdinit=/init"
        wanted = Wanted(kind, kernel, start, line, ("read", "written"), cpus=cpus)
        return self.host.create(name, wanted)

    def exchange(self) -> None:
        """Over several connections to the guest that runs; every byte comes back."""
        exchange_with_all([connect(self.ports[ECHO]) for _ in range(CONNECTIONS)])


@contextmanager
def started(folder: Path, images: dict[str, Path]) -> Iterator[Xen]:
    """The host with these disks."""
    port = free_port()
    with Host(folder / "host", images, {port: ECHO}) as host:
        yield Xen(host, folder, images, {ECHO: port})


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for images and logs."""
    with tempfile.TemporaryDirectory(prefix="kiln-xen-") as folder:
        yield Path(folder)
