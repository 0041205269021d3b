# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the dynamic loader in the guest will want to know of an ELF file, read on the build machine.

Only facts are taken here; what follows from them is decided in _tree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError

try:
    from elftools.common.exceptions import ELFError
    from elftools.elf.descriptions import describe_e_machine
    from elftools.elf.dynamic import DynamicSection, DynamicSegment
    from elftools.elf.elffile import ELFFile
    from elftools.elf.segments import InterpSegment

    HAS_ELFTOOLS = True
except ImportError:
    HAS_ELFTOOLS = False

_RELOCATABLE = "ET_REL"


@dataclass(frozen=True)
class Elf:
    """One executable or shared library."""

    machine: str
    machine_text: str
    bits: int
    interpreter: str | None
    needed: list[str] = field(default_factory=list)
    rpath: list[str] = field(default_factory=list)
    runpath: list[str] = field(default_factory=list)

    @property
    def fits(self) -> bool:
        """Whether a Kiln guest can run it."""
        return self.machine == "EM_X86_64" and self.bits == 64


def read_elf(path: Path, shown: str) -> Elf | None:
    """The facts of a file, None when it is not something a loader would load.

    `shown` is what the file is called in messages.
    """
    with path.open("rb") as stream:
        if stream.read(4) != b"\x7fELF":
            return None
        try:
            file = ELFFile(stream)
            if file["e_type"] == _RELOCATABLE:
                return None
            return _facts(file)
        except (ELFError, AssertionError, KeyError, UnicodeDecodeError, ValueError) as problem:
            raise KilnError(f"{shown} begins like an ELF file but is damaged: {problem}.") from None


def _facts(file: ELFFile) -> Elf:
    interpreter = None
    tags: dict[str, list[str]] = {}
    for segment in file.iter_segments():
        if isinstance(segment, InterpSegment):
            interpreter = str(segment.get_interp_name())
        elif isinstance(segment, DynamicSegment):
            tags = _tags(segment)
    return Elf(
        machine=str(file["e_machine"]),
        machine_text=str(describe_e_machine(file["e_machine"])),
        bits=int(file.elfclass),
        interpreter=interpreter,
        needed=tags.get("needed", []),
        rpath=_folders(tags.get("rpath", [])),
        runpath=_folders(tags.get("runpath", [])),
    )


def _tags(dynamic: DynamicSegment | DynamicSection) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for tag in dynamic.iter_tags():
        name = {"DT_NEEDED": "needed", "DT_RPATH": "rpath", "DT_RUNPATH": "runpath"}.get(
            tag.entry.d_tag
        )
        if name:
            found.setdefault(name, []).append(str(getattr(tag, name)))
    return found


def _folders(values: list[str]) -> list[str]:
    return [folder for value in values for folder in value.split(":") if folder]
