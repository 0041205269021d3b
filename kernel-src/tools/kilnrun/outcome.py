"""How a run ended, in the words of the control channel, the console and the status file."""

import json
import os
import re
from dataclasses import dataclass, field
from typing import Any

from .errors import EXIT_FAILED, EXIT_PANIC, EXIT_TIMEOUT

_LAST_LINES = (
    (re.compile(rb"^kiln: exit status (\d+)\s*$", re.M), "exit"),
    (re.compile(rb"^kiln: killed by signal (\d+)", re.M), "signal"),
)
# The BIOS loader says why it cannot start the kernel, and leaves the machine standing.
_LOADER_LINE = re.compile(rb"^kiln (loader: .*?)\s*$", re.M)
_PANIC_LINE = re.compile(rb"^kiln: panic: ?(.*?)\s*$", re.M)


@dataclass
class Outcome:
    """Filled while the guest runs; the first ending that is reported counts."""

    exit: int | None = None
    signal: int | None = None
    panic: str | None = None
    timeout: bool = False
    error: str | None = None
    started_ns: int | None = None
    standing: bool = False  # nothing in the guest runs that could power off
    image: str | None = None  # what --root names: the guest knows only its disks
    milliseconds: int = 0
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether an ending has been reported."""
        return not (
            self.exit is None and self.signal is None and self.panic is None and self.error is None
        )

    @property
    def wrong(self) -> bool:
        """Whether the kernel's own lines are worth showing."""
        return self.exit is None or self.timeout

    def take_event(self, line: bytes) -> None:
        """One JSON line of the control channel."""
        try:
            event = json.loads(line)
            kind = event["event"]
            if kind == "started":
                self.started_ns = int(event.get("ns", 0))
            elif kind == "exit":
                self.exit = int(event["status"]) & 255
            elif kind == "signal":
                self.signal = int(event["signal"])
            elif kind == "panic":
                self.panic = str(event.get("message", ""))
            elif kind == "error":
                self.error = f"{self.image}: {event.get('message', '')}"
        except (ValueError, KeyError, TypeError):
            self.error = f"the guest said something unknown on its control channel: {line[:200]!r}"

    def take_console(self, text: bytes) -> None:
        """What the serial console tells where the control channel said nothing."""
        panic = _PANIC_LINE.search(text)
        if panic and self.panic is None:
            self.panic = panic[1].decode(errors="replace")
        loader = _LOADER_LINE.search(text)
        if loader and not self.known:
            said = loader[1].decode(errors="replace")
            self.error = f"{self.image}: the disk does not boot: {said}"
            self.standing = True
        for pattern, name in _LAST_LINES:
            found = pattern.findall(text)
            if found and not self.known:
                setattr(self, name, int(found[-1]))

    def code(self) -> int:
        """The tool's own exit code."""
        if self.panic is not None:
            return EXIT_PANIC
        if self.timeout:
            return EXIT_TIMEOUT
        if self.error is not None:
            return EXIT_FAILED
        if self.signal is not None:
            return 128 + self.signal
        return EXIT_FAILED if self.exit is None else self.exit

    def write(self, path: str) -> None:
        """The status file; it appears whole or not at all."""
        names = ("exit", "signal", "panic", "timeout", "error", "milliseconds", "started_ns")
        told = {name: getattr(self, name) for name in names} | self.details
        partial = f"{path}.{os.getpid()}"
        with open(partial, "w", encoding="utf-8") as stream:
            json.dump(told, stream)
            stream.write("\n")
        os.replace(partial, path)
