from __future__ import annotations

import contextlib
import errno
import fcntl
import importlib
import os
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import _accel, _instance, _qemu
from ansible_collections.kiln.unikernel.plugins.module_utils._instance import Instance
from ansible_collections.kiln.unikernel.plugins.module_utils._knock import Knock
from ansible_collections.kiln.unikernel.plugins.module_utils._qemu import Forward, Machine, Places
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError, Store
from ansible_collections.kiln.unikernel.plugins.modules import instance

MIB = 1 << 20
TOP = Path(__file__).resolve().parents[2]


def silent_guest() -> bytes:
    """The probe with a jump to itself in place of its program."""
    probe = _accel.probe_guest()
    return (probe[:0x200] + b"\xeb\xfe").ljust(len(probe), b"\0")


@pytest.fixture
def machine(tmp_path):
    """A machine whose kernel halts at once and for good: QEMU stays until it is ended."""
    image = tmp_path / "an image, with a comma"
    image.write_bytes(bytes(MIB))
    kernel = tmp_path / "kernel.elf"
    kernel.write_bytes(silent_guest())
    return Machine(image, kernel, 64 * MIB, forwards=[Forward(guest=6379)])


@pytest.fixture
def guest(store_path):
    made = Instance("unit", Store(store_path))
    yield made
    if made.pid is not None:
        made.stop(0)


def run(guest: Instance, machine: Machine, state: str = "started") -> list[str]:
    definition = _instance.define(machine, "tcg", check_mode=False)
    plan = guest.plan(state, definition)
    for step in plan.steps:
        if step == "stop":
            guest.stop(0)
        elif step == "define":
            guest.define(definition)
        else:
            guest.start(machine, "tcg")
    return plan.steps


def gone(pid: int) -> bool:
    """Whether a process has ended (or waits for a parent that does not look)."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() == b""
    except OSError:
        return True


def test_a_life(guest, machine):
    assert guest.state == "absent"
    assert run(guest, machine, "present") == ["define"]
    assert guest.state == "stopped"
    assert run(guest, machine) == ["start"]
    pid = guest.pid
    assert pid is not None
    assert run(guest, machine) == []
    assert guest.pid == pid
    assert guest.status() == "running"
    assert run(guest, machine, "stopped") == ["stop"]
    assert gone(pid)
    assert guest.plan_absent().steps == ["remove"]
    guest.remove()
    assert guest.state == "absent"
    assert guest.plan_absent().steps == []


def test_a_guest_is_started_anew_when_its_kernel_changes(guest, machine):
    run(guest, machine)
    first = guest.pid
    machine.kernel.write_bytes(machine.kernel.read_bytes() + b"\0")
    assert run(guest, machine) == ["stop", "define", "start"]
    assert guest.pid not in (None, first)


def test_a_guest_is_found_without_what_was_written_about_it(guest, machine):
    run(guest, machine)
    (guest.folder / "instance.json").unlink()
    assert guest.state == "started"
    assert guest.plan_absent().steps == ["stop", "remove"]


def test_another_process_with_the_same_number_is_not_the_guest(guest):
    guest.folder.mkdir(parents=True)
    guest.places.pid.write_text(str(os.getpid()))
    assert guest.pid is None


def test_a_chosen_host_port_is_forwarded(guest, machine):
    run(guest, machine)
    forward = guest.describe()["forwards"][0]
    assert forward["host"] > 0
    socket.create_connection((forward["address"], forward["host"]), timeout=5).close()


def test_a_port_in_use_is_named(guest, machine):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        taken = Machine(machine.image, None, MIB, forwards=[Forward(1, port)])
        with pytest.raises(KilnError, match=f"Port {port} of 127.0.0.1 cannot be forwarded"):
            guest.start(taken, "tcg")


def test_what_qemu_says_against_a_start_is_passed_on(guest, machine):
    machine.kernel.write_text("not a kernel")
    guest.folder.mkdir(parents=True)
    with pytest.raises(KilnError, match=r"QEMU did not start the guest unit: .+"):
        guest.start(machine, "tcg")
    assert guest.pid is None


def test_a_guest_that_does_not_answer_is_told_of_in_time(guest, machine):
    run(guest, machine)
    with pytest.raises(KilnError, match="runs but did not answer at port 6379 within 1 s"):
        guest.wait_for(6379, (b"PING\r\n", b"+PONG"), time.monotonic(), 1)


def test_a_guest_that_ends_is_told_of_at_once(guest, machine):
    run(guest, machine)
    timer = threading.Timer(0.3, guest.stop, (0,))
    timer.start()
    with pytest.raises(KilnError, match="ended before it answered"):
        guest.wait_for(6379, (b"PING\r\n", b"+PONG"), time.monotonic(), 30)
    timer.join()


def test_a_kernel_that_is_none_is_refused_by_name(machine):
    machine.kernel.write_text("not a kernel")
    with pytest.raises(KilnError, match=f"{machine.kernel} is no kernel: it is not an ELF file"):
        _instance.define(machine, "tcg", check_mode=False)


def params_of(machine, **more):
    options = {"image": machine.image, "kernel": machine.kernel, "memory": "64M", "cpus": 1}
    rest = {"forwards": [], "network": "user", "cmdline": "", "argv": [], "wait_for": None}
    return options | rest | more


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"cpus": 0}, "at least one of `cpus`, not 0"),
        ({"wait_for": {"port": 80}}, "port 80, to wait for, is not in `forwards`"),
        ({"kernel": None, "argv": ["x"]}, "for a guest with `kernel`"),
    ],
)
def test_what_cannot_be_is_refused_in_check_mode_too(machine, change, says):
    assert instance.machine_of(params_of(machine)).cpus == 1
    with pytest.raises(KilnError, match=says):
        instance.machine_of(params_of(machine, **change))


def test_a_plan_is_made_when_no_other_run_can_change_what_it_found(guest, monkeypatch):
    """Else two plays at a time would both find no guest, and both start one."""
    held = []

    def plan():
        with (guest.store.path / f"locks/instance-{guest.name}").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.append(True)
        return _instance.InstancePlan([], {}, {})

    monkeypatch.setattr(guest, "plan_absent", plan)
    module = SimpleNamespace(check_mode=False, params={"stop_timeout": 0})
    assert not instance.absent(module, guest)["changed"]
    assert held == [True]


@pytest.mark.parametrize("missing", ["image", "kernel"])
def test_a_missing_file_is_named(machine, missing):
    getattr(machine, missing).unlink()
    with pytest.raises(KilnError, match=f"There is no {missing} at"):
        _instance.define(machine, "tcg", check_mode=True)


def test_a_knock_outlives_connections_that_hang():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            early = [server.accept()[0] for _each in range(3)]
            late = server.accept()[0]
            late.sendall(b"+PO")
            late.sendall(b"NG\r\n")
            for each in (*early, late):
                each.close()

        thread = threading.Thread(target=serve)
        thread.start()
        knock = Knock(server.getsockname(), b"PING\r\n", b"+PONG")
        until = time.monotonic() + 10
        while not knock.answered():
            assert time.monotonic() < until
        knock.close()
        thread.join()


def test_a_knock_waits_for_a_program_that_is_slow_with_its_first_answer():
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer(client: socket.socket) -> None:
            with client:
                if not ended.wait(0.6):
                    with contextlib.suppress(OSError):
                        client.sendall(b"+PONG\r\n")

        def serve() -> None:
            while not ended.is_set():
                threading.Thread(target=answer, args=(server.accept()[0],)).start()

        thread = threading.Thread(target=serve)
        thread.start()
        knock = Knock(server.getsockname(), b"PING\r\n", b"+PONG")
        until = time.monotonic() + 10
        try:
            while not knock.answered():
                assert time.monotonic() < until
        finally:
            ended.set()
            socket.create_connection(server.getsockname()).close()
            knock.close()
            thread.join()


PLACES = Places(Path("/a,b/console"), Path("/s/pid"), Path("/s/qmp"), Path("/s/control"))


def test_the_command_line_of_qemu(machine):
    words = _qemu.command(machine, PLACES, "tcg")
    assert words[words.index("-accel") + 1] == "tcg,thread=multi"
    assert words[words.index("-m") + 1] == "64M"
    assert "path=/a,,b/console,append=on" in " ".join(words)
    assert any(word.startswith("file=") and ",,with a comma" not in word for word in words)
    assert words[words.index("-append") + 1] == "root=auto"


def test_the_kernel_command_line_quotes_what_it_must(machine):
    line = _qemu.kernel_line(
        Machine(machine.image, machine.kernel, MIB, argv=["/bin/x", "", 'a "b"', "c\\d", "e\nf"])
    )
    assert line == 'root=auto -- /bin/x "" "a \\"b\\"" "c\\\\d" "e\\nf"'


def test_a_kernel_command_line_that_is_too_long_is_refused(machine):
    with pytest.raises(KilnError, match="at most 4095"):
        _qemu.kernel_line(Machine(machine.image, machine.kernel, MIB, cmdline="x" * 5000))


@pytest.mark.parametrize(
    ("text", "size"), [("64M", 64 * MIB), ("1GiB", 1 << 30), ("512 k", 512 << 10), ("4096", 4096)]
)
def test_sizes(text, size):
    assert _qemu.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1M", "1.5G", "64X"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(KilnError, match="is not a size"):
        _qemu.parse_size(text)


def test_memory_that_does_not_hold_the_kernel_is_refused():
    assert _qemu.guest_memory("4M") == 4 * MIB
    with pytest.raises(KilnError, match="'512' does not hold the kernel, which needs 4M"):
        _qemu.guest_memory("512")


def test_the_probe_runs_on_the_emulator_and_a_silent_accelerator_fails(store_path, monkeypatch):
    store = Store(store_path)
    monkeypatch.setattr(_accel, "_SECONDS", 60)
    assert _accel.works(_qemu.program(), "tcg", store)
    monkeypatch.setattr(_accel, "_SECONDS", 1)
    monkeypatch.setattr(_accel, "_EXIT_VALUE", 6)
    broken = silent_guest()
    monkeypatch.setattr(_accel, "probe_guest", lambda: broken)
    assert not _accel.works(_qemu.program(), "tcg", store)


def test_the_probe_and_its_answer_are_those_of_kernel_src_run(monkeypatch):
    monkeypatch.syspath_prepend(str(TOP / "kernel-src" / "tools"))
    theirs = importlib.import_module("kilnrun.accel")
    assert theirs.probe_guest() == _accel.probe_guest()
    assert theirs._host_key() == _accel._host_key()


def test_the_answer_is_remembered_until_the_next_boot(store_path, monkeypatch, tmp_path):
    store = Store(store_path)
    asked = []
    monkeypatch.setattr(_accel, "_KVM", tmp_path)
    monkeypatch.setattr(_accel, "works", lambda *words: asked.append(words) or False)
    assert _accel.choose("auto", "qemu", store) == "tcg"
    assert _accel.choose("auto", "qemu", store) == "tcg"
    assert len(asked) == 1
    text = (store_path / "accelerator").read_text()
    (store_path / "accelerator").write_text("another-boot" + text[12:])
    assert _accel.choose("auto", "qemu", store) == "tcg"
    assert len(asked) == 2
    assert _accel.choose("kvm", "qemu", store) == "kvm"


def test_hundreds_of_clients_connect_to_a_forwarded_port_at_once(guest, machine):
    guest.define(_instance.define(machine, "tcg", check_mode=False))
    guest.start(machine, "tcg")
    port = guest.describe()["forwards"][0]["host"]
    clients = [socket.socket() for _each in range(200)]
    begin = time.monotonic()
    for client in clients:
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", port))
    for client in clients:
        client.settimeout(30)
        while client.connect_ex(("127.0.0.1", port)) not in (0, errno.EISCONN):
            time.sleep(0.01)
    # The first packet that is sent once more, because it was dropped, is sent after a second.
    assert time.monotonic() - begin < 0.9
    for client in clients:
        client.close()
