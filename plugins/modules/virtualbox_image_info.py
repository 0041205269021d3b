#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# It may be combined with works under the GNU General Public License v3.0+, as Ansible is
# (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Tells which images are in VirtualBox."""

from __future__ import annotations

DOCUMENTATION = r"""
module: virtualbox_image_info
short_description: Tell which Kiln images are in VirtualBox
version_added: 0.2.0
author: The Kiln authors (@kiln-unikernel)
description:
  - Lists the images that M(kiln.unikernel.virtualbox_image) has made, newest first, and the
    channels that name them.
extends_documentation_fragment:
  - kiln.unikernel.kiln
  - kiln.unikernel.kiln.asks
  - kiln.unikernel.publish.image_info
  - kiln.unikernel.virtualbox
seealso:
  - module: kiln.unikernel.virtualbox_image
  - module: kiln.unikernel.virtualbox_channel
"""

EXAMPLES = r"""
- name: Ask which versions of redis there are
  kiln.unikernel.virtualbox_image_info:
    name: redis
  register: known
"""

RETURN = r"""
images:
  description: The images, newest first.
  type: list
  elements: dict
  returned: always
  contains:
    image_id:
      description: UUID of its VM.
      type: str
    name:
      description: What was published.
      type: str
    vm_name:
      description: The VM's name.
      type: str
    digest:
      description: SHA-256 of the file that it was imported from.
      type: str
    created:
      description: When it was imported.
      type: str
    description:
      description: Its description.
      type: str
    tags:
      description: Its tags.
      type: dict
    network_adapter:
      description: Its network adapter.
      type: str
    controller:
      description: Its disk's controller.
      type: str
    cpus:
      description: How many CPUs it has.
      type: int
    memory:
      description: Its memory in MiB.
      type: int
    channels:
      description: The channels that name it.
      type: list
      elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kiln.unikernel.plugins.module_utils import _vbox_channels, _vbox_images
from ansible_collections.kiln.unikernel.plugins.module_utils._store import Store
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox import VBox
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_module import run_vbox_module


def body(module: AnsibleModule, _store: Store, vbox: VBox) -> dict[str, Any]:
    """Asks VirtualBox."""
    params = module.params
    found = _vbox_images.images_of(vbox.machines(), params["name"], params["digest"])
    channels = _vbox_channels.names_by_image(vbox)
    images = [
        dict(item, channels=channels.get(item["image_id"], []))
        for item in _vbox_images.listed(vbox, found)
    ]
    return {"changed": False, "images": images}


def main() -> None:
    """Runs the module."""
    spec = {"name": {"type": "str"}, "digest": {"type": "str"}}
    run_vbox_module(body, spec, changes=False)


if __name__ == "__main__":
    main()
