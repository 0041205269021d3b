"""One image's server twice: in the guest that a playbook left running, and on this Linux.

The image's root is taken apart for Linux, so both sides run the very same files.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lib.ports import free_port
from tests.publish.installed import TOP, Desk, Play

GUEST, LINUX = "Kiln", "Linux"
Part = Callable[[int], Iterator[str]]


@dataclass
class Kept:
    """A guest that a playbook left running."""

    port: int
    play: Play
    image: Path
    console: Path


@contextmanager
def kept(desk: Desk, playbook: str, **variables: Any) -> Iterator[Kept]:
    """Runs a playbook that leaves its guest running, which is stopped as its summary says."""
    port = free_port()
    play = desk.run(f"kiln.unikernel.{playbook}", keep=True, host_port=port, **variables)
    assert play.code == 0, play.text

    def summed_up(word: str) -> str:
        found = re.search(rf"^ *(?:- |\"|')?{word} +(.*?)[\"',]*$", play.text, re.M)
        assert found, play.text
        return found[1]

    stop = summed_up("stop it").split(" -a ")
    image, console = Path(summed_up("image").split()[-1]), Path(summed_up("its console"))
    try:
        yield Kept(port, play, image, console)
    finally:
        ended = desk.command(*stop[0].split(), "-a", stop[1].strip("'"))
        assert ended.code == 0, ended.text


def take_apart(image: Path, folder: Path) -> Path:
    """The root folder of an image."""
    command = ["fsck.erofs", f"--extract={folder}", "--no-preserve", str(image)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@contextmanager
def on_linux(image: Path, folder: Path, port: int, inside: int) -> Iterator[int]:
    """What the image runs, on this machine; its port `inside` becomes another."""
    tree = take_apart(image, folder)
    app = json.loads((tree / "etc/kiln/app.json").read_text(encoding="utf-8"))
    argv = [re.sub(rf"(^|=){inside}$", rf"\g<1>{port}", word) for word in app["argv"]]
    for path in tree.glob("etc/nginx/nginx.conf"):
        path.write_text(path.read_text(encoding="utf-8").replace(f"{inside} ", f"{port} "))
    for name in ("proc", "sys", "dev", "tmp", "run", "var"):
        (tree / name).mkdir(exist_ok=True)
    command = ["/usr/bin/python3", "-IS", str(TOP / "tests/programs/linux_box.py")]
    command += ["--tree", str(tree), "--host-net", "--cwd", app.get("cwd", "/"), "--", *argv]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=sys.stderr
    )
    try:
        wait_for(process, port)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def wait_for(process: subprocess.Popen[bytes], port: int, limit: float = 60) -> None:
    """Until somebody listens."""
    until = time.monotonic() + limit
    while time.monotonic() < until:
        assert process.poll() is None, f"ended with {process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"nobody listens at port {port} within {limit:g} s")


def until_it_says(port: int, request: str, limit: float = 60) -> str:
    """The first answer of a guest: QEMU accepts connections long before it does."""
    until = time.monotonic() + limit
    while time.monotonic() < until:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port), 5) as client,
        ):
            client.settimeout(5)
            client.sendall(request.encode())
            with client.makefile("rb") as answer:
                if said := answer.read():
                    return said.decode()
        time.sleep(0.05)
    raise AssertionError(f"nobody answers at port {port} within {limit:g} s")


def talk(parts: list[Part], port: int, where: str) -> list[str]:
    """What a client came to, part by part."""
    said = []
    for part in parts:
        begun = time.monotonic()
        said += [f"{part.__name__}: {line}" for line in part(port)]
        print(f"{where}: {part.__name__}, {time.monotonic() - begun:.1f} s")
    return said


def again(desk: Desk, playbook: str, guest: Kept, **variables: Any) -> Play:
    """A second run of a playbook, which leaves the guest of the first as it is."""
    play = desk.run(f"kiln.unikernel.{playbook}", keep=True, host_port=guest.port, **variables)
    assert play.code == 0, play.text
    return play


def compare(
    guest: Kept,
    parts: list[Part],
    folder: Path,
    inside: int,
    first: Callable[[int], None] = lambda _port: None,
) -> None:
    """Fails unless the guest says what Linux says; `first` is done on Linux before that."""
    with on_linux(guest.image, folder, free_port(), inside) as port:
        first(port)
        wanted = talk(parts, port, LINUX)
    found = talk(parts, guest.port, GUEST)
    told = difflib.unified_diff(wanted, found, LINUX, GUEST, n=0, lineterm="")
    assert found == wanted, "\n" + "\n".join(told)
