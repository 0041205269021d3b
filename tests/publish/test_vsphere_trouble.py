"""vsphere_image with bad input and broken servers: one sentence each, nothing half-published."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.publish.ova import make_ova
from tests.publish.vsphere import PLACE, Vsphere
from tests.rigs.vsphere.rig import FOLDER, Rig

TOP = Path(__file__).resolve().parents[2]
MODULE = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.kiln.unikernel.plugins.modules import vsphere_image
with patch_module_args(json.loads(sys.argv[1])):
    vsphere_image.main()
"""


def all_ended(rig: Rig) -> bool:
    return all(lease["state"] != "open" for lease in rig.state()["leases"].values())


BAD = [
    ({"password": "wrong"}, "has refused the credentials of 'kiln@vsphere.local'"),
    ({"password": None}, "Which password? Give `password`, or set VMWARE_PASSWORD"),
    ({"validate_certs": True}, "is not trusted"),
    ({"datacenter": "DC9"}, "There is no datacenter 'DC9'; there is only DC0"),
    ({"cluster": "C9"}, "There is no cluster 'C9'; there is only DC0_C0"),
    ({"cluster": None}, "Give `cluster` or `host`"),
    ({"host": "H9"}, "There is no host 'H9'; there are DC0_C0_H0"),
    ({"resource_pool": "P9"}, "There is no resource pool 'P9'; there is only DC0_C0_RP1"),
    ({"datastore": "S9"}, "There is no datastore 'S9'; there are LocalDS_0, LocalDS_1"),
    ({"datastore": None}, "`datastore`"),
    ({"folder": "a/b"}, "There is no folder 'a/b' for virtual machines in DC0"),
    ({"networks": {"VM Network": "N9"}}, "There is no network 'N9'; there are DC0_DVPG0"),
    ({"networks": {"LAN": "N9"}}, "networks maps 'LAN', which"),
    ({"tags": {"kiln.name": "x"}}, "'kiln.name' cannot be the name of a tag"),
    ({"tags": {"team": ""}}, "The tag 'team' has no value"),
    ({"digest": "ab" * 32}, "it was changed, or it is another image"),
    ({"port": 1}, "was lost while logging in"),
]


@pytest.mark.parametrize(("options", "says"), BAD, ids=[says[:40] for _options, says in BAD])
def test_bad_input_gets_a_sentence(vcenter, vsphere, ova, options, says):
    for check in (True, False):
        said = vsphere.image(ova, check=check, **options)
        assert says in said["msg"], said["msg"]
        assert "Traceback" not in json.dumps(said)
    assert vcenter.machines() == []
    assert "ImportVApp" not in vcenter.state()["counts"]
    assert "rig-secret" not in "".join(vsphere.said)


def cut(path: Path, ova: Path, length: int) -> Path:
    path.write_bytes(ova.read_bytes()[:length])
    return path


def test_an_ova_that_is_not_whole_is_refused(vcenter, vsphere, ova, tmp_path):
    size = ova.stat().st_size
    bad = tmp_path / "bad.ova"
    for length in (size - 1024 * 11, size // 2, 700):
        said = vsphere.image(cut(bad, ova, length))["msg"]
        assert "is cut short" in said or "damaged" in said, said
    assert "is not an OVA" in vsphere.image(cut(bad, ova, 100))["msg"]
    assert "cannot be read" in vsphere.image(tmp_path / "none.ova")["msg"]
    data = bytearray(ova.read_bytes())
    data[data.index(b"KDMV") + 70000] ^= 1
    bad.write_bytes(data)
    assert "does not have the digest that the manifest says" in vsphere.image(bad)["msg"]
    assert vcenter.machines() == []


def test_another_version_of_the_envelope_or_a_broken_one_is_vcenters_to_refuse(vsphere, ova):
    """The rig ends the connection here, as the simulator panics; the module says where."""
    vsphere.rig.fault("CreateImportSpec", "drop")
    assert "was lost while reading the OVF descriptor" in vsphere.image(ova)["msg"]


@pytest.mark.parametrize("kind", ["drop", "refuse"])
def test_an_upload_that_fails_leaves_nothing(vcenter, vsphere, ova, kind):
    vcenter.fault("upload", kind, bytes=3000)
    said = vsphere.image(ova)
    assert "sending redis-disk1.vmdk" in said["msg"]
    assert vcenter.machines() == []
    assert all_ended(vcenter)
    assert vsphere.image(ova)["changed"]


FAULTS = [
    "ImportVApp",
    "HttpNfcLeaseComplete",
    "AddCustomFieldDef",
    "SetField",
    "ReconfigVM_Task",
    "MarkAsTemplate",
    "Rename_Task",
]


@pytest.mark.long
@pytest.mark.parametrize("kind", ["drop", "lose"])
@pytest.mark.parametrize("operation", FAULTS)
def test_after_a_fault_at_any_step_the_next_run_makes_it_good(
    vcenter, vsphere, ova, operation, kind
):
    vcenter.fault(operation, kind)
    failed = vsphere.image(ova, template_name="redis", folder=FOLDER)
    assert "was lost while" in failed["msg"], failed
    assert all_ended(vcenter) or operation == "ImportVApp"
    seen = [machine for machine in vcenter.machines() if machine["template"]]
    assert len(vsphere.info()["images"]) == len(seen) <= (operation in FAULTS[-2:])
    made = vsphere.image(ova, template_name="redis", folder=FOLDER)
    assert made.get("changed") or (operation, kind) == ("Rename_Task", "lose"), made
    assert made["published"]
    (machine,) = vcenter.machines()
    assert (machine["name"], machine["template"]) == ("redis", True)
    assert not vsphere.image(ova, template_name="redis", folder=FOLDER)["changed"]


def own_process(vsphere: Vsphere, ova: Path) -> subprocess.Popen[str]:
    arguments = vsphere.login() | PLACE | {"name": "redis", "path": str(ova)}
    env = dict(os.environ, PYTHONPATH=str(TOP / "build/tree"))
    return subprocess.Popen(
        [sys.executable, "-c", MODULE, json.dumps(arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=env,
    )


def wait_for(rig: Rig, operation: str) -> None:
    end = time.monotonic() + 60
    while not rig.state()["counts"].get(operation):
        assert time.monotonic() < end, "it did not come so far"
        time.sleep(0.02)


def test_a_signal_in_mid_upload_ends_the_lease_and_removes_the_machine(vcenter, vsphere, tmp_path):
    ova = make_ova(tmp_path / "big.ova", os.urandom(1 << 19), blocks=64)
    vcenter.fault("upload", "hold", bytes=1000)
    process = own_process(vsphere, ova)
    wait_for(vcenter, "upload")
    process.send_signal(signal.SIGTERM)
    said, _nothing = process.communicate(timeout=60)
    assert "was ended by a signal" in said
    assert vcenter.machines() == []
    assert all_ended(vcenter)


def test_what_a_killed_run_has_left_is_cleared_away(vcenter, vsphere, tmp_path):
    ova = make_ova(tmp_path / "big.ova", os.urandom(1 << 19), blocks=64)
    vcenter.fault("upload", "hold", bytes=1000)
    process = own_process(vsphere, ova)
    wait_for(vcenter, "upload")
    process.kill()
    process.wait(60)
    (left,) = vcenter.machines()
    assert not left["template"]
    assert vsphere.info()["images"] == []
    assert "is being imported by another run" in vsphere.image(ova)["msg"]
    vcenter.state(expire=True)
    made = vsphere.image(ova)
    assert made["steps"] == [f"{verb} DC0: {left['name']}" for verb in ("discard", "import")]
    assert len(vcenter.machines()) == 1


def test_two_runs_at_a_time_make_one_template(vcenter, vsphere, ova):
    both = [own_process(vsphere, ova) for _number in range(2)]
    said = [json.loads(process.communicate(timeout=60)[0]) for process in both]
    assert sorted(result["changed"] for result in said) == [False, True]
    assert len(vcenter.machines()) == 1


def test_the_server_is_gone_in_mid_upload(vcenter, vsphere, ova):
    vcenter.fault("upload", "exit", bytes=3000)
    assert "was lost while" in vsphere.image(ova)["msg"]
    vcenter.wait_gone()


def test_one_time_limit_ends_a_stalled_upload(vcenter, vsphere, tmp_path):
    ova = make_ova(tmp_path / "big.ova", os.urandom(1 << 19), blocks=64)
    vcenter.fault("upload", "hold", bytes=1000)
    begun = time.monotonic()
    said = vsphere.image(ova, timeout=4)["msg"]
    assert time.monotonic() - begun < 30
    assert "sending redis-disk1.vmdk" in said or "limit of 4 seconds" in said
    assert vcenter.machines() == []
    assert all_ended(vcenter)
