#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# It may be combined with works under the GNU General Public License v3.0+, as Ansible is
# (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Bakes an application into an image."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image
short_description: Bake Debian packages and files into a Kiln image
version_added: 0.1.0
author: The Kiln authors (@kiln-unikernel)
description:
  - Unpacks Debian packages with their dependencies, unmodified and without root, adds files and
    folders, writes C(/etc/kiln/app.json), and packs all that into an EROFS image in the store.
  - The same inputs give the same bytes. An image that is in the store already is not baked again.
  - Everything is checked before anything is packed. The program that O(argv) names, the loader and
    every library that it is linked with must be in the image and made for x86-64.
  - Maintainer scripts never run. Dependencies that serve only a system that installs, logs in or
    starts other programs (Essential packages, adduser, debconf, perl-base and the like) are not
    followed; name such a package in O(packages) to have it.
requirements:
  - mkfs.erofs (Debian package erofs-utils), apt and dpkg-deb
  - jsonschema and pyelftools (Python libraries)
  - cyclonedx-python-lib and spdx-tools (Python libraries) as far as O(sbom) asks for them
extends_documentation_fragment:
  - kiln.unikernel.kiln
  - kiln.unikernel.kiln.changes
  - kiln.unikernel.app
  - kiln.unikernel.disk
  - kiln.unikernel.preflight
options:
  name:
    description: Name of the image; lower-case letters, digits, C(.), C(_) and C(-).
    type: str
    required: true
  state:
    description: Whether the image shall be there, or be taken out of the store with its name.
    type: str
    choices: [present, absent]
    default: present
  packages:
    description: Debian packages, from the machine's configured apt sources.
    type: list
    elements: str
    default: []
  oci:
    description:
      - A container image to bake as it is, in place of O(packages). What O(argv), O(env) and
        O(cwd) do not say is taken from its configuration, and each of its volumes becomes a
        O(mounts) entry that begins with a copy of what the image has there.
      - A program that is given by name only is looked for in the image's E(PATH).
    type: dict
    suboptions:
      src:
        description:
          - An OCI layout (a folder, or a tar archive), as skopeo and buildah write them, or what
            C(docker save) wrote.
        type: path
        required: true
      reference:
        description: Which image, when there are several; its tag, or its full name.
        type: str
      max_size:
        description: How many bytes its layers may have, unpacked.
        type: int
        default: 8589934592
  rootfs:
    description:
      - A folder with a root file system to bake as it is, in place of O(packages). Modes are kept;
        owners, device nodes and sockets are not.
    type: path
  files:
    description: Files and folders to add, in this order, over what the packages bring.
    type: list
    elements: dict
    default: []
    suboptions:
      dest:
        description: Absolute path in the image.
        type: str
        required: true
      src:
        description:
          - File or folder on the machine that bakes. Of a folder the content is copied.
          - Exactly one of this and O(files[].content) must be given.
        type: path
      content:
        description: The file's text.
        type: str
      mode:
        description:
          - Permissions in octal, as a string. Those of the source, or V(0644) for a text, when
            left out. Not for folders.
        type: str
  exclude:
    description:
      - Patterns of absolute paths that packages bring and that stay out, with all below them.
      - When left out, manuals, translations, service units, C(gconv) and the like; the list is in
        the collection's C(docs/image.md). Nothing with O(oci) and O(rootfs).
    type: list
    elements: str
  exclude_more:
    description: Patterns in addition to O(exclude).
    type: list
    elements: str
    default: []
  keep:
    description: Patterns of paths that stay in though O(exclude) names them.
    type: list
    elements: str
    default: ["/usr/share/doc/*/copyright"]
  compression:
    description:
      - Whether files are compressed in the image. V(lz4hc) packs tighter than V(lz4) and reads as
        fast.
    type: str
    choices: [none, lz4, lz4hc]
    default: none
  lock:
    description:
      - File that pins the packages by name, version and SHA-256.
      - It is written when it is not there. When it is, the bake is held to it, whatever newer
        versions the apt sources have, and fails when O(packages) is not what it was made for.
    type: path
  update_lock:
    description: Whether to settle the packages anew and write O(lock) again.
    type: bool
    default: false
seealso:
  - module: kiln.unikernel.image_info
  - module: kiln.unikernel.instance
"""

EXAMPLES = r"""
- name: Bake a program of one's own with what it needs of Debian
  kiln.unikernel.image:
    name: hello
    packages: [libc6]
    files:
      - src: build/hello
        dest: /usr/bin/hello
    argv: [/usr/bin/hello, --port, "8080"]

- name: Bake a container image as it is
  kiln.unikernel.image:
    name: web
    oci:
      src: web.oci.tar

- name: Bake redis for vSphere and for VirtualBox
  kiln.unikernel.image:
    name: redis
    packages: [redis-server]
    argv: [/usr/bin/redis-server, --bind, "*", --protected-mode, "no", --save, ""]
    formats: [ova]
    ova:
      profiles: [vsphere, virtualbox]
      memory: 128
    kernel: "{{ built.kernel }}"

- name: Bake a program that must not need what a guest has not
  kiln.unikernel.image:
    name: checked
    packages: [redis-server]
    argv: [/usr/bin/redis-server, --save, ""]
    preflight: fail
    preflight_allow: [fork, execve, /usr/lib/*]

- name: Bake redis as a disk for a cloud, held to the versions in a lock file
  kiln.unikernel.image:
    name: redis
    packages: [redis-server]
    argv: [/usr/bin/redis-server, --bind, "*", --protected-mode, "no", --save, ""]
    compression: lz4hc
    formats: [qcow2]
    kernel: "{{ built.kernel }}"
    lock: redis.lock.json
"""

RETURN = r"""
digest:
  description: SHA-256 of all inputs, the image's name in the store.
  type: str
  returned: when O(state=present)
  sample: 76d8a5bfd5f5a90d08d788ec0657ee7be5f3e8349d279e3c66756e036e3b1204
root:
  description: Path of the EROFS image. In check mode it may not be there yet.
  type: str
  returned: when O(state=present)
  sample: /home/user/.cache/kiln/images/76d8…/root.erofs
content_digest:
  description:
    - SHA-256 of the raw disk, which every other disk format carries; of the EROFS image when
      O(formats) asks for no disk.
    - Null when the image is not there yet.
  type: str
  returned: when O(state=present)
  sample: 0c5ecf2ea5a76ff4ea2b7d5a32a1f3b5a6b34dfb3f3f1f7bd94ae4db5d0f2f31
disk_layout:
  description:
    - What is where on the raw disk that every disk format carries. Offsets and sizes are in bytes.
    - Null when O(formats) asks for no disk, and when the image is not there yet.
  type: dict
  returned: when O(state=present)
  contains:
    guid:
      description: The disk's GUID.
      type: str
    size:
      description: Size of the disk.
      type: int
    partitions:
      description: Each with C(number), C(name), C(type) (a GUID), C(offset) and C(size).
      type: list
      elements: dict
    kernel:
      description: Where the kernel lies, C(offset) and C(size); both loaders read it from there.
      type: dict
    loaders:
      description:
        - The ways in. C(bios) has C(offset) and C(size) of the loader for BIOSes with the command
          line behind it, C(uefi) those of the file C(path) in the EFI system partition.
      type: dict
raw:
  description: Path of the raw disk.
  type: str
  returned: when O(formats) has V(raw)
qcow2:
  description: Path of the qcow2 disk.
  type: str
  returned: when O(formats) has V(qcow2)
vmdk:
  description: Path of the stream-optimized VMDK.
  type: str
  returned: when O(formats) has V(vmdk)
vdi:
  description: Path of the VDI.
  type: str
  returned: when O(formats) has V(vdi)
vhd:
  description: Path of the VHD.
  type: str
  returned: when O(formats) has V(vhd)
ova:
  description: Path of the OVA of each profile.
  type: dict
  returned: when O(formats) has V(ova)
  sample: {vsphere: /home/user/.cache/kiln/images/76d8…/vsphere.ova}
sbom:
  description:
    - Paths of the bills of materials, as CycloneDX 1.6 and as SPDX 2.3; those that O(sbom) names.
  type: dict
  returned: when O(state=present)
  sample:
    cyclonedx: /home/user/.cache/kiln/images/76d8…/sbom.cdx.json
    spdx: /home/user/.cache/kiln/images/76d8…/sbom.spdx.json
provenance:
  description:
    - Path of an in-toto statement with SLSA's provenance. It names inputs, digests and builder, and
      its subjects are the files of the image.
  type: str
  returned: when O(state=present)
preflight:
  description:
    - Each ELF file in the image, in the order of their paths.
    - The same report lies in C(preflight.json) beside the image.
  type: list
  elements: dict
  returned: when O(state=present) and unless O(preflight=off)
  contains:
    path:
      description: Where it is in the image.
      type: str
    role:
      description:
        - V(program) is what O(argv) runs, or the interpreter of that script; V(linked) is what it
          is linked with, directly or not; V(library) another library, which may be loaded while
          the program runs; V(other) another program, which a guest never starts.
      type: str
    linked:
      description: The libraries that it names itself.
      type: list
      elements: str
    missing:
      description:
        - Functions that lead to missing calls, those in O(preflight_allow) too; C(function),
          C(library) that it comes from (null for one inside a static program, empty when no
          library has it), C(calls).
      type: list
      elements: dict
    note:
      description: Why nothing can be told of it, if so.
      type: str
size:
  description: Size of the EROFS image in bytes, null when it is not there yet.
  type: int
  returned: when O(state=present)
  sample: 11534336
packages:
  description: What was unpacked.
  type: list
  elements: dict
  returned: when O(state=present)
  contains:
    name:
      description: The package's name.
      type: str
    version:
      description: Its version.
      type: str
    sha256:
      description: SHA-256 of its file.
      type: str
app:
  description: What C(/etc/kiln/app.json) says.
  type: dict
  returned: when O(state=present)
container:
  description: What the configuration of the container image says; null without O(oci).
  type: dict
  returned: when O(state=present)
  contains:
    digest:
      description: Digest of the configuration.
      type: str
    entrypoint:
      description: Its entrypoint.
      type: list
      elements: str
    cmd:
      description: Its command.
      type: list
      elements: str
    env:
      description: Its environment.
      type: dict
    cwd:
      description: Its working directory.
      type: str
    user:
      description: Its user, which a guest does not have; all runs as root there.
      type: str
    ports:
      description: Ports that it exposes, such as V(6379/tcp).
      type: list
      elements: str
    volumes:
      description: Its volumes.
      type: list
      elements: str
    labels:
      description: Its labels.
      type: dict
"""

from ansible_collections.kiln.unikernel.plugins.module_utils import (
    _app,
    _elf,
    _image,
    _image_module,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._image_options import ARGUMENT_SPEC
from ansible_collections.kiln.unikernel.plugins.module_utils._module import by_state, run_module


def main() -> None:
    """Runs the module."""
    run_module(
        by_state(_image.KIND, "image", _image_module.present),
        ARGUMENT_SPEC,
        {"jsonschema": _app.HAS_JSONSCHEMA, "pyelftools": _elf.HAS_ELFTOOLS},
        required_if=[("state", "present", ("argv", "oci"), True)],
    )


if __name__ == "__main__":
    main()
