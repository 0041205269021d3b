"""Carries bytes between the guest's ports and the tool's own streams.

Each port is one end of a socket pair whose other end QEMU inherits.  A thread a port copies,
so a slow reader of the tool's output holds up the program and nothing else.
"""

import os
import socket
import threading
from collections.abc import Callable

_CHUNK = 65536


class Port:
    """One chardev: `far` goes to QEMU, `near` is read or written here."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.near, self.far = socket.socketpair()

    def start(self, work: Callable[["Port"], None]) -> threading.Thread:
        """Run the copying; call it after QEMU has inherited its end."""
        self.far.close()
        thread = threading.Thread(target=work, args=(self,), name=self.name, daemon=True)
        thread.start()
        return thread


def _chunks(port: Port):  # type: ignore[no-untyped-def]
    while True:
        try:
            data = port.near.recv(_CHUNK)
        except OSError:
            return
        if not data:
            return
        yield data


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def to_descriptor(descriptor: int) -> Callable[[Port], None]:
    """Copy the guest's bytes out.  When nobody reads them any more the port is closed."""

    def work(port: Port) -> None:
        try:
            for data in _chunks(port):
                _write_all(descriptor, data)
        except OSError:
            port.near.close()

    return work


def from_descriptor(descriptor: int) -> Callable[[Port], None]:
    """Copy bytes in; the end of the input becomes the port's close event.

    Only the writing half is shut: QEMU drops unread bytes when the whole socket hangs up.
    """

    def work(port: Port) -> None:
        try:
            while data := os.read(descriptor, _CHUNK):
                port.near.sendall(data)
        except OSError:
            pass
        try:
            port.near.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    return work


class Recorder:
    """Keeps what came, hands on whole lines, and copies to a descriptor if asked to."""

    def __init__(
        self, on_line: Callable[[bytes], None] | None = None, copy_to: int | None = None
    ) -> None:
        self.data = bytearray()
        self._on_line = on_line
        self._copy_to = copy_to
        self._seen = 0

    def __call__(self, port: Port) -> None:
        for data in _chunks(port):
            self.data += data
            if self._copy_to is not None:
                _write_all(self._copy_to, data)
            self._lines()

    def _lines(self) -> None:
        while (end := self.data.find(b"\n", self._seen)) >= 0:
            line = bytes(self.data[self._seen : end])
            self._seen = end + 1
            if self._on_line and line.strip():
                self._on_line(line)
