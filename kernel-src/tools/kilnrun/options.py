"""The command line of kernel-src/run."""

import argparse
import ipaddress
import math
import re
from dataclasses import dataclass, field

# With less the kernel is not even loaded, and nobody is there to say so.
_LEAST_MIB = 4
_UNITS = {"": 1, "M": 1, "G": 1024, "K": 1 / 1024}


@dataclass
class Options:
    """What was asked for, checked."""

    program: list[str]
    kernel: str | None = None
    smp: int = 1
    memory_mib: int = 512
    root: str | None = None
    disk_boot: bool = False
    accel: str = "auto"
    net: str = "user"
    ip: str | None = None
    gateway: str | None = None
    forward: list[tuple[str, int, int]] = field(default_factory=list)
    env: list[str] = field(default_factory=list)
    cwd: str | None = None
    timeout: float = 120.0
    status_file: str | None = None
    log_file: str | None = None
    firmware: str | None = None
    icount: bool = False
    verbose: bool = False


def parse_memory(text: str) -> int:
    """Mebibytes from `512`, `512M`, `512MiB`, `1G`, `65536K`."""
    found = re.fullmatch(r"(\d+)([KMG]?)(?:i?B)?", text, re.IGNORECASE)
    if not found:
        raise argparse.ArgumentTypeError(f"'{text}' is not a memory size such as 512M or 1G")
    mib = int(int(found[1]) * _UNITS[found[2].upper()])
    if mib < _LEAST_MIB:
        raise argparse.ArgumentTypeError(
            f"'{text}' does not hold the kernel, which needs {_LEAST_MIB}M at the least"
        )
    return mib


def parse_forward(text: str) -> tuple[str, int, int]:
    """(protocol, host port, guest port) from `8080:80` or `udp:5353:53`."""
    found = re.fullmatch(r"(?:(tcp|udp):)?(\d+):(\d+)", text)
    ports = [int(found[2]), int(found[3])] if found else [0]
    if not found or not all(0 < port < 65536 for port in ports):
        raise argparse.ArgumentTypeError(f"'{text}' is not HOSTPORT:GUESTPORT")
    return found[1] or "tcp", ports[0], ports[1]


def parse_net(text: str) -> str:
    """`none`, `user` or `tap=IFNAME`."""
    if text in ("none", "user") or re.fullmatch(r"tap=[^,=\s]{1,15}", text):
        return text
    raise argparse.ArgumentTypeError(f"'{text}' is not one of none, user, tap=IFNAME")


def parse_env(text: str) -> str:
    """K=V."""
    if "=" not in text or text.startswith("="):
        raise argparse.ArgumentTypeError(f"'{text}' is not K=V")
    return text


def parse_positive(text: str) -> int:
    """A count of at least one."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive number")
    return int(text)


def parse_cidr(text: str) -> str:
    """An interface address with its prefix length."""
    try:
        ipaddress.ip_interface(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None
    return text


def parse_address(text: str) -> str:
    """An address of a gateway."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not an IP address") from None
    return text


def parse_seconds(text: str) -> float:
    """A time; that it is not negative is checked later, where a sentence can say more."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds")
    return seconds


class _Parser(argparse.ArgumentParser):
    """Usage errors end with 125: 2 could be the program's own status."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage()
        self.exit(125, f"run: {message}\n")

    def print_usage(self, file=None) -> None:  # type: ignore[no-untyped-def]
        import sys

        super().print_usage(file or sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="run",
        usage="run [OPTION]... --root DIR|IMAGE -- PROGRAM [ARG]...",
        description="Boot PROGRAM on Kiln in QEMU; its streams and exit status are the tool's.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--kernel", metavar="FILE", help="kernel ELF (default: the one built last)")
    add("--smp", type=parse_positive, default=1, metavar="N", help="CPUs (1)")
    add("--memory", type=parse_memory, default=512, metavar="SIZE", help="memory (512M)")
    add("--root", metavar="DIR|IMAGE", help="folder, EROFS image or whole disk (raw, qcow2)")
    add("--disk-boot", action="store_true", help="boot from a disk by BIOS, not by -kernel")
    add("--accel", choices=("auto", "kvm", "tcg"), default="auto")
    add("--net", type=parse_net, default="user", metavar="none|user|tap=IFNAME")
    add("--ip", type=parse_cidr, metavar="CIDR", help="static address (default: DHCP)")
    add("--gateway", type=parse_address, metavar="IP")
    add("--forward", type=parse_forward, action="append", default=[], metavar="HOSTPORT:GUESTPORT")
    add("--env", type=parse_env, action="append", default=[], metavar="K=V")
    add("--cwd", metavar="DIR")
    add(
        "--timeout",
        type=parse_seconds,
        default=120.0,
        metavar="SECONDS",
        help="0 waits for ever (120)",
    )
    add("--status-file", metavar="FILE", help="write how it ended as JSON")
    add("--log-file", metavar="FILE", help="keep the kernel's own lines here")
    add("--firmware", choices=("seabios", "qboot"), help="QEMU firmware to start with")
    add("--icount", action="store_true", help="an instruction is a nanosecond (tcg, one CPU)")
    add("--verbose", action="store_true", help="kernel lines and QEMU's command on stderr")
    return parser


def parse(arguments: list[str]) -> Options:
    """Options from the tool's arguments; everything after `--` is the program's."""
    parser = _parser()
    split = arguments.index("--") if "--" in arguments else len(arguments)
    found, others = parser.parse_known_args(arguments[:split])
    if others and not others[0].startswith("-"):
        parser.error(f"the program stands behind --: -- {' '.join(others)}")
    if others:
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    values = {key: value for key, value in vars(found).items() if key != "memory"}
    options = Options(program=arguments[split + 1 :], memory_mib=found.memory, **values)
    _check(parser, options)
    return options


def _check(parser: argparse.ArgumentParser, options: Options) -> None:
    if not options.root:
        parser.error("--root DIR|IMAGE is needed")
    if options.gateway and not options.ip:
        parser.error("--gateway needs --ip")
    if options.ip and options.net == "none":
        parser.error("--ip needs a network: --net user or --net tap=IFNAME")
    if options.forward and options.net != "user":
        parser.error("--forward works with --net user only")
    if options.cwd and not options.cwd.startswith("/"):
        parser.error(f"--cwd {options.cwd} is not an absolute path")
    if options.icount and (options.accel == "kvm" or options.smp > 1):
        parser.error("--icount counts the instructions of one emulated CPU: --accel tcg --smp 1")
    if options.timeout < 0:
        parser.error("--timeout cannot be negative")
