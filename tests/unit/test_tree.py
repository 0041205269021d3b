from __future__ import annotations

import io
import subprocess
import tarfile

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils._elf import read_elf
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError
from ansible_collections.kiln.unikernel.plugins.module_utils._tree import Filter, Tree

from .elves import make_elf

LOADER = "/lib64/ld-linux-x86-64.so.2"
ALL = Filter([], [])


@pytest.fixture
def tree(tmp_path):
    made = Tree(tmp_path / "root")
    made.lay_out()
    return made


def put(tree: Tree, place: str, data: bytes, mode: int = 0o755) -> None:
    path = tree.path / place.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)


def make_deb(folder, members: list[tuple[str, dict, bytes]]):
    """A Debian package with these tar members, made by dpkg-deb's own format tools."""
    folder.mkdir()
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, facts, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in facts.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    control = io.BytesIO()
    with tarfile.open(fileobj=control, mode="w:gz") as archive:
        text = b"Package: x\nVersion: 1\nArchitecture: amd64\nMaintainer: x\nDescription: x\n"
        info = tarfile.TarInfo("control")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    (folder / "debian-binary").write_text("2.0\n")
    (folder / "control.tar.gz").write_bytes(control.getvalue())
    (folder / "data.tar.gz").write_bytes(data.getvalue())
    parts = ["debian-binary", "control.tar.gz", "data.tar.gz"]
    ar_write(folder / "x.deb", [(name, (folder / name).read_bytes()) for name in parts])
    return folder / "x.deb"


def ar_write(path, parts: list[tuple[str, bytes]]) -> None:
    """Writes an ar archive: the container of a Debian package (deb(5), ar(5))."""
    with path.open("wb") as stream:
        stream.write(b"!<arch>\n")
        for name, data in parts:
            stream.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode())
            stream.write(data + b"\n" * (len(data) % 2))


def test_a_package_lands_in_the_merged_layout(tree, tmp_path):
    deb = make_deb(
        tmp_path / "deb",
        [
            ("./lib/x86_64-linux-gnu/libx.so.1", {"mode": 0o644}, b"library"),
            ("./lib64", {"type": tarfile.DIRTYPE, "mode": 0o755}, b""),
            ("./usr/bin/prog", {"mode": 0o755}, b"program"),
            ("./usr/bin/alias", {"type": tarfile.SYMTYPE, "linkname": "prog"}, b""),
            ("./usr/bin/twin", {"type": tarfile.LNKTYPE, "linkname": "./usr/bin/prog"}, b""),
            ("./usr/share/doc/x/README", {"mode": 0o644}, b"read me"),
            ("./usr/share/doc/x/copyright", {"mode": 0o644}, b"licence"),
            ("./var/lib/x", {"type": tarfile.DIRTYPE, "mode": 0o750}, b""),
        ],
    )
    tree.add_package(deb, "x 1", Filter(["/usr/share/doc"], ["/usr/share/doc/*/copyright"]))
    root = tree.path
    assert (root / "usr/lib/x86_64-linux-gnu/libx.so.1").read_bytes() == b"library"
    assert (root / "lib").is_symlink()
    assert (root / "lib64").is_symlink()
    assert (root / "usr/bin/prog").stat().st_mode & 0o777 == 0o755
    assert (root / "usr/bin/twin").samefile(root / "usr/bin/prog")
    assert (root / "usr/bin/alias").readlink().name == "prog"
    assert (root / "var/lib/x").stat().st_mode & 0o777 == 0o750
    assert (root / "usr/share/doc/x/copyright").exists()
    assert not (root / "usr/share/doc/x/README").exists()


def test_two_packages_with_the_same_file_are_refused(tree, tmp_path):
    deb = make_deb(tmp_path / "deb", [("./usr/bin/prog", {"mode": 0o755}, b"x")])
    tree.add_package(deb, "a 1", ALL)
    with pytest.raises(KilnError, match="Package b 1 holds /usr/bin/prog, which another"):
        tree.add_package(deb, "b 1", ALL)


def test_a_damaged_package_is_named(tree, tmp_path):
    (tmp_path / "x.deb").write_bytes(b"!<arch>\nrubbish")
    with pytest.raises(KilnError, match="Package x 1 cannot be unpacked"):
        tree.add_package(tmp_path / "x.deb", "x 1", ALL)


def test_a_path_that_leaves_its_folder_is_refused(tree, tmp_path):
    deb = make_deb(tmp_path / "deb", [("./usr/../../etc/x", {"mode": 0o644}, b"x")])
    with pytest.raises(KilnError, match="leaves its folder"):
        tree.add_package(deb, "x 1", ALL)


def test_a_link_cannot_lead_out_of_the_tree(tree, tmp_path):
    (tmp_path / "outside").mkdir()
    (tree.path / "etc/out").symlink_to(tmp_path / "outside")
    tree.add_text("caught", "/etc/out/file")
    assert list((tmp_path / "outside").iterdir()) == []
    inside = tree.find("/etc/out/file")
    assert inside is not None
    assert inside.read_text() == "caught"
    assert inside.is_relative_to(tree.path)


def test_a_folder_is_copied_with_its_links_and_modes(tree, tmp_path):
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub/run").write_text("#!/bin/sh\n")
    (source / "sub/run").chmod(0o750)
    (source / "again").symlink_to("sub")
    tree.add_file(source, "/opt/app", None)
    assert (tree.path / "opt/app/sub/run").stat().st_mode & 0o777 == 0o750
    assert (tree.path / "opt/app/again").is_symlink()


def test_a_file_goes_over_what_is_there(tree, tmp_path):
    (tmp_path / "hosts").write_text("mine")
    tree.add_file(tmp_path / "hosts", "/etc/hosts", 0o600)
    assert (tree.path / "etc/hosts").read_text() == "mine"
    assert (tree.path / "etc/hosts").stat().st_mode & 0o777 == 0o600


def test_a_base_keeps_its_own_hosts(tmp_path):
    tree = Tree(tmp_path / "root")
    put(tree, "/etc/hosts", b"192.0.2.1 mine\n")
    tree.lay_out("web")
    assert (tree.path / "etc/hosts").read_text() == "192.0.2.1 mine\n"


def full(tree: Tree, needed: tuple[str, ...] = ("libc.so.6",), **more) -> None:
    put(tree, "/usr/lib64/ld-linux-x86-64.so.2", make_elf())
    put(tree, "/usr/lib/x86_64-linux-gnu/libc.so.6", make_elf())
    put(tree, "/usr/bin/prog", make_elf(needed, LOADER, **more))


def test_a_program_with_all_it_needs_passes(tree):
    full(tree)
    tree.check_program("/bin/prog")


def test_a_program_that_is_missing_is_named(tree):
    with pytest.raises(KilnError, match="no /usr/bin/prog, which argv wants"):
        tree.check_program("/usr/bin/prog")


def test_a_missing_loader_is_named(tree):
    put(tree, "/usr/bin/prog", make_elf((), LOADER))
    with pytest.raises(KilnError, match=f"needs the loader {LOADER}"):
        tree.check_program("/usr/bin/prog")


def test_a_missing_library_is_named_even_one_step_away(tree):
    full(tree, ("libc.so.6", "libx.so.1"))
    put(tree, "/usr/lib/x86_64-linux-gnu/libx.so.1", make_elf(("libgone.so.3",)))
    with pytest.raises(KilnError, match=r"/libx\.so\.1 needs the library libgone\.so\.3"):
        tree.check_program("/usr/bin/prog")


def test_a_library_is_found_by_runpath_and_library_path(tree):
    full(tree, ("liba.so", "libb.so"), runpath="$ORIGIN/../own")
    put(tree, "/usr/own/liba.so", make_elf())
    put(tree, "/opt/lib/libb.so", make_elf())
    tree.check_program("/usr/bin/prog", library_path="/opt/lib")
    with pytest.raises(KilnError, match=r"libb\.so"):
        tree.check_program("/usr/bin/prog")


@pytest.mark.parametrize("machine", ["aarch64", "i386"])
def test_a_program_for_another_machine_is_refused(tree, machine):
    put(tree, "/usr/bin/prog", make_elf(machine=machine))
    with pytest.raises(KilnError, match=r"/usr/bin/prog is a 64-bit ELF for .*; a Kiln guest"):
        tree.check_program("/usr/bin/prog")


def test_a_script_needs_its_interpreter(tree):
    put(tree, "/usr/bin/script", b"#! /usr/bin/python3 -I\nprint()\n")
    with pytest.raises(KilnError, match="script for /usr/bin/python3, which is not in the image"):
        tree.check_program("/usr/bin/script")
    full(tree)
    put(tree, "/usr/bin/script", b"#!/usr/bin/prog\n")
    tree.check_program("/usr/bin/script")


def test_a_program_that_is_neither_is_refused(tree):
    put(tree, "/usr/bin/prog", b"just text\n")
    with pytest.raises(KilnError, match="neither an ELF program nor a script"):
        tree.check_program("/usr/bin/prog")


def test_a_circle_of_links_is_named(tree):
    (tree.path / "etc/a").symlink_to("b")
    (tree.path / "etc/b").symlink_to("a")
    with pytest.raises(KilnError, match="circle"):
        tree.find("/etc/a")


def test_a_cut_elf_is_damaged_and_an_object_file_is_nothing_to_load(tmp_path):
    (tmp_path / "cut").write_bytes(make_elf(("libc.so.6",))[:80])
    with pytest.raises(KilnError, match="/cut begins like an ELF file but is damaged"):
        read_elf(tmp_path / "cut", "/cut")
    (tmp_path / "text").write_text("text")
    assert read_elf(tmp_path / "text", "/text") is None


def test_elves_are_read_as_binutils_reads_them(tmp_path):
    path = tmp_path / "made"
    path.write_bytes(make_elf(("liba.so", "libb.so"), LOADER, "$ORIGIN/x:/y"))
    said = subprocess.run(
        ["readelf", "-dl", path], check=True, capture_output=True, text=True
    ).stdout
    elf = read_elf(path, "/made")
    assert elf is not None
    assert elf.needed == ["liba.so", "libb.so"]
    assert elf.runpath == ["$ORIGIN/x", "/y"]
    assert elf.interpreter == LOADER
    for text in (LOADER, "[liba.so]", "[libb.so]", "[$ORIGIN/x:/y]"):
        assert text in said
