"""Small OVAs for tests, by the collection's own writers."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.kiln.unikernel.plugins.module_utils import _ova
from ansible_collections.kiln.unikernel.plugins.module_utils._ovf import DiskFile, Machine
from ansible_collections.kiln.unikernel.plugins.module_utils._sparse import RawDisk
from ansible_collections.kiln.unikernel.plugins.module_utils._store import digest_file
from ansible_collections.kiln.unikernel.plugins.module_utils._vmdk import write_vmdk

from tests.publish.modules import make_disk


def make_ova(path: Path, content: bytes = b"boot", name: str = "redis", blocks: int = 1) -> Path:
    """An OVA of a disk of 64 MiB with some content in blocks of half a MiB."""
    raw = make_disk(path.with_suffix(".raw"), dict.fromkeys(range(blocks), content))
    digest = digest_file(raw)
    machine = Machine(name, "vsphere")
    packed = path.with_name(_ova.disk_name(machine))
    with RawDisk(raw) as disk:
        write_vmdk(disk, packed, digest)
        described = DiskFile(packed.name, packed.stat().st_size, disk.size, digest)
    _ova.write_ova(path, machine, described, packed)
    packed.unlink()
    raw.unlink()
    return path
