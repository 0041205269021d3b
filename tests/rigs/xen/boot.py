"""Boots a kernel in a guest of a real Xen host and shows what its consoles say, for trying things.

python -m tests.rigs.xen.boot --kernel kiln.elf --disk disk.img --cmdline '…' --forward 6379:6379
python -m tests.rigs.xen.boot --type hvm --disk disk.img

Ends with the guest, or after --seconds; what Xen and its tools said stays in --folder.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from .host import Guest, Host, XenError
from .wanted import Wanted


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kernel", type=Path)
    parser.add_argument("--ramdisk", type=Path)
    parser.add_argument("--type", default="pvh", choices=["pvh", "hvm"])
    parser.add_argument("--disk", type=Path, action="append", default=[])
    parser.add_argument("--cmdline", default="")
    parser.add_argument("--vcpus", type=int, default=1)
    parser.add_argument("--memory", type=int, default=256, help="MiB")
    parser.add_argument("--on-reboot", default="destroy", choices=["destroy", "restart"])
    parser.add_argument("--xl", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--forward", action="append", default=[], metavar="HERE:GUEST")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--folder", type=Path)
    return parser.parse_args()


def _show(host: Host, guest: Guest, seconds: float) -> None:
    until, shown = time.monotonic() + seconds, 0
    while True:
        gone, said = guest.is_gone(), guest.said()
        print(said[shown:], end="", flush=True)
        shown = len(said)
        if gone:
            print(f"--- gone; Xen's reasons: {guest.ends()} (0 power-off, 1 reboot, 3 crash)")
            return
        if time.monotonic() > until:
            print(f"--- still there after {seconds:g} s")
            print(host.run("xl list; xl vcpu-list; xenstore-ls -f /local/domain | tail -n 60"))
            return
        host.check()
        time.sleep(0.2)


def main() -> int:
    """0 when the guest was started and has ended by itself or was still there."""
    options = _options()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="kiln-xen-"))
    disks = {f"disk{index}": path.resolve() for index, path in enumerate(options.disk)}
    pairs = [word.split(":") for word in options.forward]
    forwards = {int(here): int(there) for here, there in pairs}
    more: dict[str, object] = dict(word.split("=", 1) for word in options.xl)
    wanted = Wanted(
        options.type, options.kernel, options.ramdisk, options.cmdline, tuple(disks),
        options.memory, options.vcpus, options.on_reboot, more,
    )  # fmt: skip
    print(f"--- what Xen and dom0 say is in {folder}", flush=True)
    try:
        with Host(folder, disks, forwards) as host:
            print(f"--- Xen {host.version} is up", flush=True)
            _show(host, host.create("guest", wanted), options.seconds)
            print(host.run("xl dmesg | tail -n 20"))
    except XenError as error:
        print(f"xen: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
