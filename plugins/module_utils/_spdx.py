# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Writes a bill of materials as SPDX 2.3 JSON, with the format's own library.

Licences that SPDX has no name for are in it with their texts.
"""

from __future__ import annotations

import io

from ansible_collections.kiln.unikernel.plugins.module_utils._bom import (
    CREATED,
    SUPPLIER,
    Bill,
    Part,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError

try:
    from spdx_tools.common.spdx_licensing import spdx_licensing
    from spdx_tools.spdx.model import (
        Actor,
        ActorType,
        Checksum,
        ChecksumAlgorithm,
        CreationInfo,
        Document,
        ExternalPackageRef,
        ExternalPackageRefCategory,
        ExtractedLicensingInfo,
        Package,
        PackagePurpose,
        Relationship,
        RelationshipType,
        SpdxNoAssertion,
    )
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
    from spdx_tools.spdx.writer.json.json_writer import write_document_to_stream

    HAS_SPDX = True
except ImportError:
    HAS_SPDX = False

_DOCUMENT = "SPDXRef-DOCUMENT"
_IMAGE = "SPDXRef-Image"


def render(bill: Bill) -> str:
    """The document's text; the library's own check must find nothing to say."""
    document = _document(bill)
    problems = validate_full_spdx_document(document)
    if problems:
        raise KilnError(f"The SPDX document is not valid: {problems[0].validation_message}.")
    out = io.StringIO()
    write_document_to_stream(document, out, validate=False)
    return out.getvalue().rstrip("\n") + "\n"


def _document(bill: Bill) -> Document:
    image = Package(
        spdx_id=_IMAGE,
        name=bill.name,
        version=bill.digest,
        download_location=SpdxNoAssertion(),
        files_analyzed=False,
        checksums=[Checksum(ChecksumAlgorithm.SHA256, bill.content)],
        primary_package_purpose=PackagePurpose.FIRMWARE,
    )
    parts = [_package(number, part) for number, part in enumerate(bill.parts, 1)]
    texts = {
        name: text
        for part in bill.parts
        if part.licence
        for name, text in part.licence.texts.items()
    }
    return Document(
        creation_info=CreationInfo(
            spdx_version="SPDX-2.3",
            spdx_id=_DOCUMENT,
            name=bill.name,
            document_namespace=f"urn:uuid:{bill.identity}",
            creators=[Actor(ActorType.TOOL, SUPPLIER)],
            created=CREATED.replace(tzinfo=None),
        ),
        packages=[image, *parts],
        relationships=[
            Relationship(_DOCUMENT, RelationshipType.DESCRIBES, _IMAGE),
            *(Relationship(_IMAGE, RelationshipType.CONTAINS, each.spdx_id) for each in parts),
        ],
        extracted_licensing_info=[
            ExtractedLicensingInfo(license_id=name, extracted_text=text)
            for name, text in sorted(texts.items())
        ],
    )


def _package(number: int, part: Part) -> Package:
    purposes = {
        "package": PackagePurpose.LIBRARY,
        "kernel": PackagePurpose.OPERATING_SYSTEM,
        "container": PackagePurpose.CONTAINER,
        "file": PackagePurpose.FILE,
    }
    purl = (
        [ExternalPackageRef(ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", locator=part.purl)]
        if part.purl
        else []
    )
    declared = spdx_licensing.parse(part.licence.expression) if part.licence else SpdxNoAssertion()
    return Package(
        spdx_id=f"SPDXRef-Part-{number}",
        name=part.name,
        version=part.version,
        download_location=SpdxNoAssertion(),
        files_analyzed=False,
        checksums=[Checksum(ChecksumAlgorithm.SHA256, part.sha256)] if part.sha256 else [],
        license_declared=declared,
        external_references=purl,
        primary_package_purpose=purposes[part.kind],
    )
