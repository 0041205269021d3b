"""The power button, which hypervisors press when they are asked to shut a machine down.

The program gets SIGTERM, and the machine goes off when it has ended; on each machine of QEMU that
has ACPI. Pressed by QMP's system_powerdown.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from test_devices import BIOS, HERE, MACHINE, MICROVM, MICROVM_ACPI, NEWER, TOP

TIMEOUT = 60
LINES = [NEWER, ",vectors=0"]
MACHINES: dict[str, tuple[list[list[str]], list[str]]] = {
    "q35": ([], []),
    "q35, interrupt lines": ([[NEWER, ",disable-legacy=on,vectors=0"]], BIOS),
    "pc": ([[MACHINE, "pc"]], BIOS),
    "pc, interrupt lines": ([[MACHINE, "pc"], LINES], BIOS),
    "microvm": ([MICROVM_ACPI, *MICROVM], []),
}


def press(control: Path) -> None:
    """What a hypervisor's shutdown does."""
    with socket.socket(socket.AF_UNIX) as channel, channel.makefile("rw") as talk:
        channel.settimeout(TIMEOUT)
        channel.connect(str(control))
        talk.readline()
        for command in ("qmp_capabilities", "system_powerdown"):
            talk.write(json.dumps({"execute": command}) + "\n")
            talk.flush()
            # Events may come before the answer.
            while "return" not in (answer := json.loads(talk.readline())):
                assert "event" in answer, answer


@pytest.fixture(scope="session")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the program that waits."""
    folder = tmp_path_factory.mktemp("waiting")
    build = ["gcc", "-O1", "-static", "-Wall", "-o", folder / "power", HERE / "power.c"]
    subprocess.run(build, check=True)
    return folder


@pytest.mark.parametrize("name", MACHINES)
def test_the_power_button_ends_the_program(
    name: str, kernel: str, waiting: Path, wrapper: Path, tmp_path: Path
) -> None:
    """It ends with its own status, and the machine with it."""
    rewrite, options = MACHINES[name]
    control = tmp_path / "qmp"
    talk = ["-nodefaults", f"-nodefaults\n-qmp\nunix:{control},server=on,wait=off"]
    environment = os.environ | {
        "KILN_QEMU": str(wrapper),
        "KILN_TEST_REWRITE": json.dumps([talk, *rewrite]),
    }
    command = [TOP / "kernel-src/run", "--kernel", kernel, "--root", waiting]
    command += ["--timeout", str(TIMEOUT), *options, "--", "/power"]
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as guest:
        assert guest.stdout is not None
        assert guest.stderr is not None
        ending = threading.Timer(TIMEOUT, guest.kill)
        ending.start()
        assert guest.stdout.readline() == "waiting\n", guest.stderr.read()
        press(control)
        output, errors = guest.stdout.read(), guest.stderr.read()
        status = guest.wait()
        ending.cancel()
    assert (output, status) == ("asked to end\n", 9), errors
