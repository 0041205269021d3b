# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What all publishers have in common: a plan and its executor, a deadline, retries, progress.

A publisher observes, makes a `Plan` (before, after, steps) and hands that same plan to `carry_out`
unless in check mode. Steps of one stage may run at the same time, stages run one after the other.
`changed` and the diff come from the plan alone, so check mode cannot tell another story.

Progress goes to a file that the callback plugin kiln.unikernel.progress reads; see Progress.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ansible_collections.kiln.unikernel.plugins.module_utils._diff import diff
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError

Item = TypeVar("Item")
Result = TypeVar("Result")

PROGRESS_FOLDER = "KILN_PROGRESS"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class PublishError(KilnError):
    """Something that a user can mend; `cause` is what the other side said, if anything."""

    def __init__(self, message: str, cause: BaseException | None = None) -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True)
class Step:
    """One thing to do: a verb that the executor knows, where, and what a reader wants to know."""

    verb: str
    where: str
    detail: str = ""
    stage: int = 0
    facts: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.verb} {self.where}" + (f": {self.detail}" if self.detail else "")


@dataclass(frozen=True)
class Plan:
    """What there is, what there will be, and the steps between."""

    before: dict[str, Any]
    after: dict[str, Any]
    steps: tuple[Step, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether carrying it out changes anything."""
        return bool(self.steps)

    def told(self) -> list[str]:
        """The steps for a reader."""
        return [str(step) for step in self.steps]


def result_of(what: str, plan: Plan, **more: Any) -> dict[str, Any]:
    """What a module with a plan returns."""
    return {
        "changed": plan.changed,
        "diff": diff(what, plan.before, plan.after),
        "steps": plan.told(),
        **more,
    }


def carry_out(plan: Plan, verbs: dict[str, Callable[[Step], None]], parallel: int = 8) -> None:
    """Takes the steps, stage after stage; the first failure of a stage is raised at its end."""
    for stage in sorted({step.stage for step in plan.steps}):
        steps = [step for step in plan.steps if step.stage == stage]
        at_once(lambda step: verbs[step.verb](step), steps, parallel)


def in_turn(plan: Plan, verbs: dict[str, Callable[[Step], None]]) -> None:
    """Takes the steps one after the other, in this thread; the first failure ends it."""
    for step in sorted(plan.steps, key=lambda step: step.stage):
        verbs[step.verb](step)


def at_once(
    call: Callable[[Item], Result], items: Iterable[Item], parallel: int = 8
) -> list[Result]:
    """Calls for all items at the same time; waits for all, then raises the first failure."""
    with ThreadPoolExecutor(max_workers=parallel) as pool:
        futures = [pool.submit(call, item) for item in items]
    return [future.result() for future in futures]


class Deadline:
    """The one time limit of a run."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Seconds that are left, 0 when there are none."""
        return max(0.0, self._end - self._clock())

    def check(self, doing: str, cause: BaseException | None = None) -> None:
        """Fails when the time is over; `cause` is what went wrong last."""
        if not self.left():
            raise PublishError(
                f"The time limit of {self.seconds:g} seconds was over while {doing}; run it again "
                "to go on where it stopped, or raise `timeout`",
                cause,
            )


@dataclass
class Patience:
    """How often and how long to try again: exponential back-off with full jitter."""

    deadline: Deadline
    tries: int = 9
    base: float = 0.2
    cap: float = 15.0
    sleep: Callable[[float], None] = time.sleep

    def keep(
        self, call: Callable[[], Result], again: Callable[[Exception], bool], doing: str
    ) -> Result:
        """Calls until it works, fails for good, or there are no tries or no time left."""
        last: Exception | None = None
        for attempt in range(1, self.tries + 1):
            self.deadline.check(doing, last)
            try:
                return call()
            except Exception as problem:
                if attempt == self.tries or not again(problem):
                    raise
                last = problem
            pause = random.uniform(0, min(self.cap, self.base * 2**attempt))
            self.sleep(min(pause, self.deadline.left()))
        raise AssertionError("unreachable")

    def until(self, ready: Callable[[], Result | None], doing: str) -> Result:
        """Asks, with growing pauses, until the answer is not None."""
        pause = self.base
        while True:
            self.deadline.check(doing)
            found = ready()
            if found is not None:
                return found
            self.sleep(min(pause, self.deadline.left()))
            pause = min(self.cap, pause * 1.5)


class Progress:
    """Tells how far a long step is, in a file that whoever has started the play may read.

    Each line is a JSON object: `label`, `done`, `total` (bytes) and `finished`. The folder is named
    by KILN_PROGRESS; without it nothing is written. A line at most each tenth of a second. Where it
    cannot be written, it is not: what is told of goes on.
    """

    def __init__(self, label: str, total: int, folder: str | None = None) -> None:
        place = folder if folder is not None else os.environ.get(PROGRESS_FOLDER, "")
        self._facts: dict[str, Any] = {"label": label, "total": total, "done": 0}
        self._lock = threading.Lock()
        self._last = 0.0
        self._stream = None
        if place and Path(place).is_dir():
            name = re.sub(r"\W+", "-", label)
            path = Path(place) / f"{os.getpid()}-{name}-{id(self):x}.jsonl"
            with contextlib.suppress(OSError):
                self._stream = path.open("a", encoding="utf-8")
            self._write(False)

    def advance(self, count: int) -> None:
        """Some more is done."""
        with self._lock:
            self._facts["done"] += count
            if self._stream and time.monotonic() - self._last >= 0.1:
                self._write(False)

    def finish(self) -> None:
        """No more will come, whether all is done or not."""
        with self._lock:
            if self._stream:
                self._write(True)
                with contextlib.suppress(OSError):
                    self._stream.close()
                self._stream = None

    def _write(self, finished: bool) -> None:
        self._last = time.monotonic()
        if self._stream:
            with contextlib.suppress(OSError):
                self._stream.write(json.dumps(self._facts | {"finished": finished}) + "\n")
                self._stream.flush()


def parse_age(text: str) -> float:
    """Seconds of an age such as 30d, 12h or 2w."""
    found = re.fullmatch(r"(\d+)([smhdw])", text)
    if not found:
        raise PublishError(f"'{text}' is not an age; write a number with s, m, h, d or w, as 30d.")
    return float(int(found[1]) * _UNITS[found[2]])
