# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Takes the steps that _vbox_images has planned. Each step can be taken again after a failure.

VirtualBox imports as it likes: it gives an OVA's machine other hardware than the descriptor asks
for where it has none such, and bridges its network to one of the host's. So what was asked for is
set, read back and compared before an image counts as made.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Plan,
    PublishError,
    Step,
    carry_out,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox import (
    OWNER,
    Medium,
    VBox,
    VBoxError,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_images import (
    ADAPTERS,
    CONTROLLERS,
    SNAPSHOT,
    Wanted,
    hardware_of,
    images_of,
    tags_text,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_listen import Course
from ansible_collections.kiln.unikernel.plugins.module_utils._vbox_package import Package

_OS_TYPE = "Linux26_64"
_CONTROLLER = "Disks"
# storagectl's words: --add, --controller.
_BUSES = {"ahci": ("sata", "IntelAhci"), "lsilogic": ("scsi", "LSILogic")}
_BUSES["virtio-scsi"] = ("virtio", "VirtIO")
# What a server needs none of; with the host's devices it would ask for them when it starts.
_PLAIN = (
    "--firmware", "bios", "--boot1", "disk", "--boot2", "none", "--boot3", "none",
    "--audio-enabled", "off", "--usb-ohci", "off", "--nic1", "nat",
    "--graphicscontroller", "vmsvga", "--mouse", "ps2",
)  # fmt: skip


def folder_of(facts: dict[str, str]) -> Path:
    """The folder that a VM's files are in."""
    return Path(facts["CfgFile"]).parent


def is_within(path: str, folder: Path) -> bool:
    """Whether a file is in a folder."""
    return Path(path).is_relative_to(folder)


def standing_on(media: list[Medium], folder: Path) -> list[Medium]:
    """Disks elsewhere that need one in this folder: those of linked clones."""
    own = {item.uuid for item in media if is_within(item.path, folder)}
    return [item for item in media if item.parent in own and item.uuid not in own]


def check_no_clones(vbox: VBox, plan: Plan) -> None:
    """Fails when a VM that is to go has disks that others stand on."""
    for step in plan.steps:
        if step.verb not in ("remove", "replace"):
            continue
        others = standing_on(vbox.media(), folder_of(vbox.facts(step.facts["uuid"])))
        if others:
            raise PublishError(
                f"Linked clones stand on the disk of {step.detail}, such as the one with "
                f"{others[0].path}; remove them first."
            )


def cloned_from(vbox: VBox, name: str) -> set[str]:
    """The images of a name that have linked clones, by their UUIDs."""
    media = vbox.media()
    return {
        item.uuid
        for item in images_of(vbox.machines(), name, None)
        if standing_on(media, folder_of(vbox.facts(item.uuid)))
    }


class Remover:
    """Takes VMs away."""

    def __init__(self, vbox: VBox) -> None:
        self.vbox = vbox

    def verbs(self) -> dict[str, Callable[[Step], None]]:
        """What it can do."""
        return {"discard": self.discard, "remove": self.remove, "replace": self.remove}

    def run(self, plan: Plan) -> None:
        """Takes all steps, one after the other."""
        carry_out(plan, self.verbs(), parallel=1)

    def remove(self, step: Step) -> None:
        """Takes an image away; from the first moment on it is not seen as one."""
        uuid = step.facts["uuid"]
        notes = self.vbox.notes(uuid)
        gone = f"{notes.get('name', '')} {notes.get('digest', '')}"
        self.vbox.note(uuid, {"import": gone, "digest": ""})
        self.discard(step)

    def discard(self, step: Step) -> None:
        """Takes a VM away with its disks."""
        doing = f"removing {step.detail}"
        try:
            self.vbox.when_free("unregistervm", step.facts["uuid"], "--delete", doing=doing)
        except VBoxError as problem:
            if "VBOX_E_OBJECT_NOT_FOUND" not in problem.codes:
                raise

    def clear(self, folder: Path) -> None:
        """Takes away what a folder of ours still holds: disks without a VM, and the folder."""
        left = [item for item in self.vbox.media() if is_within(item.path, folder)]
        for item in children_first(left):
            doing = f"forgetting {item.path}"
            self.vbox.when_free("closemedium", "disk", item.uuid, doing=doing)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)


def children_first(media: list[Medium]) -> list[Medium]:
    """Disks in an order in which they can be closed."""
    left, ordered = list(media), []
    while left:
        parents = {item.parent for item in left}
        leaves = [item for item in left if item.uuid not in parents] or left
        ordered += leaves
        left = [item for item in left if item not in leaves]
    return ordered


class Publisher(Remover):
    """Makes images and changes them."""

    def __init__(self, vbox: VBox, wanted: Wanted, package: Package, folder: Path) -> None:
        super().__init__(vbox)
        self._wanted = wanted
        self._package = package
        self._folder = folder

    def verbs(self) -> dict[str, Callable[[Step], None]]:
        """What it can do."""
        return super().verbs() | {
            "import": self.bring_in,
            "register": self.register,
            "hardware": self.set_hardware,
            "description": self.set_description,
            "tags": self.set_tags,
            "rename": self.rename,
        }

    def bring_in(self, _step: Step) -> None:
        """Imports under the working name, with the hardware that was asked for."""
        name = self._wanted.working_name
        self.clear(self._folder / name)
        if self._package.kind == "ova":
            self._import_ova(name)
        else:
            self._import_disk(name)
        uuid = self._uuid(name)
        self._mark(uuid)
        self._move_disk(uuid, str(self._wanted.hardware["controller"]))
        set_hardware(self.vbox, uuid, self._wanted.hardware, _PLAIN)
        self.vbox.call("snapshot", uuid, "take", SNAPSHOT, doing=f"taking a snapshot of {name}")
        self._package.check_unchanged()

    def _uuid(self, name: str) -> str:
        found = [uuid for uuid, other in self.vbox.names().items() if other == name]
        if not found:
            raise PublishError(f"VirtualBox has imported {name} and does not know it; try again.")
        return found[0]

    def _mark(self, uuid: str) -> None:
        begun = f"{self._wanted.name} {self._wanted.digest}"
        self.vbox.note(uuid, {"import": begun, OWNER: uuid})

    def _import_ova(self, name: str) -> None:
        words = ("--vsys", "0", "--vmname", name, "--basefolder", str(self._folder))
        path = str(self._package.path)
        course = self._course(self._folder / name)
        self.vbox.call("import", path, *words, doing=f"importing {path}", course=course)

    def _import_disk(self, name: str) -> None:
        words = ("--name", name, "--ostype", _OS_TYPE, "--basefolder", str(self._folder))
        self.vbox.call("createvm", *words, "--register", doing=f"making {name}")
        self._mark(self._uuid(name))
        disk = self._folder / name / f"{self._wanted.name}-disk1.vdi"
        self._copy_disk(disk)
        controller = str(self._wanted.hardware["controller"])
        add_controller(self.vbox, name, controller)
        attach(self.vbox, name, disk)

    def _course(self, target: Path | None = None) -> Course:
        """Tells how far the import is; by the size of what is written where there is a `target`."""
        path = self._package.path
        total = self._package.size if target is None else self._package.holds
        return Course(f"{path.name} to VirtualBox", total, target)

    def _copy_disk(self, disk: Path) -> None:
        """Copies the content into a VDI; VirtualBox keeps no memory of the file it came from."""
        path = self._package.path
        doing = f"importing {path}"
        if self._package.kind == "raw":
            raw = (str(path), str(disk), "--format", "VDI")
            self.vbox.call("convertfromraw", *raw, doing=doing, course=self._course(disk))
            return
        known = any(item.path == str(path) for item in self.vbox.media())
        try:
            words = ("disk", str(path), str(disk), "--format", "VDI")
            self.vbox.call("clonemedium", *words, doing=doing, course=self._course())
        finally:
            if not known and any(item.path == str(path) for item in self.vbox.media()):
                self.vbox.call("closemedium", "disk", str(path), doing=f"forgetting {path}")

    def _move_disk(self, uuid: str, controller: str) -> None:
        """Puts the disk on another controller when it is not on that one."""
        facts = self.vbox.facts(uuid)
        if facts.get("storagecontrollertype0") == CONTROLLERS[controller]:
            return
        name = facts.get("storagecontrollername0", "")
        disks = [
            value
            for key, value in facts.items()
            if key.startswith(f"{name}-") and value.startswith("/")
        ]
        if name:
            doing = "taking a controller away"
            self.vbox.call("storagectl", uuid, "--name", name, "--remove", doing=doing)
        add_controller(self.vbox, uuid, controller)
        for port, disk in enumerate(disks):
            attach(self.vbox, uuid, Path(disk), port)

    def register(self, step: Step) -> None:
        """Gives it name and notes; with the digest the image is there, and not unfinished."""
        uuid = self._uuid(self._wanted.working_name)
        words = ("--name", step.detail, "--description", step.facts["description"])
        self.vbox.when_free("modifyvm", uuid, *words, doing=f"naming {step.detail}")
        notes = {
            "tags": tags_text(step.facts["tags"]),
            "name": self._wanted.name,
            "created": datetime.now(UTC).isoformat(),
            "digest": self._wanted.digest,
            "import": "",
        }
        self.vbox.note(uuid, notes)

    def rename(self, step: Step) -> None:
        """Gives the VM another name; its folder gets it too."""
        words = (step.facts["uuid"], "--name", step.facts["vm_name"])
        self.vbox.when_free("modifyvm", *words, doing=f"renaming {step.detail}")

    def set_description(self, step: Step) -> None:
        """Describes it."""
        words = (step.facts["uuid"], "--description", step.facts["description"])
        self.vbox.when_free("modifyvm", *words, doing=f"describing {step.detail}")

    def set_tags(self, step: Step) -> None:
        """Notes the tags."""
        self.vbox.note(step.facts["uuid"], {"tags": tags_text(step.facts["tags"])})

    def set_hardware(self, step: Step) -> None:
        """Sets what can be changed."""
        set_hardware(self.vbox, step.facts["uuid"], step.facts)


def add_controller(vbox: VBox, machine: str, controller: str) -> None:
    """Adds the one controller."""
    bus, kind = _BUSES[controller]
    words = ("--name", _CONTROLLER, "--add", bus, "--controller", kind, "--bootable", "on")
    vbox.call("storagectl", machine, *words, doing=f"giving {machine} a controller")


def attach(vbox: VBox, machine: str, disk: Path, port: int = 0) -> None:
    """Attaches a disk to it."""
    words = (
        "--storagectl", _CONTROLLER, "--port", str(port), "--device", "0", "--type", "hdd",
        "--medium", str(disk),
    )  # fmt: skip
    vbox.call("storageattach", machine, *words, doing=f"attaching {disk}")


def set_hardware(
    vbox: VBox, uuid: str, hardware: dict[str, str | int], more: tuple[str, ...] = ()
) -> None:
    """Sets CPUs, memory and network adapter, and reads back what VirtualBox has made of it all."""
    words = (
        "--cpus", str(hardware["cpus"]), "--memory", str(hardware["memory"]),
        "--nic-type1", ADAPTERS[str(hardware["network_adapter"])], *more,
    )  # fmt: skip
    vbox.when_free("modifyvm", uuid, *words, doing="setting the hardware")
    facts = vbox.facts(uuid)
    for key, value in hardware_of(facts).items():
        if value != hardware[key]:
            raise PublishError(
                f"VirtualBox has given the VM {facts.get('name')} the {key} {value}, not "
                f"{hardware[key]}; choose another `{key}`, or use another VirtualBox."
            )


def import_folder(vbox: VBox, given: str | None) -> Path:
    """Where images go."""
    return Path(given).absolute() if given else vbox.machine_folder()
