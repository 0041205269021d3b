# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Takes the steps that _vbox_vms has planned: clones, defines, starts and stops machines."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._instance import free_ports
from ansible_collections.kiln.unikernel.plugins.module_utils._knock import Knock
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Plan,
    PublishError,
    Step,
    carry_out,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._qemu import Forward
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox import (
    DRIVER,
    OWNER,
    VBox,
    VBoxError,
    parse_machines,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_images import (
    ADAPTERS,
    SNAPSHOT,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_steps import Remover
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_vms import (
    Found,
    Wanted,
    rules_of,
)

# Notes of an image, which VirtualBox has copied to its clone.
_INHERITED = ("digest", "name", "created", "tags", "import", "withdrawn")
_TAIL_LINES = 15
_POLL = 0.2


@dataclass(frozen=True)
class Way:
    """How a machine is started and stopped."""

    kind: str = "headless"
    environment: dict[str, str] = field(default_factory=dict)
    frontend: tuple[str, ...] = ()
    stop_timeout: float = 10
    wait_for: dict[str, Any] | None = None


class Runner(Remover):
    """Makes one machine, changes it, runs it."""

    def __init__(self, vbox: VBox, wanted: Wanted, found: Found, folder: Path, way: Way) -> None:
        super().__init__(vbox)
        self._wanted = wanted
        self._found = found
        self._folder = folder
        self._way = way
        self._uuid = found.machine.uuid if found.machine else ""

    def run(self, plan: Plan) -> None:
        """Takes the steps, one after the other."""
        carry_out(plan, self._steps(), parallel=1)

    def _steps(self) -> dict[str, Callable[[Step], None]]:
        return {
            "discard": self._discard,
            "stop": lambda _step: self.stop(),
            "remove": self._remove,
            "clone": self.clone,
            "define": self.define,
            "start": self.start,
        }

    def _discard(self, step: Step) -> None:
        for item in self._found.unfinished:
            self.discard(Step("discard", step.where, item.name, facts={"uuid": item.uuid}))

    def _remove(self, step: Step) -> None:
        self.discard(Step("discard", step.where, step.detail, facts={"uuid": self._uuid}))
        self._uuid = ""

    def clone(self, step: Step) -> None:
        """Clones from the image; the machine has its name when it is finished."""
        name, image = self._wanted.working_name, self._wanted.image_or_fail()
        self.clear(self._folder / name)
        link = ("--options", "link") if self._wanted.clone == "linked" else ()
        words = ("--name", name, "--basefolder", str(self._folder), "--register")
        doing = f"cloning {step.detail} from {image.name}"
        self.vbox.call("clonevm", image.uuid, "--snapshot", SNAPSHOT, *link, *words, doing=doing)
        self._uuid = next(uuid for uuid, other in self.vbox.names().items() if other == name)
        notes = {"from": image.notes["digest"], "clone": self._wanted.clone}
        notes |= {key: "" for key in _INHERITED if key in image.notes}
        # The UUID last: until then the notes are the image's, and say nothing here.
        self.vbox.note(self._uuid, notes | {OWNER: self._uuid})
        self.define(step)
        doing = f"naming {step.detail}"
        self.vbox.call("modifyvm", self._uuid, "--name", step.detail, doing=doing)

    def define(self, step: Step) -> None:
        """Sets all that can be set on a machine that does not run, and reads it back."""
        after = step.facts
        facts = self.vbox.facts(self._uuid)
        doing = f"setting up {step.detail}"
        if facts.get("VMState") in ("saved", "aborted-saved"):
            self.vbox.call("discardstate", self._uuid, doing=doing)
        for rule in rules_of(facts):
            old = (self._uuid, "--natpf1", "delete", rule)
            self.vbox.when_free("modifyvm", *old, doing=doing)
        words = ["--memory", str(after["memory"]), "--cpus", str(after["cpus"])]
        words += ["--nic1", after["network"], *self._console_words(after["console"])]
        if after["network"] != "none":
            words += ["--nic-type1", ADAPTERS[after["network_adapter"]]]
        for number, item in enumerate(free_ports([Forward(**it) for it in after["forwards"]])):
            rule = f"kiln-{number},{item.protocol},{item.address},{item.host},,{item.guest}"
            words += ["--natpf1", rule]
        self.vbox.when_free("modifyvm", self._uuid, *words, doing=doing)
        self._check(after)

    def _check(self, after: dict[str, Any]) -> None:
        facts = self.vbox.facts(self._uuid)
        for key in ("memory", "cpus"):
            if facts.get(key) != str(after[key]):
                raise PublishError(
                    f"VirtualBox has given {self._wanted.name} the {key} {facts.get(key)}, not "
                    f"{after[key]}; choose another `{key}`."
                )

    @staticmethod
    def _console_words(console: str) -> tuple[str, ...]:
        Path(console).parent.mkdir(parents=True, exist_ok=True)
        return ("--uart1", "0x3F8", "4", "--uart-mode1", "file", console)

    # --- running ----------------------------------------------------------------------------

    def start(self, step: Step) -> None:
        """Starts it, and waits until it answers when it was asked for that."""
        Path(step.facts["console"]).unlink(missing_ok=True)
        if self._way.frontend:
            self._start_frontend()
        else:
            self._start_plain(step.detail)
        wanted = self._way.wait_for
        if wanted:
            try:
                self._wait_for(wanted, step.facts["console"])
            except BaseException:
                self.stop(0)
                raise

    def _start_plain(self, name: str) -> None:
        words = [f"--putenv={key}={value}" for key, value in self._way.environment.items()]
        doing = f"starting {name}"
        try:
            self.vbox.when_free(
                "startvm", self._uuid, "--type", self._way.kind, *words, doing=doing
            )
        except VBoxError as problem:
            if DRIVER.exists():
                raise
            raise PublishError(
                f"{str(problem).rstrip('.')}. VirtualBox's kernel driver is not loaded "
                f"({DRIVER} is not there); load the module vboxdrv, or name a `frontend` that does "
                "without."
            ) from problem

    def _start_frontend(self) -> None:
        """Starts a program of the user's that runs the machine, and sees the machine run."""
        log = Path(f"{self._wanted.console}.frontend")
        with log.open("wb") as stream:
            try:
                process = subprocess.Popen(
                    [*self._way.frontend, self._uuid],
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=stream,
                    env=os.environ | self._way.environment,
                    start_new_session=True,
                )
            except OSError as problem:
                raise PublishError(
                    f"The frontend {self._way.frontend[0]} cannot be run: {problem.strerror}."
                ) from None
        try:
            self._see_it_run(process, log)
        except BaseException:
            # It may be showing somebody who is not there what is wrong.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            raise

    def _see_it_run(self, process: subprocess.Popen[bytes], log: Path) -> None:
        while not self._runs():
            if process.poll() is not None:
                raise PublishError(
                    f"The frontend {self._way.frontend[0]} ended with the status "
                    f"{process.returncode} before the machine {self._wanted.name} ran; the end of "
                    f"{log}:\n{tail(log)}"
                )
            self.vbox.deadline.check(f"starting {self._wanted.name}")
            time.sleep(_POLL)

    def _runs(self) -> bool:
        """Whether it runs. showvminfo would lock the machine, and a start meanwhile would fail."""
        said = self.vbox.call("list", "runningvms", doing="listing the machines that run")
        return self._uuid in parse_machines(said)

    def _wait_for(self, wanted: dict[str, Any], console: str) -> None:
        facts = self.vbox.facts(self._uuid)
        rules = [value.split(",") for key, value in facts.items() if key.startswith("Forwarding(")]
        place = next((rule[2], int(rule[3])) for rule in rules if rule[5] == str(wanted["port"]))
        knock = Knock(place, wanted["send"].encode(), wanted["expect"].encode())
        until = time.monotonic() + wanted["timeout"]
        asked = time.monotonic()
        try:
            while not knock.answered():
                now = time.monotonic()
                if now > until:
                    raise self._silent(wanted, console)
                if now - asked > 1:
                    asked = now
                    if not self._runs():
                        raise PublishError(
                            f"The machine {self._wanted.name} ended before it answered. The end "
                            f"of its console ({console}):\n{tail(Path(console))}"
                        )
        finally:
            knock.close()

    def _silent(self, wanted: dict[str, Any], console: str) -> PublishError:
        return PublishError(
            f"The machine {self._wanted.name} runs but did not answer at port {wanted['port']} "
            f"within {wanted['timeout']} s. The end of its console ({console}):\n"
            f"{tail(Path(console))}"
        )

    def stop(self, seconds: float | None = None) -> None:
        """Asks it to end by its power button, then switches it off."""
        seconds = self._way.stop_timeout if seconds is None else seconds
        name = self._wanted.name
        if not self._runs():
            return
        if seconds:
            self._control("acpipowerbutton", f"stopping {name}")
            until = time.monotonic() + seconds
            while self._runs() and time.monotonic() < until:
                time.sleep(_POLL)
        if self._runs():
            self._control("poweroff", f"switching {name} off")
        self.vbox.patience.until(lambda: None if self._runs() else True, f"stopping {name}")

    def _control(self, word: str, doing: str) -> None:
        """What is off by itself meanwhile is fine."""
        try:
            self.vbox.call("controlvm", self._uuid, word, doing=doing)
        except VBoxError:
            if self._runs():
                raise


def tail(path: Path) -> str:
    """The last lines of a file."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-_TAIL_LINES:])
