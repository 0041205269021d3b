# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Builds the kernel: sources + options + compiler → a digest → kiln.elf in the store.

The sources are first copied, file by file and only where the content differs, into a work folder
that stays from one build to the next. So Ninja's dates follow content: a fresh checkout or a newly
installed collection compiles nothing again that has not changed, and a path with blanks never
reaches the build.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._store import (
    KilnError,
    Store,
    digest_folder,
    digest_value,
    write_text,
)

KIND = "kernels"
ELF = "kiln.elf"
DEBUG = "kiln.debug"
# Raise when the same build begins to be kept in another way.
_KEEPER = 2
# What a build leaves behind that is worth keeping: the kernel and the loaders, for BIOSes and UEFI.
_RESULTS = (ELF, "stage1.bin", "stage2.bin", "bootx64.efi")
_UNUSED = {"tests", "build", "__pycache__", ".git", "run", "tools"}
_TAIL_LINES = 30


@dataclass(frozen=True)
class KernelSpec:
    """What is to be built."""

    source: Path
    name: str = "kiln"
    debug: bool = False
    compiler: str = "g++"
    jobs: int | None = None

    @property
    def options(self) -> dict[str, Any]:
        """What decides on the result, beside the sources."""
        return {"debug": self.debug, "compiler": self.compiler}


@dataclass(frozen=True)
class KernelPlan:
    """What a build would do: `before` and `after` are for the diff."""

    digest: str
    build: bool
    rename: bool
    before: dict[str, Any]
    after: dict[str, Any]

    @property
    def changed(self) -> bool:
        """Whether carrying it out changes anything."""
        return self.build or self.rename


def default_source() -> Path:
    """kernel-src of the collection that this file belongs to."""
    return Path(__file__).resolve().parents[2] / "kernel-src"


def make_plan(spec: KernelSpec, store: Store) -> KernelPlan:
    """Compares the sources with what is in the store; touches nothing."""
    files = _sources(spec.source)
    tools = {name: _version(name) for name in ("cmake", "ninja", spec.compiler)}
    inputs = {"keeper": _KEEPER, "options": spec.options, "tools": tools, "files": files}
    digest = digest_value(inputs)
    current = store.current(KIND, spec.name)
    manifest = store.manifest(KIND, current) if current else None
    build = store.manifest(KIND, digest) is None
    before = {"digest": current, **manifest["inputs"]} if manifest else {}
    return KernelPlan(digest, build, current != digest, before, {"digest": digest, **inputs})


def carry_out(plan: KernelPlan, spec: KernelSpec, store: Store) -> None:
    """Builds what the plan says and gives it its name."""
    with store.lock("kernel"):
        if plan.build and store.manifest(KIND, plan.digest) is None:
            _build(plan, spec, store)
        store.set_current(KIND, spec.name, plan.digest)
        write_text(store.path / "last-kernel", f"{store.folder(KIND, plan.digest) / ELF}\n")


def _build(plan: KernelPlan, spec: KernelSpec, store: Store) -> None:
    work = store.path / "build" / digest_value(spec.options)[:16]
    _sync(spec.source, work / "src", plan.after["files"])
    jobs = ["--parallel", str(spec.jobs or os.cpu_count() or 1)]
    if not _can_go_on(work / "obj"):
        shutil.rmtree(work / "obj", ignore_errors=True)
    debug = "ON" if spec.debug else "OFF"
    configure = ["cmake", "-S", str(work / "src"), "-B", str(work / "obj"), "-G", "Ninja"]
    configure += [f"-DKILN_DEBUG={debug}", f"-DCMAKE_CXX_COMPILER={spec.compiler}"]
    configure += [f"-DCMAKE_C_COMPILER={_c_compiler(spec.compiler)}"]
    log = _run(configure)
    log += _run(["cmake", "--build", str(work / "obj"), *jobs])
    with store.scratch() as scratch:
        made = scratch / "made"
        made.mkdir()
        for name in _RESULTS:
            built = work / "obj" / name
            if not built.is_file():
                raise KilnError(f"The kernel's build ended well but left no {name}.")
            shutil.copyfile(built, made / name)
        # What the guest loads has a table of its own for backtraces; gdb wants the whole.
        (made / ELF).rename(made / DEBUG)
        _run(["objcopy", "--strip-all", str(made / DEBUG), str(made / ELF)])
        write_text(made / "build.log", log)
        store.publish(KIND, plan.digest, made, {"name": spec.name, "inputs": _inputs(plan)})


def _can_go_on(folder: Path) -> bool:
    """Whether CMake can build on in a folder: it was set up whole, and under this very path.

    CMake refuses one that was moved, as a store may be.
    """
    if not (folder / "build.ninja").exists():
        return False
    cache = (folder / "CMakeCache.txt").read_text(encoding="utf-8").splitlines()
    return f"CMAKE_CACHEFILE_DIR:INTERNAL={folder}" in cache


def _inputs(plan: KernelPlan) -> dict[str, Any]:
    return {key: value for key, value in plan.after.items() if key != "digest"}


def _sources(source: Path) -> dict[str, str]:
    if not (source / "CMakeLists.txt").is_file():
        raise KilnError(
            f"{source} holds no CMakeLists.txt; `source` must be the folder of the kernel's "
            "sources (kernel-src)."
        )
    return digest_folder(source, lambda path: path.parts[0] in _UNUSED)


def _sync(source: Path, target: Path, files: dict[str, str]) -> None:
    """Makes `target` hold exactly `files`; what is the same already keeps its date."""
    target.mkdir(parents=True, exist_ok=True)
    have = digest_folder(target)
    for name in have.keys() - files.keys():
        (target / name).unlink()
    for name, digest in files.items():
        if have.get(name) == digest:
            continue
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        shutil.copyfile(source / name, place, follow_symlinks=False)
        if digest.startswith("x:"):
            place.chmod(0o755)


def _c_compiler(compiler: str) -> str:
    """The C compiler of the same family, for the few C and assembly files."""
    return compiler.replace("clang++", "clang").replace("g++", "gcc")


def _version(program: str) -> str:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise KilnError(
            f"{program} is needed to build the kernel and cannot be run; on Debian install the "
            "packages cmake, ninja-build and g++."
        ) from None
    return done.stdout.splitlines()[0].strip()


def _run(command: list[str]) -> str:
    """Runs a build step; its output is returned, or its end is in the error."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-_TAIL_LINES:])
        raise KilnError(f"The kernel does not build ({' '.join(command[:2])} failed):\n{tail}")
    return done.stdout
