#!/usr/bin/env python3
"""redis-benchmark's default tests against redis on Kiln: 50 connections, alone and with -P 16.

Passes when each of its tests ends with a rate and not one error is told.
"""

from __future__ import annotations

import argparse
import csv
import io
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))
import redis_guest  # noqa: E402
from redis_guest import NotReadyError  # noqa: E402

# What redis-benchmark 7.0 runs when it is not told what to run.
LEAST_TESTS = 18


def rates(port: int, depth: int, requests: int) -> dict[str, float]:
    """Requests a second by the name of the test."""
    command = ["redis-benchmark", "-p", str(port), "-c", "50", "-P", str(depth)]
    command += ["-n", str(requests), "--csv"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    said = done.stderr + "".join(line for line in done.stdout.splitlines(True) if "rror" in line)
    if done.returncode or said.strip():
        raise NotReadyError(
            f"redis-benchmark -P {depth} ended with {done.returncode}: {said.strip()}"
        )
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    return {row["test"]: float(row["rps"]) for row in rows}


def main() -> int:
    """Both rounds on one guest."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    told = "of each test (2000); with -P 16 four times as many"
    parser.add_argument("--requests", type=int, default=2000, help=told)
    parser.add_argument("--smp", type=int, default=1)
    parser.add_argument("--kernel", type=Path)
    parser.add_argument("--root", type=Path)
    options = parser.parse_args()
    try:
        baked = redis_guest.bake(options.kernel, options.root)
        with redis_guest.in_guest(baked, [], smp=options.smp) as server:
            server.wait()
            for depth, requests in ((1, options.requests), (16, 4 * options.requests)):
                found = rates(server.port, depth, requests)
                for name, rate in found.items():
                    print(f"  -P {depth}: {name}: {rate:,.0f}/s")
                if len(found) < LEAST_TESTS or min(found.values()) <= 0:
                    raise NotReadyError(f"only {len(found)} of {LEAST_TESTS} tests told a rate")
                print(f"-P {depth}: {len(found)} tests with 50 connections, no errors", flush=True)
    except (NotReadyError, subprocess.TimeoutExpired) as problem:
        print(f"redis-benchmark on Kiln: FAILED: {problem}")
        return 1
    print("redis-benchmark on Kiln: both rounds ended without an error")
    return 0


if __name__ == "__main__":
    sys.exit(main())
