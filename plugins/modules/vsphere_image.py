#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# It may be combined with works under the GNU General Public License v3.0+, as Ansible is
# (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Publishes an OVA to vSphere."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vsphere_image
short_description: Publish an OVA to vSphere
version_added: 0.2.0
author: The Kiln authors (@kiln-unikernel)
description:
  - Makes a template, or an item of a content library, of an OVA as M(kiln.unikernel.image) writes
    it with O(kiln.unikernel.image#module:ova.profiles=vsphere).
  - A template is found again by the custom attributes C(kiln.name) and C(kiln.digest), the SHA-256
    of the OVA, not by its name. What is there is not sent again.
  - The OVA's disks go to the vCenter under a lease, which is ended whatever happens. What an
    interrupted run has left behind, the next one clears away. A template counts as published only
    when all of it is there.
  - A library item stays the same item when the content changes, and gets a new version. Its digest
    is in the last line of its description.
extends_documentation_fragment:
  - kiln.unikernel.kiln
  - kiln.unikernel.kiln.changes
  - kiln.unikernel.vsphere
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
      - V(absent) removes the template of this content with its disks, or the library item if it
        has this content.
    type: str
    choices: [present, absent]
    default: present
  target:
    description: Whether a template in the inventory is made, or an item of a content library.
    type: str
    choices: [template, library_item]
    default: template
  path:
    description:
      - Path of the OVA, on the machine where the module runs. It is held to its manifest.
      - Required when O(state=present).
    type: path
  digest:
    description:
      - The SHA-256 of the OVA, as this module returns it.
      - With O(state=absent) it stands for O(path). With O(state=present) the module fails when the
        OVA at O(path) has another one.
    type: str
  template_name:
    description:
      - Name of the template. O(name), a dash and the first twelve digits of the digest when left
        out.
      - The module fails when something else in O(folder) has it, see O(replace).
    type: str
  description:
    description:
      - The template's notes, or the item's description. Left as they are when left out.
    type: str
  tags:
    description:
      - Tags of the template, as custom attributes of these names. Left as they are when left out.
      - Other custom attributes, which somebody else has set, are never changed. A library item has
        none.
    type: dict
  purge_tags:
    description: Whether tags that are not in O(tags) are taken away.
    type: bool
    default: true
  cluster:
    description: Cluster that the template is registered in. This or O(host) is needed.
    type: str
  host:
    description: Host that the template is registered on.
    type: str
    aliases: [esxi_hostname]
  resource_pool:
    description: Resource pool for the import; the topmost of O(cluster) or O(host) when left out.
    type: str
  datastore:
    description: Datastore for the disks. Required for a template.
    type: str
  folder:
    description:
      - Folder for the template, as a path below the datacenter's folder for virtual machines, such
        as V(images/kiln). It must be there. The topmost one when left out.
    type: str
    default: ""
  networks:
    description:
      - Which network stands for each that the OVA names; its namesake when left out. Kiln's OVAs
        name C(VM Network).
    type: dict
    default: {}
  disk_provisioning:
    description: How room for the disks is taken. It is not looked at once the template is there.
    type: str
    choices: [thin, thick, eagerZeroedThick]
    default: thin
  replace:
    description:
      - Whether a template of Kiln that has the name O(template_name) and another content is
        removed, once the new one is there. One that a channel names never is.
    type: bool
    default: false
  library:
    description: The content library. Required with O(target=library_item).
    type: str
  item_name:
    description: Name of the library item; O(name) when left out.
    type: str
  force:
    description: Whether O(state=absent) removes a template that a channel names.
    type: bool
    default: false
seealso:
  - module: kiln.unikernel.vsphere_image_info
  - module: kiln.unikernel.vsphere_channel
  - module: kiln.unikernel.image
"""

EXAMPLES = r"""
- name: Publish redis as a template
  kiln.unikernel.vsphere_image:
    name: redis
    path: "{{ ova_path }}"
    cluster: DC0_C0
    datastore: LocalDS_0
    folder: templates
    networks: {VM Network: DC0_DVPG0}
    description: Redis on Kiln
    tags: {team: data}

- name: Publish it to a content library, as a new version of the same item
  kiln.unikernel.vsphere_image:
    name: redis
    path: "{{ ova_path }}"
    target: library_item
    library: images

- name: Take the template away again
  kiln.unikernel.vsphere_image:
    name: redis
    path: "{{ ova_path }}"
    state: absent
"""

RETURN = r"""
digest:
  description: SHA-256 of the OVA.
  type: str
  returned: always
image_id:
  description:
    - Identifier of the template or library item with this content; empty when there is none, in
      check mode when there is none now.
  type: str
  returned: always
template_name:
  description: Name of that template or item.
  type: str
  returned: always
published:
  description: Whether it is there; in check mode whether it is there now.
  type: bool
  returned: always
steps:
  description: What was done, or in check mode would be.
  type: list
  elements: str
  returned: always
"""

import contextlib
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kiln.unikernel.plugins.module_utils import (
    _channels,
    _ova_read,
    _vsphere_channels,
    _vsphere_library,
    _vsphere_templates,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import result_of
from ansible_collections.kiln.unikernel.plugins.module_utils._store import Store
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere import Vcenter
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere_module import (
    run_vsphere_module,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere_options import (
    IMAGE_SPEC,
    check_item,
    check_package,
    wanted_of,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere_place import place_of
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere_steps import (
    Publisher,
    Remover,
)


def present(module: AnsibleModule, store: Store, vcenter: Vcenter) -> dict[str, Any]:
    """Makes a template."""
    params = module.params
    package = _ova_read.read(Path(params["path"]).absolute())
    check_package(params, package)
    datacenter = vcenter.datacenter(params["datacenter"])
    place = place_of(vcenter, datacenter, params, package)
    wanted = wanted_of(vcenter, params, package, place)
    with alone(module, store, wanted.digest):
        found = _vsphere_templates.observe(vcenter, datacenter, wanted.name, wanted.digest)
        channels = _vsphere_channels.names_by_image(vcenter, datacenter, found)
        plan = _vsphere_templates.plan_present(found, wanted, channels)
        if plan.changed and not module.check_mode:
            Publisher(vcenter, wanted, found, package, place).run(plan)
            found = _vsphere_templates.observe(vcenter, datacenter)
    return result_of(
        f"vsphere_image {wanted.name}", plan, **told(found, wanted.name, wanted.digest)
    )


def alone(module: AnsibleModule, store: Store, digest: str) -> AbstractContextManager[None]:
    """One run at a time for a content on this machine: a second one finds what the first made."""
    if module.check_mode:
        return contextlib.nullcontext()
    return store.lock(f"vsphere-{digest[:16]}")


def absent(module: AnsibleModule, vcenter: Vcenter) -> dict[str, Any]:
    """Removes a template."""
    params = module.params
    name, digest = params["name"], digest_of(params)
    datacenter = vcenter.datacenter(params["datacenter"])
    found = _vsphere_templates.observe(vcenter, datacenter, name, digest)
    channels = _channels.without(
        _vsphere_channels.names_by_image(vcenter, datacenter, found), params["ignore_channels"]
    )
    plan = _vsphere_templates.plan_absent(found, name, digest, channels, params["force"])
    if plan.changed and not module.check_mode:
        Remover(vcenter).run(plan)
        found = _vsphere_templates.observe(vcenter, datacenter)
    return result_of(f"vsphere_image {name}", plan, **told(found, name, digest))


def digest_of(params: dict[str, Any]) -> str:
    """The digest that is given, or that of the OVA that is given."""
    return str(params["digest"] or _ova_read.read(Path(params["path"]).absolute()).digest)


def told(found: _vsphere_templates.Found, name: str, digest: str) -> dict[str, Any]:
    """The template, for the result."""
    ours = found.of(name, digest)
    return {
        "digest": digest,
        "image_id": ours[0].identifier if ours else "",
        "template_name": ours[0].name if ours else "",
        "published": bool(ours),
    }


def item(module: AnsibleModule, store: Store, vcenter: Vcenter) -> dict[str, Any]:
    """Brings a library item to its state."""
    params = module.params
    check_item(params)
    there = params["state"] == "present"
    package = _ova_read.read(Path(params["path"]).absolute()) if params["path"] else None
    if there and package is not None:
        check_package(params, package)
    digest = package.digest if package is not None else str(params["digest"])
    library = _vsphere_library.Library(vcenter, params["library"])
    with contextlib.closing(library), alone(module, store, digest):
        found = library.observe(params["name"])
        if there:
            plan = _vsphere_library.plan_present(
                found,
                params["name"],
                digest,
                params["item_name"] or params["name"],
                params["description"],
            )
        else:
            plan = _vsphere_library.plan_absent(found, digest)
        if plan.changed and not module.check_mode:
            _vsphere_library.Keeper(library, package, params["name"], found.item).run(plan)
            found = library.observe(params["name"])
    now = found.item if found.item and found.item.digest == digest else None
    return result_of(
        f"vsphere_image {params['name']}",
        plan,
        digest=digest,
        image_id=now.identifier if now else "",
        template_name=now.name if now else "",
        published=now is not None,
    )


def body(module: AnsibleModule, store: Store, vcenter: Vcenter) -> dict[str, Any]:
    """Plans, and carries the plan out unless in check mode."""
    if module.params["target"] == "library_item":
        return item(module, store, vcenter)
    if module.params["state"] == "present":
        return present(module, store, vcenter)
    return absent(module, vcenter)


def main() -> None:
    """Runs the module."""
    run_vsphere_module(
        body,
        IMAGE_SPEC,
        required_if=[
            ("state", "present", ("path",)),
            ("state", "absent", ("path", "digest"), True),
            ("target", "library_item", ("library",)),
        ],
    )


if __name__ == "__main__":
    main()
