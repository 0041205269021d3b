"""OVA files: whole, lacking something, cut short, and held to manifests of several hands."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import _ova_read
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import PublishError

OVF = b"""<Envelope xmlns="urn:x" xmlns:ovf="urn:x"><References>
<File ovf:href="disk.vmdk"/></References><NetworkSection><Network ovf:name="LAN"/>
</NetworkSection></Envelope>"""
WHOLE = [("x.ovf", OVF), ("disk.vmdk", b"content")]


def lines(files, kind="sha256", spelling="{kind}({name})= {digest}\n"):
    return "".join(
        spelling.format(kind=kind.upper(), name=name, digest=hashlib.new(kind, data).hexdigest())
        for name, data in files
    )


def make(path, files, manifest=None):
    """An OVA; `manifest` is one of its own, or empty for none."""
    text = lines(files) if manifest is None else manifest
    if text:
        files = [*files, ("x.mf", text.encode())]
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def test_an_ova_is_read_whole(tmp_path):
    path = make(tmp_path / "x.ova", WHOLE)
    package = _ova_read.read(path)
    assert package.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert package.networks == ("LAN",)
    member = package.member("disk.vmdk")
    assert b"".join(package.content(member)) == b"content"
    path.write_bytes(path.read_bytes().replace(b"content", b"CONTENT"))
    with pytest.raises(PublishError, match="has changed while"):
        list(package.content(member))


@pytest.mark.parametrize("kind", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize(
    "spelling", ["{kind}({name})= {digest}\n", "{kind} ({name}) = {digest}\r\n"]
)
def test_manifests_of_other_hands_are_held_to(tmp_path, kind, spelling):
    text = lines(WHOLE, kind, spelling)
    found = _ova_read.read(make(tmp_path / "x.ova", WHOLE, text))
    assert found.member("disk.vmdk").digest == hashlib.sha256(b"content").hexdigest()
    bad = make(tmp_path / "y.ova", [WHOLE[0], ("disk.vmdk", b"CONTENT")], text)
    says = rf"disk.vmdk in .* does not have the digest that the manifest says \({kind.upper()}"
    with pytest.raises(PublishError, match=says):
        _ova_read.read(bad)
    with pytest.raises(PublishError, match=says):
        _ova_read.hold(_ova_read.outline(bad), manifest_needed=False)


def test_a_manifest_in_capital_digits(tmp_path):
    text = "".join(
        f"SHA1({name})= {hashlib.sha1(data).hexdigest().upper()}\n" for name, data in WHOLE
    )
    assert _ova_read.read(make(tmp_path / "x.ova", WHOLE, text)).networks == ("LAN",)


def test_a_manifest_may_be_missing_where_it_is_not_needed(tmp_path):
    found = _ova_read.outline(make(tmp_path / "x.ova", WHOLE, ""))
    assert [item.name for item in _ova_read.hold(found, manifest_needed=False)] == [
        "x.ovf",
        "disk.vmdk",
    ]
    with pytest.raises(PublishError, match=r"has no \.mf file"):
        _ova_read.hold(found)


@pytest.mark.parametrize(
    ("files", "manifest", "says"),
    [
        (WHOLE[:1], None, "has no file disk.vmdk"),
        (WHOLE[1:], None, "does not begin with an OVF descriptor"),
        ([("x.ovf", b"<a>"), WHOLE[1]], None, "is not XML"),
        (WHOLE, "hello\n", "cannot be understood: 'hello'"),
        (WHOLE, "MD5(x.ovf)= ab\n", "cannot be understood"),
        (WHOLE, lines(WHOLE[:1]), "does not name disk.vmdk"),
        (WHOLE, lines([*WHOLE, ("more.vmdk", b"")]), "names more.vmdk, which is not in it"),
    ],
)
def test_an_ova_that_lacks_something_is_refused(tmp_path, files, manifest, says):
    with pytest.raises(PublishError, match=says):
        _ova_read.read(make(tmp_path / "x.ova", files, manifest))


@pytest.mark.parametrize(
    ("keep", "says"), [(100, "is not an OVA"), (3000, "is cut short"), (-10240, "is cut short")]
)
def test_one_that_is_cut_short_is_refused(tmp_path, keep, says):
    # Full to the last block, so that the end mark has a record of its own.
    full = [WHOLE[0], ("disk.vmdk", b"c" * (5 * 10240 - 3 * 512 - 512 * 3))]
    path = make(tmp_path / "x.ova", full)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(PublishError, match=says):
        _ova_read.outline(path)


def test_a_folder_cannot_be_read(tmp_path):
    with pytest.raises(PublishError, match="cannot be read"):
        _ova_read.read(tmp_path)
