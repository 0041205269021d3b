# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What every module of the collection does in the same way: set up, fail with a sentence, diff."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError, Store

STORE_SPEC: dict[str, Any] = {"store": {"type": "path"}}


def run_module(
    body: Callable[[AnsibleModule, Store], dict[str, Any]],
    argument_spec: dict[str, Any],
    libraries: dict[str, bool] | None = None,
    **rest: Any,
) -> None:
    """Makes the module, runs its body, and ends with its result or with the sentence it raised.

    `libraries` says of each Python library that the body needs whether it could be imported.
    """
    module = AnsibleModule(
        argument_spec=STORE_SPEC | argument_spec, supports_check_mode=True, **rest
    )
    for name, there in (libraries or {}).items():
        if not there:
            module.fail_json(msg=missing_required_lib(name))
    try:
        result = body(module, Store(module.params["store"]))
    except KilnError as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(**result)


def diff(what: str, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Ansible's diff of two plans' ends."""
    return {
        "before_header": what,
        "after_header": what,
        "before": _text(before),
        "after": _text(after),
    }


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n" if value else ""
