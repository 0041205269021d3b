# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the modules for VirtualBox have in common in their documentation."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment: where VBoxManage is, and the time limit."""

    DOCUMENTATION = r"""
requirements:
  - VirtualBox, 7.0 or newer
options:
  vboxmanage:
    description: VBoxManage, by its path or as it is found in E(PATH).
    type: path
    default: VBoxManage
  timeout:
    description:
      - Seconds after which the module gives up. It is one limit for all that the module does.
    type: int
    default: 3600
notes:
  - Works on the VirtualBox of the user that the module runs as. E(VBOX_USER_HOME) in the task's
    C(environment) names another of that user's.
"""
