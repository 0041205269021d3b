#!/usr/bin/env python3
"""Cassandra in one guest, driven from outside by Python's driver.

Each part says what it looked at. What is written is read back and compared, value by value; an
error in the server's log is a failure too.

Usage: single.py [--kernel FILE --root FILE] [--smp N] [--rows N] [--once] [PART ...]
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, Session
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.policies import WhiteListRoundRobinPolicy
from cassandra.query import BatchStatement
from guests import Server, WrongError, bake, guest

START_LIMIT = 1200.0
ROWS = 100_000


def connect(server: Server) -> Session:
    """A session at the server, whose requests may take as long as an emulator needs."""
    policy = WhiteListRoundRobinPolicy([server.host])
    profile = ExecutionProfile(load_balancing_policy=policy, request_timeout=120)
    cluster = Cluster(
        [server.host], port=server.port, connect_timeout=120, control_connection_timeout=120,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile}, idle_heartbeat_timeout=120,
    )  # fmt: skip
    return cluster.connect()


def expect(what: str, wanted: object, found: object) -> None:
    """Both have to be the same."""
    if wanted != found:
        raise WrongError(f"{what}: wanted {wanted!r}, found {found!r}")


def value(number: int) -> str:
    """What belongs to a key."""
    return hashlib.sha256(str(number).encode()).hexdigest()


def schema(session: Session, _: int) -> str:
    """A keyspace, tables of many types, a user-defined type, a change of a table."""
    session.execute(
        "CREATE KEYSPACE t WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
    )
    session.set_keyspace("t")
    session.execute("CREATE TYPE place (street text, number int)")
    session.execute(
        "CREATE TABLE kinds (id uuid PRIMARY KEY, a text, b bigint, c double, d boolean, e blob,"
        " f inet, g list<int>, h map<text, int>, i set<text>, j timestamp, k frozen<place>)"
    )
    session.execute("ALTER TABLE kinds ADD l varint")
    key = uuid.uuid4()
    session.execute(
        "INSERT INTO kinds (id, a, b, c, d, e, f, g, h, i, k, l) VALUES (%s, 'ä', 9007199254740993,"
        " 0.1, true, 0x00ff, '192.0.2.1', [3, 1, 2], {'x': 1}, {'p', 'q'},"
        " {street: 's', number: 7}, 123456789012345678901234567890)",
        [key],
    )
    row = session.execute("SELECT * FROM kinds WHERE id = %s", [key]).one()
    wanted = ("ä", 9007199254740993, 0.1, True, b"\x00\xff", "192.0.2.1", [3, 1, 2])
    expect("a row of many types", wanted, (row.a, row.b, row.c, row.d, row.e, row.f, row.g))
    wanted_more = ({"x": 1}, {"p", "q"}, ("s", 7), 123456789012345678901234567890)
    expect("the rest of it", wanted_more, (dict(row.h), set(row.i), tuple(row.k), row.l))
    return "13 columns of as many types came back as they were written"


def batches(session: Session, _: int) -> str:
    """Batches with and without a log, a conditional write, a counter, a time to live."""
    session.execute("CREATE TABLE b (p int, c int, v text, PRIMARY KEY (p, c))")
    insert = session.prepare("INSERT INTO b (p, c, v) VALUES (?, ?, ?)")
    for partition in range(20):
        batch = BatchStatement()
        for number in range(50):
            batch.add(insert, (partition, number, value(number)))
        session.execute(batch)
    expect("rows of batches", 1000, session.execute("SELECT count(*) FROM b").one()[0])
    once = "INSERT INTO b (p, c, v) VALUES (99, 0, 'x') IF NOT EXISTS"
    first, second = (session.execute(once).one().applied for _ in range(2))
    expect("a conditional write, twice", (True, False), (first, second))
    session.execute("CREATE TABLE n (k int PRIMARY KEY, c counter)")
    for _ in range(50):
        session.execute("UPDATE n SET c = c + 2 WHERE k = 1")
    expect("a counter", 100, session.execute("SELECT c FROM n WHERE k = 1").one().c)
    return "20 batches of 50, a conditional write, a counter"


def index(session: Session, _: int) -> str:
    """A secondary index of each kind, built over rows that are there and filled by new ones."""
    session.execute("CREATE TABLE s (k int PRIMARY KEY, colour text, size int)")
    insert = session.prepare("INSERT INTO s (k, colour, size) VALUES (?, ?, ?)")
    rows = [(n, f"c{n % 7}", n % 100) for n in range(2000)]
    execute_concurrent_with_args(session, insert, rows[:1000])
    session.execute("CREATE INDEX ON s (colour)")
    session.execute("CREATE INDEX ON s (size) USING 'sai'")
    wait_for_indexes(session, {"s_colour_idx", "s_size_idx"})
    execute_concurrent_with_args(session, insert, rows[1000:])
    for what, query, wanted in (
        ("by the old kind", "colour = 'c3'", {n for n, colour, _ in rows if colour == "c3"}),
        ("by the new kind", "size >= 95", {n for n, _, size in rows if size >= 95}),
    ):
        found = {row.k for row in session.execute(f"SELECT k FROM s WHERE {query}")}
        expect(f"rows {what}", wanted, found)
    return "2000 rows found by two kinds of index"


def wait_for_indexes(session: Session, names: set[str]) -> None:
    """They are filled beside the server's other work, and refuse to be asked until then."""
    query = "SELECT index_name FROM system.\"IndexInfo\" WHERE table_name = 't'"
    until = time.monotonic() + START_LIMIT
    while not names <= {row.index_name for row in session.execute(query)}:
        if time.monotonic() > until:
            raise WrongError(
                f"the indexes {', '.join(sorted(names))} are not there after {START_LIMIT:g} s"
            )
        time.sleep(0.5)


def rows(session: Session, count: int) -> str:
    """Many rows by a prepared statement, each read back; flushed and compacted on the way."""
    session.execute(
        "CREATE TABLE r (k int PRIMARY KEY, v text) WITH memtable_flush_period_in_ms = 10000 AND"
        " compaction = {'class': 'SizeTieredCompactionStrategy', 'min_threshold': 2}"
    )
    insert = session.prepare("INSERT INTO r (k, v) VALUES (?, ?)")
    begun = time.monotonic()
    for first in range(0, count, 10_000):
        some = [(n, value(n)) for n in range(first, min(first + 10_000, count))]
        execute_concurrent_with_args(session, insert, some, concurrency=64)
    written = time.monotonic()
    select = session.prepare("SELECT v FROM r WHERE k = ?")
    for first in range(0, count, 10_000):
        keys = range(first, min(first + 10_000, count))
        found = execute_concurrent_with_args(session, select, [(n,) for n in keys], concurrency=64)
        for number, (_, result) in zip(keys, found, strict=True):
            row = result.one()
            expect(f"row {number}", value(number), row and row.v)
    read = time.monotonic()
    expect("all rows", count, sum(1 for _ in session.execute("SELECT k FROM r")))
    return (
        f"{count} rows, each as it was written;"
        f" {count / (written - begun):.0f} writes/s, {count / (read - written):.0f} reads/s"
    )


def compaction(session: Session, _: int) -> str:
    """What the period of flushes and the low threshold have to lead to."""
    query = "SELECT columnfamily_name, rows_merged FROM system.compaction_history"
    until = time.monotonic() + 600
    while time.monotonic() < until:
        done = [row for row in session.execute(query) if row.columnfamily_name == "r"]
        if done:
            return f"{len(done)} compactions of the table of rows"
        time.sleep(2)
    raise WrongError("the table of rows was never compacted")


def partition(session: Session, count: int) -> str:
    """One partition of many rows of a kilobyte, by pages forwards and backwards, and slices."""
    session.execute("CREATE TABLE l (p int, c int, v text, PRIMARY KEY (p, c))")
    insert = session.prepare("INSERT INTO l (p, c, v) VALUES (1, ?, ?)")
    large = count // 5
    some = [(n, value(n) * 16) for n in range(large)]
    execute_concurrent_with_args(session, insert, some, concurrency=32)
    for order in ("ASC", "DESC"):
        numbers = range(large) if order == "ASC" else range(large - 1, -1, -1)
        answer = session.execute(f"SELECT c, v FROM l WHERE p = 1 ORDER BY c {order}")
        for number, row in zip(numbers, answer, strict=True):
            expect(f"row {number}", (number, value(number) * 16), (row.c, row.v))
    session.execute(f"DELETE FROM l WHERE p = 1 AND c >= 100 AND c < {large - 50}")
    left = session.execute("SELECT count(*) FROM l WHERE p = 1").one()[0]
    expect("rows after a range was deleted", 150, left)
    return f"{large} rows of a kilobyte in one partition"


PARTS: list[Callable[[Session, int], str]] = [schema, batches, index, rows, compaction, partition]


def drive(server: Server, names: list[str], count: int) -> None:
    """The parts in their order; the schema is always made."""
    print(f"the first CQL reply came after {server.wait(START_LIMIT):.1f} s", flush=True)
    session = connect(server)
    for part in PARTS:
        if names and part.__name__ not in names and part is not schema:
            continue
        begun = time.monotonic()
        said = part(session, count)
        print(f"{part.__name__}: {said} ({time.monotonic() - begun:.0f} s)", flush=True)
    session.cluster.shutdown()
    if server.errors():
        raise WrongError("errors in the log:\n" + "\n".join(server.errors()[:10]))
    print(f"memory of the guest: {server.memory_mib():.0f} MiB", flush=True)


def main() -> int:
    """A server, all that is asked for, its orderly end, and a second start."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="PART")
    parser.add_argument("--kernel", type=Path)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--smp", type=int, default=2)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--once", action="store_true", help="without the second start")
    options = parser.parse_args()
    try:
        baked = bake(options.kernel, options.root)
        for turn in range(1 if options.once else 2):
            with guest(baked, smp=options.smp) as server:
                drive(server, options.names if turn == 0 else ["schema"], options.rows)
    except WrongError as problem:
        print(f"cassandra: {problem}")
        return 1
    print("cassandra: all as it has to be")
    return 0


if __name__ == "__main__":
    sys.exit(main())
