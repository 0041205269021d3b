# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Writes OVF descriptors: the virtual machine that an image is meant for, as XML.

After DMTF's DSP0243, versions 1.1.0 (envelope 1, here called 1.0 as everywhere) and 2.1.1
(envelope 2). In envelope 2, disks are StorageItems and network adapters EthernetPortItems, as its
clause 8.3 has it. _ovf_rules holds what is written here against the specification.

Two profiles: `vsphere` (a paravirtual SCSI controller, VMXNET3) and `virtualbox` (AHCI, and e1000
or virtio-net). The same values give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from ansible_collections.kiln.unikernel.plugins.module_utils._sparse import comment
from ansible_collections.kiln.unikernel.plugins.module_utils._vmdk import FORMAT_URI

CIM = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_"
RASD = CIM + "ResourceAllocationSettingData"
VSSD = CIM + "VirtualSystemSettingData"
SASD = CIM + "StorageAllocationSettingData"
EPASD = CIM + "EthernetPortAllocationSettingData"
VMW = "http://www.vmware.com/schema/ovf"
ENVELOPE = {
    "1.0": "http://schemas.dmtf.org/ovf/envelope/1",
    "2.0": "http://schemas.dmtf.org/ovf/envelope/2",
}
NETWORK = "VM Network"

# CIM_ResourceAllocationSettingData.ResourceType
_CPU, _MEMORY, _SCSI, _ETHERNET, _DISK, _OTHER_STORAGE = 3, 4, 6, 10, 17, 20
# CIM_OperatingSystem.OSType: Linux 64-Bit. A Kiln guest runs Linux programs and takes its devices.
_OS_TYPE = 101


@dataclass(frozen=True)
class Profile:
    """The hardware of one kind of hypervisor."""

    system_type: str
    controller: tuple[int, str, str]  # ResourceType, ResourceSubType, name
    adapters: dict[str, str]  # our word → ResourceSubType; the first is the default
    firmware: bool  # whether VMware's own settings are said


PROFILES = {
    "vsphere": Profile(
        "vmx-10", (_SCSI, "VirtualSCSI", "SCSI controller 0"), {"vmxnet3": "VmxNet3"}, True
    ),
    "virtualbox": Profile(
        "virtualbox-2.2",
        (_OTHER_STORAGE, "AHCI", "SATA controller 0"),
        {"e1000": "E1000", "virtio": "VirtioNet"},
        False,
    ),
}


@dataclass(frozen=True)
class Machine:
    """The virtual machine to describe."""

    name: str
    profile: str
    version: str = "1.0"
    cpus: int = 1
    memory: int = 256  # MiB
    adapter: str | None = None  # the profile's default


@dataclass(frozen=True)
class DiskFile:
    """Its one disk: the file in the package, and what the guest sees."""

    name: str
    size: int
    capacity: int
    digest: str  # SHA-256 of the raw disk


def describe(machine: Machine, disk: DiskFile) -> bytes:
    """The descriptor's bytes."""
    spaces = {
        "ovf": ENVELOPE[machine.version],
        "rasd": RASD,
        "vssd": VSSD,
        **({"sasd": SASD, "epasd": EPASD} if machine.version == "2.0" else {}),
        "vmw": VMW,
    }
    declared = "".join(f" xmlns:{prefix}={quoteattr(uri)}" for prefix, uri in spaces.items())
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<Envelope xmlns={quoteattr(spaces["ovf"])}{declared} xml:lang="en-US">',
        *_indent(_references(disk)),
        *_indent(_disk_section(disk)),
        *_indent(_network_section()),
        *_indent(_system(machine, disk)),
        "</Envelope>",
    ]
    return ("\n".join(lines) + "\n").encode()


def _references(disk: DiskFile) -> list[str]:
    file = f'<File ovf:id="file1" ovf:href={quoteattr(disk.name)} ovf:size="{disk.size}"/>'
    return _element("References", [file])


def _disk_section(disk: DiskFile) -> list[str]:
    described = (
        f'<Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="{disk.capacity}"'
        f' ovf:capacityAllocationUnits="byte" ovf:format={quoteattr(FORMAT_URI)}/>'
    )
    return _element("DiskSection", ["<Info>The disks</Info>", described])


def _network_section() -> list[str]:
    network = _element(f"Network ovf:name={quoteattr(NETWORK)}", [_text("Description", NETWORK)])
    return _element("NetworkSection", ["<Info>The networks</Info>", *network])


def _system(machine: Machine, disk: DiskFile) -> list[str]:
    system = [
        "<Info>A Kiln guest</Info>",
        _text("Name", machine.name),
        *_element(
            f'OperatingSystemSection ovf:id="{_OS_TYPE}" vmw:osType="other3xLinux64Guest"',
            ["<Info>What runs in it</Info>", "<Description>Kiln</Description>"],
        ),
        *_hardware(machine),
        *_element(
            "AnnotationSection",
            ["<Info>What its disk holds</Info>", _text("Annotation", comment(disk.digest))],
        ),
    ]
    return _element(f"VirtualSystem ovf:id={quoteattr(machine.name)}", system)


def _hardware(machine: Machine) -> list[str]:
    profile = PROFILES[machine.profile]
    kind, subtype, name = profile.controller
    adapter = profile.adapters[machine.adapter or next(iter(profile.adapters))]
    second = machine.version == "2.0"
    system = _setting(
        "System",
        "vssd",
        ElementName="Virtual Hardware Family",
        InstanceID=0,
        VirtualSystemIdentifier=machine.name,
        VirtualSystemType=profile.system_type,
    )
    settings = ['<vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="bios"/>']
    return _element(
        "VirtualHardwareSection",
        [
            "<Info>The hardware</Info>",
            *system,
            *_item(1, _CPU, "CPUs", AllocationUnits="hertz * 10^6", VirtualQuantity=machine.cpus),
            *_item(
                2, _MEMORY, "Memory", AllocationUnits="byte * 2^20", VirtualQuantity=machine.memory
            ),
            *_item(3, kind, name, Address=0, ResourceSubType=subtype),
            *_item(
                4, _ETHERNET, "Network adapter 1",
                ("EthernetPortItem", "epasd") if second else None, AddressOnParent=7,
                AutomaticAllocation="true", Connection=NETWORK, ResourceSubType=adapter,
            ),
            *_item(
                5, _DISK, "Hard disk 1", ("StorageItem", "sasd") if second else None,
                AddressOnParent=0, HostResource="ovf:/disk/disk1", Parent=3,
            ),
            *(settings if profile.firmware else []),
        ],
    )  # fmt: skip


def _item(
    number: int, kind: int, name: str, element: tuple[str, str] | None = None, **rest: object
) -> list[str]:
    tag, prefix = element or ("Item", "rasd")
    return _setting(tag, prefix, ElementName=name, InstanceID=number, ResourceType=kind, **rest)


def _setting(tag: str, prefix: str, **values: object) -> list[str]:
    """An element of CIM settings; the schemas want them in the order of the alphabet."""
    inner = [_text(f"{prefix}:{key}", str(value)) for key, value in sorted(values.items())]
    return _element(tag, inner)


def _text(tag: str, text: str) -> str:
    return f"<{tag}>{escape(text)}</{tag}>"


def _element(opening: str, inner: Iterable[str]) -> list[str]:
    tag = opening.split(" ", 1)[0]
    return [f"<{opening}>", *_indent(inner), f"</{tag}>"]


def _indent(lines: Iterable[str]) -> list[str]:
    return ["  " + line for line in lines]
