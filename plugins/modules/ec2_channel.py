#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# Together with amazon.aws, which it imports, it runs under the
# GNU General Public License v3.0+ (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Promotes images on EC2 to a channel, and rolls a channel back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ec2_channel
short_description: Name the current image on EC2
version_added: 0.2.0
author: The Kiln authors (@kiln-unikernel)
description:
  - A channel, such as V(redis/stable), names the image that is current, in each region.
  - It is the SSM parameter C(/kiln/redis/stable) with the AMI as its value, changed by one request.
    Launch templates follow it by C(resolve:ssm:/kiln/redis/stable).
  - Nothing is changed in any region unless the image is available in all of them.
extends_documentation_fragment:
  - kiln.unikernel.kiln.changes
  - kiln.unikernel.publish.channel
  - kiln.unikernel.ec2
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: kiln.unikernel.ec2_image
  - module: kiln.unikernel.ec2_retention
"""

EXAMPLES = r"""
- name: Promote what was just published
  kiln.unikernel.ec2_channel:
    channel: redis/stable
    digest: "{{ published.digest }}"
    region: eu-central-1
    regions: [eu-west-1, us-east-1]

- name: That one is bad, go back to the one before
  kiln.unikernel.ec2_channel:
    channel: redis/stable
    state: rolled_back
    digest: "{{ published.digest }}"
    region: eu-central-1
    regions: [eu-west-1, us-east-1]
"""

RETURN = r"""
current:
  description: What the channel names in each region; in check mode what it would name.
  type: dict
  returned: always
  sample:
    eu-central-1: {image_id: ami-0123456789abcdef0, digest: 5d41…}
steps:
  description: What was done, or in check mode would be.
  type: list
  elements: str
  returned: always
"""

from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.kiln.unikernel.plugins.module_utils import _ec2_channels
from ansible_collections.kiln.unikernel.plugins.module_utils._channel_options import (
    CHANNEL,
    plan_channel,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._channels import check_channel
from ansible_collections.kiln.unikernel.plugins.module_utils._ec2 import Cloud
from ansible_collections.kiln.unikernel.plugins.module_utils._ec2_module import (
    regions_of,
    run_ec2_module,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import carry_out, result_of


def body(module: AnsibleAWSModule, cloud: Cloud) -> dict[str, Any]:
    """Plans, and carries the plan out unless in check mode."""
    channel = module.params["channel"]
    check_channel(channel)
    found = _ec2_channels.observe(cloud, regions_of(module, cloud), channel)
    plan = plan_channel(module.params, found, "ec2_image")
    if not module.check_mode:
        carry_out(plan, _ec2_channels.Mover(cloud, channel).verbs())
    return result_of(f"ec2_channel {channel}", plan, current=plan.after)


def main() -> None:
    """Runs the module."""
    run_ec2_module(body, **CHANNEL)


if __name__ == "__main__":
    main()
