#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# It may be combined with works under the GNU General Public License v3.0+, as Ansible is
# (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Refuses an image that is not what its signature says."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_verify
short_description: Refuse a Kiln image that is not what its signature says
version_added: 0.2.0
author: The Kiln authors (@kiln-unikernel)
description:
  - Checks the signature of an image's provenance statement, and every file that the statement
    names and that is beside it. Fails when the signature is missing, bad or of another key, or when
    a file was damaged or changed after the image was signed.
  - Files that the statement does not name, such as C(manifest.json), are not looked at.
requirements:
  - ssh-keygen (Debian package openssh-client) for keys of OpenSSH, minisign for its own
extends_documentation_fragment:
  - kiln.unikernel.kiln
  - kiln.unikernel.kiln.asks
options:
  folder:
    description: Folder of the image; the one that holds C(provenance.json).
    type: path
    required: true
  public_key:
    description:
      - File with the public key that must have signed it, of OpenSSH or minisign. A file with
        several keys of OpenSSH, one a line, accepts each of them.
    type: path
    required: true
seealso:
  - module: kiln.unikernel.image_signature
"""

EXAMPLES = r"""
- name: Refuse what our release key did not sign
  kiln.unikernel.image_verify:
    folder: "{{ baked.root | dirname }}"
    public_key: release.pub
"""

RETURN = r"""
files:
  description:
    - SHA-256 of each file that is covered by the signature and whole.
    - Empty in check mode when the image is yet to be baked.
  type: dict
  returned: success
  sample: {root.erofs: 0c5ecf2ea5a76ff4ea2b7d5a32a1f3b5a6b34dfb3f3f1f7bd94ae4db5d0f2f31}
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kiln.unikernel.plugins.module_utils import _signature
from ansible_collections.kiln.unikernel.plugins.module_utils._module import run_module
from ansible_collections.kiln.unikernel.plugins.module_utils._store import Store, is_address


def body(module: AnsibleModule, store: Store) -> dict[str, Any]:  # noqa: ARG001
    """Checks; what a check run would have baked or signed is not there to be checked."""
    folder, key = Path(module.params["folder"]), Path(module.params["public_key"])
    place = _signature.signer(key).place(folder)
    if module.check_mode and is_address(place) and not place.exists():
        return {"changed": False, "files": {}}
    return {"changed": False, "files": _signature.check(folder, key)}


def main() -> None:
    """Runs the module."""
    run_module(
        body,
        {
            "folder": {"type": "path", "required": True},
            "public_key": {"type": "path", "required": True, "no_log": False},
        },
    )


if __name__ == "__main__":
    main()
