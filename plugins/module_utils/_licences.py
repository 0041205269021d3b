# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Licences of Debian packages, as SPDX expressions.

A package's copyright file is asked. One in Debian's machine-readable form (copyright-format 1.0)
names the licences of its files by short names, which are turned into SPDX's; what SPDX has no name
for becomes a LicenseRef with the licence's own text. Of a file in free form nothing is guessed: the
package's licence is a LicenseRef, and its text is the whole file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

try:
    from license_expression import get_spdx_licensing

    HAS_LICENSE_EXPRESSION = True
except ImportError:
    HAS_LICENSE_EXPRESSION = False

_FORMAT = "copyright-format/1.0"
# Debian's short names that are not SPDX's, in lower case.
_NAMES = {
    "expat": "MIT",
    "mit/x11": "MIT",
    "artistic": "Artistic-1.0-Perl",
    "cc0": "CC0-1.0",
    "boost": "BSL-1.0",
    "psf-2": "PSF-2.0",
    "zlib/libpng": "Zlib",
}
_GNU = re.compile(r"(A?GPL|LGPL|GFDL)-?([0-9](?:\.[0-9])?)(\+|-or-later|-only)?", re.IGNORECASE)


@dataclass(frozen=True)
class Licence:
    """An SPDX expression, and the texts of those LicenseRefs that are in it."""

    expression: str
    texts: dict[str, str] = field(default_factory=dict)


def licence_of(package: str, text: str) -> Licence:
    """What a package's copyright file says."""
    paragraphs = _paragraphs(text)
    if not paragraphs or _FORMAT not in paragraphs[0].get("format", ""):
        name = _reference(package)
        return Licence(name, {name: text.strip() + "\n"})
    standalone: dict[str, str] = {}
    wanted: list[str] = []
    for paragraph in paragraphs:
        short, *more = paragraph.get("license", "").split("\n", 1)
        rest = "".join(more)
        if not short:
            continue
        if rest:
            standalone.setdefault(short.strip().lower(), rest)
        if "files" in paragraph and short.strip() not in wanted:
            wanted.append(short.strip())
    found = [_convert(package, synopsis, standalone) for synopsis in wanted]
    if not found:
        name = _reference(package)
        return Licence(name, {name: text.strip() + "\n"})
    terms = sorted({licence.expression for licence in found})
    texts = {name: body for licence in found for name, body in licence.texts.items()}
    joined = [f"({term})" if " OR " in term and len(terms) > 1 else term for term in terms]
    return Licence(" AND ".join(joined), dict(sorted(texts.items())))


def _paragraphs(text: str) -> list[dict[str, str]]:
    """The fields of each paragraph, names in lower case, continuation lines kept."""
    found: list[dict[str, str]] = []
    for block in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if line[:1] in (" ", "\t") and name:
                fields[name] += "\n" + ("" if line.strip() == "." else line[1:])
            elif match := re.match(r"([A-Za-z][A-Za-z-]*):[ \t]*(.*)", line):
                name = match[1].lower()
                fields[name] = match[2]
        if fields:
            found.append(fields)
    return found


def _convert(package: str, synopsis: str, texts: dict[str, str]) -> Licence:
    """One synopsis, such as "GPL-2+ or Artistic, and BSD-3-clause"."""
    used: dict[str, str] = {}
    groups = []
    for group in re.split(r",\s*(?:and\s+)?|\s+and\s+", synopsis):
        names = [name.strip() for name in re.split(r"\s+or\s+", group) if name.strip()]
        terms = [_name(package, name, texts, used) for name in names]
        if terms:
            groups.append(" OR ".join(sorted(set(terms))))
    unique = sorted(set(groups))
    joined = [f"({each})" if " OR " in each and len(unique) > 1 else each for each in unique]
    return Licence(" AND ".join(joined), used)


def _name(package: str, name: str, texts: dict[str, str], used: dict[str, str]) -> str:
    """The SPDX identifier of a short name; a LicenseRef is noted in `used` with its text."""
    low = name.lower()
    gnu = _GNU.fullmatch(name)
    if gnu:
        version = gnu[2] if "." in gnu[2] else f"{gnu[2]}.0"
        later = "only" if gnu[3] in (None, "-only") else "or-later"
        candidate = f"{gnu[1].upper()}-{version}-{later}"
    else:
        candidate = _NAMES.get(low, name)
    known = _known().get(candidate.lower())
    if known:
        return known
    reference = _reference(package, name)
    used[reference] = (
        texts.get(low, f"Called {name} in the package's copyright file.").strip() + "\n"
    )
    return reference


def _reference(package: str, name: str = "") -> str:
    return "LicenseRef-" + re.sub(r"[^A-Za-z0-9.-]+", "-", f"{package}-{name}").strip("-")


_cache: dict[str, str] = {}


def _known() -> dict[str, str]:
    """SPDX's identifiers, each under its lower-case form."""
    if not _cache:
        _cache.update({str(key).lower(): str(key) for key in get_spdx_licensing().known_symbols})
    return _cache
