# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A local guest's life: defined, started, stopped, gone.

A guest is a folder STORE/instances/<name> with its definition, its console and QEMU's pid file. It
runs exactly when the process named in the pid file is a QEMU that was given that pid file, so an
answer never depends on what was remembered, and a run that was cut short leaves no process that
the next one does not find. Sockets lie in a short path of their own, for the kernel allows them
107 bytes only.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils import _backlog, _qemu
from ansible_collections.kiln.unikernel.plugins.module_utils._knock import Knock
from ansible_collections.kiln.unikernel.plugins.module_utils._qemu import Forward, Machine, Places
from ansible_collections.kiln.unikernel.plugins.module_utils._store import (
    KilnError,
    Store,
    digest_bytes,
    identity,
    is_address,
    read_json,
    write_json,
)

try:
    from qemu.qmp import QMPClient, QMPError

    HAS_QMP = True
except ImportError:
    HAS_QMP = False

_POLL = 0.02
_QUIT_SECONDS = 5.0
_TAIL_LINES = 15


@dataclass(frozen=True)
class InstancePlan:
    """The steps from how a guest is to how it should be, and both for the diff."""

    steps: list[str]
    before: dict[str, Any]
    after: dict[str, Any]

    @property
    def changed(self) -> bool:
        """Whether carrying it out changes anything."""
        return bool(self.steps)


class Instance:
    """One guest by its name. Making the object touches nothing."""

    def __init__(self, name: str, store: Store) -> None:
        self.name = name
        self.store = store
        self.folder = store.path / "instances" / name
        short = digest_bytes(str(self.folder).encode())[:16]
        self._sockets = Path(tempfile.gettempdir()) / f"kiln-{os.getuid()}"
        self.places = Places(
            console=self.folder / "console.log",
            pid=self.folder / "qemu.pid",
            qmp=self._sockets / f"{short}.qmp",
            control=self._sockets / f"{short}.control",
        )

    # --- what is ----------------------------------------------------------------------------

    @property
    def record(self) -> dict[str, Any] | None:
        """What is written about the guest, None when it is not defined."""
        value = read_json(self.folder / "instance.json")
        return value if isinstance(value, dict) else None

    @property
    def pid(self) -> int | None:
        """The guest's process, None when it does not run."""
        try:
            pid = int(self.places.pid.read_text())
        except (OSError, ValueError):
            return None
        return pid if self._runs(pid) else None

    def _runs(self, pid: int) -> bool:
        """Whether a process is this guest's QEMU; one that has ended has no command line left."""
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return os.fsencode(self.places.pid) in words

    @property
    def state(self) -> str:
        """absent, stopped or started."""
        if self.pid is not None:
            return "started"
        return "stopped" if self.record else "absent"

    def tail(self) -> str:
        """The console's last lines."""
        try:
            text = self.places.console.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-_TAIL_LINES:])

    # --- what shall be ----------------------------------------------------------------------

    def plan_absent(self) -> InstancePlan:
        """Steps to there being no such guest."""
        before = {"state": self.state, **(self.record or {}).get("definition", {})}
        steps = ["stop"] if self.state == "started" else []
        steps += ["remove"] if self.folder.exists() else []
        return InstancePlan(steps, before, {"state": "absent"})

    def plan(self, state: str, definition: dict[str, Any]) -> InstancePlan:
        """Steps to `state`: started, stopped, or present (defined, running or not)."""
        now = self.state
        record = self.record or {}
        before = {"state": now, **record.get("definition", {})}
        same = record.get("definition") == definition
        runs = now == "started"
        stop = runs and (state == "stopped" or (state == "started" and not same))
        start = state == "started" and (not runs or not same)
        steps = [
            step
            for step, wanted in (("stop", stop), ("define", not same), ("start", start))
            if wanted
        ]
        after_state = now if state == "present" and now != "absent" else state
        after_state = "stopped" if after_state == "present" else after_state
        return InstancePlan(steps, before, {"state": after_state, **definition})

    def define(self, definition: dict[str, Any]) -> None:
        """Writes the definition down."""
        self.folder.mkdir(parents=True, exist_ok=True)
        record = self.record or {}
        write_json(self.folder / "instance.json", dict(record, definition=definition))

    def start(self, machine: Machine, accel: str) -> float:
        """Starts QEMU and returns when it is set up; gives the moment of time.monotonic()."""
        machine = dataclasses.replace(machine, forwards=free_ports(machine.forwards))
        self._sockets.mkdir(mode=0o700, exist_ok=True)
        if self._sockets.stat().st_uid != os.getuid():
            raise KilnError(
                f"{self._sockets} belongs to somebody else; set TMPDIR to another folder."
            )
        self.places.console.write_bytes(b"")
        self.places.pid.unlink(missing_ok=True)
        words = _qemu.command(machine, self.places, accel)
        runtime = {
            "accel": accel,
            "command": words,
            "forwards": [dataclasses.asdict(item) for item in machine.forwards],
            "ready_ms": None,
        }
        begin = time.monotonic()
        with _backlog.adopting_orphans():
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                reason = (done.stderr or done.stdout).strip()
                raise KilnError(f"QEMU did not start the guest {self.name}: {reason}")
            ports = {item.host for item in machine.forwards if item.protocol == "tcp"}
            _backlog.widen(self.pid, ports)
        write_json(self.folder / "instance.json", dict(self.record or {}, runtime=runtime))
        return begin

    def wait_for(self, port: int, talk: tuple[bytes, bytes], begin: float, seconds: float) -> int:
        """Waits until the guest answers at a port; gives the milliseconds since `begin`."""
        forward = next((item for item in self._forwards() if item.guest == port), None)
        if forward is None:
            raise KilnError(f"The guest's port {port}, which to wait for, is not in `forwards`.")
        knock = Knock((forward.address, forward.host), *talk)
        try:
            while not knock.answered():
                if self.pid is None:
                    raise KilnError(
                        f"The guest {self.name} ended before it answered. The end of its console "
                        f"({self.places.console}):\n{self.tail()}"
                    )
                if time.monotonic() - begin > seconds:
                    raise KilnError(
                        f"The guest {self.name} runs but did not answer at port {port} within "
                        f"{seconds:.0f} s. The end of its console ({self.places.console}):\n"
                        f"{self.tail()}"
                    )
        finally:
            knock.close()
        record = self.record or {}
        took = round((time.monotonic() - begin) * 1000)
        record["runtime"]["ready_ms"] = took
        write_json(self.folder / "instance.json", record)
        return took

    def _forwards(self) -> list[Forward]:
        runtime = (self.record or {}).get("runtime", {})
        return [Forward(**item) for item in runtime.get("forwards", [])]

    def stop(self, seconds: float) -> None:
        """Ends the guest: it is asked to, then QEMU is, then it is made to.

        The process is watched, not its pid file: QEMU takes that away some time before its end.
        """
        pid = self.pid
        if pid is not None and not any(step(pid, seconds) for step in self._ways_to_stop()):
            raise KilnError(f"The guest {self.name} (process {pid}) cannot be ended.")
        for path in (self.places.pid, self.places.qmp, self.places.control):
            path.unlink(missing_ok=True)

    def _ways_to_stop(self) -> list[Callable[[int, float], bool]]:
        return [self._ask_program, self._ask_qemu, self._kill]

    def _ask_program(self, pid: int, seconds: float) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as control:
            control.settimeout(1)
            control.connect(str(self.places.control))
            control.sendall(b'{"request":"shutdown"}\n')
            return self._wait_gone(pid, seconds)
        return False

    def _ask_qemu(self, pid: int, seconds: float) -> bool:
        # QEMU closes the connection when it ends, which the library reports as EOFError.
        with contextlib.suppress(OSError, EOFError, QMPError, asyncio.TimeoutError):
            asyncio.run(self._quit())
        return self._wait_gone(pid, max(seconds, _QUIT_SECONDS))

    def _kill(self, pid: int, seconds: float) -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return self._wait_gone(pid, max(seconds, _QUIT_SECONDS))

    async def _quit(self) -> None:
        client = QMPClient("kiln")
        await asyncio.wait_for(client.connect(str(self.places.qmp)), _QUIT_SECONDS)
        await client.execute("quit")
        await client.disconnect()

    def status(self) -> str | None:
        """What QEMU says of the machine (running, paused, internal-error …), None without one."""
        if self.pid is None:
            return None
        try:
            return asyncio.run(self._query())
        except (TimeoutError, OSError, QMPError):
            return None

    async def _query(self) -> str:
        client = QMPClient("kiln")
        await asyncio.wait_for(client.connect(str(self.places.qmp)), _QUIT_SECONDS)
        try:
            answer = await client.execute("query-status")
        finally:
            await client.disconnect()
        return str(answer["status"])

    def _wait_gone(self, pid: int, seconds: float) -> bool:
        """Whether the process ends within this time."""
        until = time.monotonic() + seconds
        while self._runs(pid):
            if time.monotonic() >= until:
                return False
            time.sleep(_POLL)
        return True

    def remove(self) -> None:
        """Takes the definition and the console away."""
        shutil.rmtree(self.folder)

    def describe(self) -> dict[str, Any]:
        """All that can be told of the guest."""
        record = self.record or {}
        pid = self.pid
        runtime = record.get("runtime", {}) if pid else {}
        return {
            "name": self.name,
            "state": self.state,
            "pid": pid,
            "definition": record.get("definition"),
            "accel": runtime.get("accel"),
            "forwards": runtime.get("forwards", []),
            "ready_ms": runtime.get("ready_ms"),
            "console": str(self.places.console),
            "qmp": str(self.places.qmp) if pid else None,
        }


def _check_kernel(path: Path) -> None:
    """QEMU takes what is no ELF file for an old Linux kernel, and says so."""
    with path.open("rb") as stream:
        head = stream.read(20)
    if head[:4] != b"\x7fELF" or head[18:20] != b"\x3e\0":
        raise KilnError(
            f"{path} is no kernel: it is not an ELF file for x86-64; build one (role kernel)."
        )


def define(machine: Machine, accel: str, check_mode: bool) -> dict[str, Any]:
    """A guest's definition: the machine, with what its files hold in place of where they lie."""
    for what, path in (("image", machine.image), ("kernel", machine.kernel)):
        if path is None or path.is_file() or (check_mode and is_address(path)):
            continue
        raise KilnError(f"There is no {what} at {path}; make it first (role {what}).")
    if machine.kernel is not None and machine.kernel.is_file():
        _check_kernel(machine.kernel)
    facts = dataclasses.asdict(machine)
    facts["image"] = {"path": str(machine.image), "digest": identity(machine.image)}
    if machine.kernel is not None:
        facts["kernel"] = {"path": str(machine.kernel), "digest": identity(machine.kernel)}
    return dict(facts, accel=accel)


def free_ports(forwards: list[Forward]) -> list[Forward]:
    """The same forwards with a free host port where 0 was; a port in use is an error."""
    settled = []
    for item in forwards:
        kind = socket.SOCK_STREAM if item.protocol == "tcp" else socket.SOCK_DGRAM
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((item.address, item.host))
            except OSError as problem:
                raise KilnError(
                    f"Port {item.host} of {item.address} cannot be forwarded to the guest's "
                    f"{item.guest}: {problem.strerror}. Choose another host port, or 0 for a free "
                    "one."
                ) from None
            settled.append(dataclasses.replace(item, host=probe.getsockname()[1]))
    return settled
