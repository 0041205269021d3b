# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Sends lines of text to a TCP server and prints all that it says until it hangs up.

Usage: ask.py HOST PORT LINE ...
"""

from __future__ import annotations

import socket
import sys

LIMIT = 30


def main() -> None:
    """One connection."""
    host, port, *lines = sys.argv[1:]
    with socket.create_connection((host, int(port)), LIMIT) as server:
        server.sendall("".join(f"{line}\r\n" for line in lines).encode())
        with server.makefile("r", encoding="utf-8", newline="\r\n") as answer:
            for line in answer:
                print(line.rstrip("\r\n"))


if __name__ == "__main__":
    main()
