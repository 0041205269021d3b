from __future__ import annotations

import json
import resource
import signal
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import (
    _app,
    _disk,
    _disks,
    _image,
    _image_options,
    _ovf,
    _packages,
    _papers,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._disks import DiskSpec
from ansible_collections.kiln.unikernel.plugins.module_utils._image import FileItem, ImageSpec
from ansible_collections.kiln.unikernel.plugins.module_utils._packages import Lock, Package
from ansible_collections.kiln.unikernel.plugins.module_utils._store import (
    KilnError,
    Store,
    by_products,
    digest_file,
)

from .elves import make_elf, write_kernel

OVAS = ["vsphere.ova", "virtualbox.ova"]
LOADER = "/lib64/ld-linux-x86-64.so.2"


@pytest.fixture
def spec(tmp_path):
    """A program with its loader and a folder of data, no packages."""
    inputs = tmp_path / "inputs"
    (inputs / "data/deep").mkdir(parents=True)
    (inputs / "prog").write_bytes(make_elf((), LOADER))
    (inputs / "prog").chmod(0o755)
    (inputs / "ld.so").write_bytes(make_elf())
    for name in ("z", "a", "m"):
        (inputs / "data" / name).write_text(name * 5000)
    (inputs / "data/deep/link").symlink_to("../a")
    return ImageSpec(
        app=_app.describe({"name": "x", "argv": ["/usr/bin/prog", "--flag"]}),
        files=[
            FileItem("/usr/bin/prog", inputs / "prog"),
            FileItem("/usr/lib64/ld-linux-x86-64.so.2", inputs / "ld.so"),
            FileItem("/srv/data", inputs / "data"),
            FileItem("/etc/motd", content="hello\n", mode=0o600),
        ],
    )


def bake(spec: ImageSpec, store: Store):
    plan = _image.make_plan(spec, store, store)
    if plan.bake:
        with _image.staged(plan, spec, store, store) as ready:
            _image.carry_out(plan, spec, store, ready)
    elif plan.changed:
        _image.carry_out(plan, spec, store, None)
    return plan


def image_of(store: Store, plan):
    return store.folder("images", plan.digest) / "root.erofs"


def test_an_image_holds_what_was_put_in(spec, store_path, tmp_path):
    store = Store(store_path)
    plan = bake(spec, store)
    out = tmp_path / "out"
    command = ["fsck.erofs", f"--extract={out}", "--preserve-perms", image_of(store, plan)]
    subprocess.run(command, check=True, capture_output=True)
    assert json.loads((out / "etc/kiln/app.json").read_text()) == spec.app
    assert (out / "srv/data/z").read_text() == "z" * 5000
    assert (out / "srv/data/deep/link").readlink().as_posix() == "../a"
    assert (out / "etc/motd").stat().st_mode & 0o777 == 0o600
    assert (out / "lib").readlink().as_posix() == "usr/lib"
    assert f"127.0.1.1 {spec.name}" in (out / "etc/hosts").read_text().splitlines()


@pytest.mark.parametrize("compression", ["none", "lz4", "lz4hc"])
def test_two_bakes_in_two_folders_give_the_same_bytes(spec, tmp_path, compression):
    spec = replace(spec, compression=compression)
    images = []
    for name in ("one", "another place"):
        store = Store(tmp_path / name)
        images.append(image_of(store, bake(spec, store)).read_bytes())
    print(f"compared {len(images[0])} and {len(images[1])} bytes")
    assert images[0] == images[1]


def test_the_order_in_which_files_were_made_does_not_matter(spec, store_path, tmp_path):
    again = tmp_path / "again"
    (again / "deep").mkdir(parents=True)
    (again / "deep/link").symlink_to("../a")
    for name in ("m", "a", "z"):
        (again / name).write_text(name * 5000)
    other = replace(spec, files=[*spec.files[:2], FileItem("/srv/data", again), spec.files[3]])
    one, two = Store(store_path), Store(tmp_path / "two")
    assert (
        image_of(one, bake(spec, one)).read_bytes() == image_of(two, bake(other, two)).read_bytes()
    )


def test_a_second_bake_changes_nothing_and_a_damaged_image_is_made_again(spec, store_path):
    store = Store(store_path)
    image = image_of(store, bake(spec, store))
    assert not _image.make_plan(spec, store, store).changed
    good = image.read_bytes()
    image.write_bytes(good[:-4096])
    assert _image.make_plan(spec, store, store).bake
    bake(spec, store)
    assert image.read_bytes() == good


def test_a_name_goes_back_to_an_image_that_is_still_there(spec, store_path):
    store = Store(store_path)
    first = bake(spec, store)
    bake(replace(spec, files=[*spec.files, FileItem("/etc/more", content="")]), store)
    back = _image.make_plan(spec, store, store)
    assert (back.bake, back.rename) == (False, True)
    bake(spec, store)
    assert store.current("images", "x") == first.digest


def test_a_dry_run_checks_and_leaves_no_trace(spec, store_path):
    store = Store(store_path)
    with by_products(store, check_mode=True) as work:
        plan = _image.make_plan(spec, store, work)
        with _image.staged(plan, spec, store, work) as ready:
            assert ready.tree.find("/usr/bin/prog")
    assert plan.changed
    assert not store_path.exists()
    assert bake(spec, store).digest == plan.digest


def test_the_diff_shows_what_is_new(spec, store_path):
    store = Store(store_path)
    bake(spec, store)
    app = dict(spec.app, env={"A": "1"})
    plan = _image.make_plan(replace(spec, app=app), store, store)
    assert "env" not in plan.before["root"]["app"]
    assert plan.after["root"]["app"]["env"] == {"A": "1"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"files": [FileItem("/x", content="")]}, "no /usr/bin/prog, which argv wants"),
        ({"disk": DiskSpec(Path("/no/kiln.elf"), ["raw"])}, "no kernel at /no/kiln.elf; build it"),
    ],
)
def test_bad_input_fails_with_a_sentence_and_makes_nothing(spec, store_path, change, message):
    store = Store(store_path)
    with pytest.raises(KilnError, match=message):
        bake(replace(spec, **change), store)
    assert not (store_path / "images").exists()


def test_a_missing_source_is_named(spec, store_path, tmp_path):
    files = [*spec.files, FileItem("/x", tmp_path / "gone")]
    with pytest.raises(KilnError, match=r"no file or folder .*/gone, which files wants as /x"):
        bake(replace(spec, files=files), Store(store_path))


def test_a_file_for_another_machine_is_named(spec, store_path, tmp_path):
    (tmp_path / "foreign").write_bytes(make_elf(machine="aarch64"))
    files = [*spec.files, FileItem("/usr/bin/x", tmp_path / "foreign")]
    with pytest.raises(KilnError, match=r"/foreign is a 64-bit ELF for AArch64"):
        bake(replace(spec, files=files), Store(store_path))


def test_a_file_that_needs_a_missing_library_is_named(spec, store_path, tmp_path):
    (tmp_path / "plugin.so").write_bytes(make_elf(("libgone.so.1",)))
    files = [*spec.files, FileItem("/usr/lib/plugin.so", tmp_path / "plugin.so")]
    with pytest.raises(KilnError, match=r"/usr/lib/plugin\.so needs the library libgone\.so\.1"):
        bake(replace(spec, files=files), Store(store_path))


def test_a_bake_is_held_to_its_lock(spec, store_path, tmp_path, monkeypatch):
    settled = Lock([], [])
    monkeypatch.setattr(_image, "_resolve", lambda *_: settled)
    spec = replace(spec, lock=tmp_path / "x.lock.json")
    plan = bake(spec, Store(store_path))
    assert plan.write_lock
    assert _packages.read_lock(tmp_path / "x.lock.json") == settled
    assert not _image.make_plan(spec, Store(store_path), Store(store_path)).changed

    newer = Lock([], [Package("libx", "2", "e" * 64)])
    monkeypatch.setattr(_image, "_resolve", lambda *_: newer)
    assert not _image.make_plan(spec, Store(store_path), Store(store_path)).changed
    update = replace(spec, update_lock=True)
    assert _image.make_plan(update, Store(store_path), Store(store_path)).lock == newer
    other = replace(spec, packages=["libx"])
    with pytest.raises(KilnError, match="was made for the packages"):
        _image.make_plan(other, Store(store_path), Store(store_path))


def test_an_image_comes_in_every_format_and_says_what_its_disk_holds(spec, store_path, tmp_path):
    disk = DiskSpec(write_kernel(tmp_path / "kernel"), sorted(_disks.FILES))
    store = Store(store_path)
    plan = bake(replace(spec, disk=disk), store)
    folder = store.folder("images", plan.digest)
    assert all((folder / name).is_file() for name in _disks.FILES.values())
    manifest = store.manifest("images", plan.digest)
    assert manifest["content"] == manifest["sha256"]["disk.raw"]
    layout = _disk.read_layout(folder / "disk.raw").told()
    assert manifest["disk_layout"] == layout
    assert set(manifest["sha256"]) == {
        "root.erofs",
        *_disks.FILES.values(),
        *_papers.names(_papers.BILLS),
    }
    assert not _image.make_plan(replace(spec, disk=disk), store, store).changed


def test_two_bakes_give_the_same_bytes_in_every_format(spec, tmp_path):
    kernel = write_kernel(tmp_path / "kernel")
    digests = []
    for name in ("one", "another place"):
        store = Store(tmp_path / name)
        plan = bake(replace(spec, disk=DiskSpec(kernel, sorted(_disks.FILES))), store)
        digests.append(store.manifest("images", plan.digest)["sha256"])
    assert digests[0] == digests[1]


def test_a_disk_format_needs_a_kernel():
    params = {"formats": ["erofs", "vdi", "raw"], "kernel": None}
    with pytest.raises(KilnError, match="The formats raw, vdi need `kernel`"):
        _image_options.disk_spec(params)


def test_a_full_disk_is_named_and_leaves_nothing_behind(spec, store_path, tmp_path, monkeypatch):
    """In the middle of a conversion; a limit on the size of files stands in for the full disk."""
    kernel = write_kernel(tmp_path / "kernel")
    store = Store(store_path)
    write = _disks._WRITERS["vdi"]

    def write_little(raw, target, digest):
        old = resource.getrlimit(resource.RLIMIT_FSIZE)
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, old[1]))
        try:
            write(raw, target, digest)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
            signal.signal(signal.SIGXFSZ, ignored)

    monkeypatch.setitem(_disks._WRITERS, "vdi", write_little)
    with pytest.raises(
        KilnError, match=r"x cannot be written below .*: File too large\. Make room"
    ):
        bake(replace(spec, disk=DiskSpec(kernel, ["vdi"])), store)
    assert store.names("images") == {}
    assert [path.name for path in (store_path / "scratch").iterdir()] == []
    monkeypatch.setitem(_disks._WRITERS, "vdi", write)
    assert bake(replace(spec, disk=DiskSpec(kernel, ["vdi"])), store).bake


def test_an_image_comes_as_ova_files_that_hold_its_disk(spec, store_path, tmp_path):
    machines = tuple(_ovf.Machine("x", profile) for profile in _ovf.PROFILES)
    disk = DiskSpec(write_kernel(tmp_path / "kernel"), ["ova"], machines=machines)
    store = Store(store_path)
    plan = bake(replace(spec, disk=disk), store)
    manifest = store.manifest("images", plan.digest)
    assert set(manifest["sha256"]) == {"root.erofs", *OVAS, *_papers.names(_papers.BILLS)}
    for machine in machines:
        with tarfile.open(store.folder("images", plan.digest) / f"{machine.profile}.ova") as ova:
            (tmp_path / "x-disk1.vmdk").write_bytes(ova.extractfile("x-disk1.vmdk").read())
        back = tmp_path / "back.raw"
        command = ["qemu-img", "convert", "-f", "vmdk", "-O", "raw", tmp_path / "x-disk1.vmdk"]
        subprocess.run([*command, back], check=True)
        assert digest_file(back) == manifest["content"]
