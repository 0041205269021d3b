from __future__ import annotations

import json

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import _packages
from ansible_collections.kiln.unikernel.plugins.module_utils._packages import Lock, Package
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError


def record(name: str, depends: str = "", **more: str) -> dict[str, str]:
    return {"Package": name, "Version": "1", "SHA256": name * 2, "Depends": depends, **more}


class Archive:
    """Answers as apt would, from records at hand."""

    def __init__(self, *records: dict[str, str], provides: dict[str, list[str]] | None = None):
        self._records = {each["Package"]: each for each in records}
        self._provides = provides or {}

    def records(self, names):
        return {name: self._records[name] for name in names if name in self._records}

    def providers(self, name):
        return self._provides.get(name, [])


def names(lock: Lock) -> list[str]:
    return [package.name for package in lock.packages]


def test_the_closure_is_followed_and_sorted():
    archive = Archive(
        record("server", "tools (= 1), libc6 (>= 2.34)"),
        record("tools", "libssl3 (>= 3), libc6", **{"Pre-Depends": "libz:any"}),
        record("libssl3", "libc6"),
        record("libc6", "libgcc"),
        record("libgcc", "libc6"),
        record("libz"),
    )
    lock = _packages.resolve(archive, ["server"])
    assert names(lock) == ["libc6", "libgcc", "libssl3", "libz", "server", "tools"]
    assert lock.requested == ["server"]


def test_what_serves_a_system_is_not_followed_unless_named():
    archive = Archive(
        record("server", "adduser, bash, libc6, debconf (>= 0.5) | debconf-2.0"),
        record("adduser", "passwd"),
        record("bash", "libtinfo6", Essential="yes"),
        record("libtinfo6"),
        record("libc6"),
        record("debconf"),
    )
    assert names(_packages.resolve(archive, ["server"])) == ["libc6", "server"]
    with_bash = _packages.resolve(archive, ["server", "bash"])
    assert names(with_bash) == ["bash", "libc6", "libtinfo6", "server"]


def test_of_alternatives_the_first_that_exists_is_taken():
    archive = Archive(record("server", "gone | liba | libb"), record("liba"), record("libb"))
    assert names(_packages.resolve(archive, ["server"])) == ["liba", "server"]


def test_a_virtual_package_is_replaced_by_one_that_provides_it():
    archive = Archive(
        record("server", "libvirtual"), record("libreal"), provides={"libvirtual": ["libreal"]}
    )
    assert names(_packages.resolve(archive, ["server"])) == ["libreal", "server"]


@pytest.mark.parametrize("wanted", [["nosuch"], ["server"]])
def test_a_package_that_no_source_has_is_named(wanted):
    archive = Archive(record("server", "nosuch (>= 1) | neither"))
    with pytest.raises(KilnError, match="package nosuch"):
        _packages.resolve(archive, wanted)


def test_a_name_that_is_none_is_refused_before_apt_sees_it():
    with pytest.raises(KilnError, match="'--help' is not the name"):
        _packages.resolve(Archive(), ["--help"])


def test_a_lock_is_read_back_as_it_was_written(tmp_path):
    lock = Lock(["a"], [Package("a", "1", "f" * 64)])
    path = tmp_path / "lock.json"
    path.write_text(json.dumps(lock.as_json()))
    assert _packages.read_lock(path) == lock
    assert _packages.read_lock(tmp_path / "none") is None


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"version": 9}', '{"version": 1, "architecture": "amd64", "packages": [{}]}'],
)
def test_a_file_that_is_no_lock_is_named(tmp_path, text):
    path = tmp_path / "lock.json"
    path.write_text(text)
    with pytest.raises(KilnError, match=r"lock\.json is not a lock file"):
        _packages.read_lock(path)
