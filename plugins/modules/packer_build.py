#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# It may be combined with works under the GNU General Public License v3.0+, as Ansible is
# (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Runs a template of Packer where what it was built from has changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: packer_build
short_description: Build with a template of Packer
version_added: 0.2.0
author: The Kiln authors (@kiln-unikernel)
description:
  - Validates a template of HashiCorp's Packer and builds with it, unless that was done before from
    the same inputs. The inputs are the template, O(variables), O(var_files), O(only), O(except) and
    what O(inputs) names.
  - Their digest is handed to the template as the variable C(kiln_inputs), and looked for in the
    file that the template's C(manifest) post-processor writes. So the template has to declare that
    variable, and to have C(custom_data = { kiln_inputs = var.kiln_inputs }) there.
  - The collection's own templates are in its folder C(packer).
requirements:
  - packer (Debian package packer; templates in HCL2 need 1.6 or newer)
  - packer.py (Python library)
extends_documentation_fragment:
  - kiln.unikernel.kiln.changes
options:
  template:
    description: Path of a template, or of a folder with C(.pkr.hcl) files.
    type: path
    required: true
  state:
    description: V(built) validates and builds, V(validated) only validates and changes nothing.
    type: str
    choices: [built, validated]
    default: built
  manifest:
    description:
      - The file that the template's C(manifest) post-processor writes, relative to O(chdir).
      - Without it the module cannot know what was built, and builds each time.
    type: str
  variables:
    description: The template's variables, of any type.
    type: dict
    default: {}
  secrets:
    description:
      - More variables, that are in no output of the module and do not count for the digest. Declare
        them as C(sensitive) in the template, so that Packer does not show them either.
      - These and O(variables) are handed over in a file that only the user can read.
    type: dict
    default: {}
  var_files:
    description: Files with variables, in HCL or JSON. O(variables) win over them.
    type: list
    elements: path
    default: []
  only:
    description: Only builds of these names; C(*) stands for any characters.
    type: list
    elements: str
    default: []
  except:
    description: All builds but these.
    type: list
    elements: str
    default: []
  inputs:
    description:
      - Files and folders whose content counts, too, such as scripts and playbooks that the template
        calls.
    type: list
    elements: path
    default: []
  chdir:
    description: Folder to run Packer in; paths in the template are relative to it.
    type: path
    default: .
  environment:
    description: Environment variables for Packer, and for what the template calls.
    type: dict
    default: {}
  executable:
    description: Packer's program.
    type: str
    default: packer
  force:
    description:
      - Whether Packer may delete what is in the way of a build, such as an output folder of the
        QEMU builder. Packer cannot validate such a template in full then, but looks at its syntax.
    type: bool
    default: false
  on_error:
    description: What Packer does with a build that fails.
    type: str
    choices: [cleanup, abort]
    default: cleanup
  parallel_builds:
    description: How many builds run at a time, V(0) for all.
    type: int
    default: 0
  timeout:
    description:
      - Seconds after which Packer is ended, with all that it has started. It is one limit for each
        of validating and building.
    type: int
    default: 3600
attributes:
  check_mode:
    details:
      - Predicts from the manifest whether it would build, and validates then.
  idempotent:
    support: partial
    details:
      - With O(manifest), and as far as the inputs are named. What a template fetches by itself is
        not known to the module.
notes:
  - Packer is called by the Python library packer.py 0.3.0. That has no time limit, no folder and no
    environment of its own, hands variables over as text on the command line, and knows no option
    that is given several times; all this is added here.
  - What it cannot do, the module cannot either, such as to follow the output while Packer runs, or
    to answer to C(on-error=ask) and C(-debug). C(fix), C(console), C(init) and C(fmt) are not
    called.
  - Packer 1.6.6 ends well where O(only) or O(except) leaves no build; the module fails.
  - C(amazon-import) is not for images of Kiln, since ImportImage refuses guests that it does not
    know. The collection's templates publish by M(kiln.unikernel.ec2_image) and its like.
seealso:
  - module: kiln.unikernel.image
  - module: kiln.unikernel.ec2_image
"""

EXAMPLES = r"""
- name: Bake an image by the collection's template
  kiln.unikernel.packer_build:
    template: "{{ templates }}/bake"
    manifest: output/manifest.json
    variables:
      pipeline: hello.yml
      name: hello
      formats: [raw, qcow2]
    inputs: [hello.yml, build/hello]

- name: Boot it in Packer's QEMU
  kiln.unikernel.packer_build:
    template: "{{ templates }}/boot"
    manifest: booted/manifest.json
    variables:
      disk: output/hello.qcow2
    inputs: [output/hello.qcow2]
    force: true
    timeout: 300
"""

RETURN = r"""
digest:
  description: SHA-256 of all inputs.
  type: str
  returned: always
builds:
  description: What the manifest says of the last run; empty without O(manifest).
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: The build's name.
      type: str
    builder_type:
      description: Its builder, such as V(qemu).
      type: str
    files:
      description: Its files, with C(name) and C(size).
      type: list
      elements: dict
    artifact_id:
      description: Its identifier, where the builder has one.
      type: str
output:
  description: What Packer said while it built.
  type: list
  elements: str
  returned: when it built
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kiln.unikernel.plugins.module_utils import _packer
from ansible_collections.kiln.unikernel.plugins.module_utils._diff import diff
from ansible_collections.kiln.unikernel.plugins.module_utils._module import run_module
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError, Store


def template_of(params: dict[str, Any]) -> _packer.Template:
    """The template with what it depends on; all paths are made absolute."""
    folder = Path(params["chdir"]).absolute()
    return _packer.Template(
        path=folder / params["template"],
        variables=params["variables"],
        secrets=params["secrets"],
        var_files=[folder / each for each in params["var_files"]],
        only=params["only"],
        leave_out=params["except"],
        inputs=[folder / each for each in params["inputs"]],
    )


def validate(packer: _packer.Packer, template: _packer.Template, digest: str, force: bool) -> None:
    """Fails with what Packer has to say against the template.

    Packer's validate knows no -force and refuses an output folder that is there; then only the
    syntax is looked at, and the build says the rest before it begins.
    """
    options = {"syntax_only": True} if force else {}
    said = packer.call("validate", template, digest, **options)
    if said.status != 0:
        raise KilnError(f"Packer refuses the template {template.path}: {said.last()}")


def build(
    packer: _packer.Packer, template: _packer.Template, digest: str, params: Any
) -> list[str]:
    """Builds; what Packer said."""
    options: dict[str, Any] = {"on_error": params["on_error"]}
    options |= {"parallel_builds": params["parallel_builds"], "color": "false"}
    options |= {"force": True} if params["force"] else {}
    said = packer.call("build", template, digest, **options)
    if said.status != 0:
        raise KilnError(f"Packer could not build {template.path}: {said.last()}")
    if said.nothing_built:
        raise KilnError(
            f"No build of {template.path} is left by `only` and `except`, so nothing was built; "
            "the names are those that `packer inspect` shows, such as bake.null.kiln."
        )
    return said.lines()


def body(module: AnsibleModule, store: Store) -> dict[str, Any]:  # noqa: ARG001
    """Plans by the manifest, validates, and builds unless in check mode."""
    params = module.params
    folder = Path(params["chdir"]).absolute()
    template = template_of(params)
    facts = template.facts()
    digest = _packer.digest_of(facts)
    manifest = folder / params["manifest"] if params["manifest"] else None
    before = _packer.read_manifest(manifest, folder) if manifest else _packer.Built()
    env = {key: str(value) for key, value in params["environment"].items()}
    packer = _packer.Packer(params["executable"], folder, env, params["timeout"])
    changed = params["state"] == "built" and not before.whole(digest)
    if changed or params["state"] == "validated":
        validate(packer, template, digest, params["force"])
    result: dict[str, Any] = {"changed": changed, "digest": digest, "builds": before.builds}
    if changed:
        result["diff"] = diff(str(template.path), _state(before), {"digest": digest, **facts})
    if changed and not module.check_mode:
        result["output"] = build(packer, template, digest, params)
        result["builds"] = check_built(module, manifest, folder, digest)
    return result


def _state(built: _packer.Built) -> dict[str, Any]:
    return {"digest": built.digest, "missing": built.missing} if built.builds else {}


def check_built(
    module: AnsibleModule, manifest: Path | None, folder: Path, digest: str
) -> list[dict[str, Any]]:
    """What was built by the manifest; warns of one that does not keep the digest."""
    if manifest is None:
        return []
    after = _packer.read_manifest(manifest, folder)
    if not after.whole(digest):
        module.warn(
            f"{manifest} does not tell of this run, so the next one builds again: the template's "
            "manifest post-processor must write that file, with "
            "custom_data = { kiln_inputs = var.kiln_inputs }."
        )
    return after.builds


def main() -> None:
    """Runs the module."""
    lists = {
        name: {"type": "list", "elements": kind, "default": []}
        for name, kind in (
            ("var_files", "path"),
            ("only", "str"),
            ("except", "str"),
            ("inputs", "path"),
        )
    }
    run_module(
        body,
        {
            "template": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["built", "validated"], "default": "built"},
            "manifest": {"type": "str"},
            "variables": {"type": "dict", "default": {}},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "chdir": {"type": "path", "default": "."},
            "environment": {"type": "dict", "default": {}},
            "executable": {"type": "str", "default": "packer"},
            "force": {"type": "bool", "default": False},
            "on_error": {"type": "str", "choices": ["cleanup", "abort"], "default": "cleanup"},
            "parallel_builds": {"type": "int", "default": 0},
            "timeout": {"type": "int", "default": 3600},
            **lists,
        },
        {"packer.py": _packer.HAS_PACKERPY},
        store=False,
    )


if __name__ == "__main__":
    main()
