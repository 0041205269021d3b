"""Images from a root folder and from a container image, whole."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import _base, _image, _image_options
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError, Store
from ansible_collections.kiln.unikernel.plugins.module_utils._tree import Filter, Tree

from .containers import Layout, layer, link, member
from .elves import make_elf

LOADER = "/lib64/ld-linux-x86-64.so.2"
OPTIONS = {key: spec.get("default") for key, spec in _image_options.ARGUMENT_SPEC.items()}


def options(**given):
    oci = {"reference": None, "max_size": 1 << 30} | given["oci"] if "oci" in given else None
    return OPTIONS | {"name": "x", "mounts": [], "overrides": []} | given | {"oci": oci}


def bake(store, **given):
    """The folder of the image and what is in its root."""
    spec = _image_options.make_spec(options(**given))
    plan = _image.make_plan(spec, store, store)
    with _image.staged(plan, spec, store, store) as ready:
        _image.carry_out(plan, spec, store, ready)
    return plan, store.folder("images", plan.digest)


def extract(folder, into):
    command = ["fsck.erofs", f"--extract={into}", "--preserve-perms", folder / "root.erofs"]
    subprocess.run(command, check=True, capture_output=True)
    return into


@pytest.fixture
def rootfs(tmp_path):
    folder = tmp_path / "root fs"
    (folder / "bin").mkdir(parents=True)
    (folder / "lib64").mkdir()
    (folder / "bin/prog").write_bytes(make_elf((), LOADER))
    (folder / "bin/prog").chmod(0o755)
    (folder / "lib64/ld-linux-x86-64.so.2").write_bytes(make_elf())
    (folder / "etc").mkdir(mode=0o750)
    (folder / "etc/hosts").write_text("mine\n")
    (folder / "etc/link").symlink_to("/etc/hosts")
    os.mkfifo(folder / "etc/pipe")
    return folder


def test_a_folder_is_baked_as_it_is_and_gets_what_it_lacks(rootfs, tmp_path, store_path):
    store = Store(store_path)
    folder = bake(store, rootfs=str(rootfs), argv=["/bin/prog"])[1]
    out = extract(folder, tmp_path / "out")
    assert not (out / "bin").is_symlink()
    assert (out / "sbin").readlink().as_posix() == "usr/sbin"
    assert (out / "etc").stat().st_mode & 0o7777 == 0o750
    assert (out / "etc/hosts").read_text() == "mine\n"
    assert (out / "etc/link").readlink().as_posix() == "/etc/hosts"
    assert not os.path.lexists(out / "etc/pipe")
    assert (out / "tmp").stat().st_mode & 0o7777 == 0o1777


def change_mode(folder):
    (folder / "bin/prog").chmod(0o700)


def change_folder(folder):
    (folder / "etc").chmod(0o700)


def add_folder(folder):
    (folder / "empty").mkdir()


def change_text(folder):
    (folder / "etc/hosts").write_text("other")


def change_link(folder):
    (folder / "etc/link").unlink()
    (folder / "etc/link").symlink_to("hosts")


@pytest.mark.parametrize(
    "change", [change_mode, change_folder, add_folder, change_text, change_link]
)
def test_every_change_of_a_folder_is_seen(rootfs, store_path, change):
    store = Store(store_path)
    bake(store, rootfs=str(rootfs), argv=["/bin/prog"])
    spec = _image_options.make_spec(options(rootfs=str(rootfs), argv=["/bin/prog"]))
    assert not _image.make_plan(spec, store, store).changed
    change(rootfs)
    assert _image.make_plan(spec, store, store).bake


def test_what_is_excluded_of_a_folder_stays_out_but_for_what_is_kept(rootfs, tmp_path):
    tree = Tree(tmp_path / "tree")
    tree.path.mkdir()
    _base.FolderBase(rootfs).add(tree, Filter(["/etc", "/lib64"], ["/etc/hosts"]))
    found = sorted(path.relative_to(tree.path).as_posix() for path in tree.path.rglob("*"))
    assert found == ["bin", "bin/prog", "etc", "etc/hosts"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rootfs": "/no/such", "argv": ["/x"]}, "There is no folder /no/such, which `rootfs`"),
        ({"rootfs": "/", "argv": ["/x"]}, "this machine's own root"),
        ({"rootfs": "/usr", "packages": ["x"], "argv": ["/x"]}, "`rootfs` and `packages` cannot"),
        ({"oci": {"src": "/no/such"}, "rootfs": "/usr"}, "`oci` and `rootfs` cannot be given"),
        ({"oci": {"src": "/no/such"}}, "no container image /no/such"),
    ],
)
def test_bases_that_cannot_be_used_are_named(given, said):
    with pytest.raises(KilnError, match=said):
        _image_options.make_spec(options(**given))


@pytest.fixture
def container(tmp_path):
    """A container with a program in its PATH, as a Dockerfile's ENTRYPOINT ["prog"] makes it."""
    layers = [
        layer(
            member("opt/prog", make_elf((), LOADER)),
            member("lib64/ld-linux-x86-64.so.2", make_elf()),
            member("etc/resolv.conf", b"nameserver 192.0.2.1\n"),
            link("run", "var/run"),
        ),
        layer(member("etc/.wh.resolv.conf"), member("srv/data/seed", b"1")),
    ]
    config = {
        "Entrypoint": ["prog"],
        "Cmd": ["--port", "80"],
        "Env": ["PATH=/opt"],
        "Volumes": {"/srv/data": {}},
        "WorkingDir": "/srv",
    }
    layout = Layout()
    return layout.finish(layout.image(layers, config)).as_archive(tmp_path / "x.tar")


def test_a_container_is_baked_as_it_is(container, tmp_path, store_path):
    store = Store(store_path)
    plan, folder = bake(store, oci={"src": str(container)})
    out = extract(folder, tmp_path / "out")
    app = json.loads((out / "etc/kiln/app.json").read_text())
    assert app["argv"] == ["/opt/prog", "--port", "80"]
    assert app["env"] == {"PATH": "/opt"}
    assert app["cwd"] == "/srv"
    assert app["mounts"] == [{"path": "/srv/data", "type": "tmpfs", "copy": True}]
    assert (out / "srv/data/seed").read_text() == "1"
    assert not (out / "etc/resolv.conf").exists()
    assert store.manifest("images", plan.digest)["app"] == app
    spec = _image_options.make_spec(options(oci={"src": str(container)}))
    assert not _image.make_plan(spec, store, store).changed


def test_two_bakes_of_a_container_give_the_same_bytes(container, tmp_path):
    made = [bake(Store(tmp_path / each), oci={"src": str(container)})[1] for each in ("a", "b")]
    assert (made[0] / "root.erofs").read_bytes() == (made[1] / "root.erofs").read_bytes()


def test_options_win_over_a_containers_configuration(container, tmp_path, store_path):
    given = {"argv": ["/opt/prog"], "env": {"PATH": "/x"}, "cwd": "/etc"}
    folder = bake(Store(store_path), oci={"src": str(container)}, **given)[1]
    app = json.loads((extract(folder, tmp_path / "out") / "etc/kiln/app.json").read_text())
    assert {key: app[key] for key in given} == given


def test_a_container_without_a_program_is_refused(tmp_path, store_path):
    layout = Layout()
    path = layout.finish(layout.image([])).as_archive(tmp_path / "x.tar")
    with pytest.raises(KilnError, match="`argv` is needed: the container image names no program"):
        bake(Store(store_path), oci={"src": str(path)})


def test_libraries_are_looked_for_where_the_cache_of_an_image_has_them(tmp_path):
    tree = Tree(tmp_path / "tree")
    (tree.path / "bin").mkdir(parents=True)
    (tree.path / "opt/lib").mkdir(parents=True)
    (tree.path / "bin/prog").write_bytes(make_elf(("libx.so.1",)))
    (tree.path / "opt/lib/libx.so.1").write_bytes(make_elf())
    with pytest.raises(KilnError, match=r"needs the library libx\.so\.1"):
        tree.check_program("/bin/prog")
    (tree.path / "etc/ld.so.conf.d").mkdir(parents=True)
    (tree.path / "etc/ld.so.conf.d/x.conf").write_text("# ours\n/opt/lib\n")
    (tree.path / "etc/ld.so.cache").write_bytes(b"")
    tree.check_program("/bin/prog")
