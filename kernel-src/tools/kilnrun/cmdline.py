"""The kernel's command line: words split by blanks, double quotes with backslash escapes."""

import os

from .errors import RunError
from .options import Options

# QEMU's PVH option ROM copies the command line into a buffer of this size.
LONGEST = 4095

MOUNTS = ("tmpfs:/tmp", "tmpfs:/run", "tmpfs:/dev/shm", "tmpfs:/var:copy")

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n"}


def quote(word: str) -> str:
    """One word as the kernel's parser reads it back unchanged."""
    if word and not any(char.isspace() or char in '"\\' for char in word):
        return word
    return '"' + "".join(_ESCAPES.get(char, char) for char in word) + '"'


def _network(options: Options) -> list[str]:
    if options.net == "none":
        return ["ip=none"]
    if not options.ip:
        return ["ip=dhcp"]
    words = [f"ip={options.ip}"]
    if options.gateway:
        words.append(f"gateway={options.gateway}")
    if options.net == "user":
        words.append("dns=10.0.2.3")
    return words


def build(options: Options) -> str:
    """The whole line for these options."""
    words = ["root=auto", *_network(options)]
    words += [f"mount={mount}" for mount in MOUNTS]
    words += [f"env={setting}" for setting in options.env]
    if options.cwd:
        words.append(f"cwd={options.cwd}")
    words.append("log=debug" if options.verbose else "log=info")
    line = " ".join([*map(quote, words), *os.environ.get("KILN_APPEND", "").split()])
    if options.program:
        line = " ".join([line, "--", *map(quote, options.program)])
    if len(line.encode("utf-8", "surrogateescape")) > LONGEST:
        raise RunError(f"the program's arguments and environment exceed {LONGEST} bytes")
    return line
