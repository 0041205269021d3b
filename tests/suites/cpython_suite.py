#!/usr/bin/env python3
"""Runs CPython's own regression tests, and a few of SQLite, in guests, and judges them.

The tests are those of Debian's libpython3.11-testsuite, run by Debian's python3.11 from an EROFS root
that is made once. Each module has a guest of its own; a test that ends or hangs it is an error, and
the rest goes on in another. What they have to come to is what Linux came to: `record` runs them on
this machine's Linux, in a root and namespaces of their own (tests/programs/linux_box.py), into
recorded/cpython.json. That is as good as a Linux guest on the emulator, since what is compared is
whether a test passes; those that measure time are a class of their own in expected.yml.

With --kept, the outcomes that the last whole run of a module has left are taken for it, whatever
kernel it ran on; only modules without are run. So a run of hours can be made in pieces.

Usage: cpython_suite.py [record] [--quick] [--kept] [--kernel FILE] [--jobs N]
                        [MODULE | MODULE.CLASS.TEST ...]
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path.insert(0, str(TOP / "tests" / "programs"))
import outcomes  # noqa: E402
import world  # noqa: E402

BUILD = TOP / "build" / "suites" / "cpython"
RECORD = outcomes.RECORDED / "cpython.json"
PACKAGES = """
    ca-certificates dash libpython3.11-testsuite netbase python3.11 tzdata
""".split()
SUITE = "libpython3.11-testsuite"
OWN = ["cpython_guest.py", "cpython_sqlite.py"]
MODULES = """
    test_os test_posix test_io test_fileio test_file test_tempfile test_shutil test_stat test_mmap
    test_socket test_select test_poll test_epoll test_selectors test_threading test_thread
    test_threading_local test_threadsignals test_queue test_signal test_time test_timeout test_fcntl
    test_resource test_httpservers test_httplib test_ssl test_ftplib test_smtplib test_xmlrpc
    test_zipfile test_tarfile test_mailbox test_logging test_concurrent_futures test_generators
    test_decimal test_pathlib test_largefile test_asyncore test_asynchat
    test_asyncio.test_base_events test_asyncio.test_buffered_proto test_asyncio.test_context
    test_asyncio.test_events test_asyncio.test_futures test_asyncio.test_futures2
    test_asyncio.test_locks test_asyncio.test_pep492 test_asyncio.test_proactor_events test_asyncio.test_protocols
    test_asyncio.test_queues test_asyncio.test_runners test_asyncio.test_selector_events
    test_asyncio.test_sendfile test_asyncio.test_server test_asyncio.test_sock_lowlevel
    test_asyncio.test_ssl test_asyncio.test_sslproto test_asyncio.test_streams
    test_asyncio.test_subprocess test_asyncio.test_taskgroups test_asyncio.test_tasks
    test_asyncio.test_threads test_asyncio.test_timeouts test_asyncio.test_transports
    test_asyncio.test_unix_events test_asyncio.test_waitfor sqlite
""".split()
# What `make test` runs: seconds each, and between them files, memory, sockets, locks and processes.
QUICK = "test_select test_poll test_epoll test_mmap test_fcntl test_posix sqlite".split()
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin", "LC_ALL": "C.UTF-8", "HOME": "/root", "TZ": "UTC"}
ENVIRONMENT["PYTHONHASHSEED"] = "0"
LIMIT = 1500  # seconds for a module
RESTARTS = 8


@dataclass
class Run:
    """What one module came to on one side."""

    ends: dict[str, str] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    planned: list[str] = field(default_factory=list)
    running: str = ""
    done: bool = False


Start = Callable[[str, dict[str, list[str]], Path], str]


def make_root() -> tuple[Path, Path]:
    """The tree and the image of it, up to date."""
    BUILD.mkdir(parents=True, exist_ok=True)
    world.BUILD.mkdir(parents=True, exist_ok=True)
    with world.Store().lock("cpython-suite"):
        return _make_tree(), _make_image()


def _make_tree() -> Path:
    """Python's modules are compiled, as their packages' postinst does."""
    tree = world.unpack("cpython-suite", PACKAGES, world.GUEST_EXCLUDE, world._compile_python)
    (tree / "t").mkdir(exist_ok=True)
    for name in OWN:
        shutil.copyfile(HERE / name, tree / "t" / name)
    return tree


def _make_image() -> Path:
    tree = world.BUILD / "cpython-suite"
    image, stamp = BUILD / "root.erofs", BUILD / "root.stamp"
    unpacked = tree.with_suffix(".stamp").read_text()
    wanted = world.digest_value([world.digest_folder(tree / "t"), unpacked])
    if not (image.exists() and stamp.exists() and stamp.read_text() == wanted):
        # Whoever has the old one open goes on with that.
        fresh = image.with_suffix(".new")
        world._image.pack(tree, fresh, wanted)
        fresh.replace(image)
        stamp.write_text(wanted)
    return image


# Running


def on_linux(tree: Path) -> Start:
    """Starts a module in a box on this machine."""
    box = [
        "/usr/bin/python3",
        "-IS",
        str(TOP / "tests/programs/linux_box.py"),
        "--tree",
        str(tree),
        "--for-suite",
    ]
    return lambda module, wish, log: _start(box, module, wish, log)


def on_kiln(image: Path, kernel: str) -> Start:
    """Starts a module in a guest."""
    guest = [
        str(TOP / "kernel-src/run"),
        "--kernel",
        kernel,
        "--root",
        str(image),
        "--memory",
        "768M",
    ]
    guest += ["--timeout", str(LIMIT)]
    return lambda module, wish, log: _start(guest, module, wish, log)


def _start(command: list[str], module: str, wish: dict[str, list[str]], log: Path) -> str:
    """Run a module; what it said. Its messages are added to the log."""
    for key, value in ENVIRONMENT.items():
        command = [*command, "--env", f"{key}={value}"]
    command = [
        *command,
        "--cwd",
        "/tmp",
        "--",
        "/usr/bin/python3.11",
        "/t/cpython_guest.py",
        module,
    ]
    with log.open("ab") as messages:
        done = subprocess.run(
            command,
            input=json.dumps(wish).encode(),
            stdout=subprocess.PIPE,
            stderr=messages,
            check=False,
            timeout=LIMIT + 60,
        )
        messages.write(f"status {done.returncode}\n".encode())
    return done.stdout.decode(errors="backslashreplace")


def take(run: Run, text: str) -> None:
    """Note what the guest's side said."""
    run.done = False
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        name, _, why = rest.partition(" ")
        if word == "plan":
            run.planned.append(name)
        elif word == "begin":
            run.running = name
        elif word == "done":
            run.done = True
        elif word in outcomes.OUTCOMES:
            run.ends[name], run.why[name] = word, why
            run.running = ""
            run.done |= name not in run.planned


def run_module(start: Start, module: str, wish: dict[str, list[str]], log: Path) -> Run:
    """A module to its end, in as many runs as that takes."""
    run = Run()
    log.unlink(missing_ok=True)
    for _ in range(RESTARTS):
        take(run, start(module, wish, log))
        left = [name for name in run.planned if name not in run.ends]
        if run.done or not run.planned:
            break
        if run.running:
            run.ends[run.running], run.why[run.running] = "error", "ended or hung the run"
            left.remove(run.running)
        if not left or not run.running:
            break
        wish = {**wish, "only": left}
        run.planned, run.running = [], ""
    if not run.done and not run.ends:
        run.ends[module] = "error"
    return run


def run_all(
    start: Start, side: str, chosen: dict[str, list[str]], without: list[str], jobs: int
) -> dict[str, str]:
    """The outcomes of modules, a few at a time. `chosen`: module → patterns (none: all).

    Those of a whole module are kept in a file of its own.
    """
    ends: dict[str, str] = {}

    def one(module: str) -> tuple[str, Run, float]:
        begun = time.monotonic()
        log = BUILD / f"{side}-{module}.txt"
        run = run_module(start, module, {"only": chosen[module], "without": without}, log)
        if not chosen[module]:
            _kept(side, module).write_text(json.dumps([run.ends, run.why], indent=0))
        return module, run, time.monotonic() - begun

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for task in concurrent.futures.as_completed([pool.submit(one, each) for each in chosen]):
            module, run, seconds = task.result()
            counts = [f"{list(run.ends.values()).count(word)} {word}" for word in outcomes.OUTCOMES]
            print(f"{side}: {module}: {', '.join(counts)} ({seconds:.0f} s)", flush=True)
            ends |= run.ends
    return ends


def _kept(side: str, module: str) -> Path:
    return BUILD / f"{side}-{module}.json"


def take_kept(chosen: dict[str, list[str]]) -> dict[str, str]:
    """The guests' outcomes of chosen modules that earlier runs have left; these are not chosen then."""
    ends: dict[str, str] = {}
    for module in [each for each in chosen if not chosen[each] and _kept("kiln", each).exists()]:
        ends |= json.loads(_kept("kiln", module).read_text())[0]
        del chosen[module]
    return ends


# Judging


def module_of(name: str) -> str:
    """The module of a test's name, or of a pattern for some."""
    return max(
        (each for each in MODULES if f"{name}.".startswith(f"{_id(each)}.")), key=len, default=""
    )


def _id(module: str) -> str:
    return "cpython_sqlite" if module == "sqlite" else module


def choose(names: list[str], quick: bool) -> dict[str, list[str]]:
    """Module → patterns."""
    chosen: dict[str, list[str]] = {}
    for name in names or (QUICK if quick else MODULES):
        if name in MODULES:
            chosen[name] = []
        elif module := module_of(name):
            chosen.setdefault(module, []).append(name)
        else:
            raise SystemExit(f"cpython suite: no module has {name}; there are {' '.join(MODULES)}")
    return chosen


def part_of(record: dict[str, str], chosen: dict[str, list[str]]) -> dict[str, str]:
    """What of a record concerns the chosen tests."""

    def wanted(name: str) -> bool:
        patterns = chosen.get(module_of(name))
        return patterns is not None and (
            not patterns or any(outcomes.fnmatch.fnmatchcase(name, each) for each in patterns)
        )

    return {name: end for name, end in record.items() if wanted(name)}


def record(tree: Path, chosen: dict[str, list[str]], jobs: int) -> int:
    """Run on Linux and keep what came out; what was not asked for stays as it was."""
    ends = run_all(on_linux(tree), "linux", chosen, [], jobs)
    before = outcomes.load(RECORD)[1] if RECORD.exists() else {}
    stays = before.keys() - part_of(before, chosen).keys()
    ends |= {name: before[name] for name in stays}
    about = {
        "package": package_version(),
        "linux": platform.release().split("-")[0],
        "command": "tests/suites/cpython_suite.py record",
    }
    outcomes.save(RECORD, about, ends)
    print(f"recorded: {len(ends)} tests to {RECORD}")
    return 0


def package_version() -> str:
    """Of the suite, as the tree has it."""
    store = world.Store()
    lock = world._image._resolve(PACKAGES, store, store)
    return next(f"{each.name} {each.version}" for each in lock.packages if each.name == SUITE)


def judged(
    image: Path, chosen: dict[str, list[str]], options: argparse.Namespace
) -> outcomes.Verdict:
    """The chosen tests in guests against the record."""
    about, linux = outcomes.load(RECORD)
    entries = outcomes.read("cpython")
    start, without = on_kiln(image, options.kernel), outcomes.not_tried(entries)
    to_run = dict(chosen)
    here = take_kept(to_run) if options.kept else {}
    here |= run_all(start, "kiln", to_run, without, options.jobs)

    def again(names: list[str]) -> dict[str, str]:
        return run_all(start, "again", choose(names, False), without, options.jobs)

    linux = part_of(linux, chosen)
    return outcomes.judge("CPython", linux, here, entries, again, is_whole(chosen))


def is_whole(chosen: dict[str, list[str]]) -> bool:
    """Whether that is the suite."""
    return set(chosen) == set(MODULES) and not any(chosen.values())


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("tests", nargs="*", metavar="[record] MODULE")
    parser.add_argument("--quick", action="store_true", help="the short choice of `make test`")
    parser.add_argument("--kept", action="store_true", help="run only what no run has left yet")
    parser.add_argument("--kernel", default=str(TOP / "build/kernel/kiln.elf"))
    parser.add_argument("--jobs", type=int, default=2)
    return parser.parse_intermixed_args()


def main() -> int:
    """Prepare, run, conclude."""
    options = parse()
    recording = options.tests[:1] == ["record"]
    chosen = choose(options.tests[recording:], options.quick)
    tree, image = make_root()
    if recording:
        return record(tree, chosen, options.jobs)
    verdict = judged(image, chosen, options)
    if is_whole(chosen):
        outcomes.keep(BUILD / "results.json", verdict)
    print(outcomes.report(verdict))
    return 1 if verdict.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
