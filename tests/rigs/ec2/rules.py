"""What the strict server refuses: each rule with the operation and page it comes from.

`says` is the rule in our words; the page holds the sentence. `refuse` is the only way to refuse, so
that a rule without a name cannot exist, and test_rules.py proves that each one has its test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from moto.core.exceptions import ServiceException

EBS = "ebs/latest/APIReference"
EBS_GUIDE = "ebs/latest/userguide"
EC2 = "AWSEC2/latest/APIReference"


@dataclass(frozen=True)
class Rule:
    """One sentence of the reference: the error it ends in and where it is written."""

    code: str
    page: str
    says: str


class Refusal(ServiceException):
    """A refusal; the EBS errors' member `Reason` goes along where the rule has one."""

    def __init__(self, code: str, message: str, reason: str | None) -> None:
        super().__init__(code, message)
        self.Message = message
        if reason:
            self.Reason = reason


RULES: dict[str, Rule] = {}


def rule(name: str, code: str, page: str, says: str) -> None:
    """Enters a rule."""
    if name in RULES:
        raise ValueError(f"the rule {name} is there already")
    RULES[name] = Rule(code, page, says)


def refuse(name: str, reason: str | None = None, /, **facts: Any) -> NoReturn:
    """Ends the request as the rule says."""
    found = RULES[name]
    told = ", ".join(f"{key}={value}" for key, value in facts.items())
    message = f"{found.says} [{name}{': ' + told if told else ''}]"
    raise Refusal(found.code, message, reason)


def table(text: str, folder: str) -> None:
    """Enters rules: a page's name on a line, below it and indented `name code: says`."""
    page = ""
    for line in text.strip("\n").splitlines():
        if not line.startswith(" "):
            page = line
            continue
        head, _, says = line.partition(":")
        name, code = head.split()
        rule(name, code, f"{folder}/{page}.html", says.strip())


table(
    """
API_StartSnapshot
  start-size ValidationException: VolumeSize is 1 to 65536 GiB.
  start-parent ValidationException: ParentSnapshotId and Encrypted exclude each other.
  start-key ValidationException: A KMS key must exist and be usable by the caller.
  start-key-alone ValidationException: KmsKeyArn goes with Encrypted.
  start-conflict ConflictException: A token is not used again with other parameters.
API_PutSnapshotBlock
  put-missing ResourceNotFoundException: The snapshot must exist.
  put-state ValidationException: The snapshot must be pending.
  put-index ValidationException: The block must lie within the volume.
  put-length ValidationException: A block has 524288 bytes, and DataLength says so.
  put-algorithm ValidationException: The algorithm of checksums is SHA256.
  put-checksum ValidationException: The checksum must be that of the block.
API_CompleteSnapshot
  complete-missing ResourceNotFoundException: The snapshot must exist.
  complete-state ValidationException: Only a pending snapshot can be completed.
  complete-count ValidationException: ChangedBlocksCount is the number of blocks written.
  complete-method ValidationException: A checksum comes with SHA256 and LINEAR.
  complete-checksum ValidationException: The aggregate is over the checksums in ascending order.
API_ListSnapshotBlocks
  list-missing ResourceNotFoundException: The snapshot must exist.
API_GetSnapshotBlock
  get-block ResourceNotFoundException: The block must have been written.
  get-token ValidationException: The block token is the one that was listed.
""",
    EBS,
)
table(
    """
ebs-direct-api-idempotency
  start-token ValidationException: A client token has at most 64 ASCII characters.
ebsapi-faq
  list-pending ValidationException: Only a completed snapshot can be read.
""",
    EBS_GUIDE,
)
table(
    """
API_RegisterImage
  image-name InvalidAMIName.Malformed: A name has 3 to 128 letters, digits, or of ()[] ./-'@_
  image-duplicate InvalidAMIName.Duplicate: A name is used once in a region and account.
  image-boot-mode InvalidParameterValue: BootMode is legacy-bios, uefi or uefi-preferred.
  image-arch InvalidParameterValue: The architecture is one of the listed ones.
  image-imds InvalidParameterValue: ImdsSupport has one value, v2.0.
  image-tpm InvalidParameterCombination: NitroTPM needs the boot mode uefi.
  image-ena InvalidParameterCombination: Enhanced networking is for hvm images only.
  image-root InvalidBlockDeviceMapping: The root device must be among the mapped ones.
  image-snapshot InvalidSnapshot.NotFound: The snapshot must exist.
  image-pending IncorrectState: The snapshot must be completed.
  image-tags InvalidParameterValue: Tags are for the types image and snapshot.
API_EbsBlockDevice
  image-volume InvalidBlockDeviceMapping: A volume is not smaller than its snapshot.
API_DescribeImages
  image-missing InvalidAMIID.NotFound: The image must exist.
API_DeregisterImage
  image-gone InvalidAMIID.Unavailable: The image is deregistered already.
API_CopyImage
  copy-source InvalidAMIID.NotFound: The source must exist in the source region.
  copy-state InvalidParameterValue: The source must be available.
  copy-key InvalidParameterValue: A KMS key must exist, and goes with Encrypted.
errors-overview
  token-conflict IdempotentParameterMismatch: A token is not used again with other parameters.
API_ModifyImageAttribute
  permission-account InvalidAMIAttributeItemValue: An account is 12 digits.
  permission-arn InvalidAMIAttributeItemValue: An organisation is given by its ARN.
  attribute-one InvalidParameterCombination: One attribute is changed at a time.
API_EnableImageBlockPublicAccess
  permission-public OperationNotPermitted: Nothing is shared publicly while that is blocked.
API_DescribeImageAttribute
  attribute-name InvalidRequest: The attribute is one of the listed ones.
API_EnableImageDeprecation
  deprecate-past InvalidParameterValue: The time lies in the future, by ten years at most.
API_DeleteSnapshot
  snapshot-missing InvalidSnapshot.NotFound: The snapshot must exist.
  snapshot-in-use InvalidSnapshot.InUse: A registered image's snapshot cannot be deleted.
API_ImportSnapshot
  import-role InvalidParameter: The role vmimport, or the one named, must exist.
  import-bucket InvalidParameter: The object must be in the bucket.
  import-format InvalidParameter: The format is VHD, VMDK or RAW.
  import-tags InvalidParameterValue: Tags are for the type import-snapshot-task.
  import-key InvalidParameter: A KMS key must exist, and goes with Encrypted.
API_DescribeImportSnapshotTasks
  import-task InvalidConversionTaskId.Malformed: The task must exist.
""",
    EC2,
)
