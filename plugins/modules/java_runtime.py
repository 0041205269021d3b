#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# It may be combined with works under the GNU General Public License v3.0+, as Ansible is
# (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Makes what a Java program's image needs beyond packages."""

from __future__ import annotations

DOCUMENTATION = r"""
module: java_runtime
short_description: Make what the image of a Java program needs beyond Debian's packages
version_added: 0.2.0
author: The Kiln authors (@kiln-unikernel)
description:
  - Makes the key store of certification authorities, which a maintainer script makes on a full
    system; and, where asked for, a jar of source files, a runtime of only some modules, and an
    archive of classes that shortens the start.
  - All is made by the JVM out of the packages, on the machine that bakes, and kept in the store
    under the SHA-256 of packages, files and options. Nothing is installed.
  - Key store, jar and runtime are the same bytes wherever they are made. The archive is not, since
    the JVM itself writes it a little differently each time; images with one of the same store are
    the same, those of two stores differ in it.
  - The role P(kiln.unikernel.java#role) calls this module and bakes the image.
requirements:
  - apt and dpkg-deb; libstdc++6 and zlib1g for the JVM
extends_documentation_fragment:
  - kiln.unikernel.kiln
  - kiln.unikernel.kiln.changes
options:
  name:
    description: Name of the image that this is for.
    type: str
    required: true
  state:
    description: Whether it shall be there, or be taken out of the store with its name.
    type: str
    choices: [present, absent]
    default: present
  packages:
    description:
      - Debian packages of the image. With O(modules), those libraries that the runtime needs.
    type: list
    elements: str
    default: [openjdk-17-jre-headless]
  jdk_packages:
    description: Debian packages that have jlink's modules; used with O(modules) only.
    type: list
    elements: str
    default: [openjdk-17-jdk-headless, openjdk-17-jre-headless]
  sources:
    description: Java source files, compiled into C(app.jar).
    type: list
    elements: path
    default: []
  jars:
    description: The program's jars, in the order of the class path, after C(app.jar).
    type: list
    elements: path
    default: []
  jar_folder:
    description: Where the jars lie in the image.
    type: str
    default: /app
  cwd:
    description: The program's working directory.
    type: str
    default: /
  modules:
    description:
      - Modules of a linked runtime, which takes the place of the package's; none is linked when
        left out. V(auto) stands for those that jdeps finds the jars to need, which does not include
        modules that a program finds at run time.
    type: list
    elements: str
    default: []
  archive:
    description:
      - Class-data archive. V(default) is the one of the JDK's own classes, which the package has
        and a linked runtime is given; V(app) has the program's classes too; with V(none) a linked
        runtime has none.
    type: str
    choices: [none, default, app]
    default: default
  archive_run:
    description:
      - Main class and arguments of a run on the machine that bakes, whose classes go into the
        archive. All classes of the jars do when left out.
    type: list
    elements: str
    default: []
  archive_run_seconds:
    description:
      - After so many seconds that run is ended, which is no failure unless O(archive_run_until) is
        given and was not said.
    type: float
    default: 60
  archive_run_until:
    description:
      - Text in the run's output after which it has come far enough and is ended. Without it a
        program that does not end by itself runs for all of O(archive_run_seconds), and how much of
        it the archive gets depends on the machine.
    type: str
    default: ""
  options:
    description: Options of the JVM, as in the image.
    type: list
    elements: str
    default: []
  gc:
    description: The garbage collector that the archive is for.
    type: str
    choices: [auto, serial, parallel, g1, z]
    default: auto
  lock:
    description: Lock file of the image, whose packages are taken when it is there.
    type: path
  update_lock:
    description: Whether the image's lock file is to be made anew.
    type: bool
    default: false
seealso:
  - module: kiln.unikernel.image
"""

EXAMPLES = r"""
- name: Make the key store for Debian's JRE
  kiln.unikernel.java_runtime:
    name: web
  register: made

- name: Make a runtime of the modules that a source file needs, with an archive of all classes
  kiln.unikernel.java_runtime:
    name: small
    packages: [libc6, libstdc++6, zlib1g]
    sources: [playbooks/files/Web.java]
    modules: [auto]
    archive: app
  register: made
"""

RETURN = r"""
digest:
  description: SHA-256 of what it was made from, its name in the store.
  type: str
  returned: when O(state=present)
  sample: 76d8a5bfd5f5a90d08d788ec0657ee7be5f3e8349d279e3c66756e036e3b1204
ready:
  description: Whether all is there; not in check mode when it is yet to be made.
  type: bool
  returned: when O(state=present)
modules:
  description: Modules that the runtime was linked of.
  type: list
  elements: str
  returned: when O(state=present)
home:
  description: Where Java lies in the image.
  type: str
  returned: when O(state=present)
  sample: /usr/lib/jvm/java-17-openjdk-amd64
class_path:
  description: The class path in the image, relative to O(cwd).
  type: str
  returned: when O(state=present)
  sample: app/app.jar
archive:
  description: Path of the class-data archive in the image, null when the JVM finds its own.
  type: str
  returned: when O(state=present)
files:
  description: What is to be added to the image, as O(kiln.unikernel.image#module:files) takes it.
  type: list
  elements: dict
  returned: when O(state=present)
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kiln.unikernel.plugins.module_utils import _java
from ansible_collections.kiln.unikernel.plugins.module_utils._diff import diff
from ansible_collections.kiln.unikernel.plugins.module_utils._module import by_state, run_module
from ansible_collections.kiln.unikernel.plugins.module_utils._store import Store, by_products

ARGUMENT_SPEC: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "packages": {"type": "list", "elements": "str", "default": ["openjdk-17-jre-headless"]},
    "jdk_packages": {
        "type": "list",
        "elements": "str",
        "default": ["openjdk-17-jdk-headless", "openjdk-17-jre-headless"],
    },
    "sources": {"type": "list", "elements": "path", "default": []},
    "jars": {"type": "list", "elements": "path", "default": []},
    "jar_folder": {"type": "str", "default": "/app"},
    "cwd": {"type": "str", "default": "/"},
    "modules": {"type": "list", "elements": "str", "default": []},
    "archive": {"type": "str", "choices": ["none", "default", "app"], "default": "default"},
    "archive_run": {"type": "list", "elements": "str", "default": []},
    "archive_run_seconds": {"type": "float", "default": 60},
    "archive_run_until": {"type": "str", "default": ""},
    "options": {"type": "list", "elements": "str", "default": []},
    "gc": {
        "type": "str",
        "choices": ["auto", "serial", "parallel", "g1", "z"],
        "default": "auto",
    },
    "lock": {"type": "path"},
    "update_lock": {"type": "bool", "default": False},
}


def make_spec(params: dict[str, Any]) -> _java.JavaSpec:
    """The options as the library takes them."""
    names = set(ARGUMENT_SPEC) - {"state", "sources", "jars", "lock"}
    return _java.JavaSpec(
        **{name: params[name] for name in names},
        sources=[Path(path).absolute() for path in params["sources"]],
        jars=[Path(path).absolute() for path in params["jars"]],
        lock=Path(params["lock"]) if params["lock"] else None,
    )


def present(module: AnsibleModule, store: Store) -> dict[str, Any]:
    """Plans, and unless in check mode makes what is missing."""
    spec = make_spec(module.params)
    with by_products(store, module.check_mode) as work:
        plan = _java.make_plan(spec, store, work)
    if plan.changed and not module.check_mode:
        _java.carry_out(plan, spec, store)
    manifest = store.manifest(_java.KIND, plan.digest)
    return {
        "changed": plan.changed,
        "diff": diff(f"java {spec.name}", plan.before, {"digest": plan.digest, **plan.inputs}),
        "digest": plan.digest,
        "ready": manifest is not None,
        "modules": manifest["modules"] if manifest else spec.modules,
        **_java.placement(spec, store.folder(_java.KIND, plan.digest)),
    }


def main() -> None:
    """Runs the module."""
    run_module(by_state(_java.KIND, "java", present), ARGUMENT_SPEC)


if __name__ == "__main__":
    main()
