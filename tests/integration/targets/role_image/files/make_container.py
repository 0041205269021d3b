"""Packs a folder as an OCI layout of one layer whose entrypoint is the bare name `prog`.

Usage: python make_container.py FOLDER LAYOUT
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any


def main() -> None:
    """Writes the blobs, then index.json."""
    folder, layout = Path(sys.argv[1]), Path(sys.argv[2])
    blobs = layout / "blobs/sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        media = f"application/vnd.oci.image.{kind}"
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(data)}

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.add(folder, ".")
    layer = put(out.getvalue(), "layer.v1.tar")
    config = {
        "os": "linux",
        "architecture": "amd64",
        "config": {
            "Entrypoint": ["prog"],
            "Env": ["PATH=/bin"],
            "ExposedPorts": {"80/tcp": {}},
        },
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    }
    described = put(json.dumps(config).encode(), "config.v1+json")
    manifest = {"schemaVersion": 2, "config": described, "layers": [layer]}
    entry = put(json.dumps(manifest).encode(), "manifest.v1+json")
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}', encoding="ascii")
    index = {"schemaVersion": 2, "manifests": [entry]}
    (layout / "index.json").write_text(json.dumps(index), encoding="ascii")


if __name__ == "__main__":
    main()
