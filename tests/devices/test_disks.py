"""Disks that are written: from the guest, read back, and read again after another boot.

The root is on a virtio disk; a second disk hangs on each controller that QEMU has and the kernel
drives. KILN_DISK_MEGABYTES says how much is written; with much, the guest itself reads it again
after another boot. What a disk does as a file is compared with what Linux said (record_block.py).
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from test_devices import BIOS, HERE, MACHINE, MICROVM, MICROVM_ACPI, NEWER, ROOT_DISK, TOP

TIMEOUT = 60
MEGABYTES = int(os.environ.get("KILN_DISK_MEGABYTES", "6"))
BOOTS = ["write", "check"] if MEGABYTES >= 100 else ["write"]

# The name that the kernel gives it, the controller with the disk, what else to rewrite, options.
CONTROLLERS: dict[str, tuple[str, str, list[list[str]], list[str]]] = {
    "virtio-blk": ("vdb", f"virtio-blk-pci{NEWER},drive=second", [], []),
    "virtio-blk, packed rings, two CPUs": (
        "vdb",
        f"virtio-blk-pci{NEWER},drive=second,packed=on",
        [],
        ["--smp", "2"],
    ),
    "virtio-scsi": (
        "sda",
        f"virtio-scsi-pci{NEWER},id=scsi\n-device\nscsi-hd,bus=scsi.0,drive=second",
        [],
        ["--smp", "2"],
    ),
    "nvme": ("nvme0n1", "nvme,drive=second,serial=kiln", [], ["--smp", "2"]),
    "nvme with fewer messages than CPUs": (
        "nvme0n1",
        "nvme,drive=second,serial=kiln,msix_qsize=2,max_ioqpairs=3",
        [],
        ["--smp", "3"],
    ),
    "ahci": ("sda", "ahci,id=sata\n-device\nide-hd,bus=sata.0,drive=second", [], []),
    "ide": ("sda", "ide-hd,bus=ide.0,drive=second", [[MACHINE, "pc"]], BIOS),
    "ide, the second channel's second disk": (
        "sda",
        "ide-hd,bus=ide.1,unit=1,drive=second",
        [[MACHINE, "pc"]],
        [*BIOS, "--smp", "2"],
    ),
    "pvscsi": ("sda", "pvscsi,id=scsi\n-device\nscsi-hd,bus=scsi.0,drive=second", [], []),
    "LSI Logic SAS": (
        "sda",
        "mptsas1068,id=scsi\n-device\nscsi-hd,bus=scsi.0,drive=second",
        [],
        ["--smp", "2"],
    ),
    "a microVM": (
        "vdb",
        f"virtio-blk-pci{NEWER},drive=second",
        [MICROVM_ACPI, *MICROVM],
        [],
    ),
}


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the programs of these tests."""
    folder = tmp_path_factory.mktemp("programs")
    for name in ("disk", "block", "discard"):
        build = ["gcc", "-O2", "-static", "-pthread", "-Wall", "-o", folder / name]
        subprocess.run([*build, HERE / f"{name}.c"], check=True)
    return folder


def empty_disk(folder: Path, size: int) -> Path:
    """A sparse file of zeros."""
    path = folder / "second"
    with path.open("wb") as file:
        file.truncate(size)
    return path


def run_with_disk(
    kernel: str,
    root: Path,
    wrapper: Path,
    disk: Path,
    controller: tuple[str, str, list[list[str]], list[str]],
    *words: str,
) -> subprocess.CompletedProcess[str]:
    """One boot with the second disk."""
    _, device, rewrite, options = controller
    drive = f"\n-drive\nfile={disk},format=raw,if=none,id=second\n-device\n{device}"
    both = [[ROOT_DISK, ROOT_DISK + drive], *rewrite]
    environment = os.environ | {
        "KILN_QEMU": str(wrapper),
        "KILN_TEST_REWRITE": json.dumps(both),
    }
    command = [TOP / "kernel-src/run", "--kernel", kernel, "--root", root, "--net", "none"]
    command += ["--timeout", str(TIMEOUT + MEGABYTES), *options, "--", *words]
    return subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("name", CONTROLLERS)
def test_what_is_written_is_there_after_a_boot(
    name: str, kernel: str, programs: Path, wrapper: Path, tmp_path: Path
) -> None:
    """By four threads, read back by four, and by Linux from the file."""
    controller = CONTROLLERS[name]
    disk = empty_disk(tmp_path, (MEGABYTES + 1) << 20)
    amount = [str(MEGABYTES), "7"]
    for what in BOOTS:
        words = ["/disk", f"/dev/{controller[0]}", what, *amount]
        done = run_with_disk(kernel, programs, wrapper, disk, controller, *words)
        assert (done.returncode, done.stdout) == (0, f"{MEGABYTES} MiB are right\n"), done.stderr
    subprocess.run([programs / "disk", disk, "check", *amount], check=True, capture_output=True)


@pytest.mark.parametrize("name", ["virtio-blk", "ide", "LSI Logic SAS"])
def test_a_disk_is_the_file_that_it_is_on_linux(
    name: str, kernel: str, programs: Path, wrapper: Path, tmp_path: Path
) -> None:
    """Its ends, its offsets, O_DIRECT, what ioctl says."""
    controller = CONTROLLERS[name]
    disk = empty_disk(tmp_path, 1 << 20)
    words = ["/block", f"/dev/{controller[0]}"]
    done = run_with_disk(kernel, programs, wrapper, disk, controller, *words)
    assert done.stdout == (HERE / "block.linux").read_text(), done.stderr
    assert done.returncode == 0


def test_the_disk_of_the_root_cannot_be_written(
    kernel: str, programs: Path, wrapper: Path, tmp_path: Path
) -> None:
    """It can be read; a read-only one refuses the write, and this one the opening already."""
    controller = CONTROLLERS["virtio-blk"]
    disk = empty_disk(tmp_path, 1 << 20)
    done = run_with_disk(kernel, programs, wrapper, disk, controller, "/block", "/dev/vda")
    assert (done.returncode, done.stderr) == (1, "open: Device or resource busy\n")


DISCARDED = """\
the second and third MiB: done
nothing: done
half a sector: EINVAL
from within a sector: EINVAL
beyond the end: EINVAL
far beyond the end: EINVAL
from nowhere: EFAULT
by a reader: EBADF
the rest is there: 1
"""


def test_discarded_sectors_take_no_room_in_the_image(
    kernel: str, programs: Path, wrapper: Path, tmp_path: Path
) -> None:
    """Of 4 MiB that are written, two are discarded."""
    name, device, _, options = CONTROLLERS["virtio-blk"]
    disk = empty_disk(tmp_path, 4 << 20)
    unmapped = ["id=second", "id=second,discard=unmap"]
    controller = (name, device, [unmapped], options)
    done = run_with_disk(kernel, programs, wrapper, disk, controller, "/discard", f"/dev/{name}")
    assert (done.returncode, done.stdout) == (0, DISCARDED), done.stderr
    assert disk.stat().st_blocks * 512 <= 2 << 20


def test_a_disk_that_cannot_discard_says_so(
    kernel: str, programs: Path, wrapper: Path, tmp_path: Path
) -> None:
    """As Linux does for such a disk, whatever the range."""
    disk = empty_disk(tmp_path, 4 << 20)
    words = ["/discard", "/dev/sda"]
    done = run_with_disk(kernel, programs, wrapper, disk, CONTROLLERS["ahci"], *words)
    assert done.stdout.splitlines()[0] == "the second and third MiB: EOPNOTSUPP", done.stderr
