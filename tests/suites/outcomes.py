"""Judges what a suite of others came to in the guest against what was recorded of it on Linux.

Both sides are maps from a test's name to one of OUTCOMES. What may differ stands in expected.yml, a
key a suite, and is held to in both directions:

    cpython:
      - class: exec            # one of CLASSES: what it takes that is not here
        tests: [test_os.ForkTests.test_*]     # names, or patterns of fnmatch
        reason: a sentence
        tried: false           # not run in the guest either: it would end or hang the whole run

A test that differs without an entry is wrong, and so is an entry whose test passes here, or with a
pattern that no differing test answers to. Tests of the class `timing` get ATTEMPTS attempts and must pass one of them.
What passes here and does not on Linux is counted and is no fault.
"""

from __future__ import annotations

import fnmatch
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
EXPECTED = HERE / "expected.yml"
RECORDED = HERE / "recorded"
OUTCOMES = ("pass", "fail", "skip", "error")
# outside: what works only where the tests and what they test share a machine.
CLASSES = ("fork", "exec", "user", "hardware", "absent", "outside", "timing")
ATTEMPTS = 3
MISSING = "missing"

Outcomes = Mapping[str, str]
Again = Callable[[list[str]], Outcomes]


class BadTable(Exception):
    """A file of expectations or records is at fault."""


@dataclass(frozen=True)
class Entry:
    """Tests that may differ, for one reason."""

    kind: str
    tests: tuple[str, ...]
    reason: str
    tried: bool = True

    def pattern_for(self, name: str) -> str | None:
        """The pattern that a test answers to."""
        return next((each for each in self.tests if fnmatch.fnmatchcase(name, each)), None)


@dataclass
class Verdict:
    """What a suite's run came to."""

    suite: str
    linux_passed: int = 0
    passed: int = 0
    only_here: int = 0
    skipped_on_both: int = 0
    excluded: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, part: Verdict) -> None:
        """Count what a part of the suite came to."""
        self.linux_passed += part.linux_passed
        self.passed += part.passed
        self.only_here += part.only_here
        self.skipped_on_both += part.skipped_on_both
        self.excluded += part.excluded
        self.wrong += part.wrong


def read(suite: str, path: Path = EXPECTED) -> list[Entry]:
    """A suite's entries."""
    rows = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get(suite, [])
    return [_entry(suite, row) for row in rows]


def _entry(suite: str, row: dict[str, Any]) -> Entry:
    told = f"expected.yml, {suite}: {row}"
    if unknown := set(row) - {"class", "tests", "reason", "tried"}:
        raise BadTable(f"{told}: unknown: {', '.join(sorted(unknown))}")
    if row.get("class") not in CLASSES:
        raise BadTable(f"{told}: class has to be one of {', '.join(CLASSES)}")
    if not row.get("tests") or not str(row.get("reason", "")).strip():
        raise BadTable(f"{told}: tests and a reason are wanted")
    return Entry(row["class"], tuple(row["tests"]), row["reason"].strip(), row.get("tried", True))


def entry_for(name: str, entries: Iterable[Entry]) -> Entry | None:
    """The first entry that names a test."""
    return next((entry for entry in entries if entry.pattern_for(name)), None)


def not_tried(entries: Iterable[Entry]) -> list[str]:
    """The patterns of what is not to be run in the guest."""
    return [pattern for entry in entries if not entry.tried for pattern in entry.tests]


def judge(
    suite: str,
    linux: Outcomes,
    here: Outcomes,
    entries: list[Entry],
    again: Again | None = None,
    whole: bool = True,
) -> Verdict:
    """Both sides of a suite, or of a part of it when it is not `whole`.

    `again` runs the named tests once more in the guest; without it a timing test has one attempt.
    """
    verdict = Verdict(suite)
    here = _with_attempts(linux, here, entries, again)
    for name in sorted(linux.keys() | here.keys()):
        _judge_one(verdict, name, linux.get(name, MISSING), here.get(name, MISSING), entries)
    if whole:
        verdict.wrong += _needless(linux, here, entries)
    return verdict


def _judge_one(verdict: Verdict, name: str, there: str, here: str, entries: list[Entry]) -> None:
    verdict.linux_passed += there == "pass"
    verdict.passed += here == there == "pass"
    verdict.only_here += here == "pass" != there
    verdict.skipped_on_both += here == there == "skip"
    entry = entry_for(name, entries)
    if entry is None:
        if here not in (there, "pass"):
            verdict.wrong.append(f"{name}: {there} on Linux, {here} here")
    elif entry.kind == "timing":
        if here not in (there, "pass"):
            verdict.wrong.append(f"{name}: {here} here in each of {ATTEMPTS} attempts")
    elif here == "pass":
        verdict.wrong.append(f"{name}: passes here, and expected.yml says that it cannot")
    elif there == "pass":
        verdict.excluded[entry.kind] += 1


def _with_attempts(
    linux: Outcomes, here: Outcomes, entries: list[Entry], again: Again | None
) -> dict[str, str]:
    """The guest's outcomes with the further attempts that timing tests have."""
    result = dict(here)
    for _ in range(ATTEMPTS - 1 if again else 0):
        late = [
            name
            for name, outcome in result.items()
            if outcome not in ("pass", linux.get(name))
            and (entry := entry_for(name, entries))
            and entry.kind == "timing"
        ]
        if not late or again is None:
            break
        result |= {name: end for name, end in again(late).items() if name in late}
    return result


def _needless(linux: Outcomes, here: Outcomes, entries: list[Entry]) -> list[str]:
    """Patterns that no test answers to, or none that differs."""
    known = linux.keys() | here.keys()
    differing = {name for name in known if linux.get(name, MISSING) != here.get(name, MISSING)}
    wrong = []
    for entry in entries:
        names = differing if entry.kind != "timing" else known
        told = "no test is called so" if entry.kind == "timing" else "no test called so differs"
        patterns = [each for each in entry.tests if not fnmatch.filter(names, each)]
        wrong += [f"{pattern}: {told}, and expected.yml names it" for pattern in patterns]
    return wrong


# Records: a few lines a class of tests, so that a difference between versions can be read.


def save(path: Path, about: Mapping[str, str], outcomes: Outcomes) -> None:
    """Write what a suite came to on Linux. `about`: versions, and the command that records."""
    groups: dict[str, dict[str, list[str]]] = {}
    for name, outcome in sorted(outcomes.items()):
        group, _, test = name.rpartition(".")
        groups.setdefault(group, {}).setdefault(outcome, []).append(test)
    tests = {
        group: {outcome: " ".join(names) for outcome, names in ends.items()}
        for group, ends in groups.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**about, "tests": tests}, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """What a record is about, and its outcomes. Names hold no blank."""
    about = json.loads(path.read_text(encoding="utf-8"))
    outcomes = {
        f"{group}.{test}".removeprefix("."): outcome
        for group, ends in about.pop("tests").items()
        for outcome, names in ends.items()
        for test in names.split()
    }
    if strange := set(outcomes.values()) - set(OUTCOMES):
        raise BadTable(f"{path.name}: unknown outcomes: {', '.join(sorted(strange))}")
    return about, outcomes


# The table


def keep(path: Path, verdict: Verdict) -> None:
    """Leave a verdict for the table, with today's date."""
    told = vars(verdict) | {"date": time.strftime("%Y-%m-%d")}
    path.write_text(json.dumps(told, indent=1) + "\n")


def kept(path: Path) -> tuple[Verdict, str]:
    """A verdict that was left, and its date."""
    told = json.loads(path.read_text())
    date = told.pop("date")
    return Verdict(**told | {"excluded": Counter(told["excluded"])}), date


def table(rows: Iterable[tuple[Verdict, str]]) -> str:
    """For README and terminal: verdicts and their dates."""
    lines = [
        "| suite | passed on Linux | passed here | excluded, and why | unexplained"
        " | skipped on both | run on |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {each.suite} | {each.linux_passed} | {each.passed} | {_excluded(each)}"
        f" | {len(each.wrong)} | {each.skipped_on_both} | {date} |"
        for each, date in rows
    ]
    return "\n".join(lines)


def _excluded(verdict: Verdict) -> str:
    counts = [f"{verdict.excluded[kind]} {kind}" for kind in CLASSES if verdict.excluded[kind]]
    return ", ".join(counts) or "none"


def report(verdict: Verdict) -> str:
    """What is wrong, a line each, for people."""
    extra = f", {verdict.only_here} pass here only" if verdict.only_here else ""
    lines = [f"WRONG: {verdict.suite}: {line}" for line in verdict.wrong]
    lines.append(
        f"{verdict.suite}: {verdict.linux_passed} passed on Linux, {verdict.passed} here,"
        f" excluded: {_excluded(verdict)}{extra}, {len(verdict.wrong)} wrong"
    )
    return "\n".join(lines)
