"""Memcached by its playbook, driven from outside: both protocols, UDP, threads, a full memory."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import memcached
import served
import yaml

from tests.publish.installed import TOP, Desk

LIMIT_MIB = 16
# One of each of several slab classes; in all three times the limit, a quarter of each in turn.
SIZES = (700, 5_000, 40_000, 300_000)
TIMES, ROUNDS = 3, 4
BATCH = 60_000
# How often the playbook is run on one guest.
RUNS = 2


def value_of(key: str, size: int) -> bytes:
    """What belongs to a key."""
    return random.Random(key).randbytes(size)


def keys(size: int, turn: int) -> list[str]:
    """Those of one size and round."""
    count = LIMIT_MIB * TIMES * 2**20 // len(SIZES) // size // ROUNDS
    return [f"evict-{size}-{number}" for number in range(turn * count, (turn + 1) * count)]


def batches(names: list[str], size: int) -> Iterator[list[str]]:
    """Some at a time, so that not every one waits for an answer."""
    step = max(1, BATCH // size)
    return (names[at : at + step] for at in range(0, len(names), step))


def store(client: memcached.Client, names: list[str], size: int) -> int:
    """How many of them were stored."""
    done = 0
    for batch in batches(names, size):
        head = ((f"set {name} 0 0 {size}\r\n".encode(), value_of(name, size)) for name in batch)
        client.socket.sendall(b"".join(b"%s%s\r\n" % pair for pair in head))
        done += sum(client.line() == b"STORED" for _ in batch)
    return done


def load(client: memcached.Client, names: list[str], size: int) -> tuple[int, int]:
    """How many of them are there and right, and how many are there and wrong."""
    right = wrong = 0
    for batch in batches(names, size):
        found = client.get(*batch)
        good = sum(found[name] == value_of(name, size) for name in found)
        right, wrong = right + good, wrong + len(found) - good
    return right, wrong


def counters(client: memcached.Client) -> dict[str, int]:
    """The whole numbers among the server's statistics."""
    words = (line.split() for line in client.ask(b"stats", (b"END",))[:-1])
    return {word[1].decode(): int(word[2]) for word in words if word[2].isdigit()}


def evicting(port: int) -> Iterator[str]:
    """Several classes filled to the limit and beyond: the old goes, what is there is right."""
    with memcached.Client(port) as client:
        for turn in range(ROUNDS):
            for size in SIZES:
                names = keys(size, turn)
                yield f"round {turn}, {size}: {store(client, names, size)} of {len(names)}"
        for size in SIZES:
            names = [name for turn in range(ROUNDS) for name in keys(size, turn)]
            right, wrong = load(client, names, size)
            newest = load(client, names[-1:], size)
            yield f"{size}: {wrong} wrong, evicted {right < len(names)}, newest {newest[0]}"
        after = counters(client)
        yield f"evictions {after['evictions'] > 0}, limit {after['limit_maxbytes']}"
        yield f"within it {after['bytes'] <= after['limit_maxbytes']}"


def say_what_the_playbook_says(port: int) -> None:
    """To the memcached on Linux, so that both have come to the same numbers."""
    tasks = yaml.safe_load((TOP / "playbooks/tasks/memcached_talk.yml").read_text("utf-8"))
    ask = [sys.executable, str(TOP / "playbooks/files/ask.py"), "127.0.0.1", str(port)]
    loop = next(task["loop"] for task in tasks if "loop" in task)
    for item in loop * RUNS:
        done = subprocess.run(
            [*ask, *item["lines"], "quit"], check=True, capture_output=True, text=True
        )
        assert done.stdout.splitlines() == item["answer"]


def test_it_answers_as_on_linux(desk: Desk, tmp_path: Path) -> None:
    """With four threads on two CPUs, and UDP."""
    variables = {"memcached_memory": LIMIT_MIB, "memcached_udp_port": 11211, "memory": "96M"}
    with served.kept(desk, "memcached", **variables) as guest:
        for line in ("get greeting -> VALUE greeting 0 15, hello from kiln, END", "-> STORED, 42"):
            assert line in guest.play.text
        again = served.again(desk, "memcached", guest, **variables)
        assert again.count("changed") == 0, again.text
        parts = [evicting, memcached.text, memcached.binary, memcached.udp]
        parts += [memcached.crowd, memcached.pipeline]
        served.compare(guest, parts, tmp_path / "linux", 11211, say_what_the_playbook_says)


def test_an_argument_that_makes_no_sense_is_refused_by_name(desk: Desk) -> None:
    """Before anything is built."""
    play = desk.run("kiln.unikernel.memcached", "--check", memcached_threads="many")
    assert play.code != 0
    assert "memcached_threads" in play.text
