"""Writes block.linux: what block.c says of a disk on this Linux, by a loop device. Wants root."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
RECORD = HERE / "block.linux"
SIZE = 1 << 20


def main() -> None:
    """Makes the device, asks, and takes it away again."""
    with tempfile.TemporaryDirectory() as folder:
        program, image = Path(folder, "block"), Path(folder, "image")
        subprocess.run(
            ["gcc", "-O1", "-static", "-Wall", "-o", program, HERE / "block.c"], check=True
        )
        image.write_bytes(bytes(SIZE))
        made = ["losetup", "--find", "--show", str(image)]
        device = subprocess.run(made, check=True, capture_output=True, text=True).stdout.strip()
        try:
            said = subprocess.run([program, device], check=True, capture_output=True, text=True)
        finally:
            subprocess.run(["losetup", "--detach", device], check=True)
    RECORD.write_text(said.stdout)


if __name__ == "__main__":
    main()
