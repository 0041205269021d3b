"""The collection's templates with the real Packer, as the installed collection brings them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.publish.installed import Desk, install, make_program, make_store
from tests.rigs.ec2.rig import Rig

PING = {"wait_for": {"port": 6379, "send": "PING\r\n", "expect": "+PONG"}}


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("installed"))


@pytest.fixture
def templates(collections: Path) -> Path:
    return collections / "ansible_collections/kiln/unikernel/packer"


class Bench(Desk):
    """Calls the module packer_build from a playbook."""

    def tasks(self, *tasks: dict[str, Any], check: bool = False) -> tuple[int, str, list[dict]]:
        """Runs tasks; exit status, text, and the result of each."""
        noted = [dict(task, register=f"result_{number}") for number, task in enumerate(tasks)]
        results = "{{ [" + ", ".join(task["register"] for task in noted) + "] | to_json }}"
        copy = {"content": results, "dest": str(self.folder / "results.json"), "mode": "0600"}
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "tasks": [*noted, {"ansible.builtin.copy": copy, "check_mode": False}],
        }
        (self.folder / "play.yml").write_text(yaml.safe_dump([play], sort_keys=False))
        done = self.run("play.yml", *(["--check", "--diff"] if check else []))
        if done.code:
            return done.code, done.text, []
        return 0, done.text, json.loads((self.folder / "results.json").read_text())

    def well(self, *tasks: dict[str, Any], check: bool = False) -> list[dict]:
        """The results of tasks that must end well."""
        code, text, results = self.tasks(*tasks, check=check)
        assert code == 0, text + self.consoles()
        return results

    def consoles(self) -> str:
        """What the guests that Packer started have said, for who reads of a failure."""
        found = sorted(self.folder.glob("*.console"))
        return "".join(f"\n{path.name}:\n{path.read_text(errors='replace')}" for path in found)

    def refused(self, **options: Any) -> str:
        """The sentence of one that must not."""
        code, text, _results = self.tasks(task(**options))
        assert code != 0, text
        return text + self.consoles()


def task(**options: Any) -> dict[str, Any]:
    return {"kiln.unikernel.packer_build": options}


@pytest.fixture
def bench(collections: Path, tmp_path: Path) -> Bench:
    return Bench(collections, tmp_path, KILN_CACHE=str(make_store(tmp_path / "store")))


def describe(folder: Path, status: int = 0, **more: Any) -> Path:
    """The file that describes the image of a program that checks itself."""
    program = folder / "build/hello"
    program.parent.mkdir(exist_ok=True)
    make_program(program.parent).rename(program)
    described = {
        "image_files": [{"src": str(program), "dest": "/bin/hello"}],
        "image_argv": ["/bin/hello"],
        "image_env": {"STATUS": str(status)},
    }
    path = folder / "hello.yml"
    path.write_text(yaml.safe_dump(described | more))
    return path


def test_the_templates_are_valid(templates):
    given = {"pipeline": "x.yml", "name": "x", "targets": '["ec2"]', "disk": "/dev/null"}
    wanted = {
        "bake": ("pipeline", "name", "targets"),
        "boot": ("disk",),
        "publish": ("pipeline", "name", "targets"),
    }
    assert {path.name for path in templates.iterdir()} == set(wanted)
    for name, variables in wanted.items():
        words = [word for key in variables for word in ("-var", f"{key}={given[key]}")]
        done = subprocess.run(
            ["packer", "validate", *words, str(templates / name)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout


def test_the_examples_bake_and_boot(bench, templates, tmp_path):
    describe(tmp_path)
    from ansible_collections.kiln.unikernel.plugins.modules import packer_build  # noqa: PLC0415

    tasks = [
        dict(each, vars={"templates": str(templates)})
        for each in yaml.safe_load(packer_build.EXAMPLES)
    ]
    bake, boot = bench.well(*tasks)
    assert (bake["changed"], boot["changed"]) == (True, True)
    assert [item["name"] for item in bake["builds"][0]["files"]] == [
        "output/hello.raw", "output/hello.qcow2", "output/SHA256SUMS",
    ]  # fmt: skip
    subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=tmp_path / "output", check=True)
    console = (tmp_path / "booted.console").read_text().splitlines()
    assert "all is well" in console
    assert boot["builds"][0]["builder_type"] == "qemu"
    assert [each["changed"] for each in bench.well(*tasks)] == [False, False]
    describe(tmp_path, status=0, image_hostname="another")
    assert [each["changed"] for each in bench.well(*tasks, check=True)] == [True, False]
    assert [each["changed"] for each in bench.well(*tasks)] == [True, True]


def test_a_disk_that_does_not_answer_well_fails(bench, templates, tmp_path):
    pipeline = describe(tmp_path, status=3)
    given = {"pipeline": str(pipeline), "name": "hello", "check": False}
    bench.well(task(template=str(templates / "bake"), variables=given))
    said = bench.refused(template=str(templates / "boot"), variables={"disk": "output/hello.qcow2"})
    assert "the console does not say: kiln: exit status 0" in said, said
    assert "kiln: exit status 3" in said
    given["check"] = True
    said = bench.refused(template=str(templates / "bake"), variables=given, force=True)
    assert "has stopped in the stage boot" in said, said


TIMED = """\
#!/bin/sh
case "$*" in *-drive*) ;; *) exec {qemu} "$@" ;; esac
began=$(date +%s%N)
{qemu} "$@"
status=$?
echo $(($(date +%s%N) - began)) > {told}
exit $status
"""


def test_no_machine_ends_before_packer_waits_for_its_end(bench, templates, tmp_path):
    """Packer 1.6.6 may miss the end of a QEMU that ends in its first two seconds."""
    told = tmp_path / "nanoseconds"
    stand_in = tmp_path / "bin/qemu-system-x86_64"
    stand_in.parent.mkdir()
    stand_in.write_text(TIMED.format(qemu=shutil.which(stand_in.name), told=told))
    stand_in.chmod(0o755)
    bench.environment["PATH"] = f"{stand_in.parent}:{bench.environment['PATH']}"
    given = {"pipeline": str(describe(tmp_path)), "name": "hello", "check": False}
    disk = {"disk": "output/hello.qcow2"}
    bench.well(
        task(template=str(templates / "bake"), variables=given),
        task(template=str(templates / "boot"), variables=disk),
    )
    assert int(told.read_text()) > 2_000_000_000


def test_redis_is_baked_tried_and_published(bench, templates, tmp_path, rig: Rig):
    region = {"region": "eu-central-1", "endpoint_url": rig.url}
    target = {"type": "ec2", "channel": "redis/stable", "options": region}
    described = {"pipeline_role": "redis", "pipeline_boot": PING, "pipeline_targets": [target]}
    (tmp_path / "redis.yml").write_text(yaml.safe_dump(described))
    given = {"pipeline": "redis.yml", "name": "redis", "formats": ["raw"], "targets": ["ec2"]}
    shared = {"variables": given, "inputs": ["redis.yml"]}
    bake = task(template=str(templates / "bake"), manifest="output/manifest.json", **shared)
    publish = task(template=str(templates / "publish"), **shared)
    results = bench.well(bake, publish)
    images = rig.client("ec2").describe_images(Owners=["self"])["Images"]
    assert len(images) == 1
    assert any("Promote it on EC2" in line for line in results[1]["output"])
    booted = list((tmp_path / "store/images").glob("*/booted.json"))
    assert [json.loads(path.read_text()) for path in booted] == [PING]
