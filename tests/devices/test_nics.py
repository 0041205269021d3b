"""Network cards: bulk both ways over each that QEMU models, with every byte compared, and the link.

KILN_KERNEL names a kernel; without it one is built.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import random
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from device_rig import stand_in

from tests.lib.ports import free_port

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
TIMEOUT = 60
BULK = random.Random(5).randbytes(3_000_019)
CONNECTIONS = 3
VIRTIO = "virtio-net-pci-non-transitional"

# QEMU's device, and options of kernel-src/run. Interrupt lines are where the firmware puts them.
BIOS = ["--firmware", "seabios"]
QBOOT = ["--firmware", "qboot"]
CARDS: dict[str, tuple[str, list[str]]] = {
    "virtio-net": (VIRTIO, []),
    "virtio-net, packed rings, two CPUs": (f"{VIRTIO},packed=on", ["--smp", "2"]),
    "e1000": ("e1000", BIOS),
    "e1000, two CPUs": ("e1000", [*BIOS, "--smp", "2"]),
    "e1000 of VMware": ("e1000-82545em", BIOS),
    "e1000 without an interrupt": ("e1000", QBOOT),
    "vmxnet3": ("vmxnet3", []),
    "vmxnet3, two CPUs": ("vmxnet3", ["--smp", "2"]),
    "e1000e": ("e1000e", []),
    "e1000e, two CPUs": ("e1000e", ["--smp", "2"]),
}


@dataclass
class Guest:
    """A running guest that echoes."""

    port: int
    control: Path
    lines: queue.SimpleQueue[str]

    def line(self) -> str:
        """The next line that the program prints."""
        return self.lines.get(timeout=TIMEOUT)

    def set_link(self, up: bool) -> None:
        """Pulls or plugs the cable."""
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(self.control))
            with control.makefile("rw") as talk:
                talk.readline()
                for command in (
                    {"execute": "qmp_capabilities"},
                    {"execute": "set_link", "arguments": {"name": "net", "up": up}},
                ):
                    talk.write(json.dumps(command) + "\n")
                    talk.flush()
                    assert "return" in json.loads(talk.readline())


@pytest.fixture(scope="session")
def nic_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the program."""
    folder = tmp_path_factory.mktemp("nic")
    subprocess.run(
        ["gcc", "-O1", "-static", "-pthread", "-Wall", "-o", folder / "nic", HERE / "nic.c"],
        check=True,
    )
    return folder


def read_lines(stream: Iterator[str], to: queue.SimpleQueue[str]) -> None:
    """Puts what the program prints where it can be waited for."""
    for line in stream:
        to.put(line.rstrip("\n"))
    to.put("")


@contextlib.contextmanager
def booted(kernel: str, root: Path, scratch: Path, name: str) -> Iterator[Guest]:
    """The guest with one of CARDS; checks that it ends well."""
    device, options = CARDS[name]
    control = scratch / "qmp"
    environment = os.environ | {
        "KILN_QEMU": str(stand_in(scratch)),
        "KILN_TEST_REWRITE": json.dumps([[f"{VIRTIO},netdev", f"{device},netdev"]]),
        "KILN_QEMU_ARGS": f"-qmp unix:{control},server=on,wait=off",
    }
    port = free_port()
    command = [str(TOP / "kernel-src/run"), "--kernel", kernel, "--root", str(root), *options]
    command += ["--timeout", str(TIMEOUT), "--forward", f"{port}:7", "--", "/nic"]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        guest = Guest(port, control, queue.SimpleQueue())
        reader = threading.Thread(target=read_lines, args=(process.stdout, guest.lines))
        reader.start()
        try:
            assert guest.line() == "link up"
            yield guest
        finally:
            process.stdin.close()
            status = process.wait()
            reader.join()
    assert status == 0


def connect(port: int) -> socket.socket:
    """A connection that the guest has answered; QEMU takes them before the guest has an address."""
    end = time.monotonic() + TIMEOUT
    while True:
        peer = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        try:
            peer.sendall(b"!")
            if peer.recv(1) == b"!":
                return peer
        except ConnectionError:
            pass
        peer.close()
        assert time.monotonic() < end, "the guest does not answer"
        time.sleep(0.05)  # between attempts


def send(peer: socket.socket) -> None:
    """All of BULK, then the end."""
    peer.sendall(BULK)
    peer.shutdown(socket.SHUT_WR)


def exchange(peer: socket.socket) -> bytes:
    """Sends BULK and takes back at the same time what the guest echoes."""
    back = bytearray()
    with peer:
        sender = threading.Thread(target=send, args=(peer,))
        sender.start()
        while more := peer.recv(1 << 20):
            back += more
        sender.join()
    return bytes(back)


def exchange_with_all(peers: list[socket.socket]) -> None:
    """Over several connections at once; every byte comes back."""
    with ThreadPoolExecutor(len(peers)) as pool:
        assert [back == BULK for back in pool.map(exchange, peers)] == [True] * len(peers)


@pytest.mark.parametrize("name", CARDS)
def test_bulk_both_ways(name: str, kernel: str, nic_root: Path, tmp_path: Path) -> None:
    """Several connections at once."""
    with booted(kernel, nic_root, tmp_path, name) as guest:
        exchange_with_all([connect(guest.port) for _ in range(CONNECTIONS)])


@pytest.mark.parametrize("name", ["virtio-net", "e1000", "vmxnet3", "e1000e"])
def test_the_link_goes_and_comes(name: str, kernel: str, nic_root: Path, tmp_path: Path) -> None:
    """The program sees both, and a connection outlives it."""
    with booted(kernel, nic_root, tmp_path, name) as guest, connect(guest.port) as peer:
        guest.set_link(False)
        assert guest.line() == "link down"
        peer.sendall(b"while it is down")
        guest.set_link(True)
        assert guest.line() == "link up"
        assert peer.recv(16, socket.MSG_WAITALL) == b"while it is down"
