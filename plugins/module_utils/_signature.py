# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Signs an image's provenance statement and checks such a signature, by ssh-keygen or minisign.

The statement names the SHA-256 of every file of the image, so one signature covers them all. Which
of the two programs a key is for is seen from the key. A passphrase goes to the program by its
standard input or its environment, never on its command line.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path

from ansible_collections.kiln.unikernel.plugins.module_utils import _provenance
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError, digest_file

NAMESPACE = "kiln-image"
_SIGNER = "kiln"
_PACKAGES = {"ssh-keygen": "openssh-client", "minisign": "minisign"}
_MINISIGN = "untrusted comment:"


class Signer(ABC):
    """One of the two programs with one key, a private or a public one."""

    suffix: str

    def __init__(self, key: Path) -> None:
        self.key = key

    def place(self, folder: Path) -> Path:
        """Where the signature of the image in a folder lies."""
        return folder / (_provenance.FILE + self.suffix)

    @abstractmethod
    def sign(self, statement: Path, passphrase: str | None) -> bytes:
        """The signature of a statement."""

    @abstractmethod
    def is_ours(self, statement: Path, signature: Path, passphrase: str | None) -> bool:
        """Whether a signature is one of this private key over this statement."""

    @abstractmethod
    def accepts(self, statement: Path, signature: Path) -> bool:
        """Whether a signature is one of this public key over this statement."""


class Ssh(Signer):
    """OpenSSH's file signatures (PROTOCOL.sshsig), as git's."""

    suffix = ".sig"

    def sign(self, statement: Path, passphrase: str | None) -> bytes:
        command = ["ssh-keygen", "-Y", "sign", "-f", str(self.key), "-n", NAMESPACE]
        with tempfile.TemporaryDirectory() as scratch:
            env = {"SSH_ASKPASS_REQUIRE": "never"}
            if passphrase is not None:
                ask = Path(scratch) / "ask"
                ask.write_text("#!/bin/sh\nprintf '%s\\n' \"$KILN_PASSPHRASE\"\n")
                ask.chmod(0o700)
                env = {
                    "SSH_ASKPASS": str(ask),
                    "SSH_ASKPASS_REQUIRE": "force",
                    "KILN_PASSPHRASE": passphrase,
                }
            done = _run(command, statement.read_bytes(), env)
        if done.returncode != 0:
            raise _cannot_sign(self.key, done)
        return done.stdout

    def is_ours(
        self,
        statement: Path,
        signature: Path,
        passphrase: str | None,  # noqa: ARG002 - the public half is readable without it
    ) -> bool:
        command = ["ssh-keygen", "-Y", "check-novalidate", "-n", NAMESPACE, "-s", str(signature)]
        done = _run(command, statement.read_bytes())
        key = _run(["ssh-keygen", "-l", "-f", str(self.key)])
        prints = [_fingerprint(each.stdout) for each in (done, key) if each.returncode == 0]
        return len(prints) == 2 and prints[0] is not None and prints[0] == prints[1]

    def accepts(self, statement: Path, signature: Path) -> bool:
        public = self.key.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        with tempfile.NamedTemporaryFile("w", suffix=".signers") as signers:
            signers.writelines(
                f'{_SIGNER} namespaces="{NAMESPACE}" {line}\n' for line in public if line[:1] != "#"
            )
            signers.flush()
            command = ["ssh-keygen", "-Y", "verify", "-f", signers.name, "-I", _SIGNER]
            command += ["-n", NAMESPACE, "-s", str(signature)]
            return _run(command, statement.read_bytes()).returncode == 0


class Minisign(Signer):
    """minisign's signatures; OpenBSD's signify has the same keys in another envelope."""

    suffix = ".minisig"

    def sign(self, statement: Path, passphrase: str | None) -> bytes:
        with tempfile.TemporaryDirectory() as scratch:
            out = Path(scratch) / "signature"
            # Its own trusted comment would say when; what was signed says more and never changes.
            trusted = f"kiln sha256:{digest_file(statement)}"
            command = ["minisign", "-S", "-s", str(self.key), "-m", str(statement), "-x", str(out)]
            command += ["-c", "signature of a Kiln image", "-t", trusted]
            done = _run(command, f"{passphrase or ''}\n".encode())
            if done.returncode != 0 or not out.is_file():
                raise _cannot_sign(self.key, done)
            return out.read_bytes()

    def is_ours(self, statement: Path, signature: Path, passphrase: str | None) -> bool:
        return signature.read_bytes() == self.sign(statement, passphrase)

    def accepts(self, statement: Path, signature: Path) -> bool:
        command = ["minisign", "-V", "-q", "-p", str(self.key), "-m", str(statement)]
        return _run([*command, "-x", str(signature)]).returncode == 0


def signer(key: Path) -> Signer:
    """The program that a key is for."""
    try:
        first = key.read_text(encoding="utf-8", errors="replace").lstrip()[:4096]
    except OSError as problem:
        raise KilnError(f"The key {key} cannot be read: {problem.strerror}.") from None
    if first.startswith(_MINISIGN):
        return Minisign(key)
    if re.match(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|(sk-)?(ssh|ecdsa)-|#", first):
        return Ssh(key)
    raise KilnError(f"{key} is neither a key of OpenSSH nor one of minisign.")


def statement_of(folder: Path) -> Path:
    """The statement of the image in a folder."""
    path = folder / _provenance.FILE
    if not path.is_file():
        raise KilnError(
            f"{folder} has no {_provenance.FILE}, so it is no image that can be signed or checked; "
            "name the folder of a baked image."
        )
    return path


def check(folder: Path, key: Path) -> dict[str, str]:
    """Holds an image against its signature and its statement; the files and their SHA-256."""
    program = signer(key)
    statement = statement_of(folder)
    signature = program.place(folder)
    if not signature.is_file():
        raise KilnError(
            f"{folder} has no {signature.name}, so nobody signed it with a key of this kind; sign "
            "it, or give the key that it was signed with."
        )
    if not program.accepts(statement, signature):
        raise KilnError(
            f"{signature} is no signature of the key {key} over {statement.name}: another key "
            "signed it, or the statement was changed after it was signed. Do not use this image."
        )
    return _provenance.check(folder)


def _fingerprint(text: bytes) -> bytes | None:
    found = re.search(rb"SHA256:[A-Za-z0-9+/]+", text)
    return found[0] if found else None


def _cannot_sign(key: Path, done: subprocess.CompletedProcess[bytes]) -> KilnError:
    lines = done.stderr.decode(errors="replace").strip().splitlines() or ["it gave no reason"]
    return KilnError(
        f"{done.args[0]} cannot sign with the key {key}: {lines[-1].rstrip('.')}. Is `passphrase` "
        "right?"
    )


def _run(
    command: list[str], data: bytes = b"", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Runs a program that must not ask anything of a terminal."""
    try:
        return subprocess.run(
            command,
            input=data,
            env=dict(os.environ, LC_ALL="C.UTF-8", **(env or {})),
            capture_output=True,
            start_new_session=True,
            check=False,
        )
    except FileNotFoundError:
        raise KilnError(
            f"{command[0]} is needed for this key and not installed; on Debian install the package "
            f"{_PACKAGES[command[0]]}."
        ) from None
