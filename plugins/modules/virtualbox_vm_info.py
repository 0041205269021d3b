#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# It may be combined with works under the GNU General Public License v3.0+, as Ansible is
# (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Tells how machines in VirtualBox are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: virtualbox_vm_info
short_description: Tell how Kiln's machines in VirtualBox are
version_added: 0.2.0
author: The Kiln authors (@kiln-unikernel)
description:
  - Lists the machines that M(kiln.unikernel.virtualbox_vm) has made.
extends_documentation_fragment:
  - kiln.unikernel.kiln
  - kiln.unikernel.kiln.asks
  - kiln.unikernel.virtualbox
options:
  name:
    description: Only the machine of this name.
    type: str
seealso:
  - module: kiln.unikernel.virtualbox_vm
"""

EXAMPLES = r"""
- name: Ask how web-1 is
  kiln.unikernel.virtualbox_vm_info:
    name: web-1
  register: known
"""

RETURN = r"""
machines:
  description: The machines, in the order of their names.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: The VM's name.
      type: str
    machine_id:
      description: Its UUID.
      type: str
    state:
      description: V(stopped) or V(started).
      type: str
    status:
      description: What VirtualBox says of it, such as V(running), V(poweroff) or V(aborted).
      type: str
    image:
      description: Digest of the image that it was cloned from.
      type: str
    clone:
      description: V(linked) or V(full).
      type: str
    memory:
      description: Its memory in MiB.
      type: int
    cpus:
      description: How many CPUs it has.
      type: int
    network:
      description: V(nat) or V(none).
      type: str
    network_adapter:
      description: Its network adapter.
      type: str
    forwards:
      description: The forwards, with the host ports that were chosen.
      type: list
      elements: dict
    console:
      description: File with all that the guest said on its serial port.
      type: str
    console_tail:
      description: The last lines of it.
      type: str
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kiln.unikernel.plugins.module_utils import _vbox_run, _vbox_vms
from ansible_collections.kiln.unikernel.plugins.module_utils._store import Store
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox import Machine, VBox
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_module import run_vbox_module


def told(vbox: VBox, machine: Machine) -> dict[str, Any]:
    """One machine for a reader."""
    facts = vbox.facts(machine.uuid)
    described = _vbox_vms.describe(_vbox_vms.Found(machine, facts))
    return {
        "name": machine.name,
        "machine_id": machine.uuid,
        "status": facts.get("VMState", ""),
        **described,
        "console_tail": _vbox_run.tail(Path(described["console"])),
    }


def body(module: AnsibleModule, _store: Store, vbox: VBox) -> dict[str, Any]:
    """Asks VirtualBox."""
    wanted = module.params["name"]
    ours = [
        item for item in vbox.machines() if _vbox_vms.is_ours(item) and wanted in (None, item.name)
    ]
    ours.sort(key=lambda item: item.name)
    return {"changed": False, "machines": [told(vbox, item) for item in ours]}


def main() -> None:
    """Runs the module."""
    run_vbox_module(body, {"name": {"type": "str"}}, changes=False)


if __name__ == "__main__":
    main()
