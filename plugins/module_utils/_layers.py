# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Applies the layers of a container image to a folder, without root and without trust.

A layer is first unpacked into a scratch file, with a limit on its size, and held against its
digests; only then is a member of it looked at. Paths never leave the folder, whatever the names
and the links in a layer say. Owners are not kept, device nodes, pipes and sockets are left out:
all belongs to root in a guest, and its /dev is its kernel's.

After the OCI image specification 1.1, layer.md: a whiteout hides what lower layers hold, never
what its own layer brings, whatever their order in it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ansible_collections.kiln.unikernel.plugins.module_utils._oci import (
    Blob,
    Image,
    Source,
    check_digest,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError
from ansible_collections.kiln.unikernel.plugins.module_utils._tree import Filter, Tree

# Bytes of all layers together, unpacked.
LIMIT = 8 << 30
# Members of all layers together; each takes memory while its layer is applied.
MEMBERS = 2_000_000

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


def apply_image(
    source: Source, image: Image, tree: Tree, chosen: Filter, limit: int = LIMIT
) -> None:
    """Puts the content of all layers into the tree."""
    budget = _Budget(source, limit)
    for blob, diff_id in zip(image.layers, image.diff_ids, strict=True):
        with _unpacked(source, blob, diff_id, budget) as layer:
            try:
                with tarfile.open(fileobj=layer) as archive:
                    _Layer(source, archive, tree, chosen, budget).apply()
            except (tarfile.TarError, ValueError, OverflowError, EOFError) as problem:
                raise KilnError(
                    f"The layer {blob.name} in {source.path} is not a whole tar archive: {problem}."
                ) from None
            except OSError as problem:
                raise KilnError(
                    f"The layer {blob.name} in {source.path} cannot be unpacked: "
                    f"{problem.strerror or problem}."
                ) from None


class _Budget:
    """How many bytes may still come out of the layers."""

    def __init__(self, source: Source, limit: int) -> None:
        self._source = source
        self._limit = limit
        self._streams = self._files = limit
        self._members = MEMBERS

    def take_stream(self, count: int) -> None:
        """Counts bytes of an unpacked layer."""
        self._streams -= count
        self._check(self._streams)

    def take_file(self, count: int) -> None:
        """Counts a file, of which a sparse one may be larger than its layer."""
        self._files -= count
        self._check(self._files)

    def take_member(self) -> None:
        """Counts a member of a layer."""
        self._members -= 1
        if self._members < 0:
            raise KilnError(
                f"The layers of {self._source.path} hold more than {MEMBERS} files; such an image "
                "cannot be baked."
            )

    def _check(self, left: int) -> None:
        if left < 0:
            raise KilnError(
                f"The layers of {self._source.path} unpack to more than {self._limit} bytes; if "
                "that is meant, raise `oci.max_size`."
            )


@contextmanager
def _unpacked(source: Source, blob: Blob, diff_id: str, budget: _Budget) -> Iterator[IO[bytes]]:
    """The layer as a tar file, whole and checked."""
    algorithm = (blob.digest or "sha256:").partition(":")[0]
    packed = hashlib.new(algorithm)
    kind, wanted = diff_id.split(":")
    content = hashlib.new(kind)
    try:
        stream = source.open(blob.name)
    except KeyError:
        raise KilnError(
            f"{source.path} has no {blob.name}, one of the image's layers; save it again."
        ) from None
    with stream, tempfile.TemporaryFile(dir=source_scratch()) as layer:
        for piece in _inflate(_hashed(stream, packed), source, blob):
            budget.take_stream(len(piece))
            content.update(piece)
            layer.write(piece)
        check_digest(source, blob, packed.hexdigest())
        if content.hexdigest() != wanted:
            raise KilnError(
                f"The layer {blob.name} in {source.path} unpacks to the digest "
                f"{content.hexdigest()}, and the image's configuration says {diff_id}; the image "
                "was damaged or changed. Save it again."
            )
        layer.seek(0)
        yield layer


def source_scratch() -> str | None:
    """Where unpacked layers lie; on disk where /tmp is memory."""
    return "/var/tmp" if os.access("/var/tmp", os.W_OK) else None


def _hashed(stream: IO[bytes], state: hashlib._Hash) -> Iterator[bytes]:
    while piece := stream.read(_CHUNK):
        state.update(piece)
        yield piece


def _inflate(pieces: Iterator[bytes], source: Source, blob: Blob) -> Iterator[bytes]:
    """The bytes behind gzip, zstd or nothing, never more of them than a piece at a time."""
    first = next(pieces, b"")
    if first.startswith(_ZSTD):
        yield from _zstd(first, pieces, source, blob)
        return
    if not first.startswith(_GZIP):
        yield first
        yield from pieces
        return
    # A gzip file may hold several members.
    state = zlib.decompressobj(wbits=31)
    for piece in _chain(first, pieces):
        data = piece
        while data:
            if state.eof:
                state = zlib.decompressobj(wbits=31)
            try:
                yield state.decompress(data, _CHUNK)
            except zlib.error as problem:
                raise KilnError(
                    f"The layer {blob.name} in {source.path} cannot be unpacked: {problem}."
                ) from None
            data = state.unused_data if state.eof else state.unconsumed_tail
    yield state.flush()


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _zstd(first: bytes, rest: Iterator[bytes], source: Source, blob: Blob) -> Iterator[bytes]:
    if not shutil.which("zstd"):
        raise KilnError(
            f"The layer {blob.name} in {source.path} is packed with zstd, and there is no zstd "
            "here; on Debian install the package zstd, or save the image with gzip layers."
        )
    with tempfile.TemporaryFile(dir=source_scratch()) as packed:
        for piece in _chain(first, rest):
            packed.write(piece)
        packed.seek(0)
        command = ["zstd", "--decompress", "--stdout", "--quiet"]
        with subprocess.Popen(
            command, stdin=packed, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            try:
                while process.stdout and (piece := process.stdout.read(_CHUNK)):
                    yield piece
            except GeneratorExit:
                process.kill()
                raise
            if process.wait() != 0:
                raise KilnError(f"The layer {blob.name} in {source.path} is damaged (zstd).")


class _Layer:
    """One layer being applied."""

    def __init__(
        self,
        source: Source,
        archive: tarfile.TarFile,
        tree: Tree,
        chosen: Filter,
        budget: _Budget,
    ) -> None:
        self._source = source
        self._archive = archive
        self._tree = tree
        self._chosen = chosen
        self._budget = budget

    def apply(self) -> None:
        """Whiteouts first, so that they meet only what lower layers brought."""
        for member in self._archive:
            self._budget.take_member()
            self._hide(member)
        for member in self._archive:
            if not self._name(member).rpartition("/")[2].startswith(_WHITEOUT):
                self._add(member)

    def _name(self, member: tarfile.TarInfo) -> str:
        """The absolute path of a member in the guest."""
        return self._path(member.name, member.name)

    def _path(self, path: str, name: str) -> str:
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise KilnError(
                f"A layer of {self._source.path} holds {name}, and with it the path {path}, which "
                "leads out of the image; such an image is not to be trusted."
            )
        return "/" + "/".join(parts)

    def _hide(self, member: tarfile.TarInfo) -> None:
        folder, name = self._name(member).rsplit("/", 1)
        if name == _OPAQUE:
            for path in self._tree.entries(folder or "/"):
                _remove(path)
        elif name.startswith(_WHITEOUT):
            hidden = name.removeprefix(_WHITEOUT)
            if hidden in ("", ".", ".."):
                raise KilnError(
                    f"A layer of {self._source.path} holds the whiteout {member.name}, which hides "
                    "nothing that could be there; such an image is not to be trusted."
                )
            _remove(self._tree.place(f"{folder}/{hidden}"))

    def _add(self, member: tarfile.TarInfo) -> None:
        place = self._name(member)
        if place == "/" or self._chosen.drops(place):
            return
        target = self._tree.place(place)
        if member.isdir():
            if target.is_symlink() or not target.is_dir():
                _remove(target)
                target.mkdir(parents=True)
            target.chmod(member.mode & 0o7777 | 0o700)
            return
        if not (member.isfile() or member.issym() or member.islnk()):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        if member.islnk():
            self._link(member, target)
            return
        _remove(target)
        if member.issym():
            target.symlink_to(member.linkname)
            return
        self._budget.take_file(member.size)
        self._archive.makefile(member, target)
        target.chmod(member.mode & 0o7777 | 0o400)

    def _link(self, member: tarfile.TarInfo, target: Path) -> None:
        origin = self._tree.place(self._path(member.linkname, member.name))
        if not os.path.lexists(origin) or (origin.is_dir() and not origin.is_symlink()):
            raise KilnError(
                f"A layer of {self._source.path} holds {member.name}, a hard link to "
                f"{member.linkname}, which is not a file of the image."
            )
        if origin != target:
            _remove(target)
            os.link(origin, target, follow_symlinks=False)


def _remove(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path)
