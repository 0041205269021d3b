# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Finds out when a guest's program answers at a forwarded port."""

from __future__ import annotations

import socket
import time


class Knock:
    """Asks a port again and again, until one asking gets the answer that is expected.

    A forwarded port is accepted by QEMU before the guest listens, and an early connection may hang
    there; so a new one is opened every few milliseconds while the older ones are still listened to.
    The longer the guest takes, the longer is the time between them, and the longer each is kept: a
    program that is slow to start is slow with its first answer too.
    """

    _OPEN = 16
    _EVERY, _SHARE, _SELDOM = 0.02, 0.05, 0.5

    def __init__(self, address: tuple[str, int], send: bytes, expect: bytes) -> None:
        self._address = address
        self._send = send
        self._expect = expect
        self._open: dict[socket.socket, bytes] = {}
        self._begun = time.monotonic()

    def answered(self) -> bool:
        """Opens one more connection and listens to all for a moment."""
        self._one_more()
        now = time.monotonic()
        pause = (now - self._begun) * self._SHARE
        until = now + min(max(pause, self._EVERY), self._SELDOM)
        while time.monotonic() < until:
            if any(self._listen(each) for each in list(self._open)):
                return True
            time.sleep(0.001)
        return False

    def _one_more(self) -> None:
        if len(self._open) >= self._OPEN:
            self._drop(next(iter(self._open)))
        try:
            fresh = socket.create_connection(self._address, timeout=1)
            fresh.sendall(self._send)
        except OSError:
            return
        fresh.setblocking(False)
        self._open[fresh] = b""

    def _listen(self, each: socket.socket) -> bool:
        try:
            data = each.recv(4096)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._drop(each)
            return False
        self._open[each] += data
        return self._expect in self._open[each]

    def _drop(self, each: socket.socket) -> None:
        del self._open[each]
        each.close()

    def close(self) -> None:
        """Closes all that is open."""
        for each in list(self._open):
            self._drop(each)
