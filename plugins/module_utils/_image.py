# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Bakes images: packages, files and a description → a digest → root.erofs (and disks) in the store.

`make_plan` settles the exact packages, hashes the files and so knows the digest. `staged` unpacks
all that into a scratch folder and proves that the program can start there; this is done in check
mode too, so bad input fails there as well. `carry_out` packs what was staged.

`work` is the store for by-products (see by_products in _store).

The same inputs give the same bytes: owners, times and the UUID are fixed, the rest is content.
"""

from __future__ import annotations

import errno
import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils import (
    _app,
    _base,
    _disks,
    _packages,
    _papers,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._base import Base
from ansible_collections.kiln.unikernel.plugins.module_utils._disks import DiskSpec
from ansible_collections.kiln.unikernel.plugins.module_utils._elf import read_elf
from ansible_collections.kiln.unikernel.plugins.module_utils._packages import Apt, Lock
from ansible_collections.kiln.unikernel.plugins.module_utils._store import (
    KilnError,
    Store,
    digest_bytes,
    digest_file,
    digest_folder,
    digest_value,
    identity,
    is_address,
    write_json,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._tree import Filter, Tree

KIND = "images"
ROOT = "root.erofs"

# Raise when the same inputs begin to give other bytes.
BAKER = 3
# 1980-01-01, the oldest time that every archive format can say.
TIMESTAMP = 315532800
_FULL = os.strerror(errno.ENOSPC)
_NAMESPACE = uuid.UUID("6f6f2f0e-57a5-5f0c-9d0b-6b696c6e0002")

# A guest has no one to read manuals, no second program to start, and no service manager. The
# packages' copyright files stay: an image that is passed on must carry them.
DEFAULT_EXCLUDE = """
/etc/apparmor.d /etc/cron.d /etc/cron.daily /etc/default /etc/init.d /etc/ld.so.conf.d
/etc/logrotate.d /etc/pam.d /etc/systemd /usr/lib/systemd /usr/lib/tmpfiles.d /usr/lib/sysusers.d
/usr/lib/*/gconv /usr/lib/*/libc_malloc_debug.so.0 /usr/lib/*/libmemusage.so
/usr/lib/*/libpcprofile.so /usr/share/apport /usr/share/bash-completion /usr/share/bug
/usr/share/doc /usr/share/doc-base /usr/share/gdb /usr/share/info /usr/share/lintian
/usr/share/locale /usr/share/man /usr/share/menu /usr/share/pixmaps /usr/share/zsh
""".split()
DEFAULT_KEEP = ["/usr/share/doc/*/copyright"]

_COMPRESSION = {"none": [], "lz4": ["-zlz4"], "lz4hc": ["-zlz4hc,12"]}


@dataclass(frozen=True)
class FileItem:
    """One entry of `files`: a source on the build machine, or a text."""

    dest: str
    src: Path | None = None
    content: str | None = None
    mode: int | None = None


@dataclass(frozen=True)
class ImageSpec:
    """What is to be baked; the fields are the image module's options."""

    app: dict[str, Any]
    base: Base | None = None
    packages: list[str] = field(default_factory=list)
    files: list[FileItem] = field(default_factory=list)
    exclude: list[str] = field(default_factory=lambda: list(DEFAULT_EXCLUDE))
    keep: list[str] = field(default_factory=lambda: list(DEFAULT_KEEP))
    compression: str = "none"
    sbom: tuple[str, ...] = _papers.BILLS
    disk: DiskSpec | None = None
    lock: Path | None = None
    update_lock: bool = False

    @property
    def name(self) -> str:
        """The image's name."""
        return str(self.app["name"])


@dataclass(frozen=True)
class Staged:
    """A root ready to be packed, and what its application turned out to be.

    `loaded` has the places of the program and of all that it is linked with.
    """

    tree: Tree
    app: dict[str, Any]
    warnings: list[str]
    loaded: list[str]


@dataclass(frozen=True)
class ImagePlan:
    """What a bake would do. `before` and `after` are for the diff."""

    digest: str
    root_digest: str
    lock: Lock
    bake: bool
    rename: bool
    write_lock: bool
    before: dict[str, Any]
    after: dict[str, Any]

    @property
    def changed(self) -> bool:
        """Whether carrying it out changes anything."""
        return self.bake or self.rename or self.write_lock


def make_plan(spec: ImageSpec, store: Store, work: Store) -> ImagePlan:
    """Settles what goes in and compares it with what is in the store."""
    files = [_file_facts(item) for item in spec.files]
    disk = _disk_facts(spec.disk, check_mode=work is not store)
    old = _packages.read_lock(spec.lock) if spec.lock and not spec.update_lock else None
    lock = old or _resolve(spec.packages, store, work)
    if old and old.requested != sorted(set(spec.packages)):
        raise KilnError(
            f"The lock file {spec.lock} was made for the packages {', '.join(old.requested)}, not "
            f"for {', '.join(sorted(set(spec.packages)))}; set update_lock to make it anew."
        )
    root = {
        "app": spec.app,
        "baker": [BAKER, _mkfs_version(), _papers.WRITER],
        "compression": spec.compression,
        "exclude": spec.exclude,
        "files": files,
        "keep": spec.keep,
        "packages": lock.as_json()["packages"],
        **(spec.base.facts(Filter(spec.exclude, spec.keep)) if spec.base else {}),
    }
    inputs: dict[str, Any] = {"root": root, "disk": disk}
    if spec.sbom != _papers.BILLS:
        inputs["sbom"] = list(spec.sbom)
    digest = digest_value(inputs)
    current = store.current(KIND, spec.name)
    manifest = store.manifest(KIND, current) if current else None
    before = {"digest": current, **manifest["inputs"]} if manifest else {}
    stored = _packages.read_lock(spec.lock) if spec.lock else None
    return ImagePlan(
        digest=digest,
        root_digest=digest_value(root),
        lock=lock,
        bake=store.manifest(KIND, digest) is None,
        rename=current != digest,
        write_lock=spec.lock is not None and stored != lock,
        before=before,
        after={"digest": digest, **inputs},
    )


def _file_facts(item: FileItem) -> dict[str, Any]:
    """What identifies one entry of `files`; fails when its source is not there or cannot run."""
    facts: dict[str, Any] = {"dest": item.dest, "mode": item.mode}
    if item.content is not None:
        return facts | {"content": digest_bytes(item.content.encode())}
    source = item.src
    if source is None or not source.exists():
        raise KilnError(f"There is no file or folder {source}, which files wants as {item.dest}.")
    if source.is_dir():
        return facts | {"content": digest_folder(source)}
    elf = read_elf(source, str(source))
    if elf and not elf.fits:
        raise KilnError(
            f"{source} is a {elf.bits}-bit ELF for {elf.machine_text}; "
            "a Kiln guest runs 64-bit x86-64 only."
        )
    mode = source.stat().st_mode & 0o7777 if item.mode is None else item.mode
    return facts | {"content": digest_file(source), "mode": mode}


def _disk_facts(disk: DiskSpec | None, check_mode: bool) -> dict[str, Any] | None:
    if disk is None:
        return None
    planned = check_mode and is_address(disk.kernel)
    if not disk.kernel.is_file() and not planned:
        raise KilnError(f"There is no kernel at {disk.kernel}; build it first (role kernel).")
    return _disks.facts(disk, identity(disk.kernel))


def _resolve(packages: list[str], store: Store, work: Store) -> Lock:
    """The packages' closure; asked of apt once for each state of its lists."""
    if not packages:
        return Lock([], [])
    apt = Apt(work.path / "apt")
    asked = [_packages.RULE, sorted(set(packages)), apt.lists_state()]
    name = f"apt/resolved-{digest_value(asked)}.json"
    known = _packages.read_lock(store.path / name)
    if known:
        return known
    with work.lock("apt"):
        lock = _packages.resolve(apt, packages)
    write_json(work.path / name, lock.as_json())
    return lock


@contextmanager
def staged(plan: ImagePlan, spec: ImageSpec, store: Store, work: Store) -> Iterator[Staged]:
    """The root's content in a scratch folder, checked: what argv names can start there."""
    absent = [item for item in plan.lock.packages if not _packages.deb(store, item).is_file()]
    if absent:
        with work.lock("apt"):
            Apt(work.path / "apt").fetch(absent, work)
    with work.scratch() as scratch:
        tree = Tree(scratch / "root")
        tree.path.mkdir()
        chosen = Filter(spec.exclude, spec.keep)
        if spec.base:
            spec.base.add(tree, chosen)
        tree.lay_out(_app.host_name(spec.app))
        for package in plan.lock.packages:
            place = _packages.deb(work if package in absent else store, package)
            tree.add_package(place, f"{package.name} {package.version}", chosen)
        tree.settle_copyrights()
        for item in spec.files:
            _add_item(tree, item)
        app = _base.resolve(spec.app, tree) if spec.base else spec.app
        _app.validate(app)
        tree.add_text(_app.render(app), _app.PLACE)
        loaded = _check(tree, spec, app)
        yield Staged(tree, app, _base.warnings(app, tree) if spec.base else [], loaded)


def _add_item(tree: Tree, item: FileItem) -> None:
    if item.src is not None:
        tree.add_file(item.src, item.dest, item.mode)
    else:
        tree.add_text(item.content or "", item.dest, item.mode)


def _check(tree: Tree, spec: ImageSpec, app: dict[str, Any]) -> list[str]:
    library_path = str(app.get("env", {}).get("LD_LIBRARY_PATH", ""))
    loaded = tree.check_program(app["argv"][0], library_path)
    for item in spec.files:
        path = tree.find(item.dest)
        elf = read_elf(path, item.dest) if path else None
        if elf:
            tree.check_elf(item.dest, elf, library_path)
    return loaded


def carry_out(plan: ImagePlan, spec: ImageSpec, store: Store, ready: Staged | None) -> None:
    """Packs the staged root (None when nothing is to be baked), names it, writes the lock file."""
    if ready is not None:
        with store.lock(f"image-{plan.digest[:16]}"):
            try:
                _bake(plan, spec, store, ready)
            except OSError as problem:
                raise KilnError(
                    f"The image {spec.name} cannot be written below {store.path}: "
                    f"{problem.strerror or problem}. Make room there, or name another `store`."
                ) from None
    store.set_current(KIND, spec.name, plan.digest)
    if plan.write_lock and spec.lock:
        write_json(spec.lock, plan.lock.as_json())


def _bake(plan: ImagePlan, spec: ImageSpec, store: Store, ready: Staged) -> None:
    with store.scratch() as scratch:
        made = scratch / "made"
        made.mkdir()
        pack(ready.tree.path, made / ROOT, plan.root_digest, spec.compression)
        sha256 = {ROOT: digest_file(made / ROOT)}
        content, layout = sha256[ROOT], None
        if spec.disk:
            content, layout = _disks.make(spec.disk, made / ROOT, made)
            sha256[_disks.RAW] = content
        inputs = {key: value for key, value in plan.after.items() if key != "digest"}
        for path in sorted(made.iterdir()):
            sha256[path.name] = sha256.get(path.name) or digest_file(path)
        there = {name: value for name, value in sha256.items() if (made / name).exists()}
        _papers.write(
            (spec.name, plan.digest, content),
            inputs,
            plan.lock.requested,
            ready.tree,
            spec.disk.kernel if spec.disk else None,
            made,
            there,
            spec.sbom,
        )
        manifest = {
            "name": spec.name,
            "app": ready.app,
            "content": content,
            "disk_layout": layout,
            "inputs": inputs,
            "sha256": there | {name: digest_file(made / name) for name in _papers.names(spec.sbom)},
        }
        write_json(made / "lock.json", plan.lock.as_json())
        store.publish(KIND, plan.digest, made, manifest)


def pack(folder: Path, target: Path, digest: str, compression: str = "none") -> None:
    """Makes an EROFS of a folder; its UUID follows from the digest of what is in it."""
    identifier = uuid.uuid5(_NAMESPACE, digest)
    options = ["--quiet", "-x-1", "--all-root", f"-T{TIMESTAMP}", f"-U{identifier}"]
    _run(["mkfs.erofs", *options, *_COMPRESSION[compression], str(target), str(folder)])


def _mkfs_version() -> str:
    """What mkfs.erofs calls itself; another version may lay the same tree out in another way."""
    text = _run(["mkfs.erofs", "--help"], both=True)
    return next((line for line in reversed(text.splitlines()) if "mkfs.erofs " in line), "unknown")


def _run(command: list[str], both: bool = False) -> str:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise KilnError(
            f"{command[0]} is needed and not installed; on Debian install the package erofs-utils."
        ) from None
    if done.returncode != 0 and not both:
        said = (done.stderr or done.stdout).strip()
        full = " Make room there, or name another `store`." if _FULL in said else ""
        raise KilnError(f"{command[0]} failed: {said}.{full}")
    return done.stdout + done.stderr if both else done.stdout
