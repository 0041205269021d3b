# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The options of ec2_image as an argument spec, and what they describe."""

from __future__ import annotations

from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils import _ec2_images
from ansible_collections.kiln.unikernel.plugins.module_utils._blocks import Scan
from ansible_collections.kiln.unikernel.plugins.module_utils._ec2_images import Share, Wanted
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import PublishError

_TEXTS = {"type": "list", "elements": "str", "default": []}
_MODES = ["legacy-bios", "uefi", "uefi-preferred"]
_VOLUMES = ["gp2", "gp3", "io1", "io2", "standard"]

IMAGE_SPEC: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "path": {"type": "path"},
    "digest": {"type": "str"},
    "ami_name": {"type": "str"},
    "description": {"type": "str"},
    "tags": {"type": "dict", "aliases": ["resource_tags"]},
    "purge_tags": {"type": "bool", "default": True},
    "architecture": {"type": "str", "choices": ["x86_64"], "default": "x86_64"},
    "boot_mode": {"type": "str", "choices": _MODES, "default": "legacy-bios"},
    "ena": {"type": "bool", "default": True},
    "imds": {"type": "str", "choices": ["required", "optional"], "default": "required"},
    "tpm": {"type": "bool", "default": False},
    "uefi_data": {"type": "str"},
    "volume_type": {"type": "str", "choices": _VOLUMES, "default": "gp3"},
    "volume_size": {"type": "int"},
    "encrypted": {"type": "bool", "default": False},
    "kms_keys": {"type": "dict", "default": {}, "no_log": False},
    "share": {
        "type": "dict",
        "options": {
            "accounts": _TEXTS,
            "organizations": _TEXTS,
            "organizational_units": _TEXTS,
            "public": {"type": "bool", "default": False},
        },
    },
    "deprecate_at": {"type": "str"},
    "method": {"type": "str", "choices": ["direct", "import_snapshot"], "default": "direct"},
    "bucket": {"type": "str"},
    "role_name": {"type": "str", "default": "vmimport"},
    "parallel": {"type": "int", "default": 16},
    "force": {"type": "bool", "default": False},
    "ignore_channels": {"type": "list", "elements": "str", "default": []},
    "store": {"type": "path"},
}


def wanted_of(params: dict[str, Any], image: Scan) -> Wanted:
    """What the options describe; fails for what EC2 cannot have."""
    size = params["volume_size"] or image.gibibytes
    if size < image.gibibytes:
        raise PublishError(
            f"volume_size is {size} GiB, and the image needs {image.gibibytes}; make it larger."
        )
    if params["parallel"] < 1:
        raise PublishError(f"`parallel` is 1 or more, not {params['parallel']}.")
    if params["tpm"] and params["boot_mode"] != "uefi":
        raise PublishError("A TPM needs boot_mode uefi; EC2 has none for other images.")
    return Wanted(
        name=params["name"],
        digest=image.digest,
        ami_name=params["ami_name"] or f"{params['name']}-{image.digest[:12]}",
        fixed={
            "architecture": params["architecture"],
            "boot_mode": params["boot_mode"],
            "ena": params["ena"],
            "imds": "v2.0" if params["imds"] == "required" else "",
            "tpm": "v2.0" if params["tpm"] else "",
            "encrypted": params["encrypted"] or bool(params["kms_keys"]),
            "volume_type": params["volume_type"],
            "size": size,
        },
        kms_keys=params["kms_keys"],
        description=params["description"],
        tags=_tags(params["tags"]),
        purge_tags=params["purge_tags"],
        share=_share(params["share"]),
        deprecate_at=(
            None
            if params["deprecate_at"] is None
            else _ec2_images.normal_time(params["deprecate_at"])
        ),
        uefi_data=params["uefi_data"],
    )


def _tags(given: dict[str, Any] | None) -> dict[str, str] | None:
    if given is None:
        return None
    tags = {str(key): str(value) for key, value in given.items()}
    if _ec2_images.own_tags(tags) != tags:
        raise PublishError("Tags that begin with kiln: or aws: cannot be given; rename them.")
    return tags


def _share(given: dict[str, Any] | None) -> Share | None:
    if given is None:
        return None
    return Share(
        tuple(given["accounts"]),
        tuple(given["organizations"]),
        tuple(given["organizational_units"]),
        given["public"],
    )
