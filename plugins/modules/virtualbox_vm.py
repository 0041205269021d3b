#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# It may be combined with works under the GNU General Public License v3.0+, as Ansible is
# (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Runs a machine cloned from an image in VirtualBox."""

from __future__ import annotations

DOCUMENTATION = r"""
module: virtualbox_vm
short_description: Run a machine cloned from an image in VirtualBox
version_added: 0.2.0
author: The Kiln authors (@kiln-unikernel)
description:
  - Clones, starts, stops and removes a VM made from an image that
    M(kiln.unikernel.virtualbox_image) has brought into VirtualBox.
  - What is said of a machine is read from VirtualBox each time; what was changed by hand is set
    right.
  - A machine that runs is stopped for a change and started again. When its image changes, or
    O(clone), it is made anew, and what was on its disk is gone.
  - A machine that does not answer as O(wait_for) says is switched off, its console is kept, and the
    task fails with the console's last lines.
extends_documentation_fragment:
  - kiln.unikernel.kiln
  - kiln.unikernel.kiln.changes
  - kiln.unikernel.guest
  - kiln.unikernel.virtualbox
options:
  name:
    description:
      - Name of the VM. The module fails when a VM that it has not made has the name.
    type: str
    required: true
  state:
    description:
      - V(present) makes the machine and leaves it as it is, running or not.
      - V(started) and V(stopped) make it too.
      - V(absent) stops it and removes it with its disks; its console's file stays.
    type: str
    choices: [present, started, stopped, absent]
    default: started
  digest:
    description:
      - Digest of the image, as M(kiln.unikernel.virtualbox_image) returns it.
      - This or O(channel) is required unless O(state=absent).
    type: str
  channel:
    description: Channel whose image it is, such as V(redis/stable).
    type: str
  clone:
    description:
      - V(linked) stands on the image's disk and takes no time and no room; the image cannot be
        removed before it.
      - V(full) has a disk of its own.
    type: str
    choices: [linked, full]
    default: linked
  memory:
    description: Memory of the guest, a number with K, M or G; the image's when left out.
    type: str
  cpus:
    description: How many CPUs the guest has; the image's when left out.
    type: int
  network:
    description: V(nat) is VirtualBox's network with a DHCP server; V(none) is no network device.
    type: str
    choices: [nat, none]
    default: nat
  console:
    description:
      - File that the guest's first serial port writes, emptied at each start.
        C(virtualbox/<name>.log) in the store when left out.
    type: path
  type:
    description: How VirtualBox shows the machine that it starts.
    type: str
    choices: [headless, gui, separate]
    default: headless
  environment:
    description: Variables for the process that runs the machine, such as C(DISPLAY).
    type: dict
    default: {}
  frontend:
    description:
      - A program and its arguments that run the machine in place of C(VBoxManage startvm); the VM's
        UUID is its last argument. O(type) is not looked at then.
      - For a host without VirtualBox's kernel driver, a script that does C(VBoxManage setextradata
        UUID VBoxInternal/HM/FallbackToIEM 1) and C(VirtualBoxVM --driverless --execute-all-in-iem
        --startvm UUID), which interprets every instruction and wants a display.
    type: list
    elements: str
    default: []
  stop_timeout:
    description: Seconds that the guest has to end by itself when its power button is pressed.
    type: int
    default: 10
  folder:
    description:
      - Folder that the VM's own folder is made in; VirtualBox's machine folder when left out.
    type: path
seealso:
  - module: kiln.unikernel.virtualbox_vm_info
  - module: kiln.unikernel.virtualbox_image
"""

EXAMPLES = r"""
- name: Make a machine of the image that is current
  kiln.unikernel.virtualbox_vm:
    name: web-1
    channel: redis/stable
    state: stopped
    memory: 96M
    forwards:
      - guest: 6379
        host: 16379

- name: Remove it
  kiln.unikernel.virtualbox_vm:
    name: web-1
    state: absent
"""

RETURN = r"""
machine:
  description: The machine as it is afterwards (in check mode, as it is now).
  type: dict
  returned: always
  contains:
    name:
      description: Its name.
      type: str
    machine_id:
      description: Its UUID; empty when there is none.
      type: str
    state:
      description: V(absent), V(stopped) or V(started).
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
steps:
  description: What was done, or in check mode would be.
  type: list
  elements: str
  returned: always
"""

import re
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kiln.unikernel.plugins.module_utils import _vbox_run, _vbox_vms
from ansible_collections.kiln.unikernel.plugins.module_utils._guest_options import (
    GUEST_SPEC,
    STATES,
    check_wait,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import PublishError, result_of
from ansible_collections.kiln.unikernel.plugins.module_utils._qemu import Forward, guest_memory
from ansible_collections.kiln.unikernel.plugins.module_utils._store import Store
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox import Machine, VBox
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_module import (
    run_vbox_module,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_steps import import_folder


def wanted_of(
    params: dict[str, Any], vbox: VBox, machines: list[Machine], store: Store
) -> _vbox_vms.Wanted:
    """What the options describe; fails for what there is not."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", params["name"]):
        raise PublishError(
            f"'{params['name']}' cannot be the name of a machine; use letters and digits, and '.', "
            "'_' and '-' between them."
        )
    if params["cpus"] is not None and params["cpus"] < 1:
        raise PublishError("cpus is 1 or more.")
    if params["state"] == "absent":
        return _vbox_vms.Wanted(params["name"])
    check_wait(params["wait_for"], params["forwards"])
    if params["network"] == "none" and params["forwards"]:
        raise PublishError("Forwards need a network; leave `network` at nat.")
    console = params["console"] or store.path / "virtualbox" / f"{params['name']}.log"
    return _vbox_vms.Wanted(
        name=params["name"],
        image=_vbox_vms.image_of(vbox, machines, params["digest"], params["channel"]),
        clone=params["clone"],
        memory=guest_memory(params["memory"]) >> 20 if params["memory"] else None,
        cpus=params["cpus"],
        network=params["network"],
        forwards=tuple(Forward(**item) for item in params["forwards"]),
        console=str(Path(console).absolute()),
    )


def body(module: AnsibleModule, store: Store, vbox: VBox) -> dict[str, Any]:
    """Plans, and carries the plan out unless in check mode."""
    params = module.params
    machines = vbox.machines()
    wanted = wanted_of(params, vbox, machines, store)
    found = _vbox_vms.observe(vbox, wanted.name, machines)
    image_facts = vbox.facts(wanted.image.uuid) if wanted.image else {}
    plan = _vbox_vms.plan(found, wanted, params["state"], image_facts)
    if plan.changed and not module.check_mode:
        way = _vbox_run.Way(
            kind=params["type"],
            environment={key: str(value) for key, value in params["environment"].items()},
            frontend=tuple(params["frontend"]),
            stop_timeout=params["stop_timeout"],
            wait_for=params["wait_for"],
        )
        folder = import_folder(vbox, params["folder"])
        _vbox_run.Runner(vbox, wanted, found, folder, way).run(plan)
        found = _vbox_vms.observe(vbox, wanted.name, vbox.machines())
    machine = {
        "name": wanted.name,
        "machine_id": found.machine.uuid if found.machine else "",
        **_vbox_vms.describe(found),
    }
    return result_of(f"virtualbox_vm {wanted.name}", plan, machine=machine)


def main() -> None:
    """Runs the module."""
    kinds = ["headless", "gui", "separate"]
    run_vbox_module(
        body,
        GUEST_SPEC
        | {
            "name": {"type": "str", "required": True},
            "digest": {"type": "str"},
            "channel": {"type": "str"},
            "clone": {"type": "str", "choices": ["linked", "full"], "default": "linked"},
            "memory": {"type": "str"},
            "cpus": {"type": "int"},
            "network": {"type": "str", "choices": ["nat", "none"], "default": "nat"},
            "console": {"type": "path"},
            "type": {"type": "str", "choices": kinds, "default": "headless"},
            "environment": {"type": "dict", "default": {}},
            "frontend": {"type": "list", "elements": "str", "default": []},
            "folder": {"type": "path"},
        },
        mutually_exclusive=[("digest", "channel")],
        required_if=[
            ("state", state, ("digest", "channel"), True) for state in STATES if state != "absent"
        ],
    )


if __name__ == "__main__":
    main()
