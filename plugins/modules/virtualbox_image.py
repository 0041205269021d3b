#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# It may be combined with works under the GNU General Public License v3.0+, as Ansible is
# (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Brings an image into VirtualBox."""

from __future__ import annotations

DOCUMENTATION = r"""
module: virtualbox_image
short_description: Bring an image into VirtualBox
version_added: 0.2.0
author: The Kiln authors (@kiln-unikernel)
description:
  - Imports an OVA or a disk as a VM that is never started, an image, from which
    M(kiln.unikernel.virtualbox_vm) clones machines.
  - An image is found again by the notes C(kiln/name) and C(kiln/digest) in its extradata, not by
    the VM's name. What is there is not imported again.
  - The files in an OVA are held against its manifest before VirtualBox sees them.
  - VirtualBox silently gives an imported machine other hardware than the OVA asks for, and bridges
    its network. What was asked for is set, read back and compared; the network becomes NAT.
  - An import that was interrupted is not seen as an image; the next run takes what is left of it
    away and imports anew.
extends_documentation_fragment:
  - kiln.unikernel.kiln
  - kiln.unikernel.kiln.changes
  - kiln.unikernel.virtualbox
  - kiln.unikernel.publish.removal
options:
  name:
    description:
      - What is published, such as V(redis). Versions of it share this name and differ in their
        content.
    type: str
    required: true
  state:
    description:
      - V(present) makes what is missing and changes what differs.
      - V(absent) removes the image of this content, with its disks.
    type: str
    choices: [present, absent]
    default: present
  path:
    description:
      - Path of an OVA, or of a disk (raw, VDI, VMDK, VHD), on the machine where the module runs.
      - Required when O(state=present).
    type: path
  digest:
    description:
      - The SHA-256 of the file at O(path).
      - With O(state=absent) it stands for O(path). With O(state=present) the module fails when the
        file has another one.
    type: str
  vm_name:
    description:
      - Name of the VM. O(name), a dash and the first twelve digits of the digest when left out; an
        image that is there keeps its name then.
      - The module fails when a VM of this name has another content, unless O(replace) is set.
    type: str
  replace:
    description:
      - Whether an image that has the name O(vm_name) and another content is removed, once the new
        one is imported. A VM that is not an image is never removed.
    type: bool
    default: false
  description:
    description: The VM's description. Left as it is, or as the OVA has it, when left out.
    type: str
  tags:
    description: Tags of the image. Left as they are when left out.
    type: dict
  purge_tags:
    description: Whether tags that are not in O(tags) are taken away.
    type: bool
    default: true
  network_adapter:
    description:
      - The network adapter. When left out what the OVA asks for, V(e1000) for a disk.
    type: str
    choices: [e1000, virtio, pcnet]
  controller:
    description:
      - The disk's controller, which cannot be changed later. When left out what the OVA asks for,
        V(ahci) for a disk.
    type: str
    choices: [ahci, lsilogic, virtio-scsi]
  cpus:
    description: How many CPUs. When left out what the OVA asks for, 1 for a disk.
    type: int
  memory:
    description:
      - The memory, a number with K, M or G. When left out what the OVA asks for, 256M for a disk.
    type: str
  folder:
    description:
      - Folder that the VM's own folder is made in; VirtualBox's machine folder when left out.
    type: path
  force:
    description: Whether an image that a channel names is removed or replaced too.
    type: bool
    default: false
seealso:
  - module: kiln.unikernel.virtualbox_image_info
  - module: kiln.unikernel.virtualbox_vm
  - module: kiln.unikernel.image
"""

EXAMPLES = r"""
- name: Bring redis into VirtualBox
  kiln.unikernel.virtualbox_image:
    name: redis
    path: "{{ baked.ova.virtualbox }}"
    description: Redis on Kiln
    tags: {team: data}
  register: published

- name: Take that content away again
  kiln.unikernel.virtualbox_image:
    name: redis
    digest: "{{ published.digest }}"
    state: absent
"""

RETURN = r"""
digest:
  description: SHA-256 of the file.
  type: str
  returned: always
image_id:
  description: UUID of the image's VM; empty when there is none. In check mode, as it is now.
  type: str
  returned: always
vm_name:
  description: Name of the image's VM, likewise.
  type: str
  returned: always
published:
  description: Whether the image is there; in check mode whether it is there now.
  type: bool
  returned: always
steps:
  description: What was done, or in check mode would be.
  type: list
  elements: str
  returned: always
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kiln.unikernel.plugins.module_utils import (
    _channels,
    _vbox_channels,
    _vbox_images,
    _vbox_package,
    _vbox_steps,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Plan,
    PublishError,
    result_of,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._qemu import guest_memory
from ansible_collections.kiln.unikernel.plugins.module_utils._store import Store
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox import VBox
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_module import (
    run_vbox_module,
)


def wanted_of(params: dict[str, Any], package: _vbox_package.Package) -> _vbox_images.Wanted:
    """What the options describe; fails for what VirtualBox cannot have."""
    if params["digest"] not in (None, package.digest):
        raise PublishError(
            f"{package.path} has the digest {package.digest}, not {params['digest']}; it was "
            "changed since that was written down, or it is another image."
        )
    if params["cpus"] is not None and params["cpus"] < 1:
        raise PublishError("cpus is 1 or more.")
    options = dict(params)
    if params["memory"] is not None:
        options["memory"] = guest_memory(params["memory"]) >> 20
    tags = params["tags"]
    return _vbox_images.Wanted(
        name=params["name"],
        digest=package.digest,
        vm_name=params["vm_name"],
        hardware=_vbox_images.asked_hardware(package.asked, options, package.path),
        description=params["description"],
        tags=None if tags is None else {str(key): str(value) for key, value in tags.items()},
        purge_tags=params["purge_tags"],
        replace=params["replace"],
    )


def present(module: AnsibleModule, vbox: VBox) -> dict[str, Any]:
    """Publishes."""
    params = module.params
    package = _vbox_package.examine(Path(params["path"]).absolute())
    wanted = wanted_of(params, package)
    folder = _vbox_steps.import_folder(vbox, params["folder"])
    found = _vbox_images.observe(vbox, wanted.name, wanted.digest)
    if found.image is None:
        _vbox_package.verify(package)
    plan = _vbox_images.plan_present(found, wanted, package.description, channels(params, vbox))
    _vbox_steps.check_no_clones(vbox, plan)
    if plan.changed and not module.check_mode:
        _vbox_steps.Publisher(vbox, wanted, package, folder).run(plan)
        found = _vbox_images.observe(vbox, wanted.name, wanted.digest)
    return result(params["name"], plan, package.digest, found)


def absent(module: AnsibleModule, vbox: VBox) -> dict[str, Any]:
    """Removes."""
    params = module.params
    digest = params["digest"] or _vbox_package.examine(Path(params["path"]).absolute()).digest
    found = _vbox_images.observe(vbox, params["name"], digest)
    named = _channels.without(channels(params, vbox), params["ignore_channels"])
    plan = _vbox_images.plan_absent(found, named)
    _vbox_steps.check_no_clones(vbox, plan)
    if plan.changed and not module.check_mode:
        _vbox_steps.Remover(vbox).run(plan)
        found = _vbox_images.Found()
    return result(params["name"], plan, digest, found)


def channels(params: dict[str, Any], vbox: VBox) -> dict[str, list[str]]:
    """The channels that must not lose their image."""
    return {} if params["force"] else _vbox_channels.names_by_image(vbox)


def result(name: str, plan: Plan, digest: str, found: _vbox_images.Found) -> dict[str, Any]:
    """What the module returns."""
    return result_of(
        f"virtualbox_image {name}",
        plan,
        digest=digest,
        image_id=found.image.uuid if found.image else "",
        vm_name=found.image.name if found.image else "",
        published=found.image is not None,
    )


def body(module: AnsibleModule, _store: Store, vbox: VBox) -> dict[str, Any]:
    """Plans, and carries the plan out unless in check mode."""
    return present(module, vbox) if module.params["state"] == "present" else absent(module, vbox)


def main() -> None:
    """Runs the module."""
    run_vbox_module(
        body,
        {
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "path": {"type": "path"},
            "digest": {"type": "str"},
            "vm_name": {"type": "str"},
            "replace": {"type": "bool", "default": False},
            "description": {"type": "str"},
            "tags": {"type": "dict"},
            "purge_tags": {"type": "bool", "default": True},
            "network_adapter": {"type": "str", "choices": list(_vbox_images.ADAPTERS)},
            "controller": {"type": "str", "choices": list(_vbox_images.CONTROLLERS)},
            "cpus": {"type": "int"},
            "memory": {"type": "str"},
            "folder": {"type": "path"},
            "force": {"type": "bool", "default": False},
            "ignore_channels": {"type": "list", "elements": "str", "default": []},
        },
        required_if=[
            ("state", "present", ("path",)),
            ("state", "absent", ("path", "digest"), True),
        ],
    )


if __name__ == "__main__":
    main()
