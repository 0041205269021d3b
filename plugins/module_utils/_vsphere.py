# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The way to a vCenter: logging in, finding things, calls within the deadline, errors as sentences.

`Vcenter.do` and `Vcenter.read` are the only places where what pyVmomi raises is caught. A read is
tried again when the connection was lost; a change is not, for it may have been carried out.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Deadline,
    Patience,
    PublishError,
)

try:
    from pyVim.connect import Disconnect, SmartConnect
    from pyVmomi import vim, vmodl

    HAS_PYVMOMI = True
    FAULTS: tuple[type[Exception], ...] = (vmodl.MethodFault,)
except ImportError:
    HAS_PYVMOMI = False
    FAULTS = ()

Result = TypeVar("Result")
# Seconds for clearing away, beside the time limit.
_GRACE = 30.0
LOST: tuple[type[Exception], ...] = (OSError, http.client.HTTPException)
FAILURES = FAULTS + LOST


@dataclass(frozen=True)
class Login:
    """Where, and who."""

    hostname: str
    port: int
    username: str
    password: str
    validate_certs: bool

    def trust(self) -> ssl.SSLContext:
        """How the server's certificate is looked at."""
        context = ssl.create_default_context()
        if not self.validate_certs:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class Vcenter:
    """One session; it ends with `close`."""

    def __init__(self, login: Login, deadline: Deadline) -> None:
        self.login = login
        self.deadline = deadline
        self.patience = Patience(deadline, tries=3)
        self._instance: Any = self.do(
            "logging in",
            lambda: SmartConnect(
                host=login.hostname,
                port=login.port,
                user=login.username,
                pwd=login.password,
                sslContext=login.trust(),
                httpConnectionTimeout=max(1, min(60, deadline.left())),
            ),
        )
        self.content: Any = self.read("asking what it is", self._instance.RetrieveContent)
        if self.content.about.apiType != "VirtualCenter":
            raise PublishError(
                f"{login.hostname} is an ESXi host, not a vCenter; templates and custom "
                "attributes are a vCenter's. Give its name in `hostname`."
            )

    def close(self) -> None:
        """Ends the session, if the server is still there."""
        try:
            Disconnect(self._instance)
        except FAILURES:
            return

    def do(self, doing: str, call: Callable[[], Result]) -> Result:
        """A call that is made once."""
        self.deadline.check(doing)
        try:
            return call()
        except FAILURES as problem:
            raise self.explain(problem, doing) from problem

    def read(self, doing: str, call: Callable[[], Result]) -> Result:
        """A call that changes nothing, so that it may be made again."""
        try:
            return self.patience.keep(call, lambda problem: isinstance(problem, LOST), doing)
        except FAILURES as problem:
            raise self.explain(problem, doing) from problem

    def finish(self, doing: str, begin: Callable[[], Any]) -> Any:
        """Begins a task and waits for its end; its result."""
        task = self.do(doing, begin)

        def ended() -> Any:
            info = self.read(doing, lambda: task.info)
            return info if info.state in ("success", "error") else None

        info = self.patience.until(ended, doing)
        if info.state == "error":
            raise self.explain(info.error, doing)
        return info.result

    def clear_away(self, machine: Any) -> None:
        """Removes what is half done, after the time limit too; failing that is no news.

        A next run clears away what could not be cleared here.
        """
        grace = Vcenter.__new__(Vcenter)
        grace.login, grace.deadline = self.login, Deadline(_GRACE)
        grace.patience = Patience(grace.deadline, tries=1)
        with contextlib.suppress(PublishError):
            grace.finish("clearing away", machine.Destroy_Task)

    def explain(self, problem: Exception, doing: str) -> PublishError:
        """The sentence for what was raised."""
        return PublishError(_sentence(problem, doing, self.login), problem)

    # --- finding things

    def listing(self, kind: Any, root: Any, names: Iterable[str]) -> list[tuple[Any, Any]]:
        """All objects of a kind below a root, each with some of its properties by name."""
        views = self.content.viewManager
        view = self.do("listing", lambda: views.CreateContainerView(root, [kind], True))
        try:
            return self._properties(kind, view, list(names))
        finally:
            self.do("listing", view.DestroyView)

    def _properties(self, kind: Any, view: Any, names: list[str]) -> list[tuple[Any, Any]]:
        collector = vmodl.query.PropertyCollector
        path = collector.TraversalSpec(
            name="view", path="view", skip=False, type=vim.view.ContainerView
        )
        spec = collector.FilterSpec(
            objectSet=[collector.ObjectSpec(obj=view, skip=True, selectSet=[path])],
            propSet=[collector.PropertySpec(type=kind, pathSet=names)],
        )
        limits = collector.RetrieveOptions()
        asked = self.content.propertyCollector
        page = self.read("listing", lambda: asked.RetrievePropertiesEx([spec], limits))
        found: list[Any] = []
        while page is not None:
            found += page.objects
            token = page.token
            if not token:
                break
            page = self.do(
                "listing",
                lambda: asked.ContinueRetrievePropertiesEx(token),  # noqa: B023
            )
        return [(item.obj, {entry.name: entry.val for entry in item.propSet}) for item in found]

    def named(self, kind: Any, root: Any, name: str, what: str) -> Any:
        """The one of this name; fails with the names that there are."""
        found = self.listing(kind, root, ["name"])
        for ref, facts in found:
            if facts["name"] == name:
                return ref
        names = sorted({facts["name"] for _ref, facts in found})
        raise PublishError(f"There is no {what} '{name}'; there {_are(names)}.")

    def datacenter(self, name: str | None) -> Any:
        """The datacenter of this name, or the only one."""
        if name:
            return self.named(vim.Datacenter, self.content.rootFolder, name, "datacenter")
        found = self.listing(vim.Datacenter, self.content.rootFolder, ["name"])
        if len(found) == 1:
            return found[0][0]
        names = sorted(facts["name"] for _ref, facts in found)
        raise PublishError(f"Which `datacenter`? There {_are(names)}.")

    # --- custom attributes

    def fields(self) -> dict[int, str]:
        """The names of custom attributes by their keys."""
        manager = self.content.customFieldsManager
        return {item.key: item.name for item in self.read("listing", lambda: manager.field)}

    def set_field(self, entity: Any, kind: Any, name: str, value: str) -> None:
        """Gives an object a custom attribute, which is defined when there is none."""
        manager = self.content.customFieldsManager
        known = {text: key for key, text in self.fields().items()}
        doing = f"setting the custom attribute {name}"
        if name not in known:
            known[name] = self.do(doing, lambda: manager.AddFieldDefinition(name, kind)).key
        self.do(doing, lambda: manager.SetField(entity, known[name], value))


def attributes(values: Iterable[Any], fields: dict[int, str]) -> dict[str, str]:
    """Custom attributes by name, those that are empty left out."""
    return {fields[item.key]: item.value for item in values if item.key in fields and item.value}


def _are(names: list[str]) -> str:
    if not names:
        return "is none"
    return ("is only " if len(names) == 1 else "are ") + ", ".join(names)


def lost(server: str, doing: str, problem: Exception) -> str:
    """The sentence for a connection that could not be made, or ended too early."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        return (
            f"The certificate of {server} is not trusted ({problem.verify_message}); add its CA to "
            "this machine's, or set `validate_certs: false`."
        )
    return (
        f"The connection to {server} was lost while {doing} ({problem or 'no answer'}); check "
        "that this machine reaches it (`hostname`, `port`, the network), and run this again: what "
        "is half done is cleared away then."
    )


def _sentence(problem: Exception, doing: str, login: Login) -> str:
    server = f"{login.hostname}:{login.port}"
    if isinstance(problem, LOST):
        return lost(server, doing, problem)
    if isinstance(problem, vim.fault.InvalidLogin):
        return (
            f"{server} has refused the credentials of '{login.username}'; check `username` and "
            "`password`, or VMWARE_USER and VMWARE_PASSWORD."
        )
    if isinstance(problem, vim.fault.NoPermission):
        return (
            f"'{login.username}' may not do this while {doing}: {problem.privilegeId} is missing."
        )
    said = str(getattr(problem, "msg", "") or "").strip().rstrip(".")
    name = type(problem).__name__.rpartition(".")[2]
    return f"{server} has refused while {doing}: {name}{f', {said}' if said else ''}."
