#!/usr/bin/env python3
"""Drives memcached and a Go HTTP server from outside, on Linux and in a guest, and compares.

Each part of a client says line by line what it was answered; the lines have to be the same.

Usage: servers.py [--kernel FILE] [--smp N] [memcached] [web]
"""

from __future__ import annotations

import argparse
import sys
import time
from types import ModuleType

import memcached
import web
from serving import KILN, LINUX, NotServing, Server, serve
from world import TOP, World, make_world

CLIENTS: dict[str, ModuleType] = {"memcached": memcached, "web": web}


def talk(client: ModuleType, server: Server) -> list[str]:
    """What a whole client came to."""
    lines = []
    for part in client.PARTS:
        begun = time.monotonic()
        try:
            lines += [f"{part.__name__}: {line}" for line in part(server.port)]
        except (OSError, ValueError, KeyError) as problem:
            lines.append(f"{part.__name__}: {type(problem).__name__}: {problem}")
        print(f"    {server.where}: {part.__name__}, {time.monotonic() - begun:.1f} s", flush=True)
    if client is web:
        lines.append(f"exit status {server.wait_for_its_end()}")
        lines += [line for line in server.said().splitlines() if not line.startswith("kiln: ")]
    return lines


def compare(name: str, world: World, kernel: str, smp: int) -> list[str]:
    """The differences between the two runs of one server."""
    client = CLIENTS[name]
    found: dict[str, list[str]] = {}
    for where in (LINUX, KILN):
        with serve(where, world, kernel, client.ARGV, client.GREETING, smp) as server:
            found[where] = talk(client, server)
    told = []
    for left, right in zip(found[LINUX], found[KILN], strict=False):
        if left != right:
            told += [f"Linux: {left}", f"Kiln:  {right}"]
    if len(found[LINUX]) != len(found[KILN]):
        told.append(f"{len(found[LINUX])} lines on Linux, {len(found[KILN])} on Kiln")
    print(f"{name}, {smp} CPUs: {len(found[LINUX])} answers, {len(told)} different", flush=True)
    return told


def main() -> int:
    """Every server that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=" or ".join(CLIENTS))
    parser.add_argument("--kernel", default=str(TOP / "build" / "kernel" / "kiln.elf"))
    parser.add_argument("--smp", type=int, default=2)
    options = parser.parse_args()
    world = make_world()
    wrong = []
    for name in options.names or CLIENTS:
        try:
            told = compare(name, world, options.kernel, options.smp)
        except NotServing as problem:
            told = [str(problem)]
        print("".join(f"  {line}\n" for line in told), end="", flush=True)
        wrong += [name] if told else []
    print(f"servers: {', '.join(wrong)} wrong" if wrong else "servers: all answers the same")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
