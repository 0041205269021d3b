# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Pre-flight: what in an image will call the kernel for something that it does not have.

Each ELF of a staged root is looked at: what it is linked with, and which functions it imports that
lead to a missing system call, from which library. Which calls are missing comes from the kernel's
own table (_absent_calls), so a call that the kernel gets is not warned of any more. A guest never
starts a second program, so what counts is the one that argv names, what that is linked with, and
libraries that it could still load; others are in the report only.

Nothing of this changes the image. The report lies beside it, and is made again when the table is
another one.
"""

from __future__ import annotations

import fnmatch
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._absent_calls import ABSENT
from ansible_collections.kiln.unikernel.plugins.module_utils._store import (
    KilnError,
    digest_value,
    read_json,
    write_json,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._symbols import (
    Symbols,
    exports,
    read_symbols,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._tree import Tree

FILE = "preflight.json"
MODES = ("warn", "fail", "off")
# Raise when the same files begin to give another report.
_VERSION = 1
_SHOWN = 4
_PROCESSES = ("execve", "fork", "vfork")

# Functions of C libraries (and, with a dot, of Go) that are not named as the calls they lead to.
_LEADS_TO = {
    "fork": "fork __fork _Fork __libc_fork daemon forkpty",
    "vfork": "__vfork",
    "vfork execve": "posix_spawn posix_spawnp pidfd_spawn pidfd_spawnp system popen",
    "fork execve": "syscall.forkAndExecInChild",
    "execve": "execl execle execlp execv execvp execvpe fexecve syscall.Exec",
    "semtimedop": "semop",
    "mq_timedsend": "mq_send",
    "mq_timedreceive": "mq_receive",
    "mq_getsetattr": "mq_getattr mq_setattr",
    "io_setup": "io_queue_init",
    "io_uring_setup": "io_uring_queue_init io_uring_queue_init_params io_uring_queue_init_mem",
    "seccomp": "seccomp_load",
    "move_pages": "numa_move_pages",
}


def functions(absent: frozenset[str] = ABSENT) -> dict[str, list[str]]:
    """Function → the missing calls that it leads to."""
    found = {name: [name] for name in absent}
    for calls, names in _LEADS_TO.items():
        missing = [call for call in calls.split() if call in absent]
        if missing:
            found |= dict.fromkeys(names.split(), missing)
    return found


@dataclass(frozen=True)
class Import:
    """A function that leads to missing calls, and the library it is taken from.

    The library is None for a function inside a static program, and empty when none has it.
    """

    function: str
    library: str | None
    calls: list[str]


@dataclass(frozen=True)
class Looked:
    """One ELF of the image."""

    path: str
    role: str  # program, linked, library, other
    linked: list[str]
    missing: list[Import] = field(default_factory=list)
    note: str = ""


def _key() -> str:
    return digest_value([_VERSION, functions()])


def known(folder: Path) -> list[Looked] | None:
    """The report beside an image, None when there is none by this table."""
    value = read_json(folder / FILE)
    if not isinstance(value, dict) or value.get("key") != _key():
        return None
    return [
        Looked(**{**item, "missing": [Import(**each) for each in item["missing"]]})
        for item in value["files"]
    ]


def keep(folder: Path, report: list[Looked]) -> None:
    """Lays the report beside the image."""
    write_json(folder / FILE, {"key": _key(), "files": told(report)})


def told(report: list[Looked]) -> list[dict[str, Any]]:
    """The report as plain values."""
    return [asdict(item) for item in report]


def survey(tree: Tree, loaded: list[str]) -> list[Looked]:
    """Looks at every ELF; `loaded` is the program and what it is linked with, as places."""
    wanted = functions()
    started = [path for path in map(tree.find, loaded) if path]
    report = []
    for path in _files(tree.path):
        symbols = read_symbols(path, wanted)
        if symbols:
            report.append(_look(tree, path, symbols, started, wanted))
    return report


def _files(root: Path) -> list[Path]:
    """Regular files, in one order."""
    return sorted(
        path
        for base, _folders, names in os.walk(root)
        for path in map(Path(base).joinpath, names)
        if path.is_file() and not path.is_symlink()
    )


def _look(
    tree: Tree, path: Path, symbols: Symbols, started: list[Path], wanted: dict[str, list[str]]
) -> Looked:
    place = "/" + path.relative_to(tree.path).as_posix()
    if path in started:
        role = "program" if path == started[0] else "linked"
    else:
        role = "other" if symbols.program else "library"
    imports = [
        Import(name, library or _exporter(tree, symbols, path, name), wanted[name])
        for name, library in symbols.imports.items()
    ]
    imports += [Import(name, None, wanted[name]) for name in symbols.own]
    note = "static and stripped: nothing can be told" if symbols.mute else ""
    imports.sort(key=lambda item: item.function)
    return Looked(place, role, symbols.needed, imports, note)


def _exporter(tree: Tree, symbols: Symbols, path: Path, name: str) -> str:
    """The library beside or in the usual folders that has a function without a version."""
    folders = [path.parent, *(tree.place(each) for each in ("/lib", "/usr/lib", "/usr/local/lib"))]
    for library in symbols.needed:
        for folder in folders:
            found = tree.find("/" + (folder / library).relative_to(tree.path).as_posix())
            if found and name in exports(found):
                return library
    return ""


def judge(report: list[Looked], program: str, mode: str, allow: list[str]) -> list[str]:
    """What to warn of; fails instead where the mode says so."""
    text = sentence(report, program, allow)
    if text and mode == "fail":
        raise KilnError(
            f"{text} Name in `preflight_allow` the functions, calls or files that may stay, or set "
            "`preflight` to warn."
        )
    return [text] if text and mode == "warn" else []


def sentence(report: list[Looked], program: str, allow: list[str]) -> str:
    """What the program and its libraries will miss, in short; empty when it is nothing."""
    left = {item.path: _left(item, allow) for item in report if item.role != "other"}
    by_role = {
        role: [item for item in report if item.role == role and left[item.path]]
        for role in ("program", "linked", "library")
    }
    parts = [_can(left[item.path]) for item in by_role["program"]]
    for how, role in (("is linked with", "linked"), ("could load", "library")):
        named = [_named(item, left[item.path]) for item in by_role[role]]
        parts += [f"{how} {_some(named)}"] if named else []
    if not parts:
        return ""
    calls = {call for each in left.values() for item in each for call in item.calls}
    # What a reader knows first.
    shown = sorted(calls, key=lambda call: (call not in _PROCESSES, call))
    return (
        f"preflight: {program} {'; '.join(parts)}. A Kiln guest has no {_some(shown)}: what needs "
        "them fails with ENOSYS, the rest works."
    )


def _left(item: Looked, allow: list[str]) -> list[Import]:
    """The imports of a file that are not allowed."""
    if any(fnmatch.fnmatchcase(item.path, each) for each in allow if each.startswith("/")):
        return []
    names = set(allow)
    return [each for each in item.missing if each.function not in names and set(each.calls) - names]


def _can(imports: list[Import]) -> str:
    """The functions, by where they come from."""
    ways: dict[str, list[str]] = {}
    for item in imports:
        way = f"imports {{}} of {item.library}" if item.library else "imports {}"
        ways.setdefault("has {} inside" if item.library is None else way, []).append(item.function)
    return " and ".join(way.format(_some(names)) for way, names in sorted(ways.items()))


def _named(item: Looked, imports: list[Import]) -> str:
    return f"{Path(item.path).name} ({_some([each.function for each in imports])})"


def _some(names: list[str]) -> str:
    """The first of many."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
