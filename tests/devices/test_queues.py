"""Several queues of a network card share the work: two CPUs, many connections, packets counted.

virtio-net on a tap interface with several queues, in a network namespace of its own. The kernel
tells what each queue has moved as Linux does (ethtool -S). QEMU's other cards receive on one queue.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from test_devices import HERE, NEWER, TOP

QUEUES = 2
CONNECTIONS = 16
# Of a direction's packets; a quarter would be half of a fair share.
LEAST_SHARE = 0.1

IN_NAMESPACE = """
import socket, subprocess, sys, threading, time
connections, *command = sys.argv[1:]
for words in (
    "link set lo up", "tuntap add dev tap0 mode tap multi_queue",
    "addr add 192.168.78.1/24 dev tap0", "link set tap0 up",
):
    subprocess.run(["ip", *words.split()], check=True)
guest = subprocess.Popen(command, stdin=subprocess.PIPE)
until = time.monotonic() + 50
bulk = bytes(range(256)) * 1000

def connect():
    while True:
        try:
            return socket.create_connection(("192.168.78.2", 7), 5)
        except OSError:
            if guest.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.05)  # between attempts

def exchange(peer, results):
    with peer:
        sender = threading.Thread(target=lambda: (peer.sendall(bulk), peer.shutdown(1)))
        sender.start()
        back = bytearray()
        while more := peer.recv(65536):
            back += more
        sender.join()
    results.append(bytes(back) == bulk)

results = []
threads = [
    threading.Thread(target=exchange, args=(connect(), results)) for _ in range(int(connections))
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
guest.stdin.close()
status = guest.wait()
sys.exit(status if results == [True] * int(connections) else 77)
"""


@pytest.fixture(scope="session")
def nic_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the program that echoes."""
    folder = tmp_path_factory.mktemp("nic")
    build = ["gcc", "-O1", "-static", "-pthread", "-Wall", "-o", folder / "nic", HERE / "nic.c"]
    subprocess.run(build, check=True)
    return folder


def test_both_queues_carry_packets(kernel: str, nic_root: Path, wrapper: Path) -> None:
    """In both directions; every byte comes back."""
    rewrite = [
        ["ifname=tap0", f"ifname=tap0,queues={QUEUES}"],
        [f"net-pci{NEWER}", f"net-pci{NEWER},mq=on,vectors={2 * QUEUES + 2}"],
    ]
    environment = os.environ | {
        "KILN_QEMU": str(wrapper),
        "KILN_TEST_REWRITE": json.dumps(rewrite),
    }
    guest = [TOP / "kernel-src/run", "--kernel", kernel, "--root", nic_root, "--smp", "2"]
    guest += ["--net", "tap=tap0", "--ip", "192.168.78.2/24", "--timeout", "60", "--", "/nic"]
    apart = ["unshare", "--net", *([] if os.getuid() == 0 else ["--map-root-user"])]
    done = subprocess.run(
        [*apart, "python3", "-c", IN_NAMESPACE, str(CONNECTIONS), *guest],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    moved = {words[0]: int(words[1]) for words in lines if words[0].endswith("_packets")}
    for direction in ("rx", "tx"):
        counts = [moved[f"{direction}_queue_{queue}_packets"] for queue in range(QUEUES)]
        assert min(counts) >= LEAST_SHARE * sum(counts), moved
