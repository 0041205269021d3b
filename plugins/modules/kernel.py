#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# It may be combined with works under the GNU General Public License v3.0+, as Ansible is
# (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Builds the Kiln kernel from source."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel
short_description: Build the Kiln kernel from source
version_added: 0.1.0
author: The Kiln authors (@kiln-unikernel)
description:
  - Builds C(kiln.elf) with CMake and Ninja and keeps it in the store, under the SHA-256 of the
    sources, the options and the tools' versions.
  - A kernel that is in the store already is not built again. When sources have changed, only
    what depends on them is compiled.
requirements:
  - cmake, ninja and g++ or clang++
extends_documentation_fragment:
  - kiln.unikernel.kiln
  - kiln.unikernel.kiln.changes
options:
  name:
    description: Name under which the kernel that was built last can be found again.
    type: str
    default: kiln
  state:
    description: Whether the kernel shall be there, or be taken out of the store with its name.
    type: str
    choices: [present, absent]
    default: present
  source:
    description:
      - Folder of the kernel's sources on the machine that builds.
      - The role P(kiln.unikernel.kernel#role) passes the sources that the collection brings.
      - Required when O(state=present).
    type: path
  debug:
    description: Whether the kernel checks its own invariants while it runs.
    type: bool
    default: false
  compiler:
    description: C++ compiler, C(g++) or C(clang++), or either with a version.
    type: str
    default: g++
  jobs:
    description: How many files to compile at a time; as many as there are CPUs when left out.
    type: int
seealso:
  - module: kiln.unikernel.kernel_info
  - module: kiln.unikernel.image
"""

EXAMPLES = r"""
- name: Build the kernel
  kiln.unikernel.kernel:
    source: /src/kiln/kernel-src
  register: built

- name: Show where it lies
  ansible.builtin.debug:
    var: built.kernel
"""

RETURN = r"""
digest:
  description: SHA-256 of sources, options and tools, the kernel's name in the store.
  type: str
  returned: when O(state=present)
  sample: 3d5c5f0c0a1f2c8d7b6e9f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e
kernel:
  description: Path of C(kiln.elf). In check mode it may not be there yet.
  type: str
  returned: when O(state=present)
  sample: /home/user/.cache/kiln/kernels/3d5c…/kiln.elf
debug:
  description: Path of the same kernel with all that gdb wants to know, C(kiln.debug).
  type: str
  returned: when O(state=present)
  sample: /home/user/.cache/kiln/kernels/3d5c…/kiln.debug
size:
  description: Size of C(kiln.elf) in bytes, null when it is not there yet.
  type: int
  returned: when O(state=present)
  sample: 1212416
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kiln.unikernel.plugins.module_utils import _kernel
from ansible_collections.kiln.unikernel.plugins.module_utils._diff import diff
from ansible_collections.kiln.unikernel.plugins.module_utils._module import by_state, run_module
from ansible_collections.kiln.unikernel.plugins.module_utils._store import Store


def present(module: AnsibleModule, store: Store) -> dict[str, Any]:
    """Plans the build and carries the plan out."""
    params = module.params
    spec = _kernel.KernelSpec(
        source=Path(params["source"]),
        name=params["name"],
        debug=params["debug"],
        compiler=params["compiler"],
        jobs=params["jobs"],
    )
    plan = _kernel.make_plan(spec, store)
    if plan.changed and not module.check_mode:
        _kernel.carry_out(plan, spec, store)
    path = store.folder(_kernel.KIND, plan.digest) / _kernel.ELF
    return {
        "changed": plan.changed,
        "diff": diff(f"kernel {spec.name}", plan.before, plan.after),
        "digest": plan.digest,
        "kernel": str(path),
        "debug": str(path.with_name(_kernel.DEBUG)),
        "size": path.stat().st_size if path.is_file() else None,
    }


def main() -> None:
    """Runs the module."""
    run_module(
        by_state(_kernel.KIND, "kernel", present),
        {
            "name": {"type": "str", "default": "kiln"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "source": {"type": "path"},
            "debug": {"type": "bool", "default": False},
            "compiler": {"type": "str", "default": "g++"},
            "jobs": {"type": "int"},
        },
        required_if=[("state", "present", ("source",))],
    )


if __name__ == "__main__":
    main()
