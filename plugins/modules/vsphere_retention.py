#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# It may be combined with works under the GNU General Public License v3.0+, as Ansible is
# (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Removes old templates from vSphere."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vsphere_retention
short_description: Remove old templates from vSphere
version_added: 0.2.0
author: The Kiln authors (@kiln-unikernel)
description:
  - Removes old templates that M(kiln.unikernel.vsphere_image) has made, with their disks.
  - A template that a channel names, and the one that it would be rolled back to, always stay.
extends_documentation_fragment:
  - kiln.unikernel.kiln
  - kiln.unikernel.kiln.changes
  - kiln.unikernel.publish.retention
  - kiln.unikernel.vsphere
seealso:
  - module: kiln.unikernel.vsphere_image
  - module: kiln.unikernel.vsphere_channel
"""

EXAMPLES = r"""
- name: Keep the five newest, and all of the last thirty days
  kiln.unikernel.vsphere_retention:
    name: redis
    keep: 5
    older_than: 30d
"""

RETURN = r"""
removed:
  description: Names of the templates that went, or in check mode would.
  type: list
  elements: str
  returned: always
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
    RETENTION,
    retention_of,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import result_of
from ansible_collections.kiln.unikernel.plugins.module_utils._store import Store
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere import Vcenter
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere_module import (
    run_vsphere_module,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere_steps import Remover


def body(module: AnsibleModule, _store: Store, vcenter: Vcenter) -> dict[str, Any]:
    """Plans, and carries the plan out unless in check mode."""
    params = module.params
    rule = retention_of(params)
    datacenter = vcenter.datacenter(params["datacenter"])
    found = _vsphere_templates.observe(vcenter, datacenter)
    plan = _vsphere_channels.plan_retained(vcenter, datacenter, found, params["name"], rule)
    if not module.check_mode:
        Remover(vcenter).run(plan)
    removed = [step.detail for step in plan.steps]
    return result_of(f"vsphere_retention {params['name']}", plan, removed=removed)


def main() -> None:
    """Runs the module."""
    run_vsphere_module(body, **RETENTION)


if __name__ == "__main__":
    main()
