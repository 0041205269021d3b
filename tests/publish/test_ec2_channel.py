"""Channels, rollback and retention on EC2 against the strict server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils._retention import Retention

from tests.publish.modules import Publisher, make_disk
from tests.rigs.ec2.rig import Rig

MAIN, FAR = "eu-central-1", "us-east-1"


class Versions(Publisher):
    """A publisher with the digests of what it has published."""

    def __init__(self, rig: Rig, folder: Path, regions: tuple[str, ...] = ()) -> None:
        super().__init__(rig.url, folder / "store")
        self.folder = folder
        self.regions = list(regions)

    def publish(self, word: str) -> str:
        disk = make_disk(self.folder / f"{word}.raw", {0: word.encode()})
        done = self.image(disk, regions=self.regions)
        assert done["changed"], done
        return str(done["digest"])

    def move(self, state: str, digest: str | None = None, **rest: object) -> dict:
        given = {"digest": digest} if digest else {}
        return self.channel(state=state, regions=self.regions, **given, **rest)

    def names(self, region: str = MAIN) -> dict[str, list[str]]:
        """Digest → channels."""
        return {item["digest"]: item["channels"] for item in self.info(region=region)}


@pytest.fixture
def versions(rig: Rig, tmp_path: Path) -> Versions:
    return Versions(rig, tmp_path)


def current(rig: Rig, region: str = MAIN) -> str:
    ssm = rig.client("ssm", region)
    return str(ssm.get_parameter(Name="/kiln/redis/stable")["Parameter"]["Value"])


def test_promote_check_run_check_run(rig, tmp_path):
    versions = Versions(rig, tmp_path, (FAR,))
    one = versions.publish("one")
    told = versions.move("promoted", one, check=True)
    assert told["changed"]
    assert told["diff"]["before"] == ""
    assert versions.names() == {one: []}
    done = versions.move("promoted", one)
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    for region in (MAIN, FAR):
        assert versions.names(region) == {one: ["redis/stable"]}
        assert current(rig, region) == done["current"][region]["image_id"]
    assert not versions.move("promoted", one, check=True)["changed"]
    assert not versions.move("promoted", one)["changed"]
    two = versions.publish("two")
    moved = versions.move("promoted", two)
    assert one in moved["diff"]["before"]
    assert two in moved["diff"]["after"]


def test_nothing_is_promoted_unless_it_is_everywhere(rig, versions):
    one = versions.publish("one")
    versions.regions = [FAR]
    said = versions.move("promoted", one)["msg"]
    assert f"no image of redis with the digest {one[:12]} in {FAR}" in said
    assert versions.names() == {one: []}


def test_roll_back_goes_back_once_and_passes_over_what_was_bad(rig, versions):
    one, two, three = (versions.publish(word) for word in ("one", "two", "three"))
    for digest in (one, two, three):
        versions.move("promoted", digest)
    told = versions.move("rolled_back", three, check=True)
    done = versions.move("rolled_back", three)
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    assert versions.names()[two] == ["redis/stable"]
    assert not versions.move("rolled_back", three)["changed"]
    versions.move("rolled_back", two)
    assert versions.names()[one] == ["redis/stable"]
    assert "nothing to go back to" in versions.move("rolled_back", one)["msg"]
    assert versions.names()[one] == ["redis/stable"]
    versions.move("promoted", three)
    four = versions.publish("four")
    versions.move("promoted", four)
    versions.move("rolled_back", four)
    assert versions.names()[three] == ["redis/stable"]


def test_a_channel_is_removed_and_its_images_stay(rig, versions):
    one = versions.publish("one")
    versions.move("promoted", one)
    assert versions.move("absent", check=True)["changed"]
    assert versions.move("absent")["changed"]
    assert not versions.move("absent")["changed"]
    assert versions.names() == {one: []}


def test_an_image_in_a_channel_is_not_removed(rig, versions):
    one = versions.publish("one")
    versions.move("promoted", one)
    said = versions.image(None, digest=one, state="absent")["msg"]
    assert "what the channel redis/stable names" in said
    assert versions.image(None, digest=one, state="absent", force=True)["changed"]
    assert versions.names() == {}


def test_an_image_is_removed_when_only_channels_name_it_that_go_too(rig, versions):
    one = versions.publish("one")
    versions.move("promoted", one)
    gone = {"digest": one, "state": "absent", "ignore_channels": ["redis/stable"]}
    told = versions.image(None, check=True, **gone)
    assert told["changed"], told
    versions.channel(channel="redis/next", digest=one)
    assert "what the channel redis/next names" in versions.image(None, check=True, **gone)["msg"]
    versions.channel(channel="redis/next", state="absent")
    versions.channel(state="absent")
    done = versions.image(None, **gone)
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    assert versions.names() == {}


@pytest.mark.parametrize("name", ["stable", "redis/", "Redis/stable", "redis/a/b", "../x"])
def test_what_cannot_be_a_channel(versions, name):
    said = versions.channel(channel=name, digest="0" * 64)["msg"]
    assert "cannot be a channel" in said


def test_retention_keeps_the_newest_and_what_channels_need(rig, versions):
    digests = [versions.publish(word) for word in ("one", "two", "three", "four", "five")]
    versions.move("promoted", digests[0])
    versions.move("promoted", digests[1])
    told = versions.retention(keep=1, check=True)
    assert len(versions.names()) == 5
    done = versions.retention(keep=1)
    assert (done["diff"], done["removed"]) == (told["diff"], told["removed"])
    left = versions.names()
    # The newest, the channel's, and the one that it would be rolled back to.
    assert set(left) == {digests[4], digests[0], digests[1]}
    snapshots = rig.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert len(snapshots) == 3
    assert not versions.retention(keep=1)["changed"]
    versions.move("rolled_back", digests[1])
    assert versions.names()[digests[0]] == ["redis/stable"]


def test_retention_by_age_and_by_both(rig, versions):
    for word in ("one", "two", "three"):
        versions.publish(word)
    assert not versions.retention(older_than="1h")["changed"]
    assert not versions.retention(keep=1, older_than="1h")["changed"]
    assert len(versions.retention(keep=2, older_than="0s")["removed"]) == 1
    assert len(versions.retention(older_than="0s")["removed"]) == 2
    assert versions.names() == {}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"older_than": "a month"}, "is not an age"),
        ({"keep": -1}, "`keep` is a number"),
        ({}, "keep"),
    ],
)
def test_what_retention_refuses(versions, options, says):
    assert says in versions.retention(**options)["msg"]


def test_an_age_is_counted_from_the_registration():
    now = datetime(2027, 1, 31, tzinfo=UTC)
    created = (now - timedelta(days=30)).isoformat()
    assert Retention(None, 30 * 86400.0).goes(0, created, now)
    assert not Retention(None, 30 * 86400.0 + 1).goes(0, created, now)
    assert not Retention(1, 0.0).goes(0, created, now)
