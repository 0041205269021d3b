"""Bakes an image into a store whose disk is too small, then a little larger, until there is room.

Usage: full_disk.py FOLDER OPTIONS    (in a mount namespace of its own: test_full_disk.py)

For each try a line of JSON: the disk's size, what the module said, what there is afterwards.
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / part) for part in ("", "build/tree")]

from tests.publish.modules import run


def main() -> None:
    """Tries."""
    place, options = Path(sys.argv[1]), json.loads(sys.argv[2])
    mount = ["mount", "-t", "tmpfs"]
    subprocess.run([*mount, "-o", "size=1m", "tmpfs", place], check=True)
    store = {"store": str(place / "store")}
    for size in range(1, 200):
        subprocess.run([*mount, "-o", f"remount,size={size}m", "tmpfs", place], check=True)
        # As Ansible has it: each run in a process of its own.
        with multiprocessing.get_context("fork").Pool(1) as pool:
            told = pool.apply(run, ("image",), store | options)
        there = run("image_info", **store)["images"]
        print(json.dumps({"size": size, "said": told.get("msg"), "images": len(there)}), flush=True)
        if not told.get("failed"):
            break


if __name__ == "__main__":
    main()
