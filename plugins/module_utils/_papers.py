# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Writes the papers of an image: bills of materials, and where it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils import _bom, _provenance
from ansible_collections.kiln.unikernel.plugins.module_utils._bom import Bill, Part
from ansible_collections.kiln.unikernel.plugins.module_utils._licences import Licence
from ansible_collections.kiln.unikernel.plugins.module_utils._store import digest_file, digest_value
from ansible_collections.kiln.unikernel.plugins.module_utils._tree import Tree

BILLS = tuple(_bom.FILES)
# Raise when the same inputs begin to give other papers.
WRITER = 1


def names(bills: tuple[str, ...]) -> list[str]:
    """What the papers with these bills are called."""
    return [*(_bom.FILES[each] for each in bills), _provenance.FILE]


def write(
    bill: tuple[str, str, str],
    inputs: dict[str, Any],
    requested: list[str],
    tree: Tree,
    kernel: Path | None,
    made: Path,
    sha256: dict[str, str],
    bills: tuple[str, ...] = BILLS,
) -> None:
    """Writes all papers into the folder `made`.

    `bill` is the image's name, its digest, and the SHA-256 of its content; `sha256` those of its
    files. Of the bills of materials only those in `bills` are written.
    """
    kernel_digest = digest_file(kernel) if kernel else None
    if bills:
        _bom.write(Bill(*bill, _parts(inputs, tree, kernel_digest)), made, bills)
    papers = {_bom.FILES[each]: digest_file(made / _bom.FILES[each]) for each in bills}
    value = _provenance.statement(
        bill[0],
        requested,
        inputs,
        _provenance.dependencies(inputs, kernel_digest),
        sha256,
        papers,
    )
    (made / _provenance.FILE).write_text(_provenance.render(value), encoding="utf-8")


def _parts(inputs: dict[str, Any], tree: Tree, kernel: str | None) -> list[Part]:
    """All that a bill lists. Reading licences needs a library that comes with the bills'."""
    return [
        *_kernel_parts(inputs, kernel),
        *_bom.debian_parts(inputs["root"]["packages"], tree.copyrights),
        *_base_parts(inputs["root"], tree),
        *_file_parts(inputs["root"]["files"]),
    ]


def _kernel_parts(inputs: dict[str, Any], digest: str | None) -> list[Part]:
    if digest is None:
        return []
    build = inputs["disk"]["kernel"]
    return [Part("kernel", "kiln", version=build, sha256=digest, licence=Licence("BSD-3-Clause"))]


def _base_parts(root: dict[str, Any], tree: Tree) -> list[Part]:
    """A container image or a folder, and the Debian packages that it says it has."""
    if "oci" in root:
        kind, value = root["oci"].split(":")
        whole = Part("container", "oci", root["oci"], value if kind == "sha256" else None)
    elif "rootfs" in root:
        whole = Part("container", "rootfs", digest_value(root["rootfs"]))
    else:
        return []
    return [whole, *_bom.installed(tree)]


def _file_parts(files: list[dict[str, Any]]) -> list[Part]:
    """Single files with their SHA-256, folders with a digest of what they hold."""
    return [
        Part("file", item["dest"], sha256=item["content"])
        if isinstance(item["content"], str)
        else Part("file", item["dest"], version=digest_value(item["content"]))
        for item in files
    ]
