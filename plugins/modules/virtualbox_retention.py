#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# It may be combined with works under the GNU General Public License v3.0+, as Ansible is
# (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Removes old images from VirtualBox."""

from __future__ import annotations

DOCUMENTATION = r"""
module: virtualbox_retention
short_description: Remove old images from VirtualBox
version_added: 0.2.0
author: The Kiln authors (@kiln-unikernel)
description:
  - Removes old images that M(kiln.unikernel.virtualbox_image) has made, with their disks.
  - An image that a channel names, the one that it would be rolled back to, and one that has linked
    clones always stay.
extends_documentation_fragment:
  - kiln.unikernel.kiln
  - kiln.unikernel.kiln.changes
  - kiln.unikernel.publish.retention
  - kiln.unikernel.virtualbox
seealso:
  - module: kiln.unikernel.virtualbox_image
  - module: kiln.unikernel.virtualbox_channel
"""

EXAMPLES = r"""
- name: Keep the five newest, and all of the last thirty days
  kiln.unikernel.virtualbox_retention:
    name: redis
    keep: 5
    older_than: 30d
"""

RETURN = r"""
removed:
  description: The images that went, or in check mode would.
  type: list
  elements: dict
  returned: always
  contains:
    image_id:
      description: UUID of its VM.
      type: str
    vm_name:
      description: The VM's name.
      type: str
steps:
  description: What was done, or in check mode would be.
  type: list
  elements: str
  returned: always
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kiln.unikernel.plugins.module_utils._channel_options import (
    RETENTION,
    retention_of,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import result_of
from ansible_collections.kiln.unikernel.plugins.module_utils._store import Store
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox import VBox
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_channels import plan_retained
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_module import (
    run_vbox_module,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_steps import (
    Remover,
    cloned_from,
)


def body(module: AnsibleModule, _store: Store, vbox: VBox) -> dict[str, Any]:
    """Plans, and carries the plan out unless in check mode."""
    params = module.params
    rule = retention_of(params)
    plan = plan_retained(vbox, params["name"], rule, cloned_from(vbox, params["name"]))
    if not module.check_mode:
        Remover(vbox).run(plan)
    removed = [{"image_id": step.facts["uuid"], "vm_name": step.detail} for step in plan.steps]
    return result_of(f"virtualbox_retention {params['name']}", plan, removed=removed)


def main() -> None:
    """Runs the module."""
    run_vbox_module(body, **RETENTION)


if __name__ == "__main__":
    main()
