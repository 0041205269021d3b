"""How much of its memory a guest has touched, seen from outside."""

from __future__ import annotations

from pathlib import Path


def words(mebibytes: int) -> list[str]:
    """QEMU's words for memory of which each page of 4 KiB is counted once it is used."""
    backend = f"memory-backend-memfd,id=memory,size={mebibytes}M"
    return ["-object", backend, "-machine", "memory-backend=memory"]


def touched_mib(process: int) -> float:
    """What the guest of this QEMU has touched so far: nothing gives any of it back."""
    lines = Path(f"/proc/{process}/smaps").read_text(encoding="ascii").splitlines()
    for number, line in enumerate(lines):
        if "memory-backend-memfd" in line:
            resident = next(later for later in lines[number:] if later.startswith("Rss:"))
            return int(resident.split()[1]) / 1024
    raise LookupError(f"process {process} has mapped no memory for a guest")
