from __future__ import annotations

import errno
import io
import os
import threading
from pathlib import Path

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import _blocks
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Deadline,
    Patience,
    Plan,
    Progress,
    PublishError,
    Step,
    at_once,
    carry_out,
    parse_age,
)


class Clock:
    def __init__(self):
        self.now = 0.0
        self.slept = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


def test_stages_come_one_after_the_other_and_a_failure_ends_them():
    done = []

    def fail(step):
        raise PublishError(f"no {step.where}")

    steps = (
        Step("do", "b", stage=1),
        Step("do", "a", stage=0),
        Step("fail", "c", stage=2),
        Step("do", "d", stage=2),
        Step("do", "e", stage=3),
    )
    plan = Plan({}, {"x": 1}, steps)
    assert plan.changed
    with pytest.raises(PublishError, match="no c"):
        carry_out(plan, {"do": lambda step: done.append(step.where), "fail": fail})
    assert done == ["a", "b", "d"]
    assert plan.told()[0] == "do b"


def test_at_once_runs_at_once_and_keeps_the_order():
    barrier = threading.Barrier(4, timeout=10)
    assert at_once(lambda number: (barrier.wait(), number)[1], range(4), 4) == [0, 1, 2, 3]


def test_trying_again_backs_off_and_ends():
    clock = Clock()
    patience = Patience(Deadline(1000, clock), tries=6, sleep=clock.sleep)
    calls = []

    def call():
        calls.append(1)
        raise OSError("busy")

    with pytest.raises(OSError, match="busy"):
        patience.keep(call, lambda problem: True, "trying")
    assert len(calls) == 6
    assert len(clock.slept) == 5
    assert all(pause <= 0.2 * 2 ** (n + 1) for n, pause in enumerate(clock.slept))
    calls.clear()
    with pytest.raises(OSError, match="busy"):
        patience.keep(call, lambda problem: False, "trying")
    assert len(calls) == 1


def test_the_deadline_ends_waiting():
    clock = Clock()
    patience = Patience(Deadline(10, clock), sleep=clock.sleep)
    with pytest.raises(PublishError, match="limit of 10 seconds was over while waiting for it"):
        patience.until(lambda: None, "waiting for it")
    assert clock.now == pytest.approx(10)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("2h", 7200), ("1w", 604800)])
def test_ages(text, seconds):
    assert parse_age(text) == seconds


def test_holes_are_not_read_and_zeros_not_kept(tmp_path):
    path = tmp_path / "disk.raw"
    with path.open("wb") as stream:
        stream.truncate(64 << 30)
        stream.seek(5 * _blocks.BLOCK - 1)
        stream.write(b"ab")
        stream.seek(40 << 30)
        stream.write(bytes(8192))
    found = _blocks.scan(path)
    assert sorted(found.blocks) == [4, 5]
    assert found.gibibytes == 64


def test_each_block_comes_once_and_in_order(tmp_path):
    path = tmp_path / "disk.raw"
    with path.open("wb") as stream:
        stream.truncate(8 << 20)
        for place in (0, 4096 * 20, 600_000, 3 << 20, (8 << 20) - 512):
            stream.seek(place)
            stream.write(b"x")
    descriptor = os.open(path, os.O_RDONLY)
    try:
        blocks = list(_blocks.data_blocks(descriptor, 8 << 20))
    finally:
        os.close(descriptor)
    assert blocks == sorted(set(blocks))
    assert {0, 1, 6, 15} <= set(blocks)


def test_a_file_that_changes_is_noticed(tmp_path):
    path = tmp_path / "disk.raw"
    path.write_bytes(b"x" * 4096)
    found = _blocks.scan(path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(PublishError, match="has changed while"):
        found.check_unchanged()


def test_progress_that_cannot_be_written_stops_nothing(tmp_path, monkeypatch):
    class Full(io.StringIO):
        def flush(self):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", lambda *_args, **_more: Full())
    progress = Progress("x", 10, str(tmp_path))
    progress.advance(5)
    progress.finish()
    assert progress._facts["done"] == 5
