"""OVF descriptors and OVA files: order, references, digests; what is wrong is named."""

from __future__ import annotations

import hashlib
import re
import tarfile

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import (
    _image_options,
    _ova,
    _ovf,
    _ovf_rules,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._ovf import DiskFile, Machine
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError

DISK = DiskFile("x-disk1.vmdk", 1000, 5 << 20, "ab" * 32)
FILES = {DISK.name: DISK.size}
KINDS = [
    (profile, version, adapter)
    for profile, described in _ovf.PROFILES.items()
    for version in _ovf.ENVELOPE
    for adapter in (None, *described.adapters)
]


def describe(profile="vsphere", version="1.0", adapter=None, **rest):
    return _ovf.describe(Machine("x", profile, version, adapter=adapter, **rest), DISK)


@pytest.mark.parametrize(("profile", "version", "adapter"), KINDS)
def test_every_descriptor_keeps_the_rules(profile, version, adapter):
    assert _ovf_rules.check(describe(profile, version, adapter), FILES) == []


def test_the_hardware_of_the_profiles():
    vsphere = describe(memory=64, cpus=2).decode()
    assert "<rasd:ResourceSubType>VirtualSCSI</rasd:ResourceSubType>" in vsphere
    assert "<rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType>" in vsphere
    assert "<rasd:VirtualQuantity>64</rasd:VirtualQuantity>" in vsphere
    box = describe("virtualbox", "2.0", "virtio").decode()
    assert "<rasd:ResourceSubType>AHCI</rasd:ResourceSubType>" in box
    assert "<epasd:ResourceSubType>VirtioNet</epasd:ResourceSubType>" in box
    assert "<sasd:HostResource>ovf:/disk/disk1</sasd:HostResource>" in box
    assert 'xmlns="http://schemas.dmtf.org/ovf/envelope/2"' in box
    assert "E1000" in describe("virtualbox").decode()


def test_a_name_is_text_and_never_markup():
    text = _ovf.describe(Machine('a<b&"c', "vsphere"), DISK)
    assert _ovf_rules.check(text, FILES) == []
    assert b"<Name>a&lt;b&amp;" in text


def swap(text, one, two):
    """Two neighbours change places."""
    first, second = (re.search(rb" *<%b[ >].*?</%b>\n" % (n, n), text, re.S)[0] for n in (one, two))
    assert first + second in text
    return text.replace(first + second, second + first)


def edit(old, new, count=-1):
    def apply(text):
        assert old in text
        return text.replace(old, new, count)

    return apply


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda t: t[:-20], "not well-formed XML"),
        (edit(b"envelope/1", b"envelope/9"), "not Envelope of a known version (DSP0243, 7.1)"),
        (lambda t: swap(t, b"References", b"DiskSection"), "must hold References, sections, the"),
        (lambda t: swap(t, b"NetworkSection", b"VirtualSystem"), "in this order (DSP0243, 7.1"),
        (edit(b"<Info>The disks</Info>", b""), "DiskSection does not begin with Info"),
        (edit(b"<Info>A Kiln guest</Info>", b""), "must hold Info, Name, then sections"),
        (edit(b'href="x-disk1', b'href="y-disk1'), "File refers to y-disk1.vmdk, which is not in"),
        (edit(b'href="x-disk1', b'href="y-disk1'), "holds x-disk1.vmdk, to which no File refers"),
        (edit(b'size="1000"', b'size="999"'), "says that x-disk1.vmdk has 999 bytes, but it has"),
        (edit(b'<File ovf:id="file1"', b"<File"), "File has no attribute ovf:id (DSP0243, 7.1)"),
        (edit(b'fileRef="file1"', b'fileRef="file2"'), 'refers to the File "file2", which is not'),
        (edit(b'capacity="5242880"', b'capacity="5M"'), 'the capacity "5M" of a Disk is no number'),
        (edit(b"ovf:format=", b"ovf:shape="), "a Disk has no ovf:format (DSP0243, 9.1)"),
        (edit(b'Network ovf:name="VM', b'Network ovf:name="Other'), 'names "VM Network", which is'),
        (edit(b"<Info>The hardware</Info>", b""), "VirtualHardwareSection does not begin with"),
        (edit(b'ovf:id="101"', b'ovf:id="Linux"'), "no number as ovf:id (DSP0243, 9.9)"),
        (edit(b"InstanceID>5<", b"InstanceID>4<"), "2 items have the InstanceID 4"),
        (edit(b"Parent>3<", b"Parent>9<"), "an item's Parent is 9, which no item is"),
        (edit(b"ovf:/disk/disk1", b"ovf:/disk/disk2"), "HostResource is ovf:/disk/disk2, which"),
        (edit(b"<rasd:ResourceType>4</rasd:ResourceType>", b""), "Item has no ResourceType"),
        (
            edit(b"<rasd:ElementName>CPUs</rasd:ElementName>", b""),
            "Item has no ElementName (DSP0243, 8.3)",
        ),
        (
            lambda t: swap(t, b"rasd:ElementName", b"rasd:InstanceID"),
            "settings of Item are not in their schema's order",
        ),
        (edit(b"<Annotation>", b"<ovf:Other/><Annotation>"), "holds Other, which it has no place"),
        (edit(b"<Info>The disks<", b"<Info>a</Info><Info>The disks<"), "DiskSection holds 2 Info"),
        (edit(b"Annotation>", b"Remark>"), "AnnotationSection has no Annotation"),
        (edit(b"rasd:Address>", b"rasd:Adress>"), "Item holds Adress, which is no setting of it"),
        (
            edit(b"<rasd:Parent>3<", b"<rasd:Parent>3</rasd:Parent><rasd:Parent>3<"),
            "Item holds 2 Parent",
        ),
        (edit(b"vssd:VirtualSystemType>", b"vssd:Kind>"), "System holds Kind, which is no setting"),
        (edit(b"<Name>x<", b"<Name>x</Name><Name>x<"), "holds Info or Name more than once"),
        (edit(b"DiskSection>", b"DiscSection>"), "must hold References, sections, the"),
        (
            edit(b"<VirtualHardwareSection>", b"<AnnotationSection>", 1),
            "not well-formed",
        ),
    ],
)
def test_an_offence_is_named_with_its_clause(spoil, said):
    offences = _ovf_rules.check(spoil(describe()), FILES)
    print(offences)
    assert any(said in offence and "(DSP0243" in offence for offence in offences)


def test_adapters_come_before_disks_in_the_second_envelope():
    """As DMTF's schema 2.0.1 has it."""
    text = swap(describe(version="2.0"), b"EthernetPortItem", b"StorageItem")
    offences = _ovf_rules.check(text, FILES)
    assert any("VirtualHardwareSection must hold Info, System, Item" in each for each in offences)


def test_items_of_the_second_envelope_are_not_for_the_first():
    text = describe(version="2.0").replace(b"envelope/2", b"envelope/1")
    assert any("are of envelope 2" in offence for offence in _ovf_rules.check(text, FILES))


def pack(folder, name="x.ova", schemas=(), **rest):
    content = folder / "content"
    content.write_bytes(b"disk" * 250)
    machine = Machine("x", rest.pop("profile", "vsphere"), **rest)
    _ova.write_ova(folder / name, machine, DISK, content, schemas)
    return folder / name


def test_an_archive_holds_descriptor_manifest_and_disk_in_this_order(tmp_path):
    with tarfile.open(pack(tmp_path)) as archive:
        members = archive.getmembers()
        texts = {each.name: archive.extractfile(each).read() for each in members}
    assert [each.name for each in members] == ["x.ovf", "x.mf", "x-disk1.vmdk"]
    assert {(each.uid, each.gid, each.mode, each.mtime) for each in members} == {
        (0, 0, 0o644, 315532800)
    }
    lines = texts["x.mf"].decode().splitlines()
    assert lines == [
        f"SHA256({name})= {hashlib.sha256(texts[name]).hexdigest()}"
        for name in ("x.ovf", "x-disk1.vmdk")
    ]


def test_the_archive_is_ustar_and_the_same_each_time(tmp_path):
    data = pack(tmp_path).read_bytes()
    assert data[257:265] == b"ustar\x0000"
    assert pack(tmp_path, "again.ova").read_bytes() == data


def test_a_descriptor_that_breaks_a_rule_is_not_packed(tmp_path, monkeypatch):
    good = _ovf.describe
    monkeypatch.setattr(_ovf, "describe", lambda *a: good(*a).replace(b"file1", b"file2", 1))
    with pytest.raises(KilnError, match='not valid: a Disk refers to the File "file1"'):
        pack(tmp_path)
    assert not (tmp_path / "x.ova").exists()


# A schema in miniature, in two files; the import names a host that must never be asked.
ENVELOPE_XSD = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:v="urn:v"
 targetNamespace="http://schemas.dmtf.org/ovf/envelope/1" elementFormDefault="qualified">
 <xs:import namespace="urn:v" schemaLocation="http://192.0.2.1/never-asked.xsd"/>
 <xs:element name="Envelope"><xs:complexType><xs:sequence>
  <xs:element name="References"/><xs:any {} minOccurs="0" maxOccurs="unbounded"
   processContents="skip"/></xs:sequence><xs:attributeGroup ref="v:all"/>
 </xs:complexType></xs:element></xs:schema>"""
OTHER_XSD = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:v">
 <xs:attributeGroup name="all"><xs:anyAttribute processContents="skip"/></xs:attributeGroup>
</xs:schema>"""


@pytest.fixture
def schemas(tmp_path):
    folder = tmp_path / "sche mas"
    folder.mkdir()
    (folder / "envelope.xsd").write_text(ENVELOPE_XSD.format('namespace="##targetNamespace"'))
    (folder / "other.xsd").write_text(OTHER_XSD)
    (folder / "unrelated.xsd").write_text(OTHER_XSD.replace("urn:v", "urn:w"))
    return folder


def test_schemas_that_a_user_gives_are_used_and_nothing_is_fetched(tmp_path, schemas):
    pack(tmp_path, schemas=_image_options.schemas([str(schemas)]))
    (schemas / "envelope.xsd").write_text(ENVELOPE_XSD.format('namespace="urn:none"'))
    with pytest.raises(KilnError, match=r"descriptor is not valid by .*envelope\.xsd: Unexpected"):
        pack(tmp_path, "bad.ova", schemas=_image_options.schemas([str(schemas)]))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: (f / "other.xsd").unlink(), "The files in ovf_schema cannot be used: "),
        (
            lambda f: (f / "envelope.xsd").unlink(),
            "None of the files in ovf_schema is for",
        ),
        (
            lambda f: (f / "other.xsd").write_text("<xs:sch"),
            "other.xsd of ovf_schema cannot be",
        ),
    ],
)
def test_schemas_that_cannot_be_used_are_named(tmp_path, schemas, spoil, said):
    spoil(schemas)
    with pytest.raises(KilnError, match=re.escape(said)):
        pack(tmp_path, schemas=_image_options.schemas([str(schemas)]))


def test_the_descriptor_of_a_packed_file_can_be_read_back(tmp_path):
    assert _ova.read_descriptor(pack(tmp_path)) == describe()
    with tarfile.open(tmp_path / "other.tar", "w") as archive:
        archive.add(tmp_path / "content", "content")
    with pytest.raises(KilnError, match="does not begin with an OVF descriptor"):
        _ova.read_descriptor(tmp_path / "other.tar")


def machines(**ova):
    return _image_options.machines({"name": "x", "ova": ova})


def test_options_become_machines():
    assert machines() == (Machine("x", "vsphere"),)
    both = machines(profiles=["virtualbox", "vsphere"], network_adapter="virtio")
    assert [machine.adapter for machine in both] == ["virtio", None]
    assert machines(profiles=["virtualbox", "vsphere"], memory=64, ovf_version="2.0") == (
        Machine("x", "virtualbox", "2.0", 1, 64),
        Machine("x", "vsphere", "2.0", 1, 64),
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"network_adapter": "e1000"},
            "no profile asked for has the network adapter e1000: vsphere has vmxnet3",
        ),
        ({"cpus": 0}, "at least one of `cpus`"),
        ({"memory": 2}, "`memory` of 4 MiB or more"),
    ],
)
def test_an_impossible_machine_is_refused(options, said):
    with pytest.raises(KilnError, match=re.escape(said)):
        machines(**options)


def test_a_disk_of_another_size_than_was_said_is_not_packed(tmp_path):
    (tmp_path / "content").write_bytes(b"short")
    with pytest.raises(KilnError, match=r"says that x-disk1\.vmdk has 1000 bytes, but it has 5"):
        _ova.write_ova(tmp_path / "x.ova", Machine("x", "vsphere"), DISK, tmp_path / "content")
