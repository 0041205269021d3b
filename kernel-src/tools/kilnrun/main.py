"""Puts the parts together: options, kernel, root, QEMU, and what came of it."""

import contextlib
import os
import re
import shlex
import signal
import sys
import tempfile
import threading
import time
from types import FrameType

from . import accel, cmdline, disk, kernel, qemu, rootfs
from .errors import EXIT_FAILED, RunError
from .options import Options, parse
from .outcome import Outcome
from .streams import Port, Recorder, from_descriptor, to_descriptor

# How long a guest that has reported its end may take to power off.
_GOODBYE_SECONDS = 5.0
# How often the waiting main thread looks for an ending that only the console told.
_GLANCE_SECONDS = 0.25


STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(Exception):
    """SIGINT or SIGTERM came."""


def _on_signal(number: int, _frame: FrameType | None) -> None:
    for again in STOPPING:
        signal.signal(again, signal.SIG_IGN)
    raise Stopped(number)


def _say(text: str) -> None:
    sys.stderr.write(f"run: {text}\n")
    sys.stderr.flush()


class Guest:
    """One boot, from QEMU's start to its end."""

    def __init__(self, options: Options, words_for: "Launch") -> None:
        self._options = options
        self.outcome = Outcome(image=options.root)
        verbose = 2 if options.verbose else None
        self._ended = threading.Event()
        self._recorders = {
            "control": Recorder(on_line=self._on_event),
            "log": Recorder(copy_to=verbose),
            "console": Recorder(on_line=self._on_console, copy_to=verbose),
            qemu.MONITOR: Recorder(),
        }
        self._errors = Recorder()
        self._ports = {name: Port(name) for name in (*qemu.PORTS, "console", qemu.MONITOR)}
        self._words = words_for.command(self._ports)

    def _on_event(self, line: bytes) -> None:
        self.outcome.take_event(line)
        if self.outcome.known:
            self._ended.set()

    def _on_console(self, line: bytes) -> None:
        self.outcome.take_console(line)
        if self.outcome.known:
            self._ended.set()

    def run(self) -> None:
        """Boot, carry the streams, wait for the end."""
        errors = Port("qemu")
        begun = time.monotonic()
        process = qemu.Process(self._words, self._ports, errors)
        self._widen_forwards(process.pid)
        try:
            threads = self._start_streams(errors)
            self._hand_on_quit()
            self._wait(process, begun)
        finally:
            process.stop()
            self.outcome.milliseconds = round((time.monotonic() - begun) * 1000)
        for thread in threads:
            thread.join()
        self._conclude(process)

    def _widen_forwards(self, pid: int) -> None:
        ports = {host for protocol, host, _ in self._options.forward if protocol == "tcp"}
        if ports:
            from . import backlog  # ctypes takes time that a run without forwards need not spend

            threading.Thread(target=backlog.widen, args=(pid, ports), daemon=True).start()

    def _start_streams(self, errors: Port) -> list[threading.Thread]:
        works = {"stdout": to_descriptor(1), "stderr": to_descriptor(2), **self._recorders}
        threads = [self._ports[name].start(work) for name, work in works.items()]
        self._ports["stdin"].start(from_descriptor(0))
        return [*threads, errors.start(self._errors)]

    def _hand_on_quit(self) -> None:
        """SIGQUIT here (Ctrl-\\ on a terminal) becomes one of the program, by way of an NMI."""

        def say(command: str) -> None:
            # On a busy host the guest may have ended before this is reached.
            with contextlib.suppress(OSError):
                self._ports[qemu.MONITOR].near.sendall(b'{"execute": "%s"}\n' % command.encode())

        def ask(_number: int, _frame: FrameType | None) -> None:
            say("inject-nmi")

        say("qmp_capabilities")
        signal.signal(signal.SIGQUIT, ask)

    def _wait(self, process: qemu.Process, begun: float) -> None:
        limit = begun + self._options.timeout if self._options.timeout else None
        while not self._ended.is_set():
            glance = time.monotonic() + _GLANCE_SECONDS
            if process.wait(glance if limit is None else min(glance, limit)):
                return
            if limit is not None and time.monotonic() >= limit:
                self.outcome.timeout = True
                return
        if self.outcome.standing:
            return
        if not process.wait(time.monotonic() + _GOODBYE_SECONDS):
            _say("the guest reported its end but did not power off")

    def _conclude(self, process: qemu.Process) -> None:
        outcome = self.outcome
        if not outcome.known and not outcome.timeout:
            text = bytes(self._errors.data).decode(errors="replace").strip()
            outcome.error = f"QEMU ended with status {process.status} and no word from the guest"
            if process.status == 0:
                outcome.error += ": the machine was reset, as by a triple fault"
            if text:
                outcome.error += f": {text}"

    def log(self) -> bytes:
        """The kernel's own lines, from its port and from the console."""
        return bytes(self._recorders["log"].data + self._recorders["console"].data)


class Launch:
    """Everything that is known before QEMU's descriptors are."""

    def __init__(self, options: Options, scratch: str) -> None:
        self._options = options
        wanted = "tcg" if options.icount else options.accel
        self.accel = accel.choose(wanted, qemu.program())
        if options.verbose and options.accel == "auto" and self.accel == "tcg":
            _say("KVM does not run a guest here, using QEMU's emulator")
        self._line = cmdline.build(options)
        assert options.root
        if options.disk_boot:
            self._kernel = None
            self._drive = disk.prepare(options, self._line, scratch)
        else:
            self._kernel = kernel.find(options.kernel, options.verbose)
            self._drive = rootfs.prepare(options.root, scratch)

    def command(self, ports: dict[str, Port]) -> list[str]:
        """QEMU's command line."""
        words = qemu.command(
            self._options, self.accel, self._kernel, self._line, self._drive, ports
        )
        if self._options.verbose:
            _say(shlex.join(words))
        return words


_WRONG = re.compile(rb"^kiln: \[ *[0-9.]+\] error: .*\n?", re.M)


def _worth_showing(outcome: Outcome, log: bytes) -> bytes:
    """All of the kernel's lines when the run went wrong, else those that say that something did."""
    return log if outcome.wrong else b"".join(_WRONG.findall(log))


def _report(options: Options, outcome: Outcome, log: bytes) -> None:
    if options.log_file:
        with open(options.log_file, "wb") as stream:
            stream.write(log)
    if not options.verbose:
        sys.stderr.buffer.write(_worth_showing(outcome, log))
        sys.stderr.flush()
    if outcome.timeout:
        _say(f"timed out after {options.timeout:g} s")
    elif outcome.panic is not None:
        _say(f"the kernel panicked: {outcome.panic}")
    elif outcome.error is not None:
        _say(outcome.error)


def _boot(options: Options, outcome_of: list[Outcome]) -> None:
    with tempfile.TemporaryDirectory(prefix="kiln-run-") as scratch:
        launch = Launch(options, scratch)
        guest = Guest(options, launch)
        outcome_of.append(guest.outcome)
        guest.outcome.details["accel"] = launch.accel
        guest.run()
        _report(options, guest.outcome, guest.log())


def _run(options: Options) -> tuple[int, Outcome]:
    found: list[Outcome] = []
    try:
        _boot(options, found)
        return found[0].code(), found[0]
    except Stopped as stopped:
        number = stopped.args[0]
        outcome = found[0] if found else Outcome()
        outcome.error = f"stopped by {signal.Signals(number).name}"
        code = 128 + number
    except RunError as problem:
        outcome = Outcome(error=str(problem))
        code = EXIT_FAILED
    except OSError as problem:
        outcome = Outcome(error=f"{problem.filename or 'the host'}: {problem.strerror or problem}")
        code = EXIT_FAILED
    _say(str(outcome.error))
    return code, outcome


def _write_status(path: str, outcome: Outcome, code: int) -> int:
    """The tool's status: who waits for the file must learn that it is not there."""
    try:
        outcome.write(path)
    except OSError as problem:
        _say(f"the status file {path} cannot be written: {problem.strerror}")
        return EXIT_FAILED
    return code


def main(arguments: list[str]) -> None:
    """Run and leave with the program's status."""
    options = parse(arguments)
    for number in STOPPING:
        signal.signal(number, _on_signal)
    code, outcome = _run(options)
    if options.status_file:
        code = _write_status(options.status_file, outcome, code)
    sys.stderr.flush()
    # The thread that waits for standard input may be blocked for ever; nothing waits for it.
    os._exit(code)
