"""Debian's OpenJDK 17 in guests, driven from outside.

Usage: python tests/java/java.py [--all] [--kernel FILE --root IMAGE] [CASE ...]

Each case is a guest. What Probe.java prints is known beforehand: it was written so that Linux
prints the same, but for `exec`, which Linux can do, and the machine, which is the guest.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path.insert(0, str(TOP / "tests/lib"))
from redis_guest import RUN, Baked, free_port, run_checked  # noqa: E402

JAVA = "/usr/lib/jvm/java-17-openjdk-amd64/bin/java"
CLIENTS = 8
LIMIT = 300.0
HOST = r", host tests-java/127\.0\.1\.1"

Case = Callable[[Baked], str]


class WrongError(Exception):
    """A guest did not do what it should."""


def bake() -> Baked:
    """Kernel and image by the collection's own roles, from this checkout."""
    facts = TOP / "build/java-image.json"
    facts.parent.mkdir(exist_ok=True)
    tree = run_checked(["sh", str(TOP / "tools/tree")]).strip()
    environment = os.environ | {"ANSIBLE_COLLECTIONS_PATH": tree, "LC_ALL": "C.UTF-8"}
    environment["PATH"] = f"{TOP / '.venv/bin'}:{os.environ.get('PATH', os.defpath)}"
    command = ["ansible-playbook", "-i", "localhost,", str(HERE / "image.yml")]
    run_checked([*command, "-e", json.dumps({"facts_file": str(facts)})], env=environment)
    found = json.loads(facts.read_text())
    return Baked(Path(found["kernel"]), Path(found["root"]))


def command(baked: Baked, options: list[str], words: list[str]) -> list[str]:
    """The start of a guest that runs Java with these words."""
    start = [str(RUN), "--kernel", str(baked.kernel), "--root", str(baked.root)]
    start += ["--timeout", str(LIMIT), *options]
    return [*start, "--", JAVA, "-cp", "/app/app.jar", *words]


def probe(baked: Baked, options: list[str], words: list[str], wanted: list[str]) -> str:
    """A run of Probe whose lines match these patterns, one each."""
    done = subprocess.run(
        command(baked, options, words),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    good = len(lines) == len(wanted) and all(map(re.fullmatch, wanted, lines))
    if not good or done.returncode != 0:
        raise WrongError(f"wanted {wanted}, found {lines}, status {done.returncode}\n{done.stderr}")
    return "; ".join(lines)


def faults(baked: Baked) -> str:
    """Exceptions that signals become, threads by the thousand, what is refused; two CPUs."""
    words = ["-Xmx64m", "Probe", "null", "divide", "overflow", "exec", "threads=2500", "machine"]
    wanted = ["null: caught 400, sum 199600", "divide: 20000", "overflow: caught 15"]
    wanted += [r"exec: java\.io\.IOException", "threads: sum 3123750, all at once"]
    machine = "machine: processors 2, memory (50[0-9]|51[0-2]), heap 6[0-4]" + HOST
    return probe(baked, ["--smp", "2", "--memory", "512M"], words, [*wanted, machine])


def machine(baked: Baked) -> str:
    """One CPU, and a quarter of the memory for the heap when nothing is said."""
    wanted = [r"machine: processors 1, memory 10[12]\d, heap 2[45]\d" + HOST]
    return probe(baked, ["--memory", "1G"], ["Probe", "machine"], wanted)


def pressure(collector: str) -> Case:
    """A full heap that is replaced over and over by two threads on two CPUs."""

    def run(baked: Baked) -> str:
        words = [f"-XX:+Use{collector}GC", "-Xmx96m", "Probe", "pressure=20"]
        wanted = ["pressure: wrong 0, collected"]
        return probe(baked, ["--smp", "2", "--memory", "384M"], words, wanted)

    return run


def crowd(baked: Baked) -> str:
    """Five thousand threads."""
    words = ["-Xmx64m", "Probe", "threads=5000"]
    wanted = ["threads: sum 12497500, all at once"]
    return probe(baked, ["--smp", "2", "--memory", "1G"], words, wanted)


@contextmanager
def started(baked: Baked, options: list[str], words: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A guest that is talked to, ended if it does not end."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command(baked, options, words), stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as tool:
        try:
            yield tool
        finally:
            if tool.poll() is None:
                tool.send_signal(signal.SIGTERM)


def dump(baked: Baked) -> str:
    """SIGQUIT prints the threads and changes nothing."""
    with started(baked, ["--smp", "2"], ["-Xmx32m", "Probe", "wait"]) as tool:
        assert tool.stdout
        if tool.stdout.readline() != "ready\n":
            raise WrongError(f"no start: {tool.communicate()}")
        tool.send_signal(signal.SIGQUIT)
        told = ""
        while not told.endswith("\n\n") or "JNI global refs" not in told:
            line = tool.stdout.readline()
            if not line:
                raise WrongError(f"the dump ends early: {told}")
            told += line
        rest, errors = tool.communicate("\n")
    wanted = ["Full thread dump OpenJDK", '"main"', '"waits for ever" ', "in Object.wait()"]
    missing = [text for text in wanted if text not in told]
    # The heap's figures follow the threads.
    if missing or tool.returncode != 0 or "wait: read 10\n" not in rest:
        raise WrongError(
            f"missing {missing}, then {rest!r}, status {tool.returncode}\n{told}{errors}"
        )
    return f"{told.count('tid=')} threads told"


def web(baked: Baked) -> str:
    """A web server, eight clients on kept connections, a heap that is collected meanwhile."""
    port = free_port()
    options = ["--smp", "2", "--memory", "384M", "--forward", f"{port}:8080"]
    with started(baked, options, ["-Xmx96m", "Web", "8080"]) as tool:
        assert tool.stdout
        if tool.stdout.readline() != "listening at 8080\n":
            raise WrongError(f"no start: {tool.communicate()}")
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            good = sum(pool.map(lambda number: client(port, number), range(CLIENTS)))
        seconds = time.monotonic() - begun
    if good != CLIENTS * 100:
        raise WrongError(f"{good} good answers of {CLIENTS * 100}")
    return f"{good} pairs of requests, {2 * good / seconds:.0f} requests/s"


def client(port: int, number: int) -> int:
    """Puts and gets, each answer compared, and garbage now and then."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
    good = 0
    for turn in range(100):
        path, value = f"/kv/{number}-{turn % 5}", f"{number} {turn} ".encode() * 50
        connection.request("PUT", path, value)
        stored = connection.getresponse()
        stored.read()
        connection.request("GET", path if turn % 20 else "/garbage?20000")
        answer = connection.getresponse()
        told = answer.read()
        right = told == value if turn % 20 else told.startswith(b"let go of 20000 KiB")
        good += (stored.status, answer.status, right) == (200, 200, True)
    connection.close()
    return good


QUICK: dict[str, Case] = {
    "faults": faults,
    "machine": machine,
    "g1": pressure("G1"),
    "dump": dump,
    "web": web,
}
LONG: dict[str, Case] = {
    "serial": pressure("Serial"),
    "parallel": pressure("Parallel"),
    "z": pressure("Z"),
    "crowd": crowd,
}


def main() -> int:
    """Runs the cases asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join([*QUICK, *LONG]))
    parser.add_argument("--all", action="store_true", help="the long ones too")
    parser.add_argument("--kernel", type=Path, help="with --root: not the role's")
    parser.add_argument("--root", type=Path)
    chosen = parser.parse_args()
    baked = Baked(chosen.kernel, chosen.root) if chosen.root else bake()
    every = QUICK | LONG
    names = chosen.cases or list(every if chosen.all else QUICK)
    bad = 0
    for name in names:
        begun = time.monotonic()
        try:
            told = "ok: " + every[name](baked)
        except (WrongError, OSError, http.client.HTTPException) as problem:
            told, bad = (
                f"FAILED: {problem!r}" if not str(problem) else f"FAILED: {problem}",
                bad + 1,
            )
        print(f"{name} ({time.monotonic() - begun:.0f} s) {told}", flush=True)
    print(f"java: {len(names) - bad} passed, {bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
