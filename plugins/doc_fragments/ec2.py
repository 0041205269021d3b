# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the modules that publish to EC2 have in common in their documentation."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment: regions and the time limit."""

    DOCUMENTATION = r"""
requirements:
  - amazon.aws (collection)
options:
  regions:
    description: Regions beside O(region) in which the same is to be.
    type: list
    elements: str
    default: []
  timeout:
    description:
      - Seconds after which the module gives up. It is one limit for all that the module does.
    type: int
    default: 3600
notes:
  - Credentials come from the options of amazon.aws, the environment, a profile or the machine's
    role. They are in no output.
  - With O(endpoint_url) all regions are asked of there.
"""
