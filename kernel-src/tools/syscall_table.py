#!/usr/bin/env python3
"""Writes docs/syscalls.md from the kernel's sources.

The list of calls is kernel-src/linux/syscall_list.hh; a call is there when some source defines it by
SYSCALL(name, ...) and does more than refuse it with ENOSYS. A comment right above the definition is taken over where it says how the call differs from
Linux ("Differs from Linux: ...").

    kernel-src/tools/syscall_table.py            writes the file
    kernel-src/tools/syscall_table.py --check    only says whether it is current (status 1 when not)
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

KERNEL = Path(__file__).resolve().parent.parent
LIST = KERNEL / "linux" / "syscall_list.hh"
DOCUMENT = KERNEL.parent / "docs" / "syscalls.md"
ENTRY = re.compile(r"^KILN_SYSCALL\((\d+), (\w+)\)$", re.M)
DEFINITION = re.compile(
    r"^SYSCALL\((?P<name>\w+)(?P<refusal>[^{]*\{\n    return (?:refuse_process\(|err::nosys;))?",
    re.M,
)
DIFFERENCE = re.compile(r"Differs from Linux: (.*)", re.S)

HEAD = """# System calls

Made from the kernel's sources by `make docs` (kernel-src/tools/syscall_table.py); do not edit by hand.

The numbers and names are those of Linux on x86-64. A call that is missing returns `ENOSYS`, and the kernel says
its name and arguments once. An unknown option inside a call that is there returns the error that Linux returns.

A call changes rax, rcx and r11, as on Linux, and besides that the arithmetic flags and the direction flag, which
Linux gives back: nothing but a test looks at them after a call.

Signals that stop a process (SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU) do nothing: there is nobody who could continue it.

"""


@dataclass
class Definition:
    source: str
    difference: str
    refuses: bool  # it only returns ENOSYS


def comment_above(text: str, position: int) -> str:
    """The comment lines directly above a definition, as one line of prose."""
    lines = text[:position].splitlines()
    taken: list[str] = []
    while lines and lines[-1].startswith("//"):
        taken.insert(0, lines.pop()[2:].strip())
    return " ".join(taken)


def definitions() -> dict[str, Definition]:
    found: dict[str, Definition] = {}
    for path in sorted(KERNEL.rglob("*.cc")):
        if "tests" in path.relative_to(KERNEL).parts:
            continue
        text = path.read_text()
        for match in DEFINITION.finditer(text):
            difference = DIFFERENCE.search(comment_above(text, match.start()))
            name = match["name"]
            if name in found:
                raise SystemExit(f"{name} is defined twice: {found[name].source} and {path}")
            found[name] = Definition(
                str(path.relative_to(KERNEL)),
                difference.group(1).strip() if difference else "",
                match["refusal"] is not None,
            )
    return found


def listed() -> list[tuple[int, str]]:
    """Number and name of each call that Linux has."""
    return [(int(number), name) for number, name in ENTRY.findall(LIST.read_text())]


def missing_of(calls: list[tuple[int, str]], defined: dict[str, Definition]) -> list[str]:
    """The names of those that return ENOSYS."""
    return [name for _, name in calls if name not in defined or defined[name].refuses]


def render() -> str:
    calls = listed()
    defined = definitions()
    unlisted = sorted(set(defined) - {name for _, name in calls})
    if unlisted:
        raise SystemExit(f"defined but not in {LIST.name}: {', '.join(unlisted)}")
    missing = missing_of(calls, defined)
    there = [(number, name) for number, name in calls if name not in missing]
    lines = [HEAD + f"{len(there)} of {len(calls)} calls are there.", ""]
    lines += ["| number | call | source | differs from Linux |", "|---:|---|---|---|"]
    lines += [
        f"| {number} | `{name}` | {defined[name].source} | {defined[name].difference} |"
        for number, name in there
    ]
    lines += ["", "## Missing", "", "These return `ENOSYS`:", ""]
    lines.append(", ".join(f"`{name}`" for name in missing) + "." if missing else "None.")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Writes docs/syscalls.md from the kernel's sources."
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail when the document is outdated"
    )
    wanted = parser.parse_args()
    text = render()
    if not wanted.check:
        DOCUMENT.parent.mkdir(exist_ok=True)
        DOCUMENT.write_text(text)
        return 0
    if DOCUMENT.exists() and DOCUMENT.read_text() == text:
        return 0
    print("docs/syscalls.md is not what the sources say; run: make docs", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
