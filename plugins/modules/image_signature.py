#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# It may be combined with works under the GNU General Public License v3.0+, as Ansible is
# (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Signs a baked image."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_signature
short_description: Sign a Kiln image
version_added: 0.2.0
author: The Kiln authors (@kiln-unikernel)
description:
  - Signs the provenance statement of an image with a key of OpenSSH or minisign, and puts the
    signature beside it. The statement names the SHA-256 of every file of the image, so the
    signature covers them all.
  - An image that is signed with this key already is left as it is.
requirements:
  - ssh-keygen (Debian package openssh-client) for keys of OpenSSH, minisign for its own
extends_documentation_fragment:
  - kiln.unikernel.kiln
  - kiln.unikernel.kiln.changes
options:
  folder:
    description: Folder of the image; the one that holds C(provenance.json).
    type: path
    required: true
  state:
    description: Whether the image shall be signed with this key, or not with a key of its kind.
    type: str
    choices: [present, absent]
    default: present
  key:
    description:
      - Private key of OpenSSH (of any kind), or secret key of minisign. A public key of OpenSSH
        stands for the private one that an agent holds.
    type: path
    required: true
  passphrase:
    description: What protects the key.
    type: str
seealso:
  - module: kiln.unikernel.image
  - module: kiln.unikernel.image_verify
"""

EXAMPLES = r"""
- name: Sign what was baked
  kiln.unikernel.image_signature:
    folder: "{{ baked.root | dirname }}"
    key: release.key
"""

RETURN = r"""
signature:
  description: Path of the signature.
  type: str
  returned: always
  sample: /home/user/.cache/kiln/images/76d8…/provenance.json.sig
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kiln.unikernel.plugins.module_utils import _signature
from ansible_collections.kiln.unikernel.plugins.module_utils._diff import diff
from ansible_collections.kiln.unikernel.plugins.module_utils._module import run_module
from ansible_collections.kiln.unikernel.plugins.module_utils._store import (
    Store,
    digest_file,
    is_address,
    write_bytes,
)


def body(module: AnsibleModule, store: Store) -> dict[str, Any]:  # noqa: ARG001
    """Compares the signature that is there with the one that is wanted."""
    folder, key = Path(module.params["folder"]), Path(module.params["key"])
    signer = _signature.signer(key)
    place = signer.place(folder)
    before = {"signature": digest_file(place)} if place.is_file() else {}
    after: dict[str, str] = {}
    if module.params["state"] == "present":
        after = _sign(module, signer, folder, before)
    elif before and not module.check_mode:
        place.unlink()
    return {
        "changed": before != after,
        "diff": diff(f"signature {place}", before, after),
        "signature": str(place),
    }


def _sign(
    module: AnsibleModule, signer: _signature.Signer, folder: Path, before: dict[str, str]
) -> dict[str, str]:
    """Makes the signature unless it is there; what is there afterwards."""
    planned = module.check_mode and is_address(folder / "x") and not folder.exists()
    if planned:
        return {"signature": "of an image that is yet to be baked"}
    statement = _signature.statement_of(folder)
    place, passphrase = signer.place(folder), module.params["passphrase"]
    if before and signer.is_ours(statement, place, passphrase):
        return before
    made = signer.sign(statement, passphrase)
    if not module.check_mode:
        write_bytes(place, made)
        return {"signature": digest_file(place)}
    return {"signature": "a new one"}


def main() -> None:
    """Runs the module."""
    run_module(
        body,
        {
            "folder": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "key": {"type": "path", "required": True, "no_log": False},
            "passphrase": {"type": "str", "no_log": True},
        },
    )


if __name__ == "__main__":
    main()
