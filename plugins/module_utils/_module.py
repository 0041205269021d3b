# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What every module of the collection does in the same way: set up, fail with a sentence, diff."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable
from typing import Any, TypeAlias

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.kiln.unikernel.plugins.module_utils._diff import diff
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError, Store

Body: TypeAlias = Callable[[AnsibleModule, Store], dict[str, Any]]

_FULL = {errno.ENOSPC, errno.EDQUOT}
STORE_SPEC: dict[str, Any] = {"store": {"type": "path"}}


def run_module(
    body: Body,
    argument_spec: dict[str, Any],
    libraries: dict[str, bool] | None = None,
    store: bool = True,
    **rest: Any,
) -> None:
    """Makes the module, runs its body, and ends with its result or with the sentence it raised.

    `libraries` says of each Python library that the body needs whether it could be imported;
    `store` whether the module has an option for the store's place.
    """
    spec = STORE_SPEC | argument_spec if store else argument_spec
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True, **rest)
    for name, there in (libraries or {}).items():
        if not there:
            module.fail_json(msg=missing_required_lib(name))
    place = Store(module.params.get("store"))
    try:
        result = body(module, place)
    except KilnError as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=system_sentence(problem, place), exception=traceback.format_exc())
    module.exit_json(**result)


def system_sentence(problem: OSError, store: Store) -> str:
    """What the system said, about which file, and what to do when it is the store's."""
    place = str(problem.filename or "")
    said = f"{place}: {problem.strerror}" if place else str(problem)
    if problem.errno in _FULL:
        return (
            f"The disk is full ({said}). Make room there, or where the store {store.path} is, or "
            "name another with `store` or the environment variable KILN_CACHE."
        )
    if place != str(store.path) and not place.startswith(f"{store.path}/"):
        return f"{said}."
    return (
        f"The store {store.path} cannot be used: {said}. Name another with `store` or the "
        "environment variable KILN_CACHE."
    )


def by_state(kind: str, what: str, present: Body) -> Body:
    """The body of a module that brings something of a kind into the store, or takes it out."""

    def body(module: AnsibleModule, store: Store) -> dict[str, Any]:
        if module.params["state"] == "present":
            return present(module, store)
        return _absent(module, store, kind, what)

    return body


def _absent(module: AnsibleModule, store: Store, kind: str, what: str) -> dict[str, Any]:
    name = module.params["name"]
    digest = store.current(kind, name)
    if digest and not module.check_mode:
        store.remove(kind, digest)
    before = {"digest": digest} if digest else {}
    return {"changed": digest is not None, "diff": diff(f"{what} {name}", before, {})}
