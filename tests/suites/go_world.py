"""What Go's own tests run in: their binaries by Debian's Go, and a root with their folders.

Everything lies under build/tests/programs, beside what the programs' tests use: Debian's Go is
unpacked there, not installed. It is made again when the version of Go or this file changes; Go's own
cache spares the compiling then. Nothing is asked of a network but Debian's packages.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path.insert(0, str(TOP / "tests/programs"))
import world  # noqa: E402

ROOT = "usr/lib/go-1.19"
PACKAGES = """
    base-files base-passwd coreutils dash hostname libacl1 libattr1 libc6 libgmp10 libpcre2-8-0
    libselinux1 media-types netbase tzdata
""".split()
BINARY = "package.test"


def inside(package: str) -> str:
    """A package's folder in the guest."""
    return f"/{ROOT}/src/{package}"


def _toolchain() -> tuple[Path, str]:
    """Debian's Go, and what names its version."""
    return world.tools() / ROOT, (world.BUILD / "tools.stamp").read_text()


def _go(go: Path, folder: Path, words: list[str], **more: str) -> None:
    """Debian's Go at work, without cgo: what it makes is static."""
    settings = {
        "PATH": os.environ["PATH"],
        "GOROOT": str(go),
        "GOCACHE": str(world.BUILD / "go-cache"),
        "GOPATH": str(world.BUILD / "go-path"),
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    subprocess.run([str(go / "bin/go"), *words], cwd=folder, check=True, env=settings | more)


def _lay_folder(go: Path, package: str, tree: Path) -> None:
    """A package's folder as its tests look for it: the files in it, and its testdata."""
    source, place = go / "src" / package, tree / inside(package).lstrip("/")
    place.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        if path.is_file():
            shutil.copy(path, place)
    if (source / "testdata").is_dir():
        shutil.copytree(source / "testdata", place / "testdata", symlinks=True, dirs_exist_ok=True)
    words = ["test", "-c", "-o", str(place / BINARY), package]
    _go(go, tree, words, GOFLAGS="-mod=mod")


def _build_children(go: Path, tree: Path) -> None:
    """The programs that the runtime's tests start, all in one."""
    # Not where they lie: Go would take them for a package of its own.
    scratch = world.BUILD / "go-testprog"
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(go / "src/runtime/testdata/testprog", scratch)
    program = tree / "t/testprog"
    program.parent.mkdir(exist_ok=True)
    _go(go, scratch, ["build", "-o", str(program), "."], GO111MODULE="off")


def _lay_zones(tree: Path) -> None:
    """lib/time/zoneinfo.zip, which Debian leaves out: its tzdata's zones, stored as they are."""
    zones = tree / "usr/share/zoneinfo"
    (tree / ROOT / "lib/time").mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(tree / ROOT / "lib/time/zoneinfo.zip", "w") as archive:
        for path in sorted(zones.rglob("*")):
            name = path.relative_to(zones)
            if path.is_file() and name.parts[0] not in ("posix", "right"):
                archive.writestr(zipfile.ZipInfo(str(name)), path.read_bytes())


def make(name: str, packages: list[str]) -> world.World:
    """The root of all these packages, as a folder and as an image; `name` tells such roots apart."""
    world.BUILD.mkdir(parents=True, exist_ok=True)
    go, version = _toolchain()
    tree = world.unpack(name, PACKAGES, world.GUEST_EXCLUDE, lambda _: None)
    image, stamp = world.BUILD / f"{name}.erofs", world.BUILD / f"{name}-image.stamp"
    base = (world.BUILD / f"{name}.stamp").read_text()
    wanted = world.digest_value([version, base, Path(__file__).read_text(), sorted(packages)])
    if image.exists() and stamp.exists() and stamp.read_text() == wanted:
        return world.World(tree, image)
    stamp.unlink(missing_ok=True)
    shutil.rmtree(tree / ROOT, ignore_errors=True)
    _lay_zones(tree)
    for package in packages:
        _lay_folder(go, package, tree)
    if "runtime" in packages:
        _build_children(go, tree)
    world._image.pack(tree, image, wanted)
    stamp.write_text(wanted)
    return world.World(tree, image)
