"""Turns what --root names into a drive for QEMU."""

import importlib
import os
import struct
import subprocess
import sys
from dataclasses import dataclass
from types import ModuleType

from .errors import RunError
from .kernel import SOURCE

_EROFS_MAGIC = 0xE0F5E1E2
_EROFS_OFFSET = 1024
_QCOW2_MAGIC = b"QFI\xfb"


@dataclass
class Drive:
    """A file, the format QEMU reads it in, and whether it holds a partition table."""

    path: str
    format: str
    whole_disk: bool


def pack(folder: str, image: str) -> None:
    """An uncompressed EROFS image of a folder."""
    command = ["mkfs.erofs", "--quiet", "-x-1", "--all-root", image, folder]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except FileNotFoundError:
        raise RunError("mkfs.erofs is not installed (Debian package erofs-utils)") from None
    if done.returncode != 0:
        text = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise RunError(f"{folder} cannot be packed: {text}")


def inspect(path: str) -> Drive:
    """What kind of image a file is, by its magic numbers."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(_EROFS_OFFSET + 4)
    except OSError as problem:
        raise RunError(f"{path} cannot be read: {problem.strerror}") from None
    if not head:
        raise RunError(f"{path} is empty")
    if head[:4] == _QCOW2_MAGIC:
        return Drive(path, "qcow2", True)
    magic = struct.unpack_from("<I", head, _EROFS_OFFSET)[0] if len(head) > _EROFS_OFFSET + 3 else 0
    return Drive(path, "raw", magic != _EROFS_MAGIC)


def prepare(root: str, scratch: str) -> Drive:
    """The drive for a folder (packed into the scratch folder) or an image (used as it is)."""
    if os.path.isdir(root):
        image = os.path.join(scratch, "root.erofs")
        pack(root, image)
        return Drive(image, "raw", False)
    return inspect(root)


def disk_builder() -> ModuleType:
    """The collection's own disk builder, which stands beside this folder.

    Its parts import each other by the name that they have once the collection is installed, so
    empty packages of that name are made that lead to the folder.
    """
    folder = os.path.join(os.path.dirname(SOURCE), "plugins", "module_utils")
    if not os.path.isfile(os.path.join(folder, "_disk.py")):
        raise RunError(f"--disk-boot needs {folder}/_disk.py, which is not there")
    name = ""
    for part in ("ansible_collections", "kiln", "unikernel", "plugins", "module_utils"):
        name = f"{name}.{part}" if name else part
        package = sys.modules.setdefault(name, ModuleType(name))
        package.__path__ = [folder] if part == "module_utils" else []
    return importlib.import_module(f"{name}._disk")
