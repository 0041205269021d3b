"""Container images made by hand, good ones and hostile ones."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
INDEX = "application/vnd.oci.image.index.v1+json"


def member(name: str, content: bytes | None = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A tar member; a folder when `content` is None."""
    info = tarfile.TarInfo(name)
    info.mode = 0o755
    if content is None:
        info.type = tarfile.DIRTYPE
    info.size = len(content or b"")
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content or b""


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    """A symbolic link, or a hard one."""
    return member(name, b"", type=kind, linkname=target)


def layer(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """An uncompressed layer."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def sha256(data: bytes) -> str:
    """As a descriptor says it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Layout:
    """An OCI layout in memory: name → bytes."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
        self.top: list[dict[str, Any]] = []

    def blob(self, data: bytes, **rest: Any) -> dict[str, Any]:
        """Adds a blob; its descriptor."""
        self.files["blobs/" + sha256(data).replace(":", "/")] = data
        return {"digest": sha256(data), "size": len(data), **rest}

    def image(
        self,
        layers: list[bytes],
        config: dict[str, Any] | None = None,
        *,
        packed: Any = gzip.compress,
        architecture: str = "amd64",
        diff_ids: list[str] | None = None,
        **rest: Any,
    ) -> dict[str, Any]:
        """Adds an image; the descriptor of its manifest."""
        value = {
            "os": "linux",
            "architecture": architecture,
            "config": config or {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids or [sha256(each) for each in layers]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(json.dumps(value).encode(), mediaType=CONFIG),
            "layers": [self.blob(packed(each), mediaType=LAYER) for each in layers],
        }
        return self.blob(json.dumps(manifest).encode(), mediaType=MANIFEST, **rest)

    def index(self, *entries: dict[str, Any], **rest: Any) -> dict[str, Any]:
        """Adds an index of images; its descriptor."""
        data = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
        return self.blob(data, mediaType=INDEX, **rest)

    def finish(self, *entries: dict[str, Any]) -> Layout:
        """Writes index.json."""
        self.files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
        return self

    def as_folder(self, path: Path) -> Path:
        """On disk, as skopeo's oci: has it."""
        for name, data in self.files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
        return path

    def as_archive(self, path: Path) -> Path:
        """On disk, as skopeo's oci-archive: has it."""
        return write_archive(path, self.files)


def write_archive(path: Path, files: dict[str, bytes]) -> Path:
    """A tar archive of files."""
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            archive.addfile(member(name, data)[0], io.BytesIO(data))
    return path


def docker_save(
    layers: list[bytes], config: dict[str, Any], tags: list[str], **rest: Any
) -> dict[str, bytes]:
    """The files of what `docker save` wrote before it wrote layouts."""
    value = {
        "os": "linux",
        "architecture": "amd64",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [sha256(each) for each in layers]},
    } | rest
    data = json.dumps(value).encode()
    name = hashlib.sha256(data).hexdigest() + ".json"
    places = [f"{number:064x}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": name, "RepoTags": tags, "Layers": places}]
    return {
        **dict(zip(places, layers, strict=True)),
        name: data,
        "manifest.json": json.dumps(manifest).encode(),
    }
