"""Servers of the tree, on this machine's Linux or in a guest, for clients outside to talk to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from world import HERE, TOP, World

sys.path.insert(0, str(TOP / "tests/lib"))
from ports import free_port  # noqa: E402

LINUX, KILN = "Linux", "Kiln"
_SETTINGS = {"PATH": "/usr/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}


class NotServing(Exception):
    """A server that did not start, or that ended too early."""


@dataclass
class Server:
    """A running one: its port on 127.0.0.1, for TCP and UDP."""

    where: str
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def said(self) -> str:
        """All that it wrote so far."""
        return self.log.read_text(errors="replace")

    def wait_until_it_answers(self, greeting: bytes, limit: float = 60.0) -> None:
        """The first answer to a greeting: QEMU accepts connections long before a guest does."""
        until = time.monotonic() + limit
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise NotServing(
                    f"{self.where}: ended with {self.process.returncode}: {self.said()}"
                )
            try:
                with socket.create_connection(("127.0.0.1", self.port), 2) as probe:
                    probe.settimeout(2)
                    probe.sendall(greeting)
                    if probe.recv(1):
                        return
            except OSError:
                pass
            time.sleep(0.05)
        raise NotServing(f"{self.where}: nobody answers at port {self.port}: {self.said()}")

    def wait_for_its_end(self, limit: float = 30.0) -> int:
        """Its exit status."""
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise NotServing(f"{self.where}: does not end: {self.said()}") from None


@contextmanager
def serve(
    where: str,
    world: World,
    kernel: str,
    argv: list[str],
    greeting: bytes,
    smp: int = 1,
    memory: str = "512M",
) -> Iterator[Server]:
    """A server; the word PORT in its arguments stands for the port it is to listen at."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="kiln-serving-") as folder:
        if where == LINUX:
            own = str(port)
            command = ["/usr/bin/python3", "-IS", str(HERE / "linux_box.py")]
            command += ["--tree", str(world.tree), "--host-net"]
        else:
            own = "7777"
            command = [str(TOP / "kernel-src" / "run"), "--kernel", kernel, "--timeout", "0"]
            command += ["--root", str(world.image), "--smp", str(smp), "--memory", memory]
            command += ["--forward", f"{port}:{own}", "--forward", f"udp:{port}:{own}"]
        for key, value in _SETTINGS.items():
            command += ["--env", f"{key}={value}"]
        command += ["--", *(word.replace("PORT", own) for word in argv)]
        log = Path(folder, "log")
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, process_group=0
            )
        try:
            server = Server(where, process, port, log)
            server.wait_until_it_answers(greeting)
            yield server
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
