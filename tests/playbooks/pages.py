"""A client of the web servers: every kind of answer, then many connections at once."""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import http.client
import socket
from collections.abc import Iterator

LIMIT = 60.0
CLIENTS, TURNS, SINGLE, QUIET = 50, 10, 100, 100
PATHS = (
    "/",
    "/style.css",
    "/bytes",
    "/large",
    "/folder/",
    "/none",
    "/folder/none",
    "/with%20space",
)


def open_connection(port: int) -> http.client.HTTPConnection:
    """A fresh one."""
    return http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)


def ask(connection: http.client.HTTPConnection, method: str, path: str) -> tuple[int, str, bytes]:
    """Status, kind and content of an answer."""
    connection.request(method, path)
    answer = connection.getresponse()
    return answer.status, answer.getheader("Content-Type", ""), answer.read()


def pages(port: int) -> Iterator[str]:
    """All of them on one connection that is kept, and each on one of its own."""
    connection = open_connection(port)
    for path in PATHS:
        for method in ("GET", "HEAD"):
            kept = ask(connection, method, path)
            own = ask(open_connection(port), method, path)
            digest = hashlib.sha256(kept[2]).hexdigest()[:16]
            yield f"{method} {path}: {kept[:2]} {len(kept[2])} {digest}, again {own == kept}"
    for path in ("/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd"):
        yield f"outside: {ask(open_connection(port), 'GET', path)[0] // 100}"


def crowd(port: int) -> Iterator[str]:
    """Fifty clients on connections that they keep, then hundreds of one request each."""
    wanted = {path: ask(open_connection(port), "GET", path) for path in PATHS[:3]}

    def keep(number: int) -> int:
        connection = open_connection(port)
        turns = [PATHS[(number + turn) % 3] for turn in range(TURNS)]
        good = sum(ask(connection, "GET", path) == wanted[path] for path in turns)
        connection.close()
        return good

    def once(number: int) -> bool:
        path = PATHS[number % 3]
        with contextlib.closing(open_connection(port)) as connection:
            return ask(connection, "GET", path) == wanted[path]

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients:
        yield f"kept: {sum(clients.map(keep, range(CLIENTS)))} of {CLIENTS * TURNS}"
        yield f"single: {sum(clients.map(once, range(SINGLE)))} of {SINGLE}"


def idle(port: int) -> Iterator[str]:
    """A hundred connections that say nothing, and one that does; then each of them."""
    with contextlib.ExitStack() as stack:
        quiet = [
            stack.enter_context(contextlib.closing(open_connection(port))) for _ in range(QUIET)
        ]
        for connection in quiet:
            stack.callback(connection.close)
            connection.connect()
        yield f"beside the quiet: {ask(open_connection(port), 'GET', '/')[0]}"
        yield f"each of them: {sum(ask(one, 'GET', '/')[0] == 200 for one in quiet)}"


def rude(port: int) -> Iterator[str]:
    """Clients that go away in the middle."""
    for _ in range(30):
        with socket.create_connection(("127.0.0.1", port), LIMIT) as client:
            client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            client.recv(1000)
    yield f"after that: {ask(open_connection(port), 'GET', '/')[0]}"


PARTS = [pages, crowd, idle, rude]
