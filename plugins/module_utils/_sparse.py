# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Reads a raw disk image, writes another file; neither touches what is zeros.

What every writer of a disk format needs: the blocks of a raw image that hold something, in order,
and the identities that a format wants, taken from the image's SHA-256 and never from chance.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

SECTOR = 512
MIB = 1 << 20

_PAGE = 4096
_NAMESPACE = uuid.UUID("6f6f2f0e-57a5-5f0c-9d0b-6b696c6e0003")


def identity(digest: str, use: str) -> uuid.UUID:
    """The UUID of a disk with this content, one for each use."""
    return uuid.uuid5(_NAMESPACE, f"{use}:{digest}")


def comment(digest: str) -> str:
    """How a format that has room for a text carries the SHA-256 of the raw image."""
    return f"kiln sha256:{digest}"


def round_up(value: int, unit: int) -> int:
    """The next multiple of `unit`."""
    return -(-value // unit) * unit


class RawDisk:
    """A raw disk image, open for reading."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self.size = os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def blocks(self, unit: int) -> Iterator[tuple[int, bytes]]:
        """Number and content of each block that is not all zeros; the last one is filled up."""
        zeros = bytes(unit)
        at = 0
        while (start := self._next_data(at)) < self.size:
            at = start // unit * unit
            block = os.pread(self._file.fileno(), unit, at).ljust(unit, b"\0")
            if block != zeros:
                yield at // unit, block
            at += unit

    def _next_data(self, at: int) -> int:
        """Where the next byte that is not in a hole lies; the size when there is none."""
        if at >= self.size:
            return self.size
        try:
            return os.lseek(self._file.fileno(), at, os.SEEK_DATA)
        except OSError as problem:
            if problem.errno == errno.ENXIO:
                return self.size
            raise


class SparseFile:
    """A new file in which pages of zeros stay holes."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, offset: int, data: bytes) -> None:
        """Puts data at an offset."""
        zeros = bytes(_PAGE)
        for at in range(0, len(data), _PAGE):
            page = data[at : at + _PAGE]
            if page != zeros[: len(page)]:
                self._file.seek(offset + at)
                self._file.write(page)

    def finish(self, size: int) -> None:
        """Gives the file its size."""
        self._file.truncate(size)
