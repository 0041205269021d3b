"""Bills of materials, provenance and licences: valid, complete, and the same each time."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import (
    _app,
    _bom,
    _cyclonedx,
    _image,
    _licences,
    _provenance,
    _spdx,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._bom import Bill, Part
from ansible_collections.kiln.unikernel.plugins.module_utils._disks import DiskSpec
from ansible_collections.kiln.unikernel.plugins.module_utils._image import FileItem, ImageSpec
from ansible_collections.kiln.unikernel.plugins.module_utils._licences import Licence
from ansible_collections.kiln.unikernel.plugins.module_utils._store import (
    KilnError,
    Store,
    digest_file,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._tree import Tree
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from .elves import make_elf, write_kernel

FREE = "This package was put together by hand.\nLicence: see the source.\n"
HEAD = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
MACHINE = (
    HEAD
    + """Upstream-Name: x

Files: *
Copyright: 2020 Somebody
License: GPL-2+ or Expat

Files: lib/*
Copyright: 2021 Somebody Else
License: BSD-3-clause and public-domain

License: GPL-2+
 A long text.
 .
 Its end.

License: public-domain
 Do what you want.
"""
)


def test_a_machine_readable_copyright_becomes_an_expression():
    found = _licences.licence_of("x", MACHINE)
    wanted = ["(GPL-2.0-or-later OR MIT)", "BSD-3-Clause", "LicenseRef-x-public-domain"]
    assert sorted(found.expression.split(" AND ")) == wanted
    assert found.texts == {"LicenseRef-x-public-domain": "Do what you want.\n"}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("GPL-2", "GPL-2.0-only"),
        ("GPL-3+", "GPL-3.0-or-later"),
        ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("GFDL-1.3", "GFDL-1.3-only"),
        ("AGPL-3", "AGPL-3.0-only"),
        ("Expat", "MIT"),
        ("apache-2.0", "Apache-2.0"),
        ("Artistic", "Artistic-1.0-Perl"),
        ("GPL-1+ or Artistic", "Artistic-1.0-Perl OR GPL-1.0-or-later"),
        ("BSD-2-clause, and ISC", "BSD-2-Clause AND ISC"),
        ("GPL-2+ with OpenSSL exception", "LicenseRef-x-GPL-2-with-OpenSSL-exception"),
        ("GPL-9", "LicenseRef-x-GPL-9"),
    ],
)
def test_debians_short_names(name, wanted):
    text = f"{HEAD}\n\nFiles: *\nLicense: {name}\n"
    assert _licences.licence_of("x", text).expression == wanted


@pytest.mark.parametrize("text", [FREE, "", HEAD])
def test_of_a_free_form_nothing_is_guessed(text):
    found = _licences.licence_of("lib+x", text)
    assert found.expression == "LicenseRef-lib-x"
    assert found.texts == {"LicenseRef-lib-x": text.strip() + "\n"}


BILL = Bill(
    "x",
    "ab" * 32,
    "cd" * 32,
    [
        Part("kernel", "kiln", "ef" * 32, "01" * 32, Licence("BSD-3-Clause")),
        Part(
            "package",
            "libstdc++6",
            "1:12.2.0-14+deb12u1",
            "23" * 32,
            _licences.licence_of("libstdc++6", MACHINE),
            _bom.purl("libstdc++6", "1:12.2.0-14+deb12u1"),
        ),
        Part("package", "unknown", "1"),
        Part("container", "oci", "sha256:" + "45" * 32, "45" * 32),
        Part("file", "/usr/bin/x", sha256="67" * 32),
        Part("file", "/srv/data", "89" * 32),
    ],
)


def test_the_cyclonedx_bill_is_valid_and_says_what_is_in_the_image():
    text = _cyclonedx.render(BILL)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    value = json.loads(text)
    assert value["serialNumber"] == f"urn:uuid:{BILL.identity}"
    assert value["metadata"]["timestamp"] == "1980-01-01T00:00:00+00:00"
    assert value["metadata"]["component"]["hashes"][0]["content"] == BILL.content
    found = {each["name"]: each for each in value["components"]}
    assert set(found) == {part.name for part in BILL.parts}
    assert found["libstdc++6"]["version"] == "1:12.2.0-14+deb12u1"
    assert found["libstdc++6"]["purl"].startswith("pkg:deb/debian/libstdc%2B%2B6@1")
    assert found["kiln"]["licenses"] == [{"expression": "BSD-3-Clause"}]
    assert found["kiln"]["hashes"][0]["content"] == "01" * 32


def test_the_spdx_bill_is_valid_and_says_what_is_in_the_image():
    text = _spdx.render(BILL)
    value = json.loads(text)
    assert validate_full_spdx_document(JsonLikeDictParser().parse(value)) == []
    assert value["creationInfo"]["created"] == "1980-01-01T00:00:00Z"
    found = {each["name"]: each for each in value["packages"]}
    assert set(found) == {"x", *(part.name for part in BILL.parts)}
    assert found["kiln"]["licenseDeclared"] == "BSD-3-Clause"
    assert "LicenseRef-libstdc-6-public-domain" in found["libstdc++6"]["licenseDeclared"]
    extracted = {
        each["licenseId"]: each["extractedText"] for each in value["hasExtractedLicensingInfos"]
    }
    assert extracted == {"LicenseRef-libstdc-6-public-domain": "Do what you want.\n"}


@pytest.mark.parametrize("render", [_cyclonedx.render, _spdx.render])
def test_a_bill_is_the_same_each_time_and_another_one_has_another_identity(render):
    assert render(BILL) == render(BILL)
    other = replace(BILL, content="ee" * 32)
    assert str(other.identity) in render(other)
    assert other.identity != BILL.identity


def test_packages_of_a_base_are_found_by_dpkgs_records(tmp_path):
    tree = Tree(tmp_path)
    for place, text in {
        "var/lib/dpkg/status": "Package: a\nStatus: install ok installed\nVersion: 1\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nVersion: 2\n",
        "var/lib/dpkg/status.d/b": "Package: b\nVersion: 3~x\n",
        "var/lib/dpkg/status.d/b.md5sums": "0  Package: c\n",
        "usr/share/doc/a/copyright": MACHINE,
    }.items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text)
    found = {part.name: part for part in _bom.installed(tree)}
    assert {name: part.version for name, part in found.items()} == {"a": "1", "b": "3~x"}
    assert "MIT" in found["a"].licence.expression
    assert found["b"].licence is None


def test_copyright_files_are_noted_whether_or_not_they_are_kept(tmp_path):
    tree = Tree(tmp_path)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content, target in (
            ("./usr/share/doc/a/copyright", b"text", None),
            ("./usr/share/doc/b", None, "a"),
            ("./usr/share/doc/c", None, "../../etc"),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(content or b"")
            if target:
                info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info, io.BytesIO(content or b""))
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        for info in archive:
            tree._note_copyright(archive, info)
    tree.settle_copyrights()
    assert tree.copyrights == {"a": "text", "b": "text"}


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "prog").write_bytes(make_elf())
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/x").write_text("x")
    return ImageSpec(
        app=_app.describe({"name": "x", "argv": ["/usr/bin/prog"]}),
        files=[
            FileItem("/usr/bin/prog", tmp_path / "prog"),
            FileItem("/srv", tmp_path / "folder"),
        ],
        disk=DiskSpec(write_kernel(tmp_path / "kernel"), ["raw", "vdi"]),
    )


def bake(spec, store):
    plan = _image.make_plan(spec, store, store)
    with _image.staged(plan, spec, store, store) as ready:
        _image.carry_out(plan, spec, store, ready)
    return store.folder("images", plan.digest)


def test_the_statement_names_files_inputs_and_builder(spec, store_path, tmp_path):
    folder = bake(spec, Store(store_path))
    value = json.loads((folder / "provenance.json").read_text())
    assert value["_type"] == "https://in-toto.io/Statement/v1"
    assert value["predicateType"] == "https://slsa.dev/provenance/v1"
    subjects = {each["name"]: each["digest"]["sha256"] for each in value["subject"]}
    assert set(subjects) == {"root.erofs", "disk.raw", "disk.vdi"}
    assert subjects == {name: digest_file(folder / name) for name in subjects}
    build = value["predicate"]["buildDefinition"]
    assert build["externalParameters"]["app"] == spec.app
    inputs = {each["name"]: each["digest"] for each in build["resolvedDependencies"]}
    assert inputs["/usr/bin/prog"] == {"sha256": digest_file(tmp_path / "prog")}
    assert inputs["kiln.elf"]["sha256"] == digest_file(spec.disk.kernel)
    assert set(inputs["/srv"]) == {"kilnTree"}
    run = value["predicate"]["runDetails"]
    assert run["builder"]["id"].endswith("/builder/v1")
    assert {each["name"] for each in run["byproducts"]} == {"sbom.cdx.json", "sbom.spdx.json"}


def test_two_bakes_have_the_same_papers(spec, tmp_path):
    one, two = (bake(spec, Store(tmp_path / name)) for name in ("one", "another place"))
    for name in ("sbom.cdx.json", "sbom.spdx.json", "provenance.json"):
        text = (one / name).read_text()
        assert text == (two / name).read_text()
        assert str(tmp_path) not in text, "no path of the machine that baked"


@pytest.mark.parametrize("bills", [(), ("spdx",)])
def test_bills_that_are_not_wanted_are_not_written_and_change_no_byte(spec, tmp_path, bills):
    whole, part = Store(tmp_path / "whole"), Store(tmp_path / "part")
    full, bare = bake(spec, whole), bake(replace(spec, sbom=bills), part)
    there = sorted(path.name for path in bare.glob("sbom.*"))
    assert there == [_bom.FILES[each] for each in bills]
    assert sorted(_provenance.check(bare)) == ["disk.raw", "disk.vdi", "root.erofs", *there]
    assert bare.name != full.name, "an image that lacks its bills is not taken for one with them"
    for name in ("root.erofs", "disk.raw"):
        assert digest_file(bare / name) == digest_file(full / name)
    assert not _image.make_plan(replace(spec, sbom=bills), part, part).changed


def test_a_library_that_is_missing_is_named_by_what_needs_it(monkeypatch):
    assert _bom.missing_libraries(_bom.FILES) == {}
    monkeypatch.setattr(_bom.importlib.util, "find_spec", lambda _name: None)
    assert _bom.missing_libraries(["spdx"]) == {"spdx": "spdx-tools"}
    assert _bom.missing_libraries([]) == {}


@pytest.mark.parametrize("name", ["root.erofs", "disk.raw", "sbom.cdx.json"])
def test_a_changed_file_does_not_pass_its_statement(spec, store_path, name):
    folder = bake(spec, Store(store_path))
    assert sorted(_provenance.check(folder)) == [
        "disk.raw", "disk.vdi", "root.erofs", "sbom.cdx.json", "sbom.spdx.json",
    ]  # fmt: skip
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(KilnError, match=rf"{name} is not the file that provenance\.json speaks of"):
        _provenance.check(folder)


def test_a_truncated_disk_does_not_pass_and_a_missing_one_is_no_offence(spec, store_path):
    folder = bake(spec, Store(store_path))
    (folder / "disk.vdi").unlink()
    assert "disk.vdi" not in _provenance.check(folder)
    with (folder / "disk.raw").open("r+b") as stream:
        stream.truncate(1 << 20)
    with pytest.raises(KilnError, match=r"disk\.raw is not the file that"):
        _provenance.check(folder)


def test_a_statement_that_is_none_and_one_without_its_files(spec, store_path, tmp_path):
    folder = bake(spec, Store(store_path))
    for name in ("root.erofs", "disk.raw", "disk.vdi"):
        (folder / name).unlink()
    with pytest.raises(KilnError, match="holds none of the files that its"):
        _provenance.check(folder)
    (folder / "provenance.json").write_text("{}")
    with pytest.raises(KilnError, match="is no in-toto statement of version 1"):
        _provenance.check(folder)
