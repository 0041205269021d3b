"""The baked redis image, and guests that run it, for the tests that drive redis from outside."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ports import free_port

TOP = Path(__file__).resolve().parent.parent.parent
BUILD = TOP / "build"
RUN = TOP / "kernel-src" / "run"
PROGRAM = "/usr/bin/redis-server"
# What a server for tests needs beyond the image's own arguments.
FLAGS = ("--port", "6379", "--bind", "*", "--protected-mode", "no", "--save", "", "--dir", "/tmp")


class NotReadyError(Exception):
    """Something needed for the test could not be made or did not answer."""


@dataclass
class Baked:
    """What the collection's roles made: paths of the kernel and of the EROFS root."""

    kernel: Path
    root: Path


def run_checked(command: list[str], **more: Any) -> str:
    """Standard output of a command that has to succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-15:]
        raise NotReadyError(f"{command[0]} failed:\n" + "\n".join(last))
    return str(done.stdout)


def bake(kernel: Path | None = None, root: Path | None = None) -> Baked:
    """Kernel and image by the collection's own roles, from this checkout; those given stay."""
    if kernel and root:
        return Baked(kernel, root)
    BUILD.mkdir(exist_ok=True)
    facts = BUILD / "redis-image.json"
    tree = run_checked(["sh", str(TOP / "tools" / "tree")]).strip()
    search = f"{TOP / '.venv/bin'}:{os.environ.get('PATH', os.defpath)}"
    environment = os.environ | {"ANSIBLE_COLLECTIONS_PATH": tree, "LC_ALL": "C.UTF-8"}
    environment["PATH"] = search
    command = ["ansible-playbook", "-i", "localhost,", str(TOP / "tests/lib/redis_image.yml")]
    wanted = {"facts_file": str(facts), "with_kernel": kernel is None}
    run_checked([*command, "-e", json.dumps(wanted)], env=environment)
    found = json.loads(facts.read_text())
    return Baked(kernel or Path(found["kernel"]), root or Path(found["root"]))


def ask(port: int, request: bytes, size: int, limit: float = 10.0) -> bytes:
    """The answer to one request on a new connection; up to `size` bytes, fewer on the end."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), limit) as client:
        client.settimeout(limit)
        client.sendall(request)
        while len(answer) < size and (part := client.recv(size - len(answer))):
            answer += part
    return answer


@dataclass
class Server:
    """A running redis: in a guest, or on the host as the oracle."""

    process: subprocess.Popen[bytes]
    port: int
    status_file: Path | None = None
    log: Path | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    def wait(self, limit: float = 60.0) -> None:
        """Until it answers PING."""
        until = time.monotonic() + limit
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise NotReadyError(f"redis ended with {self.process.returncode}: {self.said()}")
            try:
                if ask(self.port, b"PING\r\n", 7, 2.0) == b"+PONG\r\n":
                    return
            except OSError:
                time.sleep(0.05)
        raise NotReadyError(f"redis did not answer within {limit:g} s: {self.said()}")

    def said(self) -> str:
        """The end of what it wrote."""
        return self.log.read_text(errors="replace")[-3000:] if self.log else ""


@contextmanager
def _process(
    command: list[str], log: Path, cwd: str | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, cwd=cwd
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def in_guest(
    baked: Baked, flags: list[str], *, smp: int = 1, memory: str = "512M", root: Path | None = None
) -> Iterator[Server]:
    """Redis on Kiln, its port forwarded."""
    with tempfile.TemporaryDirectory(prefix="kiln-redis-") as folder:
        port = free_port()
        status = Path(folder, "status")
        command = [str(RUN), "--kernel", str(baked.kernel), "--root", str(root or baked.root)]
        command += [
            "--smp",
            str(smp),
            "--memory",
            memory,
            "--timeout",
            "0",
            "--cwd",
            "/tmp",
            "--verbose",
        ]
        command += ["--forward", f"{port}:6379", "--status-file", str(status)]
        with _process([*command, "--", PROGRAM, *FLAGS, *flags], Path(folder, "log")) as process:
            yield Server(process, port, status, Path(folder, "log"))


@contextmanager
def on_host(baked: Baked, flags: list[str]) -> Iterator[Server]:
    """The same program with its own libraries, on the host's Linux."""
    tree = BUILD / "redis-tree"
    if not (tree / PROGRAM.lstrip("/")).exists():
        run_checked(["fsck.erofs", f"--extract={tree}", str(baked.root)])
    libraries = sorted({str(path.parent) for path in (tree / "usr/lib").rglob("*.so*")})
    loader = next(tree.rglob("ld-linux-x86-64.so.2")).resolve()
    with tempfile.TemporaryDirectory(prefix="kiln-redis-") as folder:
        port = free_port()
        command = [str(loader), "--library-path", ":".join(libraries), str(tree) + PROGRAM]
        command += [*FLAGS, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, *flags]
        with _process(command, Path(folder, "log"), folder) as process:
            yield Server(process, port, None, Path(folder, "log"))
