# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The options of vsphere_image as an argument spec, and what they describe."""

from __future__ import annotations

from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._ova_read import Package
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import PublishError
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere import Vcenter
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere_import import Place
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere_tags import tags_from
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere_templates import (
    Wanted,
    birth_name,
)

_PROVISIONING = ["thin", "thick", "eagerZeroedThick"]

IMAGE_SPEC: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "target": {"type": "str", "choices": ["template", "library_item"], "default": "template"},
    "path": {"type": "path"},
    "digest": {"type": "str"},
    "template_name": {"type": "str"},
    "description": {"type": "str"},
    "tags": {"type": "dict"},
    "purge_tags": {"type": "bool", "default": True},
    "cluster": {"type": "str"},
    "host": {"type": "str", "aliases": ["esxi_hostname"]},
    "resource_pool": {"type": "str"},
    "datastore": {"type": "str"},
    "folder": {"type": "str", "default": ""},
    "networks": {"type": "dict", "default": {}},
    "disk_provisioning": {"type": "str", "choices": _PROVISIONING, "default": "thin"},
    "replace": {"type": "bool", "default": False},
    "library": {"type": "str"},
    "item_name": {"type": "str"},
    "force": {"type": "bool", "default": False},
    "ignore_channels": {"type": "list", "elements": "str", "default": []},
}


def check_package(params: dict[str, Any], package: Package) -> None:
    """Fails when the OVA is not the one that is meant."""
    if params["digest"] not in (None, package.digest):
        raise PublishError(
            f"{package.path} has the digest {package.digest}, not {params['digest']}; it was "
            "changed, or it is another image."
        )


def check_item(params: dict[str, Any]) -> None:
    """Fails for what a template can have and a library item cannot."""
    if params["tags"]:
        raise PublishError(
            "An item of a content library has no custom attributes, which tags are on vSphere; "
            "leave `tags` out, or say it in `description`."
        )


def wanted_of(vcenter: Vcenter, params: dict[str, Any], package: Package, place: Place) -> Wanted:
    """What the options describe."""
    networks = list(place.networks.values())
    store = place.datastore
    return Wanted(
        name=params["name"],
        digest=package.digest,
        template_name=params["template_name"] or birth_name(params["name"], package.digest),
        folder=params["folder"].strip("/"),
        fixed={
            "datastore": vcenter.read("looking at the datastore", lambda: store.name),
            "networks": sorted(
                {vcenter.read("looking at the network", lambda: ref.name) for ref in networks}  # noqa: B023
            ),
        },
        description=params["description"],
        replace=params["replace"],
        tags=tags_from(params["tags"]),
        purge_tags=params["purge_tags"],
    )
