# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What an image can be made from in place of Debian packages: a container image, a root folder.

A base goes into the tree first and as it is; the layout that every image has is added where the
base lacks it, then files.
"""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ansible_collections.kiln.unikernel.plugins.module_utils import _layers, _oci
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError, digest_file
from ansible_collections.kiln.unikernel.plugins.module_utils._tree import Filter, Tree

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class OciBase:
    """A container image in an archive or layout."""

    path: Path
    image: _oci.Image
    reference: str | None = None
    limit: int = _layers.LIMIT

    def facts(self, chosen: Filter) -> dict[str, Any]:  # noqa: ARG002 - the other base needs it
        """What identifies the content: the configuration names every layer by its content."""
        return {"oci": self.image.digest}

    def add(self, tree: Tree, chosen: Filter) -> None:
        """Applies the layers."""
        with _oci.opened(self.path) as source:
            image = _oci.find(source, self.reference)
            if image.digest != self.image.digest:
                raise KilnError(f"{self.path} was changed while it was being read.")
            _layers.apply_image(source, image, tree, chosen, self.limit)


@dataclass(frozen=True)
class FolderBase:
    """A folder that holds a root file system."""

    path: Path

    def facts(self, chosen: Filter) -> dict[str, Any]:
        """What identifies the content: every path with its kind, mode and bytes."""
        return {"rootfs": {place: _describe(path) for place, path in _walk(self.path, chosen)}}

    def add(self, tree: Tree, chosen: Filter) -> None:
        """Copies it; links stay links, nodes are left out."""
        for place, path in _walk(self.path, chosen):
            target = tree.path / place
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                target.symlink_to(path.readlink())
            elif stat.S_ISDIR(mode):
                target.mkdir(exist_ok=True)
                target.chmod(mode & 0o7777 | 0o700)
            else:
                shutil.copyfile(path, target)
                target.chmod(mode & 0o7777 | 0o400)


Base: TypeAlias = "OciBase | FolderBase"


def folder_base(path: Path) -> FolderBase:
    """A base from a folder; fails when there is none, or it is this machine's own root."""
    if not path.is_dir():
        raise KilnError(f"There is no folder {path}, which `rootfs` names.")
    if path.resolve() == Path("/"):
        raise KilnError("`rootfs` names /, this machine's own root; give a folder below it.")
    return FolderBase(path)


def oci_base(path: Path, reference: str | None, limit: int) -> OciBase:
    """A base from a container image; its configuration is read and checked."""
    with _oci.opened(path) as source:
        return OciBase(path, _oci.find(source, reference), reference, limit)


def container(base: Base | None) -> dict[str, Any] | None:
    """What a container's configuration says, None without one."""
    if not isinstance(base, OciBase):
        return None
    return {"digest": base.image.digest, **asdict(base.image.config)}


def _walk(folder: Path, chosen: Filter) -> list[tuple[str, Path]]:
    """Relative path and path of what is taken of a folder, folders before what they hold."""

    def fail(problem: OSError) -> None:
        raise KilnError(
            f"The folder {problem.filename} in `rootfs` cannot be read: {problem.strerror}."
        )

    found: list[tuple[str, Path]] = []
    for base, folders, files in os.walk(folder, onerror=fail):
        here = Path(base)
        folders.sort()
        for name in sorted([*folders, *files]):
            place = (here / name).relative_to(folder).as_posix()
            mode = (here / name).lstat().st_mode
            taken = stat.S_ISLNK(mode) or stat.S_ISDIR(mode) or stat.S_ISREG(mode)
            if taken and not chosen.drops("/" + place):
                found.append((place, here / name))
    # A folder that stays out may hold a file that is kept.
    known = {found_at for found_at, path in found}
    parents = {
        parent.as_posix() for place in known for parent in Path(place).parents if parent.parts
    }
    return sorted([*found, *((place, folder / place) for place in parents - known)])


def _describe(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"link:{path.readlink()}"
    if stat.S_ISDIR(mode):
        return f"{mode & 0o7777:o}"
    try:
        return f"{mode & 0o7777:o}:{digest_file(path)}"
    except OSError as problem:
        raise KilnError(f"{path} in `rootfs` cannot be read: {problem.strerror}.") from None


def describe(options: dict[str, Any], config: _oci.Config) -> dict[str, Any]:
    """Options of an application, filled up with what a container's configuration says."""
    mounts = list(options.get("mounts") or [])
    taken = {mount["path"].rstrip("/") for mount in mounts}
    mounts += [
        {"path": path, "type": "tmpfs", "copy": True}
        for path in config.volumes
        if path.rstrip("/") not in taken
    ]
    cwd = options.get("cwd")
    return options | {
        "argv": options.get("argv") or [*config.entrypoint, *config.cmd],
        "env": config.env | (options.get("env") or {}),
        "cwd": config.cwd if cwd in (None, "/") else cwd,
        "mounts": mounts,
    }


def resolve(app: dict[str, Any], tree: Tree) -> dict[str, Any]:
    """The application with its program by absolute path, as a container's runtime finds it."""
    program = str(app["argv"][0])
    if program.startswith("/"):
        return app
    cwd = str(app.get("cwd") or "/").rstrip("/")
    folders = str(app.get("env", {}).get("PATH") or _PATH).split(":")
    places = [f"{cwd}/{program}"] if "/" in program else [f"{each}/{program}" for each in folders]
    found = next((place for place in places if tree.find(place)), None)
    if found is None:
        raise KilnError(
            f"The container image has no program {program}, which its entrypoint or command names; "
            f"looked in {', '.join(folders)}. Give `argv`."
        )
    return dict(app, argv=[os.path.normpath(found), *app["argv"][1:]])


def warnings(app: dict[str, Any], tree: Tree) -> list[str]:
    """What will not work though it can be baked: scripts, since they start other programs."""
    path = tree.find(str(app["argv"][0]))
    if path is None or path.open("rb").read(2) != b"#!":
        return []
    return [
        f"{app['argv'][0]} is a script. A Kiln guest runs one program and has neither fork nor "
        "exec, so a script that starts another program cannot; name that program in `argv`."
    ]
