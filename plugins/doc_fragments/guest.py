# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the modules that run a guest have in common in their documentation."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment: ports that lead to a guest, and how it says that it is there."""

    DOCUMENTATION = r"""
options:
  forwards:
    description: Ports of this machine that lead to ports of the guest.
    type: list
    elements: dict
    default: []
    suboptions:
      guest:
        description: The guest's port.
        type: int
        required: true
      host:
        description: This machine's port; V(0) takes a free one, which is returned.
        type: int
        default: 0
      protocol:
        description: The protocol.
        type: str
        choices: [tcp, udp]
        default: tcp
      address:
        description: Address of this machine to listen at.
        type: str
        default: 127.0.0.1
  wait_for:
    description: When the guest counts as started. As soon as it runs when left out.
    type: dict
    suboptions:
      port:
        description: Port of the guest, one of O(forwards), that must answer.
        type: int
        required: true
      send:
        description: What to send. The escapes of a YAML string in double quotes are at hand.
        type: str
        default: ""
      expect:
        description: What the answer must hold. With an empty O(wait_for.send) a greeting.
        type: str
        required: true
      timeout:
        description: Seconds to wait.
        type: int
        default: 60
"""
