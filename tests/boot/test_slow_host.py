"""A host that has other things to do: it takes single threads of QEMU off the CPU for seconds.

A thread is held by attaching to it as a debugger does, so that the moment is chosen and not left to
the load.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boot_rig
import pytest

PROGRAM = r"""
#include <stdio.h>
#include <unistd.h>
int main(void) {
    setvbuf(stdout, 0, _IONBF, 0);
    puts("up");
    sleep(2);
    puts("well");
    return 7;
}
"""
SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17  # ptrace(2)
WAIT_FOR_THREADS = 0x40000000  # __WALL


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A root with the program."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "root/bin").mkdir(parents=True)
    (folder / "up.c").write_text(PROGRAM)
    boot_rig.run("gcc", "-O1", "-static", "-o", folder / "root/bin/up", folder / "up.c")
    return folder / "root"


class Machine:
    """A guest that waits before its first instruction, and the threads that carry it."""

    def __init__(self, kernel: Path, root: Path, folder: Path, *options: str) -> None:
        monitor = folder / "qmp"
        command = [boot_rig.TOP / "kernel-src/run", "--kernel", kernel, "--root", root]
        command += ["--net", "none", "--timeout", "90", *options, "--", "/bin/up"]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"KILN_QEMU_ARGS": f"-S -qmp unix:{monitor},server=on,wait=off"},
        )
        self._monitor = self._connect(monitor).makefile("rwb")
        self._monitor.readline()
        self.ask("qmp_capabilities")

    def _connect(self, monitor: Path) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        until = time.monotonic() + 60
        while True:
            try:
                client.connect(str(monitor))
                return client
            except OSError:
                assert self.process.poll() is None, "run has ended"
                assert time.monotonic() < until, "QEMU opens no monitor"
                time.sleep(0.02)

    def ask(self, what: str) -> Any:
        """The answer of QEMU's monitor."""
        self._monitor.write(json.dumps({"execute": what}).encode() + b"\n")
        self._monitor.flush()
        while "return" not in (answer := json.loads(self._monitor.readline())):
            assert "error" not in answer, answer
        return answer["return"]

    def cpu_thread(self, number: int) -> int:
        """The host thread of a virtual CPU."""
        found = [each for each in self.ask("query-cpus-fast") if each["cpu-index"] == number]
        return int(found[0]["thread-id"])

    def finish(self) -> tuple[int, str, str]:
        """Status, output and errors of the run."""
        output, errors = self.process.communicate(timeout=120)
        print(errors.decode())
        return self.process.returncode, output.decode(), errors.decode()


def ptrace(request: int, thread: int, data: int = 0) -> None:
    """One request of a debugger."""
    call = ctypes.CDLL(None, use_errno=True).ptrace
    call.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    assert call(request, thread, None, data) == 0, os.strerror(ctypes.get_errno())


@contextmanager
def held(thread: int) -> Iterator[None]:
    """The thread does not run."""
    ptrace(SEIZE, thread)
    ptrace(INTERRUPT, thread)
    _, status = os.waitpid(thread, WAIT_FOR_THREADS)
    # It may stop for a signal that came first, which it gets afterwards.
    signal = 0 if status >> 16 else os.WSTOPSIG(status)
    try:
        yield
    finally:
        ptrace(DETACH, thread, signal)


def test_a_cpu_that_comes_too_late_does_no_harm(kernel, root, tmp_path):
    """It was told to start, and does so when the start-up code is long out of use.

    With qboot, as SeaBIOS itself waits for all CPUs.
    """
    machine = Machine(kernel, root, tmp_path, "--smp", "3", "--firmware", "qboot", "--verbose")
    with held(machine.cpu_thread(1)):
        machine.ask("cont")
        assert machine.process.stdout is not None
        assert machine.process.stdout.readline() == b"up\n"
    status, output, errors = machine.finish()
    assert "1 of 3 CPUs did not start within 10 s; going on with 2" in errors
    assert (status, output) == (7, "well\n")
