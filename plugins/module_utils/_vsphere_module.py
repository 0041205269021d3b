# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the vsphere_* modules do in the same way: options, session, result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule, env_fallback
from ansible_collections.kiln.unikernel.plugins.module_utils._module import run_module
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Deadline,
    PublishError,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._store import Store
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere import (
    HAS_PYVMOMI,
    Login,
    Vcenter,
)

COMMON_SPEC: dict[str, Any] = {
    "hostname": {"type": "str", "fallback": (env_fallback, ["VMWARE_HOST"])},
    "username": {
        "type": "str",
        "aliases": ["user", "admin"],
        "fallback": (env_fallback, ["VMWARE_USER"]),
    },
    "password": {
        "type": "str",
        "aliases": ["pass", "pwd"],
        "no_log": True,
        "fallback": (env_fallback, ["VMWARE_PASSWORD"]),
    },
    "port": {"type": "int", "default": 443, "fallback": (env_fallback, ["VMWARE_PORT"])},
    "validate_certs": {
        "type": "bool",
        "default": True,
        "fallback": (env_fallback, ["VMWARE_VALIDATE_CERTS"]),
    },
    "datacenter": {"type": "str"},
    "timeout": {"type": "int", "default": 3600},
}


def run_vsphere_module(
    body: Callable[[AnsibleModule, Store, Vcenter], dict[str, Any]],
    spec: dict[str, Any],
    **rest: Any,
) -> None:
    """Logs in, runs the module's body, logs out."""

    def connected(module: AnsibleModule, store: Store) -> dict[str, Any]:
        vcenter = Vcenter(login_of(module.params), Deadline(module.params["timeout"]))
        try:
            return body(module, store, vcenter)
        finally:
            vcenter.close()

    run_module(connected, COMMON_SPEC | spec, {"pyVmomi": HAS_PYVMOMI}, **rest)


def login_of(params: dict[str, Any]) -> Login:
    """Where and who, by the options."""
    for option, variable in (
        ("hostname", "VMWARE_HOST"),
        ("username", "VMWARE_USER"),
        ("password", "VMWARE_PASSWORD"),
    ):
        if not params[option]:
            raise PublishError(f"Which {option}? Give `{option}`, or set {variable}.")
    return Login(
        params["hostname"],
        params["port"],
        params["username"],
        params["password"],
        params["validate_certs"],
    )
