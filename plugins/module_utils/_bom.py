# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What is in an image: the parts that a bill of materials lists, with versions and licences.

The bill is written in two formats, by _cyclonedx and by _spdx, beside the image. Both say the same
day as every file of the image does, and take their identities from the image's digest, so the same
image has the same bill, byte by byte.
"""

from __future__ import annotations

import importlib.util
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._licences import Licence, licence_of
from ansible_collections.kiln.unikernel.plugins.module_utils._tree import Tree

CYCLONEDX = "sbom.cdx.json"
SPDX = "sbom.spdx.json"
# Format → its file, and the library that writes it and what that is imported as.
FILES = {"cyclonedx": CYCLONEDX, "spdx": SPDX}
_LIBRARIES = {
    "cyclonedx": ("cyclonedx-python-lib", "cyclonedx"),
    "spdx": ("spdx-tools", "spdx_tools"),
}
# 1980-01-01, the time of every file of an image.
CREATED = datetime(1980, 1, 1, tzinfo=UTC)
SUPPLIER = "Kiln"

_NAMESPACE = uuid.UUID("6f6f2f0e-57a5-5f0c-9d0b-6b696c6e0004")


@dataclass(frozen=True)
class Part:
    """One thing that went in."""

    kind: str  # package, kernel, file, container
    name: str
    version: str | None = None
    sha256: str | None = None
    licence: Licence | None = None
    purl: str | None = None


@dataclass(frozen=True)
class Bill:
    """All of an image."""

    name: str
    digest: str  # of the inputs
    content: str  # SHA-256 of the raw disk, or of the root
    parts: list[Part]

    @property
    def identity(self) -> uuid.UUID:
        """The number of the bill."""
        return uuid.uuid5(_NAMESPACE, f"{self.name}:{self.digest}:{self.content}")


def missing_libraries(bills: Iterable[str]) -> dict[str, str]:
    """Format → library that is not there, without the time that importing takes."""
    wanted = {each: _LIBRARIES[each] for each in bills}
    return {
        each: library
        for each, (library, name) in wanted.items()
        if importlib.util.find_spec(name) is None
    }


def write(bill: Bill, folder: Path, bills: Iterable[str] = tuple(FILES)) -> None:
    """Writes the bills. Their libraries take a second to load, so only who bakes waits for it."""
    # By name and not by importlib, since Ansible packs with a module what it sees imported.
    if "cyclonedx" in bills:
        from ansible_collections.kiln.unikernel.plugins.module_utils import (  # noqa: PLC0415
            _cyclonedx,
        )

        (folder / CYCLONEDX).write_text(_cyclonedx.render(bill), encoding="utf-8")
    if "spdx" in bills:
        from ansible_collections.kiln.unikernel.plugins.module_utils import (  # noqa: PLC0415
            _spdx,
        )

        (folder / SPDX).write_text(_spdx.render(bill), encoding="utf-8")


def debian_parts(packages: Iterable[dict[str, Any]], copyrights: dict[str, str]) -> list[Part]:
    """Debian packages: name and version, the digest where there is one, the licence."""
    return [
        Part(
            kind="package",
            name=item["name"],
            version=item["version"],
            sha256=item.get("sha256"),
            licence=_licence(item["name"], copyrights),
            purl=purl(item["name"], item["version"]),
        )
        for item in packages
    ]


def purl(name: str, version: str) -> str:
    distribution = "ubuntu" if "ubuntu" in version else "debian"
    quoted = version.replace("+", "%2B").replace(":", "%3A")
    return f"pkg:deb/{distribution}/{name.replace('+', '%2B')}@{quoted}"


def _licence(name: str, copyrights: dict[str, str]) -> Licence | None:
    text = copyrights.get(name)
    if not text:
        return None
    # Packages of one source often share one file: its text is then listed once.
    return licence_of(min(each for each in copyrights if copyrights[each] == text), text)


def installed(tree: Tree) -> list[Part]:
    """The Debian packages that a base brought, by dpkg's records, distroless ones among them."""
    records = [tree.find("/var/lib/dpkg/status")]
    records += [path for path in tree.entries("/var/lib/dpkg/status.d") if _is_record(path)]
    found = []
    for path in filter(None, records):
        for block in path.read_text(encoding="utf-8", errors="replace").split("\n\n"):
            pairs = (line.partition(": ") for line in block.splitlines() if line[:1].strip())
            fields = {pair[0]: pair[2] for pair in pairs}
            if {"Package", "Version"} <= set(fields) and fields.get(
                "Status", " installed"
            ).endswith(" installed"):
                found.append({"name": fields["Package"], "version": fields["Version"]})
    found.sort(key=lambda item: (item["name"], item["version"]))
    texts = {item["name"]: _copyright(tree, item["name"]) for item in found}
    return debian_parts(found, {name: text for name, text in texts.items() if text})


def _is_record(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.suffix not in (".md5sums", ".list")


def _copyright(tree: Tree, name: str) -> str | None:
    path = tree.find(f"/usr/share/doc/{name}/copyright")
    return path.read_text(encoding="utf-8", errors="replace") if path else None
