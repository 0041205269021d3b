"""Measures what a user waits for: a bake by the image's size, a second publish to each target.

Usage: python tests/bench/targets.py [--sizes MIB ...]

An image is a program and one file of random bytes, in a raw disk and an OVA; it needs the kernel
(make kernel) and, for the targets, what `make rigs` builds. Beside the time by the clock stands that
of a CPU, which says the same on a machine with other work.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP))

from tests.bench.one_run import Goals, Run, run_module  # noqa: E402
from tests.rigs.counterparts import of_roles  # noqa: E402

KERNEL = TOP / "build/kernel/kiln.elf"
PROGRAM = "int main(void) { return 0; }"


def bake(folder: Path, program: Path, mebibytes: int) -> Run:
    """An image with so much in it that cannot be packed smaller."""
    content = folder / f"{mebibytes}.bin"
    chance = random.Random(mebibytes)
    with content.open("wb") as stream:
        stream.writelines(chance.randbytes(1 << 20) for _ in range(mebibytes))
    files = [
        {"src": str(program), "dest": "/bin/program"},
        {"src": str(content), "dest": "/content"},
    ]
    run = run_module(
        "image",
        name=f"bench-{mebibytes}",
        store=str(folder / "store"),
        kernel=str(KERNEL),
        argv=["/bin/program"],
        files=files,
        formats=["raw", "ova"],
        ova={"profiles": ["vsphere", "virtualbox"]},
    )
    assert run.result["changed"]
    return run


def targets(baked: dict[str, Any], ways: dict[str, str], folder: Path) -> dict[str, dict[str, Any]]:
    """The publishing modules with what leads to their counterparts."""
    common = {"name": "bench", "store": str(folder / "store")}
    ova = baked["ova"]
    return {
        "ec2_image": common | {"path": baked["raw"], "endpoint_url": ways["KILN_EC2_URL"]},
        "vsphere_image": common
        | {"path": ova["vsphere"], "validate_certs": False}
        | {"cluster": "DC0_C0", "datastore": "LocalDS_0", "folder": "templates"},
        "virtualbox_image": common
        | {"path": ova["virtualbox"], "vboxmanage": ways["KILN_VBOXMANAGE"]}
        | {"folder": str(folder / "machines")},
    }


def publish_twice(name: str, arguments: dict[str, Any], goals: Goals) -> None:
    """The first changes, the second does not."""
    first, second = run_module(name, **arguments), run_module(name, **arguments)
    assert first.result["changed"] and not second.result["changed"]
    print(
        f"  {name:18} {first.seconds:10.2f} s {second.seconds:12.2f} s {second.cpu:14.2f} s",
        flush=True,
    )
    goals.hold(f"seconds of a second publish by {name}", second.seconds, 3)


def main() -> None:
    """Bakes, and publishes the smallest of what was baked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 16, 64, 256], metavar="MIB")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("KILN_BENCH_DIR")) as name:
        folder = Path(name)
        program = folder / "program"
        command = ["gcc", "-static", "-O2", "-x", "c", "-", "-o", str(program)]
        subprocess.run(command, input=PROGRAM, text=True, check=True)
        print("bake, raw disk and two OVAs    by the clock       of a CPU         memory")
        runs = []
        for size in options.sizes:
            run = bake(folder, program, size)
            runs.append(run)
            print(
                f"  {size:6} MiB of data       {run.seconds:12.2f} s {run.cpu:12.2f} s"
                f" {run.peak:10.0f} MiB",
                flush=True,
            )
        print("publish                first, clock  second, clock  second, of a CPU")
        goals = Goals()
        with of_roles(["publish_ec2", "publish_vsphere", "publish_virtualbox"]) as ways:
            os.environ.update(ways)
            for module, arguments in targets(runs[0].result, ways, folder).items():
                publish_twice(module, arguments, goals)
    sys.exit(goals.judge())


if __name__ == "__main__":
    main()
