# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A program that is run for a while on the machine that bakes, and ended at some point."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# What is kept of the output to look for a text in, and to show, in bytes.
_KEPT = 1 << 16
_SHOWN = 1500
# How long a program may take to end when it is asked to, in seconds.
_PATIENCE = 60


@dataclass(frozen=True)
class Heard:
    """How the run went."""

    complete: bool  # the text was said, or none was waited for
    status: int
    last: str  # the end of what it said


def run(command: list[str], *, cwd: Path, env: dict[str, str], until: str, seconds: float) -> Heard:
    """Runs the command until it ends, says `until` (when not empty), or the seconds are over."""
    deadline = time.monotonic() + seconds
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        said = _listen(process.stdout, until.encode(), deadline)
        complete = until.encode() in said
        if not (until and complete):
            _wait(process, deadline - time.monotonic())
        process.terminate()
        rest = _end(process)
    last = (said + rest).decode("utf-8", "replace")[-_SHOWN:]
    return Heard(complete, process.returncode, last)


def _listen(stream: IO[bytes] | None, until: bytes, deadline: float) -> bytes:
    """The last of what is said up to the text, the end of the stream or the deadline."""
    said = b""
    if stream is None:
        return said
    with selectors.DefaultSelector() as ready:
        ready.register(stream, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0 and ready.select(left):
            piece = os.read(stream.fileno(), _KEPT)
            said = (said + piece)[-_KEPT - len(until) :]
            if not piece or (until and until in said):
                break
    return said


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    """For one that has closed its output and goes on."""
    try:
        process.wait(max(seconds, 0))
    except subprocess.TimeoutExpired:
        return


def _end(process: subprocess.Popen[bytes]) -> bytes:
    """What it says while it ends, as it was asked to; it leaves no process behind that talks."""
    try:
        return process.communicate(timeout=_PATIENCE)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()[0]
