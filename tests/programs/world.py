"""What the programs live in: Debian packages unpacked by the collection's own code, and our files.

Two trees under build/tests/programs, each made again when the packages' versions or our files
change:

    tree/       the root of the guest, and of the programs' runs on Linux; packed to root.erofs
    tools/      what drives and builds from outside: Debian's Go and ab; never in a guest

No package is installed on this machine, and both sides run the very same files.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
BUILD = TOP / "build" / "tests" / "programs"

subprocess.run(["sh", str(TOP / "tools" / "tree")], check=True, stdout=subprocess.DEVNULL)
sys.path.insert(0, str(TOP / "build" / "tree"))
from ansible_collections.kiln.unikernel.plugins.module_utils import _image, _packages  # noqa: E402
from ansible_collections.kiln.unikernel.plugins.module_utils._store import (  # noqa: E402
    Store,
    digest_folder,
    digest_value,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._tree import Filter, Tree  # noqa: E402

PROGRAMS = """
    busybox-static ca-certificates coreutils memcached netbase python3.11 tzdata
""".split()
TOOLS = ["apache2-utils", "golang-1.19-go"]
GUEST_EXCLUDE = [*_image.DEFAULT_EXCLUDE, "/usr/share/doc/*", "/usr/share/memcached/scripts"]
WORK = "/var/w"


@dataclass(frozen=True)
class World:
    """The guest's root as a folder and as an image."""

    tree: Path
    image: Path


def unpack(
    name: str, packages: list[str], exclude: list[str], finish: Callable[[Path], None]
) -> Path:
    """A tree of packages and what they need; `finish` is run on a fresh one."""
    store = Store()
    lock = _image._resolve(packages, store, store)
    with store.lock("apt"):
        _packages.Apt(store.path / "apt").fetch(lock.packages, store)
    place, stamp = BUILD / name, BUILD / f"{name}.stamp"
    wanted = digest_value([lock.as_json(), exclude, str(place), _image.TIMESTAMP])
    if stamp.exists() and stamp.read_text() == wanted:
        return place
    stamp.unlink(missing_ok=True)
    shutil.rmtree(place, ignore_errors=True)
    tree = Tree(place)
    tree.lay_out()
    chosen = Filter(exclude, [])
    for package in lock.packages:
        tree.add_package(_packages.deb(store, package), package.name, chosen)
    finish(place)
    _set_times(place)
    stamp.write_text(wanted)
    return place


def _set_times(tree: Path) -> None:
    """Gives all the time that an image gives them, for a copy may keep it."""
    for path in (tree, *tree.rglob("*")):
        os.utime(path, (_image.TIMESTAMP, _image.TIMESTAMP), follow_symlinks=False)


def _compile_python(tree: Path) -> None:
    """What python3.11's postinst does: compiled modules, or each start would compile them anew."""
    modes = ["--invalidation-mode", "unchecked-hash", "-q", "-s", str(tree), "-p", "/"]
    library = tree / "usr/lib/python3.11"
    # Some files of Python's own test suite are bad on purpose, so the status says nothing.
    subprocess.run(
        [*in_tree(tree, "/usr/bin/python3.11"), "-m", "compileall", *modes, str(library)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if not list((library / "__pycache__").glob("os.*.pyc")):
        raise SystemExit("programs: the modules of python3.11 could not be compiled")


def in_tree(tree: Path, program: str) -> list[str]:
    """The start of a command that runs a tree's program with the tree's libraries, unconfined."""
    loader = next(tree.glob("usr/lib*/ld-linux-x86-64.so.2"))
    folders = ["usr/lib/x86_64-linux-gnu", "usr/lib"]
    path = ":".join(str(tree / folder) for folder in folders)
    return [str(loader.resolve()), "--library-path", path, str(tree) + program]


def tools() -> Path:
    """The tree of what works from outside."""
    return unpack("tools", TOOLS, ["/usr/share/doc", "/usr/share/man"], lambda _: None)


def make_world() -> World:
    """Both forms of the guest's root, up to date."""
    BUILD.mkdir(parents=True, exist_ok=True)
    tree = unpack("tree", PROGRAMS, GUEST_EXCLUDE, _compile_python)
    _build_own(tree)
    image = BUILD / "root.erofs"
    stamp = BUILD / "image.stamp"
    wanted = digest_value([digest_folder(tree / "t"), (BUILD / "tree.stamp").read_text()])
    if not (image.exists() and stamp.exists() and stamp.read_text() == wanted):
        stamp.unlink(missing_ok=True)
        # Whoever has the old one open goes on with that.
        fresh = image.with_suffix(".new")
        _image.pack(tree, fresh, wanted)
        fresh.replace(image)
        stamp.write_text(wanted)
    return World(tree, image)


# Our own files


def _build_own(tree: Path) -> None:
    """The observer, the scripts, the Go programs, the fixtures."""
    own = tree / "t"
    own.mkdir(exist_ok=True)
    _once(own / "observe.so", [HERE / "observe.c"], _build_observer)
    for script in sorted((HERE / "python").glob("*.py")):
        shutil.copyfile(script, own / script.name)
    for folder in sorted((HERE / "go").glob("*/")):
        _once(own / f"go-{folder.name}", sorted(folder.glob("*")), _build_go)
    _lay_fixtures(tree / WORK.lstrip("/"))


def _once(result: Path, inputs: list[Path], make: Callable[[Path, list[Path]], None]) -> None:
    digest = hashlib.sha256()
    for path in [Path(__file__), *inputs]:
        digest.update(path.read_bytes())
    stamp = BUILD / f"{result.name}.stamp"
    if result.exists() and stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    make(result, inputs)
    stamp.write_text(digest.hexdigest())


def _build_observer(result: Path, inputs: list[Path]) -> None:
    command = ["gcc", "-O1", "-Wall", "-Werror", "-D_GNU_SOURCE", "-shared", "-fPIC"]
    subprocess.run([*command, "-o", str(result), str(inputs[0])], check=True)


def _build_go(result: Path, inputs: list[Path]) -> None:
    """By Debian's own Go, without cgo: a static program."""
    root = tools() / "usr/lib/go-1.19"
    settings = {
        "PATH": os.environ["PATH"],
        "GOROOT": str(root),
        "GOCACHE": str(BUILD / "go-cache"),
        "GOPATH": str(BUILD / "go-path"),
        "GO111MODULE": "off",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-trimpath",
        "CGO_ENABLED": "0",
    }
    command = [str(root / "bin/go"), "build", "-o", str(result), *(str(path) for path in inputs)]
    subprocess.run(command, check=True, env=settings)


def _lay_fixtures(work: Path) -> None:
    """The writable folder that programs find: files of every kind with fixed times and modes."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    lines = "".join(f"{(n * 7919) % 1000:03d} line {n % 37} of {n}\n" for n in range(1, 401))
    files: dict[str, tuple[bytes, int]] = {
        "lines": (lines.encode(), 0o644),
        "words": (b"pear\napple\nfig\nbanana\napple\nFig\n10\n9\n1e1\n", 0o640),
        "left": (b"1 one\n2 two\n4 four\n", 0o600),
        "right": (b"1 eins\n3 drei\n4 vier\n", 0o444),
        "empty": (b"", 0o644),
        "bytes": (bytes(range(256)) * 40, 0o644),
        "d/a": (b"a\n", 0o755),
        "d/e/b": (b"b\n", 0o4755),
        "d/e/f/c": (b"no newline", 0o2750),
        "with space/tab\there": (b"odd names\n", 0o644),
    }
    for name, (content, mode) in files.items():
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)
    (work / "d/to-a").symlink_to("a")
    (work / "d/dangling").symlink_to("nowhere")
    (work / "d/up").symlink_to("../lines")
    (work / "loop").symlink_to("loop")
    (work / "d/closed").mkdir(mode=0o700)
    (work / "d/sticky").mkdir()
    (work / "d/sticky").chmod(0o1777)
    for path in [work, *work.rglob("*")]:
        # The time that packing gives everything, so that both sides see the same.
        os.utime(path, (_image.TIMESTAMP, _image.TIMESTAMP), follow_symlinks=False)


def facts() -> str:
    """For people: what is in the tree."""
    return json.dumps({"tree": str(BUILD / "tree"), "image": str(BUILD / "root.erofs")})


if __name__ == "__main__":
    tools()
    make_world()
    print(facts())
