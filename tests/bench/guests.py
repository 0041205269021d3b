"""The two guests that are measured: the same QEMU machine, the same program files.

Both get the same firmware, CPU model, accelerator, memory, network and entropy device, and both
kernels are handed over with -kernel. The firmware is qboot, the smallest that QEMU brings: it starts
either kernel sooner than SeaBIOS does, so neither is charged for firmware it does not need.

Kiln boots its kernel and the baked image, on a virtio disk; Linux boots Debian's cloud kernel and an
uncompressed initramfs that holds a static init, the virtio modules, and the program out of that same
image, so it waits for no disk at all. Programs that are too large for that (a JVM) Linux runs from the
very image that Kiln boots, on a virtio disk too.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
BUILD = TOP / "build" / "bench"

sys.path[:0] = [str(TOP / "kernel-src" / "tools"), str(TOP / "tests" / "lib")]
import guest_memory  # noqa: E402
from kilnrun import backlog  # noqa: E402
from redis_guest import NotReadyError as BenchError  # noqa: E402
from redis_guest import bake, free_port  # noqa: E402
from redis_guest import run_checked as _run  # noqa: E402

__all__ = [
    "BUILD",
    "BenchError",
    "Guest",
    "bake",
    "cpu_seconds",
    "debian_kernel",
    "free_port",
    "kiln",
    "linux",
    "linux_on_image",
]

# What the guest needs; what these depend on is found in the modules themselves.
MODULES = ("virtio_pci", "virtio_net")
IMAGE_MODULES = (*MODULES, "virtio_blk", "erofs")
_MACHINE = "q35,sata=off,smbus=off,smm=off,vmport=off"
_SCHEDSTAT = Path("/proc/self/schedstat")
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass
class Guest:
    """One contender: what QEMU gets beyond the machine that both share."""

    name: str
    kernel: Path
    arguments: list[str]
    sizes: dict[str, int]
    # Where the program listens, in the guest.
    port: int = 6379
    # Whether tests/lib/guest_memory.py can tell how much memory it uses.
    counted: bool = False

    @property
    def console(self) -> Path:
        """The file that its serial port is written to."""
        return BUILD / f"{self.name}.console"

    def command(self, port: int, memory_mib: int, accel: str) -> list[str]:
        """QEMU's command line."""
        words = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none"]
        words += ["-name", f"{self.name},debug-threads=on", "-no-reboot", "-bios", "qboot.rom"]
        words += ["-M", _MACHINE, "-cpu", "max", "-m", f"{memory_mib}M", "-smp", "1"]
        words += ["-accel", "tcg,thread=multi" if accel == "tcg" else accel]
        if self.counted:
            words += guest_memory.words(memory_mib)
        words += ["-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{port}-10.0.2.15:{self.port}"]
        words += ["-device", "virtio-net-pci-non-transitional,netdev=net,romfile="]
        words += ["-device", "virtio-rng-pci-non-transitional"]
        return [*words, "-kernel", str(self.kernel), *self.arguments]

    @contextmanager
    def running(self, port: int, memory_mib: int, accel: str) -> Iterator[subprocess.Popen[bytes]]:
        """The guest, started and in the end stopped; its console goes to a file."""
        console = self.console
        command = self.command(port, memory_mib, accel)
        command += ["-chardev", f"file,id=console,path={console}", "-serial", "chardev:console"]
        console.write_bytes(b"")
        guarded = ["setpriv", "--pdeathsig", "KILL", "--", *command]
        process = subprocess.Popen(guarded, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            backlog.widen(process.pid, {port})
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def cpu_seconds(pid: int) -> float:
    """What the thread that runs the guest's CPU has used of the host's so far."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        name, _, rest = (task / "stat").read_text().rpartition(") ")
        if "(CPU" in name:
            nanoseconds = (task / "schedstat").read_text().split()[0] if _SCHEDSTAT.exists() else 0
            user, system = (int(field) for field in rest.split()[11:13])
            return int(nanoseconds) / 1e9 or (user + system) / _TICKS_A_SECOND
    raise BenchError("QEMU names no thread after the guest's CPU")


def _disk(root: Path) -> list[str]:
    drive = f"file={root},format=raw,if=none,id=root,readonly=on"
    return ["-drive", drive, "-device", "virtio-blk-pci-non-transitional,drive=root"]


def kiln(kernel: Path, root: Path, argv: list[str] | None = None) -> Guest:
    """The Kiln guest of a kernel and an EROFS root; the program is the image's own, or this one."""
    line = "root=auto ip=10.0.2.15/24 gateway=10.0.2.2 log=quiet"
    if argv:
        line += " -- " + " ".join(argv)
    sizes = {"kernel": kernel.stat().st_size, "image": root.stat().st_size}
    return Guest("kiln", kernel, ["-append", line, *_disk(root)], sizes)


def debian_kernel() -> Path:
    """Debian's cloud kernel and its modules, downloaded and unpacked without being installed."""
    folder = BUILD / "debian"
    done = folder / "complete"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        package = _cloud_kernel_package()
        _run(["apt-get", "download", package], cwd=folder)
        deb = next(folder.glob("*.deb"))
        _run(["dpkg-deb", "-x", str(deb), str(folder / "root")])
        deb.unlink()
        done.write_text(package + "\n")
    return folder / "root"


def _cloud_kernel_package() -> str:
    for line in _run(["apt-cache", "depends", "linux-image-cloud-amd64"]).splitlines():
        kind, _, name = line.strip().partition(": ")
        if kind == "Depends" and name.startswith("linux-image-"):
            return name
    raise BenchError("apt knows no kernel that linux-image-cloud-amd64 depends on")


def linux(kernel_root: Path, root_image: Path) -> Guest:
    """The Linux guest with the program out of Kiln's image and the libraries that it loads."""
    image, tree = BUILD / "image", BUILD / "initramfs"
    for folder in (image, tree):
        shutil.rmtree(folder, ignore_errors=True)
    _run(["fsck.erofs", f"--extract={image}", str(root_image)])
    app = json.loads((image / "etc" / "kiln" / "app.json").read_text())
    folder = app.get("cwd", "/")
    for needed in ("proc", "sys", "dev", "tmp", "modules", folder.lstrip("/")):
        (tree / needed).mkdir(parents=True, exist_ok=True)
    (tree / "program").write_bytes(
        b"".join(word.encode() + b"\0" for word in (folder, *app["argv"]))
    )
    _copy_program(image, tree, app["argv"][0])
    _add_modules(kernel_root, tree, MODULES)
    return _linux_guest(kernel_root, tree, BUILD / "initramfs.cpio")


def linux_on_image(
    kernel_root: Path, root_image: Path, name: str, argv: list[str] | None = None
) -> Guest:
    """The Linux guest whose root is Kiln's image, as it is, on a disk; `name` is its folder's."""
    image, tree = BUILD / "image", BUILD / name
    for folder in (image, tree):
        shutil.rmtree(folder, ignore_errors=True)
    _run(["fsck.erofs", f"--extract={image}", str(root_image)])
    app = json.loads((image / "etc" / "kiln" / "app.json").read_text())
    shutil.rmtree(image)
    for needed in ("proc", "sys", "dev", "image", "modules"):
        (tree / needed).mkdir(parents=True, exist_ok=True)
    settings = [f"{variable}={value}" for variable, value in app.get("env", {}).items()]
    for list_name, words in (
        ("program", [app.get("cwd", "/"), *(argv or app["argv"])]),
        ("environment", settings),
        ("mounts", [mount["path"] for mount in app.get("mounts", [])]),
        ("hostname", [app.get("hostname", app["name"])]),
    ):
        (tree / list_name).write_bytes(b"".join(word.encode() + b"\0" for word in words))
    _add_modules(kernel_root, tree, IMAGE_MODULES)
    guest = _linux_guest(kernel_root, tree, BUILD / f"{name}.cpio")
    guest.arguments += _disk(root_image)
    guest.sizes["image"] = root_image.stat().st_size
    return guest


def _linux_guest(kernel_root: Path, tree: Path, initramfs: Path) -> Guest:
    source = HERE / "linux" / "init.c"
    _run(["gcc", "-O2", "-static", "-s", "-Wall", "-o", str(tree / "init"), str(source)])
    _write_cpio(tree, initramfs)
    kernel = next((kernel_root / "boot").glob("vmlinuz-*"))
    # The check of the timer counts on a CPU that is not taken away meanwhile, as a busy host does.
    line = "quiet mitigations=off no_timer_check console=ttyS0 panic=-1 rdinit=/init"
    sizes = {"kernel": kernel.stat().st_size, "image": initramfs.stat().st_size}
    return Guest("linux", kernel, ["-initrd", str(initramfs), "-append", line], sizes)


def _libraries(image: Path, loader: Path, program: Path) -> dict[str, str]:
    """What the loader would open, and itself: where it belongs, and where it is."""
    folders = ":".join(sorted({str(path.parent) for path in image.rglob("*.so*")}))
    listed = _run([str(loader), "--library-path", folders, "--list", str(program)])
    found = dict(re.findall(r"^\s*(\S+) => (.+) \(0x", listed, re.MULTILINE))
    libraries = {
        f"/lib/x86_64-linux-gnu/{name}": path for name, path in found.items() if "/" not in name
    }
    return libraries | {"/lib64/ld-linux-x86-64.so.2": str(loader)}


def _copy_program(image: Path, tree: Path, program: str) -> None:
    """The program and every library that its loader would open, no more."""
    inside = image / program.lstrip("/")
    copies = {program: str(inside)}
    loader = next(image.rglob("ld-linux-x86-64.so.2"), None)
    if loader is not None:
        copies |= _libraries(image, loader.resolve(), inside)
    for target, source in copies.items():
        place = tree / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, place)


def _add_modules(kernel_root: Path, tree: Path, modules: tuple[str, ...]) -> None:
    listed: list[str] = []
    for module in modules:
        _add_module(kernel_root, tree, module, listed)
    (tree / "modules.list").write_text("".join(f"/modules/{name}.ko\n" for name in listed))


def _add_module(kernel_root: Path, tree: Path, name: str, listed: list[str]) -> None:
    if name in listed:
        return
    found = list((kernel_root / "lib" / "modules").rglob(f"{name}.ko"))
    if not found:
        raise BenchError(f"Debian's kernel has no module {name}")
    shutil.copy(found[0], tree / "modules")
    depends = re.search(rb"\0depends=([^\0]*)\0", found[0].read_bytes())
    for other in depends[1].decode().split(",") if depends and depends[1] else []:
        _add_module(kernel_root, tree, other, listed)
    listed.append(name)


def _write_cpio(tree: Path, target: Path) -> None:
    names = sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))
    with target.open("wb") as out:
        subprocess.run(
            ["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"],
            input="\n".join(names).encode(),
            stdout=out,
            cwd=tree,
            check=True,
        )
