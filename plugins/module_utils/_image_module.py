# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the module image does with its options: plan, look, bake, tell."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.kiln.unikernel.plugins.module_utils import (
    _base,
    _bom,
    _disks,
    _image,
    _ova,
    _preflight,
    _provenance,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._diff import diff
from ansible_collections.kiln.unikernel.plugins.module_utils._image_options import make_spec
from ansible_collections.kiln.unikernel.plugins.module_utils._store import Store, by_products


def present(module: AnsibleModule, store: Store) -> dict[str, Any]:
    """Plans the bake and carries the plan out; in check mode all but the packing is done."""
    spec = make_spec(module.params)
    check_libraries(module, spec)
    with by_products(store, module.check_mode) as work:
        plan = _image.make_plan(spec, store, work)
        folder = store.folder(_image.KIND, plan.digest)
        mode = module.params["preflight"]
        report = None if mode == "off" or plan.bake else _preflight.known(folder)
        app = (store.manifest(_image.KIND, plan.digest) or {}).get("app", spec.app)
        if plan.bake or (report is None and mode != "off"):
            with _image.staged(plan, spec, store, work) as ready:
                app = ready.app
                report = None if mode == "off" else _preflight.survey(ready.tree, ready.loaded)
                judge(module, report, app)
                bake(module, plan, spec, store, ready)
                if report is not None and not module.check_mode:
                    _preflight.keep(folder, report)
        else:
            judge(module, report, app)
            bake(module, plan, spec, store, None)
    return result(plan, spec, store, app) | {
        "preflight": None if report is None else _preflight.told(report)
    }


def check_libraries(module: AnsibleModule, spec: _image.ImageSpec) -> None:
    """Fails when a library is not there that an option asks for."""
    if spec.disk and spec.disk.schemas and not _ova.HAS_XMLSCHEMA:
        module.fail_json(msg=missing_required_lib("xmlschema", reason="for ovf_schema"))
    for name, library in _bom.missing_libraries(spec.sbom).items():
        reason = f"for the {name} bill of materials, which `sbom` can leave out"
        module.fail_json(msg=missing_required_lib(library, reason=reason))


def judge(module: AnsibleModule, report: list[_preflight.Looked] | None, app: Any) -> None:
    """Warns of what the guest will not have, or fails."""
    params = module.params
    program, allow = str(app["argv"][0]), params["preflight_allow"]
    for text in _preflight.judge(report or [], program, params["preflight"], allow):
        module.warn(text)


def bake(
    module: AnsibleModule,
    plan: _image.ImagePlan,
    spec: _image.ImageSpec,
    store: Store,
    ready: _image.Staged | None,
) -> None:
    """Carries the plan out, unless in check mode; what is there is checked as a new one would."""
    for text in ready.warnings if ready and plan.bake else ():
        module.warn(text)
    if spec.disk and not plan.bake:
        _disks.check_schemas(spec.disk, store.folder(_image.KIND, plan.digest))
    if plan.changed and not module.check_mode:
        _image.carry_out(plan, spec, store, ready if plan.bake else None)


def result(
    plan: _image.ImagePlan, spec: _image.ImageSpec, store: Store, app: dict[str, Any]
) -> dict[str, Any]:
    """What the module returns."""
    folder = store.folder(_image.KIND, plan.digest)
    manifest = store.manifest(_image.KIND, plan.digest) or {}
    root = folder / _image.ROOT
    told = {
        "changed": plan.changed,
        "diff": diff(f"image {spec.name}", plan.before, plan.after),
        "digest": plan.digest,
        "content_digest": manifest.get("content"),
        "disk_layout": manifest.get("disk_layout"),
        "root": str(root),
        "sbom": {name: str(folder / _bom.FILES[name]) for name in spec.sbom},
        "provenance": str(folder / _provenance.FILE),
        "size": root.stat().st_size if root.is_file() else None,
        "packages": plan.lock.as_json()["packages"],
        "app": manifest.get("app", app),
        "container": _base.container(spec.base),
    }
    return told | (_disks.paths(spec.disk, folder) if spec.disk else {})
