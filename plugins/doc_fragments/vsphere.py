# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the modules that publish to vSphere have in common in their documentation."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment: the way to the vCenter, and the time limit."""

    DOCUMENTATION = r"""
requirements:
  - pyVmomi (Python library)
options:
  hostname:
    description:
      - Name or address of the vCenter.
      - The environment variable E(VMWARE_HOST) when left out.
    type: str
  username:
    description: Who logs in; E(VMWARE_USER) when left out.
    type: str
    aliases: [user, admin]
  password:
    description: The password; E(VMWARE_PASSWORD) when left out.
    type: str
    aliases: [pass, pwd]
  port:
    description: The vCenter's port; E(VMWARE_PORT) when left out.
    type: int
    default: 443
  validate_certs:
    description: Whether certificates must be trusted; E(VMWARE_VALIDATE_CERTS) when left out.
    type: bool
    default: true
  datacenter:
    description: The datacenter; it may be left out where there is only one.
    type: str
  timeout:
    description:
      - Seconds after which the module gives up. It is one limit for all that the module does.
    type: int
    default: 3600
notes:
  - It needs a vCenter; an ESXi host has neither templates nor custom attributes.
  - The password is in no output.
"""
