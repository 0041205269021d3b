# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# It is a plugin of ansible-core, which is under the
# GNU General Public License v3.0+ (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Shows how far long uploads and imports are."""

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: aggregate
short_description: Show how far long uploads and imports are
version_added: 0.2.0
author: The Kiln authors (@kiln-unikernel)
description:
  - Shows the progress of the collection's publishing modules, while they run.
  - On a terminal with the Python library rich a bar for each upload, elsewhere a plain line now and
    then.
  - It sees modules that run on the controller itself, as publishing usually does.
requirements:
  - enabling in the configuration
  - rich (Python library) for bars
options:
  interval:
    description: Seconds between two plain lines of an upload, at least.
    type: float
    default: 5
    env:
      - name: KILN_PROGRESS_INTERVAL
    ini:
      - section: callback_kiln_progress
        key: interval
"""

EXAMPLES = r"""
# In ansible.cfg:
# [defaults]
# callbacks_enabled = kiln.unikernel.progress
"""

import contextlib
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import PROGRESS_FOLDER

try:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars

    HAS_RICH = True
except ImportError:
    HAS_RICH = False

MIB = 1 << 20
LOOK_EVERY = 0.2


class Plain:
    """Lines for a log: the first, one each interval, and the last."""

    def __init__(self, say: Any, interval: float) -> None:
        self._say = say
        self._interval = interval
        self._begun: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def show(self, name: str, facts: dict[str, Any], now: float) -> None:
        """Says a line if it is time for one."""
        begun = self._begun.setdefault(name, now)
        if not facts["finished"] and now - self._last.get(name, -self._interval) < self._interval:
            return
        self._last[name] = now
        share = 100 * facts["done"] // facts["total"] if facts["total"] else 100
        took = now - begun
        speed = f", {facts['done'] / MIB / took:.1f} MiB/s" if took > 1 else ""
        self._say(f"progress: {facts['label']}: {share} % of {facts['total'] / MIB:.1f} MiB{speed}")

    def rest(self) -> None:
        """Nothing is under way."""


class Drawn:
    """Bars on a terminal, there only while something is under way."""

    def __init__(self) -> None:
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}

    def show(self, name: str, facts: dict[str, Any], _now: float) -> None:
        """Draws one upload."""
        if self._bars is None:
            self._bars = Bars(
                TextColumn("{task.description}"),
                BarColumn(),
                DownloadColumn(binary_units=True),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=Console(),
            )
            self._bars.start()
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(facts["label"], total=facts["total"])
        self._bars.update(self._tasks[name], completed=facts["done"])

    def rest(self) -> None:
        """Leaves the terminal to Ansible."""
        if self._bars is not None:
            self._bars.stop()
            self._bars, self._tasks = None, {}


class Watcher:
    """Reads what the modules write into a folder, and shows it."""

    def __init__(self, folder: Path, shown: Plain | Drawn) -> None:
        self._folder = folder
        self._shown = shown
        self._read: dict[str, int] = {}
        self._open: set[str] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def stop(self) -> None:
        """Looks once more and ends."""
        self._end.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._end.wait(LOOK_EVERY):
            self.look(time.monotonic())
        self.look(time.monotonic())
        self._shown.rest()

    def look(self, now: float) -> None:
        """Shows what is new."""
        for path in sorted(self._folder.glob("*.jsonl")):
            facts = self._news(path)
            if facts is None:
                continue
            self._shown.show(path.name, facts, now)
            (self._open.discard if facts["finished"] else self._open.add)(path.name)
        if not self._open:
            self._shown.rest()

    def _news(self, path: Path) -> dict[str, Any] | None:
        """The newest whole line since the last look."""
        begin = self._read.get(path.name, 0)
        with contextlib.suppress(OSError), path.open("rb") as stream:
            stream.seek(begin)
            text = stream.read()
            whole = text[: text.rfind(b"\n") + 1]
            if whole:
                self._read[path.name] = begin + len(whole)
                facts: dict[str, Any] = json.loads(whole.splitlines()[-1])
                return facts
        return None


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Watches for the whole play."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kiln.unikernel.progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self._folder: Path | None = None
        self._watcher: Watcher | None = None

    def v2_playbook_on_start(self, playbook: Any) -> None:  # noqa: ARG002
        """Tells the modules, by the environment they inherit, where to write."""
        self._folder = Path(tempfile.mkdtemp(prefix="kiln-progress-"))
        os.environ[PROGRESS_FOLDER] = str(self._folder)
        shown: Plain | Drawn
        if HAS_RICH and sys.stdout.isatty():
            shown = Drawn()
        else:
            shown = Plain(self._display.display, float(self.get_option("interval")))
        self._watcher = Watcher(self._folder, shown)
        self._watcher.start()

    def v2_playbook_on_stats(self, stats: Any) -> None:  # noqa: ARG002
        """Ends with the play."""
        if self._watcher and self._folder:
            self._watcher.stop()
            shutil.rmtree(self._folder, ignore_errors=True)
            os.environ.pop(PROGRESS_FOLDER, None)
