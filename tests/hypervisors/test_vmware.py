"""The disk of the OVA for vSphere on QEMU's models of the devices that the OVA asks for.

By the BIOS loader, from the OVA's kind of VMDK on a PVSCSI adapter, or an LSI Logic SAS in its
place, with a vmxnet3 card; a program takes an address by DHCP and echoes bulk, of which every byte
is compared.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from pathlib import Path

import boot_rig
import pytest
from hypervisor_rig import ECHO_APP, built_kernel
from test_kernel import build
from test_nics import CONNECTIONS, connect, exchange_with_all, free_port, nic_root

__all__ = ["built_kernel", "nic_root"]
QEMU = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "256M"]
QEMU += ["-nodefaults", "-no-user-config", "-display", "none", "-M", "pc"]


@pytest.fixture(scope="session")
def disk(built_kernel: str, nic_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The disk as a stream-optimised VMDK."""
    folder = tmp_path_factory.mktemp("disk")
    (nic_root / "etc/kiln").mkdir(parents=True, exist_ok=True)
    image = folder / "disk.img"
    build(Path(built_kernel), nic_root, image, ECHO_APP)
    return boot_rig.convert(image, "vmdk")


def connected(port: int, machine: subprocess.Popen[bytes]) -> socket.socket:
    """A connection that the guest has answered; QEMU may not listen yet."""
    while machine.poll() is None:
        with contextlib.suppress(ConnectionRefusedError):
            return connect(port)
        time.sleep(0.05)  # between attempts
    raise AssertionError("QEMU has ended")


@pytest.mark.parametrize(
    ("adapter", "cpus"),
    [("pvscsi", "1"), ("pvscsi", "2"), ("mptsas1068", "1"), ("mptsas1068", "2")],
)
def test_the_ova_for_vsphere_answers(adapter: str, cpus: str, disk: Path, tmp_path: Path) -> None:
    """Several connections at once; every byte comes back."""
    port = free_port()
    said = tmp_path / "console"
    devices = ["-drive", f"file={disk},format=vmdk,if=none,id=disk,snapshot=on"]
    devices += ["-device", adapter, "-device", "scsi-hd,drive=disk"]
    devices += ["-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{port}-:7"]
    devices += ["-device", "vmxnet3,netdev=net,romfile=", "-serial", f"file:{said}"]
    with subprocess.Popen([*QEMU, "-smp", cpus, *devices]) as machine:
        try:
            exchange_with_all([connected(port, machine) for _ in range(CONNECTIONS)])
        except (AssertionError, OSError) as error:
            error.add_note(said.read_text())
            raise
        finally:
            machine.terminate()
