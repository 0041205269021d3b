"""The module virtualbox_image on the real VirtualBox: import, again, change, removal, bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils._sparse import RawDisk
from ansible_collections.kiln.unikernel.plugins.module_utils._store import digest_file
from ansible_collections.kiln.unikernel.plugins.module_utils._vdi import write_vdi
from ansible_collections.kiln.unikernel.plugins.module_utils._vhd import write_vhd

from tests.publish.virtualbox import PROGRAM, TOP, Rig, faulty, make_ova, make_raw, make_vmdk

MODULE = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.kiln.unikernel.plugins.modules import virtualbox_image
with patch_module_args(json.loads(sys.argv[1])):
    virtualbox_image.main()
"""


def long(*values: object) -> object:
    """A case that is not in the quick choice."""
    return pytest.param(*values, marks=pytest.mark.long)


def after_of(result: dict) -> dict:
    return json.loads(result["diff"]["after"] or "{}")


def content(vbox: Rig, vm: str) -> bytes:
    """What a VM's disk holds, read back by VirtualBox."""
    facts = vbox.facts(vm)
    name = facts["storagecontrollername0"]
    target = vbox.folder / "back.raw"
    vbox.call("clonemedium", "disk", facts[f"{name}-ImageUUID-0-0"], str(target), "--format", "RAW")
    data = target.read_bytes()
    vbox.call("closemedium", "disk", str(target), "--delete")
    return data


def test_check_run_check_run_change_absent_absent(vbox, tmp_path):
    ova = make_ova(tmp_path / "a.ova", b"one")
    told = vbox.image(ova, check=True, tags={"team": "data"})
    assert told["changed"], told
    assert (vbox.names(), vbox.files()) == ([], [])
    done = vbox.image(ova, tags={"team": "data"})
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    assert done["digest"] == digest_file(ova)
    assert vbox.names() == [done["vm_name"]] == [f"redis-{done['digest'][:12]}"]
    image = vbox.images(name="redis", digest=done["digest"])[0]
    assert after_of(done).items() <= image.items()
    assert image["image_id"] == done["image_id"]
    assert content(vbox, done["vm_name"])[:4] == b"one\0"
    again = vbox.image(ova, check=True, tags={"team": "data"})
    assert not again["changed"], again
    assert not vbox.image(ova)["changed"]
    change = {"description": "Redis", "memory": "96M", "vm_name": "redis", "tags": {"a": "b"}}
    told = vbox.image(ova, check=True, **change)
    done = vbox.image(ova, **change)
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    changed = vbox.images()[0]
    assert after_of(done).items() <= changed.items()
    assert (changed["memory"], changed["vm_name"]) == (96, "redis")
    assert (changed["image_id"], changed["tags"]) == (image["image_id"], {"a": "b"})
    gone = vbox.image(None, digest=done["digest"], state="absent", check=True)
    assert gone["changed"]
    assert vbox.names() == ["redis"]
    assert vbox.image(None, digest=done["digest"], state="absent")["diff"] == gone["diff"]
    assert (vbox.names(), vbox.files(), vbox.call("list", "hdds").strip()) == ([], [], "")
    assert not vbox.image(ova, state="absent")["changed"]


@pytest.mark.parametrize(
    ("asked", "options", "adapter", "controller"),
    [
        long({"version": "2.0", "cpus": 2, "memory": 96}, {}, "82540EM", "IntelAhci"),
        long({"adapter": "virtio"}, {}, "virtio", "IntelAhci"),
        long({"adapter": "virtio"}, {"network_adapter": "e1000"}, "82540EM", "IntelAhci"),
        (
            {"profile": "vsphere"},
            {"network_adapter": "pcnet", "controller": "lsilogic"},
            "Am79C973",
            "LsiLogic",
        ),
        long({}, {"controller": "virtio-scsi"}, "82540EM", "VirtioSCSI"),
    ],
)
def test_the_hardware_is_what_was_asked_for(vbox, tmp_path, asked, options, adapter, controller):
    """And the network is not bridged to one of the host's, as VirtualBox would have it."""
    ova = make_ova(tmp_path / "a.ova", b"one", **asked)
    done = vbox.image(ova, **options)
    assert done["changed"], done
    facts = vbox.facts(done["vm_name"])
    assert facts["nictype1"] == adapter
    assert facts["storagecontrollertype0"] == controller
    assert "storagecontrollertype1" not in facts
    assert (facts["nic1"], facts["firmware"], facts["boot1"]) == ("nat", "BIOS", "disk")
    assert facts["cpus"] == str(asked.get("cpus", 1))
    assert facts["memory"] == str(asked.get("memory", 256))
    assert content(vbox, done["vm_name"])[:4] == b"one\0"
    assert not vbox.image(ova, **options)["changed"]


def as_vdi(path: Path) -> Path:
    raw = make_raw(path.with_suffix(".raw"), b"one")
    with RawDisk(raw) as disk:
        write_vdi(disk, path, digest_file(raw))
    return path


def as_vhd(path: Path) -> Path:
    raw = make_raw(path.with_suffix(".raw"), b"one")
    with RawDisk(raw) as disk:
        write_vhd(disk, path, digest_file(raw))
    return path


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a disk.raw", lambda path: make_raw(path, b"one")),
        long("a.vmdk", lambda path: make_vmdk(path, b"one")),
        long("a.vdi", as_vdi),
        long("a.vhd", as_vhd),
    ],
)
def test_a_disk_becomes_an_image(vbox, tmp_path, name, make):
    disk = make(tmp_path / name)
    told = vbox.image(disk, check=True, cpus=2)
    done = vbox.image(disk, cpus=2)
    assert done["changed"], done
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    assert not vbox.image(disk, cpus=2)["changed"]
    assert content(vbox, done["vm_name"])[:4] == b"one\0"
    assert str(disk) not in vbox.call("list", "hdds")


@pytest.mark.long
def test_a_name_with_another_content(vbox, tmp_path):
    one, two = (make_ova(tmp_path / f"{word}.ova", word.encode()) for word in ("one", "two"))
    first = vbox.image(one, vm_name="redis")
    said = vbox.image(two, vm_name="redis")["msg"]
    assert f"belongs to an image with the content {first['digest'][:12]}, not " in said
    assert "set `replace`" in said
    vbox.channel(digest=first["digest"])
    said = vbox.image(two, vm_name="redis", replace=True)["msg"]
    assert "what the channel redis/stable names" in said
    told = vbox.image(two, vm_name="redis", replace=True, force=True, check=True)
    assert [item["digest"] for item in vbox.images()] == [first["digest"]]
    done = vbox.image(two, vm_name="redis", replace=True, force=True)
    assert (done["diff"], done["steps"]) == (told["diff"], told["steps"])
    assert vbox.names() == ["redis"]
    assert content(vbox, "redis")[:4] == b"two\0"
    vbox.call("createvm", "--name", "mine", "--register")
    said = vbox.image(one, vm_name="mine", replace=True)["msg"]
    assert "belongs to a VM that is not an image made by Kiln" in said
    assert vbox.names() == ["mine", "redis"]


def test_a_clone_is_no_image_and_keeps_its_own_from_being_removed(vbox, tmp_path):
    """VirtualBox copies the notes on a VM when anybody clones it."""
    ova = make_ova(tmp_path / "a.ova", b"one")
    done = vbox.image(ova)
    linked = ("--snapshot", "kiln", "--options", "link")
    vbox.call("clonevm", done["vm_name"], *linked, "--name", "mine", "--register")
    assert [item["image_id"] for item in vbox.images()] == [done["image_id"]]
    for check in (True, False):
        said = vbox.image(ova, state="absent", check=check)["msg"]
        assert "Linked clones stand on the disk of" in said
    assert not vbox.retention(keep=0)["changed"]
    assert vbox.names() == ["mine", done["vm_name"]]
    vbox.call("unregistervm", "mine", "--delete")
    assert vbox.image(ova, state="absent")["changed"]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        long("snapshot", "ova"),
        long("kiln/import redis", "ova"),
        ("kiln/digest", "ova"),
        long("kiln/import redis", "raw"),
        long("storageattach", "raw"),
        long("--nic-type1", "raw"),
        long("--name redis-", "raw"),
    ],
)
def test_what_fails_half_way_is_not_seen_and_the_next_run_mends_it(vbox, tmp_path, words, kind):
    path = tmp_path / f"a.{kind}"
    image = make_ova(path, b"one") if kind == "ova" else make_raw(path, b"one")
    failed = vbox.image(image, vboxmanage=faulty(tmp_path, words))
    assert "Broken for once" in failed["msg"]
    assert vbox.images() == []
    done = vbox.image(image)
    assert done["changed"], done
    assert vbox.names() == [done["vm_name"]]
    assert len(vbox.files()) == 2
    assert len(list(vbox.machines.iterdir())) == 1
    failed = vbox.image(image, state="absent", vboxmanage=faulty(tmp_path, "unregistervm"))
    assert vbox.images() == []
    assert vbox.image(image, state="absent")["changed"]
    assert (vbox.names(), vbox.files()) == ([], [])


@pytest.mark.long
def test_the_module_is_killed_in_mid_import(vbox, tmp_path):
    """VirtualBox's server goes on; the next run waits for it and begins anew."""
    ova = make_ova(tmp_path / "a.ova", os.urandom(160 << 20), 160 << 20)
    arguments = {"name": "redis", "path": str(ova), "vboxmanage": str(PROGRAM)}
    arguments["store"] = str(vbox.store)
    env = dict(os.environ, PYTHONPATH=str(TOP / "build/tree"))
    with subprocess.Popen([sys.executable, "-c", MODULE, json.dumps(arguments)], env=env) as module:
        until = time.monotonic() + 60
        while not vbox.files() and module.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        module.kill()
    assert module.returncode < 0
    assert vbox.images() == []
    done = vbox.image(ova)
    assert done["changed"], done
    assert vbox.names() == [done["vm_name"]]
    assert len(vbox.files()) == 2
    assert not vbox.image(ova)["changed"]


def make_disk_of(kind: str, folder: Path, mebibytes: int) -> Path:
    """A file of that format with so much that nobody has seen before."""
    size = mebibytes << 20
    data = os.urandom(1 << 20) * mebibytes
    if kind == "ova":
        return make_ova(folder / "a.ova", data, size)
    path = make_raw(folder / "a.raw", data, size)
    if kind == "vdi":
        with RawDisk(path) as raw:
            write_vdi(raw, folder / "a.vdi", "ab" * 32)
        path = folder / "a.vdi"
    return path


@pytest.mark.long
@pytest.mark.parametrize("kind", ["ova", "raw", "vdi"])
def test_how_far_an_import_is_can_be_seen(vbox, tmp_path, monkeypatch, kind):
    def seen(mebibytes: int) -> bool:
        """Whether it was, while it worked: VBoxManage looks a few times a second."""
        shown = tmp_path / f"shown-{mebibytes}"
        shown.mkdir()
        monkeypatch.setenv("KILN_PROGRESS", str(shown))
        path = make_disk_of(kind, tmp_path, mebibytes)
        assert vbox.image(path)["changed"]
        lines = [line for file in shown.iterdir() for line in file.read_text().splitlines()]
        told = [json.loads(line) for line in lines]
        assert {item["label"] for item in told} == {f"{path.name} to VirtualBox"}
        done = [item["done"] for item in told]
        assert done == sorted(done)
        assert told[-1]["finished"]
        assert done[-1] == told[0]["total"]
        return any(0 < each < told[0]["total"] for each in done)

    assert any(seen(mebibytes) for mebibytes in (64, 256, 1024))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    """Changes one byte in the disk within the archive."""
    with path.open("r+b") as stream:
        stream.seek(path.stat().st_size // 2)
        byte = stream.read(1)
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (cut, "is cut short; make or fetch it again"),
        (flip, "does not have the digest that the manifest says (SHA256 "),
    ],
)
def test_a_damaged_ova(vbox, tmp_path, damage, says):
    ova = make_ova(tmp_path / "a.ova", os.urandom(1 << 20))
    damage(ova)
    for check in (True, False):
        failed = vbox.image(ova, check=check)
        assert failed["failed"]
        assert says in failed["msg"]
    assert (vbox.names(), vbox.files()) == ([], [])


def test_an_image_changed_since_its_digest_was_written_down(vbox, tmp_path):
    ova = make_ova(tmp_path / "a.ova", b"one")
    said = vbox.image(ova, digest="0" * 64)["msg"]
    assert f"{ova} has the digest {digest_file(ova)}, not 0000" in said
    assert "changed since that was written down" in said
    assert vbox.names() == []


@pytest.mark.long
def test_what_is_no_image(vbox, tmp_path):
    path = tmp_path / "an image"
    for data, says in (
        (None, "cannot be read: No such file or directory"),
        (b"QFI\xfb" + bytes(508), "is a qcow2 image; VirtualBox gets an OVA"),
        (b"KDMV" + bytes(508), "VBoxManage failed while importing"),
        (b"abc", "neither an OVA nor a whole number of 512-byte sectors"),
        (b"", "neither an OVA nor a whole number of 512-byte sectors"),
    ):
        if data is not None:
            path.write_bytes(data)
        failed = vbox.image(path)
        assert failed["failed"]
        assert says in failed["msg"]
    assert vbox.images() == []


@pytest.mark.long
def test_hardware_that_virtualbox_does_not_have(vbox, tmp_path):
    ova = make_ova(tmp_path / "a.ova", b"one", profile="vsphere")
    said = vbox.image(ova)["msg"]
    assert "asks for the network_adapter VmxNet3, which VirtualBox does not have" in said
    assert "OVA profile virtualbox" in said
    done = vbox.image(make_ova(tmp_path / "b.ova", b"one"))
    said = vbox.image(tmp_path / "b.ova", controller="lsilogic")["msg"]
    assert (
        f"The VM {done['vm_name']} has this content but its disk is on the controller ahci" in said
    )
    assert "cpus is 1 or more" in vbox.image(ova, cpus=0)["msg"]
    assert "does not hold the kernel" in vbox.image(ova, memory="1")["msg"]


def test_the_disk_is_full(vbox, tmp_path):
    """A disk of 1 MB; VirtualBox's server must find it mounted when it starts."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    raw = make_raw(tmp_path / "a.raw", os.urandom(4 << 20), 4 << 20)
    vbox.restart()
    subprocess.run(mount, check=True)
    try:
        failed = vbox.image(raw, folder=str(place))
    finally:
        subprocess.run(["umount", str(place)], check=True)
    assert failed["failed"]
    assert "the disk is full" in failed["msg"]
    assert "make room there, or name another `folder`" in failed["msg"]
    assert vbox.images() == []


@pytest.mark.parametrize(
    ("prints", "says"),
    [
        (None, "install VirtualBox 7.0 or newer, or say with `vboxmanage` where it is"),
        ("echo 6.1.50r161033", "is of VirtualBox 6.1.50, and 7.0 or newer is needed"),
        ("echo hello", "does not say which version it is, so it is not VBoxManage"),
        ("exit 3", "VBoxManage failed while asking for its version"),
    ],
)
@pytest.mark.parametrize("name", ["image", "image_info", "channel", "retention"])
def test_a_vboxmanage_that_is_missing_or_too_old(tmp_path, prints, says, name):
    program = tmp_path / "a program"
    if prints:
        program.write_text(f"#!/bin/sh\n{prints}\n")
        program.chmod(0o755)
    options = {
        "image": {"name": "redis", "digest": "0" * 64, "state": "absent"},
        "channel": {"channel": "redis/stable", "state": "absent"},
        "retention": {"name": "redis", "keep": 1},
    }
    failed = Rig(tmp_path).run(name, vboxmanage=str(program), **options.get(name, {}))
    assert failed["failed"]
    assert says in failed["msg"]


@pytest.mark.long
def test_the_time_limit(vbox, tmp_path):
    slow = tmp_path / "VBoxManage"
    slow.write_text(
        f'#!/bin/sh\ncase "$*" in *import*) exec sleep 60;; esac\nexec {PROGRAM} "$@"\n'
    )
    slow.chmod(0o755)
    ova = make_ova(tmp_path / "a.ova", b"one")
    failed = vbox.image(ova, vboxmanage=str(slow), timeout=6)
    assert "The time limit of 6 seconds was over while importing" in failed["msg"]
    assert vbox.images() == []
