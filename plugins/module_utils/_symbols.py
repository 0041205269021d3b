# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Which functions an ELF file takes from its libraries, and which a static one has inside.

Tables are decoded whole and not symbol by symbol, since a library may have ten thousands of them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._elf import HAS_ELFTOOLS
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError

if HAS_ELFTOOLS:
    from elftools.common.exceptions import ELFError
    from elftools.elf.dynamic import DynamicSegment
    from elftools.elf.elffile import ELFFile

# Elf64_Sym: name, info, other, section, value, size (gABI, "Symbol Table").
_SYMBOL = struct.Struct("<IBBHQQ")
_UNDEFINED = 0
_FUNCTIONS = (2, 10)  # STT_FUNC, STT_GNU_IFUNC
_PIE = 0x08000000  # DF_1_PIE


@dataclass(frozen=True)
class Symbols:
    """What is known of one file."""

    program: bool
    needed: list[str] = field(default_factory=list)
    # Function → the library that it comes from by its version, empty when it has none.
    imports: dict[str, str] = field(default_factory=dict)
    # Functions inside a static program that are among those asked for.
    own: list[str] = field(default_factory=list)
    # A static program without symbols: nobody can tell what it calls.
    mute: bool = False


def read_symbols(path: Path, wanted: Iterable[str]) -> Symbols | None:
    """The symbols of a file among those wanted; None when it is not a 64-bit ELF to be loaded.

    A file that is damaged says nothing here: who starts or loads it is checked elsewhere.
    """
    with path.open("rb") as stream:
        if stream.read(5) != b"\x7fELF\x02":
            return None
        try:
            file = ELFFile(stream)
            if file["e_type"] not in ("ET_EXEC", "ET_DYN"):
                return None
            return _symbols(file, frozenset(wanted))
        except (ELFError, AssertionError, KeyError, ValueError, struct.error, IndexError):
            return None


def exports(path: Path) -> set[str]:
    """The names that a library has for others."""
    with path.open("rb") as stream:
        try:
            file = ELFFile(stream)
            table = file.get_section_by_name(".dynsym")
            return {name for name, _i, section, _t in _names(file, table) if section != _UNDEFINED}
        except (ELFError, AssertionError, KeyError, ValueError, struct.error) as problem:
            raise KilnError(f"{path.name} is a damaged library: {problem}.") from None


def _symbols(file: ELFFile, wanted: frozenset[str]) -> Symbols:
    segments = list(file.iter_segments())
    dynamic = next((each for each in segments if isinstance(each, DynamicSegment)), None)
    tags = list(dynamic.iter_tags()) if dynamic else []
    needed = [str(tag.needed) for tag in tags if tag.entry.d_tag == "DT_NEEDED"]
    loader = any(each["p_type"] == "PT_INTERP" for each in segments)
    pie = any(tag.entry.d_tag == "DT_FLAGS_1" and tag.entry.d_val & _PIE for tag in tags)
    program = loader or pie or file["e_type"] == "ET_EXEC"
    go = set(_go_names(file, wanted))
    imports = _imports(file, dynamic, wanted)
    if loader or needed or not program:
        return Symbols(program, needed, imports, sorted(go))
    table = file.get_section_by_name(".symtab")
    own = {
        name
        for name, _index, section, kind in _names(file, table)
        if section != _UNDEFINED and kind in _FUNCTIONS and name in wanted and name[0] != "_"
    }
    mute = table is None and file.get_section_by_name(".gopclntab") is None
    return Symbols(program, needed, imports, sorted(own | go), mute)


def _names(file: ELFFile, table: Any) -> Iterator[tuple[str, int, int, int]]:
    """Name, place, section and kind of each symbol of a table."""
    if table is None:
        return
    texts = file.get_section(table["sh_link"]).data()
    data = table.data()
    whole = len(data) - len(data) % _SYMBOL.size
    for index, (at, info, _o, section, _v, _s) in enumerate(_SYMBOL.iter_unpack(data[:whole])):
        if at:
            yield (
                texts[at : texts.find(b"\0", at)].decode("utf-8", "replace"),
                index,
                section,
                info & 15,
            )


def _imports(file: ELFFile, dynamic: Any, wanted: frozenset[str]) -> dict[str, str]:
    table = file.get_section_by_name(".dynsym")
    if table is None:
        # Without section headers the loader's own tables have to do.
        symbols = dynamic.iter_symbols() if dynamic else ()
        names = [str(each.name) for each in symbols if each["st_shndx"] == "SHN_UNDEF"]
        return {name: "" for name in names if name in wanted}
    found = {
        name: index
        for name, index, section, _kind in _names(file, table)
        if section == _UNDEFINED and name in wanted
    }
    libraries = _libraries_by_version(file) if found else {}
    versions = file.get_section_by_name(".gnu.version")
    numbers = versions.data() if versions is not None and libraries else b""
    return {name: _library(numbers, index, libraries) for name, index in found.items()}


def _library(numbers: bytes, index: int, libraries: dict[int, str]) -> str:
    if len(numbers) < 2 * index + 2:
        return ""
    return libraries.get(struct.unpack_from("<H", numbers, 2 * index)[0] & 0x7FFF, "")


def _libraries_by_version(file: ELFFile) -> dict[int, str]:
    """Number of a version → the library that it is a version of."""
    section = file.get_section_by_name(".gnu.version_r")
    if section is None:
        return {}
    return {
        int(version.entry.vna_other): str(library.name)
        for library, versions in section.iter_versions()
        for version in versions
    }


def _go_names(file: ELFFile, wanted: frozenset[str]) -> Iterator[str]:
    """Go's functions; a Go program keeps their names even when it is stripped."""
    table = file.get_section_by_name(".gopclntab")
    data = table.data() if table is not None else b""
    for name in wanted:
        if "." in name and b"\0" + name.encode() + b"\0" in data:
            yield name
