"""How Go's test programs are asked for some tests, and read."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from go_output import parse, pattern

SAID = """\
=== RUN   TestGood
--- PASS: TestGood (0.00s)
=== RUN   TestSub
=== RUN   TestSub/a_b
no line end--- PASS: ExampleNoise (0.01s)
--- FAIL: TestSub (0.10s)
    --- FAIL: TestSub/a_b (0.10s)
=== RUN   TestNot
    x_test.go:1: not here
--- SKIP: TestNot (0.00s)
=== RUN   TestCut
"""


def test_each_outcome_is_read():
    assert parse("p/q", SAID) == {
        "p/q.TestGood": "pass",
        "p/q.TestSub": "fail",
        "p/q.TestSub/a_b": "fail",
        "p/q.ExampleNoise": "pass",
        "p/q.TestNot": "skip",
        "p/q.TestCut": "error",
        "p/q.(end)": "error",
    }


def test_a_program_that_ends_in_order_is_told_from_one_that_does_not():
    assert parse("p", SAID + "FAIL\n")["p.(end)"] == "pass"
    assert parse("p", SAID + "panic: oh\n")["p.(end)"] == "error"


@pytest.mark.parametrize(
    ("wanted", "unwanted"),
    [
        (["TestA", "TestB", "TestAll"], ["TestAl", "TestC"]),
        (["TestCond"], ["TestCondSignal"]),
        (["TestCondSignal"], ["TestCond"]),
        (["TestA", "ExampleA"], []),
    ],
)
def test_a_pattern_matches_the_wanted_and_nothing_else(wanted, unwanted):
    regexp = pattern(wanted, unwanted)
    assert [name for name in wanted if not re.search(regexp, name)] == []
    assert [name for name in unwanted if re.search(regexp, name)] == []
