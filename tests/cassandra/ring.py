#!/usr/bin/env python3
"""Three guests that form one ring of Cassandra, on a bridge in a network namespace of their own.

    kill    one guest loses its power while rows are written at QUORUM; every row that was
            acknowledged is read back, and those that were not are few
    load    mixed reads and writes for some minutes: no error, no standstill, and no more memory
            than heap and data account for

Usage: ring.py [--kernel FILE --root FILE] [--smp N] [--rows N] [--minutes N] [kill] [load]
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cassandra import ConsistencyLevel, DriverException, RequestExecutionException
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, Session
from cassandra.policies import RoundRobinPolicy
from guests import Server, WrongError, bake, guest
from single import START_LIMIT, value

NETWORK = "192.168.79"
WRITERS = 4
# On the emulator a collection of garbage takes seconds; longer than this is a standstill.
STANDSTILL = 60.0
# A row lies in a memtable, the commit log and a few generations of tables on the tmpfs; the rest is
# for what the JVM's compilers and the server's threads have outside the heap.
ROW_KIB, GROWTH_MIB = 1, 64


def addresses() -> list[str]:
    """Of the three guests."""
    return [f"{NETWORK}.{number}" for number in (1, 2, 3)]


def make_network() -> None:
    """A bridge with an address for this side, and an interface a guest."""
    lines = ["link set lo up", "link add ring type bridge", "link set ring up"]
    lines.append(f"addr add {NETWORK}.254/24 dev ring")
    for number in (1, 2, 3):
        lines += [f"tuntap add dev node{number} mode tap", f"link set node{number} master ring up"]
    for line in lines:
        subprocess.run(["ip", *line.split()], check=True)


@contextmanager
def ring(kernel: Path | None, root: Path | None, smp: int) -> Iterator[list[Server]]:
    """The guests, each started when the one before it answers, as they join one at a time."""
    baked = bake(kernel, root, [addresses()[0]])
    with ExitStack() as stack:
        servers = []
        for number, address in enumerate(addresses(), 1):
            place = {"tap": f"node{number}", "address": f"{address}/24"}
            server = stack.enter_context(guest(baked, smp=smp, memory_mib=1024, **place))
            print(f"{address} answers after {server.wait(START_LIMIT):.0f} s", flush=True)
            servers.append(server)
        yield servers


def connect() -> Session:
    """A session with all of them that asks a majority each time."""
    profile = ExecutionProfile(
        load_balancing_policy=RoundRobinPolicy(),
        consistency_level=ConsistencyLevel.QUORUM,
        request_timeout=60,
    )
    cluster = Cluster(
        addresses(), connect_timeout=60, control_connection_timeout=60,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
    )  # fmt: skip
    session = cluster.connect()
    session.execute(
        "CREATE KEYSPACE IF NOT EXISTS ring WITH replication ="
        " {'class': 'SimpleStrategy', 'replication_factor': 3}"
    )
    session.set_keyspace("ring")
    session.execute("CREATE TABLE IF NOT EXISTS rows (k int PRIMARY KEY, v text)")
    return session


class Load:
    """Threads that write, and read what was written, and remember what was acknowledged."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._insert = session.prepare("INSERT INTO rows (k, v) VALUES (?, ?)")
        self._select = session.prepare("SELECT v FROM rows WHERE k = ?")
        self.acknowledged: set[int] = set()
        self.refused: dict[int, str] = {}
        self.wrong: list[str] = []
        self.last = time.monotonic()

    def write(self, key: int) -> None:
        """One row; refusals are kept, as they are none of ours to count as written."""
        try:
            self._session.execute(self._insert, (key, value(key)))
        except (DriverException, RequestExecutionException) as problem:
            self.refused[key] = f"{type(problem).__name__}: {problem}"
            return
        self.acknowledged.add(key)
        self.last = time.monotonic()

    def read(self, key: int) -> None:
        """One row that was acknowledged, which a majority has to know."""
        row = self._session.execute(self._select, (key,)).one()
        if row is None or row.v != value(key):
            self.wrong.append(f"row {key}: {row}")
        self.last = time.monotonic()


def spread(work: list[int], each: object) -> None:
    """Calls a function for each number, from several threads."""
    assert callable(each)

    def run(first: int) -> None:
        for number in work[first::WRITERS]:
            each(number)

    threads = [threading.Thread(target=run, args=(first,)) for first in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def kill(servers: list[Server], session: Session, count: int) -> str:
    """The third guest dies after a third of the rows."""
    load = Load(session)

    def end_it() -> None:
        while len(load.acknowledged) < count // 3:
            time.sleep(0.05)
        servers[2].kill()

    killer = threading.Thread(target=end_it)
    killer.start()
    spread(list(range(count)), load.write)
    killer.join()
    spread(sorted(load.acknowledged), load.read)
    if load.wrong:
        raise WrongError(f"{len(load.wrong)} acknowledged rows are lost: {load.wrong[:3]}")
    if len(load.refused) > count // 20:
        raise WrongError(f"{len(load.refused)} refused: {list(load.refused.values())[:3]}")
    return f"{len(load.acknowledged)} acknowledged, {len(load.refused)} refused, none lost"


def missed(line: str) -> bool:
    """Whether it says that the guest that was killed is not reached any more."""
    return f"->/{addresses()[2]}:" in line and "failed to connect" in line


def load(servers: list[Server], session: Session, minutes: float) -> str:
    """Writes and reads in turns until the time is up, watched for a standstill and for memory."""
    running = Load(session)
    begun, memory = time.monotonic(), [measured(servers)]
    over = threading.Event()

    def work(first: int) -> None:
        key, mine, chance = first, [], random.Random(first)
        while not over.is_set():
            running.write(key)
            mine.append(key)
            key += WRITERS
            running.read(chance.choice(mine))

    threads = [threading.Thread(target=work, args=(10**6 + n,)) for n in range(WRITERS)]
    for thread in threads:
        thread.start()
    longest, rows = 0.0, 0
    while (passed := time.monotonic() - begun) < minutes * 60:
        time.sleep(1)
        longest = max(longest, time.monotonic() - running.last)
        if longest > STANDSTILL or not any(thread.is_alive() for thread in threads):
            break
        if len(memory) == 1 and passed > minutes * 30:
            memory.append(measured(servers))
            rows = len(running.acknowledged)
    over.set()
    for thread in threads:
        thread.join(120)
    if longest > STANDSTILL or any(thread.is_alive() for thread in threads):
        raise WrongError(f"nothing was answered for {longest:.0f} s")
    if running.wrong or running.refused:
        raise WrongError(f"{running.wrong[:3]}, {list(running.refused.items())[:3]}")
    memory.append(measured(servers))
    check_growth(memory[1], memory[2], len(running.acknowledged) - rows)
    return (
        f"{len(running.acknowledged)} rows written and as many read in {minutes:g} minutes, never"
        f" silent for more than {longest:.1f} s; memory in MiB at begin, middle and end: {memory}"
    )


def measured(servers: list[Server]) -> list[int]:
    """Memory of each guest in MiB."""
    return [round(server.memory_mib()) for server in servers]


def check_growth(middle: list[int], end: list[int], rows: int) -> None:
    """By the middle the heap is touched; after that only what was written may take more."""
    allowed = GROWTH_MIB + rows * ROW_KIB / 1024
    if any(last - first > allowed for first, last in zip(middle, end, strict=True)):
        raise WrongError(
            f"memory grew from {middle} to {end} MiB; {rows} rows explain {allowed:.0f} MiB"
        )


def main() -> int:
    """In a namespace of its own, which the program enters by starting itself again."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", choices=["kill", "load", []], metavar="PART")
    parser.add_argument("--kernel", type=Path)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--smp", type=int, default=1)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=15)
    options = parser.parse_args()
    if "KILN_RING" not in os.environ:
        apart = ["unshare", "--net", *([] if os.getuid() == 0 else ["--map-root-user"])]
        bake(options.kernel, options.root, [addresses()[0]])
        command = [*apart, sys.executable, *sys.argv]
        return subprocess.run(command, env=os.environ | {"KILN_RING": "1"}, check=False).returncode
    make_network()
    try:
        with ring(options.kernel, options.root, options.smp) as servers:
            session = connect()
            for name in options.names or ["load", "kill"]:
                if name == "load":
                    print(f"load: {load(servers, session, options.minutes)}", flush=True)
                else:
                    print(f"kill: {kill(servers, session, options.rows)}", flush=True)
            session.cluster.shutdown()
            killed = servers[2].process.poll() is not None
            errors = [
                line
                for server in servers
                for line in server.errors()
                if not (killed and missed(line))
            ]
            if errors:
                raise WrongError("errors in the logs:\n" + "\n".join(errors[:10]))
    except WrongError as problem:
        print(f"ring: {problem}")
        return 1
    print("ring: all as it has to be")
    return 0


if __name__ == "__main__":
    sys.exit(main())
