"""The vCenter for tests as a test sees it: start it, set it, ask what it saw, be its client."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim, vmodl

HERE = Path(__file__).resolve().parent
USER, PASSWORD = "kiln@vsphere.local", "rig-secret"
DATACENTER, CLUSTER, STORES = "DC0", "DC0_C0", ("LocalDS_0", "LocalDS_1")
NETWORK, OTHER_NETWORK = "VM Network", "DC0_DVPG0"
HOST, POOL = "DC0_H0", "DC0_C0_RP1"
FOLDER, LIBRARY = "templates", "images"


def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Rig:
    """One server process, built when it is not there yet, with a folder and a library."""

    def __init__(self) -> None:
        done = subprocess.run([HERE / "build"], check=True, stdout=subprocess.PIPE, text=True)
        program = done.stdout.strip()
        self._process = subprocess.Popen(
            [program],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.host, _, port = self._process.stdout.readline().strip().partition(":")
        self.port = int(port)
        with self.connected() as content:
            datacenter = content.rootFolder.childEntity[0]
            datacenter.vmFolder.CreateFolder(FOLDER)
            backing = {"type": "DATASTORE", "datastore_id": datacenter.datastore[0]._moId}
        token = self.rest("POST", "com/vmware/cis/session")
        self.token = str(token)
        self.backings = [backing]
        spec = {"name": LIBRARY, "type": "LOCAL", "storage_backings": self.backings}
        made = self.rest("POST", "com/vmware/content/local-library", {"create_spec": spec})
        self.library = str(made)

    def stop(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def wait_gone(self) -> None:
        """Waits for the end that a fault has asked for."""
        self._process.wait(60)

    @contextlib.contextmanager
    def connected(self) -> Any:
        """What pyVmomi has of it."""
        instance = SmartConnect(
            host=self.host, port=self.port, user=USER, pwd=PASSWORD, sslContext=_trusting()
        )
        try:
            yield instance.RetrieveContent()
        finally:
            Disconnect(instance)

    def machines(self) -> list[dict[str, Any]]:
        """All virtual machines and templates, with what the tests ask about."""
        with self.connected() as content:
            kinds = [vim.VirtualMachine]
            view = content.viewManager.CreateContainerView(content.rootFolder, kinds, True)
            names = {field.key: field.name for field in content.customFieldsManager.field}
            found = []
            for machine in view.view:
                # A view of the simulator keeps a machine that was renamed and then removed.
                with contextlib.suppress(vmodl.fault.ManagedObjectNotFound):
                    found.append(_described(machine, names))
            return found

    def machine(self, content: Any, name: str) -> Any:
        """A machine's object by its name, wherever it is."""
        kinds = [vim.VirtualMachine]
        view = content.viewManager.CreateContainerView(content.rootFolder, kinds, True)
        return next(machine for machine in view.view if machine.name == name)

    def pool(self, content: Any) -> Any:
        """A resource pool."""
        return content.rootFolder.childEntity[0].hostFolder.childEntity[0].resourcePool

    @staticmethod
    def wait(task: Any) -> None:
        """Waits for a task's success; pyVim's own waiting does not know the simulator's tasks."""
        while task.info.state not in ("success", "error"):
            time.sleep(0.02)
        assert task.info.state == "success", task.info.error

    def rest(self, method: str, path: str, body: Any = None) -> Any:
        """One request at the REST interface; the value of its answer."""
        headers = {"Content-Type": "application/json"}
        if path.endswith("cis/session"):
            both = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            headers["Authorization"] = f"Basic {both}"
        else:
            headers["vmware-api-session-id"] = self.token
        told = self._ask(method, f"/rest/{path}", body, headers)
        return json.loads(told).get("value") if told else None

    def items(self) -> list[dict[str, Any]]:
        """The library's items."""
        base = "com/vmware/content/library/item"
        names = self.rest("GET", f"{base}?library_id={self.library}") or []
        return [self.rest("GET", f"{base}/id:{name}") for name in names]

    def state(self, **wanted: Any) -> dict[str, Any]:
        """What it saw: counts, leases, items. Sets faults when given."""
        told: dict[str, Any] = json.loads(
            self._ask("POST" if wanted else "GET", "/rig", wanted, {})
        )
        return told

    def fault(self, operation: str, kind: str, **rest: int) -> None:
        """Asks for one fault."""
        self.state(faults=[{"operation": operation, "kind": kind, "times": 1} | rest])

    def _ask(self, method: str, path: str, body: Any, headers: dict[str, str]) -> bytes:
        connection = http.client.HTTPSConnection(
            self.host, self.port, timeout=30, context=_trusting()
        )
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            told = answer.read()
            assert answer.status == 200, (method, path, answer.status, told)
            return told
        finally:
            connection.close()


def _described(machine: Any, names: dict[int, str]) -> dict[str, Any]:
    config = machine.config
    devices = {type(device).__name__: device for device in config.hardware.device}
    return {
        "name": machine.name,
        "template": config.template,
        "annotation": config.annotation or "",
        "folder": machine.parent.name,
        "stores": [store.name for store in machine.datastore],
        "attributes": {names[item.key]: item.value for item in machine.customValue if item.value},
        "devices": {name.rpartition(".")[2]: device for name, device in devices.items()},
    }
