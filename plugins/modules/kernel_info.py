#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# It may be combined with works under the GNU General Public License v3.0+, as Ansible is
# (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Tells which kernels the store holds."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_info
short_description: Tell which Kiln kernels the store holds
version_added: 0.1.0
author: The Kiln authors (@kiln-unikernel)
description:
  - Lists the kernels that were built last, each under its name.
extends_documentation_fragment:
  - kiln.unikernel.kiln
  - kiln.unikernel.kiln.asks
options:
  name:
    description: Only the kernel of this name.
    type: str
seealso:
  - module: kiln.unikernel.kernel
"""

EXAMPLES = r"""
- name: Ask for the kernel that was built last
  kiln.unikernel.kernel_info:
    name: kiln
  register: known
"""

RETURN = r"""
kernels:
  description: The kernels, in the order of their names.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: The kernel's name.
      type: str
      returned: always
    digest:
      description: SHA-256 of what it was built from.
      type: str
      returned: always
    kernel:
      description: Path of C(kiln.elf).
      type: str
      returned: always
    size:
      description: Its size in bytes.
      type: int
      returned: always
    options:
      description: The options it was built with.
      type: dict
      returned: always
    tools:
      description: The tools it was built by.
      type: dict
      returned: always
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kiln.unikernel.plugins.module_utils import _kernel
from ansible_collections.kiln.unikernel.plugins.module_utils._module import run_module
from ansible_collections.kiln.unikernel.plugins.module_utils._store import Store


def body(module: AnsibleModule, store: Store) -> dict[str, Any]:
    """One entry a kernel that is whole."""
    found = []
    for name, digest in store.names(_kernel.KIND).items():
        manifest = store.manifest(_kernel.KIND, digest)
        if manifest is None or module.params["name"] not in (None, name):
            continue
        found.append(
            {
                "name": name,
                "digest": digest,
                "kernel": str(store.folder(_kernel.KIND, digest) / _kernel.ELF),
                "size": manifest["files"][_kernel.ELF],
                "options": manifest["inputs"]["options"],
                "tools": manifest["inputs"]["tools"],
            }
        )
    return {"changed": False, "kernels": found}


def main() -> None:
    """Runs the module."""
    run_module(body, {"name": {"type": "str"}})


if __name__ == "__main__":
    main()
