"""Channels, rollback and retention on the real VirtualBox."""

from __future__ import annotations

import pytest

from tests.publish.virtualbox import Rig, make_raw


def publish(vbox: Rig, word: str) -> str:
    done = vbox.image(make_raw(vbox.folder / f"{word}.raw", word.encode()))
    assert done.get("changed"), done
    return str(done["digest"])


def names(vbox: Rig) -> dict[str, list[str]]:
    """Digest → channels."""
    return {item["digest"]: item["channels"] for item in vbox.images()}


def test_promote_roll_back_keep_and_remove(vbox):
    one, two, three = (publish(vbox, word) for word in ("one", "two", "three"))
    said = vbox.channel(digest="0" * 64)["msg"]
    assert "no image of redis with the digest 000000000000 in VirtualBox" in said
    told = vbox.channel(digest=one, check=True)
    assert names(vbox) == {one: [], two: [], three: []}
    done = vbox.channel(digest=one)
    assert (done["diff"], done["steps"], done["current"]["digest"]) == (
        told["diff"],
        told["steps"],
        one,
    )
    assert not vbox.channel(digest=one, check=True)["changed"]
    assert not vbox.channel(digest=one)["changed"]
    for digest in (two, three):
        vbox.channel(digest=digest)
    assert names(vbox) == {one: [], two: [], three: ["redis/stable"]}
    said = vbox.image(None, digest=three, state="absent")["msg"]
    assert "is what the channel redis/stable names" in said
    gone = {"digest": three, "state": "absent", "check": True}
    assert vbox.image(None, ignore_channels=["redis/stable"], **gone)["changed"]
    assert "redis/stable names" in vbox.image(None, ignore_channels=["redis/x"], **gone)["msg"]

    back = {"state": "rolled_back", "digest": three}
    told, done = vbox.channel(check=True, **back), vbox.channel(**back)
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    assert names(vbox)[two] == ["redis/stable"]
    assert not vbox.channel(**back)["changed"]

    # Two is current, one is what it would go back to; three was withdrawn and is the newest.
    told, done = vbox.retention(keep=0, check=True), vbox.retention(keep=0)
    assert (done["diff"], done["removed"]) == (told["diff"], told["removed"])
    assert [item["vm_name"] for item in done["removed"]] == [f"redis-{three[:12]}"]
    assert set(names(vbox)) == {one, two}
    assert not vbox.retention(keep=0)["changed"]

    assert vbox.channel(state="absent", check=True)["changed"]
    assert vbox.channel(state="absent")["changed"]
    assert not vbox.channel(state="absent")["changed"]
    assert not vbox.retention(keep=0, older_than="1h")["changed"]
    assert len(vbox.retention(older_than="0s")["removed"]) == 2
    assert (vbox.names(), vbox.files()) == ([], [])


@pytest.mark.parametrize(
    ("module", "options", "says"),
    [
        ("channel", {"channel": "stable", "digest": "0"}, "cannot be a channel"),
        ("retention", {"name": "redis", "older_than": "a month"}, "is not an age"),
        ("retention", {"name": "redis", "keep": -1}, "`keep` is a number"),
    ],
)
def test_what_is_refused(vbox, module, options, says):
    assert says in vbox.run(module, **options)["msg"]
