"""Measures publishing to EC2 against the strict server on this machine.

Usage: python tests/bench/publish.py [--image RAW] [--data MIB] [--size GIB]

Without --image a sparse disk is made whose data are in runs of 1 to 8 MiB. Compared are a plain
boto3 loop that puts the same blocks one after the other, and one with 64 threads, which is how many
blocks coldsnap has under way. The server keeps checksums and throws the
bytes away, so that it measures the sender; it has the same two cores as the sender, though.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import random
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP))

from tests.bench.one_run import Goals, run_module  # noqa: E402
from tests.rigs.ec2.rig import KEY, REGION, SECRET, Rig  # noqa: E402

BLOCK = 512 * 1024


def make_disk(path, gibibytes, mebibytes):
    """A sparse disk with runs of random data."""
    chance = random.Random(1)
    with path.open("wb") as stream:
        stream.truncate(gibibytes << 30)
        left, place = mebibytes, 0
        gap = max(1, (gibibytes * 1024 - mebibytes) // max(1, mebibytes // 5))
        while left > 0:
            run = min(left, chance.randint(1, 8))
            stream.seek(place << 20)
            stream.write(chance.randbytes(run << 20))
            left -= run
            place = min(place + run + gap, gibibytes * 1024 - 8)


def count(path, unit):
    """How many units of a file are not all zeros."""
    found, zeros = 0, bytes(unit)
    with path.open("rb", buffering=0) as stream:
        place, size = 0, path.stat().st_size
        while place < size:
            try:
                place = os.lseek(stream.fileno(), place, os.SEEK_DATA) // unit * unit
            except OSError:
                break
            end = os.lseek(stream.fileno(), place, os.SEEK_HOLE)
            while place < end:
                data = os.pread(stream.fileno(), unit, place)
                found += data != zeros[: len(data)]
                place += unit
    return found


def publish(rig, disk, store, **rest):
    """One run of the module in a process of its own."""
    arguments = {
        "name": "bench", "path": str(disk), "endpoint_url": rig.url, "region": REGION,
        "access_key": KEY, "secret_key": SECRET, "store": str(store),
    } | rest  # fmt: skip
    return run_module("ec2_image", **arguments)


def every_block(disk):
    """The way of a simple script: it reads the holes too."""
    with disk.open("rb") as stream:
        index = 0
        while data := stream.read(BLOCK):
            yield index, data
            index += 1


def without_holes(disk):
    """The way of a script that knows of holes."""
    with disk.open("rb", buffering=0) as stream:
        place, seen, size = 0, -1, disk.stat().st_size
        while place < size:
            try:
                place = os.lseek(stream.fileno(), place, os.SEEK_DATA)
            except OSError:
                return
            end = os.lseek(stream.fileno(), place, os.SEEK_HOLE)
            for index in range(max(seen + 1, place // BLOCK), -(-end // BLOCK)):
                yield index, os.pread(stream.fileno(), BLOCK, index * BLOCK)
                seen = index
            place = end


def boto3_loop(rig, disk, blocks, threads=1):
    """What a script with boto3 would do: each block that is not zero, so many at a time."""
    ebs = rig.client("ebs", connections=threads)
    begin = time.monotonic()
    snapshot = ebs.start_snapshot(VolumeSize=max(1, -(-disk.stat().st_size >> 30)))["SnapshotId"]
    zeros, room = bytes(BLOCK), threading.Semaphore(threads)

    def put(index, data):
        digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
        try:
            ebs.put_snapshot_block(
                SnapshotId=snapshot, BlockIndex=index, BlockData=data, DataLength=BLOCK,
                Checksum=digest, ChecksumAlgorithm="SHA256",
            )  # fmt: skip
        finally:
            room.release()

    with ThreadPoolExecutor(threads) as pool:
        puts = []
        for index, read in blocks(disk):
            data = read.ljust(BLOCK, b"\0")
            if data != zeros:
                room.acquire()
                puts.append(pool.submit(put, index, data))
    for each in puts:
        each.result()
    ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=len(puts))
    return time.monotonic() - begin, len(puts) * BLOCK


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--image", type=Path)
    parser.add_argument("--data", type=int, default=256, help="MiB of data in the made disk")
    parser.add_argument("--size", type=int, default=10, help="GiB of the made disk")
    options = parser.parse_args()
    rig = Rig()
    try:
        with tempfile.TemporaryDirectory(dir=os.environ.get("KILN_BENCH_DIR")) as folder:
            disk = options.image or Path(folder) / "disk.raw"
            if not options.image:
                make_disk(disk, options.size, options.data)
            goals = Goals()
            measure(rig, disk, Path(folder) / "store", goals)
    finally:
        rig.stop()
    sys.exit(goals.judge())


def measure(rig, disk, store, goals):
    mib = 1 << 20
    blocks, sectors = count(disk, BLOCK) * BLOCK, count(disk, 4096) * 4096
    print(
        f"disk                    {disk.stat().st_size / mib:10.0f} MiB, "
        f"{blocks / mib:.1f} MiB in blocks that are not zero, {sectors / mib:.1f} MiB by 4 KiB"
    )
    for delay in (0.0, 0.025):

        def reset():
            rig.set(reset=True, settings={"forget": True, "delay": delay})

        print(f"a block takes           {delay * 1000:10.0f} ms more than this machine needs")
        reset()
        first = publish(rig, disk, store)
        sent = rig.set()["bytes"]["PutSnapshotBlock"]
        second = publish(rig, disk, store)
        assert first.result["changed"] and not second.result["changed"]
        loops = {}
        for threads in (1, 64):
            reset()
            loops[threads] = boto3_loop(rig, disk, without_holes, threads)
        print(
            f"  first publish         {first.seconds:10.2f} s  {sent / mib / first.seconds:8.1f} MiB/s"
        )
        for threads, (loop, looped) in loops.items():
            print(
                f"  boto3, {threads:2} at a time  {loop:10.2f} s  {looped / mib / loop:8.1f} MiB/s,"
                f" {loop / first.seconds:.2f} of the first publish"
            )
        print(f"  sent / not zero       {sent / blocks:10.4f}  (by 4 KiB: {sent / sectors:.4f})")
        print(f"  second publish        {second.seconds:10.2f} s, {second.cpu:.2f} s of a CPU")
        print(f"  memory of the module  {first.peak:10.1f} MiB at its peak", flush=True)
        goals.hold("bytes sent against bytes not zero", sent / blocks, 1.05)
        goals.hold("seconds of the second publish", second.seconds, 3)
        goals.hold("MiB of memory", first.peak, 200)
    rig.set(reset=True, settings={"forget": True})
    loop, looped = boto3_loop(rig, disk, every_block)
    print(f"boto3 loop, all read    {loop:10.2f} s  {looped / mib / loop:8.1f} MiB/s")


if __name__ == "__main__":
    main()
