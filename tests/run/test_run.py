"""kernel-src/run, whose interface others' scripts rely on: options, statuses, streams, wrong usage.

KILN_KERNEL names a kernel (with stage1.bin and stage2.bin beside it); without it the tool finds or
builds one, as it does for its users.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lib.ports import free_port

TOP = Path(__file__).resolve().parent.parent.parent
RUN = TOP / "kernel-src" / "run"
PROGRAM = Path(__file__).resolve().parent / "answer.c"


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> Path:
    """A root in a path with a blank and a comma, both of which QEMU and shells take apart."""
    folder = tmp_path_factory.mktemp("of, a run")
    (folder / "bin").mkdir()
    (folder / "srv").mkdir()
    flags = ["-O1", "-static", "-pthread", "-Wl,--eh-frame-hdr"]
    command = ["gcc", *flags, "-o", folder / "bin/answer", PROGRAM]
    subprocess.run(command, check=True)
    return folder


def words(root: Path, *options: object) -> list[str]:
    """The command without the program."""
    kernel = os.environ.get("KILN_KERNEL")
    chosen = ["--kernel", kernel] if kernel else []
    return [str(RUN), *chosen, "--root", str(root), "--timeout", "60", *map(str, options)]


def run(root: Path, program: tuple[str, ...], *options: object, **more):
    """One guest."""
    more = {"input": b"", "capture_output": True} | more
    done = subprocess.run(
        [*words(root, *options), "--", "/bin/answer", *program], check=False, **more
    )
    print(done.stderr)
    return done


@pytest.mark.parametrize(
    ("program", "status", "told"),
    [
        (("exit", "0"), 0, {"exit": 0, "signal": None}),
        (("exit", "42"), 42, {"exit": 42, "signal": None}),
        (("exit", "255"), 255, {"exit": 255, "signal": None}),
        (("raise", str(int(signal.SIGTERM))), 143, {"exit": None, "signal": 15}),
        (("raise", str(int(signal.SIGKILL))), 137, {"exit": None, "signal": 9}),
        (("raise", str(int(signal.SIGSEGV))), 139, {"exit": None, "signal": 11}),
    ],
)
def test_the_programs_end_is_the_tools(root, tmp_path, program, status, told):
    file = tmp_path / "a status.json"
    assert run(root, program, "--status-file", file).returncode == status
    found = json.loads(file.read_text())
    assert {name: found[name] for name in told} == told
    assert (found["panic"], found["timeout"], found["error"]) == (None, False, None)
    assert 0 < found["milliseconds"] < 60_000


def test_a_time_out(root, tmp_path):
    file = tmp_path / "status.json"
    done = run(root, ("sleep", "60"), "--timeout", "3", "--status-file", file)
    assert done.returncode == 124
    assert done.stderr.endswith(b"run: timed out after 3 s\n")
    found = json.loads(file.read_text())
    assert (found["timeout"], found["exit"], found["signal"], found["error"]) == (
        True, None, None, None,
    )  # fmt: skip


def test_what_the_program_gets(root):
    done = run(
        root, ("tell", "two words", "", 'q"\\', "\u00e9\t$"), "--env", "GREETING=good  day",
        "--env", "EMPTY=", "--cwd", "/srv", "--smp", "2", "--memory", "96M", "--net", "none",
    )  # fmt: skip
    told = done.stdout.decode().splitlines()
    assert told[:4] == ["[two words]", "[]", '[q"\\]', "[\u00e9\t$]"]
    assert told[4:8] == ["GREETING=good  day", "EMPTY=", "cwd /srv", "2 CPUs"]
    assert 64 < int(told[8].removesuffix(" MiB")) <= 96
    assert done.stderr == b""


def test_the_folders_that_can_be_written(root):
    done = run(root, ("write", "/tmp/x", "/var/x", "/var/lib/x", "/run/x", "/bin/x"))
    assert done.stdout.decode().split() == [
        "/tmp/x:0", "/var/x:0", "/var/lib/x:2", "/run/x:0", "/bin/x:30",
    ]  # fmt: skip


def test_megabytes_both_ways(root):
    data = random.Random(1).randbytes(5_000_000)
    done = run(root, ("copy",), input=data)
    assert done.stdout == data
    assert (done.returncode, done.stderr) == (0, b"")


def test_standard_error_is_separate(root):
    done = run(root, ("errors",))
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")


def test_the_kernels_lines_are_shown_when_asked_for(root):
    done = run(root, ("exit", "0"), "--verbose")
    assert b"run: " in done.stderr
    assert b"kiln: [" in done.stderr
    assert b"qemu-system-x86_64" in done.stderr


@pytest.mark.parametrize("calls", range(1, 30))
def test_the_whole_report_of_a_fault_arrives(root, calls):
    """However long it is: the log's thread may just be about to write the last piece but one."""
    report = run(root, ("fall", str(calls))).stderr.decode()
    assert re.fullmatch(r"(kiln: \[ +\d+\.\d{6}\] .*\n)+", report)
    frames = re.findall(r"error: #(\d+) .*", report)
    assert frames == [str(number) for number in range(len(frames))]
    assert report.count(" fall+") == calls + 1
    assert len(frames) > calls + 1


@pytest.mark.parametrize("cpus", [1, 2])
@pytest.mark.parametrize("busy", [0, 1])
def test_a_quit_reaches_the_program(root, cpus, busy):
    """Once it is handled; the second time it ends the program, with a report."""
    command = [*words(root, "--smp", cpus), "--", "/bin/answer", "quit", str(busy)]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as tool:
        assert tool.stdout.readline() == b"ready\n"
        tool.send_signal(signal.SIGQUIT)
        assert tool.stdout.readline() == b"quit\n"
        tool.send_signal(signal.SIGQUIT)
        rest, report = tool.communicate(timeout=60)
    assert rest == b""
    assert b"error: SIGQUIT (3) ends the program" in report
    assert tool.returncode == 128 + signal.SIGQUIT


def test_from_another_folder_with_a_relative_root(root):
    more = {"cwd": root.parent}
    assert run(Path(root.name), ("exit", "5"), **more).returncode == 5


def test_an_image_for_a_root(root, tmp_path):
    image = tmp_path / "an, image.erofs"
    subprocess.run(["mkfs.erofs", "--quiet", "-zlz4", image, root], check=True)
    assert run(image, ("exit", "6")).returncode == 6
    assert run(image, ("exit", "6"), "--disk-boot").returncode == 6


def ask(port: int, kind: int = socket.SOCK_STREAM) -> bytes:
    """The guest's answer; it is asked again until it has started."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            with socket.socket(socket.AF_INET, kind) as client:
                client.settimeout(1)
                client.connect(("127.0.0.1", port))
                client.send(b"who?")
                if answer := client.recv(100):
                    return answer
        except OSError:
            time.sleep(0.05)
    raise AssertionError("no answer")


@pytest.mark.parametrize("address", [(), ("--ip", "10.0.2.77/24", "--gateway", "10.0.2.2")])
def test_several_forwards(root, address):
    ports = [free_port() for _ in range(3)]
    forwards = ["--forward", f"{ports[0]}:7", "--forward", f"tcp:{ports[1]}:8"]
    forwards += ["--forward", f"udp:{ports[2]}:9"]
    command = [*words(root, *address, *forwards), "--", "/bin/answer", "serve", "7", "8", "9"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as guest:
        try:
            assert ask(ports[0]) == b"7"
            assert ask(ports[1]) == b"8"
            assert ask(ports[2], socket.SOCK_DGRAM) == b"9"
        finally:
            guest.send_signal(signal.SIGINT)
    assert guest.returncode == 128 + signal.SIGINT


IN_NAMESPACE = """
import os, socket, subprocess, sys, time
host, guest, prefix, *command = sys.argv[1:]
for words in (
    "link set lo up", "tuntap add dev tap0 mode tap", f"addr add {host}/{prefix} dev tap0 nodad",
    "link set tap0 up",
):
    subprocess.run(["ip", *words.removesuffix("" if ":" in host else " nodad").split()], check=True)
process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
until = time.monotonic() + 50
answer = b""
while not answer and process.poll() is None and time.monotonic() < until:
    try:
        with socket.create_connection((guest, 7), 1) as client:
            client.sendall(b"who?")
            answer = client.recv(10)
    except OSError:
        time.sleep(0.05)
process.terminate()
process.wait()
print(answer.decode())
"""


@pytest.mark.parametrize(
    ("host", "guest", "prefix", "server"),
    [("192.168.77.1", "192.168.77.2", "24", "serve"), ("fd77::1", "fd77::2", "64", "serve6")],
    ids=["IPv4", "IPv6"],
)
def test_a_tap_interface(root, host, guest, prefix, server):
    options = ("--net", "tap=tap0", "--ip", f"{guest}/{prefix}", "--gateway", host)
    command = [*words(root, *options), "--", "/bin/answer", server, "7", "9"]
    apart = ["unshare", "--net", *([] if os.getuid() == 0 else ["--map-root-user"])]
    done = subprocess.run(
        [*apart, "python3", "-c", IN_NAMESPACE, host, guest, prefix, *command],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    print(done.stderr)
    assert done.stdout == "7\n"


ON_A_BRIDGE = """
import json, socket, subprocess, sys, time
for words in (
    "link set lo up", "link add both type bridge", "link set both up",
    "addr add 192.168.78.254/24 dev both", "tuntap add dev one mode tap",
    "tuntap add dev two mode tap",
    "link set one master both up", "link set two master both up",
):
    subprocess.run(["ip", *words.split()], check=True)
run, guests = json.loads(sys.argv[1]), []
for number, name in ((1, "one"), (2, "two")):
    place = ["--net", f"tap={name}", "--ip", f"192.168.78.{number}/24"]
    command = [*run, *place, "--", "/bin/answer", "serve", "7", "8", "9"]
    guests.append(subprocess.Popen(command, stdin=subprocess.DEVNULL))
until = time.monotonic() + 50
for number in (1, 2):
    while time.monotonic() < until:
        try:
            with socket.create_connection((f"192.168.78.{number}", 7), 1) as client:
                break
        except OSError:
            time.sleep(0.05)
told = subprocess.run(["ip", "-j", "neigh"], check=True, capture_output=True, text=True).stdout
for guest in guests:
    guest.terminate()
    guest.wait()
print(" ".join(row.get("lladdr", "none") for row in json.loads(told)))
"""


def test_guests_on_one_bridge_have_cards_of_their_own(root):
    apart = ["unshare", "--net", *([] if os.getuid() == 0 else ["--map-root-user"])]
    run = json.dumps([str(word) for word in words(root)])
    done = subprocess.run(
        [*apart, "python3", "-c", ON_A_BRIDGE, run], capture_output=True, text=True, check=False
    )
    print(done.stderr)
    cards = done.stdout.split()
    assert len(cards) == 2, cards
    assert len(set(cards)) == 2, cards


def children(process: int) -> list[int]:
    """The processes that it has started."""
    text = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
    return [int(word) for word in text.split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_qemu_stays_behind(root, tmp_path, number):
    file = tmp_path / "status.json"
    command = [*words(root, "--status-file", file), "--", "/bin/answer", "sleep", "60"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as guest:
        assert guest.stdout is not None
        assert guest.stdout.readline() == b"sleeping\n"
        machines = children(guest.pid)
        assert machines
        guest.send_signal(number)
    assert guest.returncode == (-number if number == signal.SIGKILL else 128 + number)
    until = time.monotonic() + 10
    while any(alive(machine) for machine in machines) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(alive(machine) for machine in machines)
    if number != signal.SIGKILL:
        assert json.loads(file.read_text())["error"] == f"stopped by {number.name}"


def alive(process: int) -> bool:
    """Whether it runs (a zombie does not)."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    except OSError:
        return False
    return "State:\tZ" not in status


WRONG_USAGE = [
    (["--smp", "0"], "'0' is not a positive number"),
    (["--memory", "much"], "'much' is not a memory size such as 512M or 1G"),
    (["--memory", "3M"], "'3M' does not hold the kernel, which needs 4M at the least"),
    (["--net", "bridge"], "'bridge' is not one of none, user, tap=IFNAME"),
    (["--ip", "10.0.2.15.1/24"], "10.0.2.15.1"),
    (["--gateway", "10.0.2.2"], "--gateway needs --ip"),
    (["--ip", "10.0.2.9/24", "--gateway", "10.0.2"], "'10.0.2' is not an IP address"),
    (["--ip", "10.0.2.9/24", "--net", "none"], "--ip needs a network"),
    (["--forward", "80"], "'80' is not HOSTPORT:GUESTPORT"),
    (["--forward", "80:99999"], "'80:99999' is not HOSTPORT:GUESTPORT"),
    (["--forward", "8080:80", "--net", "none"], "--forward works with --net user only"),
    (["--env", "NAME"], "'NAME' is not K=V"),
    (["--cwd", "srv"], "--cwd srv is not an absolute path"),
    (["--timeout", "-1"], "--timeout cannot be negative"),
    (["--timeout", "nan"], "'nan' is not a number of seconds"),
    (["--icount", "--smp", "2"], "--icount counts the instructions of one emulated CPU"),
    (["--accel", "xen"], "invalid choice: 'xen'"),
    (["--no-such"], "unrecognized arguments: --no-such"),
    (["/bin/answer"], "the program stands behind --: -- /bin/answer"),
]


@pytest.mark.parametrize(
    ("options", "sentence"), WRONG_USAGE, ids=[" ".join(o) for o, _ in WRONG_USAGE]
)
def test_wrong_usage_is_said(root, options, sentence):
    done = subprocess.run(words(root, *options), capture_output=True, text=True, check=False)
    assert done.returncode == 125
    assert done.stderr.startswith("usage: run ")
    assert sentence in done.stderr.splitlines()[-1]


def refused(root: object, *options: object, program: str = "/bin/answer", env=None) -> str:
    """The last line of a run that ends with 125."""
    command = [*words(Path(str(root)), *options), "--", program]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=env
    )
    print(done.stderr)
    assert done.returncode == 125
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def kernel_that_resets() -> bytes:
    """The guest with which the tool tries accelerators, with an undefined instruction in it."""
    sys.path.insert(0, str(RUN.parent / "tools"))
    from kilnrun.accel import probe_guest  # noqa: PLC0415

    image = bytearray(probe_guest())
    image[0x200:0x202] = b"\x0f\x0b"
    return bytes(image)


def test_what_cannot_be_run_is_said(root, tmp_path):
    missing = tmp_path / "no such"
    assert refused(missing) == f"run: {missing} cannot be read: No such file or directory"
    assert refused(root, "--kernel", missing) == f"run: there is no kernel at {missing}"
    other = tmp_path / "text.elf"
    other.write_text("no kernel")
    assert refused(root, "--kernel", other) == f"run: {other} is no kernel: it is not an ELF file"
    broken = tmp_path / "broken.elf"
    broken.write_bytes(kernel_that_resets())
    assert refused(root, "--kernel", broken) == (
        "run: QEMU ended with status 0 and no word from the guest: the machine was reset, as by a "
        "triple fault"
    )
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    assert refused(empty) == f"run: {empty} is empty"
    status = tmp_path / "no/status.json"
    assert "the status file" in refused(root, "--status-file", status, "--timeout", "5")
    assert refused(root, program="/bin/nothing") == (
        f"run: {root}: cannot start /bin/nothing: there is no such file"
    )
    assert refused(root, program="/srv") == f"run: {root}: cannot start /srv: /srv is not a file"
    assert refused(root, "--cwd", "/nowhere") == (
        f"run: {root}: the working directory /nowhere cannot be entered: there is no such file"
    )


def test_a_taken_port_is_said(root):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"127.0.0.1:{port}" in refused(root, "--forward", f"{port}:80")


def test_a_store_that_cannot_be_written_does_not_matter(root, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    more = {"env": os.environ | {"KILN_CACHE": str(file / "store")}}
    assert run(root, ("exit", "4"), **more).returncode == 4


def test_a_machine_that_has_ended_is_not_spoken_to(monkeypatch):
    """On a busy host a guest that is quick is gone before the monitor has been greeted."""
    monkeypatch.syspath_prepend(str(TOP / "kernel-src/tools"))
    from kilnrun import main, qemu, streams  # noqa: PLC0415

    port = streams.Port(qemu.MONITOR)
    port.far.close()
    guest = object.__new__(main.Guest)
    guest._ports = {qemu.MONITOR: port}
    before = signal.getsignal(signal.SIGQUIT)
    try:
        guest._hand_on_quit()
        signal.raise_signal(signal.SIGQUIT)
    finally:
        signal.signal(signal.SIGQUIT, before)
        port.near.close()
