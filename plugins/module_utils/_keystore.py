# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""A Java key store of trusted certificates, as installing ca-certificates-java makes it on Debian.

The format is "JKS" as Sun's provider reads it, the one that Debian's own script writes: a count,
each entry's alias, time and certificate, all lengths big-endian, and at the end a SHA-1 over a
password, a fixed phrase and all before it. The same certificates give the same bytes.
"""

from __future__ import annotations

import hashlib
import re
import ssl
import struct
from pathlib import Path

# What every Java expects of its own store of authorities; it guards nothing.
PASSWORD = "changeit"
_PHRASE = b"Mighty Aphrodite"
_MAGIC, _VERSION, _TRUSTED = 0xFEEDFEED, 2, 2
# 1980-01-01, as everything in an image.
_MILLISECONDS = 315532800 * 1000
_PEM = re.compile(
    r"-----BEGIN CERTIFICATE-----\s.*?-----END CERTIFICATE-----", re.DOTALL | re.ASCII
)


def certificates(folder: Path) -> dict[str, bytes]:
    """Each certificate below a folder, in DER, under an alias made from its file's name."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*.crt")):
        for number, text in enumerate(_PEM.findall(path.read_text(encoding="ascii"))):
            alias = f"debian:{path.stem.lower()}" + (f"-{number}" if number else "")
            found[alias] = ssl.PEM_cert_to_DER_cert(text)
    return found


def render(trusted: dict[str, bytes]) -> bytes:
    """The key store's bytes."""
    body = struct.pack(">III", _MAGIC, _VERSION, len(trusted))
    for alias, der in sorted(trusted.items()):
        body += struct.pack(">I", _TRUSTED) + _text(alias) + struct.pack(">Q", _MILLISECONDS)
        body += _text("X.509") + struct.pack(">I", len(der)) + der
    seal = hashlib.sha1(PASSWORD.encode("utf-16-be") + _PHRASE + body)
    return body + seal.digest()


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">H", len(data)) + data
