#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# Together with amazon.aws, which it imports, it runs under the
# GNU General Public License v3.0+ (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Tells which images were published to EC2."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ec2_image_info
short_description: Tell which Kiln images are on EC2
version_added: 0.2.0
author: The Kiln authors (@kiln-unikernel)
description:
  - Lists the AMIs that M(kiln.unikernel.ec2_image) has made in this account and that are available,
    newest first, and the channels that name them.
extends_documentation_fragment:
  - kiln.unikernel.kiln.asks
  - kiln.unikernel.publish.image_info
  - kiln.unikernel.ec2
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
seealso:
  - module: kiln.unikernel.ec2_image
  - module: kiln.unikernel.ec2_channel
"""

EXAMPLES = r"""
- name: Ask which versions of redis there are
  kiln.unikernel.ec2_image_info:
    name: redis
    region: eu-central-1
  register: known
"""

RETURN = r"""
images:
  description: The images, by region in the order asked for, newest first.
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
    ami_name:
      description: Its name.
      type: str
    digest:
      description: SHA-256 of its content.
      type: str
    created:
      description: When it was registered.
      type: str
    description:
      description: Its description.
      type: str
    deprecate_at:
      description: When it becomes deprecated; empty when it does not.
      type: str
    tags:
      description: Its tags, without the collection's own.
      type: dict
    channels:
      description: The channels that name it.
      type: list
      elements: str
"""

from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.kiln.unikernel.plugins.module_utils import _ec2_channels
from ansible_collections.kiln.unikernel.plugins.module_utils._ec2 import Cloud
from ansible_collections.kiln.unikernel.plugins.module_utils._ec2_images import (
    DIGEST_TAG,
    NAME_TAG,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._ec2_module import (
    regions_of,
    run_ec2_module,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._ec2_steps import listed
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import at_once


def body(module: AnsibleAWSModule, cloud: Cloud) -> dict[str, Any]:
    """Asks all regions at once."""
    given = {NAME_TAG: module.params["name"], DIGEST_TAG: module.params["digest"]}
    tags = {key: value for key, value in given.items() if value} or {DIGEST_TAG: "*"}
    regions = regions_of(module, cloud)
    channels = _ec2_channels.names_by_image(cloud, regions)
    found = at_once(lambda region: listed(cloud, region, tags), regions)
    images = [
        dict(item, channels=sorted(channels.get(item["image_id"], [])))
        for items in found
        for item in items
    ]
    return {"changed": False, "images": images}


def main() -> None:
    """Runs the module."""
    run_ec2_module(body, {"name": {"type": "str"}, "digest": {"type": "str"}})


if __name__ == "__main__":
    main()
