"""Lets more than one client at a time connect to a forwarded port.

QEMU's user-mode network listens with a backlog of one, so fifty clients that connect at once (as
redis-benchmark does) overflow it: the host's kernel drops or resets some of them before the guest
hears of any. Calling listen(2) once more with a larger number changes that, and a parent may
borrow its child's socket for it by pidfd_getfd(2).
"""

import contextlib
import ctypes
import os
import socket
import time

_PIDFD_GETFD = 438
_WANTED = 511
_LIMIT_SECONDS = 5.0
_LOOK_SECONDS = 0.01
_LISTENING = "0A"


def _listening_inodes(ports: set[int]) -> set[str]:
    inodes = set()
    with open("/proc/net/tcp", encoding="ascii") as table:
        for row in list(table)[1:]:
            fields = row.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) in ports:
                inodes.add(f"socket:[{fields[9]}]")
    return inodes


def _descriptors(pid: int, inodes: set[str]) -> list[int]:
    found = []
    folder = f"/proc/{pid}/fd"
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            if os.readlink(f"{folder}/{name}") in inodes:
                found.append(int(name))
    return found


def _raise(pid: int, descriptor: int) -> None:
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    handle = os.pidfd_open(pid)
    try:
        copy = syscall(_PIDFD_GETFD, handle, descriptor, 0)
        if copy < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")
        with socket.socket(fileno=copy) as listener:
            listener.listen(_WANTED)
    finally:
        os.close(handle)


def widen(pid: int, ports: set[int]) -> bool:
    """Whether the backlogs of a child's listeners on these TCP ports could be raised.

    Waits until QEMU has opened them. Where the host forbids the borrowing, nothing has changed.
    """
    until = time.monotonic() + _LIMIT_SECONDS
    try:
        while ports and time.monotonic() < until:
            found = _descriptors(pid, _listening_inodes(ports))
            if len(found) >= len(ports):
                for descriptor in found:
                    _raise(pid, descriptor)
                return True
            time.sleep(_LOOK_SECONDS)
    except OSError:
        pass
    return False
