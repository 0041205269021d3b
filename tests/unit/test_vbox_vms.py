"""Plans for machines in VirtualBox, and waiting for one to answer."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import _vbox_vms
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Deadline,
    Patience,
    PublishError,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._qemu import Forward
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox import Machine
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_run import Runner, Way
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_vms import Found, Wanted

IMAGE = Machine("i", "redis-d1", {"digest": "d1"})
IMAGE_FACTS = {"memory": "64", "cpus": "1", "nictype1": "82540EM"}
FACTS = IMAGE_FACTS | {
    "VMState": "poweroff",
    "nic1": "nat",
    "Forwarding(0)": "kiln-0,tcp,127.0.0.1,4711,,6379",
    "uartmode1": "file,/a b.log",
}
WANTED = Wanted("web", IMAGE, forwards=(Forward(6379),), console="/a b.log")


def found(**changes) -> Found:
    return Found(Machine("m", "web", {"from": "d1", "clone": "linked"}), FACTS | changes)


def verbs(have: Found, state: str, wanted: Wanted = WANTED) -> list[str]:
    return [step.verb for step in _vbox_vms.plan(have, wanted, state, IMAGE_FACTS).steps]


@pytest.mark.parametrize(
    ("have", "state", "steps"),
    [
        (Found(), "present", ["clone"]),
        (Found(), "started", ["clone", "start"]),
        (Found(unfinished=[IMAGE]), "stopped", ["discard", "clone"]),
        (Found(), "absent", []),
        (found(), "present", []),
        (found(), "stopped", []),
        (found(), "started", ["start"]),
        (found(), "absent", ["remove"]),
        (found(memory="32"), "present", ["define"]),
        (found(VMState="running"), "started", []),
        (found(VMState="running"), "present", []),
        (found(VMState="paused"), "stopped", ["stop"]),
        (found(VMState="running"), "absent", ["stop", "remove"]),
        (found(VMState="running", cpus="2"), "present", ["stop", "define", "start"]),
        (found(VMState="running", cpus="2"), "stopped", ["stop", "define"]),
        (found(VMState="saved"), "started", ["start"]),
    ],
)
def test_the_steps(have, state, steps):
    assert verbs(have, state) == steps


def test_another_image_is_another_machine():
    other = Wanted("web", Machine("j", "redis-d2", {"digest": "d2"}), console="/a b.log")
    assert verbs(found(), "stopped", other) == ["remove", "clone"]
    running = found(VMState="running")
    assert verbs(running, "present", other) == ["stop", "remove", "clone", "start"]


def test_a_port_that_was_chosen_stays():
    now = _vbox_vms.forwards_of(FACTS)
    assert _vbox_vms.settle((Forward(6379),), now) == [Forward(6379, 4711)]
    assert _vbox_vms.settle((Forward(6379, 1),), now) == [Forward(6379, 1)]
    assert _vbox_vms.settle((Forward(6379, 0, "udp"),), now) == [Forward(6379, 0, "udp")]


class Host:
    """VBoxManage with one machine that runs, one of whose ports is forwarded."""

    def __init__(self, port: int) -> None:
        self.deadline = Deadline(60)
        self.patience = Patience(self.deadline)
        self.running = f'"web" {{{"0" * 36}}}\n'
        self._port = port

    def facts(self, _machine: str) -> dict[str, str]:
        return {"Forwarding(0)": f"kiln-0,tcp,127.0.0.1,{self._port},,6379"}

    def call(self, *_words: str, doing: str) -> str:
        return self.running


def runner(port: int) -> Runner:
    machine = Machine("0" * 36, "web", {"from": "d1"})
    return Runner(Host(port), Wanted("web", IMAGE), Found(machine), Path("/"), Way())


def test_waiting_for_an_answer(tmp_path):
    wait = {"port": 6379, "send": "PING", "expect": "+PONG", "timeout": 20}

    def answer(server: socket.socket) -> None:
        while True:
            try:
                peer, _address = server.accept()
            except OSError:
                return
            peer.recv(4)
            peer.sendall(b"+PONG")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer, args=(server,), daemon=True).start()
        runner(server.getsockname()[1])._wait_for(wait, str(tmp_path / "console"))
        server.shutdown(socket.SHUT_RDWR)


def test_waiting_for_one_that_ends(tmp_path):
    wait = {"port": 6379, "send": "PING", "expect": "+PONG", "timeout": 20}
    console = tmp_path / "console"
    console.write_text("no memory\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        gone = runner(server.getsockname()[1])
        gone.vbox.running = ""
        with pytest.raises(PublishError, match=r"(?s)web ended before it answered.*no memory"):
            gone._wait_for(wait, str(console))
