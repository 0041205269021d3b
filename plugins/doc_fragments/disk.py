# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The documentation of the disks that an image can be had as."""

from __future__ import annotations


class ModuleDocFragment:
    """One fragment, for modules that make disks."""

    DOCUMENTATION = r"""
options:
  formats:
    description:
      - V(erofs) is the root alone, booted with the kernel beside it; it is always made.
      - The others are whole disks with boot loaders and kernel, which BIOSes and UEFI boot; all
        are made from the V(raw) one, convert back to it bit by bit, and carry its SHA-256.
      - V(vmdk) is stream-optimized, V(vdi) and V(vhd) are allocated dynamically.
      - V(ova) is such a VMDK with the description of a virtual machine; see O(ova).
    type: list
    elements: str
    choices: [erofs, raw, qcow2, vmdk, vdi, vhd, ova]
    default: [erofs]
  kernel:
    description: Path of C(kiln.elf); needed for every format but V(erofs).
    type: path
  cmdline:
    description: The kernel's command line on disks.
    type: str
    default: ""
  data_size:
    description: Size in bytes of an empty partition at the end of disks; none when V(0).
    type: int
    default: 0
  ova:
    description: The virtual machines that OVA files describe.
    type: dict
    default: {}
    suboptions:
      profiles:
        description:
          - One OVA is made for each. V(vsphere) has a paravirtual SCSI controller and VMXNET3,
            V(virtualbox) has AHCI, and e1000 or virtio-net.
        type: list
        elements: str
        choices: [vsphere, virtualbox]
        default: [vsphere]
      ovf_version:
        description: Version of the OVF envelope; V(2.0) is the one of OVF 2.x.
        type: str
        choices: ["1.0", "2.0"]
        default: "1.0"
      cpus:
        description: How many CPUs the machine has.
        type: int
        default: 1
      memory:
        description: Its memory in MiB.
        type: int
        default: 256
      network_adapter:
        description:
          - Its network adapter, for those profiles that have it; the first one of the profile
            otherwise.
        type: str
        choices: [vmxnet3, e1000, virtio]
  ovf_schema:
    description:
      - DMTF's XML schema files (DSP8023 and what it imports), or folders with them, to hold OVF
        descriptors against. They are checked against the rules of DSP0243 in any case.
      - Needs the Python library xmlschema.
    type: list
    elements: path
    default: []
"""
