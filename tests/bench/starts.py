#!/usr/bin/env python3
"""Times the start by each device: from the kernel's first instructions to the program's.

Usage: starts.py [--kernel FILE] [--rounds N] [NAME ...]

The names are those of the variants in tests/devices/test_devices.py. Each round starts every one of
them once, beside the first, virtio; a ratio is the median of those of the rounds, so a machine whose
speed drifts moves both sides. The kernel itself counts the time. Exit status 1 when a start takes
more than twice that of virtio.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
DEVICES = TOP / "tests/devices"
sys.path.insert(0, str(DEVICES))

from device_rig import stand_in  # noqa: E402 # found by the line above
from test_devices import VARIANTS  # noqa: E402

VIRTIO = "as kernel-src/run makes them"
MOST = 2.0
TIMEOUT = "60"


def start(kernel: str, root: Path, name: str, scratch: Path) -> float:
    """Milliseconds of one start."""
    rewrite, options = VARIANTS[name]
    status = scratch / "status"
    environment = os.environ | {
        "KILN_QEMU": str(stand_in(scratch)),
        "KILN_TEST_REWRITE": json.dumps(rewrite),
    }
    command = [TOP / "kernel-src/run", "--kernel", kernel, "--root", root, "--net", "none"]
    command += ["--timeout", TIMEOUT, "--status-file", status, *options, "--", "/true"]
    subprocess.run(
        command, env=environment, check=True, capture_output=True, stdin=subprocess.DEVNULL
    )
    return float(json.loads(status.read_text())["started_ns"]) / 1e6


def measure(kernel: str, names: list[str], rounds: int) -> dict[str, list[float]]:
    """Rounds of starts, one after the other."""
    times: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        root.mkdir()
        source = Path(folder, "true.c")
        source.write_text("int main(void) { return 0; }\n")
        subprocess.run(["gcc", "-O1", "-static", "-o", root / "true", source], check=True)
        for number in range(rounds):
            for name in names:
                times[name].append(start(kernel, root, name, Path(folder)))
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return times


def main() -> int:
    """Prints a line a variant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", default=str(TOP / "build/kernel/kiln.elf"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    if strange := [name for name in options.names if name not in VARIANTS]:
        parser.error(f"no such variant: {strange[0]}; there are: {'; '.join(VARIANTS)}")
    names = [VIRTIO, *(name for name in options.names or VARIANTS if name != VIRTIO)]
    times = measure(options.kernel, names, options.rounds)
    slow = 0
    for name in names:
        ratios = [mine / base for mine, base in zip(times[name], times[VIRTIO], strict=True)]
        ratio = statistics.median(ratios)
        slow += ratio > MOST
        print(f"{statistics.median(times[name]):8.1f} ms {ratio:6.2f}  {name}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
