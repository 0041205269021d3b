"""vsphere_channel and vsphere_retention: promote, roll back, remove; what goes and what stays."""

from __future__ import annotations

import pytest

from tests.publish.ova import make_ova
from tests.publish.vsphere import Vsphere


@pytest.fixture
def made(vsphere: Vsphere, tmp_path) -> list[str]:
    """Three templates, oldest first."""
    found = [vsphere.image(make_ova(tmp_path / f"{word}.ova", word.encode())) for word in "abc"]
    return [item["digest"] for item in found]


def channels(vsphere: Vsphere) -> dict[str, list[str]]:
    return {item["digest"]: item["channels"] for item in vsphere.info()["images"]}


def both(vsphere: Vsphere, **options) -> dict:
    """Check mode, then the run, which must tell the same; then a run that changes nothing."""
    told = vsphere.channel(check=True, **options)
    done = vsphere.channel(**options)
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    assert not vsphere.channel(**options)["changed"]
    return done


def test_promote_and_roll_back(vsphere, made):
    one, two, three = made
    assert both(vsphere, digest=one)["changed"]
    assert both(vsphere, digest=two)["changed"]
    both(vsphere, digest=three)
    assert channels(vsphere) == {one: [], two: [], three: ["redis/stable"]}
    back = both(vsphere, state="rolled_back", digest=three)
    assert back["current"]["DC0"]["digest"] == two
    # What was rolled back from is passed over, until it is promoted again.
    both(vsphere, digest=one)
    assert both(vsphere, state="rolled_back", digest=one)["current"]["DC0"]["digest"] == two
    said = vsphere.channel(state="rolled_back", digest=two)["msg"]
    assert "has nothing to go back to" in said
    both(vsphere, digest=three)
    assert both(vsphere, state="rolled_back", digest=three)["current"]["DC0"]["digest"] == two
    both(vsphere, state="absent")
    assert channels(vsphere) == {one: [], two: [], three: []}


def test_what_a_channel_names_is_kept(vsphere, made):
    one, two, three = made
    both(vsphere, digest=one)
    both(vsphere, digest=two)
    said = vsphere.image(None, digest=two, state="absent")["msg"]
    assert "is what the channel redis/stable names" in said
    told = vsphere.retention(keep=0, check=True)
    done = vsphere.retention(keep=0)
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    assert done["removed"] == [f"redis-{three[:12]}"]
    assert set(channels(vsphere)) == {one, two}
    assert not vsphere.retention(keep=0)["changed"]
    gone = {"digest": two, "state": "absent"}
    told = vsphere.image(None, check=True, ignore_channels=["redis/stable"], **gone)
    assert vsphere.image(None, force=True, **gone)["diff"] == told["diff"]
    assert both(vsphere, digest=one)["current"]["DC0"]["digest"] == one


def test_retention_counts_and_looks_at_ages(vsphere, made):
    assert not vsphere.retention(keep=1, older_than="1h")["changed"]
    one, two, three = (f"redis-{digest[:12]}" for digest in made)
    assert vsphere.retention(keep=1)["removed"] == [two, one]
    assert vsphere.retention(older_than="0s")["removed"] == [three]
    assert not vsphere.retention(name="other", keep=0)["changed"]


def test_bad_input_gets_a_sentence(vsphere, made):
    assert "cannot be a channel" in vsphere.channel(channel="Redis", digest=made[0])["msg"]
    said = vsphere.channel(digest="ab" * 32)["msg"]
    assert "publish it there first (vsphere_image)" in said
    assert "is not an age" in vsphere.retention(older_than="soon")["msg"]
    assert "0 or more" in vsphere.retention(keep=-1)["msg"]


def test_a_channel_is_short_however_often_it_moved(vcenter, vsphere, made):
    for turn in range(20):
        assert vsphere.channel(digest=made[turn % 3])["changed"]
    with vcenter.connected() as content:
        (value,) = content.rootFolder.childEntity[0].customValue
    assert value.value.split() == [digest[:12] for digest in (made[1], made[0], made[2])]
