"""The module vsphere_image against the strict vCenter: templates, again, changes, removal."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

from pyVmomi import vim

from tests.rigs.vsphere.rig import FOLDER, HOST, OTHER_NETWORK, POOL, STORES, Rig


def only(rig: Rig) -> dict:
    machines = rig.machines()
    assert len(machines) == 1, machines
    return machines[0]


def disk_of(ova: Path) -> bytes:
    with tarfile.open(ova) as archive:
        name = next(name for name in archive.getnames() if name.endswith(".vmdk"))
        stream = archive.extractfile(name)
        assert stream is not None
        return stream.read()


def test_publish_makes_a_template_of_exactly_this_disk(vcenter, vsphere, ova):
    networks = {"VM Network": OTHER_NETWORK}
    made = vsphere.image(ova, description="Redis on Kiln", folder=FOLDER, networks=networks)
    assert made.get("changed"), made
    assert made["digest"] == hashlib.sha256(ova.read_bytes()).hexdigest()
    machine = only(vcenter)
    assert machine["name"] == made["template_name"] == f"redis-{made['digest'][:12]}"
    assert machine["template"]
    assert machine["annotation"] == "Redis on Kiln"
    assert (machine["folder"], machine["stores"]) == (FOLDER, [STORES[0]])
    attributes = machine["attributes"]
    assert (attributes["kiln.name"], attributes["kiln.digest"]) == ("redis", made["digest"])
    assert {"ParaVirtualSCSIController", "VirtualVmxnet3", "VirtualDisk"} <= set(machine["devices"])
    disk = machine["devices"]["VirtualDisk"]
    assert disk.capacityInKB == 64 << 10
    (lease,) = vcenter.state()["leases"].values()
    content = disk_of(ova)
    assert lease["state"] == "completed"
    assert list(lease["disks"].values()) == [
        {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    ]
    assert lease["percents"][-1] == 100


def test_check_mode_tells_the_same_and_changes_nothing(vcenter, vsphere, ova):
    told = vsphere.image(ova, check=True, description="one", folder=FOLDER)
    assert told.get("changed"), told
    assert not told["published"]
    assert vcenter.machines() == []
    assert not vsphere.store.exists()
    done = vsphere.image(ova, description="one", folder=FOLDER)
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    again = vsphere.image(ova, check=True, description="one", folder=FOLDER)
    assert not again["changed"]
    assert again["diff"]["before"] == again["diff"]["after"] == done["diff"]["after"]


def test_a_second_publish_sends_and_changes_nothing(vcenter, vsphere, ova):
    first = vsphere.image(ova)
    before = vcenter.state()["counts"]
    second = vsphere.image(ova)
    after = vcenter.state()["counts"]
    assert not second["changed"]
    assert second["image_id"] == first["image_id"]
    changing = "upload ImportVApp SetField ReconfigVM_Task MarkAsTemplate Rename_Task".split()
    assert {name: before.get(name) for name in changing} == {
        name: after.get(name) for name in changing
    }


def test_the_upload_can_be_watched(vsphere, ova, tmp_path, monkeypatch):
    folder = tmp_path / "progress"
    folder.mkdir()
    monkeypatch.setenv("KILN_PROGRESS", str(folder))
    vsphere.image(ova)
    (path,) = folder.iterdir()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0]["label"] == "redis to DC0"
    assert lines[-1]["finished"]
    assert lines[-1]["done"] == lines[-1]["total"] == len(disk_of(ova))


def test_what_can_be_changed_is_changed_and_only_that(vcenter, vsphere, ova):
    first = vsphere.image(ova, description="old")
    options = {"description": "new", "folder": FOLDER, "template_name": "redis-now"}
    told = vsphere.image(ova, check=True, **options)
    done = vsphere.image(ova, **options)
    assert (
        done["steps"]
        == told["steps"]
        == [
            "rename DC0: redis-now",
            f"move DC0: {FOLDER}",
            "describe DC0: new",
        ]
    )
    assert done["image_id"] == first["image_id"]
    machine = only(vcenter)
    assert (machine["name"], machine["folder"], machine["annotation"]) == (
        "redis-now",
        FOLDER,
        "new",
    )
    assert vcenter.state()["counts"]["ImportVApp"] == 1
    assert not vsphere.image(ova, folder=FOLDER, template_name="redis-now")["changed"]


def test_tags_are_custom_attributes_and_others_are_left_alone(vcenter, vsphere, ova):
    told = vsphere.image(ova, check=True, tags={"team": "data", "tier": 1})
    made = vsphere.image(ova, tags={"team": "data", "tier": 1})
    assert (made["diff"], made["steps"]) == (told["diff"], told["steps"])
    attributes = only(vcenter)["attributes"]
    assert (attributes["team"], attributes["tier"]) == ("data", "1")
    (known,) = vsphere.info()["images"]
    assert known["tags"] == {"team": "data", "tier": "1"}
    with vcenter.connected() as content:
        machine = vcenter.machine(content, made["template_name"])
        fields = content.customFieldsManager
        key = fields.AddFieldDefinition("backup", vim.VirtualMachine).key
        fields.SetField(machine, key, "nightly")
    for same in ({}, {"tags": {"tier": "1"}, "purge_tags": False}):
        assert not vsphere.image(ova, **same)["changed"]
    told = vsphere.image(ova, check=True, tags={"tier": "2"})
    done = vsphere.image(ova, tags={"tier": "2"})
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    assert done["steps"] == ["tag DC0: tier=2"]
    attributes = only(vcenter)["attributes"]
    assert "team" not in attributes
    assert (attributes["tier"], attributes["backup"]) == ("2", "nightly")
    assert not vsphere.image(ova, tags={"tier": "2"})["changed"]


def test_a_fault_among_the_tags_is_made_good_by_the_next_run(vcenter, vsphere, ova):
    tags, others = {"team": "data", "tier": "1"}, {"team": "web"}
    for count in range(3):
        vcenter.fault("SetField", "drop", after=count)
        assert "setting the custom attribute" in vsphere.image(ova, tags=tags)["msg"]
        assert vsphere.info()["images"] == []
    assert vsphere.image(ova, tags=tags)["changed"]
    for count in range(4):
        vcenter.fault("SetField", "drop", after=count)
        assert "setting the custom attribute" in vsphere.image(ova, tags=others)["msg"]
        # All is done when only the list of them is left to be shortened.
        assert vsphere.image(ova, tags=others)["changed"] == (count < 3)
        assert "tier" not in only(vcenter)["attributes"]
        assert vsphere.image(ova, tags=tags)["changed"]
        (known,) = vsphere.info()["images"]
        assert known["tags"] == tags


def test_a_host_and_a_pool_can_be_named(vcenter, vsphere, ova, other):
    assert vsphere.image(ova, cluster=None, host=HOST)["changed"]
    made = vsphere.image(other, resource_pool=POOL, datastore=STORES[1])
    assert made.get("changed"), made
    assert {tuple(machine["stores"]) for machine in vcenter.machines()} == {
        (name,) for name in STORES
    }


def test_a_name_of_another_content_is_refused_or_replaced_on_request(vcenter, vsphere, ova, other):
    first = vsphere.image(ova, template_name="redis")
    refused = vsphere.image(other, template_name="redis")
    assert f"the name 'redis' belongs to the content {first['digest'][:12]}" in refused["msg"]
    assert "set `replace`" in refused["msg"]
    told = vsphere.image(other, template_name="redis", replace=True, check=True)
    done = vsphere.image(other, template_name="redis", replace=True)
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    machine = only(vcenter)
    assert (machine["name"], machine["attributes"]["kiln.digest"]) == ("redis", done["digest"])
    assert not vsphere.image(other, template_name="redis", replace=True)["changed"]


def test_what_is_not_of_kiln_is_never_replaced(vcenter, vsphere, ova, other):
    vsphere.image(ova, template_name="mine")
    with vcenter.connected() as content:
        keys = {field.name: field.key for field in content.customFieldsManager.field}
        content.customFieldsManager.SetField(
            vcenter.machine(content, "mine"), keys["kiln.digest"], ""
        )
    said = vsphere.image(other, template_name="mine", replace=True)
    assert "belongs to something not made by Kiln" in said["msg"]
    assert len(vcenter.machines()) == 1


def test_a_template_elsewhere_is_not_moved_silently(vsphere, ova):
    vsphere.image(ova)
    said = vsphere.image(ova, datastore=STORES[1])["msg"]
    assert f"its datastore is '{STORES[0]}', not '{STORES[1]}'" in said
    said = vsphere.image(ova, networks={"VM Network": OTHER_NETWORK})["msg"]
    assert "its networks is" in said


def test_absent_removes_only_this_content(vcenter, vsphere, ova, other):
    vsphere.image(ova)
    kept = vsphere.image(other)
    told = vsphere.image(ova, state="absent", check=True)
    assert told["changed"]
    assert len(vcenter.machines()) == 2
    done = vsphere.image(ova, state="absent")
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    assert only(vcenter)["attributes"]["kiln.digest"] == kept["digest"]
    assert not vsphere.image(ova, state="absent")["changed"]
    assert vsphere.image(None, digest=kept["digest"], state="absent")["changed"]
    assert not vsphere.image(None, digest=kept["digest"], state="absent")["changed"]


def test_machines_made_of_a_template_are_left_alone(vcenter, vsphere, ova):
    """A copy takes extra configuration along, and with some vCenters the attributes too."""
    made = vsphere.image(ova)
    with vcenter.connected() as content:
        template = vcenter.machine(content, made["template_name"])
        pool = vcenter.pool(content)
        spec = vim.vm.CloneSpec(location=vim.vm.RelocateSpec(pool=pool), template=False)
        vcenter.wait(template.CloneVM_Task(template.parent, "in-use", spec))
        copy = vcenter.machine(content, "in-use")
        for item in template.customValue:
            content.customFieldsManager.SetField(copy, item.key, item.value)
    assert vsphere.image(ova, state="absent")["changed"]
    assert only(vcenter)["name"] == "in-use"
    assert vsphere.image(ova)["image_id"] not in ("", made["image_id"])
    assert {machine["name"] for machine in vcenter.machines()} == {"in-use", made["template_name"]}


def test_a_template_made_a_machine_is_made_a_template_again(vcenter, vsphere, ova):
    made = vsphere.image(ova)
    with vcenter.connected() as content:
        template = vcenter.machine(content, made["template_name"])
        template.MarkAsVirtualMachine(vcenter.pool(content), None)
    again = vsphere.image(ova)
    assert again["steps"] == [f"finish DC0: {made['template_name']}"]
    assert again["image_id"] == made["image_id"]
    assert not vsphere.image(ova)["changed"]
