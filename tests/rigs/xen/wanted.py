"""What a guest is to be, and xl's configuration of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

# The card of every guest: the one that runs has the address to which ports are forwarded.
MAC = "00:16:3e:4b:49:4c"

# Emulated clocks on an emulated machine would take longer than a guest's patience.
ALWAYS: dict[str, object] = {"tsc_mode": "native", "on_crash": "destroy"}
# dom0 has the first of the host's CPUs for itself, and each of a guest's its own: where two share
# one, Xen on an emulator lets one of them wait for as long as a minute.
FIRST_CPU = 1
# Beside Xen's own disks and card an HVM guest has IDE, an e1000 and a serial port.
OF_HVM: dict[str, object] = {"boot": "c", "vga": "stdvga", "vnc": 0, "sdl": 0, "nographic": 1}
OF_HVM["xen_platform_pci"] = 1


@dataclass
class Wanted:
    """A guest; `kind` is xl's type, pvh or hvm; `more` are further settings of xl's."""

    kind: str = "pvh"
    kernel: Path | None = None
    ramdisk: Path | None = None
    cmdline: str = ""
    disks: tuple[str, ...] = ()
    memory: int = 256
    cpus: int = 1
    on_reboot: str = "destroy"
    more: dict[str, object] = field(default_factory=dict)

    def files(self) -> dict[str, Path]:
        """Those of the host's that dom0 must see."""
        named = {"kernel": self.kernel, "ramdisk": self.ramdisk}
        return {key: path for key, path in named.items() if path}

    def configuration(self, name: str) -> str:
        """As xl.cfg(5) wants it; files are beside it, by the guest's name and theirs."""
        hvm = self.kind == "hvm"
        card = f"bridge=xenbr0,script=/etc/xen/scripts/quick-vif,mac={MAC}"
        settings: dict[str, object] = ALWAYS | {
            "name": name,
            "type": self.kind,
            "memory": self.memory,
            "vcpus": self.cpus,
            "cpus": [str(FIRST_CPU + cpu) for cpu in range(self.cpus)],
            "on_reboot": self.on_reboot,
            "disk": [_disk(place, disk, hvm) for place, disk in enumerate(self.disks)],
            "vif": [f"{card},model=e1000,type=ioemu" if hvm else card],
        }
        if hvm:
            settings |= OF_HVM | {"serial": f"file:/var/log/xen/serial-{name}.log"}
        if self.cmdline:
            settings["cmdline"] = self.cmdline
        settings |= {key: f"/work/{name}.{key}" for key in self.files()} | self.more
        return "".join(f"{key} = {_word(value)}\n" for key, value in settings.items())


def _disk(place: int, disk: str, hvm: bool) -> str:
    letter = chr(ord("a") + place)
    where = f"vdev={'hd' if hvm else 'xvd'}{letter},target=/dev/guest/{disk}"
    return f"format=raw,access=rw,script=quick-block,{where}"


def _word(value: object) -> str:
    """A list, a string in whichever quotes it does not hold, or a number."""
    if isinstance(value, list):
        return "[" + ", ".join(_word(item) for item in value) + "]"
    if isinstance(value, str):
        quote = "'" if '"' in value else '"'
        if quote in value:
            raise ValueError(f"xl's configuration cannot hold both kinds of quotes: {value}")
        return f"{quote}{value}{quote}"
    return str(value)
