"""What VBoxManage prints, as 7.2 prints it; and the plans for images."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import _vbox_images, _vbox_package
from ansible_collections.kiln.unikernel.plugins.module_utils._ovf import DiskFile, Machine, describe
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import PublishError
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox import (
    Machine as Vm,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox import (
    Medium,
    explain,
    parse_facts,
    parse_machines,
    parse_media,
    parse_notes,
    parse_version,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_images import (
    Found,
    Wanted,
    plan_absent,
    plan_present,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_steps import (
    children_first,
    standing_on,
)

WARNING = "WARNING: The character device /dev/vboxdrv does not exist.\n\t Please install …\n"
ONE, TWO = "92d5ab9b-52e3-4c99-95bf-260dec1ac4e4", "cca5ffda-960f-4917-aaae-5b6f0a725350"
MEDIA = f"""{WARNING}UUID:           019e
Parent UUID:    base
State:          created
Location:       /vms/redis/disk 1.vmdk

UUID:           93c2
Parent UUID:    019e
State:          created
Location:       /vms/other/Snapshots/{{93c2}}.vmdk
"""


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("7.2.22_Debianr175245\n", (7, 2, 22)),
        (WARNING + "7.0.6r155176\n", (7, 0, 6)),
        ("6.1.50\n", (6, 1, 50)),
        ("hello 7.2.1", None),
    ],
)
def test_a_version(text, version):
    assert parse_version(text) == version


def test_machines_with_odd_names():
    text = WARNING + f'"a "b" {{c}}" {{{ONE}}}\n"<inaccessible>" {{{TWO}}}\n'
    assert parse_machines(text) == {ONE: 'a "b" {c}', TWO: "<inaccessible>"}


def test_notes_are_the_collections_own():
    text = 'Key: GUI/X, Value: 1\nKey: kiln/tags, Value: {"a": "b, Value: c"}\n'
    assert parse_notes(text) == {"tags": '{"a": "b, Value: c"}'}
    assert parse_notes("No value set!\n") == {}


def test_facts_of_all_spellings():
    text = (
        'name="kt"\nmemory=256\n"SATA-0-0"="/a b/c.vmdk"\nnic1="nat"\n rec_screen0\n'
        'description="two\nlines \\"quoted\\" \\\\ back"\nuart1="0x03f8,4"\n'
    )
    facts = parse_facts(WARNING + text)
    assert facts["memory"] == "256"
    assert facts["SATA-0-0"] == "/a b/c.vmdk"
    assert facts["description"] == 'two\nlines "quoted" \\ back'
    assert facts["uart1"] == "0x03f8,4"


def test_media_and_who_stands_on_whom():
    media = parse_media(MEDIA)
    parent = Medium("019e", "", "/vms/redis/disk 1.vmdk")
    child = Medium("93c2", "019e", "/vms/other/Snapshots/{93c2}.vmdk")
    assert media == [parent, child]
    assert children_first(media) == [child, parent]
    assert standing_on(media, Path("/vms/redis")) == [child]
    assert standing_on(media, Path("/vms")) == []


def test_a_failure_becomes_a_sentence():
    said = (
        "0%...\nVBoxManage: error: Failed to clone medium\n"
        "VBoxManage: error: Could not write 'x' (VERR_DISK_FULL).\n"
        "VBoxManage: error: Details: code VBOX_E_FILE_ERROR (0x80bb0004), component MediumWrap\n"
        'VBoxManage: error: Context: "RTEXITCODE" at line 1208\n'
    )
    problem = explain(said, "importing x")
    assert str(problem) == (
        "VBoxManage failed while importing x: the disk is full (Failed to clone medium; Could not "
        "write 'x' (VERR_DISK_FULL)); make room there, or name another `folder`."
    )
    assert {"VBOX_E_FILE_ERROR", "VERR_DISK_FULL"} <= problem.codes
    assert "it said nothing of why" in str(explain("", "x"))


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_hardware_that_our_own_descriptors_ask_for(version):
    machine = Machine("redis", "virtualbox", version, cpus=3, memory=96, adapter="virtio")
    root = _vbox_package.ET.fromstring(describe(machine, DiskFile("d", 1, 512, "ab")))
    assert _vbox_package._asked(root) == {
        "cpus": 3,
        "memory": 96,
        "network_adapter": "virtio",
        "controller": "ahci",
    }
    assert _vbox_package._annotation(root) == "kiln sha256:ab"


def test_memory_in_other_units():
    facts = {"VirtualQuantity": "1", "AllocationUnits": "byte * 2^30"}
    assert _vbox_package._mebibytes(facts) == 1024
    assert _vbox_package._mebibytes({"VirtualQuantity": "5"}) == 5


def test_options_come_before_the_descriptor_and_that_before_defaults():
    hardware = _vbox_images.asked_hardware({"memory": 64, "cpus": 2}, {"cpus": 4}, Path("x"))
    assert hardware == {
        "network_adapter": "e1000",
        "controller": "ahci",
        "cpus": 4,
        "memory": 64,
    }
    with pytest.raises(PublishError, match="asks for the controller VirtualSCSI"):
        _vbox_images.asked_hardware({"controller": "VirtualSCSI"}, {}, Path("x"))


def wanted(**rest) -> Wanted:
    return Wanted("redis", "d1", None, dict(_vbox_images.DEFAULTS), **rest)


def test_an_unfinished_one_is_taken_away_first():
    left = Vm(ONE, "redis-d1", {"import": "redis d1"})
    plan = plan_present(Found([left], unfinished=[left]), wanted(), "", {})
    assert [step.verb for step in plan.steps] == ["discard", "import", "register"]
    assert [step.verb for step in plan_absent(Found([left], unfinished=[left]), {}).steps] == [
        "discard"
    ]


def test_a_note_that_a_clone_has_inherited_says_nothing():
    assert _vbox_images.is_image(Vm(ONE, "a", {"digest": "d1"}))
    assert not _vbox_images.is_image(Vm(ONE, "a", {"digest": "d1", "from": "d1"}))
