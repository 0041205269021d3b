"""A running Xen host: Xen and dom0 in QEMU's emulator, and guests that its xl makes.

Everything lies in one folder: `host.log` is what Xen and dom0 say, `qemu.log` what QEMU says, and
`work` is what dom0 sees as /work: the guests' kernels and configurations, and in `log` what their
consoles and Xen's tools say.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .wanted import Wanted

RIG = (
    Path(
        os.environ.get("KILN_CACHE")
        or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kiln"
    )
    / "rigs/xen"
)
# The emulator's nested virtualisation is SVM. With SMAP, RDTSCP or MONITOR dom0 does not start.
# With XSAVE a guest has AVX until Xen runs somebody else on its CPU: QEMU before 8.2 does not
# intercept XSETBV ("target/i386: check intercept for XSETBV", 2023), so Xen does not learn of the
# guest's XCR0, brings back that of its start, and the next AVX instruction is an invalid opcode.
CPU = "EPYC,-smap,-rdtscp,-monitor,-xsave"
XEN = "console=com1 com1=115200,8n1 dom0_mem=384M,max:384M dom0_max_vcpus=1 dom0_vcpus_pin"
XEN += " cpuidle=0 loglvl=warning guest_loglvl=all"
LINUX = "console=hvc0 earlyprintk=xen mitigations=off panic=-1 rdinit=/init"
# Seconds until dom0 takes orders, and for one order; more than ever seen on a loaded machine.
START, COMMAND = 600.0, 300.0


class XenError(Exception):
    """The host or a guest does not do what is asked of it."""


@dataclass
class Guest:
    """A guest that xl has made."""

    host: Host
    name: str

    def said(self) -> str:
        """What came on its Xen console, and on its serial port where it has one."""
        logs = self.host.work / "log"
        found = [logs / f"{kind}-{self.name}.log" for kind in ("guest", "serial")]
        return "".join(path.read_text(errors="replace") for path in found if path.exists())

    def wait_said(self, text: str, limit: float = 60, times: int = 1) -> str:
        """Until its console has the text, so many times."""

        def seen() -> bool:
            gone = self.is_gone()
            if self.said().count(text) >= times:
                return True
            if gone:
                raise XenError(f"{self.name} has ended and not said {text!r}:\n{self.said()}")
            return False

        self.host.wait(seen, limit, lambda: f"{self.name} does not say {text!r}:\n{self.said()}")
        return self.said()

    def _told(self) -> str:
        path = self.host.work / f"log/xl-{self.name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def ends(self) -> list[int]:
        """Xen's reason for each end of it: 0 power-off, 1 reboot, 2 suspend, 3 crash."""
        found = re.findall(r"has shut down, reason code (\d+)", self._told())
        return [int(reason) for reason in found]

    def is_gone(self) -> bool:
        """Whether it has ended and does not start again."""
        return "Exiting now" in self._told()

    def wait_end(self, limit: float = 60) -> list[int]:
        """Until it is gone; the reasons of all its ends."""
        self.host.wait(self.is_gone, limit, lambda: f"{self.name} does not end:\n{self.said()}")
        return self.ends()

    def shut_down(self) -> None:
        """Xen's own request, as `xl shutdown` puts it in xenstore."""
        self.host.run(f"xl shutdown {self.name}")

    def reboot(self) -> None:
        """The same with another word."""
        self.host.run(f"xl reboot {self.name}")

    def destroy(self) -> None:
        """Ends it without asking it."""
        self.host.run(f"xl destroy {self.name}")


class Host:
    """The host; a context manager. Disks have a name, by which guests get them, and a raw image."""

    def __init__(
        self,
        folder: Path,
        disks: Mapping[str, Path],
        forwards: Mapping[int, int],
        *,
        memory: int = 1024,
        cpus: int = 3,
    ) -> None:
        if not (RIG / "version").exists():
            raise XenError(f"there is no Xen at {RIG}; build it first: make rigs")
        self.folder, self.work = folder, folder / "work"
        (self.work / "log").mkdir(parents=True)
        self._guests: list[Guest] = []
        self._orders = 0
        self._control, theirs = socket.socketpair()
        command = _qemu(folder, disks, forwards, memory, cpus)
        command += ["-chardev", f"socket,id=control,fd={theirs.fileno()}"]
        command += ["-device", "virtserialport,chardev=control,name=control"]
        # In the rig's folder, since blanks in the names of modules begin their command lines.
        with theirs, (folder / "qemu.log").open("wb") as log:
            self._qemu = subprocess.Popen(
                command,
                cwd=RIG,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
            )

    def __enter__(self) -> Host:
        try:
            self.version = self.run("xl info | sed -n 's/^xen_version *: //p'", START).strip()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends QEMU, and all in it."""
        self._qemu.kill()
        self._qemu.wait()
        self._control.close()

    def _said(self) -> str:
        """The end of what QEMU, Xen and dom0 said."""
        paths = [self.folder / "qemu.log", self.folder / "host.log"]
        return "".join(path.read_text(errors="replace")[-3000:] for path in paths if path.exists())

    def check(self) -> None:
        """That the host is still there."""
        if self._qemu.poll() is not None:
            raise XenError(f"the Xen host has ended: {self._said()}")

    def wait(self, done: Callable[[], bool], limit: float, why: Callable[[], str]) -> None:
        """Until it is done, or too late."""
        until = time.monotonic() + limit
        while not done():
            self.check()
            if time.monotonic() > until:
                raise XenError(f"after {limit:g} s, {why()}")
            time.sleep(0.1)

    def _hear(self) -> bytes:
        """What dom0 says next."""
        piece = b""
        with contextlib.suppress(ConnectionError):
            piece = self._control.recv(1 << 16)
        if not piece:
            self._qemu.wait(10)
            self.check()
        return piece

    def run(self, command: str, limit: float = COMMAND) -> str:
        """What a shell command in dom0 prints; one that fails is an error."""
        self._orders += 1
        end_mark = f"\x01{self._orders} "
        order = f"{{ {command}\n}} </dev/null 2>&1; printf '\\n{end_mark}%d\\n' $?\n"
        self._control.sendall(order.encode())
        self._control.settimeout(limit)
        answer = b""
        while not (end := re.search(f"\n{end_mark}(\\d+)\n".encode(), answer)):
            try:
                answer += self._hear()
            except TimeoutError:
                raise XenError(
                    f"dom0 does not answer `{command}` within {limit:g} s; so far it said"
                    f" {answer.decode(errors='replace')!r}, and Xen\n{self._said()}"
                ) from None
        # Without what an order said that was given up.
        said = answer[: end.start()].rpartition(b"\x01")[2].decode(errors="replace")
        if end[1] != b"0":
            raise XenError(f"`{command}` in dom0 failed with {end[1].decode()}: {said}")
        return said

    def create(self, name: str, wanted: Wanted) -> Guest:
        """A guest, started. Names are used once."""
        for key, path in wanted.files().items():
            shutil.copyfile(path, self.work / f"{name}.{key}")
        (self.work / f"{name}.cfg").write_text(wanted.configuration(name))
        guest = Guest(self, name)
        self._guests.append(guest)
        self._create(guest)
        return guest

    def _create(self, guest: Guest, again: int = 2) -> None:
        try:
            self.run(f"xl create /work/{guest.name}.cfg")
        except XenError as error:
            # Forty seconds of its clock are what xl gives each script, though the host starves.
            if "because of timeout" in str(error) and again:
                self._create(guest, again - 1)
                return
            logs = sorted((self.work / "log").glob(f"*{guest.name}*"))
            told = "".join(f"\n{log.name}: {log.read_text(errors='replace')}" for log in logs)
            raise XenError(f"{error}{told}") from None

    def destroy_all(self) -> None:
        """Ends the guests that still run."""
        for guest in self._guests:
            with contextlib.suppress(XenError):
                guest.destroy()
        self._guests.clear()


def _qemu(
    folder: Path, disks: Mapping[str, Path], forwards: Mapping[int, int], memory: int, cpus: int
) -> list[str]:
    network = "user,id=net" + "".join(
        f",hostfwd=tcp:127.0.0.1:{here}-:{there}" for here, there in forwards.items()
    )
    words = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-machine", "pc", "-cpu", CPU]
    words += ["-smp", str(cpus), "-m", f"{memory}M", "-nodefaults", "-no-user-config"]
    words += ["-display", "none", "-no-reboot", "-serial", f"file:{folder / 'host.log'}"]
    words += ["-kernel", "xen", "-append", XEN, "-initrd", f"linux {LINUX},dom0.cpio"]
    words += ["-netdev", network, "-device", "virtio-net-pci,netdev=net,romfile="]
    words += ["-device", "virtio-serial-pci"]
    words += ["-fsdev", f"local,id=work,path={folder / 'work'},security_model=none"]
    words += ["-device", "virtio-9p-pci,fsdev=work,mount_tag=work"]
    for name, path in {"dom0": RIG / "dom0.erofs", **disks}.items():
        readonly = ",readonly=on" if name == "dom0" else ""
        words += ["-drive", f"file={path},format=raw,if=none,id={name}{readonly}"]
        words += ["-device", f"virtio-blk-pci,drive={name},serial={name}"]
    return words
