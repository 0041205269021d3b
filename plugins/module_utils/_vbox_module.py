# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the virtualbox_* modules do in the same way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kiln.unikernel.plugins.module_utils._module import run_module
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import Deadline
from ansible_collections.kiln.unikernel.plugins.module_utils._store import Store
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox import VBox

COMMON_SPEC: dict[str, Any] = {
    "vboxmanage": {"type": "path", "default": "VBoxManage"},
    "timeout": {"type": "int", "default": 3600},
}

Body = Callable[[AnsibleModule, Store, VBox], dict[str, Any]]


def run_vbox_module(body: Body, spec: dict[str, Any], changes: bool = True, **rest: Any) -> None:
    """Makes the module, runs its body, and ends with its result or with the sentence it raised.

    One that changes things is alone with VirtualBox, among the runs with the same store.
    """

    def inner(module: AnsibleModule, store: Store) -> dict[str, Any]:
        vbox = VBox(module.params["vboxmanage"], Deadline(module.params["timeout"]))
        if not changes or module.check_mode:
            return body(module, store, vbox)
        with store.lock("virtualbox"):
            return body(module, store, vbox)

    run_module(inner, COMMON_SPEC | spec, **rest)
