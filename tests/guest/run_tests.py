#!/usr/bin/env python3
"""Runs each conformance program on the Linux host and on Kiln and compares what they say.

A program is one C or C++ file.  Directives in its head comment, one a line:

    @build static|static-pie|musl|musl-static|cxx|nopie [FLAG...]   how it is linked
    @with FILE...       further sources in the same folder, built as shared libraries lib*.so
    @smp N...           numbers of CPUs to run with (default 1; thread, mem, sock: 1 2)
    @cpu MODEL...       models of CPU, as QEMU's -cpu names them, to run on (default max)
    @args WORD...       @env K=V...       @stdin TEXT (escapes as in Python)
    @memory SIZE        @timeout SECONDS
    @realtime           takes a CPU of Linux for itself: one such at a time there
    @differs "a line of Linux's output" => "the line expected of Kiln"
    @status LINUX => KILN      expected difference of status, as `exit 0` or `signal 11`

Programs listed in pending.yml do not pass yet: they run, are named as known failures, and an
unexpected pass is an error, so that the list can only shrink.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import fnmatch
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
BUILD = TOP / "build" / "tests" / "guest"
BOTH_SMP = ("thread", "mem", "sock")
SKIPPED_FOLDERS = ("include", "lib", "results")
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}

FLAGS = ["-O1", "-g", "-Wall", "-Wno-nonnull", f"-I{HERE / 'include'}", "-D_GNU_SOURCE"]
# Wrong arguments and unread results are what many of these programs are about.
_MEANT = ("unused-result", "stringop-overflow", "stringop-overread", "infinite-recursion")
FLAGS += [f"-Wno-{kind}" for kind in _MEANT]
COMPILERS = {
    "dynamic": ["gcc", "-pthread"],
    "nopie": ["gcc", "-pthread", "-no-pie", "-fno-pie"],
    "static": ["gcc", "-pthread", "-static", "-no-pie"],
    "static-pie": ["gcc", "-pthread", "-static-pie"],
    "musl": ["musl-gcc", "-pthread"],
    "musl-static": ["musl-gcc", "-pthread", "-static"],
    "cxx": ["g++", "-pthread", "-std=c++20"],
}


class TestError(Exception):
    """The test itself is at fault."""


@dataclass
class Program:
    """One test program and what its head comment asks for."""

    name: str
    source: pathlib.Path
    build: str = "dynamic"
    flags: list[str] = field(default_factory=list)
    libraries: list[str] = field(default_factory=list)
    smp: list[int] = field(default_factory=list)
    cpu: list[str] = field(default_factory=lambda: ["max"])
    args: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    stdin: bytes = b""
    memory: str = "256M"
    timeout: int = 60
    realtime: bool = False
    differs: list[tuple[str, str]] = field(default_factory=list)
    status: tuple[str, str] | None = None

    @property
    def inside(self) -> str:
        """Path in the image."""
        return f"/t/{self.name}"


@dataclass
class Machine:
    """A guest that a program is run in."""

    program: Program
    smp: int
    cpu: str

    @property
    def name(self) -> str:
        """The program's name and what of the guest is not usual."""
        smp = "" if self.smp == 1 else f"@smp{self.smp}"
        return self.program.name + smp + ("" if self.cpu == "max" else f"@{self.cpu}")


@dataclass
class Ending:
    """What one run of a program came to."""

    status: str
    output: str
    noise: str = ""


@dataclass
class Finding:
    """The comparison of one program at one number of CPUs."""

    name: str
    passed: bool
    detail: str
    seconds: float
    pending: bool = False

    @property
    def good(self) -> bool:
        return self.passed != self.pending


_DIRECTIVE = re.compile(r"^[\s*/]*@([a-z]+) ?(.*?)\s*(?:\*/)?\s*$")
_DIFFERS = re.compile(r'^"(.*)" => "(.*)"$')


def _apply(program: Program, word: str, text: str) -> None:
    if word == "build":
        program.build, *program.flags = shlex.split(text)
    elif word == "with":
        program.libraries = text.split()
    elif word == "smp":
        program.smp = [int(part) for part in text.split()]
    elif word == "cpu":
        program.cpu = text.split()
    elif word == "args":
        program.args = shlex.split(text)
    elif word == "env":
        program.env = dict(part.split("=", 1) for part in shlex.split(text))
    elif word == "stdin":
        program.stdin = text.encode().decode("unicode_escape").encode("latin-1")
    elif word == "memory":
        program.memory = text
    elif word == "timeout":
        program.timeout = int(text)
    elif word == "realtime" and not text:
        program.realtime = True
    elif word == "differs" and (found := _DIFFERS.match(text)):
        program.differs.append((found[1], found[2]))
    elif word == "status" and " => " in text:
        linux, kiln = text.split(" => ")
        program.status = (linux, kiln)
    else:
        raise TestError(f"{program.source}: @{word} {text} is not understood")


def read_program(source: pathlib.Path) -> Program:
    """The program with its directives."""
    name = str(source.relative_to(HERE).with_suffix(""))
    program = Program(name, source)
    if source.suffix == ".cc":
        program.build = "cxx"
    head = source.read_text().partition("*/")[0]
    for line in head.splitlines():
        if found := _DIRECTIVE.match(line):
            _apply(program, found[1], found[2])
    if not program.smp:
        program.smp = [1, 2] if name.split("/")[0] in BOTH_SMP else [1]
    if program.build not in COMPILERS:
        raise TestError(f"{source}: no such build: {program.build}")
    return program


def find_programs(patterns: list[str]) -> list[Program]:
    """All programs whose names match one of the patterns."""
    sources = sorted(
        path for path in HERE.glob("*/*.c*") if path.parent.name not in SKIPPED_FOLDERS
    )
    programs = [read_program(source) for source in sources]
    if not patterns:
        return programs
    chosen = [
        program
        for program in programs
        if any(
            fnmatch.fnmatch(program.name, p) or p == program.name.split("/")[0] for p in patterns
        )
    ]
    if not chosen:
        raise TestError(f"no test matches {' '.join(patterns)}")
    return chosen


def read_pending() -> dict[str, str]:
    """`name: reason` lines; a name is a program's or program@smpN."""
    pending = {}
    path = HERE / "pending.yml"
    for line in path.read_text().splitlines() if path.exists() else []:
        if line.strip() and not line.lstrip().startswith(("#", "---", "{}")):
            name, _, reason = line.partition(": ")
            pending[name.strip()] = reason.strip()
    return pending


# Building


def _compile(command: list[str], result: pathlib.Path, inputs: list[pathlib.Path]) -> None:
    digest = hashlib.sha256(repr(command).encode())
    for path in inputs:
        digest.update(path.read_bytes())
    stamp = result.with_name(result.name + ".inputs")
    if result.exists() and stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    result.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or done.stderr:
        raise TestError(f"{result.name} does not build cleanly:\n{done.stderr}")
    stamp.write_text(digest.hexdigest())


def build(program: Program) -> None:
    """Compile a program and its own libraries into the image's tree."""
    folder = BUILD / "tree" / "t"
    headers = sorted((HERE / "include").glob("*.h"))
    for library in program.libraries:
        source = HERE / "lib" / library
        result = folder / f"lib{source.stem}.so"
        _compile(
            [*COMPILERS["dynamic"], *FLAGS, "-shared", "-fPIC", "-o", str(result), str(source)],
            result,
            [source, *headers],
        )
    result = folder / program.name
    command = [*COMPILERS[program.build], *FLAGS, "-o", str(result), str(program.source)]
    _compile([*command, *program.flags], result, [program.source, *headers])


def build_all(programs: list[Program], jobs: int) -> None:
    """Build every program; all that do not build are named at once."""
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        tasks = [pool.submit(build, program) for program in programs]
    problems = [str(task.exception()) for task in tasks if task.exception()]
    if problems:
        raise TestError("\n".join(problems))


def _needed(binary: pathlib.Path) -> set[str]:
    done = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False)
    return set(re.findall(r"(?:=> |^\s*)(/\S+)", done.stdout, re.M))


def pack(programs: list[Program]) -> pathlib.Path:
    """One EROFS image with every program and the libraries they ask for."""
    tree = BUILD / "tree"
    libraries: set[str] = set()
    for program in programs:
        if program.build in ("dynamic", "nopie", "cxx"):
            libraries |= _needed(tree / "t" / program.name)
    libraries |= {"/lib/x86_64-linux-gnu/libgcc_s.so.1", "/lib/x86_64-linux-gnu/libm.so.6"}
    for library in sorted(libraries):
        _install(pathlib.Path(library), tree)
    musl = pathlib.Path("/lib/x86_64-linux-musl/libc.so")
    if musl.exists():
        _install(musl, tree, pathlib.Path("/lib/ld-musl-x86_64.so.1"))
    _write_etc(tree)
    image = BUILD / "root.erofs"
    command = ["mkfs.erofs", "--quiet", "-x-1", "--all-root", "--exclude-regex=.*[.]inputs$"]
    subprocess.run([*command, str(image), str(tree)], check=True, stdout=subprocess.DEVNULL)
    return image


def _install(library: pathlib.Path, tree: pathlib.Path, name: pathlib.Path | None = None) -> None:
    place = tree / str(name or library).lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists() or place.stat().st_mtime != library.stat().st_mtime:
        shutil.copy2(library.resolve(), place)
        os.utime(place, (library.stat().st_mtime, library.stat().st_mtime))


def _write_etc(tree: pathlib.Path) -> None:
    etc = tree / "etc"
    etc.mkdir(exist_ok=True)
    (etc / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (etc / "group").write_text("root:x:0:\n")
    (etc / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")


# Running


# Real-time threads of two programs share what Linux lets real-time threads have of a CPU.
_ONE_AT_A_TIME = threading.Lock()


def run_on_host(program: Program) -> Ending:
    """The oracle: a fresh folder on tmpfs, the same environment, a pipe for each stream."""
    with _ONE_AT_A_TIME if program.realtime else contextlib.nullcontext():
        return _run_on_host(program)


def _run_on_host(program: Program) -> Ending:
    binary = BUILD / "tree" / program.inside.lstrip("/")
    as_root = [] if os.getuid() == 0 else ["unshare", "--user", "--map-root-user"]
    with tempfile.TemporaryDirectory(prefix="kiln-test-", dir="/dev/shm") as folder:
        done = subprocess.run(
            [*as_root, str(binary), *program.args],
            input=program.stdin,
            capture_output=True,
            cwd=folder,
            env=ENVIRONMENT | program.env,
            timeout=program.timeout,
            check=False,
        )
    code = done.returncode
    status = f"signal {-code}" if code < 0 else f"exit {code}"
    return Ending(status, done.stdout.decode(errors="backslashreplace"))


def run_in_guest(machine: Machine, image: pathlib.Path, extra: list[str]) -> Ending:
    """The same program on Kiln."""
    program = machine.program
    environment = dict(os.environ)
    if machine.cpu != "max":
        given = environment.get("KILN_QEMU_ARGS", "")
        environment["KILN_QEMU_ARGS"] = f"{given} -cpu {machine.cpu}"
    with tempfile.TemporaryDirectory(prefix="kiln-test-") as folder:
        status_file = os.path.join(folder, "status")
        command = [str(TOP / "kernel-src" / "run"), "--root", str(image), "--smp", str(machine.smp)]
        command += ["--memory", program.memory, "--timeout", str(program.timeout)]
        command += ["--cwd", "/tmp", "--status-file", status_file, *extra]
        for key, value in (ENVIRONMENT | program.env).items():
            command += ["--env", f"{key}={value}"]
        command += ["--", program.inside, *program.args]
        done = subprocess.run(
            command, input=program.stdin, capture_output=True, env=environment, check=False
        )
        with open(status_file, encoding="utf-8") as stream:
            told = json.load(stream)
    return Ending(
        _guest_status(told),
        done.stdout.decode(errors="backslashreplace"),
        done.stderr.decode(errors="backslashreplace"),
    )


def _guest_status(told: dict) -> str:
    if told["panic"] is not None:
        return f"panic ({told['panic']})"
    if told["timeout"]:
        return "time-out"
    if told["error"] is not None:
        return f"error ({told['error']})"
    if told["signal"] is not None:
        return f"signal {told['signal']}"
    return f"exit {told['exit']}"


def expected_of_kiln(program: Program, linux: Ending) -> Ending:
    """Linux's ending with the differences that the test allows for."""
    lines = linux.output.split("\n")
    for old, new in program.differs:
        if old not in lines:
            raise TestError(f'{program.name}: Linux did not say "{old}"')
        lines = [new if line == old else line for line in lines]
    status = linux.status
    if program.status:
        if status != program.status[0]:
            raise TestError(f"{program.name}: Linux ended with {status}")
        status = program.status[1]
    return Ending(status, "\n".join(lines))


def difference(wanted: Ending, found: Ending) -> str:
    """What differs, as lines for a reader; empty when nothing does."""
    told = []
    if wanted.status != found.status:
        told.append(f"status: wanted {wanted.status}, found {found.status}")
    if wanted.output != found.output:
        told += _first_differences(wanted.output.split("\n"), found.output.split("\n"))
    if told and found.noise:
        told += ["stderr: " + line for line in found.noise.strip().splitlines()[-12:]]
    return "\n".join(told)


def _first_differences(wanted: list[str], found: list[str]) -> list[str]:
    told = []
    for number in range(max(len(wanted), len(found))):
        left = wanted[number] if number < len(wanted) else "(nothing)"
        right = found[number] if number < len(found) else "(nothing)"
        if left != right:
            told += [f"line {number + 1}: Linux: {left}", f"line {number + 1}: Kiln:  {right}"]
        if len(told) >= 12:
            break
    return told


def compare(machine: Machine, image: pathlib.Path, extra: list[str]) -> Finding:
    """Run both and judge."""
    begun = time.monotonic()
    program, name = machine.program, machine.name
    try:
        wanted = expected_of_kiln(program, run_on_host(program))
        found = run_in_guest(machine, image, extra)
        detail = difference(wanted, found)
        summary = detail or f"{wanted.output.count(chr(10))} lines, {wanted.status}"
        return Finding(name, not detail, summary, time.monotonic() - begun)
    except (TestError, subprocess.TimeoutExpired, OSError, ValueError) as problem:
        return Finding(name, False, f"the test failed: {problem}", time.monotonic() - begun)


def report(finding: Finding, out: list[str]) -> None:
    """One line for a match, the differences for the rest."""
    word = {
        (True, False): "same",
        (False, False): "DIFFERENT",
        (False, True): "known to differ",
        (True, True): "UNEXPECTED PASS (remove it from pending.yml)",
    }[(finding.passed, finding.pending)]
    line = f"{word}: {finding.name} ({finding.seconds:.1f} s)"
    out.append(line)
    print(f"{line}: {finding.detail}" if finding.passed else line, flush=True)
    if not finding.passed and not finding.pending:
        print("    " + finding.detail.replace("\n", "\n    "), flush=True)


def run_all(
    programs: list[Program], image: pathlib.Path, options: argparse.Namespace
) -> list[Finding]:
    """Every program at each of its numbers of CPUs, a few at a time."""
    extra = ["--kernel", options.kernel] if options.kernel else []
    pending = read_pending()
    rounds = [
        Machine(program, smp, cpu)
        for program in programs
        for smp in program.smp
        for cpu in program.cpu
        if not options.smp or smp == options.smp
    ]
    findings = []
    lines: list[str] = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        tasks = [pool.submit(compare, machine, image, extra) for machine in rounds]
        for task in concurrent.futures.as_completed(tasks):
            finding = task.result()
            finding.pending = finding.name in pending or finding.name.split("@")[0] in pending
            report(finding, lines)
            findings.append(finding)
    return sorted(findings, key=lambda finding: finding.name)


def host_only(programs: list[Program]) -> int:
    """Show what Linux says, twice, and complain about output that is not the same each time."""
    bad = 0
    for program in programs:
        first, second = run_on_host(program), run_on_host(program)
        stable = (first.output, first.status) == (second.output, second.status)
        wrong = "stop:" in first.output or not stable
        bad += wrong
        print(f"--- {program.name}: {first.status}{'' if stable else ' UNSTABLE'}")
        print(first.output, end="")
    print(f"{len(programs)} programs on the host, {bad} unstable or incomplete")
    return 1 if bad else 0


def parse(arguments: list[str]) -> argparse.Namespace:
    """The runner's options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("patterns", nargs="*", metavar="NAME", help="folder, name or pattern")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--smp", type=int, help="only runs with this many CPUs")
    parser.add_argument("--kernel", help="kernel to test")
    parser.add_argument("--json", default=str(BUILD / "results.json"), help="result file")
    parser.add_argument("--host-only", action="store_true", help="show what the oracle says")
    parser.add_argument("--build-only", action="store_true", help="leave the image and stop")
    return parser.parse_args(arguments)


def conclude(findings: list[Finding], options: argparse.Namespace, begun: float) -> int:
    """The closing lines, the result file and the exit status."""
    wrong = [finding for finding in findings if not finding.good]
    known = [finding for finding in findings if finding.pending and not finding.passed]
    rows = [vars(finding) | {"good": finding.good} for finding in findings]
    pathlib.Path(options.json).write_text(json.dumps(rows, indent=1) + "\n")
    if known:
        print(f"known to differ ({len(known)}): " + " ".join(finding.name for finding in known))
    for finding in wrong:
        print(f"wrong: {finding.name}\n    " + finding.detail.replace("\n", "\n    "))
    same = sum(finding.passed for finding in findings)
    programs = len({finding.name.split("@")[0] for finding in findings})
    print(
        f"tests/guest: {programs} programs, {len(findings)} comparisons of output and status with "
        f"Linux: {same} same, {len(known)} known to differ, {len(wrong)} wrong; "
        f"{time.monotonic() - begun:.0f} s"
    )
    return 1 if wrong else 0


def main(arguments: list[str]) -> int:
    """Build, pack, run, compare."""
    options = parse(arguments)
    begun = time.monotonic()
    try:
        programs = find_programs(options.patterns)
        build_all(programs, options.jobs)
        if options.host_only:
            return host_only(programs)
        image = pack(programs)
    except TestError as problem:
        print(f"tests/guest: {problem}", file=sys.stderr)
        return 1
    if options.build_only:
        print(image)
        return 0
    return conclude(run_all(programs, image, options), options, begun)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
