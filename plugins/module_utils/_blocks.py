# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Reads a raw disk image as the blocks that are not zero, without reading its holes.

The digest of an image is over its size and the SHA-256 of each block that is not all zeros. So it
is the same however sparse the file lies on disk, and takes time for the data only.

A block is 512 KiB, EBS's; the last one is padded with zeros. Memory: one block a thread.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ansible_collections.kiln.unikernel.plugins.module_utils._publish import PublishError

BLOCK = 512 * 1024
GIB = 1 << 30
SECTOR = 512
_ZEROS = bytes(BLOCK)
_OTHER_FORMATS = {
    b"QFI\xfb": "a qcow2 image",
    b"KDMV": "a VMDK",
    b"# Di": "a VMDK's description",
    b"cone": "a VHD",
    b"vhdx": "a VHDX",
    b"<<< ": "a VDI",
    b"\x1f\x8b\x08\x00": "compressed by gzip",
    b"\xfd7zX": "compressed by xz",
    b"(\xb5/\xfd": "compressed by zstd",
}


@dataclass(frozen=True)
class Scan:
    """What a file held when it was read."""

    path: Path
    size: int
    modified: int
    blocks: dict[int, bytes]

    @cached_property
    def digest(self) -> str:
        """The name of this content."""
        state = hashlib.sha256(b"kiln-blocks-1\0" + self.size.to_bytes(8, "big"))
        for index in sorted(self.blocks):
            state.update(index.to_bytes(8, "big") + self.blocks[index])
        return state.hexdigest()

    @cached_property
    def linear(self) -> str:
        """EBS's aggregate: the SHA-256 over the blocks' own, in ascending order, in base 64."""
        joined = b"".join(self.blocks[index] for index in sorted(self.blocks))
        return base64.b64encode(hashlib.sha256(joined).digest()).decode()

    @property
    def gibibytes(self) -> int:
        """The size of a volume that holds it."""
        return max(1, -(-self.size // GIB))

    @property
    def bytes_of_data(self) -> int:
        """How much there is to send."""
        return len(self.blocks) * BLOCK

    def check_unchanged(self) -> None:
        """Fails when the file is not the one that was read."""
        state = _stat(self.path)
        if (state.st_size, state.st_mtime_ns) != (self.size, self.modified):
            raise changed(self.path)


def changed(path: Path) -> PublishError:
    """The sentence for a file that was written to under way."""
    return PublishError(
        f"{path} has changed while it was being published; nothing was registered. Let whatever "
        "writes it come to its end, and run this again."
    )


def scan(path: Path, threads: int = 4) -> Scan:
    """Reads a raw image; fails for what is not one."""
    state = _stat(path)
    _check_raw(path, state.st_size)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with ThreadPoolExecutor(max_workers=threads) as pool:
            digests = pool.map(
                lambda index: (index, _digest(descriptor, index)),
                data_blocks(descriptor, state.st_size),
            )
            blocks = {index: found for index, found in digests if found is not None}
    finally:
        os.close(descriptor)
    result = Scan(path, state.st_size, state.st_mtime_ns, blocks)
    result.check_unchanged()
    return result


def _stat(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as problem:
        raise PublishError(f"The image {path} cannot be read: {problem.strerror}.") from None


def _check_raw(path: Path, size: int) -> None:
    if not path.is_file():
        raise PublishError(f"{path} is not a file; `path` names a raw disk image.")
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
    except OSError as problem:
        raise PublishError(f"The image {path} cannot be read: {problem.strerror}.") from None
    other = _OTHER_FORMATS.get(head)
    if other:
        raise PublishError(
            f"{path} is {other}, and EC2 gets raw disks; bake it with `raw` among its formats."
        )
    if not size or size % SECTOR:
        raise PublishError(
            f"{path} has {size} bytes, which is not a whole number of 512-byte sectors above zero; "
            "it is cut short or not a disk image."
        )


def data_blocks(descriptor: int, size: int) -> Iterator[int]:
    """The blocks that are not holes, each once, ascending."""
    following = 0
    offset = 0
    while offset < size:
        start, end = _extent(descriptor, offset, size)
        if start is None:
            return
        first = max(start // BLOCK, following)
        following = -(-end // BLOCK)
        yield from range(first, following)
        offset = end


def _extent(descriptor: int, offset: int, size: int) -> tuple[int | None, int]:
    try:
        start = os.lseek(descriptor, offset, os.SEEK_DATA)
        return start, min(size, os.lseek(descriptor, start, os.SEEK_HOLE))
    except OSError as problem:
        if problem.errno == errno.ENXIO:
            return None, size
        # A file system that knows no holes: all of it is data.
        return offset, size


def read_block(descriptor: int, index: int) -> bytes:
    """One block, padded; raises EOFError when the file has become shorter."""
    data = os.pread(descriptor, BLOCK, index * BLOCK)
    if not data:
        raise EOFError
    return data if len(data) == BLOCK else data.ljust(BLOCK, b"\0")


def _digest(descriptor: int, index: int) -> bytes | None:
    try:
        data = read_block(descriptor, index)
    except EOFError:
        return None
    return None if data == _ZEROS else hashlib.sha256(data).digest()
