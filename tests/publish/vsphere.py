"""The vsphere_* modules with the options that all calls share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.publish.modules import run
from tests.rigs.vsphere.rig import CLUSTER, PASSWORD, STORES, USER, Rig

PLACE = {"cluster": CLUSTER, "datastore": STORES[0]}


class Vsphere:
    """Calls against one rig; `said` keeps all results as text."""

    def __init__(self, rig: Rig, store: Path) -> None:
        self.rig = rig
        self.store = store
        self.said: list[str] = []

    def login(self) -> dict[str, Any]:
        """What every module is told."""
        return {
            "hostname": self.rig.host,
            "port": self.rig.port,
            "username": USER,
            "password": PASSWORD,
            "validate_certs": False,
            "timeout": 60,
            "store": str(self.store),
        }

    def _run(self, module: str, /, **arguments: Any) -> dict[str, Any]:
        result = run(module, **(self.login() | arguments))
        self.said.append(json.dumps(result))
        return result

    def image(self, path: Path | None = None, **rest: Any) -> dict[str, Any]:
        """vsphere_image, for a template."""
        place = {} if path is None else {"path": str(path)}
        return self._run("vsphere_image", **({"name": "redis"} | PLACE | place | rest))

    def item(self, path: Path | None = None, **rest: Any) -> dict[str, Any]:
        """vsphere_image, for a library item."""
        place = {} if path is None else {"path": str(path)}
        fixed = {"name": "redis", "target": "library_item", "library": "images"}
        return self._run("vsphere_image", **(fixed | place | rest))

    def info(self, **rest: Any) -> dict[str, Any]:
        """vsphere_image_info."""
        return self._run("vsphere_image_info", **rest)

    def channel(self, **rest: Any) -> dict[str, Any]:
        """vsphere_channel."""
        return self._run("vsphere_channel", **({"channel": "redis/stable"} | rest))

    def retention(self, **rest: Any) -> dict[str, Any]:
        """vsphere_retention."""
        return self._run("vsphere_retention", **({"name": "redis"} | rest))
