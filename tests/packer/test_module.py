"""The module packer_build with the real Packer: what changes, what is refused."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.publish.modules import run

TEMPLATE = """
variable "text" { default = "one" }
variable "list" {
  type    = list(string)
  default = []
}
variable "secret" {
  default   = ""
  sensitive = true
}
variable "seconds" { default = "0" }
variable "status" { default = "0" }
variable "kiln_inputs" { default = "" }

source "null" "a" { communicator = "none" }
source "null" "b" { communicator = "none" }

build {
  sources = ["source.null.a", "source.null.b"]

  provisioner "shell-local" {
    environment_vars = ["TEXT=${var.text}", "LIST=${jsonencode(var.list)}", "SECRET=${var.secret}"]
    inline = [
      "echo $$ > pid",
      "sleep ${var.seconds}",
      "echo \\"$TEXT $LIST $GIVEN\\" | tee ${source.name}.txt",
      "printf %s \\"$SECRET\\" > ${source.name}.secret",
      "exit ${var.status}",
    ]
  }
  post-processors {
    post-processor "artifice" { files = ["${source.name}.txt"] }
    post-processor "manifest" {
      output      = "manifest.json"
      custom_data = { kiln_inputs = var.kiln_inputs }
    }
  }
}
"""


class Folder:
    """A folder with the template, and the module on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "t.pkr.hcl").write_text(TEMPLATE)

    def packer(self, check: bool = False, **options: object) -> dict:
        given = {"template": "t.pkr.hcl", "chdir": str(self.path), "manifest": "manifest.json"}
        return run("packer_build", check=check, **(given | options))

    def text(self, name: str = "a") -> str:
        return (self.path / f"{name}.txt").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_check_run_check_run(folder):
    told = folder.packer(check=True)
    assert told["changed"], told
    assert not (folder.path / "manifest.json").exists()
    done = folder.packer()
    assert (done["diff"], done["digest"]) == (told["diff"], told["digest"])
    assert sorted(build["name"] for build in done["builds"]) == ["a", "b"]
    stamp = (folder.path / "a.txt").stat().st_mtime_ns
    for check in (True, False):
        again = folder.packer(check=check)
        assert not again["changed"], again
        assert again["builds"] == done["builds"]
    assert (folder.path / "a.txt").stat().st_mtime_ns == stamp


def test_each_input_counts(folder):
    assert "There is no file or folder" in folder.packer(inputs=["more"])["msg"]
    (folder.path / "more").mkdir()
    (folder.path / "more/script").write_text("one")
    values = folder.path / "values.pkrvars.hcl"
    values.write_text('text = "from a file"')
    base = {"inputs": ["more"], "var_files": [str(values)]}
    assert folder.packer(**base)["changed"]
    assert folder.text().startswith("from a file")
    assert not folder.packer(**base)["changed"]
    (folder.path / "more/script").write_text("two")
    assert folder.packer(**base)["changed"]
    values.write_text('text = "again"')
    assert folder.packer(**base)["changed"]
    assert folder.packer(**base, variables={"text": "won", "list": ["x", "y z"]})["changed"]
    assert folder.text() == 'won ["x","y z"] \n'
    (folder.path / "t.pkr.hcl").write_text(TEMPLATE + "\n# another\n")
    assert folder.packer(**base)["changed"]
    assert not folder.packer(**base)["changed"]


def test_a_file_that_is_gone_is_built_again(folder):
    folder.packer()
    (folder.path / "b.txt").write_text("of another size")
    told = folder.packer(check=True)
    assert told["changed"]
    assert "b.txt" in told["diff"]["before"]
    assert folder.packer()["changed"]
    assert not folder.packer()["changed"]
    assert not folder.packer(force=True)["changed"]
    for _time in range(2):
        assert folder.packer(manifest=None)["changed"], "nothing tells what was built"


def test_some_builds_only(folder):
    done = folder.packer(only=["null.a"])
    assert [build["name"] for build in done["builds"]] == ["a"]
    assert not (folder.path / "b.txt").exists()
    done = folder.packer(**{"except": ["null.a"]})
    assert [build["name"] for build in done["builds"]] == ["b"]
    bad = folder.packer(only=["null.c"])
    assert "No build of" in bad["msg"], bad


def test_secrets_are_nowhere(folder):
    done = folder.packer(secrets={"secret": "hunter2"}, environment={"GIVEN": "given", "NUMBER": 7})
    assert folder.text() == "one [] given\n"
    assert (folder.path / "a.secret").read_text() == "hunter2"
    assert "hunter2" not in json.dumps(done)
    again = folder.packer(secrets={"secret": "another"}, environment={"GIVEN": "given"})
    assert not again["changed"], "a secret is not an input"


def test_validated_changes_nothing(folder):
    done = folder.packer(state="validated")
    assert not done["changed"]
    assert not (folder.path / "manifest.json").exists()
    (folder.path / "t.pkr.hcl").write_text(TEMPLATE + "\nnonsense {}\n")
    for options in ({"state": "validated"}, {"check": True}, {}):
        bad = folder.packer(**options)
        assert "Packer refuses the template" in bad["msg"], bad
        assert "nonsense" in bad["msg"]


def test_what_is_wrong_is_said(folder):
    bad = folder.packer(variables={"status": "3"})
    assert "Packer could not build" in bad["msg"], bad
    assert "exit status: 3" in bad["msg"] or "exit status 3" in bad["msg"], bad
    assert "There is no file or folder" in folder.packer(template="none.pkr.hcl")["msg"]
    assert "on Debian install the package packer" in folder.packer(executable="no-packer")["msg"]
    text = TEMPLATE.replace("custom_data = { kiln_inputs = var.kiln_inputs }", "")
    (folder.path / "t.pkr.hcl").write_text(text)
    done = folder.packer()
    assert "the next one builds again" in str(done["warnings"]), done


def has_ended(process: int) -> bool:
    """Whether it is gone, or is only kept for who started it, or init, to ask how it ended."""
    limit = time.monotonic() + 10
    while time.monotonic() < limit:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state in "ZX":
            return True
        time.sleep(0.01)
    return False


def test_a_time_limit_ends_all_that_was_started(folder):
    begin = time.monotonic()
    bad = folder.packer(variables={"seconds": "300"}, only=["null.a"], timeout=5)
    assert "Packer was not done after 5 seconds" in bad["msg"], bad
    assert time.monotonic() - begin < 60
    assert has_ended(int((folder.path / "pid").read_text()))
