"""What is made for Java without a JVM: the key store, class paths, and where things go."""

from __future__ import annotations

import base64
import hashlib
import struct
import zipfile
from pathlib import Path

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import _java, _keystore
from ansible_collections.kiln.unikernel.plugins.module_utils._packages import Lock, Package
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError


def pem(data: bytes) -> str:
    text = base64.encodebytes(data).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"


def spec(**more) -> _java.JavaSpec:
    return _java.JavaSpec("web", ["openjdk-17-jre-headless"], ["openjdk-17-jdk-headless"], **more)


def test_a_key_store_is_read_as_it_was_written(tmp_path):
    (tmp_path / "b.crt").write_text(pem(b"second") + pem(b"third"))
    (tmp_path / "A.crt").write_text(pem(b"first"))
    data = _keystore.render(_keystore.certificates(tmp_path))
    magic, version, count = struct.unpack_from(">III", data)
    assert (magic, version, count) == (0xFEEDFEED, 2, 3)
    place, found = 12, []
    for _each in range(count):
        (tag, size), place = struct.unpack_from(">IH", data, place), place + 6
        alias, place = data[place : place + size].decode(), place + size + 8
        assert (tag, data[place + 2 : place + 7]) == (2, b"X.509")
        (size,), place = struct.unpack_from(">I", data, place + 7), place + 11
        found.append((alias, data[place : place + size]))
        place += size
    assert found == [("debian:a", b"first"), ("debian:b", b"second"), ("debian:b-1", b"third")]
    sealed = "changeit".encode("utf-16-be") + b"Mighty Aphrodite" + data[:place]
    assert data[place:] == hashlib.sha1(sealed).digest()


@pytest.mark.parametrize(
    ("folder", "cwd", "path"),
    [("/app", "/", "app/a.jar:app/b.jar"), ("/srv/lib", "/srv/work", "../lib/a.jar:../lib/b.jar")],
)
def test_the_class_path_is_relative(folder, cwd, path):
    made = spec(jar_folder=folder, cwd=cwd)
    assert _java.class_path(made, [Path("/x/a.jar"), Path("/y/b.jar")]) == path


def test_the_packages_runtime_needs_a_key_store_only():
    told = _java.placement(spec(), Path("/store/1"))
    assert told["files"] == [{"src": "/store/1/cacerts", "dest": "/etc/ssl/certs/java/cacerts"}]
    assert (told["home"], told["archive"]) == ("/usr/lib/jvm/java-17-openjdk-amd64", None)


def test_a_linked_runtime_brings_its_archive():
    made = spec(modules=["auto"], sources=[Path("Web.java")], jars=[Path("/lib/one.jar")])
    told = _java.placement(made, Path("/store/1"))
    assert [item["dest"] for item in told["files"]] == [
        "/etc/ssl/certs/java/cacerts", "/app/app.jar", "/app/one.jar", "/usr/lib/jvm/runtime",
        "/usr/lib/jvm/archive.jsa",
    ]  # fmt: skip
    assert told["class_path"] == "app/app.jar:app/one.jar"
    assert told["home"] == "/usr/lib/jvm/runtime"


def test_the_classes_of_jars(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.jar", "w") as archive:
        for name in ("b/C.class", "A.class", "module-info.class", "META-INF/versions/9/A.class"):
            archive.writestr(name, b"")
    assert _java._all_classes([tmp_path / "a.jar"]) == ["A", "b/C"]


def test_two_releases_of_java_are_refused():
    one = Lock(["a"], [Package("openjdk-17-jre-headless", "17.0.1", "0")])
    two = Lock(["a"], [Package("openjdk-17-jdk-headless", "17.0.2", "0")])
    _java._same_release(one, one)
    with pytest.raises(KilnError, match=r"17\.0\.1, 17\.0\.2"):
        _java._same_release(one, two)
