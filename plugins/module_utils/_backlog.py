# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Lets many clients connect to a guest's forwarded ports at the same moment.

QEMU's user network listens with a backlog of one, so when hundreds of clients connect at once this
machine's kernel drops most of their first packets, and they come a second, three, seven seconds
later. listen(2) called once more on the same socket changes that, and the socket can be had of the
process that has it by pidfd_getfd(2). A system may allow that for descendants only, which what
daemonizes stays for as long as the process that started it adopts orphans.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
from collections.abc import Iterator
from pathlib import Path

_PIDFD_GETFD = 438
_PR_SET_CHILD_SUBREAPER = 36
_BACKLOG = 511
_LISTENING = "0A"


@contextlib.contextmanager
def adopting_orphans() -> Iterator[None]:
    """What is started in here, and goes into the background, is a child of this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def widen(pid: int | None, ports: set[int]) -> int:
    """Raises the backlog of a process's listeners on these TCP ports; how many were raised.

    Where the system forbids it all stays as it was: clients then connect late, but they do.
    """
    raised = 0
    if pid is None:
        return raised
    with contextlib.suppress(OSError):
        wanted = _listeners(ports)
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if str(entry.readlink()) in wanted:
                    _listen_again(pid, int(entry.name))
                    raised += 1
    return raised


def _listeners(ports: set[int]) -> set[str]:
    """What /proc calls the sockets that listen on these ports."""
    found = set()
    for row in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = row.split()
        if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) in ports:
            found.add(f"socket:[{fields[9]}]")
    return found


def _listen_again(pid: int, descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.pidfd_open(pid)
    try:
        copy = libc.syscall(_PIDFD_GETFD, handle, descriptor, 0)
        if copy < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")
        with socket.socket(fileno=copy) as listener:
            listener.listen(_BACKLOG)
    finally:
        os.close(handle)
