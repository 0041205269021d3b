# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Talks to VirtualBox through VBoxManage: calls, what it prints, what its failures mean.

What the collection knows of a VM is in the VM's extradata, under kiln/. VirtualBox copies extradata
when a VM is cloned, by whomever; so kiln/machine holds the VM's own UUID, and notes whose UUID is
another's say nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Deadline,
    Patience,
    PublishError,
    at_once,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_listen import Course, listen

OLDEST = (7, 0)
NOTES = "kiln/"
OWNER = "machine"
DRIVER = Path("/dev/vboxdrv")

_VERSION = re.compile(r"^(\d+)\.(\d+)\.(\d+)\S*$", re.MULTILINE)
_LISTED = re.compile(r'^"(.*)" \{([0-9a-f-]{36})\}$', re.MULTILINE)
_NOTE = re.compile(r"^Key: (.*?), Value: (.*)$", re.MULTILINE)
_PAIR = re.compile(r'^(?:"([^"]+)"|([^="\n]+))=(?:"((?:[^"\\]|\\.)*)"|(\S*))$', re.MULTILINE)
_MEDIUM = re.compile(r"^(UUID|Parent UUID|Location): +(.*)$", re.MULTILINE)
_CODE = re.compile(r"\b(VBOX_E_\w+|VERR_\w+|NS_ERROR_\w+|E_\w+)\b")
# The server that does the work did not come up in time, so nothing was done.
_NO_SERVER = "Failed to create the VirtualBox object"
# Somebody else has the machine for the moment: a client that is gone, whose work goes on.
_BUSY = {"VBOX_E_INVALID_OBJECT_STATE", "VBOX_E_INVALID_VM_STATE"}


class VBoxError(PublishError):
    """VBoxManage failed; `codes` are the names of results in what it said."""

    def __init__(self, message: str, codes: frozenset[str] = frozenset()) -> None:
        super().__init__(message)
        self.codes = codes


@dataclass(frozen=True)
class Machine:
    """A registered VM, with the collection's notes on it; the keys are without kiln/."""

    uuid: str
    name: str
    notes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Medium:
    """A disk that VirtualBox knows; `parent` is empty for one that stands alone."""

    uuid: str
    parent: str
    path: str


def parse_version(text: str) -> tuple[int, int, int] | None:
    """The version in what `VBoxManage --version` prints, warnings around it or not."""
    found = _VERSION.search(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def parse_machines(text: str) -> dict[str, str]:
    """`list vms`: UUID → name."""
    return {uuid: name for name, uuid in _LISTED.findall(text)}


def parse_notes(text: str) -> dict[str, str]:
    """`getextradata … enumerate`: the collection's keys, without kiln/, and their values."""
    return {
        key.removeprefix(NOTES): value
        for key, value in _NOTE.findall(text)
        if key.startswith(NOTES)
    }


def parse_facts(text: str) -> dict[str, str]:
    """`showvminfo --machinereadable`; a value may have several lines."""
    facts = {}
    for quoted, plain, value, bare in _PAIR.findall(text):
        facts[quoted or plain] = re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL) or bare
    return facts


def parse_media(text: str) -> list[Medium]:
    """`list hdds`."""
    return list(_media(text))


def _media(text: str) -> Iterator[Medium]:
    for block in re.split(r"\n(?=UUID: )", text):
        facts = dict(_MEDIUM.findall(block))
        if "UUID" in facts:
            parent = facts.get("Parent UUID", "base")
            location = facts.get("Location", "")
            yield Medium(facts["UUID"], "" if parent == "base" else parent, location)


def explain(said: str, doing: str) -> VBoxError:
    """What VBoxManage has printed as one sentence."""
    lines = [
        line.removeprefix("VBoxManage: error: ").strip()
        for line in said.splitlines()
        if line.startswith("VBoxManage: error: ")
    ]
    reasons = [line for line in lines if not line.startswith(("Details:", "Context:"))]
    codes = frozenset(_CODE.findall(said))
    reason = "; ".join(line.rstrip(".") for line in reasons) or "it said nothing of why"
    if "VERR_DISK_FULL" in codes:
        reason = f"the disk is full ({reason}); make room there, or name another `folder`"
    return VBoxError(f"VBoxManage failed while {doing}: {reason}.", codes)


class VBox:
    """VBoxManage, found and new enough; every call is held to the deadline."""

    def __init__(self, program: str, deadline: Deadline) -> None:
        self.deadline = deadline
        self.patience = Patience(deadline)
        self._program = program
        self.version = self._check()

    def _check(self) -> str:
        if not shutil.which(self._program):
            raise PublishError(
                f"There is no program {self._program}; install VirtualBox "
                f"{OLDEST[0]}.{OLDEST[1]} or newer, or say with `vboxmanage` where it is."
            )
        said = self.call("--version", doing="asking for its version")
        version = parse_version(said)
        if version is None:
            raise PublishError(
                f"{self._program} does not say which version it is, so it is not VBoxManage; say "
                "with `vboxmanage` where that is."
            )
        text = ".".join(map(str, version))
        if version[:2] < OLDEST:
            raise PublishError(
                f"{self._program} is of VirtualBox {text}, and {OLDEST[0]}.{OLDEST[1]} or newer is "
                "needed; install that."
            )
        return text

    def call(self, *words: str, doing: str, course: Course | None = None) -> str:
        """Runs VBoxManage; what it printed on its standard output.

        `doing` is for the sentence; `course` hears how far a long call is. A server that does not
        come up in time, as on a machine with much to do, is asked for again.
        """

        def passing(problem: Exception) -> bool:
            return isinstance(problem, VBoxError) and _NO_SERVER in str(problem)

        patience = Patience(self.deadline, tries=5)
        return patience.keep(lambda: self._call(words, doing, course), passing, doing)

    def _call(self, words: tuple[str, ...], doing: str, course: Course | None) -> str:
        quiet = [] if words == ("--version",) else ["-q"]
        try:
            done = self._run([self._program, *quiet, *words], course)
        except subprocess.TimeoutExpired:
            self.deadline.check(doing)
            raise AssertionError("unreachable") from None
        except OSError as problem:
            raise PublishError(
                f"{self._program} cannot be run: {problem.strerror}; say with `vboxmanage` where "
                "VBoxManage is."
            ) from None
        if done.returncode != 0:
            raise explain(done.stderr + "\n" + done.stdout, doing)
        return done.stdout

    def _run(self, command: list[str], course: Course | None) -> subprocess.CompletedProcess[str]:
        env = dict(os.environ, LC_ALL="C.UTF-8")
        if course:
            return listen(command, env, self.deadline.left(), course)
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env=env,
            timeout=self.deadline.left(),
        )

    def when_free(self, *words: str, doing: str) -> str:
        """The same for a VM that a client which is gone may still be holding."""

        def busy(problem: Exception) -> bool:
            return isinstance(problem, VBoxError) and bool(problem.codes & _BUSY)

        return self.patience.keep(lambda: self.call(*words, doing=doing), busy, doing)

    def names(self) -> dict[str, str]:
        """All VMs: UUID → name."""
        return parse_machines(self.call("list", "vms", doing="listing the VMs"))

    def machines(self) -> list[Machine]:
        """All VMs with the collection's notes on them."""
        return at_once(
            lambda item: Machine(item[0], item[1], self.notes(item[0])), self.names().items(), 4
        )

    def notes(self, machine: str) -> dict[str, str]:
        """The notes on a VM, or with `global` those on all; none when they are another VM's."""
        doing = f"reading the extradata of {machine}"
        try:
            notes = parse_notes(self.call("getextradata", machine, "enumerate", doing=doing))
        except VBoxError as problem:
            # Gone since it was listed, or its settings cannot be read: nothing of ours either way.
            if problem.codes & {"VBOX_E_OBJECT_NOT_FOUND", "E_ACCESSDENIED"}:
                return {}
            raise
        return notes if machine == "global" or notes.get(OWNER) == machine else {}

    def note(self, machine: str, values: dict[str, str]) -> None:
        """Writes notes down, in this order; an empty value takes one away."""
        for key, value in values.items():
            given = [value] if value else []
            doing = f"marking the VM {machine}"
            self.call("setextradata", machine, NOTES + key, *given, doing=doing)

    def facts(self, machine: str) -> dict[str, str]:
        """All that VirtualBox tells of a VM, which it does not while somebody starts it."""
        words = ("showvminfo", machine, "--machinereadable")
        doing = f"reading the VM {machine}"

        def passing(problem: Exception) -> bool:
            gone = "VBOX_E_OBJECT_NOT_FOUND"
            return isinstance(problem, VBoxError) and gone not in problem.codes

        # While a machine starts or ends it fails in several ways; asking again does no harm.
        patience = Patience(self.deadline, tries=6)
        return parse_facts(patience.keep(lambda: self.call(*words, doing=doing), passing, doing))

    def media(self) -> list[Medium]:
        """All disks."""
        return parse_media(self.call("list", "hdds", doing="listing the disks"))

    def machine_folder(self) -> Path:
        """Where VirtualBox puts VMs."""
        said = self.call("list", "systemproperties", doing="reading VirtualBox's settings")
        found = re.search(r"^Default machine folder: +(.*)$", said, re.MULTILINE)
        if not found:
            raise PublishError("VBoxManage does not say where it puts VMs; name a `folder`.")
        return Path(found[1])
