#!/usr/bin/python
# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
# Together with amazon.aws, which it imports, it runs under the
# GNU General Public License v3.0+ (https://www.gnu.org/licenses/gpl-3.0.txt).
"""Publishes a raw disk image to EC2."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ec2_image
short_description: Publish a raw disk image to EC2
version_added: 0.2.0
author: The Kiln authors (@kiln-unikernel)
description:
  - Makes an AMI of a raw disk image, and copies of it in other regions.
  - The disk's blocks go into a snapshot by the EBS direct API, only those that are not zero, many
    at a time, each with its SHA-256, and the whole with the aggregate over them. Nothing has to be
    installed in the account, no bucket and no role.
  - An image is found again by the tags C(kiln:name) and C(kiln:digest), the SHA-256 of its content,
    not by the AMI's name. What is there is not sent again.
  - A run that was interrupted goes on where it stopped. An AMI appears only when all its blocks are
    there and checked, with its tags.
extends_documentation_fragment:
  - kiln.unikernel.kiln
  - kiln.unikernel.kiln.changes
  - kiln.unikernel.ec2
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - kiln.unikernel.publish.removal
options:
  name:
    description:
      - What is published, such as V(redis). Versions of it share this name and differ in their
        content.
    type: str
    required: true
  state:
    description:
      - V(present) makes what is missing and changes what differs.
      - V(absent) deregisters the AMI of this content in all regions and deletes its snapshots.
    type: str
    choices: [present, absent]
    default: present
  path:
    description:
      - Path of the raw disk image, on the machine where the module runs. Holes are not read.
      - Required when O(state=present).
    type: path
  digest:
    description:
      - The content's digest, as this module returns it.
      - With O(state=absent) it stands for O(path). With O(state=present) the module fails when the
        image at O(path) has another one.
    type: str
  ami_name:
    description:
      - Name of the AMI. O(name), a dash and the first twelve digits of the digest when left out.
      - The module fails when an AMI of this name has another content.
    type: str
  description:
    description: The AMI's description. Left as it is when left out.
    type: str
  tags:
    description:
      - Tags of AMI and snapshot. Left as they are when left out. Those that begin with C(kiln:) are
        the module's own.
    type: dict
    aliases: [resource_tags]
  purge_tags:
    description: Whether tags that are not in O(tags) are taken away.
    type: bool
    default: true
  architecture:
    description: The CPU's architecture.
    type: str
    choices: [x86_64]
    default: x86_64
  boot_mode:
    description:
      - How the instance boots. Kiln's disks have loaders for all of these; the one for UEFI has not
        met EC2's firmware yet.
    type: str
    choices: [legacy-bios, uefi, uefi-preferred]
    default: legacy-bios
  ena:
    description: Whether the image has a driver for the Elastic Network Adapter.
    type: bool
    default: true
  imds:
    description: Whether instances demand a token for their metadata (IMDSv2).
    type: str
    choices: [required, optional]
    default: required
  tpm:
    description: Whether instances get a NitroTPM; needs O(boot_mode=uefi).
    type: bool
    default: false
  uefi_data:
    description: The UEFI variable store to begin with, in base 64.
    type: str
  volume_type:
    description:
      - Type of the root volume. It is mapped as C(/dev/xvda); Nitro instances show it as NVMe.
    type: str
    choices: [gp2, gp3, io1, io2, standard]
    default: gp3
  volume_size:
    description: Size of the root volume in GiB; that of the image, rounded up, when left out.
    type: int
  encrypted:
    description: Whether snapshot and volumes are encrypted. Implied by O(kms_keys).
    type: bool
    default: false
  kms_keys:
    description:
      - ARN of the KMS key for each region, by the region's name. The account's own key for EBS in
        regions that are not named.
    type: dict
    default: {}
  share:
    description: Who may launch the AMI, exactly. Left as it is when left out.
    type: dict
    suboptions:
      accounts:
        description: Account numbers.
        type: list
        elements: str
        default: []
      organizations:
        description: ARNs of organisations.
        type: list
        elements: str
        default: []
      organizational_units:
        description: ARNs of organisational units.
        type: list
        elements: str
        default: []
      public:
        description: Whether everybody may.
        type: bool
        default: false
  deprecate_at:
    description:
      - When the AMI becomes deprecated, such as V(2027-06-30T12:00:00Z); kept to the minute.
      - Empty takes a deprecation back. Left as it is when left out.
    type: str
  method:
    description:
      - V(direct) writes blocks by the EBS direct API.
      - V(import_snapshot) sends the whole disk to O(bucket) and lets EC2 import it, where the
        direct API is not allowed.
    type: str
    choices: [direct, import_snapshot]
    default: direct
  bucket:
    description: S3 bucket for O(method=import_snapshot). The object is deleted afterwards.
    type: str
  role_name:
    description: IAM role that EC2 reads the bucket with.
    type: str
    default: vmimport
  parallel:
    description: How many blocks are under way at a time. Each takes half a MiB of memory.
    type: int
    default: 16
  force:
    description: Whether O(state=absent) removes an AMI that a channel names.
    type: bool
    default: false
seealso:
  - module: kiln.unikernel.ec2_image_info
  - module: kiln.unikernel.image
"""

EXAMPLES = r"""
- name: Publish redis, and copies for two more regions
  kiln.unikernel.ec2_image:
    name: redis
    path: "{{ image_path }}"
    region: eu-central-1
    regions: [eu-west-1, us-east-1]
    description: Redis on Kiln
    tags: {team: data}
    share:
      accounts: ["210987654321"]

- name: Take that content away again, everywhere
  kiln.unikernel.ec2_image:
    name: redis
    path: "{{ image_path }}"
    region: eu-central-1
    regions: [eu-west-1, us-east-1]
    state: absent
"""

RETURN = r"""
digest:
  description: SHA-256 of the content.
  type: str
  returned: always
images:
  description: The AMIs of this content, the main region's first; in check mode those there are now.
  type: list
  elements: dict
  returned: always
  contains:
    region:
      description: Its region.
      type: str
    image_id:
      description: Its identifier.
      type: str
    snapshot_id:
      description: The snapshot of its root volume.
      type: str
    ami_name:
      description: Its name.
      type: str
image_id:
  description: The main region's AMI; empty when there is none.
  type: str
  returned: always
published:
  description: Whether all regions have it; in check mode whether they have it now.
  type: bool
  returned: always
steps:
  description: What was done, or in check mode would be.
  type: list
  elements: str
  returned: always
data_bytes:
  description: Size of the blocks that are not zero.
  type: int
  returned: when O(path) is given
"""

from pathlib import Path
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.kiln.unikernel.plugins.module_utils import (
    _blocks,
    _channels,
    _ec2_channels,
    _ec2_images,
    _ec2_import,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._ec2 import Cloud
from ansible_collections.kiln.unikernel.plugins.module_utils._ec2_module import (
    regions_of,
    run_ec2_module,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._ec2_options import (
    IMAGE_SPEC,
    wanted_of,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._ec2_steps import Publisher, Remover
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import PublishError, result_of
from ansible_collections.kiln.unikernel.plugins.module_utils._store import Store


def present(module: AnsibleAWSModule, cloud: Cloud) -> dict[str, Any]:
    """Publishes."""
    params = module.params
    image = _blocks.scan(Path(params["path"]).absolute())
    if params["digest"] not in (None, image.digest):
        raise PublishError(
            f"{image.path} has the digest {image.digest}, not {params['digest']}; it was changed, "
            "or it is another image."
        )
    wanted = wanted_of(params, image)
    regions = regions_of(module, cloud)
    bucket = None
    if params["method"] == "import_snapshot":
        bucket = _ec2_import.Bucket(params["bucket"], role=params["role_name"])
        _ec2_import.check_bucket(cloud, cloud.region, bucket)
    found = _ec2_images.observe(cloud, regions, wanted.identity())
    _ec2_images.check_names(cloud, regions, wanted)
    plan = _ec2_images.plan_present(found, wanted, cloud.region, params["method"])
    store = Store(params["store"])
    if plan.changed and not module.check_mode:
        work = Publisher(
            cloud, wanted, found, image, store.path / "publish/ec2", params["parallel"], bucket
        )
        with store.lock(f"ec2-{wanted.name}-{image.digest[:16]}"):
            work.run(plan)
        found = _ec2_images.observe(cloud, regions, wanted.identity())
    return result_of(
        f"ec2_image {wanted.name}",
        plan,
        digest=image.digest,
        data_bytes=image.bytes_of_data,
        **images(found),
    )


def absent(module: AnsibleAWSModule, cloud: Cloud) -> dict[str, Any]:
    """Removes."""
    params = module.params
    digest = params["digest"] or _blocks.scan(Path(params["path"]).absolute()).digest
    identity = {_ec2_images.NAME_TAG: params["name"], _ec2_images.DIGEST_TAG: digest}
    regions = regions_of(module, cloud)
    found = _ec2_images.observe(cloud, regions, identity)
    channels = _ec2_channels.names_by_image(cloud, regions) if not params["force"] else {}
    channels = _channels.without(channels, params["ignore_channels"])
    plan = _ec2_images.plan_absent(found, channels, params["force"])
    if not module.check_mode:
        Remover(cloud).run(plan)
        found = {region: _ec2_images.Found(region) for region in regions}
    return result_of(f"ec2_image {params['name']}", plan, digest=digest, **images(found))


def images(found: dict[str, _ec2_images.Found]) -> dict[str, Any]:
    """The AMIs, for the result."""
    listed = [
        {
            "region": region,
            "image_id": item.image["ImageId"],
            "snapshot_id": _ec2_images.root_snapshot(item.image),
            "ami_name": item.image["Name"],
        }
        for region, item in found.items()
        if item.image
    ]
    main = next(iter(found))
    first = [item["image_id"] for item in listed if item["region"] == main]
    return {
        "images": listed,
        "image_id": first[0] if first else "",
        "published": len(listed) == len(found),
    }


def body(module: AnsibleAWSModule, cloud: Cloud) -> dict[str, Any]:
    """Plans, and carries the plan out unless in check mode."""
    return present(module, cloud) if module.params["state"] == "present" else absent(module, cloud)


def main() -> None:
    """Runs the module."""
    run_ec2_module(
        body,
        IMAGE_SPEC,
        required_if=[
            ("state", "present", ("path",)),
            ("state", "absent", ("path", "digest"), True),
            ("method", "import_snapshot", ("bucket",)),
        ],
    )


if __name__ == "__main__":
    main()
