"""The strict vCenter's own rules: what a real one refuses and the simulator alone would take."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from pathlib import Path

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import _ova_read
from pyVmomi import vim

STREAM = "application/x-vnd.vmware-streamVmdk"
ITEM = "com/vmware/content/library/item"


@pytest.fixture
def lease(vcenter, ova: Path):
    """A lease for the OVA, with nothing sent, on a connection that stays."""
    package = _ova_read.read(ova)
    with vcenter.connected() as content:
        datacenter = content.rootFolder.childEntity[0]
        pool, store = vcenter.pool(content), datacenter.datastore[0]
        mapping = vim.OvfManager.NetworkMapping(name="VM Network", network=datacenter.network[0])
        spec = content.ovfManager.CreateImportSpec(
            package.descriptor,
            pool,
            store,
            vim.OvfManager.CreateImportSpecParams(entityName="raw", networkMapping=[mapping]),
        )
        made = pool.ImportVApp(spec.importSpec, folder=datacenter.vmFolder)
        while made.state == "initializing":
            time.sleep(0.02)
        yield made


def send(vcenter, lease, data: bytes, kind: str = STREAM, said: int | None = None) -> int:
    path = "/" + lease.info.deviceUrl[0].url.partition("//")[2].partition("/")[2]
    return put(vcenter, "POST", path, data, {"Content-Type": kind}, said)


def put(vcenter, method, path, data, headers, said=None) -> int:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(
        vcenter.host, vcenter.port, timeout=20, context=context
    )
    connection.request(method, path, data, headers | {"Content-Length": str(said or len(data))})
    if said:
        connection.sock.shutdown(1)
    try:
        return connection.getresponse().status
    except (http.client.HTTPException, OSError):
        return 0
    finally:
        connection.close()


def disk(ova: Path) -> bytes:
    package = _ova_read.read(ova)
    return b"".join(package.content(package.member("redis-disk1.vmdk")))


def test_a_disk_is_a_whole_streamed_vmdk_of_the_right_type(vcenter, lease, ova):
    data = disk(ova)
    assert send(vcenter, lease, data, kind="application/octet-stream") == 400
    assert send(vcenter, lease, b"#!" + data) == 400
    flat = data[:10] + b"\0" + data[11:]
    assert send(vcenter, lease, flat) == 400
    assert send(vcenter, lease, data, said=len(data) + 100) in (0, 400)
    assert next(iter(vcenter.state()["leases"].values()))["disks"] == {}
    assert send(vcenter, lease, data) == 200


def test_a_lease_ends_only_with_its_disks_and_guards_its_machine(vcenter, lease, ova):
    machine = lease.info.entity
    for call in (lease.HttpNfcLeaseComplete, machine.MarkAsTemplate, machine.Destroy_Task):
        with pytest.raises(vim.fault.InvalidState):
            call()
    send(vcenter, lease, disk(ova))
    lease.HttpNfcLeaseComplete()
    machine.MarkAsTemplate()


def test_a_library_file_is_held_to_its_size_and_checksum_and_seen_when_complete(vcenter):
    spec = {"library_id": vcenter.library, "name": "x", "type": "ovf", "description": ""}
    item = vcenter.rest("POST", ITEM, {"create_spec": spec})
    begin = {"create_spec": {"library_item_id": item}}
    session = vcenter.rest("POST", f"{ITEM}/update-session", begin)
    with pytest.raises(AssertionError, match="resource_busy"):
        vcenter.rest("POST", f"{ITEM}/update-session", begin)
    checksum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    spec = {"name": "x.ovf", "source_type": "PUSH", "size": 3}
    spec["checksum_info"] = {"algorithm": "SHA256", "checksum": checksum}
    add = f"{ITEM}/updatesession/file/id:{session}?~action=add"
    place = vcenter.rest("POST", add, {"file_spec": spec})["upload_endpoint"]["uri"]
    path = "/" + place.partition("//")[2].partition("/")[2]
    token = {"vmware-api-session-id": vcenter.token}
    complete = f"{ITEM}/update-session/id:{session}?~action=complete"
    assert put(vcenter, "PUT", path, b"abd", token) == 400
    assert put(vcenter, "PUT", path, b"ab", token) == 400
    assert put(vcenter, "PUT", path, b"abc", {}) == 401
    with pytest.raises(AssertionError, match="not_allowed"):
        vcenter.rest("POST", complete)
    assert put(vcenter, "PUT", path, b"abc", token) == 200
    files = f"{ITEM}/file?library_item_id={item}"
    assert vcenter.rest("GET", files) == []
    vcenter.rest("POST", complete)
    assert json.dumps(vcenter.rest("GET", files)[0]["checksum_info"]["checksum"]) == f'"{checksum}"'
    with pytest.raises(AssertionError, match="not_allowed"):
        vcenter.rest("POST", complete)


def test_nobody_gets_in_without_the_password(vcenter):
    vcenter.token = "made-up"
    with pytest.raises(AssertionError, match="401"):
        vcenter.items()
    with pytest.raises(AssertionError, match="401"):
        vcenter.rest("GET", f"{ITEM}/file?library_item_id=x")
