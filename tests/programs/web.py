"""A client of the Go server in go/server: every page, many connections at once, and `ab`."""

from __future__ import annotations

import concurrent.futures
import hashlib
import http.client
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator

from world import in_tree, tools

ARGV = ["/t/go-server", "0.0.0.0:PORT"]
GREETING = b"GET /hello HTTP/1.0\r\n\r\n"
LIMIT = 60.0


def _ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None
) -> tuple[int, bytes]:
    connection.request(method, path, body)
    answer = connection.getresponse()
    return answer.status, answer.read()


def _open(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)


def pages(port: int) -> Iterator[str]:
    """All of them, on one connection that is kept."""
    connection = _open(port)
    for method, path, body in (
        ("GET", "/hello?name=w%C3%B6rld", None),
        ("GET", "/none", None),
        ("PUT", "/kv/a", b"value"),
        ("GET", "/kv/a", None),
        ("POST", "/kv/a", b"x"),
        ("DELETE", "/kv/a", None),
        ("GET", "/kv/a", None),
        ("GET", "/events", None),
        ("GET", "/bulk?size=7", None),
        ("GET", "/bulk?size=-7", None),
        ("HEAD", "/hello", None),
    ):
        status, answer = _ask(connection, method, path, body)
        yield f"{method} {path}: {status} {answer[:60]!r}"
    for path in ("/file", "/bulk?size=3000000"):
        status, answer = _ask(connection, "GET", path)
        yield f"{path}: {status} {len(answer)} {hashlib.sha256(answer).hexdigest()}"
    sent = bytes(range(256)) * 8000
    yield f"digest: {_ask(connection, 'POST', '/digest', sent)}"
    connection.request("POST", "/digest", iter([sent[:100000]] * 20), encode_chunked=True)
    yield f"chunked: {connection.getresponse().read()!r}"


def crowd(port: int) -> Iterator[str]:
    """Fifty clients with fifty requests each on kept connections, then one on each."""

    def keep(number: int) -> int:
        connection, good = _open(port), 0
        for turn in range(50):
            path, value = f"/kv/{number}-{turn % 5}", f"{number} {turn}".encode() * 30
            good += _ask(connection, "PUT", path, value)[0] == 201
            good += _ask(connection, "GET", path) == (200, value)
        connection.close()
        return good

    def once(number: int) -> bool:
        connection = _open(port)
        answer = _ask(connection, "GET", f"/hello?name={number}")
        connection.close()
        return answer == (200, f"hello, {number}\n".encode())

    with concurrent.futures.ThreadPoolExecutor(50) as clients:
        yield f"kept: {sum(clients.map(keep, range(50)))} of 5000"
        yield f"once: {sum(clients.map(once, range(300)))} of 300"


def rude(port: int) -> Iterator[str]:
    """Clients that go away, say nonsense, or say nothing."""
    for _ in range(30):
        with socket.create_connection(("127.0.0.1", port), LIMIT) as client:
            client.sendall(b"GET /bulk?size=9000000 HTTP/1.1\r\nHost: x\r\n\r\n")
            client.recv(1000)
    with socket.create_connection(("127.0.0.1", port), LIMIT) as client:
        client.sendall(b"nonsense\r\n\r\n")
        yield f"nonsense: {client.recv(1000).partition(bytes([13]))[0]!r}"
    with socket.create_connection(("127.0.0.1", port), LIMIT) as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        yield f"half a request: {client.recv(1000).partition(bytes([13]))[0]!r}"
    yield f"after that: {_ask(_open(port), 'GET', '/hello?name=you')}"


def benchmark(port: int) -> Iterator[str]:
    """`ab`, with and without keep-alive: no request may fail."""
    for flags in (["-k"], []):
        command = [*in_tree(tools(), "/usr/bin/ab"), "-q", "-n", "2000", "-c", "50", *flags]
        command += [f"http://127.0.0.1:{port}/hello?name=ab"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        found = dict(re.findall(r"^(\w[\w -]*):\s+(\d+)", done.stdout, re.MULTILINE))
        kept = ("Complete requests", "Failed requests", "Non-2xx responses", "Keep-Alive requests")
        yield f"ab {flags}: {done.returncode} {[(name, found.get(name)) for name in kept]}"


def end(port: int) -> Iterator[str]:
    """A signal in the middle of a request: that is answered, and the server ends."""
    slow = _open(port)
    slow.request("GET", "/events")
    quit_ = threading.Thread(target=lambda: _ask(_open(port), "GET", "/quit"))
    quit_.start()
    yield f"the last answer: {slow.getresponse().read()[-9:]!r}"
    quit_.join()


PARTS: list[Callable[[int], Iterator[str]]] = [pages, crowd, rude, benchmark, end]
