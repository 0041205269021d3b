"""vsphere_image with a content library: items, new versions, what an interruption leaves."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import pytest

from tests.publish.ova import make_ova
from tests.rigs.vsphere.rig import Rig


def only(rig: Rig) -> dict:
    items = rig.items()
    assert len(items) == 1, items
    return items[0]


def content_of(ova: Path) -> dict[str, str]:
    """The SHA-256 of each file in an OVA."""
    with tarfile.open(ova) as archive:
        return {
            member.name: hashlib.sha256(archive.extractfile(member).read()).hexdigest()
            for member in archive
        }


def held(rig: Rig, item: str) -> dict[str, str]:
    files = rig.state()["items"][item]["files"]
    return {name: facts["sha256"] for name, facts in files.items()}


def test_an_item_gets_the_files_of_the_ova_and_then_a_new_version(vcenter, vsphere, ova, tmp_path):
    told = vsphere.item(ova, description="Redis\non Kiln", check=True)
    assert vcenter.items() == []
    made = vsphere.item(ova, description="Redis\non Kiln")
    assert made.get("changed"), made
    assert (made["diff"], made["steps"]) == (told["diff"], told["steps"])
    item = only(vcenter)
    assert (item["name"], item["type"], item["id"]) == ("redis", "ovf", made["image_id"])
    assert item["description"] == f"Redis\non Kiln\nkiln.unikernel redis {made['digest']}"
    assert held(vcenter, item["id"]) == content_of(ova)
    before = vcenter.state()["counts"]
    again = vsphere.item(ova)
    after = vcenter.state()["counts"]
    assert not again["changed"]
    changing = ("POST library/item", "POST library/item/update-session", "PUT data")
    assert [before.get(name) for name in changing] == [after.get(name) for name in changing]

    other = make_ova(tmp_path / "two.ova", b"two", name="redis-2")
    changed = vsphere.item(other)
    assert changed["steps"] == ["upload images: a new version of redis"]
    assert changed["image_id"] == made["image_id"]
    assert held(vcenter, item["id"]) == content_of(other)
    assert vcenter.state()["items"][item["id"]]["version"] == 2
    assert only(vcenter)["description"].startswith("Redis\non Kiln\n")
    assert vsphere.info(library="images", name="redis")["items"][0]["digest"] == changed["digest"]


def test_name_and_description_are_changed_without_an_upload(vcenter, vsphere, ova):
    vsphere.item(ova)
    changed = vsphere.item(ova, item_name="redis on kiln", description="new")
    assert changed["steps"] == ["update images: redis on kiln"]
    item = only(vcenter)
    assert item["name"] == "redis on kiln"
    assert vcenter.state()["items"][item["id"]]["version"] == 1
    assert not vsphere.item(ova, item_name="redis on kiln")["changed"]


def test_absent_removes_the_item_if_it_has_this_content(vcenter, vsphere, ova, other):
    vsphere.item(ova)
    assert not vsphere.item(other, state="absent")["changed"]
    told = vsphere.item(ova, state="absent", check=True)
    assert told["changed"]
    only(vcenter)
    done = vsphere.item(ova, state="absent")
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    assert vcenter.items() == []
    assert not vsphere.item(ova, state="absent")["changed"]


def test_bad_input_gets_a_sentence(vcenter, vsphere, ova):
    said = vsphere.item(ova, library="none")["msg"]
    assert "There is no content library 'none'; there are: images" in said
    spec = {"library_id": vcenter.library, "name": "taken", "type": "ovf", "description": "mine"}
    vcenter.rest("POST", "com/vmware/content/library/item", {"create_spec": spec})
    said = vsphere.item(ova, item_name="taken")["msg"]
    assert "the name 'taken' belongs to something that is not Kiln's 'redis'" in said
    assert "leave `tags` out" in vsphere.item(ova, tags={"team": "data"})["msg"]
    assert "has refused the credentials" in vsphere.item(ova, password="wrong")["msg"]
    assert "Give `library`" in vsphere.item(ova, library=None)["msg"]
    spec = {"name": "followed", "type": "SUBSCRIBED", "storage_backings": vcenter.backings}
    vcenter.rest("POST", "com/vmware/content/subscribed-library", {"create_spec": spec})
    assert "is subscribed to another" in vsphere.item(ova, library="followed")["msg"]
    assert "rig-secret" not in "".join(vsphere.said)


PUT = "PUT data"
COMPLETE = "POST library/item/update-session complete"
FAULTS = [(PUT, "drop"), (PUT, "refuse"), (COMPLETE, "drop"), (COMPLETE, "lose")]


@pytest.mark.parametrize(("operation", "kind"), FAULTS)
def test_what_fails_is_not_shown_as_published_and_made_good(
    vcenter, vsphere, ova, other, operation, kind
):
    first = vsphere.item(ova)
    before = held(vcenter, first["image_id"])
    vcenter.fault(operation, kind, bytes=300, after=1 if operation == PUT else 0)
    failed = vsphere.item(other)
    assert failed["failed"], failed
    told = vsphere.info(library="images")["items"][0]
    if operation == PUT:
        assert held(vcenter, first["image_id"]) == before
        assert told["digest"] == first["digest"]
    else:
        assert told["digest"] == ""
    made = vsphere.item(other)
    assert (made["changed"], made["published"]) == (True, True)
    assert made["image_id"] == first["image_id"]
    assert held(vcenter, first["image_id"]) == content_of(other)


def test_a_session_that_an_interrupted_run_has_left_is_ended(vcenter, vsphere, ova, other):
    made = vsphere.item(ova)
    spec = {"create_spec": {"library_item_id": made["image_id"]}}
    vcenter.rest("POST", "com/vmware/content/library/item/update-session", spec)
    assert vsphere.item(other).get("changed")


def test_a_first_upload_that_failed_is_no_item_yet(vcenter, vsphere, ova):
    vcenter.fault(PUT, "drop")
    assert vsphere.item(ova)["failed"]
    assert [item["digest"] for item in vsphere.info(library="images")["items"]] == [""]
    assert vsphere.item(ova)["steps"] == ["upload images: a new version of redis"]
    assert len(vcenter.items()) == 1
