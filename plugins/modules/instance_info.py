#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# It may be combined with works under the GNU General Public License v3.0+, as Ansible is
# (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Tells how local Kiln guests are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: instance_info
short_description: Tell how local Kiln guests are
version_added: 0.1.0
author: The Kiln authors (@kiln-unikernel)
description:
  - Lists the guests that M(kiln.unikernel.instance) has defined on this machine.
requirements:
  - qemu.qmp (Python library)
extends_documentation_fragment:
  - kiln.unikernel.kiln
  - kiln.unikernel.kiln.asks
options:
  name:
    description: Only the guest of this name.
    type: str
seealso:
  - module: kiln.unikernel.instance
"""

EXAMPLES = r"""
- name: Ask how redis is
  kiln.unikernel.instance_info:
    name: redis
  register: known
"""

RETURN = r"""
instances:
  description: The guests, in the order of their names.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: The guest's name.
      type: str
    state:
      description: V(stopped) or V(started).
      type: str
    status:
      description: What QEMU says of a started guest, such as V(running) or V(internal-error).
      type: str
    pid:
      description: QEMU's process, null when it does not run.
      type: int
    definition:
      description: What it is started with.
      type: dict
    accel:
      description: The accelerator it runs on.
      type: str
    forwards:
      description: The forwards, with the host ports that were chosen.
      type: list
      elements: dict
    ready_ms:
      description: Milliseconds that it took to answer when it was started.
      type: int
    console:
      description: File with all that the guest said.
      type: str
    console_tail:
      description: The last lines of it.
      type: str
    qmp:
      description: QEMU's control socket.
      type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kiln.unikernel.plugins.module_utils import _instance
from ansible_collections.kiln.unikernel.plugins.module_utils._instance import Instance
from ansible_collections.kiln.unikernel.plugins.module_utils._module import run_module
from ansible_collections.kiln.unikernel.plugins.module_utils._store import Store


def body(module: AnsibleModule, store: Store) -> dict[str, Any]:
    """One entry a guest that is defined."""
    folder = store.path / "instances"
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    wanted = module.params["name"]
    guests = [Instance(name, store) for name in names if wanted in (None, name)]
    found = [
        dict(guest.describe(), status=guest.status(), console_tail=guest.tail())
        for guest in guests
        if guest.state != "absent"
    ]
    return {"changed": False, "instances": found}


def main() -> None:
    """Runs the module."""
    run_module(body, {"name": {"type": "str"}}, {"qemu.qmp": _instance.HAS_QMP})


if __name__ == "__main__":
    main()
