"""A port of this machine for a test to listen at, or to forward into a guest."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A port that nobody has now, for TCP and UDP.

    It is only found, not held: whoever wants it takes it at once.
    """
    while True:
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            stream.bind(("127.0.0.1", 0))
            port = int(stream.getsockname()[1])
            try:
                datagrams.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
