"""--disk-boot: a whole disk with loader, kernel, command line and root, as the BIOS starts it."""

import os
from pathlib import Path

from . import kernel, rootfs
from .errors import RunError
from .options import Options
from .rootfs import Drive


def prepare(options: Options, line: str, scratch: str) -> Drive:
    """The disk to boot: the given one, or one built around the given root."""
    assert options.root
    drive = rootfs.prepare(options.root, scratch)
    if drive.whole_disk:
        if options.program:
            raise RunError("a whole disk boots the program it holds; leave out -- PROGRAM")
        return drive
    path = os.path.join(scratch, "disk.raw")
    builder = rootfs.disk_builder()
    elf = kernel.find(options.kernel, options.verbose)
    try:
        builder.build_disk(Path(elf), Path(drive.path), line, Path(path))
    except builder.DiskError as error:
        raise RunError(str(error)) from error
    return Drive(path, "raw", True)
