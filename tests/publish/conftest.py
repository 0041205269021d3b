"""What the tests of this folder share: the strict servers, and VirtualBox, empty for each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import botocore.loaders
import botocore.session
import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP))
sys.path.insert(
    0,
    subprocess.run([TOP / "tools/tree"], check=True, capture_output=True, text=True).stdout.strip(),
)

from tests.publish.installed import Desk, install, make_store
from tests.publish.ova import make_ova
from tests.publish.virtualbox import PROGRAM, end_server, own_environment
from tests.publish.virtualbox import Rig as VirtualBox
from tests.publish.vsphere import Vsphere
from tests.rigs.ec2.rig import KEY, REGION, SECRET, Rig
from tests.rigs.vsphere.rig import Rig as Vcenter


@pytest.fixture(scope="session", autouse=True)
def _one_loader() -> None:
    """Reads the descriptions of AWS' services once, not once a session of boto3."""
    loader = botocore.loaders.create_loader()
    botocore.loaders.create_loader = lambda *_args, **_rest: loader
    botocore.session.create_loader = botocore.loaders.create_loader


@pytest.fixture(scope="session")
def server() -> Iterator[Rig]:
    """The process."""
    rig = Rig()
    yield rig
    rig.stop()


@pytest.fixture
def rig(server: Rig) -> Rig:
    """The process, emptied."""
    server.set(reset=True)
    return server


@pytest.fixture(autouse=True)
def _own_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def vbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualBox]:
    """The real VirtualBox, empty."""
    if not PROGRAM.exists():
        pytest.fail(f"There is no VirtualBox at {PROGRAM}; build it first: make rigs")
    own = own_environment(tmp_path)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    yield VirtualBox(tmp_path).prepare()
    end_server(own["VBOX_IPC_SOCKETID"])


@pytest.fixture
def vcenter() -> Iterator[Vcenter]:
    rig = Vcenter()
    yield rig
    rig.stop()


@pytest.fixture
def vsphere(vcenter: Vcenter, tmp_path: Path) -> Vsphere:
    return Vsphere(vcenter, tmp_path / "a store")


@pytest.fixture
def ova(tmp_path: Path) -> Path:
    return make_ova(tmp_path / "one.ova", b"one", blocks=12)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return make_ova(tmp_path / "two.ova", b"two")


@pytest.fixture(autouse=True)
def _no_vcenter_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("VMWARE_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("installed"))


@pytest.fixture
def desk(collections: Path, tmp_path: Path) -> Desk:
    return Desk(collections, tmp_path, KILN_CACHE=str(make_store(tmp_path / "store")))
