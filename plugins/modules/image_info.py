#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# It may be combined with works under the GNU General Public License v3.0+, as Ansible is
# (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Tells which images the store holds."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_info
short_description: Tell which Kiln images the store holds
version_added: 0.1.0
author: The Kiln authors (@kiln-unikernel)
description:
  - Lists the images that were baked last, each under its name, with what went into them.
extends_documentation_fragment:
  - kiln.unikernel.kiln
  - kiln.unikernel.kiln.asks
options:
  name:
    description: Only the image of this name.
    type: str
seealso:
  - module: kiln.unikernel.image
"""

EXAMPLES = r"""
- name: Ask what is in the redis image
  kiln.unikernel.image_info:
    name: redis
  register: known
"""

RETURN = r"""
images:
  description: The images, in the order of their names.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: The image's name.
      type: str
      returned: always
    digest:
      description: SHA-256 of what went into it.
      type: str
      returned: always
    folder:
      description: Folder that holds its files.
      type: str
      returned: always
    files:
      description: Size in bytes of each file in the folder.
      type: dict
      returned: always
    sha256:
      description: SHA-256 of each image file.
      type: dict
      returned: always
    content_digest:
      description:
        - SHA-256 of its raw disk, which every disk format carries; of the EROFS image when it has
          no disk.
      type: str
      returned: always
    disk_layout:
      description:
        - What is where on its disk, as M(kiln.unikernel.image) returns it; null when it has
          none.
      type: dict
      returned: always
    packages:
      description: The packages in it, with version and SHA-256.
      type: list
      elements: dict
      returned: always
    app:
      description: What C(/etc/kiln/app.json) says.
      type: dict
      returned: always
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kiln.unikernel.plugins.module_utils import _image
from ansible_collections.kiln.unikernel.plugins.module_utils._module import run_module
from ansible_collections.kiln.unikernel.plugins.module_utils._store import Store


def body(module: AnsibleModule, store: Store) -> dict[str, Any]:
    """One entry an image that is whole."""
    found = []
    for name, digest in store.names(_image.KIND).items():
        manifest = store.manifest(_image.KIND, digest)
        if manifest is None or module.params["name"] not in (None, name):
            continue
        root = manifest["inputs"]["root"]
        found.append(
            {
                "name": name,
                "digest": digest,
                "folder": str(store.folder(_image.KIND, digest)),
                "files": manifest["files"],
                "sha256": manifest["sha256"],
                "content_digest": manifest.get("content"),
                "disk_layout": manifest.get("disk_layout"),
                "packages": root["packages"],
                "app": manifest.get("app", root["app"]),
            }
        )
    return {"changed": False, "images": found}


def main() -> None:
    """Runs the module."""
    run_module(body, {"name": {"type": "str"}})


if __name__ == "__main__":
    main()
