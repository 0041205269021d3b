# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Drives Packer through packer-py, and knows from Packer's own manifest what it has built.

packer-py 0.3.0 calls one command and waits for it. What is added here: a folder and an environment
to run in, a time limit that ends Packer and all that it has started, variables of any type in a
file that only the user can read (packer-py has them on the command line, as text), options that are
given several times, and the machine-readable output taken apart.

A digest of all inputs is handed to the template as the variable `kiln_inputs`; its manifest
post-processor keeps it in `custom_data`. Built is what the manifest's last run bears this digest of
and whose files are all there.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._store import (
    KilnError,
    digest_file,
    digest_folder,
    digest_value,
    read_json,
)

try:
    from packerpy import PackerExecutable

    HAS_PACKERPY = True
except ImportError:
    PackerExecutable = object
    HAS_PACKERPY = False

VARIABLE = "kiln_inputs"
# What Packer reads of a folder.
_READ = (".pkr.hcl", ".pkr.json", ".auto.pkrvars.hcl", ".auto.pkrvars.json")
# Seconds that Packer has to clean up when its time is up.
_GRACE = 10.0
_LAST_LINES = 24


@dataclass(frozen=True)
class Template:
    """What Packer is to build, and what that depends on."""

    path: Path
    variables: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, Any] = field(default_factory=dict)
    var_files: list[Path] = field(default_factory=list)
    only: list[str] = field(default_factory=list)
    leave_out: list[str] = field(default_factory=list)
    inputs: list[Path] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """What the digest is made of; secrets are not in it."""
        for path in [self.path, *self.var_files, *self.inputs]:
            if not path.exists():
                raise KilnError(f"There is no file or folder {path}, which Packer is to read.")
        return {
            "template": _content(self.path, _READ),
            "variables": self.variables,
            "var_files": [_content(path) for path in self.var_files],
            "only": sorted(self.only),
            "except": sorted(self.leave_out),
            "inputs": {str(path): _content(path) for path in self.inputs},
        }


def _content(path: Path, ends: tuple[str, ...] = ()) -> str | dict[str, str]:
    """The digest of a file, or of what lies in a folder; `ends` for the folder's own files only."""
    if not path.is_dir():
        return digest_file(path)
    if not ends:
        return digest_folder(path)
    found = (each for each in sorted(path.iterdir()) if each.name.endswith(ends))
    return {each.name: digest_file(each) for each in found}


class Packer(PackerExecutable):  # type: ignore[misc]
    """packer-py's class, with a place, an environment and a time limit for what it calls."""

    def __init__(self, program: str, folder: Path, env: dict[str, str], timeout: float) -> None:
        super().__init__(executable_path=program)
        self._folder = folder
        self._env = dict(os.environ, CHECKPOINT_DISABLE="1", **env)
        self._timeout = timeout

    def call(self, command: str, template: Template, digest: str, **options: Any) -> Output:
        """`validate` or `build` of a template; what Packer said, whatever its exit status."""
        lists = {"only": template.only, "except": template.leave_out}
        options |= {name: ",".join(patterns) for name, patterns in lists.items() if patterns}
        values = template.variables | template.secrets | {VARIABLE: digest}
        with _private_file(values) as path:
            options["var_file"] = [*template.var_files, path]
            return Output(*getattr(self, command)(str(template.path), **options)[:2])

    @staticmethod
    def _explode_args(**options: Any) -> list[str]:
        """packer-py's, which knows no option that is given several times."""
        once = {key: value for key, value in options.items() if not isinstance(value, list)}
        words: list[str] = PackerExecutable._explode_args(**once)
        for key in options.keys() - once.keys():
            words += [f"-{key.replace('_', '-')}={value}" for value in options[key]]
        return words

    def execute_cmd(
        self, packer_cmd: str, template: str | None = None, **options: Any
    ) -> tuple[int, str, str]:
        """packer-py's one door to the program, with what it lacks."""
        program = self.configuration[self.PATH]
        words = [packer_cmd, "-machine-readable", *self._explode_args(**options), str(template)]
        try:
            process = subprocess.Popen(
                [program, *words],
                cwd=self._folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except FileNotFoundError:
            raise KilnError(
                f"{program} is needed and not installed; on Debian install the package packer, or "
                "name Packer's program with `executable`."
            ) from None
        try:
            text, _none = process.communicate(timeout=self._timeout)
        except subprocess.TimeoutExpired:
            raise KilnError(
                f"Packer was not done after {self._timeout:g} seconds (`timeout`) and was ended. "
                f"It said last: {Output(124, _end(process)).last()}"
            ) from None
        except BaseException:
            _end(process)
            raise
        return process.returncode, text, ""


@dataclass(frozen=True)
class Output:
    """What Packer said, line by line: time, target, kind, data (Packer's -machine-readable)."""

    status: int
    text: str

    def lines(self, *kinds: str) -> list[str]:
        """What a person would have read."""
        found: list[str] = []
        for line in self.text.splitlines():
            said = re.fullmatch(r"\d+,([^,]*),([^,]*),(.*)", line)
            if said is None:
                found.append(line)
            elif said[2] == "ui":
                kind, _comma, data = said[3].partition(",")
                found += _plain(data) if not kinds or kind in kinds else []
            elif said[2] == "error":
                found += _plain(said[3])
        return [line for line in found if line.strip()]

    def last(self) -> str:
        """The last lines, in one."""
        return " / ".join(line.strip() for line in self.lines()[-_LAST_LINES:]) or "nothing"

    @property
    def nothing_built(self) -> bool:
        """Whether no build was chosen: Packer then ends well, and says no build's end."""
        return self.status == 0 and not re.search(r"Build '.*' finished", self.text)


def _plain(data: str) -> list[str]:
    return data.replace("%!(PACKER_COMMA)", ",").replace("\\n", "\n").split("\n")


def _end(process: subprocess.Popen[str]) -> str:
    """Lets Packer clean up, then ends it with all that it has started."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            text, _none = process.communicate(timeout=_GRACE)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            return str(text)
    return ""


@contextlib.contextmanager
def _private_file(values: dict[str, Any]) -> Iterator[Path]:
    """Variables in a file that only this user can read, and that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="kiln-packer-") as folder:
        path = Path(folder) / "variables.pkrvars.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(values), encoding="utf-8")
        yield path


@dataclass(frozen=True)
class Built:
    """What the manifest's last run has left."""

    digest: str | None = None
    builds: list[dict[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def whole(self, digest: str) -> bool:
        """Whether it is of these inputs and still there."""
        return bool(self.builds) and self.digest == digest and not self.missing


def read_manifest(path: Path, folder: Path) -> Built:
    """The last run that the manifest tells of; file names are relative to `folder`."""
    value = read_json(path)
    if not isinstance(value, dict):
        return Built()
    run = value.get("last_run_uuid")
    builds = [each for each in value.get("builds") or [] if each.get("packer_run_uuid") == run]
    digests = {(each.get("custom_data") or {}).get(VARIABLE) for each in builds}
    files = [each for build in builds for each in build.get("files") or []]
    missing = [each["name"] for each in files if not _is_whole(folder / each["name"], each["size"])]
    return Built(digests.pop() if len(digests) == 1 else None, builds, missing)


def _is_whole(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def digest_of(facts: dict[str, Any]) -> str:
    """The digest that stands for all inputs."""
    return digest_value(facts)
