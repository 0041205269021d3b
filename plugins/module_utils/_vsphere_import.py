# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Imports an OVA as a virtual machine: the import spec, the lease, the upload of its disks.

After the vSphere Web Services API: OvfManager.CreateImportSpec, ResourcePool.ImportVApp and
HttpNfcLease. Whatever happens, the lease is ended: completed, or aborted and its machine destroyed.
The lease is told how far the upload is, or vCenter would end it after its timeout (300 s).
"""

from __future__ import annotations

import contextlib
import http.client
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.kiln.unikernel.plugins.module_utils._ova_read import Member, Package
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Progress,
    PublishError,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere import (
    FAILURES,
    LOST,
    Vcenter,
    lost,
)

with contextlib.suppress(ImportError):
    from pyVmomi import vim

_DISK_TYPE = "application/x-vnd.vmware-streamVmdk"
Body = Iterator[bytes]
# Seconds between two words to the lease; far below its timeout.
_TELL_EVERY = 5.0


@dataclass(frozen=True)
class Place:
    """Where a machine goes; all are pyVmomi's objects. `networks` by the descriptor's names."""

    datacenter: Any
    pool: Any
    host: Any
    datastore: Any
    folder: Any
    networks: dict[str, Any]
    disk_provisioning: str


@dataclass
class Importer:
    """One import."""

    vcenter: Vcenter
    package: Package
    place: Place
    label: str
    name: str
    annotation: str
    marks: dict[str, str] = field(default_factory=dict)  # extra configuration, from its birth

    def run(self) -> Any:
        """The machine, with all its disks."""
        made = self._spec()
        place = self.place
        lease = self.vcenter.do(
            "beginning the import",
            lambda: place.pool.ImportVApp(made.importSpec, folder=place.folder, host=place.host),
        )
        machine: Any = None
        with _ending_is_an_error():
            try:
                machine = self._ready(lease)
                self._send_all(lease, made.fileItem)
                self.vcenter.do("completing the import", lease.HttpNfcLeaseComplete)
            except BaseException:
                self._give_up(lease, machine)
                raise
        return machine

    def _spec(self) -> Any:
        place = self.place
        mapping = vim.OvfManager.NetworkMapping
        parameters = vim.OvfManager.CreateImportSpecParams(
            entityName=self.name,
            hostSystem=place.host,
            diskProvisioning=place.disk_provisioning,
            networkMapping=[
                mapping(name=name, network=network) for name, network in place.networks.items()
            ],
        )
        made = self.vcenter.do(
            "reading the OVF descriptor",
            lambda: self.vcenter.content.ovfManager.CreateImportSpec(
                self.package.descriptor, place.pool, place.datastore, parameters
            ),
        )
        if made.error:
            said = "; ".join(str(item.msg).strip().rstrip(".") for item in made.error)
            raise PublishError(f"vCenter cannot import {self.package.path}: {said}.")
        config = made.importSpec.configSpec
        config.annotation = self.annotation
        options = [vim.option.OptionValue(key=key, value=text) for key, text in self.marks.items()]
        config.extraConfig = list(config.extraConfig) + options
        return made

    def _ready(self, lease: Any) -> Any:
        """Waits until vCenter has made the machine; the machine."""

        def begun() -> str | None:
            state = str(self.vcenter.read("waiting for the lease", lambda: lease.state))
            return None if state == "initializing" else state

        if self.vcenter.patience.until(begun, "waiting for the lease") != "ready":
            problem = self.vcenter.read("waiting for the lease", lambda: lease.error)
            raise self.vcenter.explain(problem, "making the machine")
        return self.vcenter.read("waiting for the lease", lambda: lease.info).entity

    def _send_all(self, lease: Any, items: Any) -> None:
        info = self.vcenter.read("asking where the disks go", lambda: lease.info)
        places = {url.importKey: url.url for url in info.deviceUrl}
        work = [(self.package.member(item.path), places.get(item.deviceId)) for item in items]
        total = sum(member.size for member, _url in work)
        progress = Progress(self.label, total)
        teller = _Teller(self.vcenter, lease, total)
        try:
            for member, url in work:
                if url is None:
                    raise PublishError(
                        f"vCenter has named no place for {member.name} of {self.package.path}; "
                        "this vCenter cannot import it."
                    )
                self._send(member, url, progress, teller)
        finally:
            progress.finish()
        self.vcenter.do("telling the lease", lambda: lease.HttpNfcLeaseProgress(100))

    def _send(self, member: Member, url: str, progress: Progress, teller: _Teller) -> None:
        def body() -> Iterator[bytes]:
            for chunk in self.package.content(member):
                yield chunk
                progress.advance(len(chunk))
                teller.advance(len(chunk))

        doing = f"sending {member.name}"
        headers = {"Content-Type": _DISK_TYPE, "Content-Length": str(member.size)}
        put(self.vcenter, doing, url, "POST", headers | {"Overwrite": "t"}, body())

    def _give_up(self, lease: Any, machine: Any) -> None:
        """Ends the lease, and takes its machine away if vCenter has not."""
        with contextlib.suppress(*FAILURES):
            lease.HttpNfcLeaseAbort()
        if machine is not None:
            self.vcenter.clear_away(machine)


class _Teller:
    """Tells a lease how far the upload is, now and then."""

    def __init__(self, vcenter: Vcenter, lease: Any, total: int) -> None:
        self._vcenter = vcenter
        self._lease = lease
        self._total = max(1, total)
        self._done = 0
        self._told = 0.0

    def advance(self, count: int) -> None:
        """Some more is sent."""
        self._done += count
        self._vcenter.deadline.check("sending the disks")
        if time.monotonic() - self._told >= _TELL_EVERY:
            self._told = time.monotonic()
            share = min(99, 100 * self._done // self._total)
            self._vcenter.do("telling the lease", lambda: self._lease.HttpNfcLeaseProgress(share))


def put(
    vcenter: Vcenter, doing: str, url: str, method: str, headers: dict[str, str], body: Body
) -> None:
    """Sends a body whose length is said in the headers; fails unless it is taken.

    A host of '*' stands for the server that one is logged in at (HttpNfcLeaseDeviceUrl.url).
    Otherwise it may be an ESXi host, which this machine must be able to reach.
    """
    parts = urlsplit(url)
    own = parts.hostname in (None, "*")
    host = vcenter.login.hostname if own else str(parts.hostname)
    port = vcenter.login.port if own else parts.port or 443
    vcenter.deadline.check(doing)
    connection = http.client.HTTPSConnection(
        host, port, timeout=max(1, min(60, vcenter.deadline.left())), context=vcenter.login.trust()
    )
    try:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        said = answer.read(1000).decode(errors="replace").strip().rstrip(".")
    except LOST as problem:
        raise PublishError(lost(f"{host}:{port}", doing, problem), problem) from problem
    finally:
        connection.close()
    if answer.status not in (200, 201, 204):
        raise PublishError(f"{host}:{port} has refused while {doing} ({answer.status}): {said}.")


@contextlib.contextmanager
def _ending_is_an_error() -> Iterator[None]:
    """SIGTERM raises in here, so that what is begun is ended."""

    def end(_number: int, _frame: object) -> None:
        raise PublishError("The module was ended by a signal; what it had begun is cleared away.")

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
