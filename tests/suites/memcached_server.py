#!/usr/bin/env python3
"""Stands in for `memcached-debug`: memcached's own tests start this with the arguments for a server.

On Linux it becomes Debian's memcached, out of the tree that the guest's image was made from. On Kiln
it boots a guest with the same arguments. A test connects as soon as its port listens, so the port is
forwarded only when the server takes connections, which another forwarded port tells without a word
to the server that its statistics would count. A server that ends before that ends this with its
status.

Some arguments are not passed as they are: Debian's build does not know -o relaxed_privileges; in a
guest 127.0.0.1 cannot be reached from outside, so -l 127.0.0.1 becomes 0.0.0.0, and files of the
suite lie in /t there.

MEMCACHED_SUITE holds a JSON object: side, tree, image, kernel, sources.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/lib"))
from ports import free_port  # noqa: E402

PROGRAM = "usr/bin/memcached"
INSIDE = "/t/"
GUEST = "10.0.2.15"


def option(words: list[str], name: str) -> str:
    """The value of a short option, or nothing."""
    for at, word in enumerate(words):
        if word.startswith(name):
            return word[len(name) :] or words[at + 1]
    return ""


def without_debugging(words: list[str]) -> list[str]:
    """The arguments without an option that only memcached's debug build has."""
    text = "\0".join(words)
    return [word for word in text.replace("-o\0relaxed_privileges", "").split("\0") if word]


def help_text(command: list[str]) -> int:
    """The server's own help, without the unix socket that no client outside a guest could reach."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    shown = [line for line in done.stdout.splitlines() if "unix-socket" not in line]
    print("\n".join(shown))
    return done.returncode


def for_guest(words: list[str], sources: str) -> list[str]:
    """The arguments as they have to be inside."""
    text = "\0".join(words).replace(f"{sources}/t/", INSIDE)
    return re.sub(r"127\.0\.0\.1(?=\0|$)", "0.0.0.0", text).split("\0")


class Monitor:
    """QEMU's monitor; the state of its user network is told only to people, by QMP's back door."""

    def __init__(self, path: Path) -> None:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(path))
        self._stream = connection.makefile("rwb")
        self._stream.readline()
        self._command("qmp_capabilities")

    def ask(self, line: str) -> str:
        """What it says to a line of a person."""
        return str(self._command("human-monitor-command", **{"command-line": line}))

    def _command(self, name: str, **arguments: str) -> Any:
        self._stream.write(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        self._stream.flush()
        while line := self._stream.readline():
            told = json.loads(line)
            if "return" in told:
                return told["return"]
            if "error" in told:
                raise SystemExit(f"memcached_server: {name}: {told['error']}")
        raise ConnectionError("QEMU has ended")


def takes_connections(monitor: Monitor, port: int, inside: str) -> bool:
    """Whether the server has completed a handshake (slirp's table names each connection's state)."""
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.settimeout(0.05)
        while True:
            states = re.findall(rf"TCP\[(\w+)\].* {GUEST} +{inside} ", monitor.ask("info usernet"))
            if "ESTABLISHED" in states:
                return True
            try:
                if not client.recv(1):
                    return False
            except TimeoutError:
                continue
            except OSError:
                return False


def emulator_of(pid: int) -> int:
    """The child that is QEMU."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def serve(words: list[str], suite: dict[str, str]) -> int:
    """A guest, from its start to its end."""
    sys.path.insert(0, str(TOP / "kernel-src/tools"))
    from kilnrun import backlog

    port, probe = option(words, "-p"), free_port()
    with tempfile.TemporaryDirectory(prefix="kiln-memcached-") as folder:
        path = Path(folder, "monitor")
        command = [str(TOP / "kernel-src/run"), "--kernel", suite["kernel"]]
        command += ["--root", suite["image"], "--smp", "2", "--memory", "1G", "--timeout", "900"]
        command += ["--forward", f"{probe}:{port}"] if port else []
        for name, value in os.environ.items():
            command += ["--env", f"{name}={value}"] if name.startswith("T_MEMD_") else []
        command += ["--", f"/{PROGRAM}", *for_guest(words, suite["sources"])]
        environment = os.environ | {"KILN_QEMU_ARGS": f"-qmp unix:{path},server=on,wait=off"}
        guest = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: guest.terminate())
        while port and guest.poll() is None:
            time.sleep(0.05)
            with contextlib.suppress(OSError):
                monitor = Monitor(path)
                break
        while port and guest.poll() is None:
            with contextlib.suppress(OSError):
                if takes_connections(monitor, probe, port):
                    let_in(monitor, words)
                    backlog.widen(emulator_of(guest.pid), {int(port)})
                    break
        return guest.wait()


def let_in(monitor: Monitor, words: list[str]) -> None:
    """Forwards the ports that the test will connect to."""
    for protocol, port in (("tcp", option(words, "-p")), ("udp", option(words, "-U") or "0")):
        if port != "0":
            said = monitor.ask(f"hostfwd_add net {protocol}:127.0.0.1:{port}-{GUEST}:{port}")
            if said.strip():
                raise SystemExit(f"memcached_server: {said}")


def main() -> int:
    """By the arguments and the side."""
    words, suite = without_debugging(sys.argv[1:]), json.loads(os.environ["MEMCACHED_SUITE"])
    tree = Path(suite["tree"])
    loader = next(tree.glob("usr/lib*/ld-linux-x86-64.so.2")).resolve()
    libraries = f"{tree}/usr/lib/x86_64-linux-gnu"
    native = [str(loader), "--library-path", libraries, str(tree / PROGRAM), *words]
    if words == ["-h"]:
        return help_text(native)
    if suite["side"] == "linux":
        os.execv(native[0], native)
    return serve(words, suite)


if __name__ == "__main__":
    sys.exit(main())
