# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Where an OVA is to go, by the names in the options; what is not there fails with a sentence."""

from __future__ import annotations

import contextlib
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._ova_read import Package
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import PublishError
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere import Vcenter
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere_import import Place
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere_templates import folder_of

with contextlib.suppress(ImportError):
    from pyVmomi import vim


def place_of(vcenter: Vcenter, datacenter: Any, params: dict[str, Any], package: Package) -> Place:
    """The place that the options name."""
    if not params["datastore"]:
        raise PublishError("Where shall the disks be? Give `datastore`.")
    pool, host = _pool(vcenter, datacenter, params)
    store = vcenter.named(
        vim.Datastore, datacenter.datastoreFolder, params["datastore"], "datastore"
    )
    return Place(
        datacenter,
        pool,
        host,
        store,
        folder_of(vcenter, datacenter, params["folder"]),
        _networks(vcenter, datacenter, params["networks"], package),
        params["disk_provisioning"],
    )


def _pool(vcenter: Vcenter, datacenter: Any, params: dict[str, Any]) -> tuple[Any, Any]:
    """Resource pool and, if named, the host."""
    if not params["cluster"] and not params["host"]:
        raise PublishError("Where shall the template be? Give `cluster` or `host`.")
    host = None
    above = datacenter.hostFolder
    if params["cluster"]:
        above = vcenter.named(vim.ClusterComputeResource, above, params["cluster"], "cluster")
    if params["host"]:
        host = vcenter.named(vim.HostSystem, above, params["host"], "host")
    owner = host.parent if host and not params["cluster"] else above
    pool = vcenter.read("looking at the cluster", lambda: owner.resourcePool)
    if params["resource_pool"]:
        pool = vcenter.named(vim.ResourcePool, pool, params["resource_pool"], "resource pool")
    return pool, host


def _networks(
    vcenter: Vcenter, datacenter: Any, given: dict[str, str], package: Package
) -> dict[str, Any]:
    """The networks for the names in the descriptor; each its namesake unless mapped."""
    unknown = sorted(set(given) - set(package.networks))
    if unknown:
        raise PublishError(
            f"networks maps '{unknown[0]}', which {package.path} does not have; it has "
            f"{', '.join(package.networks) or 'none'}."
        )
    return {
        name: vcenter.named(
            vim.Network, datacenter.networkFolder, str(given.get(name, name)), "network"
        )
        for name in package.networks
    }
