"""The pipeline from the installed collection: twice, dry, broken at each stage, on two builders."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.publish.installed import TOP, make_program, make_store
from tests.rigs.ec2.rig import Rig

REGIONS = ["eu-central-1", "us-east-1", "eu-west-1"]
PIPELINE = "kiln.unikernel.pipeline"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "release"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True)
    return path


def target(rig: Rig, **more: object) -> dict:
    options = {"region": REGIONS[0], "regions": REGIONS[1:], "endpoint_url": rig.url}
    return {"type": "ec2", "channel": "check/stable", "options": options | {"timeout": 120}} | more


def variables(rig: Rig, folder: Path, status: int = 0, **more: object) -> dict:
    program = folder / "check"
    if not program.exists():
        make_program(folder)
    return {
        "pipeline_name": "check",
        "pipeline_targets": [target(rig)],
        "image_files": [{"src": str(program), "dest": "/bin/check"}],
        "image_argv": ["/bin/check"],
        "image_env": {"STATUS": str(status)},
    } | more


def published(rig: Rig, region: str = REGIONS[0]) -> list[dict]:
    found: list[dict] = rig.client("ec2", region).describe_images(Owners=["self"])["Images"]
    return found


def promoted(rig: Rig, name: str, region: str = REGIONS[0]) -> str:
    ssm = rig.client("ssm", region)
    return str(ssm.get_parameter(Name=f"/kiln/{name}/stable")["Parameter"]["Value"])


def test_check_run_check_run(rig, desk, tmp_path, key):
    keys = {"pipeline_signing_key": str(key), "pipeline_verify_key": f"{key}.pub"}
    given = variables(rig, tmp_path, **keys)
    dry = desk.run(PIPELINE, "--check", **given)
    assert dry.code == 0, dry.text
    assert dry.count("changed") > 0
    assert published(rig) == []
    first = desk.run(PIPELINE, **given)
    assert first.code == 0, first.text
    for region in REGIONS:
        assert [item["ImageId"] for item in published(rig, region)] == [
            promoted(rig, "check", region)
        ]
    folder = next((tmp_path / "store/images").glob("*/provenance.json.sig")).parent
    assert (folder / "booted.json").is_file()
    for words in (["--check"], []):
        again = desk.run(PIPELINE, *words, **given)
        assert again.code == 0, again.text
        assert again.count("changed") == 0, again.text
    other = desk.run(PIPELINE, **(given | {"pipeline_boot": {"memory": "64M"}}))
    assert other.count("changed") == 2, other.text


def test_an_image_that_fails_its_test_is_not_published(rig, desk, tmp_path):
    bad = desk.run(PIPELINE, **variables(rig, tmp_path, status=3))
    assert bad.code != 0
    assert "The pipeline check has stopped in the stage boot." in bad.text
    assert "ended with status 3" in bad.text
    assert "all is well" in bad.text
    assert published(rig) == []
    assert (tmp_path / "store/images/current/check").exists(), "the bake before it stays"
    good = desk.run(PIPELINE, **variables(rig, tmp_path))
    assert good.code == 0, good.text
    assert len(published(rig)) == 1


def test_a_failed_stage_leaves_those_before_it(rig, desk, tmp_path, key):
    given = variables(rig, tmp_path, pipeline_signing_key=str(key))
    stranger = tmp_path / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-f", str(stranger)], check=True)
    bad = desk.run(PIPELINE, **given, pipeline_verify_key=f"{stranger}.pub")
    assert "has stopped in the stage sign." in bad.text, bad.text
    assert "(bake, boot) stays" in bad.text
    assert published(rig) == []
    nowhere = target(rig, options={"region": "mars-north-1", "endpoint_url": rig.url})
    bad = desk.run(PIPELINE, **(given | {"pipeline_targets": [target(rig), nowhere]}))
    assert "has stopped in the stage publish. There is no region mars-north-1" in bad.text, bad.text
    assert "(bake, boot, sign) stays" in bad.text
    assert len(published(rig)) == 1, "the first target has it"
    with pytest.raises(Exception, match="ParameterNotFound"):
        promoted(rig, "check")


def test_a_word_that_the_role_does_not_have_is_refused(rig, desk, tmp_path):
    wrong = [target(rig, options={"regoin": "eu-central-1"})]
    bad = desk.run(PIPELINE, **variables(rig, tmp_path, pipeline_targets=wrong))
    assert "The target ec2 was given regoin, which the role publish_ec2 does not have." in bad.text
    assert not (tmp_path / "store/images").exists(), "nothing was baked"


@pytest.mark.parametrize("kind", ["ec2", "vsphere", "virtualbox"])
def test_all_that_a_role_takes_is_handed_on(kind):
    spec = yaml.safe_load((TOP / f"roles/publish_{kind}/meta/argument_specs.yml").read_text())
    tasks = yaml.safe_load((TOP / f"roles/pipeline/tasks/publish_{kind}.yml").read_text())
    ours = {f"publish_{kind}_{word}" for word in "state digest channel keep older_than".split()}
    assert set(tasks[0]["vars"]) == set(spec["argument_specs"]["main"]["options"]) - ours


def test_three_images_on_two_builders_to_three_regions(rig, desk, tmp_path):
    program = make_program(tmp_path)
    redis = {
        "pipeline_role": "redis",
        "pipeline_boot": {"wait_for": {"port": 6379, "send": "PING\r\n", "expect": "+PONG"}},
    }
    check = {
        "image_files": [{"src": str(program), "dest": "/bin/check"}],
        "image_argv": ["/bin/check"],
    }
    hosts = {
        "redis": redis,
        "one": check | {"image_env": {"STATUS": "0", "WHICH": "1"}},
        "two": check | {"image_env": {"STATUS": "0", "WHICH": "2"}},
    }
    builders = {"builder_a": ["redis"], "builder_b": ["one", "two"]}
    inventory = {
        "images": {
            "vars": {
                "ansible_connection": "local",
                "ansible_python_interpreter": "{{ ansible_playbook_python }}",
                "pipeline_name": "{{ inventory_hostname }}",
                "pipeline_targets": [target(rig, channel="{{ inventory_hostname }}/stable")],
            },
            "children": {
                builder: {
                    "vars": {"kiln_cache": str(make_store(tmp_path / builder))},
                    "hosts": {name: hosts[name] for name in names},
                }
                for builder, names in builders.items()
            },
        }
    }
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump(inventory))
    words = ["-i", "inventory.yml", "--forks", "3"]
    first = desk.run(PIPELINE, *words, pipeline_hosts="images")
    assert first.code == 0, first.text
    for region in REGIONS:
        assert len(published(rig, region)) == 3
        assert len({promoted(rig, name, region) for name in hosts}) == 3
    for builder, names in builders.items():
        made = sorted(path.name for path in (tmp_path / builder / "images/current").iterdir())
        assert made == names
    again = desk.run(PIPELINE, *words, pipeline_hosts="images")
    assert [again.count("changed", name) for name in hosts] == [0, 0, 0], again.text
