from __future__ import annotations

import re
import subprocess

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import _kernel
from ansible_collections.kiln.unikernel.plugins.module_utils._kernel import KernelSpec
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError, Store

CMAKE = """
cmake_minimum_required(VERSION 3.25)
project(stand_in LANGUAGES CXX)
option(KILN_DEBUG "" OFF)
add_executable(kiln.elf one.cc two.cc)
file(WRITE ${CMAKE_BINARY_DIR}/stage1.bin 1)
file(WRITE ${CMAKE_BINARY_DIR}/stage2.bin 2)
file(WRITE ${CMAKE_BINARY_DIR}/bootx64.efi 3)
"""


@pytest.fixture
def spec(tmp_path):
    """A project of two files that builds in a moment, in a folder with a blank in its name."""
    source = tmp_path / "kernel src"
    source.mkdir()
    (source / "CMakeLists.txt").write_text(CMAKE)
    (source / "one.cc").write_text("int two(); int main() { return two(); }\n")
    (source / "two.cc").write_text("int two() { return 2; }\n")
    return KernelSpec(source)


def build(spec, store) -> str:
    plan = _kernel.make_plan(spec, store)
    _kernel.carry_out(plan, spec, store)
    return plan.digest


def compiled(store: Store, digest: str) -> set[str]:
    log = (store.folder("kernels", digest) / "build.log").read_text()
    return set(re.findall(r"Building CXX object \S*/(\w+)\.cc\.o", log))


def test_a_plan_touches_nothing(spec, store_path):
    plan = _kernel.make_plan(spec, Store(store_path))
    assert plan.changed
    assert plan.before == {}
    assert plan.after["digest"] == plan.digest
    assert not store_path.exists()


def test_built_once_then_nothing_changes(spec, store_path):
    store = Store(store_path)
    digest = build(spec, store)
    assert compiled(store, digest) == {"one", "two"}
    assert not _kernel.make_plan(spec, store).changed
    assert (store_path / "last-kernel").read_text().strip().endswith(f"{digest}/kiln.elf")
    assert (store.folder("kernels", digest) / "stage1.bin").read_text() == "1"


def test_what_is_loaded_is_kept_apart_from_what_gdb_wants(spec, store_path):
    folder = Store(store_path).folder("kernels", build(spec, Store(store_path)))
    sections = {
        name: subprocess.run(
            ["readelf", "-SW", folder / name], check=True, capture_output=True, text=True
        ).stdout
        for name in ("kiln.elf", "kiln.debug")
    }
    assert ".symtab" in sections["kiln.debug"]
    assert ".symtab" not in sections["kiln.elf"]
    assert ".text" in sections["kiln.elf"]


def test_a_store_may_be_moved(spec, store_path):
    build(spec, Store(store_path))
    moved = store_path.rename(store_path.with_name("moved"))
    (spec.source / "two.cc").write_text("int two() { return 3; }\n")
    digest = build(spec, Store(moved))
    assert compiled(Store(moved), digest) == {"one", "two"}


def test_after_one_file_changed_only_that_is_compiled(spec, store_path):
    store = Store(store_path)
    first = build(spec, store)
    (spec.source / "two.cc").write_text("int two() { return 3; }\n")
    plan = _kernel.make_plan(spec, store)
    assert plan.build
    assert plan.before["files"]["one.cc"] == plan.after["files"]["one.cc"]
    assert plan.before["files"]["two.cc"] != plan.after["files"]["two.cc"]
    second = build(spec, store)
    assert second != first
    assert compiled(store, second) == {"two"}


def test_the_same_sources_elsewhere_are_the_same_kernel(spec, store_path, tmp_path):
    store = Store(store_path)
    build(spec, store)
    spec.source.rename(tmp_path / "moved")
    assert not _kernel.make_plan(KernelSpec(tmp_path / "moved"), store).changed


def test_tests_of_the_kernel_do_not_count(spec, store_path):
    before = _kernel.make_plan(spec, Store(store_path)).digest
    (spec.source / "tests").mkdir()
    (spec.source / "tests/x.cc").write_text("")
    assert _kernel.make_plan(spec, Store(store_path)).digest == before


def test_options_count(spec, store_path):
    plain = _kernel.make_plan(spec, Store(store_path)).digest
    debug = KernelSpec(spec.source, debug=True)
    assert _kernel.make_plan(debug, Store(store_path)).digest != plain


def test_what_does_not_compile_is_shown(spec, store_path):
    (spec.source / "two.cc").write_text("int two() { return nonsense; }\n")
    with pytest.raises(KilnError, match=r"(?s)does not build.*nonsense"):
        build(spec, Store(store_path))
    assert Store(store_path).names("kernels") == {}


def test_a_folder_without_sources_is_named(tmp_path):
    with pytest.raises(KilnError, match="holds no CMakeLists"):
        _kernel.make_plan(KernelSpec(tmp_path), Store(tmp_path))


def test_a_compiler_that_is_not_there_is_named(spec, store_path):
    with pytest.raises(KilnError, match="no-such-g"):
        _kernel.make_plan(KernelSpec(spec.source, compiler="no-such-g++"), Store(store_path))
