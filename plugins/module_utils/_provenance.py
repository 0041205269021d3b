# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Writes where an image comes from: an in-toto statement with SLSA's provenance predicate.

After in-toto's Statement v1 and SLSA's Provenance v1. The subjects are the files of the image with
their SHA-256, so a signature on the statement is one on all of them. It holds no dates and no names
of machines: the same inputs give the same statement.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._bom import purl
from ansible_collections.kiln.unikernel.plugins.module_utils._store import (
    KilnError,
    digest_file,
    digest_value,
    read_json,
)

FILE = "provenance.json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://github.com/kiln-unikernel/kiln/image/v1"
BUILDER = "https://github.com/kiln-unikernel/kiln/builder/v1"


def statement(
    name: str,
    requested: list[str],
    inputs: dict[str, Any],
    dependencies: list[dict[str, Any]],
    subjects: dict[str, str],
    byproducts: dict[str, str],
) -> dict[str, Any]:
    """The statement about the files `subjects` (name → SHA-256)."""
    root = inputs["root"]
    described = {
        "name": name,
        "app": root["app"],
        "packages": requested,
        "compression": root["compression"],
        "exclude": root["exclude"],
        "keep": root["keep"],
        "disk": {key: value for key, value in (inputs["disk"] or {}).items() if key != "writer"},
    }
    return {
        "_type": STATEMENT,
        "subject": _resources(subjects),
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": described,
                "internalParameters": {},
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": {
                    "id": BUILDER,
                    "version": {"baker": str(root["baker"][0]), "mkfs.erofs": root["baker"][1]},
                },
                "byproducts": _resources(byproducts),
            },
        },
    }


def _resources(files: dict[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "digest": {"sha256": files[name]}} for name in sorted(files)]


def dependencies(inputs: dict[str, Any], kernel: str | None) -> list[dict[str, Any]]:
    """What went in, each with its digest; `kernel` is the SHA-256 of the kernel's file."""
    root = inputs["root"]
    found: list[dict[str, Any]] = [
        {
            "name": item["name"],
            "uri": purl(item["name"], item["version"]),
            "digest": {"sha256": item["sha256"]},
        }
        for item in root["packages"]
    ]
    for item in root["files"]:
        content = item["content"]
        key = "sha256" if isinstance(content, str) else "kilnTree"
        value = content if isinstance(content, str) else digest_value(content)
        found.append({"name": item["dest"], "digest": {key: value}})
    if "oci" in root:
        kind, value = root["oci"].split(":")
        found.append({"name": "container image", "digest": {kind: value}})
    if "rootfs" in root:
        found.append({"name": "rootfs", "digest": {"kilnTree": digest_value(root["rootfs"])}})
    if kernel:
        found.append(
            {
                "name": "kiln.elf",
                "digest": {"sha256": kernel, "kilnBuild": inputs["disk"]["kernel"]},
            }
        )
    return found


def render(value: dict[str, Any]) -> str:
    """The statement's text, one spelling for one value."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=True) + "\n"


def check(folder: Path) -> dict[str, str]:
    """Holds the files beside a statement against it; what it names and found whole.

    Files that the statement names and that are not there are no offence as long as some are: an
    image may be passed on in one format of several.
    """
    value = read_json(folder / FILE)
    if not isinstance(value, dict) or value.get("_type") != STATEMENT:
        raise KilnError(
            f"{folder / FILE} is no in-toto statement of version 1, so nothing says what the files "
            "beside it must be."
        )
    found: dict[str, str] = {}
    details = value.get("predicate", {}).get("runDetails", {})
    for subject in [*value.get("subject", []), *details.get("byproducts", [])]:
        name, wanted = str(subject.get("name")), subject.get("digest", {}).get("sha256")
        path = folder / name
        if "/" in name or not path.is_file():
            continue
        if digest_file(path) != wanted:
            raise KilnError(
                f"{path} is not the file that {FILE} speaks of: its SHA-256 is "
                f"{digest_file(path)}, and must be {wanted}. It was damaged or changed; take it "
                "from where it came from again, or bake it again."
            )
        found[name] = str(wanted)
    if not set(found) & {str(subject.get("name")) for subject in value.get("subject", [])}:
        raise KilnError(f"{folder} holds none of the files that its {FILE} speaks of.")
    return found
