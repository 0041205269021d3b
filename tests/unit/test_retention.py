"""Retention: what goes, and that check mode tells what a run does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils._channels import Kept
from ansible_collections.kiln.unikernel.plugins.module_utils._retention import (
    Pending,
    Retention,
    Stock,
    leaving,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
CHANNEL = "redis/stable"


def image(number: int, **rest: str) -> Kept:
    created = (NOW - timedelta(days=100 - number)).isoformat()
    return Kept(f"ami-{number}", f"digest-{number}", created=created, **rest)


def stock(numbers: list[int], **histories: list[int]) -> Stock:
    named = {f"redis/{key}": [f"ami-{item}" for item in value] for key, value in histories.items()}
    return Stock({f"ami-{number}": image(number) for number in numbers}, named)


def gone(there: Stock, rule: Retention, needed: dict[str, list[str]] | None = None) -> list[str]:
    return [item.identifier for item in leaving(there, rule, "name", needed, NOW).images]


@pytest.mark.parametrize(
    ("keep", "days", "numbers"),
    [(2, None, [2, 1]), (0, 97, [3, 2, 1]), (3, 99, [1]), (None, 0, [4, 3, 2, 1]), (4, 0, [])],
)
def test_the_newest_stay_and_so_do_the_young(keep, days, numbers):
    rule = Retention(keep, None if days is None else days * 86400.0)
    assert gone(stock([1, 2, 3, 4]), rule) == [f"ami-{number}" for number in numbers]


def test_what_a_channel_needs_stays():
    there = stock([1, 2, 3, 4], stable=[1, 3])
    assert gone(there, Retention(0, None)) == ["ami-4", "ami-2"]
    assert gone(there, Retention(0, None), {"ami-4": ["linked clones"]}) == ["ami-2"]


# What was published before, and its number; what the channel named before and after.
CASES = {
    "new": ([1, 2, 3], 4, [2], [2, 4]),
    "new, the first": ([], 4, [], [4]),
    "new, and what it takes the place of": ([1, 2, 3], 4, [1, 3], [1, 3, 4]),
    "there, and promoted anew": ([1, 2, 3], 1, [3, 1, 2], [3, 1, 2, 1]),
    "nothing to do": ([1, 2, 3], 3, [2, 3], [2, 3]),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("keep", [0, 1, 2, 3])
def test_check_mode_counts_what_a_run_would_publish_and_promote(name, keep):
    before, number, named, then = CASES[name]
    rule = Retention(keep, None, Pending(f"digest-{number}", "present", CHANNEL))
    told = leaving(stock(before, stable=named), rule, "name", now=NOW)
    done = leaving(stock(sorted({*before, number}), stable=then), rule, "name", now=NOW)
    assert told == done


def test_the_one_to_come_takes_a_place():
    pending = Pending("digest-4")
    assert gone(stock([1, 2, 3]), Retention(2, None, pending)) == ["ami-2", "ami-1"]
    assert gone(stock([1, 2, 3]), Retention(1, None, pending)) == ["ami-3", "ami-2", "ami-1"]


def test_what_was_just_published_stays():
    assert gone(stock([1, 2, 3]), Retention(0, 0, Pending("digest-2"))) == ["ami-3", "ami-1"]


@pytest.mark.parametrize("keep", [0, 1, 2])
def test_check_mode_does_not_count_what_a_run_would_remove(keep):
    rule = Retention(keep, None, Pending("digest-2", "absent", CHANNEL))
    told = leaving(stock([1, 2, 3], stable=[1, 2]), rule, "name", now=NOW)
    assert told == leaving(stock([1, 3]), rule, "name", now=NOW)


def test_a_withdrawn_image_that_is_promoted_again_counts_as_before():
    there = stock([1, 2, 3], stable=[1, 2, 3, 2])
    withdrawn = Stock(
        there.images | {"ami-3": replace(there.images["ami-3"], withdrawn=CHANNEL)},
        there.histories,
    )
    rule = Retention(0, None, Pending("digest-3", "present", CHANNEL))
    done = stock([1, 2, 3], stable=[1, 2, 3, 2, 3])
    assert leaving(withdrawn, rule, "name", now=NOW) == leaving(done, rule, "name", now=NOW)
