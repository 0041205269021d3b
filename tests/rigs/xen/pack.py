"""Makes what the Xen host boots out of unpacked Debian packages; build calls it.

pack.py FOLDER: FOLDER has root/ (Xen's tools and all that they load) and kernel/ (Debian's kernel).
It gets xen, linux, dom0.cpio, guest.linux, guest.vmlinuz and guest.cpio.
"""

from __future__ import annotations

import gzip
import lzma
import re
import shutil
import stat
import struct
import subprocess
import sys
from pathlib import Path

INSIDE = Path(__file__).resolve().parent / "inside"
# What others need of the kernel's checksums without saying so comes first.
OF_DOM0 = "crc32c_generic erofs virtio_pci virtio_blk virtio_net virtio_console 9p 9pnet_virtio"
OF_DOM0 += (
    " xenfs xen-privcmd xen-evtchn xen-gntdev xen-gntalloc xen-blkback xen-netback bridge tun"
)
OF_GUEST = "xen-blkfront xen-netfront"
FOLDERS = "bin dev modules proc root sys"


class Archive:
    """A cpio archive in the form that Linux takes at its start (Documentation: initramfs)."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._count = 0

    def add(
        self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)
    ) -> None:
        """One entry: root's, without a date."""
        self._count += 1
        place = name.encode() + b"\0"
        fields = (self._count, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(place), 0)
        self._bytes += b"070701" + b"".join(b"%08x" % field for field in fields) + place
        self._pad()
        self._bytes += data
        self._pad()

    def _pad(self) -> None:
        self._bytes += bytes(-len(self._bytes) % 4)

    def write(self, path: Path) -> None:
        """With the entry that ends it."""
        self.add("TRAILER!!!", 0)
        path.write_bytes(self._bytes)


class Kernel:
    """Debian's, unpacked."""

    def __init__(self, folder: Path) -> None:
        self.image = next((folder / "boot").glob("vmlinuz-*"))
        modules = next((folder / "lib/modules").iterdir())
        self._files = {_plain(path.stem): path for path in modules.rglob("*.ko")}
        built_in = (modules / "modules.builtin").read_text().split()
        self._built_in = {_plain(Path(line).stem) for line in built_in}

    def with_dependencies(self, names: str) -> dict[str, bytes]:
        """The modules, each after those that it needs; what is built in is left out."""
        found: dict[str, bytes] = {}
        for name in names.split():
            self._take(_plain(name), found)
        return found

    def _take(self, name: str, found: dict[str, bytes]) -> None:
        if name in found or name in self._built_in:
            return
        if name not in self._files:
            raise SystemExit(f"pack: {self.image.name} has no module {name}")
        data = self._files[name].read_bytes()
        needed = re.search(rb"\0depends=([^\0]*)\0", data)
        for other in needed[1].decode().split(",") if needed and needed[1] else []:
            self._take(_plain(other), found)
        found[name] = data

    def unpacked(self) -> bytes:
        """The ELF inside (Documentation/x86/boot.rst: payload_offset), which starts sooner."""
        image = self.image.read_bytes()
        offset, length = struct.unpack_from("<II", image, 0x248)
        start = (image[0x1F1] + 1) * 512 + offset
        elf = _decompress(image[start : start + length])
        if not elf.startswith(b"\x7fELF"):
            raise SystemExit(f"pack: what is inside {self.image.name} is no ELF")
        return elf


def _plain(name: str) -> str:
    return name.replace("-", "_")


def _decompress(data: bytes) -> bytes:
    if data.startswith(b"\xfd7zXZ"):
        return lzma.LZMADecompressor().decompress(data)
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        return subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=False).stdout
    raise SystemExit(f"pack: the kernel is compressed in a way not known here: {data[:6].hex()}")


def write_start(path: Path, init: Path, busybox: Path, modules: dict[str, bytes]) -> None:
    """What a kernel starts with: busybox, modules in the order of modules/list, and its script."""
    archive = Archive()
    for folder in FOLDERS.split():
        archive.add(folder, stat.S_IFDIR | 0o755)
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    archive.add("init", stat.S_IFREG | 0o755, init.read_bytes())
    archive.add("bin/busybox", stat.S_IFREG | 0o755, busybox.read_bytes())
    for name, data in modules.items():
        archive.add(f"modules/{name}.ko", stat.S_IFREG | 0o644, data)
    archive.add("modules/list", stat.S_IFREG | 0o644, "".join(f"{n}\n" for n in modules).encode())
    archive.write(path)


def main() -> None:
    """All of it."""
    folder = Path(sys.argv[1])
    kernel = Kernel(folder / "kernel")
    busybox = folder / "root/usr/bin/busybox"
    hypervisor = next((folder / "root/boot").glob("xen-4*-amd64.gz"))
    (folder / "xen").write_bytes(gzip.decompress(hypervisor.read_bytes()))
    (folder / "linux").write_bytes(kernel.unpacked())
    (folder / "guest.linux").hardlink_to(folder / "linux")
    shutil.copyfile(kernel.image, folder / "guest.vmlinuz")
    write_start(folder / "dom0.cpio", INSIDE / "init", busybox, kernel.with_dependencies(OF_DOM0))
    write_start(
        folder / "guest.cpio", INSIDE / "guest", busybox, kernel.with_dependencies(OF_GUEST)
    )
    shutil.rmtree(folder / "root/boot")


if __name__ == "__main__":
    main()
