# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Items of a content library: what there is, what shall be, and the steps between; by REST.

After the vSphere Automation API, service content.library. An item is found by the last line of its
description, "kiln.unikernel NAME DIGEST"; while its content is being changed the line has no
digest, so that it never names a content that is not there. Files are sent in an update session, of
which nothing is seen before it is complete; each is held to its size and SHA-256 by the server.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ansible_collections.kiln.unikernel.plugins.module_utils._ova_read import Member, Package
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Plan,
    Progress,
    PublishError,
    Step,
    in_turn,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere import Vcenter
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere_import import put

_MARK = "kiln.unikernel"
_BASE = "com/vmware/content"
_ITEM = f"{_BASE}/library/item"
_SESSION = f"{_ITEM}/update-session"
_FILE = f"{_ITEM}/updatesession/file"


@dataclass(frozen=True)
class Item:
    """A library item; `digest` is empty while its content is being changed."""

    identifier: str
    name: str
    title: str
    digest: str
    description: str
    version: str = ""


@dataclass(frozen=True)
class Found:
    """What a library has under a name: Kiln's item, and the names of all others."""

    library: str
    item: Item | None
    others: tuple[str, ...]


class RestError(PublishError):
    """What the server said; `status` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Library:
    """One content library, by a session of the REST interface."""

    def __init__(self, vcenter: Vcenter, name: str) -> None:
        if not name:
            raise PublishError("Which content library? Give `library`.")
        self.vcenter = vcenter
        self.name = name
        self._token = ""
        both = f"{vcenter.login.username}:{vcenter.login.password}".encode()
        basic = {"Authorization": f"Basic {base64.b64encode(both).decode()}"}
        self._token = str(self.ask("POST", "com/vmware/cis/session", headers=basic))
        self.identifier = self._find()

    def close(self) -> None:
        """Ends the session."""
        with contextlib.suppress(PublishError):
            self.ask("DELETE", "com/vmware/cis/session")

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        """One request; the value of its answer."""
        doing = f"asking the content library ({path.partition('/id:')[0].rpartition('/')[2]})"
        send = {"Content-Type": "application/json", **(headers or {}), **self.token()}
        text = json.dumps(body) if body is not None else None

        def call() -> tuple[int, bytes]:
            login = self.vcenter.login
            connection = http.client.HTTPSConnection(
                login.hostname,
                login.port,
                timeout=max(1, min(60, self.vcenter.deadline.left())),
                context=login.trust(),
            )
            try:
                connection.request(method, f"/rest/{path}", text, send)
                answer = connection.getresponse()
                return answer.status, answer.read()
            finally:
                connection.close()

        handle = self.vcenter.read if method == "GET" else self.vcenter.do
        status, told = handle(doing, call)
        value = _decoded(told)
        if status != http.client.OK:
            raise self._refusal(doing, status, value)
        return value.get("value") if isinstance(value, dict) else None

    def token(self) -> dict[str, str]:
        """What says who is asking."""
        return {"vmware-api-session-id": self._token} if self._token else {}

    def _refusal(self, doing: str, status: int, value: Any) -> RestError:
        login = self.vcenter.login
        kind = str(value.get("type", "")).rpartition(".")[2] if isinstance(value, dict) else ""
        if status in (401, 403):
            text = f"'{login.username}' may not do this while {doing}; check its rights there."
        else:
            said = kind.replace("_", " ") or http.client.responses.get(status, "")
            text = f"{login.hostname} has refused while {doing}: {status}, {said}."
        return RestError(text, status)

    def _find(self) -> str:
        wanted = {"spec": {"name": self.name}}
        found = self.ask("POST", f"{_BASE}/library?~action=find", wanted)
        if not found:
            all_of_them = self.ask("GET", f"{_BASE}/library") or []
            names = [
                self.ask("GET", f"{_BASE}/library/id:{quote(item)}")["name"] for item in all_of_them
            ]
            there = ", ".join(sorted(names)) or "none"
            raise PublishError(f"There is no content library '{self.name}'; there are: {there}.")
        facts = self.ask("GET", f"{_BASE}/library/id:{quote(found[0])}")
        if facts.get("type") == "SUBSCRIBED":
            raise PublishError(
                f"The content library '{self.name}' is subscribed to another and takes no items; "
                "publish to the one that it follows."
            )
        return str(found[0])

    def observe(self, title: str) -> Found:
        """Kiln's item for a name, and what else is there."""
        ours = None
        others = []
        for item in self.items():
            if item.title == title and ours is None:
                ours = item
            else:
                others.append(item.name)
        return Found(self.name, ours, tuple(others))

    def items(self) -> list[Item]:
        """All items; `title` is empty for those that Kiln has not made."""
        names = self.ask("GET", f"{_ITEM}?library_id={quote(self.identifier)}") or []
        return [_item(self.ask("GET", f"{_ITEM}/id:{quote(name)}")) for name in sorted(names)]


def _decoded(text: bytes) -> Any:
    try:
        return json.loads(text or b"{}")
    except ValueError:
        return None


def _item(facts: dict[str, Any]) -> Item:
    before, _newline, last = str(facts.get("description") or "").rpartition("\n")
    mark, _blank, rest = last.partition(" ")
    title, _blank, digest = rest.rpartition(" ")
    if mark != _MARK or not title:
        title = digest = ""
        before = str(facts.get("description") or "")
    return Item(
        facts["id"],
        facts["name"],
        title,
        digest if digest != "-" else "",
        before,
        str(facts.get("content_version", "")),
    )


def describe(item: Item | None, library: str) -> dict[str, Any]:
    """An item's facts for the diff."""
    if item is None:
        return {}
    return {
        "library": library,
        "item_name": item.name,
        "digest": item.digest,
        "description": item.description,
    }


def plan_present(
    found: Found, title: str, digest: str, item_name: str, description: str | None
) -> Plan:
    """The steps that make the library have the item with this content."""
    item = found.item
    if item_name in found.others:
        raise PublishError(
            f"In the library '{found.library}' the name '{item_name}' belongs to something that is "
            f"not Kiln's '{title}'; choose another `item_name`."
        )
    before = describe(item, found.library)
    after = {
        "library": found.library,
        "item_name": item_name,
        "digest": digest,
        "description": before.get("description", "") if description is None else description,
    }
    steps = []
    if item is None:
        steps.append(Step("create", found.library, item_name, stage=0, facts=after))
    if item is None or item.digest != digest:
        detail = f"a new version of {item_name}" if item else item_name
        steps.append(Step("upload", found.library, detail, stage=1, facts=after))
    elif before != after:
        steps.append(Step("update", found.library, item_name, stage=2, facts=after))
    return Plan(before, after, tuple(steps))


def plan_absent(found: Found, digest: str) -> Plan:
    """The steps that take the item away, if it has this content, or one that was not ended."""
    item = found.item
    if item is None or item.digest not in (digest, ""):
        return Plan(describe(item, found.library), describe(item, found.library))
    steps = (Step("remove", found.library, item.name),)
    return Plan(describe(item, found.library), {}, steps)


class Keeper:
    """Takes the steps on one item."""

    def __init__(
        self, library: Library, package: Package | None, title: str, item: Item | None
    ) -> None:
        self._library = library
        self._package = package
        self._title = title
        self._identifier = item.identifier if item else ""
        self._ask = library.ask

    def run(self, plan: Plan) -> None:
        """Takes all steps."""
        verbs: dict[str, Callable[[Step], None]] = {
            "create": self.create,
            "upload": self.upload,
            "update": self.update,
            "remove": self.remove,
        }
        in_turn(plan, verbs)

    def create(self, step: Step) -> None:
        """Makes the item, without a content."""
        spec = {
            "library_id": self._library.identifier,
            "name": step.detail,
            "type": "ovf",
            "description": self._text(step.facts["description"], "-"),
        }
        self._identifier = str(self._ask("POST", _ITEM, {"create_spec": spec}))

    def update(self, step: Step) -> None:
        """Changes name and description."""
        self._patch(step.facts, step.facts["digest"])

    def remove(self, _step: Step) -> None:
        """Removes the item."""
        self._ask("DELETE", f"{_ITEM}/id:{quote(self._identifier)}")

    def _text(self, description: str, digest: str) -> str:
        line = f"{_MARK} {self._title} {digest}"
        return f"{description}\n{line}" if description else line

    def _patch(self, facts: dict[str, Any], digest: str) -> None:
        spec = {
            "name": facts["item_name"],
            "description": self._text(facts["description"], digest),
        }
        path = f"{_ITEM}/id:{quote(self._identifier)}"
        self._ask("PATCH", path, {"update_spec": spec})

    def upload(self, step: Step) -> None:
        """Makes the OVA's files the item's content, all at once."""
        package = self._package
        if package is None:
            raise PublishError("The item cannot be made without a `path`.")
        self._end_others()
        spec = {"create_spec": {"library_item_id": self._identifier}}
        session = str(self._ask("POST", _SESSION, spec))
        try:
            self._fill(session, package, step)
            self._patch(step.facts, "-")
            self._ask("POST", f"{_SESSION}/id:{session}?~action=complete")
            self._wait(session)
        except BaseException:
            with contextlib.suppress(PublishError):
                self._ask("POST", f"{_SESSION}/id:{session}?~action=cancel")
            with contextlib.suppress(PublishError):
                self._ask("DELETE", f"{_SESSION}/id:{session}")
            raise
        self._patch(step.facts, step.facts["digest"])

    def _end_others(self) -> None:
        """Ends sessions that an interrupted run has left; an item has one at a time."""
        path = f"{_SESSION}?library_item_id={quote(self._identifier)}"
        for session in self._ask("GET", path) or []:
            facts = self._ask("GET", f"{_SESSION}/id:{session}")
            if facts["library_item_id"] == self._identifier and facts["state"] == "ACTIVE":
                self._ask("POST", f"{_SESSION}/id:{session}?~action=cancel")

    def _fill(self, session: str, package: Package, step: Step) -> None:
        path = f"{_ITEM}/file?library_item_id={quote(self._identifier)}"
        old = {item["name"] for item in self._ask("GET", path) or []}
        for name in sorted(old - {member.name for member in package.members}):
            self._ask("POST", f"{_FILE}/id:{session}?~action=remove", {"file_name": name})
        total = sum(member.size for member in package.members)
        progress = Progress(f"{self._title} to {step.where}", total)
        try:
            for member in package.members:
                self._send(session, package, member, progress)
        finally:
            progress.finish()
        told = self._ask("POST", f"{_FILE}/id:{session}?~action=validate")
        if told.get("has_errors") or told.get("missing_files"):
            raise PublishError(
                f"The content library does not take {package.path}: "
                f"{json.dumps(told.get('invalid_files') or told.get('missing_files'))}."
            )

    def _send(self, session: str, package: Package, member: Member, progress: Progress) -> None:
        spec = {
            "name": member.name,
            "source_type": "PUSH",
            "size": member.size,
            "checksum_info": {"algorithm": "SHA256", "checksum": member.digest},
        }
        place = self._ask("POST", f"{_FILE}/id:{session}?~action=add", {"file_spec": spec})

        def body() -> Iterator[bytes]:
            for chunk in package.content(member):
                self._library.vcenter.deadline.check(f"sending {member.name}")
                yield chunk
                progress.advance(len(chunk))

        vcenter = self._library.vcenter
        headers = {"Content-Length": str(member.size), "Content-Type": "application/octet-stream"}
        address = place["upload_endpoint"]["uri"]
        headers |= self._library.token()
        put(vcenter, f"sending {member.name}", address, "PUT", headers, body())
        self._ask("POST", f"{_SESSION}/id:{session}?~action=keep-alive")

    def _wait(self, session: str) -> None:
        def ended() -> str | None:
            state = str(self._ask("GET", f"{_SESSION}/id:{session}")["state"])
            return None if state == "ACTIVE" else state

        vcenter = self._library.vcenter
        state = vcenter.patience.until(ended, "waiting for the content library")
        if state != "DONE":
            raise PublishError(
                f"The content library has ended the upload in the state '{state}'; run this again."
            )
