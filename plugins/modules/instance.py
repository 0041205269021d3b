#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# It may be combined with works under the GNU General Public License v3.0+, as Ansible is
# (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Runs a Kiln image as a local guest."""

from __future__ import annotations

DOCUMENTATION = r"""
module: instance
short_description: Run a Kiln image as a local QEMU guest
version_added: 0.1.0
author: The Kiln authors (@kiln-unikernel)
description:
  - Defines, starts, stops and removes a guest of QEMU on this machine.
  - A guest runs on after the play. It is found again by its name, whatever became of the play that
    started it; there is never a second process for the same name.
  - A guest that runs is started anew when its definition has changed, which includes what its
    image and kernel hold.
  - A guest that does not answer as O(wait_for) says is stopped, its console is kept, and the task
    fails with the console's last lines.
requirements:
  - qemu-system-x86_64
  - qemu.qmp (Python library)
extends_documentation_fragment:
  - kiln.unikernel.kiln
  - kiln.unikernel.kiln.changes
  - kiln.unikernel.guest
options:
  name:
    description: Name of the guest; letters, digits, C(.), C(_) and C(-).
    type: str
    required: true
  state:
    description:
      - V(present) defines the guest and leaves it as it is, running or not.
      - V(started) and V(stopped) define it too.
      - V(absent) stops it and removes its definition and its console.
    type: str
    choices: [present, started, stopped, absent]
    default: started
  image:
    description:
      - Path of the image, the EROFS root, or a raw or qcow2 disk. It is opened read-only.
      - Required unless O(state=absent).
    type: path
  kernel:
    description: Path of C(kiln.elf). Left out for a disk, which brings its own.
    type: path
  memory:
    description: Memory of the guest, a number with K, M or G.
    type: str
    default: 128M
  cpus:
    description: How many CPUs the guest has.
    type: int
    default: 1
  network:
    description: V(user) is QEMU's own network, with a DHCP server; V(none) is no network device.
    type: str
    choices: [user, none]
    default: user
  cmdline:
    description: Words for the kernel's command line. With O(kernel) only.
    type: str
    default: ""
  argv:
    description: Program and arguments in place of the image's own. With O(kernel) only.
    type: list
    elements: str
    default: []
  accel:
    description:
      - QEMU's accelerator. V(auto) tries KVM on a tiny guest, remembers whether it works until
        the machine is booted again, and falls back to the emulator.
    type: str
    choices: [auto, kvm, tcg]
    default: auto
  stop_timeout:
    description: Seconds that the program has to end by itself when the guest is stopped.
    type: int
    default: 10
seealso:
  - module: kiln.unikernel.instance_info
  - module: kiln.unikernel.image
"""

EXAMPLES = r"""
- name: Start redis and wait until it answers
  kiln.unikernel.instance:
    name: redis
    image: "{{ baked.root }}"
    kernel: "{{ built.kernel }}"
    memory: 64M
    forwards:
      - guest: 6379
        host: 16379
    wait_for:
      port: 6379
      send: "PING\r\n"
      expect: "+PONG"

- name: Stop it and forget it
  kiln.unikernel.instance:
    name: redis
    state: absent
"""

RETURN = r"""
instance:
  description: The guest as it is afterwards (in check mode, as it is now).
  type: dict
  returned: always
  contains:
    name:
      description: Its name.
      type: str
    state:
      description: V(absent), V(stopped) or V(started).
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
      description: Milliseconds from QEMU's start to the answer that O(wait_for) asked for.
      type: int
    console:
      description: File with all that the guest said.
      type: str
    qmp:
      description: QEMU's control socket.
      type: str
"""

import contextlib
import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kiln.unikernel.plugins.module_utils import _accel, _instance, _qemu
from ansible_collections.kiln.unikernel.plugins.module_utils._diff import diff
from ansible_collections.kiln.unikernel.plugins.module_utils._guest_options import (
    GUEST_SPEC,
    STATES,
    check_wait,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._instance import Instance
from ansible_collections.kiln.unikernel.plugins.module_utils._module import run_module
from ansible_collections.kiln.unikernel.plugins.module_utils._store import (
    KilnError,
    Store,
    by_products,
)


def machine_of(params: dict[str, Any]) -> _qemu.Machine:
    """The machine that the options describe."""
    if params["kernel"] is None and (params["cmdline"] or params["argv"]):
        raise KilnError("cmdline and argv are for a guest with `kernel`; a disk brings its own.")
    if params["cpus"] < 1:
        raise KilnError(f"A guest has at least one of `cpus`, not {params['cpus']}.")
    check_wait(params["wait_for"], params["forwards"])
    return _qemu.Machine(
        image=Path(params["image"]).absolute(),
        kernel=Path(params["kernel"]).absolute() if params["kernel"] else None,
        memory=_qemu.guest_memory(params["memory"]),
        cpus=params["cpus"],
        forwards=[_qemu.Forward(**item) for item in params["forwards"]],
        network=params["network"] == "user",
        cmdline=params["cmdline"],
        argv=params["argv"],
    )


def carry_out(
    guest: Instance, plan: _instance.InstancePlan, machine: _qemu.Machine, params: dict[str, Any]
) -> None:
    """Takes the plan's steps, in their order."""
    definition = {key: value for key, value in plan.after.items() if key != "state"}
    for step in plan.steps:
        if step == "stop":
            guest.stop(params["stop_timeout"])
        elif step == "define":
            guest.define(definition)
        elif step == "start":
            start(guest, machine, definition["accel"], params)


def start(guest: Instance, machine: _qemu.Machine, accel: str, params: dict[str, Any]) -> None:
    """Starts the guest and waits as `wait_for` says; a guest that fails it does not stay."""
    begin = guest.start(machine, accel)
    wanted = params["wait_for"]
    if not wanted:
        return
    talk = (wanted["send"].encode(), wanted["expect"].encode())
    try:
        guest.wait_for(wanted["port"], talk, begin, wanted["timeout"])
    except BaseException:
        guest.stop(0)
        raise


def body(module: AnsibleModule, store: Store) -> dict[str, Any]:
    """Plans, and carries the plan out unless in check mode."""
    params = module.params
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", params["name"]):
        raise KilnError(f"'{params['name']}' cannot be the name of a guest.")
    guest = Instance(params["name"], store)
    if params["state"] == "absent":
        return absent(module, guest)
    machine = machine_of(params)
    with by_products(store, module.check_mode, (_accel.ANSWER,)) as answers:
        accel = _accel.choose(params["accel"], _qemu.program(), answers)
    if accel == "tcg" and params["accel"] == "auto":
        module.debug("KVM does not run a guest here; using QEMU's emulator")
    definition = _instance.define(machine, accel, module.check_mode)
    with alone(module, guest):
        plan = guest.plan(params["state"], definition)
        if not module.check_mode:
            carry_out(guest, plan, machine, params)
        return result(guest, plan)


def absent(module: AnsibleModule, guest: Instance) -> dict[str, Any]:
    """Stops and forgets."""
    with alone(module, guest):
        plan = guest.plan_absent()
        if not module.check_mode:
            for step in plan.steps:
                guest.stop(module.params["stop_timeout"]) if step == "stop" else guest.remove()
        return result(guest, plan)


def alone(module: AnsibleModule, guest: Instance) -> AbstractContextManager[None]:
    """One run at a time for a guest, so that what was planned is still so when it is done."""
    if module.check_mode:
        return contextlib.nullcontext()
    return guest.store.lock(f"instance-{guest.name}")


def result(guest: Instance, plan: _instance.InstancePlan) -> dict[str, Any]:
    """What the module returns."""
    return {
        "changed": plan.changed,
        "diff": diff(f"instance {guest.name}", plan.before, plan.after),
        "instance": guest.describe(),
    }


def main() -> None:
    """Runs the module."""
    run_module(
        body,
        GUEST_SPEC
        | {
            "name": {"type": "str", "required": True},
            "image": {"type": "path"},
            "kernel": {"type": "path"},
            "memory": {"type": "str", "default": "128M"},
            "cpus": {"type": "int", "default": 1},
            "network": {"type": "str", "choices": ["user", "none"], "default": "user"},
            "cmdline": {"type": "str", "default": ""},
            "argv": {"type": "list", "elements": "str", "default": []},
            "accel": {"type": "str", "choices": ["auto", "kvm", "tcg"], "default": "auto"},
        },
        {"qemu.qmp": _instance.HAS_QMP},
        required_if=[("state", state, ("image",)) for state in STATES if state != "absent"],
    )


if __name__ == "__main__":
    main()
