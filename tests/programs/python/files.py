"""Files, as programs in Python use them."""

import decimal
import errno
import json
import mmap
import os
import shutil
import sqlite3
import stat
import tempfile
import threading
import zipfile
import zoneinfo
from datetime import datetime, timezone


def said(what, act, *args, **more):
    """An operating system's answer: a value, or the name of an error."""
    try:
        print(what, act(*args, **more))
    except OSError as problem:
        print(what, type(problem).__name__, errno.errorcode[problem.errno])


def edges(folder):
    name = os.path.join(folder, "file")
    fd = os.open(name, os.O_CREAT | os.O_RDWR, 0o640)
    said("write", os.write, fd, b"0123456789")
    said("pread", os.pread, fd, 4, 8)
    said("preadv", os.preadv, fd, [bytearray(2), bytearray(3)], 1)
    said("pwritev", os.pwritev, fd, [b"ab", b"cd"], 20)
    said("lseek hole", os.lseek, fd, 0, os.SEEK_HOLE)
    said("lseek data", os.lseek, fd, 1 << 40, os.SEEK_DATA)
    said("truncate", os.ftruncate, fd, -1)
    said("allocate", os.posix_fallocate, fd, 0, 100)
    said("advise", os.posix_fadvise, fd, 0, 0, os.POSIX_FADV_DONTNEED)
    said("copy", os.copy_file_range, fd, fd, 4, 0, 50)
    said("copy onto itself", os.copy_file_range, fd, fd, 10, 0, 5)
    said("sendfile to itself", os.sendfile, fd, fd, 0, 4)
    said("lock", os.lockf, fd, os.F_TLOCK, 0)
    said("size", lambda: os.fstat(fd).st_size)
    os.close(fd)
    said("closed", os.close, fd)
    said("mode", lambda: oct(os.stat(name).st_mode))
    said("stat of nothing", os.stat, name + "/x")
    said("long", os.stat, "x" * 256)
    said("zero", lambda: os.path.exists("a\0b"))
    said("link", os.link, name, name + "2")
    said("xattr", os.setxattr, name, "user.k", b"v")
    said("xattrs", os.listxattr, name)
    said("no xattr", os.getxattr, name, "user.none")
    said("scan", lambda: sorted(entry.name for entry in os.scandir(folder)))
    said("replace", os.replace, name, name + "2")
    said("remove folder", os.rmdir, folder)
    said("memfd", lambda: os.fstat(os.memfd_create("m", os.MFD_ALLOW_SEALING)).st_size)
    said("pipe", lambda: os.set_blocking(os.pipe()[0], False))
    said("umask", os.umask, 0o22)
    said("limits", lambda: os.sysconf("SC_PAGE_SIZE"))
    said("random", lambda: len(os.getrandom(300)))
    said("splice", splice)
    said("eventfd", lambda: os.eventfd_read(os.eventfd(5)))


def splice():
    left, right = os.pipe(), os.pipe()
    os.write(left[1], b"through two pipes")
    moved = os.splice(left[0], right[1], 100)
    return moved, os.read(right[0], 100)


def database(folder):
    path = os.path.join(folder, "db")
    for mode in ("DELETE", "WAL", "MEMORY"):
        with sqlite3.connect(path) as base:
            print("sqlite", base.execute(f"PRAGMA journal_mode={mode}").fetchone())
            base.execute("CREATE TABLE IF NOT EXISTS t (k INTEGER PRIMARY KEY, v TEXT)")
            base.executemany("INSERT INTO t (v) VALUES (?)", [(str(n),) for n in range(1000)])
        base.close()
    errors = []

    def work():
        try:
            with sqlite3.connect(path, timeout=60) as own:
                for n in range(20):
                    own.execute("INSERT INTO t (v) VALUES (?)", (str(n),))
                    own.commit()
        except sqlite3.Error as problem:
            errors.append(problem)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with sqlite3.connect(path) as base:
        print("rows", base.execute("SELECT count(*), sum(k) FROM t").fetchone(), errors)
        base.execute("VACUUM")
        print("check", base.execute("PRAGMA integrity_check").fetchone())


def archives(folder):
    path = os.path.join(folder, "z.zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(20):
            archive.writestr(f"d{n % 3}/f{n}", b"text " * n)
    with zipfile.ZipFile(path) as archive:
        print("zip", len(archive.namelist()), archive.testzip())
        archive.extractall(os.path.join(folder, "out"))
    made = shutil.make_archive(os.path.join(folder, "t"), "gztar", folder, "out")
    shutil.unpack_archive(made, os.path.join(folder, "again"))
    print("again", sum(len(files) for _, _, files in os.walk(os.path.join(folder, "again"))))


def mapped(folder):
    path = os.path.join(folder, "map")
    with open(path, "w+b") as stream:
        stream.truncate(8192)
        with mmap.mmap(stream.fileno(), 0) as shared:
            shared[100:105] = b"hello"
            shared.flush()
            shared.resize(16384)
            print("mapped", len(shared), shared.find(b"hello"))
            shared.madvise(mmap.MADV_DONTNEED)
        stream.seek(100)
        print("read", stream.read(5))


def times():
    moment = datetime(2024, 3, 31, 0, 59, 59, tzinfo=timezone.utc)
    for zone in ("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC"):
        print(zone, moment.astimezone(zoneinfo.ZoneInfo(zone)).isoformat())
    print("zones", len(zoneinfo.available_timezones()) > 400)


def numbers():
    with decimal.localcontext() as context:
        context.prec = 50
        print(decimal.Decimal(2).sqrt(), decimal.Decimal(1) / 7)
    print(json.dumps({"a": [1, 2.5, None, "ü"], "b": 1e300}, sort_keys=True))


def main():
    with tempfile.TemporaryDirectory() as folder:
        edges(folder)
        database(folder)
        archives(folder)
        mapped(folder)
    with tempfile.NamedTemporaryFile() as named:
        print("named", stat.filemode(os.stat(named.name).st_mode))
    with tempfile.SpooledTemporaryFile(10) as spooled:
        spooled.write(b"more than ten bytes")
        print("spooled", spooled.fileno() > 2)
    times()
    numbers()


main()
