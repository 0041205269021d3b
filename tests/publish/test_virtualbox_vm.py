"""The module virtualbox_vm on the real VirtualBox: clone, define, start without a driver, stop."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils._disk import build_disk

from tests.publish.virtualbox import RIG, TOP, Rig, faulty, make_raw

DRIVERLESS = [str(RIG / "bin/driverless")]
HELLO = "kiln's boot sector speaks"


def boot_sector(text: str) -> bytes:
    """Writes a text to COM1, each byte when there is room for it, and halts; origin 0x7c00.

    cld; xor ax, ax; mov ds, ax; mov si, text
    next: lodsb; test al, al; jz halt; mov ah, al; mov dx, 0x3fd
    wait: in al, dx; test al, 0x20; jz wait; mov dx, 0x3f8; mov al, ah; out dx, al; jmp next
    halt: hlt; jmp halt
    """
    code = bytes.fromhex(
        "fc 31c0 8ed8 be227c ac 84c0 7412 88c4 bafd03ec a820 74fb baf803 88e0 ee ebe9 f4 ebfd"
    )
    return (code + text.encode() + b"\0").ljust(510, b"\0") + b"\x55\xaa"


def publish(vbox: Rig, word: str = HELLO) -> str:
    done = vbox.image(make_raw(vbox.folder / f"{word[:4]}.raw", boot_sector(word)), memory="64M")
    assert done["changed"], done
    return str(done["digest"])


@pytest.fixture
def machine(vbox: Rig) -> Iterator[Rig]:
    """A VirtualBox in which no machine runs on after the test."""
    yield vbox
    for item in vbox.vms():
        if item["state"] == "started":
            vbox.call("controlvm", item["machine_id"], "poweroff")


def ok(result: dict) -> dict:
    """A result that is not a failure."""
    assert "msg" not in result, result["msg"]
    return result


def told_of(machine: dict) -> dict:
    """A machine as the diff has it."""
    return {key: value for key, value in machine.items() if key not in ("name", "machine_id")}


def after_of(result: dict) -> dict:
    return json.loads(result["diff"]["after"])


def wait_until_said(console: str, text: str, seconds: float = 90) -> str:
    until = time.monotonic() + seconds
    said = ""
    while text not in said and time.monotonic() < until:
        time.sleep(0.2)
        path = Path(console)
        said = path.read_text(errors="replace") if path.exists() else ""
    assert text in said, said
    return said


def test_check_run_check_run_change_absent_absent(vbox):
    digest = publish(vbox)
    options = {"digest": digest, "state": "stopped", "forwards": [{"guest": 6379}]}
    told = vbox.vm(check=True, **options)
    assert told["changed"], told
    assert told["machine"]["state"] == "absent"
    assert len(vbox.names()) == 1
    done = vbox.vm(**options)
    assert done["steps"] == told["steps"] == ["clone VirtualBox: web-1"]
    made = done["machine"]
    port = made["forwards"][0]["host"]
    assert port > 0
    # What check mode told, but for the port that was chosen.
    assert told_of(made) | {"forwards": [{**made["forwards"][0], "host": 0}]} == after_of(told)
    assert (made["memory"], made["cpus"], made["network_adapter"]) == (64, 1, "e1000")
    assert made["console"] == str(vbox.store / "virtualbox/web-1.log")
    facts = vbox.facts("web-1")
    assert facts["Forwarding(0)"] == f"kiln-0,tcp,127.0.0.1,{port},,6379"
    assert facts["uartmode1"] == f"file,{made['console']}"
    for check in (True, False):
        again = vbox.vm(check=check, **options)
        assert not again["changed"], again
    assert not vbox.vm(**options | {"state": "present"})["changed"]
    assert [item["status"] for item in vbox.vms(name="web-1")] == ["poweroff"]
    assert vbox.images()[0]["digest"] == digest

    change = options | {"memory": "96M", "cpus": 2, "console": str(vbox.folder / "a b.log")}
    change["forwards"] = [{"guest": 6379}, {"guest": 53, "host": 5353, "protocol": "udp"}]
    told, done = vbox.vm(check=True, **change), vbox.vm(**change)
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    assert done["steps"] == ["define VirtualBox: web-1"]
    assert told_of(done["machine"]) == after_of(done)
    assert done["machine"]["machine_id"] == made["machine_id"]
    assert [item["host"] for item in done["machine"]["forwards"]] == [5353, port]
    # By hand.
    vbox.call("modifyvm", "web-1", "--memory", "128")
    assert vbox.vm(**change)["machine"]["memory"] == 96

    bare = {"digest": digest, "state": "present", "network": "none", "clone": "full"}
    told, done = vbox.vm(check=True, **bare), vbox.vm(**bare)
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    assert done["steps"] == ["remove VirtualBox: web-1", "clone VirtualBox: web-1"]
    assert done["machine"]["machine_id"] != made["machine_id"]
    assert not vbox.vm(**bare)["changed"]
    # Nothing stands on the image any more.
    assert vbox.image(None, digest=digest, state="absent")["changed"]

    told, done = vbox.vm(state="absent", check=True), vbox.vm(state="absent")
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    assert not vbox.vm(state="absent")["changed"]
    assert (vbox.names(), vbox.files()) == ([], [])


def test_a_machine_runs_and_follows_its_channel(machine):
    """Without VirtualBox's driver, every instruction interpreted."""
    first, second = publish(machine), publish(machine, "another one")
    machine.channel(digest=first)
    options = {"channel": "redis/stable", "frontend": DRIVERLESS, "stop_timeout": 1}
    done = ok(machine.vm(**options))
    assert done["steps"] == ["clone VirtualBox: web-1", "start VirtualBox: web-1"]
    assert done["machine"]["state"] == "started"
    console = done["machine"]["console"]
    wait_until_said(console, HELLO)
    assert machine.vms()[0]["console_tail"] == HELLO
    for check in (True, False):
        assert not machine.vm(check=check, **options)["changed"]

    machine.channel(digest=second)
    told, done = ok(machine.vm(check=True, **options)), ok(machine.vm(**options))
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    assert [step.split()[0] for step in done["steps"]] == ["stop", "remove", "clone", "start"]
    assert done["machine"]["image"] == second
    assert HELLO not in wait_until_said(console, "another one")

    stop = options | {"state": "stopped"}
    told, done = ok(machine.vm(check=True, **stop)), ok(machine.vm(**stop))
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    assert done["machine"]["state"] == "stopped"
    assert not machine.vm(**stop)["changed"]
    assert machine.vm(state="absent")["changed"]
    assert len(machine.names()) == 2


@pytest.mark.long
def test_a_running_machine_is_stopped_for_a_change_and_one_that_is_silent_is_switched_off(machine):
    digest = publish(machine)
    options = {"digest": digest, "frontend": DRIVERLESS, "stop_timeout": 0}
    options["forwards"] = [{"guest": 6379}]
    assert machine.vm(**options)["machine"]["state"] == "started"
    done = machine.vm(**options | {"memory": "96M", "state": "present"})
    assert [step.split()[0] for step in done["steps"]] == ["stop", "define", "start"]
    assert done["machine"]["state"] == "started"
    machine.vm(**options | {"state": "stopped", "memory": "96M"})
    wait = {"port": 6379, "send": "PING\r\n", "expect": "+PONG", "timeout": 20}
    failed = machine.vm(**options, wait_for=wait)
    assert "The machine web-1 runs but did not answer at port 6379 within 20 s" in failed["msg"]
    assert HELLO in failed["msg"]
    assert machine.vms()[0]["state"] == "stopped"
    assert machine.vm(state="absent", frontend=DRIVERLESS)["changed"]


def kiln_kernel() -> Path:
    """A built kernel; KILN_KERNEL names one (with stage1.bin and stage2.bin beside it)."""
    named = os.environ.get("KILN_KERNEL")
    if named:
        return Path(named)
    built = TOP / "build/kernel"
    subprocess.run(["cmake", "-S", TOP / "kernel-src", "-B", built, "-G", "Ninja"], check=True)
    subprocess.run(["ninja", "-C", built, "--quiet"], check=True)
    return built / "kiln.elf"


PROGRAM = r"""
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(7007)};
    char text[64];
    ssize_t size;
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listening, (struct sockaddr *)&here, sizeof here) || listen(listening, 8)) return 1;
    puts("a program speaks");
    fflush(stdout);
    for (;;) {
        int peer = accept(listening, NULL, NULL);
        while ((size = read(peer, text, sizeof text)) > 0) {
            if (write(peer, text, size) != size) return 2;
            if (text[size - 1] == '!') return 7;
        }
        close(peer);
    }
}
"""


@pytest.mark.long
def test_kiln_runs_a_program(machine, tmp_path):
    """From a disk behind AHCI and with VirtualBox's e1000, as the collection's OVA has them."""
    tree = tmp_path / "tree"
    (tree / "etc/kiln").mkdir(parents=True)
    compile_it = ["gcc", "-O1", "-static", "-x", "c", "-", "-o", tree / "program"]
    subprocess.run(compile_it, input=PROGRAM, text=True, check=True)
    app = {"version": 1, "name": "program", "argv": ["/program"], "network": {"mode": "dhcp"}}
    (tree / "etc/kiln/app.json").write_text(json.dumps(app))
    root = tmp_path / "root.erofs"
    subprocess.run(["mkfs.erofs", "--quiet", root, tree], check=True)
    disk = tmp_path / "disk.raw"
    build_disk(kiln_kernel(), root, "", disk)
    digest = machine.image(disk, memory="128M")["digest"]
    answer = {
        "port": 7007,
        "send": "over the e1000\r\n",
        "expect": "over the e1000",
        "timeout": 240,
    }
    options = {"digest": digest, "frontend": DRIVERLESS, "forwards": [{"guest": 7007}]}
    done = ok(machine.vm(**options, wait_for=answer))["machine"]
    assert "a program speaks" in wait_until_said(done["console"], "eth0: address")
    with socket.create_connection(("127.0.0.1", done["forwards"][0]["host"]), timeout=60) as peer:
        peer.sendall(b"end!")
        assert peer.recv(64) == b"end!"
    assert "kiln: exit status 7" in wait_until_said(done["console"], "exit status")


def test_what_cannot_be_started(machine):
    """The rig has no kernel driver, which VirtualBox's own front ends want."""
    digest = publish(machine)
    failed = machine.vm(digest=digest, environment={"KILN_TEST": "1"})
    assert "VBoxManage failed while starting web-1" in failed["msg"]
    assert "kernel driver is not loaded (/dev/vboxdrv is not there)" in failed["msg"]
    assert machine.vms()[0]["state"] == "stopped"
    failed = machine.vm(digest=digest, frontend=["/nonexistent/front end"])
    assert "frontend /nonexistent/front end cannot be run: No such file" in failed["msg"]
    broken = ["/bin/sh", "-c", "echo no $WORD; exit 3", "sh"]
    failed = machine.vm(digest=digest, frontend=broken, environment={"WORD": "display"})
    assert "ended with the status 3 before the machine web-1 ran" in failed["msg"]
    assert failed["msg"].endswith("no display")


def test_a_clone_that_fails_half_way_is_not_seen_and_the_next_run_mends_it(vbox):
    options = {"digest": publish(vbox), "state": "present"}
    for words in ("kiln/machine", "--uart1", "--name web-1"):
        failed = vbox.vm(**options, vboxmanage=faulty(vbox.folder, words))
        assert "Broken for once" in failed["msg"]
        assert vbox.vms() == []
        assert len(vbox.images()) == 1
    done = vbox.vm(**options)
    assert [step.split()[0] for step in done["steps"]] == ["discard", "clone"]
    assert len(vbox.names()) == 2
    assert len(vbox.files()) == 3


@pytest.mark.long
def test_what_is_refused(vbox):
    digest = publish(vbox)
    vbox.call("createvm", "--name", "mine", "--register")
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        for options, says in (
            ({"digest": "0" * 64}, "There is no image with the digest 000000000000 in VirtualBox"),
            ({"channel": "redis/stable"}, "The channel redis/stable names no image in VirtualBox"),
            (
                {"digest": digest, "name": "mine"},
                "belongs to a VM that was not made by virtualbox_vm",
            ),
            ({"digest": digest, "name": "../x"}, "cannot be the name of a machine"),
            ({"digest": digest, "memory": "1"}, "does not hold the kernel"),
            ({"digest": digest, "cpus": 0}, "cpus is 1 or more"),
            (
                {"digest": digest, "wait_for": {"port": 1, "expect": "x"}},
                "The guest's port 1, to wait for, is not in `forwards`",
            ),
            (
                {"digest": digest, "network": "none", "forwards": [{"guest": 1}]},
                "Forwards need a network",
            ),
            ({}, "any of the following are missing: digest, channel"),
            (
                {"digest": digest, "forwards": [{"guest": 1, "host": taken}]},
                f"Port {taken} of 127.0.0.1 cannot be forwarded",
            ),
        ):
            failed = vbox.vm(**options)
            assert failed.get("failed"), options
            assert says in failed["msg"]
    assert vbox.vms() == []
    assert "mine" in vbox.names()


@pytest.mark.long
def test_no_process_stays(machine):
    """The display that a machine was shown on goes with it."""
    digest = publish(machine)
    machine.vm(digest=digest, frontend=DRIVERLESS)
    machine.vm(state="absent", stop_timeout=0)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
        left = [line for line in found.stdout.splitlines() if "Xvfb -displayfd" in line]
        if not left:
            return
        time.sleep(0.2)
    pytest.fail(f"left: {left}")
