"""Runs one static program that prints figures in a Kiln guest and in the Debian guest of the bench.

The program says `begin`, a line `NAME WORD…` for each figure, and `end`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
LIMIT = 120.0
MEMORY_MIB = 256


class ProgramError(Exception):
    """The figures could not be had."""


@dataclass
class Program:
    """A C file, built into a folder that can be a guest's root."""

    source: Path
    build: Path
    icount: bool = False  # an instruction is a nanosecond
    root: Path = field(init=False)

    def __post_init__(self) -> None:
        self.root = self.build / "root"
        self.root.mkdir(parents=True, exist_ok=True)
        command = ["gcc", "-O1", "-static", "-pthread", "-Wall", "-Wextra"]
        command += ["-o", str(self.root / self.name), str(self.source)]
        subprocess.run(command, check=True)

    @property
    def name(self) -> str:
        """Of the program in the root folder."""
        return self.source.stem

    def on_kiln(self, kernel: str | None) -> dict[str, list[str]]:
        """The figures of one run in a Kiln guest: the words after each name."""
        command = [str(TOP / "kernel-src" / "run"), "--root", str(self.root), "--net", "none"]
        command += ["--accel", "tcg", "--memory", f"{MEMORY_MIB}M", "--timeout", str(int(LIMIT))]
        command += ["--kernel", kernel] if kernel else []
        command += ["--icount"] if self.icount else []
        command += ["--", f"/{self.name}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return parse(done.stdout + done.stderr)

    def on_linux(self) -> dict[str, list[str]]:
        """The same of one run in the Debian guest."""
        sys.path.insert(0, str(TOP / "tests" / "bench"))
        import guests  # noqa: PLC0415

        guests.BUILD.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            image, tree = Path(folder, "root.erofs"), Path(folder, "root")
            shutil.copytree(self.root, tree)
            config = tree / "etc" / "kiln" / "app.json"
            config.parent.mkdir(parents=True)
            config.write_text(json.dumps({"argv": [f"/{self.name}"], "cwd": "/"}))
            command = ["mkfs.erofs", "--quiet", "-x-1", "--all-root", str(image), str(tree)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            guest = guests.linux(guests.debian_kernel(), image)
        accel = "tcg"
        if self.icount:
            accel = "tcg,thread=single"
            guest.arguments += ["-icount", "shift=0,sleep=off"]
        with guest.running(guests.free_port(), MEMORY_MIB, accel) as process:
            process.wait(LIMIT)
        return parse((guests.BUILD / "linux.console").read_text(errors="replace"))


def parse(text: str) -> dict[str, list[str]]:
    """What is said of each name; the program must have come to its end."""
    lines = [line.split() for line in text.splitlines()]
    if ["begin"] not in lines or ["end"] not in lines:
        raise ProgramError(f"the program did not come to its end; it said:\n{text[-2000:]}")
    told = lines[lines.index(["begin"]) + 1 : lines.index(["end"])]
    return {name: rest for name, *rest in told}


def linux_guest() -> str:
    """Which kernel the Debian guest has; it must have run."""
    return (TOP / "build" / "bench" / "debian" / "complete").read_text().strip()


def emulator() -> str:
    """Which QEMU this is."""
    command = ["qemu-system-x86_64", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]
