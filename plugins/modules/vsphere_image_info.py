#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# It may be combined with works under the GNU General Public License v3.0+, as Ansible is
# (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Tells which images were published to vSphere."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vsphere_image_info
short_description: Tell which Kiln images are on vSphere
version_added: 0.2.0
author: The Kiln authors (@kiln-unikernel)
description:
  - Lists the templates that M(kiln.unikernel.vsphere_image) has made in a datacenter, newest first,
    and the channels that name them; and Kiln's items of a content library, when one is named.
extends_documentation_fragment:
  - kiln.unikernel.kiln
  - kiln.unikernel.kiln.asks
  - kiln.unikernel.publish.image_info
  - kiln.unikernel.vsphere
options:
  library:
    description: Content library whose items are listed too.
    type: str
seealso:
  - module: kiln.unikernel.vsphere_image
  - module: kiln.unikernel.vsphere_channel
"""

EXAMPLES = r"""
- name: Ask which versions of redis there are
  kiln.unikernel.vsphere_image_info:
    name: redis
    library: images
  register: known
"""

RETURN = r"""
images:
  description: The templates, newest first.
  type: list
  elements: dict
  returned: always
  contains:
    image_id:
      description: Identifier of the template.
      type: str
    name:
      description: What is published.
      type: str
    template_name:
      description: The template's name.
      type: str
    digest:
      description: SHA-256 of its content.
      type: str
    created:
      description: When it was made.
      type: str
    description:
      description: Its notes.
      type: str
    folder:
      description: Path of its folder.
      type: str
    datastore:
      description: The datastore with its disks.
      type: str
    networks:
      description: Its networks.
      type: list
      elements: str
    tags:
      description: Its tags.
      type: dict
    channels:
      description: The channels that name it.
      type: list
      elements: str
items:
  description: The library's items.
  type: list
  elements: dict
  returned: always
  contains:
    image_id:
      description: Identifier of the item.
      type: str
    name:
      description: What is published.
      type: str
    item_name:
      description: The item's name.
      type: str
    digest:
      description: SHA-256 of its content; empty while that is being changed.
      type: str
    description:
      description: Its description.
      type: str
    version:
      description: The version of its content.
      type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kiln.unikernel.plugins.module_utils import (
    _vsphere_channels,
    _vsphere_library,
    _vsphere_templates,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._store import Store
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere import Vcenter
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere_module import (
    run_vsphere_module,
)


def body(module: AnsibleModule, _store: Store, vcenter: Vcenter) -> dict[str, Any]:
    """Asks."""
    params = module.params
    wanted = {key: params[key] for key in ("name", "digest") if params[key]}
    datacenter = vcenter.datacenter(params["datacenter"])
    found = _vsphere_templates.observe(vcenter, datacenter)
    channels = _vsphere_channels.names_by_image(vcenter, datacenter, found)
    images = _vsphere_channels.listed(found, channels)
    items = items_of(vcenter, params["library"]) if params["library"] else []
    return {
        "changed": False,
        "images": [item for item in images if wanted.items() <= item.items()],
        "items": [item for item in items if wanted.items() <= item.items()],
    }


def items_of(vcenter: Vcenter, name: str) -> list[dict[str, Any]]:
    """Kiln's items of a library."""
    library = _vsphere_library.Library(vcenter, name)
    try:
        return [
            {
                "image_id": item.identifier,
                "name": item.title,
                "item_name": item.name,
                "digest": item.digest,
                "description": item.description,
                "version": item.version,
            }
            for item in library.items()
            if item.title
        ]
    finally:
        library.close()


def main() -> None:
    """Runs the module."""
    texts = ("name", "digest", "library")
    run_vsphere_module(body, {name: {"type": "str"} for name in texts})


if __name__ == "__main__":
    main()
