# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Takes the steps that _vsphere_templates has planned. Each can be taken again after a failure."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils import _vsphere_tags
from ansible_collections.kiln.unikernel.plugins.module_utils._ova_read import Package
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Plan,
    PublishError,
    Step,
    in_turn,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere import Vcenter
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere_import import (
    Importer,
    Place,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vsphere_templates import (
    DIGEST,
    NAME,
    UNFINISHED,
    UUID,
    Found,
    Machine,
    Wanted,
    birth_mark,
)

with contextlib.suppress(ImportError):
    from pyVmomi import vim, vmodl


class Remover:
    """Takes templates, and what was left of them, away."""

    def __init__(self, vcenter: Vcenter) -> None:
        self.vcenter = vcenter

    def verbs(self) -> dict[str, Callable[[Step], None]]:
        """What it can do."""
        return {"remove": self.remove, "discard": self.discard}

    def run(self, plan: Plan) -> None:
        """Takes all steps, in this thread, which is the one that a signal comes to."""
        in_turn(plan, self.verbs())

    def remove(self, step: Step) -> None:
        """Removes a machine with its disks; what is gone already is fine."""
        machine: Machine = step.facts["machine"]
        try:
            self.vcenter.finish(f"removing '{machine.name}'", machine.ref.Destroy_Task)
        except PublishError as problem:
            if not isinstance(problem.cause, vmodl.fault.ManagedObjectNotFound):
                raise

    def discard(self, step: Step) -> None:
        """Removes what an interrupted run has left, unless it may still be at work."""
        try:
            self.remove(step)
        except PublishError as problem:
            if not isinstance(problem.cause, (vim.fault.InvalidState, vim.fault.TaskInProgress)):
                raise
            raise PublishError(
                f"'{step.detail}' in {step.where} is being imported by another run, or by one that "
                "was ended and whose lease has not run out yet; run this again in five minutes.",
                problem.cause,
            ) from problem


class Publisher(Remover):
    """Makes templates and changes them."""

    def __init__(
        self, vcenter: Vcenter, wanted: Wanted, found: Found, package: Package, place: Place
    ) -> None:
        super().__init__(vcenter)
        self._wanted = wanted
        self._package = package
        self._place = place
        ours = found.of(wanted.name, wanted.digest)
        machine = next(iter(ours + found.whole), None)
        self._machine: Any = machine.ref if machine else None

    def verbs(self) -> dict[str, Callable[[Step], None]]:
        """What it can do."""
        return super().verbs() | {
            "import": self.bring_in,
            "finish": lambda _step: self._mark(),
            "rename": self.rename,
            "move": self.move,
            "describe": self.describe,
            "tag": lambda step: self._tag(step.facts["before"], step.facts["after"]),
        }

    def bring_in(self, step: Step) -> None:
        """Makes the template: disks, attributes, and then what makes it count as published."""
        wanted = self._wanted
        machine = Importer(
            self.vcenter,
            self._package,
            self._place,
            f"{wanted.name} to {step.where}",
            step.detail,
            wanted.description or "",
            birth_mark(wanted.name, wanted.digest),
        ).run()
        try:
            self._finish(machine)
        except BaseException:
            # A template has lost its mark already, and is not to be left without a name.
            self.vcenter.clear_away(machine)
            raise

    def _finish(self, machine: Any) -> None:
        self._machine = machine
        self._tag({}, self._wanted.tags or {})
        marks = {
            NAME: self._wanted.name,
            DIGEST: self._wanted.digest,
            UUID: self.vcenter.read("looking at it", lambda: machine.config.instanceUuid),
        }
        for name, value in marks.items():
            self._put(name, value)
        unmark = vim.vm.ConfigSpec(extraConfig=[vim.option.OptionValue(key=UNFINISHED, value="")])
        self.vcenter.finish("finishing it", lambda: machine.ReconfigVM_Task(unmark))
        self._mark()

    def _put(self, name: str, value: str) -> None:
        self.vcenter.set_field(self._machine, vim.VirtualMachine, name, value)

    def _tag(self, before: dict[str, str], after: dict[str, str]) -> None:
        _vsphere_tags.write(self._put, before, after)

    def _mark(self) -> None:
        self.vcenter.do("making it a template", self._machine.MarkAsTemplate)

    def rename(self, step: Step) -> None:
        """Gives it its name."""
        self.vcenter.finish("renaming it", lambda: self._machine.Rename_Task(step.detail))

    def move(self, step: Step) -> None:
        """Puts it into its folder."""
        folder = self._place.folder
        self.vcenter.finish(
            f"moving it to '{step.detail}'", lambda: folder.MoveIntoFolder_Task([self._machine])
        )

    def describe(self, step: Step) -> None:
        """Changes the notes; of a template, vSphere changes them and the name only."""
        spec = vim.vm.ConfigSpec(annotation=step.detail)
        self.vcenter.finish("describing it", lambda: self._machine.ReconfigVM_Task(spec))
