"""Calls of VBoxManage whose server does not come up in time."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import _publish, _vbox
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import Deadline
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox import VBox, VBoxError
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_listen import Course

# As 7.2 says it on a machine with much to do; the codes differ from time to time.
NO_SERVER = """VBoxManage: error: Failed to create the VirtualBox object!
VBoxManage: error: Code NS_ERROR_FACTORY_NOT_REGISTERED (0x80040154) - Class not registered
VBoxManage: error: Most likely, the VirtualBox COM server is not running or failed to start.
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A VBoxManage that fails as long as the file `fails` has lines, and logs each call."""
    monkeypatch.setattr(_vbox, "Patience", quick)
    path = tmp_path / "VBoxManage"
    path.write_text(f"""#!/bin/sh
cd {tmp_path}
[ "$1" = --version ] && echo 7.2.22r175245 && exit
echo "$*" >> calls
if [ -s fails ]; then
    sed -i 1d fails
    cat said >&2
    exit 1
fi
echo '"redis" {{92d5ab9b-52e3-4c99-95bf-260dec1ac4e4}}'
""")
    path.chmod(0o755)
    (tmp_path / "said").write_text(NO_SERVER)
    return path


def quick(deadline: Deadline, tries: int = 9) -> _publish.Patience:
    return _publish.Patience(deadline, tries, sleep=lambda _seconds: None)


def fail(program: Path, times: int) -> None:
    program.with_name("fails").write_text("x\n" * times)


def calls(program: Path) -> int:
    return len(program.with_name("calls").read_text().splitlines())


def test_it_is_asked_again(program):
    fail(program, 3)
    assert list(VBox(str(program), Deadline(60)).names().values()) == ["redis"]
    assert calls(program) == 4


def test_a_long_call_is_too(program):
    fail(program, 1)
    course = Course("import", 1, program)
    VBox(str(program), Deadline(60)).call("import", "x.ova", doing="importing", course=course)
    assert calls(program) == 2


def test_not_for_ever(program):
    fail(program, 99)
    with pytest.raises(VBoxError, match="while listing the VMs: Failed to create the VirtualBox"):
        VBox(str(program), Deadline(60)).names()
    assert calls(program) == 5


def test_another_failure_is_final(program):
    fail(program, 1)
    program.with_name("said").write_text("VBoxManage: error: Could not find a file\n")
    with pytest.raises(VBoxError, match="Could not find a file"):
        VBox(str(program), Deadline(60)).names()
    assert calls(program) == 1
