"""A program on the serial console, which is a terminal, is told by SIGIO what was typed."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
TIMEOUT = 60


def test_typing_sends_sigio(kernel: str, tmp_path: Path) -> None:
    """Without an owner the caller becomes it, as Linux has it for terminals."""
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(
        ["gcc", "-O1", "-static", "-Wall", "-o", root / "terminal", HERE / "terminal.c"],
        check=True,
    )
    image = tmp_path / "image"
    subprocess.run(["mkfs.erofs", "--quiet", image, root], check=True, capture_output=True)
    command = ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-no-reboot", "-m", "256"]
    command += ["-cpu", "max", "-accel", "tcg,thread=multi", "-serial", "stdio"]
    command += ["-drive", f"file={image},format=raw,if=virtio,readonly=on"]
    command += ["-kernel", kernel, "-append", "ip=none -- /terminal"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as guest:
        assert guest.stdin is not None
        assert guest.stdout is not None
        ending = threading.Timer(TIMEOUT, guest.kill)
        ending.start()
        before = b""
        while b"type" not in before and (more := guest.stdout.readline()):
            before += more
        guest.stdin.write(b"hello\r")
        guest.stdin.flush()
        text = (before + guest.stdout.read()).decode(errors="replace").replace("\r\n", "\n")
        guest.wait()
        ending.cancel()
    assert "owner set\n" in text
    assert "signal 1\n" in text
    assert "read 6\n" in text, text
    assert text.rstrip().endswith("kiln: exit status 7"), text
