# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Reads container images: which one in an archive or layout, its configuration, its blobs.

What is read: OCI image layouts, as a folder or a tar archive (skopeo's `oci:` and `oci-archive:`,
buildah), and what `docker save` and skopeo's `docker-archive:` write. Nothing that comes from
outside is believed before it is checked: every blob against its digest and size, the
configuration against the machine that a guest is. Layers are applied by _layers.

After the OCI image specification 1.1 (image-layout.md, image-index.md, manifest.md, config.md).
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError

PLATFORM = ("linux", "amd64")
# Manifests and configurations are read whole; registries take no larger ones.
JSON_LIMIT = 4 << 20
# How many entries of indexes are looked at.
ENTRIES = 1000

_DIGEST = re.compile(r"(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})")
_INDEXES = {
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
}
# The tag; docker save adds the full name.
_NAMES = ("org.opencontainers.image.ref.name", "io.containerd.image.name")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Blob:
    """One file of an image and what it must be; `digest` is None when only the content is known."""

    name: str
    digest: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class Config:
    """What a container's configuration says of how it runs."""

    entrypoint: list[str] = field(default_factory=list)
    cmd: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    cwd: str = "/"
    user: str = ""
    ports: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Image:
    """One container image: its configuration, and its layers from the lowest up."""

    digest: str  # of the configuration, which names the content of every layer
    config: Config
    layers: list[Blob]
    diff_ids: list[str]  # digests of the layers, uncompressed


class Source(ABC):
    """The files of an archive or of a layout's folder, by name."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def open(self, name: str) -> IO[bytes]:
        """A file of it; KeyError when there is none."""

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        try:
            self.open(name).close()
        except KeyError:
            return False
        return True

    def read(self, blob: Blob) -> Any:
        """A small JSON file, checked."""
        try:
            with self.open(blob.name) as stream:
                data = stream.read(JSON_LIMIT + 1)
        except KeyError:
            raise KilnError(
                f"{self.path} has no {blob.name}, so it is not complete; save the image again."
            ) from None
        if len(data) > JSON_LIMIT:
            raise KilnError(
                f"{blob.name} in {self.path} is larger than {JSON_LIMIT} bytes, which no image's "
                "manifest or configuration is."
            )
        if blob.digest:
            check_digest(self, blob, hashlib.new(blob.digest.partition(":")[0], data).hexdigest())
        try:
            return json.loads(data)
        except ValueError:
            raise KilnError(f"{blob.name} in {self.path} is not JSON.") from None


class _Folder(Source):
    def open(self, name: str) -> IO[bytes]:
        place = (self.path / name).resolve()
        if not place.is_relative_to(self.path.resolve()):
            raise KilnError(f"{name} in {self.path} leads out of that folder.")
        if not place.is_file():
            raise KeyError(name)
        return place.open("rb")


class _Archive(Source):
    def __init__(self, path: Path, archive: tarfile.TarFile) -> None:
        super().__init__(path)
        self._archive = archive
        self._members = {
            PurePosixPath(member.name).as_posix(): member for member in archive.getmembers()
        }

    def open(self, name: str) -> IO[bytes]:
        member = self._members[name]
        if member.issym():  # docker save writes a layer once and links to it
            target = PurePosixPath(name).parent / member.linkname
            member = self._members[_plain(target.as_posix())]
        stream = self._archive.extractfile(member) if member.isfile() else None
        if stream is None:
            raise KeyError(name)
        return stream


def _plain(path: str) -> str:
    """A path without `..`; one that would leave the archive names nothing in it."""
    parts: list[str] = []
    for part in path.split("/"):
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(part for part in parts if part not in ("", "."))


def check_digest(source: Source, blob: Blob, found: str) -> None:
    """Fails when a file is not what its digest says."""
    if blob.digest and blob.digest.partition(":")[2] != found:
        raise KilnError(
            f"{blob.name} in {source.path} has the digest {found}, not {blob.digest}; the image "
            "was damaged or changed. Save it again."
        )


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """The archive or layout at a path."""
    if path.is_dir():
        yield _Folder(path)
        return
    if not path.exists():
        raise KilnError(f"There is no container image {path}, which `oci` names.")
    try:
        archive = tarfile.open(path, "r:")  # noqa: SIM115 - closed below
    except (tarfile.TarError, OSError):
        raise KilnError(
            f"{path} is neither a folder nor an uncompressed tar archive with a container image; "
            "save it with `docker save`, or with skopeo to `oci-archive:`."
        ) from None
    with archive:
        try:
            yield _Archive(path, archive)
        except tarfile.TarError as problem:
            raise KilnError(f"{path} is damaged: {problem}. Save the image again.") from None


def find(source: Source, reference: str | None = None) -> Image:
    """The image for this platform, by its reference when there are several."""
    try:
        return _find(source, reference)
    except (AttributeError, TypeError, ValueError, LookupError) as problem:
        raise KilnError(
            f"{source.path} is no container image as the OCI specification has it ({problem})."
        ) from None


def _find(source: Source, reference: str | None) -> Image:
    if source.has("index.json"):
        return _from_layout(source, reference)
    if source.has("manifest.json"):
        return _from_docker(source, reference)
    raise KilnError(
        f"{source.path} holds neither index.json (an OCI layout) nor manifest.json (docker save), "
        "so it is no container image."
    )


def _from_layout(source: Source, reference: str | None) -> Image:
    top = _list(_get(source.read(Blob("index.json")), "manifests", source))
    if not reference and len(top) == 1:
        named = top
    else:
        names = [_names(each, source) for each in top]
        named = [
            each
            for each, known in zip(top, names, strict=True)
            if any(_named(name, reference) for name in known)
        ]
        _need_one(source, reference, [name for known in names for name in known[-1:]], len(named))
    manifest = source.read(_blob(source, _choose(source, named)))
    layers = [_blob(source, each) for each in _list(_get(manifest, "layers", source))]
    return _image(source, _blob(source, _get(manifest, "config", source)), layers)


def _choose(source: Source, entries: list[Any]) -> Any:
    """The manifest for this platform among these and those of indexes among them."""
    found, others = [], []
    left = list(entries)
    looked_at = 0
    while left and looked_at < ENTRIES:  # indexes may list each other many times over
        looked_at += 1
        entry = left.pop(0)
        platform = _get(entry, "platform", source)
        if _get(entry, "mediaType", source) in _INDEXES:
            left += _list(_get(source.read(_blob(source, entry)), "manifests", source))
        elif platform is None or (platform.get("os"), platform.get("architecture")) == PLATFORM:
            found.append(entry)
        elif platform.get("os") != "unknown":  # attestations say unknown/unknown
            others.append(f"{platform.get('os')}/{platform.get('architecture')}")
    if not found:
        raise _foreign(source, ", ".join(sorted(set(others))) or "no platform")
    return found[0]


def _foreign(source: Source, found: str) -> KilnError:
    return KilnError(
        f"{source.path} holds an image for {found}; a Kiln guest runs {'/'.join(PLATFORM)}. Pull "
        f"that one (`--platform {'/'.join(PLATFORM)}`)."
    )


def _from_docker(source: Source, reference: str | None) -> Image:
    entries = _list(source.read(Blob("manifest.json")))
    tags = [tag for entry in entries for tag in _get(entry, "RepoTags", source) or []]
    if reference or len(entries) != 1:
        named = [
            entry
            for entry in entries
            if any(_named(tag, reference) for tag in _get(entry, "RepoTags", source) or [])
        ]
        _need_one(source, reference, tags, len(named))
        entries = named
    config = str(_get(entries[0], "Config", source))
    digest = re.fullmatch(r"(?:blobs/sha256/)?([0-9a-f]{64})(?:\.json)?", config)
    layers = [Blob(str(name)) for name in _list(_get(entries[0], "Layers", source))]
    return _image(source, Blob(config, f"sha256:{digest[1]}" if digest else None), layers)


def _names(entry: Any, source: Source) -> list[str]:
    """What an entry of index.json is called, the fullest name last."""
    annotations = _get(entry, "annotations", source) or {}
    return [str(annotations[key]) for key in _NAMES if key in annotations]


def _named(name: str, reference: str | None) -> bool:
    """Whether a name in an image is the reference asked for, with or without its repository."""
    short = (name, name.rpartition(":")[2], name.removesuffix(":latest"))
    return reference is not None and any(
        reference == each or each.endswith(f"/{reference}") for each in short
    )


def _need_one(source: Source, reference: str | None, names: list[str], count: int) -> None:
    known = ", ".join(sorted(filter(None, names))) or "none with a name"
    if reference and count != 1:
        raise KilnError(f"{source.path} has no image {reference}; it holds {known}.")
    if not reference:
        raise KilnError(
            f"{source.path} holds several images or none; name one with `reference`: {known}."
        )


def _blob(source: Source, descriptor: Any) -> Blob:
    digest, size = _get(descriptor, "digest", source), _get(descriptor, "size", source)
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest) or not isinstance(size, int):
        raise KilnError(
            f"{source.path} names a blob by {digest!r} and the size {size!r}; a SHA-256 or SHA-512 "
            "digest and a number are needed."
        )
    return Blob("blobs/" + digest.replace(":", "/"), digest, size)


def _image(source: Source, blob: Blob, layers: list[Blob]) -> Image:
    value = source.read(blob)
    platform = (_get(value, "os", source), _get(value, "architecture", source))
    if platform != PLATFORM:
        raise _foreign(source, "/".join(map(str, platform)))
    named = _list(_get(_get(value, "rootfs", source), "diff_ids", source))
    diff_ids = [str(each) for each in named]
    if len(diff_ids) != len(layers) or not all(map(_DIGEST.fullmatch, diff_ids)):
        raise KilnError(
            f"{source.path} has {len(layers)} layers, and its configuration names {len(diff_ids)}."
        )
    digest = blob.digest or f"sha256:{hashlib.sha256(json.dumps(value).encode()).hexdigest()}"
    return Image(digest, _config(_get(value, "config", source) or {}), layers, diff_ids)


def _config(value: dict[str, Any]) -> Config:
    pairs = [str(each).partition("=") for each in value.get("Env") or []]
    return Config(
        entrypoint=[str(each) for each in value.get("Entrypoint") or []],
        cmd=[str(each) for each in value.get("Cmd") or []],
        env={pair[0]: pair[2] for pair in pairs},
        cwd=value.get("WorkingDir") or "/",
        user=str(value.get("User") or ""),
        ports=sorted(value.get("ExposedPorts") or {}),
        volumes=sorted(value.get("Volumes") or {}),
        labels=dict(sorted((value.get("Labels") or {}).items())),
    )


def _get(value: Any, key: str, source: Source) -> Any:
    if not isinstance(value, dict):
        raise KilnError(f"{source.path} has {type(value).__name__} where an object with {key} is.")
    return value.get(key)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
