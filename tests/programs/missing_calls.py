#!/usr/bin/env python3
"""Lists the system calls and options that programs use on Linux and that Kiln has no answer to.

Runs cases of tests/programs/cases under strace on Linux and with trace=syscalls on Kiln, and prints

    missing    calls that no source of the kernel defines (kernel-src/linux/syscall_list.hh)
    refused    options (flags, commands, levels) that worked on Linux at least once and on Kiln
               always ended with the same error
    not seen   with --unseen: options that Kiln was never asked for, because a program went another
               way there; where to look when a case differs

Usage: missing_calls.py [--kernel FILE] [--unseen] FILE[/PATTERN] ...   as for run_programs.py, e.g.
       missing_calls.py python/-m "coreutils/cp" go
       missing_calls.py -- /usr/bin/python3.11 -c "import ssl"          one command line
Exit status 1 when something is missing or refused.
"""

from __future__ import annotations

import argparse
import errno
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import run_programs
from run_programs import Case
from world import HERE, TOP, World, make_world

sys.path.insert(0, str(TOP / "kernel-src" / "tools"))
import syscall_table  # noqa: E402

# Which arguments of a call are options: what else they hold is left alone.
OPTIONS = {
    "accept4": [3], "arch_prctl": [0], "clock_getres": [0], "clock_gettime": [0],
    "clock_nanosleep": [0, 1], "clone": [0], "close_range": [2], "copy_file_range": [5],
    "dup3": [2], "epoll_create1": [0], "epoll_ctl": [1], "eventfd2": [1], "faccessat2": [3],
    "fadvise64": [3], "fallocate": [1], "fchmodat": [], "fchownat": [4], "fcntl": [1], "flock": [1],
    "futex": [1], "getitimer": [0], "getpriority": [0], "getrandom": [2], "getrusage": [0],
    "getsockopt": [1, 2], "inotify_init1": [0], "ioctl": [1], "kcmp": [2], "linkat": [4],
    "lseek": [2], "madvise": [2], "membarrier": [0, 1], "memfd_create": [1], "mlockall": [0],
    "mmap": [2, 3], "mprotect": [2], "mremap": [3], "msync": [2], "newfstatat": [3], "open": [1],
    "openat": [2], "pidfd_open": [1], "pipe2": [1], "prctl": [0], "preadv2": [5],
    "prlimit64": [1], "pwritev2": [5], "recvfrom": [3], "recvmmsg": [3], "recvmsg": [2],
    "renameat2": [4], "rseq": [2], "rt_sigaction": [0], "rt_sigprocmask": [0],
    "sched_setscheduler": [1], "sendmmsg": [3], "sendmsg": [2], "sendto": [3], "setitimer": [0],
    "setsockopt": [1, 2], "shutdown": [1], "signalfd4": [3], "socket": [0, 1, 2],
    "socketpair": [0, 1, 2], "splice": [5], "statx": [2], "sync_file_range": [3], "tee": [3],
    "timer_create": [0], "timer_settime": [1], "timerfd_create": [0, 1], "timerfd_settime": [1],
    "unlinkat": [2], "utimensat": [3], "vmsplice": [3], "waitid": [0, 3], "wait4": [2],
}  # fmt: skip
# "openat(0xffffff9c, 0x7f…, 0x80000) = 0x3" of strace -e raw=all, "openat(ffffff9c, …) = 3" of Kiln.
_LINUX = re.compile(r"(?:^|\] )(?:\d+ +)?(\w+)\((.*?)\) += (-?\w+)(?: (E\w+))?")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")
_KILN = re.compile(r"debug: (\w+)\(([0-9a-f, ]*)\) = (-?\d+)$")
# Errors that say "I do not know this", of a call that may know other options.
_REFUSALS = {"EINVAL", "ENOSYS", "EOPNOTSUPP", "ENOPROTOOPT", "ENOTTY", "EPROTONOSUPPORT", "EPERM"}
_REFUSALS |= {"EAFNOSUPPORT", "ESOCKTNOSUPPORT", "EACCES", "ENODEV", "ENXIO"}

Key = tuple[str, ...]
Outcomes = dict[Key, set[str]]


def key_of(name: str, arguments: list[str]) -> Key:
    """A call with its options, in hexadecimal."""
    places = [place for place in OPTIONS.get(name, []) if place < len(arguments)]
    words = [int(arguments[place], 16) & 0xFFFFFFFF for place in places]
    return (name, *(f"{word:x}" for word in words))


def read_linux(text: str) -> Outcomes:
    """Outcomes in strace's record, from the start of the program on."""
    found: Outcomes = defaultdict(set)
    begun: dict[str, str] = {}
    # The last start of a program that linux_box does; none of the cases' own can come later on Kiln.
    starts = [at.start() for at in re.finditer(r"execve\(.*= 0(?:x0)?$", text, re.MULTILINE)]
    for line in text[starts[min(1, len(starts) - 1)] :].splitlines()[1:]:
        pid = line.split(maxsplit=1)[0]
        if line.endswith("<unfinished ...>"):
            begun[pid] = line.removesuffix("<unfinished ...>")
            continue
        if resumed := _RESUMED.match(line):
            line = begun.pop(pid, "") + resumed[3]
        if call := _LINUX.search(line):
            arguments = [word for word in call[2].split(", ") if word]
            try:
                found[key_of(call[1], arguments)].add(call[4] or "ok")
            except ValueError:
                continue  # strace decodes a few in spite of raw
    return found


def read_kiln(text: str) -> Outcomes:
    """Outcomes in the guest's log."""
    found: Outcomes = defaultdict(set)
    for call in re.finditer(_KILN.pattern, text, re.MULTILINE):
        value = int(call[3])
        outcome = errno.errorcode.get(-value, "ok") if -512 < value < 0 else "ok"
        found[key_of(call[1], call[2].split(", "))].add(outcome)
    return found


def trace(case: Case, world: World, kernel: str) -> tuple[Outcomes, Outcomes]:
    """One case on both sides."""
    environment = [word for pair in case.settings.items() for word in ("--env", "=".join(pair))]
    tail = ["--cwd", case.cwd, *environment, "--", *case.argv]
    with tempfile.TemporaryDirectory(prefix="kiln-strace-") as folder:
        record = Path(folder, "strace")
        linux = ["strace", "-f", "-qq", "-e", "raw=all", "-e", "signal=none", "-o", str(record)]
        linux += ["/usr/bin/python3", "-IS", str(HERE / "linux_box.py"), "--tree", str(world.tree)]
        quiet = {"input": case.stdin.encode(), "stdout": subprocess.DEVNULL, "check": False}
        subprocess.run([*linux, *tail], stderr=subprocess.DEVNULL, **quiet)
        on_linux = read_linux(record.read_text(errors="replace"))
        log = Path(folder, "log")
        kiln = [str(TOP / "kernel-src" / "run"), "--kernel", kernel, "--root", str(world.image)]
        kiln += ["--smp", str(case.smp), "--memory", case.memory, "--verbose"]
        kiln += ["--timeout", str(case.timeout * 10)]
        with log.open("wb") as stream:
            words = os.environ | {"KILN_APPEND": "trace=syscalls"}
            subprocess.run([*kiln, *tail], stderr=stream, env=words, **quiet)
        return on_linux, read_kiln(log.read_text(errors="replace"))


def shown(key: Key) -> str:
    """openat(…80000…) as openat 80000."""
    return f"{key[0]}({', '.join('0x' + word for word in key[1:])})" if key[1:] else key[0]


def conclude(linux: Outcomes, kiln: Outcomes, unseen: bool) -> int:
    """The lists, and how many entries the first two have."""
    there = set(syscall_table.definitions())
    missing = sorted({key[0] for key in linux} - there)
    refused = []
    for key, outcomes in sorted(linux.items()):
        answers = kiln.get(key, set())
        if "ok" in outcomes and answers and answers <= _REFUSALS and key[0] in there:
            refused.append(f"{shown(key)}: {', '.join(sorted(answers))}")
    print(f"{len({key[0] for key in linux})} calls with {len(linux)} options on Linux")
    print(f"missing ({len(missing)}): {' '.join(missing) or 'none'}")
    print(f"refused ({len(refused)}): {'; '.join(refused) or 'none'}")
    if unseen:
        absent = [shown(key) for key in sorted(linux) if key not in kiln and key[0] in there]
        print(f"not seen on Kiln ({len(absent)}): {'; '.join(absent)}")
    return len(missing) + len(refused)


def choose(options: argparse.Namespace, world: World) -> list[Case]:
    """The cases named, or one of the command line's own."""
    if options.names and options.names[0].startswith("/"):
        return [Case("own", options.names[0], options.names, timeout=120)]
    options.all = True
    return run_programs.choose(options, world)


def main() -> int:
    """Trace all, add up, say."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--kernel", default=str(TOP / "build" / "kernel" / "kiln.elf"))
    parser.add_argument("--unseen", action="store_true")
    parser.add_argument("names", nargs="+", metavar="FILE[/PATTERN] or PROGRAM ARG")
    options = parser.parse_args()
    world = make_world()
    linux: Outcomes = defaultdict(set)
    kiln: Outcomes = defaultdict(set)
    for case in choose(options, world):
        for total, part in zip((linux, kiln), trace(case, world, options.kernel), strict=True):
            for key, outcomes in part.items():
                total[key] |= outcomes
    return 1 if conclude(linux, kiln, options.unseen) else 0


if __name__ == "__main__":
    sys.exit(main())
