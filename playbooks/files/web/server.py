# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Serves the files of a folder by asyncio alone: server.py FOLDER PORT."""

from __future__ import annotations

import asyncio
import contextlib
import mimetypes
import posixpath
import signal
import sys
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urlsplit

Reply = tuple[HTTPStatus, str, bytes]


def said(status: HTTPStatus) -> Reply:
    """A reply of one line."""
    return status, "text/plain", f"{status.phrase}\n".encode()


def find(folder: Path, method: str, target: str) -> Reply:
    """What a request is answered."""
    if method not in ("GET", "HEAD"):
        return said(HTTPStatus.METHOD_NOT_ALLOWED)
    name = unquote(urlsplit(target).path)
    path = folder / posixpath.normpath("/" + name).lstrip("/")
    if name.endswith("/"):
        path /= "index.html"
    try:
        content = path.read_bytes()
    except (OSError, ValueError):
        return said(HTTPStatus.NOT_FOUND)
    return HTTPStatus.OK, mimetypes.guess_type(path)[0] or "application/octet-stream", content


async def serve(folder: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, kept as long as the client likes."""
    try:
        keep = True
        while keep:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, version = head[0].split(" ")
            words = "\n".join(head[1:]).lower()
            keep = version == "HTTP/1.1" and "connection: close" not in words
            status, kind, content = find(folder, method, target)
            lines = [f"HTTP/1.1 {status.value} {status.phrase}", f"Content-Type: {kind}"]
            lines += [f"Content-Length: {len(content)}"]
            lines += [] if keep else ["Connection: close"]
            writer.write("\r\n".join([*lines, "", ""]).encode())
            writer.write(b"" if method == "HEAD" else content)
            await writer.drain()
    except (ValueError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.close()


async def main() -> None:
    """Until a signal ends it."""
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    server = await asyncio.start_server(
        lambda reader, writer: serve(folder, reader, writer), None, port, backlog=1024
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.close)
    with contextlib.suppress(asyncio.CancelledError):
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
