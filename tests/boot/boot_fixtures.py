"""Builds the loader, the probe and a root once for all tests of this folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import boot_rig
import pytest

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int count, char **words) {
    char folder[256];
    for (int index = 1; index < count; ++index) printf("[%s]", words[index]);
    printf(" GREETING=%s in %s\n", getenv("GREETING"), getcwd(folder, sizeof folder));
    return 7;
}
"""


@dataclass(frozen=True)
class Parts:
    """What an image is built from."""

    loader: Path
    probe: Path
    root: Path

    def build(self, out: Path, *, kernel: Path | None = None, cmdline: str = "") -> object:
        """Writes an image of these parts, or of another kernel."""
        return boot_rig.disk.build_disk(
            kernel or self.probe,
            self.root,
            cmdline,
            out,
            stage1=self.loader / "stage1.bin",
            stage2=self.loader / "stage2.bin",
            efi=self.loader / "bootx64.efi",
        )


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """KILN_LOADER names a folder with a loader built before, the kernel's build folder say."""
    folder = tmp_path_factory.mktemp("a boot")
    built = os.environ.get("KILN_LOADER")
    loader = Path(built) if built else boot_rig.build_loader(folder / "loader")
    return Parts(loader, boot_rig.build_probe(folder / "probe"), boot_rig.build_root(folder))


@pytest.fixture(scope="session")
def kernel():
    """A built kernel; KILN_KERNEL names one (with stage1.bin and stage2.bin beside it)."""
    chosen = os.environ.get("KILN_KERNEL")
    if chosen:
        return Path(chosen)
    built = boot_rig.TOP / "build/kernel"
    boot_rig.run("cmake", "-S", boot_rig.TOP / "kernel-src", "-B", built, "-G", "Ninja")
    boot_rig.run("ninja", "-C", built, timeout=600)
    return built / "kiln.elf"


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    """A root with one static program; tests add what they need to copies of it."""
    folder = tmp_path_factory.mktemp("root")
    for name in ("bin", "etc/kiln", "srv"):
        (folder / name).mkdir(parents=True)
    source = tmp_path_factory.mktemp("source") / "show.c"
    source.write_text(PROGRAM)
    boot_rig.run("gcc", "-O1", "-static", "-o", folder / "bin/show", source)
    return folder
