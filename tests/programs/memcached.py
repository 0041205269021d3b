"""A client of memcached that tries every part of its protocols, and says what it was answered."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator

ARGV = "/usr/bin/memcached -u root -p PORT -U PORT -l 0.0.0.0 -m 64 -t 4 -c 1024 -I 4m".split()
GREETING = b"version\r\n"
LIMIT = 60.0
BIG = 3_000_000


class Client:
    """One connection that speaks the text protocol."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), LIMIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self.socket.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stream.close()
        self.socket.close()

    def line(self) -> bytes:
        return self._stream.readline().rstrip(b"\r\n")

    def exactly(self, size: int) -> bytes:
        return self._stream.read(size)

    def ask(self, request: bytes, last: tuple[bytes, ...] = ()) -> list[bytes]:
        """The lines of an answer: one, or all until one that begins with a word of `last`."""
        self.socket.sendall(request + b"\r\n")
        lines = [self.line()]
        while last and not lines[-1].startswith(last):
            lines.append(self.line())
        return lines

    def store(self, word: str, key: str, value: bytes, flags: int = 0, more: str = "") -> bytes:
        head = f"{word} {key} {flags} 0 {len(value)}{more}\r\n".encode()
        return self.ask(head + value)[0]

    def get(self, *keys: str) -> dict[str, bytes]:
        found = {}
        self.socket.sendall(f"get {' '.join(keys)}\r\n".encode())
        while (head := self.line()) != b"END":
            if not head.startswith(b"VALUE "):
                raise ValueError(head)
            _, key, _, size = head.split()[:4]
            found[key.decode()] = self.exactly(int(size))
            self.exactly(2)
        return found


def _shown(lines: list[bytes]) -> str:
    return " | ".join(line.decode(errors="backslashreplace") for line in lines)


def text(port: int) -> Iterator[str]:
    """Each command of the text protocol."""
    with Client(port) as client:
        for request, more in (
            (b"set a 5 0 3\r\nabc", ()), (b"get a b", (b"END",)), (b"gets a", (b"END",)),
            (b"add a 0 0 1\r\nx", ()), (b"replace b 0 0 1\r\nx", ()), (b"append a 0 0 1\r\nd", ()),
            (b"prepend a 0 0 1\r\nz", ()), (b"get a", (b"END",)), (b"cas a 0 0 1 999\r\ny", ()),
            (b"set n 0 0 2\r\n41", ()), (b"incr n 1", ()), (b"decr n 100", ()), (b"incr a 1", ()),
            (b"touch n 100", ()), (b"gat 100 n", (b"END",)), (b"delete n", ()), (b"delete n", ()),
            (b"set short 0 0 1\r\ntoo long", ()), (b"", ()), (b"nonsense", ()),
            (b"get " + b"k" * 251, ()), (b"set neg 0 0 -1", ()), (b"verbosity 0", ()),
            (b"flush_all", ()), (b"get a", (b"END",)), (b"cache_memlimit 64", ()),
            (b"mn", ()), (b"ms m 2\r\nhi", ()), (b"mg m v t f s k", ()), (b"mg none v", ()),
            (b"ma m", ()), (b"md m q\r\nmn", ()), (b"me none", ()),
        ):  # fmt: skip
            yield f"{request[:30]!r}: {_shown(client.ask(request, more))}"


def binary(port: int) -> Iterator[str]:
    """Get, set, increment, a quiet one and a wrong one of the binary protocol."""

    def packet(code: int, key: bytes = b"", value: bytes = b"", extras: bytes = b"") -> bytes:
        size = len(extras) + len(key) + len(value)
        head = struct.pack(">BBHBBHIIQ", 0x80, code, len(key), len(extras), 0, 0, size, 7, 0)
        return head + extras + key + value

    with (
        socket.create_connection(("127.0.0.1", port), LIMIT) as client,
        client.makefile("rb") as answers,
    ):
        for what, request in (
            ("version", packet(0x0B)),
            ("set", packet(0x01, b"bin", b"value", struct.pack(">II", 3, 0))),
            ("get", packet(0x00, b"bin")),
            ("getk", packet(0x0C, b"bin")),
            ("increment", packet(0x05, b"num", b"", struct.pack(">QQI", 5, 100, 0))),
            ("increment again", packet(0x05, b"num", b"", struct.pack(">QQI", 5, 100, 0))),
            ("get quietly, then noop", packet(0x09, b"none") + packet(0x0A)),
            ("delete", packet(0x04, b"bin")),
            ("get of nothing", packet(0x00, b"bin")),
            ("unknown", packet(0x77)),
        ):
            client.sendall(request)
            head = answers.read(24)
            magic, code, _, _, _, status, size, opaque, _ = struct.unpack(">BBHBBHIIQ", head)
            body = answers.read(size)
            yield f"{what}: {magic:x} {code:x} {status} {opaque} {body!r}"


def udp(port: int) -> Iterator[str]:
    """Datagrams, each with its frame of eight bytes; an answer that needs several."""
    with Client(port) as client:
        client.store("set", "small", b"in one datagram")
        client.store("set", "large", b"0123456789" * 1000)
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(LIMIT)
        datagrams.connect(("127.0.0.1", port))
        for number, key in enumerate(("small", "large", "none"), 1):
            datagrams.send(struct.pack(">HHHH", number, 0, 1, 0) + f"get {key}\r\n".encode())
            parts: dict[int, bytes] = {}
            total = 1
            while len(parts) < total:
                data = datagrams.recv(65536)
                request, sequence, total, _ = struct.unpack(">HHHH", data[:8])
                if request == number:
                    parts[sequence] = data[8:]
            answer = b"".join(parts[at] for at in range(total))
            yield f"udp {key}: {total} datagrams, {len(answer)} bytes, {answer[:30]!r}"


def large(port: int) -> Iterator[str]:
    """Values of many sizes up to megabytes, and one that is too large."""
    with Client(port) as client:
        for size in (0, 1, 1023, 1024, 16_384, 100_000, 1_000_000, BIG):
            value = bytes(n * 31 % 251 for n in range(1000)) * (size // 1000 + 1)
            stored = client.store("set", "large", value[:size])
            got = client.get("large")["large"]
            yield f"{size} bytes: {stored.decode()} {got == value[:size]}"
        yield f"too large: {client.store('set', 'huge', b'x' * (5 << 20)).decode()}"
        client.store("set", "after", b"1")
        yield f"after it: {client.get('huge', 'after')}"


def crowd(port: int) -> Iterator[str]:
    """Hundreds of connections at once, each with its own values, from several threads."""
    wrong: list[str] = []

    def work(base: int) -> None:
        try:
            clients = [Client(port) for _ in range(40)]
            for turn in range(10):
                for number, client in enumerate(clients):
                    key, value = f"k{base}-{number}", f"{base} {number} {turn}".encode() * 20
                    if client.store("set", key, value) != b"STORED":
                        wrong.append(f"{key} not stored")
                    if client.get(key).get(key) != value:
                        wrong.append(f"{key} is another")
            for client in clients:
                client.close()
        except (OSError, ValueError) as problem:
            wrong.append(str(problem))

    threads = [threading.Thread(target=work, args=(base,)) for base in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    yield f"200 connections, 2000 sets and gets: {wrong[:3] or 'all right'}"


def pipeline(port: int) -> Iterator[str]:
    """Thousands of requests before the first answer is read."""
    with Client(port) as client:
        count = 5000
        sent = b"".join(b"set p%d 0 0 5\r\n%05d\r\n" % (n, n) for n in range(count))
        sender = threading.Thread(target=client.socket.sendall, args=(sent,))
        sender.start()
        good = sum(client.line() == b"STORED" for _ in range(count))
        sender.join()
        yield f"{good} stored in one go"
        many = client.get(*(f"p{n}" for n in range(200)))
        yield f"{sum(many[f'p{n}'] == b'%05d' % n for n in range(200))} of 200 in one get"


def counters(port: int) -> Iterator[str]:
    """What it says of itself; counts that do not depend on time."""
    with Client(port) as client:
        stats = dict(line.split(b" ", 2)[1:] for line in client.ask(b"stats", (b"END",))[:-1])
        for name in (
            "threads",
            "max_connections",
            "limit_maxbytes",
            "pointer_size",
            "accepting_conns",
        ):
            yield f"{name} {stats[name.encode()].decode()}"
        settings = client.ask(b"stats settings", (b"END",))
        yield f"settings: {len(settings)}"
        yield f"items: {client.ask(b'stats items', (b'END',))[-1].decode()}"
        yield f"slabs: {client.ask(b'stats slabs', (b'END',))[-1].decode()}"
        yield f"conns: {client.ask(b'stats conns', (b'END',))[-1].decode()}"
        yield f"reset: {client.ask(b'stats reset')[0].decode()}"


PARTS: list[Callable[[int], Iterator[str]]] = [
    text, binary, udp, large, crowd, pipeline, counters,
]  # fmt: skip
