#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# It may be combined with works under the GNU General Public License v3.0+, as Ansible is
# (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Names the current image in VirtualBox."""

from __future__ import annotations

DOCUMENTATION = r"""
module: virtualbox_channel
short_description: Name the current image in VirtualBox, or go back to the one before
version_added: 0.2.0
author: The Kiln authors (@kiln-unikernel)
description:
  - A channel, such as V(redis/stable), names the image that is current.
  - It is kept in VirtualBox's own extradata, as C(kiln/channel/redis/stable), and changed by one
    call. M(kiln.unikernel.virtualbox_vm) follows it.
extends_documentation_fragment:
  - kiln.unikernel.kiln
  - kiln.unikernel.kiln.changes
  - kiln.unikernel.publish.channel
  - kiln.unikernel.virtualbox
seealso:
  - module: kiln.unikernel.virtualbox_image
  - module: kiln.unikernel.virtualbox_retention
"""

EXAMPLES = r"""
- name: Promote what was just published
  kiln.unikernel.virtualbox_channel:
    channel: redis/stable
    digest: "{{ published.digest }}"

- name: That one is bad, go back to the one before
  kiln.unikernel.virtualbox_channel:
    channel: redis/stable
    state: rolled_back
    digest: "{{ published.digest }}"
"""

RETURN = r"""
current:
  description:
    - What the channel names, C(image_id) and C(digest); in check mode what it would name. Empty
      when there is no channel.
  type: dict
  returned: always
steps:
  description: What was done, or in check mode would be.
  type: list
  elements: str
  returned: always
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kiln.unikernel.plugins.module_utils import _vbox_channels
from ansible_collections.kiln.unikernel.plugins.module_utils._channel_options import (
    CHANNEL,
    plan_channel,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import carry_out, result_of
from ansible_collections.kiln.unikernel.plugins.module_utils._store import Store
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox import VBox
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_images import WHERE
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_module import (
    run_vbox_module,
)


def body(module: AnsibleModule, _store: Store, vbox: VBox) -> dict[str, Any]:
    """Plans, and carries the plan out unless in check mode."""
    channel = module.params["channel"]
    found = _vbox_channels.observe(vbox, channel)
    plan = plan_channel(module.params, found, "virtualbox_image")
    if not module.check_mode:
        mover = _vbox_channels.Mover(vbox, channel, found[WHERE].history)
        carry_out(plan, mover.verbs(), parallel=1)
    return result_of(f"virtualbox_channel {channel}", plan, current=plan.after.get(WHERE, {}))


def main() -> None:
    """Runs the module."""
    run_vbox_module(body, **CHANNEL)


if __name__ == "__main__":
    main()
