"""The guest's wall clock against the host's, and what waits for it while it is stepped."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from device_rig import stand_in

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
# The clock was off by what was left of half a second after boot; a loaded emulator is late by less.
TOLERANCE = 0.12
LATE_MS = 250


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A root with the program."""
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(
        ["gcc", "-O1", "-static", "-pthread", "-Wall", "-o", root / "clock", HERE / "clock.c"],
        check=True,
    )
    return root


@pytest.fixture
def on_second(tmp_path: Path) -> dict[str, str]:
    """The environment in which kernel-src/run starts the machine as a second begins."""
    qemu = stand_in(tmp_path, "qemu_on_second.py")
    return os.environ | {"KILN_QEMU": str(qemu), "KILN_TEST_QMP": str(tmp_path / "control")}


def run_clock(
    kernel: str, root: Path, environment: dict[str, str], *options: str
) -> tuple[list[float], dict[str, str]]:
    """How far the guest's clock was behind the host's, line by line, and what else it said."""
    command = [TOP / "kernel-src/run", "--kernel", kernel, "--root", root, "--timeout", "60"]
    behind: list[float] = []
    said: dict[str, str] = {}
    with subprocess.Popen(
        [*command, *options, "--smp", "2", "--", "/clock"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as guest:
        assert guest.stdout is not None
        for line in guest.stdout:
            word, _, value = line.partition(" ")
            if word == "clock":
                behind.append(time.time() - int(value) / 1e9)
            else:
                said[word] = value.strip()
    assert guest.returncode == 0
    return behind, said


def test_the_wall_clock_is_the_hosts(kernel: str, program: Path, on_second: dict[str, str]) -> None:
    """It agrees once the first second has passed."""
    behind, _ = run_clock(kernel, program, on_second)
    # A line takes its time to arrive, so the fastest tells; what was said last is after the step.
    assert abs(min(behind[-30:])) < TOLERANCE, behind


def test_what_waits_for_a_moment_follows_the_step(
    kernel: str, program: Path, on_second: dict[str, str]
) -> None:
    """The firmware takes its time, so that the step is one of some tenths of a second."""
    late_boot = on_second | {"KILN_TEST_WAIT": "250"}
    behind, said = run_clock(kernel, program, late_boot, "--firmware", "seabios")
    assert abs(min(behind[-30:])) < TOLERANCE, behind
    for word in ("slept", "signalled", "fired"):
        assert 0 <= int(said[word]) < LATE_MS, said
    stepped = min(behind[:5]) - min(behind[-30:]) > TOLERANCE
    assert said["cancelled"] == ("before" if stepped else "never")
