"""Runs what the modules' documentation shows, as it stands there, in one playbook.

What an example takes for granted (a program, a container image, a key) is laid out in the folder
that the playbook runs in. Only the place of the kernel's sources and the host's port are replaced.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/unit"))

from containers import Layout, layer, member  # noqa: E402
from elves import make_elf  # noqa: E402

from tests.lib.ports import free_port  # noqa: E402

# In the order in which a person would come to them: each may use what the ones before it made.
ORDER = (
    "kernel", "kernel_info", "java_runtime", "image", "image_info", "image_signature",
    "image_verify", "instance", "instance_info",
)  # fmt: skip
# Publishers talk to a server, which there is none of here; tests/packer runs those with Packer.
PUBLISHERS = ("ec2_", "vsphere_", "virtualbox_", "packer_")
MADE_BY = {"kernel": "built", "image": "baked"}
SHARED = ("apt", "build", "kernels", "packages")


def examples(module: str) -> str:
    """The text of a module's EXAMPLES."""
    source = (TOP / f"plugins/modules/{module}.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "EXAMPLES":
            return str(ast.literal_eval(node.value))
    raise LookupError(module)


def tasks(module: str, port: int) -> list[dict[str, Any]]:
    """A module's examples as tasks; what they make is registered as later ones call it."""
    text = examples(module).replace("/src/kiln/kernel-src", str(TOP / "kernel-src"))
    found: list[dict[str, Any]] = yaml.safe_load(text.replace("16379", str(port)))
    for task in found:
        if f"kiln.unikernel.{module}" in task and module in MADE_BY:
            task.setdefault("register", MADE_BY[module])
    return found


def lay_out(folder: Path) -> None:
    """What the examples find on the machine."""
    (folder / "build").mkdir()
    (folder / "playbooks/files").mkdir(parents=True)
    shutil.copy(TOP / "playbooks/files/Web.java", folder / "playbooks/files")
    program = folder / "hello.c"
    program.write_text("int main(void) { return 0; }\n", encoding="ascii")
    subprocess.run(["gcc", "-o", folder / "build/hello", program], check=True)
    layout = Layout()
    config = {"Entrypoint": ["web"], "Env": ["PATH=/bin"]}
    layout.finish(layout.image([layer(member("bin/web", make_elf()))], config))
    layout.as_archive(folder / "web.oci.tar")
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "release.key"]
    subprocess.run(command, check=True)
    (folder / "release.key.pub").rename(folder / "release.pub")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A store of its own that shares packages and built kernels with the user's."""
    usual = Path(os.environ.get("KILN_CACHE") or "~/.cache/kiln").expanduser()
    store = tmp_path / "store"
    store.mkdir()
    for name in SHARED:
        (usual / name).mkdir(parents=True, exist_ok=True)
        (store / name).symlink_to(usual / name)
    tree = subprocess.run([TOP / "tools/tree"], check=True, capture_output=True, text=True)
    return dict(
        os.environ,
        KILN_CACHE=str(store),
        ANSIBLE_COLLECTIONS_PATH=tree.stdout.strip(),
        ANSIBLE_HOME=str(TOP / "build/ansible"),
        ANSIBLE_LOCALHOST_WARNING="false",
        ANSIBLE_INVENTORY_UNPARSED_WARNING="false",
        ANSIBLE_NOCOLOR="1",
        LC_ALL="C.UTF-8",
    )


def test_every_module_has_its_place() -> None:
    """A new module's examples are run too."""
    modules = {path.stem for path in (TOP / "plugins/modules").glob("*.py")}
    assert {name for name in modules if not name.startswith(PUBLISHERS)} == set(ORDER)


def test_the_examples_do_what_they_say(tmp_path: Path, environment: dict[str, str]) -> None:
    """All of them, and whatever happens no guest stays."""
    lay_out(tmp_path)
    port = free_port()
    absent = {"kiln.unikernel.instance": {"name": "redis", "state": "absent"}, "name": "Clean up"}
    play = {
        "name": "Run the examples",
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "tasks": [
            {
                "name": "Each in turn",
                "block": [task for module in ORDER for task in tasks(module, port)],
                "always": [absent],
            }
        ],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    command = [Path(sys.executable).with_name("ansible-playbook"), "play.yml"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    count = sum(len(tasks(module, port)) for module in ORDER) + 1
    assert f"ok={count} " in done.stdout, "each example ran"
    assert (tmp_path / "redis.lock.json").is_file()
