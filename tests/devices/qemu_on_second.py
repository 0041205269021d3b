"""Stands in for QEMU: starts the machine as a second of the host's clock begins.

QEMU's battery clock takes the second of the host's clock, but begins it whenever QEMU starts, so it
is up to a second late. Here it counts the machine's own time, from the second that begins as the
machine does. KILN_TEST_QMP is where the control socket may be, KILN_TEST_WAIT the milliseconds that
the firmware waits before it starts the kernel.
"""

import json
import os
import socket
import sys
import time

QEMU = "qemu-system-x86_64"
PATIENCE = 30


def connect(path: str) -> socket.socket:
    """The control socket, as soon as QEMU listens."""
    end = time.monotonic() + PATIENCE
    while True:
        control = socket.socket(socket.AF_UNIX)
        try:
            control.connect(path)
            return control
        except OSError:
            control.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


def start_at(path: str, second: int) -> None:
    """Lets the machine go when the host's clock shows that second."""
    with connect(path) as control, control.makefile("rw") as talk:
        talk.readline()
        for command in ("qmp_capabilities", "cont"):
            if command == "cont":
                time.sleep(max(0, second - time.time()))
            talk.write(json.dumps({"execute": command}) + "\n")
            talk.flush()
            talk.readline()


words = sys.argv[1:]
if "-kernel" in words:
    begins = int(time.time()) + 3
    path = os.environ["KILN_TEST_QMP"]
    if os.fork() == 0:
        start_at(path, begins)
        os._exit(0)
    base = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(begins))
    if "KILN_TEST_WAIT" in os.environ:
        words += ["-boot", f"menu=on,splash-time={os.environ['KILN_TEST_WAIT']}"]
    # The kernel expects nothing of the battery clock of an emulator that it knows.
    words += ["-cpu", "max,tcg-cpuid=off"]
    words += ["-S", "-rtc", f"base={base},clock=vm", "-qmp", f"unix:{path},server=on,wait=off"]
os.execvp(QEMU, [QEMU, *words])
