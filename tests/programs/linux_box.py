#!/usr/bin/python3 -IS
"""Runs one program of a tree on this machine's Linux as kernel-src/run runs it on Kiln.

Usage: linux_box.py --tree DIR [--status-file FILE] [--cwd DIR] [--env K=V]… [--host-net]
                    [--for-suite] -- PROGRAM…

In namespaces of its own: the tree is the read-only root; /tmp, /run, /dev/shm are empty tmpfs and
/var is one with a copy of the tree's, as a guest has them. The network is a loopback alone, or with
--host-net this machine's. For a suite of tests there are pseudo-terminals too, and nobody may set the
clock, which is this machine's. Needs root, or user namespaces that a user may make.

The status file says {"exit": n} or {"signal": n}; the exit status is the shell's (128 + n).
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import sys

NEWNS, NEWUTS, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x10000000, 0x20000000, 0x40000000
RDONLY, NOSUID, NODEV, REMOUNT, BIND, REC, PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
CAPBSET_DROP, CAP_SYS_TIME = 24, 25
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1"}
LINKS |= {"stderr": "/proc/self/fd/2"}
HOSTNAME = "kiln"

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    """Raise what the C library says went wrong."""
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    words = [word.encode() if word else None for word in (source, target, kind)]
    check(libc.mount(*words, flags, data.encode() or None), f"mount {target}")


def leave_the_host(host_net: bool) -> None:
    """New namespaces; the next child is the first process of its own."""
    flags = NEWNS | NEWUTS | NEWPID | (0 if host_net else NEWNET)
    user, group = os.getuid(), os.getgid()
    check(libc.unshare(flags | (NEWUSER if user else 0)), "unshare")
    if user:
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"0 {user} 1"),
            ("gid_map", f"0 {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as stream:
                stream.write(text)
    check(libc.sethostname(HOSTNAME.encode(), len(HOSTNAME)), "sethostname")
    if not host_net:
        raise_loopback()


def raise_loopback() -> None:
    """Up with lo."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def lay_out(tree: str, host_net: bool) -> None:
    """The mounts of a guest, on the tree."""
    mount("none", "/", flags=REC | PRIVATE)
    mount(tree, tree, flags=BIND | REC)
    mount("none", tree, flags=REMOUNT | BIND | RDONLY)
    mount("proc", f"{tree}/proc", "proc")
    if host_net:
        mount("/sys", f"{tree}/sys", flags=BIND | REC)
    else:
        mount("sysfs", f"{tree}/sys", "sysfs", RDONLY)
    mount("devtmpfs", f"{tree}/dev", "tmpfs", data="mode=755")
    for name in DEVICES:
        open(f"{tree}/dev/{name}", "w", encoding="ascii").close()
        mount(f"/dev/{name}", f"{tree}/dev/{name}", flags=BIND)
    for name, target in LINKS.items():
        os.symlink(target, f"{tree}/dev/{name}")
    os.mkdir(f"{tree}/dev/shm")
    for name, mode in (("/dev/shm", "1777"), ("/tmp", "1777"), ("/run", "755")):
        mount("tmpfs", tree + name, "tmpfs", data=f"mode={mode}")
    fill_var(tree)


def allow_for_suite(tree: str) -> None:
    """Terminals of its own; no right to set the clock, in what is started from here on."""
    os.mkdir(f"{tree}/dev/pts")
    mount("devpts", f"{tree}/dev/pts", "devpts", data="newinstance,ptmxmode=0666,mode=620")
    os.symlink("pts/ptmx", f"{tree}/dev/ptmx")
    check(libc.prctl(CAPBSET_DROP, CAP_SYS_TIME, 0, 0, 0), "prctl")


def fill_var(tree: str) -> None:
    """/var with what the tree has there; the copy is made before the tree's own is covered."""
    stage = f"{tree}/run/var"
    shutil.copytree(f"{tree}/var", stage, symlinks=True)
    mount("tmpfs", f"{tree}/var", "tmpfs", data="mode=755")
    for name in os.listdir(stage):
        source = f"{stage}/{name}"
        if os.path.isdir(source):
            shutil.copytree(source, f"{tree}/var/{name}", symlinks=True)
        else:
            shutil.copy2(source, f"{tree}/var/{name}")
    shutil.rmtree(stage)


def start(options: argparse.Namespace) -> None:
    """Become the program."""
    os.chroot(options.tree)
    os.chdir(options.cwd)
    os.umask(0o022)
    # Whoever started this may have ignored some (a shell does so for what runs in the background).
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    environment = dict(setting.split("=", 1) for setting in options.env)
    try:
        os.execve(options.program[0], options.program, environment)
    except OSError as problem:
        print(f"linux_box: {options.program[0]}: {problem.strerror}", file=sys.stderr)
        os._exit(127)


def wait_for(child: int) -> int:
    """The wait status of a child; others' are reaped on the way."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return status


def first_process(options: argparse.Namespace) -> int:
    """What runs as pid 1: its signals are special, so the program is another's."""
    lay_out(options.tree, options.host_net)
    if options.for_suite:
        allow_for_suite(options.tree)
    child = os.fork()
    if child == 0:
        start(options)
    code = os.waitstatus_to_exitcode(wait_for(child))
    if options.status_file:
        told = {"signal": -code} if code < 0 else {"exit": code}
        with open(options.status_file, "w", encoding="ascii") as stream:
            json.dump(told, stream)
    return 128 - code if code < 0 else code


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--tree", required=True)
    parser.add_argument("--status-file")
    parser.add_argument("--cwd", default="/tmp")
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("--host-net", action="store_true")
    parser.add_argument("--for-suite", action="store_true")
    parser.add_argument("program", nargs="+")
    return parser.parse_args()


def main() -> int:
    """Unshare, fork, wait."""
    options = parse()
    leave_the_host(options.host_net)
    # Whoever ends this tool ends all below it.
    child = os.fork()
    if child == 0:
        libc.prctl(1, 9)
        os._exit(first_process(options))
    return os.waitstatus_to_exitcode(wait_for(child))


if __name__ == "__main__":
    sys.exit(main())
