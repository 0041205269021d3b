# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Writes a bill of materials as CycloneDX 1.6 JSON, with the format's own library."""

from __future__ import annotations

from ansible_collections.kiln.unikernel.plugins.module_utils._bom import (
    CREATED,
    SUPPLIER,
    Bill,
    Part,
)

try:
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.contact import OrganizationalEntity
    from cyclonedx.model.dependency import Dependency
    from cyclonedx.model.license import LicenseExpression
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion
    from packageurl import PackageURL

    HAS_CYCLONEDX = True
except ImportError:
    HAS_CYCLONEDX = False


def render(bill: Bill) -> str:
    """The document's text."""
    image = Component(
        name=bill.name,
        type=ComponentType.FIRMWARE,
        bom_ref="image",
        version=bill.digest,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=bill.content)],
        properties=[Property(name="kiln:content_digest", value=f"sha256:{bill.content}")],
    )
    parts = [_component(number, part) for number, part in enumerate(bill.parts, 1)]
    bom = Bom(
        components=parts,
        serial_number=bill.identity,
        metadata=BomMetaData(
            component=image, timestamp=CREATED, supplier=OrganizationalEntity(name=SUPPLIER)
        ),
        dependencies=[
            Dependency(ref=image.bom_ref, dependencies=[Dependency(each.bom_ref) for each in parts])
        ],
    )
    outputter = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6)
    return outputter.output_as_string(indent=1) + "\n"


def _component(number: int, part: Part) -> Component:
    kinds = {
        "package": ComponentType.LIBRARY,
        "kernel": ComponentType.OPERATING_SYSTEM,
        "container": ComponentType.CONTAINER,
        "file": ComponentType.FILE,
    }
    return Component(
        name=part.name,
        type=kinds[part.kind],
        bom_ref=f"part-{number}",
        version=part.version,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=part.sha256)] if part.sha256 else [],
        licenses=[LicenseExpression(part.licence.expression)] if part.licence else [],
        purl=PackageURL.from_string(part.purl) if part.purl else None,
    )
