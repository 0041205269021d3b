# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Debian packages for an image: which ones, which versions, and their files fetched.

apt answers all questions, with the machine's configured sources and keys but a state of its own
(an empty dpkg status, a cache in the store), so no root is needed and what is installed on the
build machine plays no part. Nothing is installed and no maintainer script ever runs.

What follows a dependency: Depends and Pre-Depends, not Recommends; of alternatives the first
that exists. Not followed are packages that serve only a system which installs, logs in or starts
other programs: whatever is Essential, and those named in SERVES_THE_SYSTEM. Naming such a
package outright still brings it in, with what it needs.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._store import (
    KilnError,
    Store,
    digest_file,
    read_json,
)

ARCHITECTURE = "amd64"
LOCK_VERSION = 1
# Goes up when `resolve` finds other packages: an answer that was kept is then asked for anew.
RULE = 2

SERVES_THE_SYSTEM = frozenset(
    "adduser cdebconf cron cron-daemon-common debconf dpkg-dev init-system-helpers "
    "install-info libpam-modules libpam-runtime logrotate logsave lsb-base lsb-release mount "
    "passwd perl perl-base procps psmisc python3-minimal-hooks systemd systemd-sysv "
    "sysvinit-utils ucf udev usrmerge util-linux-extra".split()
)

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_SYSTEM_LISTS = Path("/var/lib/apt/lists")


@dataclass(frozen=True)
class Package:
    """One package as an image holds it."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Lock:
    """What a bake was made of, to hold a later one to."""

    requested: list[str]
    packages: list[Package]

    def as_json(self) -> dict[str, Any]:
        """The lock file's value."""
        return {
            "version": LOCK_VERSION,
            "architecture": ARCHITECTURE,
            "requested": self.requested,
            "packages": [asdict(package) for package in self.packages],
        }


def read_lock(path: Path) -> Lock | None:
    """The lock at a path, None when there is no file; a file that is no lock is an error."""
    if not path.exists():
        return None
    value = read_json(path)
    try:
        if value["version"] != LOCK_VERSION or value["architecture"] != ARCHITECTURE:
            raise ValueError(value["version"])
        packages = [Package(**package) for package in value["packages"]]
        return Lock(list(value["requested"]), packages)
    except (KeyError, TypeError, ValueError):
        raise KilnError(
            f"{path} is not a lock file of version {LOCK_VERSION} for {ARCHITECTURE}; "
            "remove it to have a new one written."
        ) from None


class Apt:
    """Asks apt, with a state of its own under `state`."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._lists = _SYSTEM_LISTS

    def lists_state(self) -> list[list[Any]]:
        """Changes whenever the package lists do."""
        folder = _SYSTEM_LISTS if any(_SYSTEM_LISTS.glob("*Packages*")) else self._state / "lists"
        facts = [(path.name, path.stat()) for path in sorted(folder.glob("*Packages*"))]
        return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in facts]

    def records(self, names: list[str]) -> dict[str, dict[str, str]]:
        """The candidate version's record of each package that exists."""
        if not names:
            return {}
        text = self._cache("show", "--no-all-versions", *names)
        records = [_parse(block) for block in text.split("\n\n") if block.strip()]
        return {record["Package"]: record for record in records if "SHA256" in record}

    def providers(self, name: str) -> list[str]:
        """Packages that provide a virtual one, in the order of their names."""
        tail = self._cache("showpkg", name).partition("Reverse Provides:")[2]
        return sorted({line.split()[0] for line in tail.splitlines() if line.strip()})

    def fetch(self, packages: list[Package], store: Store) -> None:
        """Puts the packages' files into the store; each is checked against its digest."""
        missing = [package for package in packages if not deb(store, package).is_file()]
        if not missing:
            return
        with store.scratch() as scratch:
            self._download(missing, scratch)
            fetched = {digest_file(path): path for path in scratch.glob("*.deb")}
            for package in missing:
                if package.sha256 not in fetched:
                    raise KilnError(
                        f"No file fetched for package {package.name} {package.version} has the "
                        f"SHA-256 {package.sha256} that it must have."
                    )
                target = deb(store, package)
                target.parent.mkdir(parents=True, exist_ok=True)
                fetched[package.sha256].replace(target)

    def _download(self, packages: list[Package], folder: Path) -> None:
        """One call of apt-get for all; a second one with fresh lists when the first fails."""
        words = [f"{package.name}={package.version}" for package in packages]
        done = self._run("apt-get", "-q", "download", *words, folder=folder)
        if done.returncode != 0:
            self._update()
            done = self._run("apt-get", "-q", "download", *words, folder=folder)
        if done.returncode != 0:
            raise KilnError(
                "These packages cannot be fetched from the machine's apt sources: "
                f"{', '.join(words)} ({_last_error(done)})."
            )

    def _cache(self, *words: str) -> str:
        """What apt-cache prints; it fails for names it does not know, which is an answer too."""
        if self._lists == _SYSTEM_LISTS and not any(_SYSTEM_LISTS.glob("*Packages*")):
            self._use_own_lists()
        return self._run("apt-cache", *words).stdout

    def _use_own_lists(self) -> None:
        self._lists = self._state / "lists"
        if not any(self._lists.glob("*Packages*")):
            self._update()

    def _update(self) -> None:
        self._lists = self._state / "lists"
        (self._lists / "partial").mkdir(parents=True, exist_ok=True)
        done = self._run("apt-get", "-q", "update")
        if done.returncode != 0 and not any(self._lists.glob("*Packages*")):
            raise KilnError(f"apt's package lists cannot be fetched: {_last_error(done)}.")

    def _run(
        self, program: str, *words: str, folder: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program of apt with the private state; output in English."""
        self._state.mkdir(parents=True, exist_ok=True)
        status = self._state / "status"
        status.touch()
        settings = {
            "Dir::State::status": status,
            "Dir::State::lists": self._lists,
            "Dir::Cache": self._state,
            "Dir::Cache::pkgcache": "pkgcache.bin",
            "Dir::Cache::srcpkgcache": "",
            "Debug::NoLocking": "1",
            "APT::Architecture": ARCHITECTURE,
            "APT::Sandbox::User": "",
        }
        command = [program]
        for key, value in settings.items():
            command += ["-o", f"{key}={value}"]
        try:
            return subprocess.run(
                [*command, *words],
                cwd=folder or self._state,
                env=dict(os.environ, LC_ALL="C.UTF-8"),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError:
            raise KilnError(
                f"{program} is not on this machine; images from Debian packages are baked on "
                "Debian or Ubuntu."
            ) from None


def resolve(apt: Apt, requested: list[str]) -> Lock:
    """The packages asked for and what they need, by the rule at the head of this file."""
    for name in requested:
        if not _NAME.fullmatch(name):
            raise KilnError(f"'{name}' is not the name of a Debian package.")
    found: dict[str, dict[str, str]] = {}
    wanted = [[name] for name in requested]
    while wanted:
        chosen = _choose(apt, wanted, found)
        fresh = {name: record for name, record in chosen.items() if name not in found}
        found.update(fresh)
        followed = [r for name, r in fresh.items() if name in requested or _useful(r)]
        wanted = [group for record in followed for group in _depends(record)]
    kept = [record for name, record in found.items() if name in requested or _useful(record)]
    packages = [Package(r["Package"], r["Version"], r["SHA256"]) for r in kept]
    return Lock(sorted(set(requested)), sorted(packages, key=lambda package: package.name))


def _choose(
    apt: Apt, wanted: list[list[str]], found: dict[str, dict[str, str]]
) -> dict[str, dict[str, str]]:
    """One package for each group of alternatives."""
    groups = [group for group in wanted if not any(name in found for name in group)]
    names = sorted({name for group in groups for name in group})
    known = apt.records(names)
    chosen: dict[str, dict[str, str]] = {}
    for group in groups:
        name = next((name for name in group if name in known), None)
        if name is None:
            name = next((name for each in group for name in apt.providers(each)), None)
            known |= apt.records([name]) if name else {}
        if name is None or name not in known:
            raise KilnError(
                f"No configured apt source has a package {' or '.join(group)}; check the name, "
                "and the sources in /etc/apt."
            )
        chosen[name] = known[name]
    return chosen


def _depends(record: dict[str, str]) -> list[list[str]]:
    """Groups of alternatives, without those that only serve a system."""
    fields = [record.get("Pre-Depends", ""), record.get("Depends", "")]
    groups = [
        [re.split(r"[\s:(]", name.strip(), maxsplit=1)[0] for name in group.split("|")]
        for field in fields
        for group in field.split(",")
        if group.strip()
    ]
    return [group for group in groups if not any(name in SERVES_THE_SYSTEM for name in group)]


def _useful(record: dict[str, str]) -> bool:
    return record.get("Essential") != "yes" and record["Package"] not in SERVES_THE_SYSTEM


def deb(store: Store, package: Package) -> Path:
    """Where a package's file lies in the store."""
    return store.path / "packages" / f"{package.sha256}.deb"


def _parse(block: str) -> dict[str, str]:
    """One control record; continuation lines are of no use here."""
    fields = (line.partition(":") for line in block.splitlines() if line[:1] not in (" ", "\t"))
    return {key: value.strip() for key, separator, value in fields if separator}


def _last_error(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in done.stderr.splitlines() if line.startswith("E:")]
    return (lines or ["apt gave no reason"])[-1].removeprefix("E: ").rstrip(".")
