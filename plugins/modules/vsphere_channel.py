#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# It may be combined with works under the GNU General Public License v3.0+, as Ansible is
# (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Promotes templates on vSphere to a channel, and rolls a channel back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vsphere_channel
short_description: Name the current template on vSphere
version_added: 0.2.0
author: The Kiln authors (@kiln-unikernel)
description:
  - A channel, such as V(redis/stable), names the template that is current in a datacenter.
  - It is the datacenter's custom attribute C(kiln.channel.redis/stable), the first twelve digits of
    the digests that it has named, the current one first; changed by one request.
  - M(kiln.unikernel.vsphere_image_info) tells which template a channel names, so that a play can
    deploy it.
extends_documentation_fragment:
  - kiln.unikernel.kiln
  - kiln.unikernel.kiln.changes
  - kiln.unikernel.publish.channel
  - kiln.unikernel.vsphere
seealso:
  - module: kiln.unikernel.vsphere_image
  - module: kiln.unikernel.vsphere_retention
"""

EXAMPLES = r"""
- name: Promote what was just published
  kiln.unikernel.vsphere_channel:
    channel: redis/stable
    digest: "{{ published.digest }}"

- name: That one is bad, go back to the one before
  kiln.unikernel.vsphere_channel:
    channel: redis/stable
    state: rolled_back
    digest: "{{ published.digest }}"
"""

RETURN = r"""
current:
  description: What the channel names in the datacenter; in check mode what it would name.
  type: dict
  returned: always
  sample:
    DC0: {image_id: vm-62, digest: 5d41…}
steps:
  description: What was done, or in check mode would be.
  type: list
  elements: str
  returned: always
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kiln.unikernel.plugins.module_utils import (
    _vsphere_channels,
    _vsphere_templates,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._channel_options import (
    CHANNEL,
    plan_channel,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._channels import check_channel
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import in_turn, result_of
from ansible_collections.kiln.unikernel.plugins.module_utils._store import Store
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere import Vcenter
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere_module import (
    run_vsphere_module,
)


def body(module: AnsibleModule, _store: Store, vcenter: Vcenter) -> dict[str, Any]:
    """Plans, and carries the plan out unless in check mode."""
    channel = module.params["channel"]
    check_channel(channel)
    datacenter = vcenter.datacenter(module.params["datacenter"])
    found = _vsphere_templates.observe(vcenter, datacenter)
    history = _vsphere_channels.values_of(vcenter, datacenter).get(channel, [])
    pointer = _vsphere_channels.pointer_of(found, channel, history)
    places = {found.where: pointer}
    plan = plan_channel(module.params, places, "vsphere_image")
    if not module.check_mode:
        mover = _vsphere_channels.Mover(vcenter, datacenter, found, channel, pointer)
        in_turn(plan, mover.verbs())
    return result_of(f"vsphere_channel {channel}", plan, current=plan.after)


def main() -> None:
    """Runs the module."""
    run_vsphere_module(body, **CHANNEL)


if __name__ == "__main__":
    main()
