"""The judge of the suites: each way in which a run can differ from what is expected."""

from __future__ import annotations

import outcomes
import pytest
import run_suites
from outcomes import BadTable, Entry, judge

FORK = Entry("fork", ("m.C.test_fork*",), "needs a second process")
LATE = Entry("timing", ("m.C.test_late",), "measures 10 ms")


def test_same_on_both_is_right():
    both = {"m.C.a": "pass", "m.C.b": "skip", "m.C.c": "fail"}
    verdict = judge("s", both, both, [])
    assert (verdict.linux_passed, verdict.passed, verdict.skipped_on_both) == (1, 1, 1)
    assert verdict.wrong == []


@pytest.mark.parametrize("here", ["fail", "skip", "error"])
def test_a_difference_without_an_entry_is_wrong(here):
    verdict = judge("s", {"m.C.a": "pass"}, {"m.C.a": here}, [])
    assert verdict.wrong == [f"m.C.a: pass on Linux, {here} here"]


def test_a_test_that_did_not_run_is_wrong():
    assert judge("s", {"m.C.a": "pass"}, {}, []).wrong == ["m.C.a: pass on Linux, missing here"]
    assert judge("s", {}, {"m.C.a": "fail"}, []).wrong == ["m.C.a: missing on Linux, fail here"]


def test_an_entry_allows_for_a_difference_and_is_counted():
    verdict = judge("s", {"m.C.test_fork": "pass"}, {"m.C.test_fork": "error"}, [FORK])
    assert (verdict.wrong, verdict.passed, verdict.excluded["fork"]) == ([], 0, 1)


def test_an_entry_allows_for_a_test_that_is_not_tried():
    assert judge("s", {"m.C.test_fork": "pass"}, {}, [FORK]).excluded["fork"] == 1
    assert outcomes.not_tried([FORK, Entry("exec", ("x*",), "why", tried=False)]) == ["x*"]


def test_an_entry_that_passes_is_wrong():
    both = {"m.C.test_fork": "pass"}
    assert "passes here" in judge("s", both, both, [FORK]).wrong[0]


def test_an_entry_that_fails_on_linux_too_is_wrong():
    both = {"m.C.test_fork": "fail"}
    assert "no test called so differs" in judge("s", both, both, [FORK]).wrong[0]


def test_an_entry_without_a_test_is_wrong_in_a_whole_run_only():
    both = {"m.C.a": "pass"}
    assert "no test called so differs" in judge("s", both, both, [FORK]).wrong[0]
    assert "no test is called so" in judge("s", both, both, [LATE]).wrong[0]
    assert judge("s", both, both, [FORK], whole=False).wrong == []


def test_a_pattern_may_cover_what_is_skipped_on_both():
    linux = {"m.C.test_fork": "pass", "m.C.test_fork_win": "skip"}
    here = {"m.C.test_fork": "error", "m.C.test_fork_win": "skip"}
    assert judge("s", linux, here, [FORK]).wrong == []


def test_what_passes_here_only_is_no_fault():
    verdict = judge("s", {"m.C.a": "skip"}, {"m.C.a": "pass"}, [])
    assert (verdict.wrong, verdict.only_here, verdict.passed) == ([], 1, 0)


def test_a_timing_test_is_repeated_until_it_passes():
    ends = iter(["fail", "pass", "fail"])
    asked = []

    def again(names):
        asked.append(names)
        return {name: next(ends) for name in names}

    verdict = judge("s", {"m.C.test_late": "pass"}, {"m.C.test_late": "fail"}, [LATE], again)
    assert (verdict.wrong, verdict.passed, asked) == ([], 1, [["m.C.test_late"]] * 2)


def test_a_timing_test_that_never_passes_is_wrong():
    def again(names):
        return dict.fromkeys(names, "fail")

    verdict = judge("s", {"m.C.test_late": "pass"}, {"m.C.test_late": "fail"}, [LATE], again)
    assert "each of 3 attempts" in verdict.wrong[0]


def test_a_timing_test_that_passes_is_right():
    both = {"m.C.test_late": "pass"}
    assert judge("s", both, both, [LATE]).wrong == []


def test_a_record_comes_back_as_it_was(tmp_path):
    told = {
        "m.C.a": "pass",
        "m.C.b": "skip",
        "m.D.a": "error",
        "TestGo": "pass",
        "TestGo/x.y": "fail",
    }
    outcomes.save(tmp_path / "r.json", {"package": "p 1"}, told)
    assert outcomes.load(tmp_path / "r.json") == ({"package": "p 1"}, told)


@pytest.mark.parametrize(
    "row",
    [
        "{class: weather, tests: [a], reason: b}",
        "{class: fork, tests: [a]}",
        "{class: fork, reason: b}",
        "{class: fork, tests: [a], reason: b, color: red}",
    ],
)
def test_a_bad_entry_is_refused(tmp_path, row):
    (tmp_path / "e.yml").write_text(f"s: [{row}]\n")
    with pytest.raises(BadTable):
        outcomes.read("s", tmp_path / "e.yml")


def test_the_table(tmp_path):
    verdict = judge("s", {"m.C.test_fork": "pass", "m.C.a": "pass"}, {"m.C.a": "pass"}, [FORK])
    outcomes.keep(tmp_path / "r.json", verdict)
    verdict, date = outcomes.kept(tmp_path / "r.json")
    line = outcomes.table([(verdict, date)]).splitlines()[-1]
    assert line == f"| s | 2 | 1 | 1 fork | 0 | 0 | {date} |"


def test_parts_of_a_suite_add_up():
    whole = judge("s", {"a": "pass"}, {"a": "pass"}, [])
    whole.add(judge("s", {"m.C.test_fork": "pass", "b": "pass"}, {"b": "fail"}, [FORK]))
    assert (whole.linux_passed, whole.passed, whole.excluded["fork"]) == (3, 1, 1)
    assert whole.wrong == ["b: pass on Linux, fail here"]


def test_the_table_replaces_the_one_in_the_readme():
    old = f"a\n{run_suites.BEGIN}\n| old |\n\n{run_suites.END}z\n"
    new = run_suites.put_into(old, "| new |")
    assert new == old.replace("old", "new")
    with pytest.raises(SystemExit):
        run_suites.put_into("no place\n", "| new |")
    assert run_suites.put_into(run_suites.README.read_text(), "x")


def test_every_entry_of_the_repository_can_be_read():
    import yaml

    for suite in yaml.safe_load(outcomes.EXPECTED.read_text()):
        outcomes.read(suite)
