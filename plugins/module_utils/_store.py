# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The content-addressed store: where kernels, images and packages lie on the build machine.

A thing is named by the SHA-256 of what went into it, lies in a folder of that name, and never
changes once it is there: it is made in a scratch folder beside its place and moved in by one
rename. Whoever finds the folder may use it without a lock; `lock` serialises the makers.

    STORE/kernels/<digest>/   kiln.elf  manifest.json
    STORE/images/<digest>/    root.erofs …  manifest.json
    STORE/packages/<sha256>.deb
    STORE/{kernels,images}/current/<name> -> ../<digest>     what was made last under that name
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_DIGEST = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 20


class KilnError(Exception):
    """Something a user can mend; the text is a sentence that names it."""


def default_store() -> Path:
    """KILN_CACHE, or kiln in the user's cache folder."""
    chosen = os.environ.get("KILN_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "kiln"


def digest_bytes(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    state = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()


def digest_value(value: Any) -> str:
    """SHA-256 of a JSON value in one fixed spelling."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return digest_bytes(text.encode())


def digest_folder(folder: Path, skip: Callable[[Path], bool] | None = None) -> dict[str, str]:
    """What a folder holds: relative path → digest, 'x:' before it when executable.

    Links are described by their target. `skip` gets paths relative to the folder.
    """
    found: dict[str, str] = {}
    for base, folders, files in os.walk(folder):
        here = Path(base).relative_to(folder)
        folders[:] = sorted(name for name in folders if not (skip and skip(here / name)))
        for name in sorted(files):
            relative = here / name
            if skip and skip(relative):
                continue
            path = folder / relative
            if path.is_symlink():
                found[relative.as_posix()] = f"link:{path.readlink()}"
            else:
                mark = "x:" if path.stat().st_mode & 0o100 else ""
                found[relative.as_posix()] = mark + digest_file(path)
    return found


def is_address(path: Path) -> bool:
    """Whether a file's folder is named by a digest, so that its name says what it will hold."""
    return _DIGEST.fullmatch(path.parent.name) is not None


def identity(path: Path) -> str:
    """The digest that stands for a file: its folder's when content-addressed, else its own."""
    return path.parent.name if is_address(path) else digest_file(path)


def read_json(path: Path) -> Any:
    """A JSON file's value, None when the file is not there or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file so that a reader sees the old or the new one, never a part."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a text file by one rename."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file by one rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
    Path(name).chmod(0o644)
    Path(name).replace(path)


class Store:
    """One store on disk. Making the object touches nothing."""

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = Path(path).expanduser().absolute() if path else default_store().absolute()

    def folder(self, kind: str, digest: str) -> Path:
        """Where the thing with this digest lies, or will lie."""
        return self.path / kind / digest

    def manifest(self, kind: str, digest: str) -> dict[str, Any] | None:
        """What is written about a thing, None when it is not there or not whole."""
        folder = self.folder(kind, digest)
        value = read_json(folder / "manifest.json")
        if not isinstance(value, dict):
            return None
        sizes: dict[str, int] = value.get("files", {})
        for name, size in sizes.items():
            path = folder / name
            if not path.is_file() or path.stat().st_size != size:
                return None
        return value

    def current(self, kind: str, name: str) -> str | None:
        """The digest of what was made last under this name."""
        try:
            return (self.path / kind / "current" / name).readlink().name
        except OSError:
            return None

    def set_current(self, kind: str, name: str, digest: str | None) -> None:
        """Points a name at a digest; None takes the name away."""
        link = self.path / kind / "current" / name
        if digest is None:
            link.unlink(missing_ok=True)
            return
        link.parent.mkdir(parents=True, exist_ok=True)
        fresh = link.with_name(f".{name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(Path("..") / digest)
        fresh.replace(link)

    def names(self, kind: str) -> dict[str, str]:
        """All names of a kind with their digests."""
        folder = self.path / kind / "current"
        if not folder.is_dir():
            return {}
        names = sorted(path.name for path in folder.iterdir() if path.name[0] != ".")
        found = {name: self.current(kind, name) for name in names}
        return {name: digest for name, digest in found.items() if digest}

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """One maker at a time under this name; waits for the other to finish."""
        path = self.path / "locks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder on the store's file system that is gone afterwards."""
        base = self.path / "scratch"
        base.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=base))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, kind: str, digest: str, made: Path, manifest: dict[str, Any]) -> Path:
        """Moves a finished folder to its place, with a manifest that lists its files' sizes."""
        sizes = {
            path.relative_to(made).as_posix(): path.stat().st_size
            for path in sorted(made.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }
        write_json(made / "manifest.json", dict(manifest, digest=digest, files=sizes))
        made.chmod(0o755)
        place = self.folder(kind, digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():
            shutil.rmtree(place)
        made.rename(place)
        return place

    def remove(self, kind: str, digest: str) -> None:
        """Takes a thing away, and the names that point at it."""
        for name, target in self.names(kind).items():
            if target == digest:
                self.set_current(kind, name, None)
        shutil.rmtree(self.folder(kind, digest), ignore_errors=True)


@contextlib.contextmanager
def by_products(store: Store, check_mode: bool, seed: tuple[str, ...] = ()) -> Iterator[Store]:
    """The store that by-products go to (apt's state, fetched packages, a remembered answer).

    In check mode it is one that is gone afterwards, with copies of the files named in `seed`, so
    that a dry run leaves no trace.
    """
    if not check_mode:
        yield store
        return
    with tempfile.TemporaryDirectory(prefix="kiln-") as folder:
        for name in seed:
            with contextlib.suppress(OSError):
                shutil.copy(store.path / name, folder)
        yield Store(folder)
