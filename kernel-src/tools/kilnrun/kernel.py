"""Finds the kernel to boot: the one built last, or one built now."""

import fcntl
import os
import subprocess
import sys

from . import cache
from .errors import RunError

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
# A build elsewhere (the role `kernel`) leaves the path of its kiln.elf here.
POINTER = "last-kernel"


def _build_folder() -> str:
    checkout = os.path.dirname(SOURCE)
    if os.access(checkout, os.W_OK):
        return os.path.join(checkout, "build", "kernel")
    return os.path.join(cache.folder(), "kernel")


def _newest() -> str | None:
    places = [os.path.join(_build_folder(), "kiln.elf"), cache.read(POINTER)]
    built = [place for place in places if place and os.path.isfile(place)]
    return max(built, key=os.path.getmtime) if built else None


def _make(verbose: bool) -> str:
    folder = _build_folder()
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, ".run-lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kernel = os.path.join(folder, "kiln.elf")
        if os.path.isfile(kernel):
            return kernel
        sys.stderr.write("run: no kernel yet, building one\n")
        for command in (
            ["cmake", "-S", SOURCE, "-B", folder, "-G", "Ninja"],
            ["cmake", "--build", folder],
        ):
            _step(command, verbose)
    if not os.path.isfile(kernel):
        raise RunError(f"the build ended well but left no {kernel}")
    return kernel


def _step(command: list[str], verbose: bool) -> None:
    output = sys.stderr if verbose else subprocess.PIPE
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False
        )
    except FileNotFoundError:
        raise RunError(f"{command[0]} is not installed, so the kernel cannot be built") from None
    if done.returncode != 0:
        if done.stdout:
            sys.stderr.write(done.stdout.decode(errors="replace"))
        raise RunError("the kernel does not build")


def _check(path: str) -> None:
    """QEMU takes what is no ELF file for an old Linux kernel, and says so."""
    with open(path, "rb") as stream:
        head = stream.read(20)
    if head[:4] != b"\x7fELF":
        raise RunError(f"{path} is no kernel: it is not an ELF file")
    if head[4:6] != b"\2\1" or head[18:20] != b"\x3e\0":
        raise RunError(f"{path} is no kernel: it is an ELF file, but not for x86-64")


def find(wanted: str | None, verbose: bool) -> str:
    """Path of the kernel ELF."""
    if wanted:
        if not os.path.isfile(wanted):
            raise RunError(f"there is no kernel at {wanted}")
        _check(wanted)
        return wanted
    return _newest() or _make(verbose)
