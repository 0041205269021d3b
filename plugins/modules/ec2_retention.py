#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# Together with amazon.aws, which it imports, it runs under the
# GNU General Public License v3.0+ (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Removes old images from EC2."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ec2_retention
short_description: Remove old images from EC2
version_added: 0.2.0
author: The Kiln authors (@kiln-unikernel)
description:
  - Deregisters old AMIs that M(kiln.unikernel.ec2_image) has made, and deletes their snapshots.
  - An image that a channel names, and the one that it would be rolled back to, always stay.
extends_documentation_fragment:
  - kiln.unikernel.kiln.changes
  - kiln.unikernel.publish.retention
  - kiln.unikernel.ec2
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: kiln.unikernel.ec2_image
  - module: kiln.unikernel.ec2_channel
"""

EXAMPLES = r"""
- name: Keep the five newest, and all of the last thirty days
  kiln.unikernel.ec2_retention:
    name: redis
    keep: 5
    older_than: 30d
    region: eu-central-1
    regions: [eu-west-1, us-east-1]
"""

RETURN = r"""
removed:
  description: The AMIs that went, or in check mode would.
  type: list
  elements: dict
  returned: always
  contains:
    region:
      description: The region.
      type: str
    image_id:
      description: The AMI.
      type: str
steps:
  description: What was done, or in check mode would be.
  type: list
  elements: str
  returned: always
"""

from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.kiln.unikernel.plugins.module_utils._channel_options import (
    RETENTION,
    retention_of,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._ec2 import Cloud
from ansible_collections.kiln.unikernel.plugins.module_utils._ec2_channels import plan_retained
from ansible_collections.kiln.unikernel.plugins.module_utils._ec2_module import (
    regions_of,
    run_ec2_module,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._ec2_steps import Remover
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import result_of


def body(module: AnsibleAWSModule, cloud: Cloud) -> dict[str, Any]:
    """Plans, and carries the plan out unless in check mode."""
    params = module.params
    rule = retention_of(params)
    plan = plan_retained(cloud, regions_of(module, cloud), params["name"], rule)
    if not module.check_mode:
        Remover(cloud).run(plan)
    removed = [{"region": step.where, "image_id": step.detail} for step in plan.steps]
    return result_of(f"ec2_retention {params['name']}", plan, removed=removed)


def main() -> None:
    """Runs the module."""
    run_ec2_module(body, **RETENTION)


if __name__ == "__main__":
    main()
