"""The kernel itself, started by the loader: by kernel-src/run, and as a whole disk in bare QEMU."""

from __future__ import annotations

import json
import os
import subprocess

import boot_rig
import pytest


def guest(*words, **options):
    done = subprocess.run(
        [boot_rig.TOP / "kernel-src/run", "--net", "none", "--timeout", "60", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    print(done.stdout, done.stderr)
    return done


def build(kernel, tree, image, app, cmdline="", data_size=0):
    (tree / "etc/kiln/app.json").write_text(app if isinstance(app, str) else json.dumps(app))
    root = image.with_suffix(".erofs")
    boot_rig.run("mkfs.erofs", "-T0", root, tree)
    return boot_rig.disk.build_disk(kernel, root, cmdline, image, data_size=data_size)


APP = {
    "version": 1,
    "name": "show",
    "argv": ["/bin/show", "from", "the manifest"],
    "env": {"GREETING": "good day"},
    "cwd": "/srv",
    "network": {"mode": "none"},
}


def test_run_boots_a_program_from_a_disk(kernel, tree):
    done = guest(
        "--kernel", kernel, "--disk-boot", "--root", tree, "--env", 'GREETING=a "b"\\',
        "--cwd", "/srv", "--", "/bin/show", "c d", "", "\u00e9\t$", 'q"\\',
    )  # fmt: skip
    assert done.stdout == '[c d][][\u00e9\t$][q"\\] GREETING=a "b"\\ in /srv\n'
    assert done.returncode == 7


def test_a_tick_that_the_firmware_left_pending_does_no_harm(kernel, tree):
    """One start in four has one; QEMU delivered it at the first sti, though it was taken back."""
    words = ["--kernel", kernel, "--disk-boot", "--root", tree, "--", "/bin/show"]
    ends = [guest(*words).returncode for _ in range(16)]
    assert ends == [7] * 16


def test_a_whole_disk_runs_what_its_manifest_says(kernel, tree, tmp_path):
    build(kernel, tree, tmp_path / "disk.img", APP)
    done = guest("--disk-boot", "--root", tmp_path / "disk.img")
    assert done.stdout == "[from][the manifest] GREETING=good day in /srv\n"
    assert done.returncode == 7


def test_the_command_line_on_the_disk_wins(kernel, tree, tmp_path):
    line = "env=GREETING=hello cwd=/ -- /bin/show line"
    build(kernel, tree, tmp_path / "disk.img", APP, line)
    done = guest("--disk-boot", "--root", tmp_path / "disk.img")
    assert done.stdout == "[line] GREETING=hello in /\n"
    assert done.returncode == 7


def test_a_bad_manifest_is_a_sentence(kernel, tree, tmp_path):
    build(kernel, tree, tmp_path / "disk.img", '{\n "version": 1,\n "argz": []\n}')
    done = guest("--disk-boot", "--root", tmp_path / "disk.img")
    assert done.returncode == 125
    assert '/etc/kiln/app.json, line 3, column 2: the key "argz" is not known' in done.stderr


def test_a_damaged_root_is_a_sentence(kernel, tree, tmp_path):
    image = tmp_path / "disk.img"
    build(kernel, tree, image, APP)
    root = boot_rig.disk.read_layout(image).partition("kiln-root")
    with image.open("r+b") as file:
        file.seek(root.offset + 1024)
        file.write(bytes(4))
    done = guest("--disk-boot", "--root", image)
    assert done.returncode == 125
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"run: {image}: ")
    assert last.endswith("wanted the EROFS magic e0f5e1e2 at offset 1024, found 00000000")


def test_a_cut_disk_is_a_sentence(kernel, tree, tmp_path):
    image = tmp_path / "disk.img"
    build(kernel, tree, image, APP)
    root = boot_rig.disk.read_layout(image).partition("kiln-root")
    end = root.offset + root.size
    os.truncate(image, end - 4096)
    done = guest("--disk-boot", "--root", image)
    assert done.returncode == 125
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"run: {image}: ")
    assert f"truncated at offset {end - 4096}: partition kiln-root ends at {end}" in last


def test_without_ports_all_is_on_the_serial_line(kernel, tree, tmp_path):
    """As in somebody else's hypervisor: a disk, a BIOS, COM1."""
    build(kernel, tree, tmp_path / "disk.img", APP)
    outcome = boot_rig.boot(tmp_path / "disk.img", memory="128M")
    print(outcome.text)
    assert outcome.status == 0, "the guest powers off"
    lines = outcome.text.splitlines()
    assert "[from][the manifest] GREETING=good day in /srv" in lines
    assert lines[-1] == "kiln: exit status 7"


def with_disk_program(tree):
    """The root with the program that writes disks (tests/devices/disk.c)."""
    program = tree / "bin/disk"
    source = boot_rig.TOP / "tests/devices/disk.c"
    boot_rig.run("gcc", "-O2", "-static", "-pthread", "-Wall", "-o", program, source)
    return program


def test_the_data_partition_keeps_what_is_written(kernel, tree, tmp_path):
    image, part = tmp_path / "disk.img", tmp_path / "part"
    program = with_disk_program(tree)
    app = APP | {"argv": ["/bin/disk", "/dev/vda4", "write", "2", "5"]}
    before = build(kernel, tree, image, app, data_size=2 << 20)
    untouched = image.read_bytes()[: before.partition("kiln-data").offset]
    outcome = boot_rig.boot(image, memory="128M")
    assert "2 MiB are right" in outcome.text.splitlines(), outcome.text
    data = before.partition("kiln-data")
    with image.open("rb") as file:
        assert file.read(data.offset) == untouched, "the rest of the disk has changed"
        part.write_bytes(file.read(data.size))
    boot_rig.run(program, part, "check", "2", "5")


@pytest.mark.parametrize("device", ["/dev/vda", "/dev/vda3"])
def test_what_carries_the_root_cannot_be_opened_for_writing(device, kernel, tree, tmp_path):
    image = tmp_path / "disk.img"
    with_disk_program(tree)
    build(kernel, tree, image, APP | {"argv": ["/bin/disk", device, "write", "1", "5"]})
    outcome = boot_rig.boot(image, memory="128M")
    lines = outcome.text.splitlines()
    assert "disk: Device or resource busy" in lines, outcome.text
    assert lines[-1] == "kiln: exit status 1"
