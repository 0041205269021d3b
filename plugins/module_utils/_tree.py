# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The folder an image's root is made from, and the questions asked of it before it is packed.

Debian's merged-/usr layout always holds: /bin, /sbin, /lib and /lib64 are links into /usr, and
files that a package ships below them land in /usr. All belongs to root in the guest, so owners
are not kept; modes are, but for the owner's right to read, which packing needs. Device nodes are
left out: the guest's /dev is its kernel's. Paths never leave the folder, whatever links say.
"""

from __future__ import annotations

import fnmatch
import functools
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

from ansible_collections.kiln.unikernel.plugins.module_utils._elf import Elf, read_elf
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError

_MERGED = ("bin", "sbin", "lib", "lib64")
_SKELETON = ("dev", "etc", "proc", "root", "run", "sys", "tmp", "usr/bin", "usr/lib", "var/tmp")
_BASE_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 {host}\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
_MAX_LINKS = 40
_COPYRIGHT = re.compile(r"\./usr/share/doc/([^/]+)(/copyright)?")

# Where ld.so looks when there is no cache file: glibc as Debian builds it, then musl.
_GLIBC_FOLDERS = ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib"]
_MUSL_FOLDERS = ["/lib", "/usr/local/lib", "/usr/lib"]


class Filter:
    """Which of the packages' paths stay out: those at or below an excluded pattern, unless kept."""

    def __init__(self, exclude: list[str], keep: list[str]) -> None:
        self._exclude = _union(exclude)
        self._keep = _union(keep)
        self._below = functools.lru_cache(maxsize=4096)(self._excluded)

    def drops(self, path: str) -> bool:
        """Whether the absolute path `path` stays out."""
        return self._below(path) and not self._matches(self._keep, path)

    def _excluded(self, path: str) -> bool:
        return self._matches(self._exclude, path)

    @staticmethod
    def _matches(pattern: re.Pattern[str] | None, path: str) -> bool:
        if pattern is None:
            return False
        parents = [str(parent) for parent in PurePosixPath(path).parents]
        return any(pattern.fullmatch(each) for each in [path, *parents])


def _union(patterns: list[str]) -> re.Pattern[str] | None:
    if not patterns:
        return None
    return re.compile("|".join(fnmatch.translate(pattern.rstrip("/")) for pattern in patterns))


class Tree:
    """A root file system in the making, in the folder `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Package → its copyright file's text, kept in the image or not.
        self.copyrights: dict[str, str] = {}
        self._same_copyright: dict[str, str] = {}

    def lay_out(self, host: str = "kiln") -> None:
        """The folders, links and small files every image has, as far as they are not there yet.

        The guest finds its own name `host`, which programs look up, as it does on Debian.
        """
        missing = [name for name in _SKELETON if not self._follow(name).is_dir()]
        for name in missing:
            self._follow(name).mkdir(parents=True, exist_ok=True)
        for name in _MERGED:
            if not os.path.lexists(self.path / name):
                self._follow(f"usr/{name}").mkdir(parents=True, exist_ok=True)
                (self.path / name).symlink_to(f"usr/{name}")
        for name, text in _BASE_FILES.items():
            if self.find(name) is None:
                self.add_text(text.format(host=host), name)
        for name in {"tmp", "var/tmp"} & set(missing):
            self._follow(name).chmod(0o1777)

    def add_package(self, deb: Path, shown: str, chosen: Filter) -> None:
        """Unpacks a Debian package's files. `shown` is the package's name in messages."""
        with tempfile.TemporaryFile() as unpacked:
            command = ["dpkg-deb", "--fsys-tarfile", str(deb)]
            done = subprocess.run(command, stdout=unpacked, stderr=subprocess.PIPE, check=False)
            if done.returncode != 0:
                reason = done.stderr.decode(errors="replace").strip()
                raise KilnError(f"Package {shown} cannot be unpacked: {reason}.")
            unpacked.seek(0)
            with tarfile.open(fileobj=unpacked) as archive:
                for member in archive:
                    self._note_copyright(archive, member)
                    self._add_member(archive, member, shown, chosen)

    def _note_copyright(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Remembers a package's copyright file; some packages link to the folder of another."""
        found = _COPYRIGHT.fullmatch(member.name)
        if found is None:
            return
        name, file = found.groups()
        if member.issym() and file is None and "/" not in member.linkname:
            self._same_copyright[name] = member.linkname
        elif member.isfile() and file and (stream := archive.extractfile(member)):
            self.copyrights[name] = stream.read().decode("utf-8", "replace")

    def settle_copyrights(self) -> None:
        """Follows the links, once all packages have been added."""
        for name, other in self._same_copyright.items():
            if other in self.copyrights:
                self.copyrights.setdefault(name, self.copyrights[other])

    def _add_member(
        self, archive: tarfile.TarFile, member: tarfile.TarInfo, shown: str, chosen: Filter
    ) -> None:
        place = _merged(member.name)
        if place is None or chosen.drops(place):
            return
        target = self._target(place)
        if member.isdir():
            if not target.is_dir():
                target.mkdir(parents=True)
            target.chmod(member.mode & 0o7777 | 0o700)
            return
        if os.path.lexists(target):
            raise KilnError(f"Package {shown} holds {place}, which another package holds too.")
        target.parent.mkdir(parents=True, exist_ok=True)
        if member.issym():
            target.symlink_to(member.linkname)
        elif member.islnk():
            target.hardlink_to(self._target(_merged(member.linkname) or "/"))
        elif member.isfile():
            archive.makefile(member, target)
            target.chmod(member.mode & 0o7777 | 0o400)

    def add_file(self, source: Path, destination: str, mode: int | None) -> None:
        """Copies a file or a folder's content from the build machine, over what is there."""
        target = self._target(destination)
        if not source.is_dir():
            self._put(source, target, mode)
            return
        target.mkdir(parents=True, exist_ok=True)
        for base, folders, files in os.walk(source):
            here = Path(base)
            inside = destination.rstrip("/") + "/" + here.relative_to(source).as_posix()
            links = [name for name in folders if (here / name).is_symlink()]
            for name in folders:
                if name not in links:
                    self._target(f"{inside}/{name}").mkdir(exist_ok=True)
            for name in files + links:
                self._put(here / name, self._target(f"{inside}/{name}"), None)

    @staticmethod
    def _put(source: Path, target: Path, mode: int | None) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(target):
            target.unlink()
        shutil.copyfile(source, target, follow_symlinks=False)
        if not target.is_symlink():
            target.chmod((source.stat().st_mode if mode is None else mode) & 0o7777 | 0o400)

    def add_text(self, text: str, destination: str, mode: int | None = None) -> None:
        """Writes a text file, over what is there."""
        target = self._target(destination)
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(target):
            target.unlink()
        target.write_text(text, encoding="utf-8")
        target.chmod(0o644 if mode is None else mode)

    def place(self, path: str) -> Path:
        """Where a path of the guest lies here, which may be a link itself."""
        return self._target(path)

    def entries(self, path: str) -> list[Path]:
        """What a folder of the guest holds; nothing when it is not there."""
        folder = self._follow(path)
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def _target(self, place: str) -> Path:
        """Where a path of the guest lies here; its parent's links are followed as the guest would.

        A part that does not exist is taken as it is written.
        """
        path = PurePosixPath(place)
        if path.name in ("", ".."):
            return self._follow(place)
        return self._follow(str(path.parent)) / path.name

    def _follow(self, place: str) -> Path:
        done: list[str] = []
        left = [part for part in reversed(place.split("/")) if part not in ("", ".")]
        links = 0
        while left:
            part = left.pop()
            if part == "..":
                done = done[:-1]
                continue
            path = self.path.joinpath(*done, part)
            if not path.is_symlink():
                done.append(part)
                continue
            links += 1
            if links > _MAX_LINKS:
                raise KilnError(f"{place} goes round in a circle of symbolic links in the image.")
            target = str(path.readlink())
            if target.startswith("/"):
                done = []
            left += [part for part in reversed(target.split("/")) if part not in ("", ".")]
        return self.path.joinpath(*done)

    def find(self, place: str) -> Path | None:
        """The file that the guest will open under this path, None when there is none."""
        path = self._follow(place)
        return path if path.is_file() else None

    def check_program(self, program: str, library_path: str = "") -> list[str]:
        """Fails unless the guest can start `program`: it and all it is linked with are there.

        Returns the places of these, the program's (of a script its interpreter's) first.
        """
        path = self.find(program)
        if path is None:
            raise KilnError(
                f"The image has no {program}, which argv wants to run; add the package or file "
                "that brings it, or correct argv."
            )
        with path.open("rb") as stream:
            first = stream.readline(256)
        if first.startswith(b"#!"):
            words = first[2:].decode(errors="replace").split()
            interpreter = words[0] if words else ""
            if self.find(interpreter) is None:
                raise KilnError(
                    f"{program} is a script for {interpreter or 'nothing'}, which is not in the "
                    "image."
                )
            return self.check_program(interpreter, library_path)
        elf = read_elf(path, program)
        if elf is None:
            raise KilnError(f"{program} in the image is neither an ELF program nor a script.")
        return self.check_elf(program, elf, library_path)

    def check_elf(self, place: str, elf: Elf, library_path: str = "") -> list[str]:
        """Fails unless the loader and every library, and theirs, are there and fit the machine.

        Returns the places of all that is loaded, that of the file itself first.
        """
        interpreter = elf.interpreter
        if interpreter and self.find(interpreter) is None:
            raise KilnError(f"{place} needs the loader {interpreter}, which is not in the image.")
        musl = interpreter and "musl" in interpreter
        defaults = _MUSL_FOLDERS if musl else [*self._cached_folders(), *_GLIBC_FOLDERS]
        extra = [folder for folder in library_path.split(":") if folder]
        seen: set[str] = set()
        loaded = []
        left = [(place, elf)]
        while left:
            user, facts = left.pop()
            loaded.append(user)
            if not facts.fits:
                raise KilnError(
                    f"{user} is a {facts.bits}-bit ELF for {facts.machine_text}; "
                    "a Kiln guest runs 64-bit x86-64 only."
                )
            for name in facts.needed:
                if name in seen:
                    continue
                seen.add(name)
                left.append(self._library(name, user, facts, extra, defaults))
        return [*loaded, interpreter] if interpreter else loaded

    def _cached_folders(self) -> list[str]:
        """Where ld.so's cache file has libraries from, which an image from elsewhere may bring."""
        if self.find("/etc/ld.so.cache") is None:
            return []
        folders = ["/lib64", "/usr/lib64"]
        for path in [self._follow("/etc/ld.so.conf"), *self.entries("/etc/ld.so.conf.d")]:
            if path.is_file() and not path.is_symlink():
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
                folders += [line.strip() for line in lines if line.startswith("/")]
        return folders

    def _library(
        self, name: str, user: str, facts: Elf, extra: list[str], defaults: list[str]
    ) -> tuple[str, Elf]:
        """A needed library as the loader will find it."""
        origin = str(PurePosixPath(user).parent)
        own = [] if facts.runpath else facts.rpath
        order = [*own, *extra, *facts.runpath, *defaults]
        folders = [re.sub(r"\$(ORIGIN|\{ORIGIN\})", origin, folder) for folder in order]
        for place in [name] if "/" in name else [f"{folder}/{name}" for folder in folders]:
            path = self.find(place)
            found = read_elf(path, place) if path else None
            if found and (found.fits or not facts.fits):
                return place, found
        raise KilnError(
            f"{user} needs the library {name}, which is not in the image; add the package that "
            f"has it. Looked in {', '.join(dict.fromkeys(folders))}."
        )


def _merged(name: str) -> str | None:
    """A package's path in the merged layout; None for the links that the layout brings itself."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise KilnError(f"A package holds the path {name}, which leaves its folder.")
    if parts and parts[0] in _MERGED:
        if len(parts) == 1:
            return None
        parts.insert(0, "usr")
    return "/" + "/".join(parts)
