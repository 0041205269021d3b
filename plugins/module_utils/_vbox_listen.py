# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Runs VBoxManage and hears while it works how far it is.

A copy of a disk prints `0%...10%...` on its standard error, each figure when it is reached. A
conversion from a raw disk prints nothing of the kind, and an import says 0% until it is done and
then all the rest at once: there the size of what is written tells.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

from ansible_collections.kiln.unikernel.plugins.module_utils._publish import Progress

_SHARE = re.compile(r"(\d+)%")
_LOOK_EVERY = 0.5


class Course:
    """How far one import is, told to whoever watches; `total` are the bytes that there are.

    `target` is the file that is written, or the folder with nothing but what is written.
    """

    def __init__(self, label: str, total: int, target: Path | None = None) -> None:
        self._progress = Progress(label, total)
        self._total = total
        self._target = target
        self._done = 0

    def hear(self, said: str) -> None:
        """Takes the newest figure of what VBoxManage has said so far."""
        shares = _SHARE.findall(said)
        if shares and self._target is None:
            self._reach(self._total * min(100, int(shares[-1])) // 100)

    def look(self) -> None:
        """Looks how large that is by now which is being written."""
        if self._target is not None:
            self._reach(min(self._total, _size(self._target)))

    def _reach(self, done: int) -> None:
        if done > self._done:
            self._progress.advance(done - self._done)
            self._done = done

    def finish(self, whole: bool) -> None:
        """It has ended, well or not."""
        if whole:
            self._reach(self._total)
        self._progress.finish()


def _size(target: Path) -> int:
    """The bytes of a file, or of all files in a folder; what comes and goes meanwhile has none."""
    size = 0
    for path in [target, *target.rglob("*")]:
        with contextlib.suppress(OSError):
            size += path.stat().st_size if path.is_file() else 0
    return size


def listen(
    command: list[str], env: dict[str, str], seconds: float, course: Course
) -> subprocess.CompletedProcess[str]:
    """Runs a command as subprocess.run does with captured text, and hears it."""
    heard: dict[str, list[str]] = {"out": [], "err": []}

    def pump(stream: IO[bytes], name: str, tell: Callable[[str], None]) -> None:
        while chunk := stream.read1(4096):  # type: ignore[attr-defined]
            heard[name].append(chunk.decode("utf-8", "replace"))
            tell("".join(heard[name]))

    pipe = subprocess.PIPE
    whole = False
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=env
    ) as process:
        streams = ((process.stdout, "out"), (process.stderr, "err"))
        pumps = [
            threading.Thread(target=pump, args=(stream, name, course.hear), daemon=True)
            for stream, name in streams
        ]
        for each in pumps:
            each.start()
        try:
            _wait(process, seconds, course)
            whole = process.returncode == 0
        except BaseException:
            process.kill()
            raise
        finally:
            for each in pumps:
                each.join()
            course.finish(whole)
    texts = ["".join(heard[name]) for name in ("out", "err")]
    return subprocess.CompletedProcess(command, process.returncode, *texts)


def _wait(process: subprocess.Popen[bytes], seconds: float, course: Course) -> None:
    """Until it has ended; the file that it writes is looked at meanwhile."""
    while seconds > 0:
        try:
            process.wait(min(_LOOK_EVERY, seconds))
        except subprocess.TimeoutExpired:
            seconds -= _LOOK_EVERY
            course.look()
        else:
            return
    raise subprocess.TimeoutExpired(process.args, seconds)
