"""What stands before moto: who may come in, faults that a test has asked for, and counts.

A WSGI layer. `/rig` is the tests' own door: GET tells the counts, POST takes a JSON object with
`reset`, `recount`, `settings` (fields of
world.Settings), `faults`, `clear` (of those) or `expire`. A fault is
`{"operation": "PutSnapshotBlock", "kind": …, "after": N, "times": M}`; kinds are `throttle`,
`server-error`, `drop` (the connection ends in mid-body), `drop-answer` (the work is done, the
answer is lost) and `exit` (the server is gone).
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import os
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, quote

from moto.moto_api._internal.models import moto_api_backend

from tests.rigs.ec2 import world

AUTH = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
    r"SignedHeaders=([^,]+), ?Signature=(\w+)"
)
BLOCK_PATH = re.compile(r"/snapshots/[^/]+/blocks/\d+")
Start = Callable[..., Any]


class Door:
    """The layer."""

    def __init__(self, inner: Callable[[dict[str, Any], Start], Iterable[bytes]]) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._faults: list[dict[str, Any]] = []

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        """One request."""
        if environ["PATH_INFO"] == "/rig":
            return self._control(environ, start)
        scope = AUTH.search(environ.get("HTTP_AUTHORIZATION", ""))
        operation = self._operation(environ, scope[4] if scope else "")
        fault = self._count(operation, int(environ.get("CONTENT_LENGTH") or 0))
        if operation == "PutSnapshotBlock":
            time.sleep(world.STATE.settings.delay)
        if fault == "exit":
            os._exit(0)
        if fault == "drop":
            environ["wsgi.input"].read(min(4096, int(environ.get("CONTENT_LENGTH") or 0)))
            return hang_up(environ)
        refused = refusal(environ, scope) or overloaded(fault, scope[4] if scope else "")
        if refused:
            drain(environ)
            return answer(start, *refused)
        if fault == "drop-answer":
            b"".join(self._inner(environ, lambda *_args: None))
            return hang_up(environ)
        return self._inner(environ, start)

    def _operation(self, environ: dict[str, Any], service: str) -> str:
        if service == "ebs":
            method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
            if BLOCK_PATH.fullmatch(path):
                return "PutSnapshotBlock" if method == "PUT" else "GetSnapshotBlock"
            if path.startswith("/snapshots/completion/"):
                return "CompleteSnapshot"
            return "StartSnapshot" if path == "/snapshots" else "ListSnapshotBlocks"
        if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
            form = parse_qs(body(environ).decode())
            return form.get("Action", ["?"])[0]
        target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
        return target.rpartition(".")[2] or f"{service}:{environ['REQUEST_METHOD']}"

    def _count(self, operation: str, size: int) -> str | None:
        with self._lock:
            self._counts[operation] += 1
            self._bytes[operation] += size
            for fault in self._faults:
                if fault["operation"] != operation or not fault.get("times", 1):
                    continue
                if fault.get("after", 0):
                    fault["after"] -= 1
                    continue
                fault["times"] = fault.get("times", 1) - 1
                return str(fault["kind"])
        return None

    def _control(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        with self._lock:
            if environ["REQUEST_METHOD"] == "POST":
                self._change(json.loads(body(environ)))
            told = {"counts": self._counts, "bytes": self._bytes, "left": self._faults}
            return answer(start, "200 OK", "application/json", json.dumps(told))

    def _change(self, wanted: dict[str, Any]) -> None:
        if wanted.get("reset"):
            world.reset()
            moto_api_backend.reset()
            self._faults.clear()
        if wanted.get("reset") or wanted.get("recount"):
            self._counts.clear()
            self._bytes.clear()
        for key, value in wanted.get("settings", {}).items():
            if not hasattr(world.STATE.settings, key):
                raise ValueError(f"no setting {key}")
            setattr(world.STATE.settings, key, value)
        self._faults += wanted.get("faults", [])
        if wanted.get("clear"):
            self._faults.clear()
        if wanted.get("expire"):
            for region in world.STATE.regions.values():
                for snapshot in region.snapshots.values():
                    if snapshot.status == "pending":
                        snapshot.status = "error"


def body(environ: dict[str, Any]) -> bytes:
    """The request's body, left in place for whoever comes after."""
    data: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(data)
    return data


def drain(environ: dict[str, Any]) -> None:
    """Reads what the client is still sending, or it would not look at the answer."""
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))


def hang_up(environ: dict[str, Any]) -> Iterable[bytes]:
    """Ends the connection with no answer."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionError("the rig has dropped the connection")


def answer(
    start: Start, status: str, kind: str, text: str, *headers: tuple[str, str]
) -> list[bytes]:
    """A plain answer."""
    data = text.encode()
    start(status, [("Content-Type", kind), ("Content-Length", str(len(data))), *headers])
    return [data]


def overloaded(fault: str | None, service: str) -> tuple[Any, ...] | None:
    """A throttled request or one that the service fails at."""
    if fault == "throttle":
        code = "RequestThrottledException" if service == "ebs" else "RequestLimitExceeded"
        return shaped(
            service, "400 Bad Request" if service == "ebs" else "503 Slow Down", code, "Slow down."
        )
    if fault == "server-error":
        code = "InternalServerException" if service == "ebs" else "InternalError"
        return shaped(service, "500 Internal Server Error", code, "An internal error has occurred.")
    return None


def shaped(service: str, status: str, code: str, message: str) -> tuple[Any, ...]:
    """An error in the shape of the service's protocol."""
    if service == "ec2":
        error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        text = f"<Response><Errors>{error}</Errors><RequestID>rig</RequestID></Response>"
        return status, "text/xml", text
    if service == "s3":
        return status, "text/xml", f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    text = json.dumps({"__type": code, "Message": message})
    return status, "application/json", text, ("x-amzn-ErrorType", code)


def refusal(environ: dict[str, Any], scope: re.Match[str] | None) -> tuple[Any, ...] | None:
    """Why this caller may not come in: unknown key, wrong secret, a region that is not there."""
    service = scope[4] if scope else "s3"
    codes = {
        "ec2": ("AuthFailure", "AuthFailure", "401 Unauthorized"),
        "s3": ("InvalidAccessKeyId", "SignatureDoesNotMatch", "403 Forbidden"),
    }.get(service, ("UnrecognizedClientException", "InvalidSignatureException", "403 Forbidden"))
    if scope is None:
        return shaped(service, "403 Forbidden", "AccessDenied", "The request is not signed.")
    secret = world.STATE.settings.keys.get(scope[1])
    if secret is None:
        text = "AWS was not able to validate the provided access credentials"
        return shaped(service, codes[2], codes[0], text)
    if scope[3] not in world.STATE.settings.regions:
        text = "Credential should be scoped to a valid region."
        return shaped(service, codes[2], codes[1], text)
    if signature(environ, scope, secret) != scope[6]:
        text = "The request signature does not match the signature you provided."
        return shaped(service, codes[2], codes[1], text)
    return None


def signature(environ: dict[str, Any], scope: re.Match[str], secret: str) -> str:
    """Signature version 4, computed from the request."""

    def header(name: str) -> str:
        key = name.upper().replace("-", "_")
        known = key in ("CONTENT_TYPE", "CONTENT_LENGTH")
        return " ".join(str(environ.get(key if known else f"HTTP_{key}", "")).split())

    payload = header("x-amz-content-sha256") or hashlib.sha256(body(environ)).hexdigest()
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ["PATH_INFO"]
    path, _, query = str(raw).partition("?")
    path = path if scope[4] == "s3" else quote(path, safe="/~")
    pairs = sorted(item if "=" in item else f"{item}=" for item in query.split("&") if item)
    names = scope[5].split(";")
    head = "".join(f"{name}:{header(name)}\n" for name in names)
    canonical = "\n".join(
        [environ["REQUEST_METHOD"], path or "/", "&".join(pairs), head, scope[5], payload]
    )
    place = f"{scope[2]}/{scope[3]}/{scope[4]}/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", header("x-amz-date"), place, hashed])
    key = f"AWS4{secret}".encode()
    for part in (*place.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()
