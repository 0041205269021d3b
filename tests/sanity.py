"""Runs ansible-test on a copy of the collection at the place in a tree that it asks for.

Usage: python tests/sanity.py sanity|units|integration [ARG ...]

The copy is the collection's Ansible side, without the tests of guests; the kernel's sources are in
it for the unit tests only, some of which compare the two, and its runner for the roles. A target of
integration is named, or its group (kiln/quick/, kiln/publish/; see the file aliases of each); the
counterparts that those chosen publish to are started here. ansible-test
fetches pip's installer from a host that a build machine may not reach, so a stub that does the same
with ensurepip and the package index is put where it keeps it. Its home is under build/ too.
"""

from __future__ import annotations

import filecmp
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

from ansible_test._internal.python_requirements import get_venv_packages

TOP = Path(__file__).resolve().parent.parent
TARGETS = TOP / "tests/integration/targets"
PYTHON = "3.11"
sys.path.insert(0, str(TOP))
OURS = ("changelogs/", "collections/", "docs/", "meta/", "playbooks/", "plugins/", "roles/")
RUNNER = ("kernel-src/run", "kernel-src/tools/")
OUR_TESTS = ("tests/config.yml", "tests/integration/", "tests/sanity/", "tests/unit/")

STUB = '''"""Stands in for get-pip: the same result from ensurepip and the package index."""
import ensurepip
import subprocess
import sys

wanted = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
ensurepip.bootstrap()
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", *wanted]))
'''


def base_folder() -> Path:
    """Where trees and homes lie: under build/, or elsewhere when that has a blank in its path.

    ansible-test itself cannot work below such a path. Each of its commands has a tree and a home of
    its own, so that they can run side by side.
    """
    if re.fullmatch(r"[\w/.+-]+", str(TOP)):
        return TOP / "build/ansible-test"
    name = hashlib.sha256(str(TOP).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"kiln-ansible-test-{os.getuid()}-{name}"


def virtualenv(base: Path) -> Path:
    """The virtualenv by a path without a blank: ansible-test puts it into first lines."""
    venv = TOP / ".venv"
    if base.is_relative_to(TOP):
        return venv
    link = base / "venv"
    link.unlink(missing_ok=True)
    link.symlink_to(venv)
    return link


def listed(more: tuple[str, ...]) -> set[str]:
    """What git knows or would take, of the Ansible side and of what else is asked for."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=TOP, check=True, capture_output=True, text=True)
    names = (name for name in done.stdout.split("\0") if name and (TOP / name).is_file())
    wanted = OURS + OUR_TESTS + more
    return {name for name in names if "/" not in name or name.startswith(wanted)}


def copy(tree: Path, wanted: set[str]) -> None:
    """Makes the tree hold exactly these files, ansible-test's own output aside."""
    for path in sorted(tree.rglob("*"), reverse=True):
        name = path.relative_to(tree).as_posix()
        if (
            path.is_file()
            and name not in wanted
            and not name.startswith((".git/", "tests/output/"))
        ):
            path.unlink()
    for name in sorted(wanted):
        target = tree / name
        if not target.exists() or not filecmp.cmp(TOP / name, target, shallow=False):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TOP / name, target)


def put_others(tree: Path) -> None:
    """Puts the collections that ours stands on beside it, as tools/setup has installed them."""
    place = tree.parents[1]
    for folder in (TOP / ".venv/collections/ansible_collections").glob("[a-z]*/[a-z]*"):
        target = place / folder.parent.name / folder.name
        if not (target / "MANIFEST.json").exists():
            shutil.copytree(folder, target, dirs_exist_ok=True)


def put_stub(home: Path) -> None:
    """Puts the stub where ansible-test looks for what it has fetched before."""
    version = get_venv_packages(SimpleNamespace(version=PYTHON))["pip"].replace(".", "_")
    place = home / f".ansible/test/cache/get_pip_{version}.py"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(STUB)


def chosen(words: list[str]) -> list[str]:
    """The roles whose targets these words name, by themselves or by their group; all without."""
    found = []
    for target in sorted(TARGETS.iterdir()):
        groups = (target / "aliases").read_text().split()
        if not words or target.name in words or set(groups) & set(words):
            found.append(target.name.removeprefix("role_"))
    return found


def build_kernel() -> Path:
    """The kernel, for roles that boot one; quick when it is there."""
    built = TOP / "build/kernel"
    configure = ["cmake", "-S", str(TOP / "kernel-src"), "-B", str(built), "-G", "Ninja"]
    subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", str(built), "--quiet"], check=True)
    return built / "kiln.elf"


@contextmanager
def counterparts(tree: Path, roles: list[str]) -> Iterator[None]:
    """Runs what these roles publish to; ansible-test hands the ways to it to the targets."""
    from tests.rigs.counterparts import make_ovas, of_roles  # noqa: PLC0415 - it links the tree

    facts: dict[str, object] = {}
    config = tree / "tests/integration/integration_config.yml"
    with of_roles(roles) as ways, tempfile.TemporaryDirectory(prefix="kiln-") as folder:
        if "pipeline" in roles:
            facts["rig_kernel"] = str(build_kernel())
        if {"publish_vsphere", "publish_virtualbox"} & set(roles):
            facts["rig_ovas"] = make_ovas(Path(folder))
        # JSON is YAML.
        config.write_text(json.dumps(facts | {"rig": ways}))
        try:
            yield
        finally:
            config.unlink()


def main() -> int:
    """Copies, then hands over."""
    what, words = sys.argv[1], [word for word in sys.argv[2:] if not word.startswith("-")]
    base = base_folder() / what
    more = {"units": ("kernel-src/", "tools/absent_calls"), "integration": RUNNER}.get(what, ())
    tree = base / "ansible_collections/kiln/unikernel"
    tree.mkdir(parents=True, exist_ok=True)
    copy(tree, listed(more))
    put_others(tree)
    # A repository of its own: what ansible-test finds in the one above is ignored there.
    subprocess.run(["git", "init", "--quiet", str(tree)], check=True)
    put_stub(base / "home")
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    env |= {"HOME": str(base / "home"), "LC_ALL": "C.UTF-8"}
    programs = virtualenv(base) / "bin"
    env["PATH"] = f"{programs}:/usr/bin:/bin"
    command = [str(programs / "python"), str(programs / "ansible-test"), *sys.argv[1:]]
    roles = chosen(words) if what == "integration" else []
    with counterparts(tree, roles) if roles else nullcontext():
        return subprocess.run(
            [*command, "--python", PYTHON, "--color", "no"], cwd=tree, env=env, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
