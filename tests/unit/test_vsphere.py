from __future__ import annotations

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import (
    _vsphere_channels,
    _vsphere_library,
    _vsphere_tags,
    _vsphere_templates,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Plan,
    PublishError,
    Step,
    in_turn,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere_templates import (
    Found,
    Machine,
    Wanted,
    plan_absent,
    plan_present,
)

DIGEST, OTHER = "1" * 64, "2" * 64
FIXED = {"datastore": "fast", "networks": ["LAN"]}


def machine(name="redis", digest=DIGEST, number=1, **facts):
    known = {"template_name": name, "digest": digest, "description": "", "folder": "", "tags": {}}
    known |= FIXED
    marks = {"kiln.name": "redis", "kiln.digest": digest} if digest else {}
    return Machine(None, f"vm-{number}", known | facts, marks, bool(digest))


def wanted(**rest):
    options = {"template_name": "redis", "folder": "", "fixed": FIXED} | rest
    return Wanted("redis", DIGEST, **options)


def verbs(plan):
    return [step.verb for step in plan.steps]


def test_what_is_not_there_is_imported_and_then_named():
    plan = plan_present(Found("DC"), wanted(description="x"), {})
    assert plan.told() == [f"import DC: redis-{DIGEST[:12]}", "rename DC: redis"]
    assert (plan.before, plan.after["DC"]["description"]) == ({}, "x")


def test_what_is_there_as_it_shall_be_is_left_alone():
    plan = plan_present(Found("DC", published=[machine(description="mine")]), wanted(), {})
    assert not plan.changed
    assert plan.before == plan.after


def test_only_what_differs_is_changed():
    found = Found("DC", published=[machine("old", folder="a")])
    plan = plan_present(found, wanted(folder="b", description="x"), {})
    assert verbs(plan) == ["rename", "move", "describe"]


def test_tags_are_left_alone_set_or_taken_away_as_asked():
    found = Found("DC", published=[machine(tags={"a": "1", "b": "2"})])
    assert not plan_present(found, wanted(), {}).changed
    assert not plan_present(found, wanted(tags={"b": "2"}, purge_tags=False), {}).changed
    plan = plan_present(found, wanted(tags={"b": "3"}), {})
    assert plan.told() == ["tag DC: b=3"]
    assert plan.after["DC"]["tags"] == {"b": "3"}
    assert plan_present(found, wanted(tags={}), {}).told() == ["tag DC: none"]
    new = plan_present(Found("DC"), wanted(tags={"a": "1"}), {})
    assert verbs(new) == ["import", "rename"]
    assert new.after["DC"]["tags"] == {"a": "1"}


def test_an_attribute_is_listed_as_a_tag_before_it_is_there_and_others_are_never_touched():
    marks = {"kiln.tags": "a,b", "a": "1", "b": "2", "backup": "nightly"}
    before = _vsphere_tags.tags_of(marks)
    assert before == {"a": "1", "b": "2"}
    seen = []

    def put(name, value):
        marks[name] = value
        there = {key: text for key, text in marks.items() if text}
        seen.append(_vsphere_tags.tags_of(there))

    _vsphere_tags.write(put, before, {"b": "3", "c": "4"})
    assert seen[-1] == {"b": "3", "c": "4"}
    assert all("a" in tags or index >= len(seen) - 2 for index, tags in enumerate(seen))
    assert (marks["kiln.tags"], marks["a"], marks["backup"]) == ("b,c", "", "nightly")
    assert _vsphere_tags.tags_of({"backup": "nightly"}) == {}


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        ({"kiln.digest": "x"}, "'kiln.digest' cannot be the name of a tag"),
        ({"a,b": "x"}, "without a comma"),
        ({"": "x"}, "cannot be the name"),
        ({"a": ""}, "The tag 'a' has no value"),
    ],
)
def test_what_cannot_be_a_tag_is_refused(tags, says):
    with pytest.raises(PublishError, match=says):
        _vsphere_tags.tags_from(tags)


def test_what_an_interrupted_run_has_left_goes_first():
    found = Found("DC", unfinished=[machine("redis-111111111111", "")])
    assert verbs(plan_present(found, wanted(), {})) == ["discard", "import", "rename"]
    assert verbs(plan_absent(found, "redis", DIGEST, {}, False)) == ["discard"]


def test_one_that_is_whole_but_no_template_is_finished_not_sent_again():
    plan = plan_present(Found("DC", whole=[machine()]), wanted(), {})
    assert verbs(plan) == ["finish"]
    assert plan.before == {}
    assert verbs(plan_absent(Found("DC", whole=[machine()]), "redis", DIGEST, {}, False)) == []


@pytest.mark.parametrize(
    ("found", "options", "says"),
    [
        (Found("DC", published=[machine(digest=OTHER)]), {}, "or set `replace`"),
        (Found("DC", others=[machine(digest="")]), {}, "something not made by Kiln"),
        (Found("DC", others=[machine(digest="")]), {"replace": True}, "something not made by Kiln"),
        (Found("DC", published=[machine(datastore="slow")]), {}, "its datastore is 'slow'"),
        (
            Found("DC", others=[machine("redis-111111111111", "")]),
            {},
            "the name 'redis-111111111111' belongs to something",
        ),
    ],
)
def test_a_name_or_a_place_that_does_not_fit_is_refused(found, options, says):
    with pytest.raises(PublishError, match=says):
        plan_present(found, wanted(**options), {})


def test_another_content_is_replaced_on_request_unless_a_channel_names_it():
    found = Found("DC", published=[machine(digest=OTHER)])
    plan = plan_present(found, wanted(replace=True), {})
    assert verbs(plan) == ["import", "remove", "rename"]
    assert plan.before["DC, replaced"]["digest"] == OTHER
    with pytest.raises(PublishError, match="what the channel redis/stable names"):
        plan_present(found, wanted(replace=True), {"vm-1": ["redis/stable"]})


def test_the_same_name_in_another_folder_is_no_matter():
    found = Found("DC", others=[machine(digest="", folder="a")])
    assert verbs(plan_present(found, wanted(), {})) == ["import", "rename"]


def test_what_a_channel_names_is_removed_only_by_force():
    found = Found("DC", published=[machine()])
    channels = {"vm-1": ["redis/stable"]}
    with pytest.raises(PublishError, match="set `force`"):
        plan_absent(found, "redis", DIGEST, channels, False)
    assert verbs(plan_absent(found, "redis", DIGEST, channels, True)) == ["remove"]
    assert not plan_absent(found, "redis", OTHER, {}, False).changed


def test_a_channels_history_is_read_by_the_beginnings_of_digests():
    found = Found("DC", published=[machine(), machine("two", OTHER, 2)])
    history = ["000000000000", DIGEST[:12], OTHER[:12]]
    pointer = _vsphere_channels.pointer_of(found, "redis/stable", history)
    assert pointer.current == "vm-2"
    assert pointer.before_this("redis/stable") == "vm-1"
    assert _vsphere_channels.pointer_of(found, "web/stable", history).current == OTHER[:12]


def item(**rest):
    return _vsphere_library._item({"id": "1", "name": "redis"} | rest)


def test_an_item_is_known_by_the_last_line_of_its_description():
    ours = item(description=f"two\nlines\nkiln.unikernel my redis {DIGEST}")
    assert (ours.title, ours.digest, ours.description) == ("my redis", DIGEST, "two\nlines")
    assert item(description="kiln.unikernel redis -").digest == ""
    other = item(description="kiln.unikernel\nis good")
    assert (other.title, other.description) == ("", "kiln.unikernel\nis good")
    assert item().title == ""


def test_an_items_plan():
    none = _vsphere_library.Found("images", None, ("taken",))
    plan = _vsphere_library.plan_present(none, "redis", DIGEST, "redis", None)
    assert verbs(plan) == ["create", "upload"]
    with pytest.raises(PublishError, match="the name 'taken' belongs to something"):
        _vsphere_library.plan_present(none, "redis", DIGEST, "taken", None)
    ours = item(description=f"kiln.unikernel redis {DIGEST}")
    there = _vsphere_library.Found("images", ours, ())
    assert not _vsphere_library.plan_present(there, "redis", DIGEST, "redis", None).changed
    assert verbs(_vsphere_library.plan_present(there, "redis", OTHER, "redis", None)) == ["upload"]
    assert verbs(_vsphere_library.plan_present(there, "redis", DIGEST, "r", "x")) == ["update"]
    assert verbs(_vsphere_library.plan_absent(there, DIGEST)) == ["remove"]
    assert not _vsphere_library.plan_absent(there, OTHER).changed


def test_steps_in_turn_go_by_stage_and_end_with_the_first_failure():
    done = []

    def fail(step):
        raise PublishError("no")

    steps = (Step("do", "b", stage=1), Step("do", "a"), Step("fail", "c", stage=2))
    with pytest.raises(PublishError, match="no"):
        in_turn(
            Plan({}, {}, (*steps, Step("do", "d", stage=3))),
            {"do": lambda step: done.append(step.where), "fail": fail},
        )
    assert done == ["a", "b"]


def test_a_machine_is_born_under_a_name_with_the_digest():
    assert _vsphere_templates.birth_name("redis", DIGEST) == f"redis-{DIGEST[:12]}"
