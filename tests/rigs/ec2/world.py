"""What the strict server knows: snapshots, images and tasks of each region, and the settings.

`STATE` is changed under `LOCK` only; requests come from many threads.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

LOCK = threading.RLock()
BLOCK = 524288
GIB = 1 << 30
BLOCKS_A_GIB = GIB // BLOCK
ACCOUNT = "123456789012"


@dataclass
class Settings:
    """What a test may set through /rig."""

    keys: dict[str, str] = field(default_factory=lambda: {"AKIAKILNRIG": "rig-secret"})
    regions: list[str] = field(
        default_factory=lambda: ["eu-central-1", "eu-west-1", "us-east-1", "us-west-2"]
    )
    kms_keys: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    public_blocked: bool = False
    encrypt_by_default: bool = False
    # What a copy ends in.
    copy_ends: str = "available"
    # How many times a state is asked for before it becomes the next one.
    lag: int = 1
    # How many puts after a start find no snapshot yet, as the real service's do now and then.
    late: int = 0
    # Seconds that each block takes on its way, as to a service that is not on this machine.
    delay: float = 0.0
    # Throw the blocks' bytes away, keep their checksums: for measurements of big images.
    forget: bool = False


@dataclass
class Snapshot:
    """A snapshot and the blocks in it."""

    id: str
    size: int
    description: str
    encrypted: bool = False
    kms_key: str | None = None
    status: str = "pending"
    asked: int = 0
    completing: bool = False
    late: int = 0
    blocks: dict[int, bytes] = field(default_factory=dict)
    checksums: dict[int, bytes] = field(default_factory=dict)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class Image:
    """An image; `facts` are what was registered, with the defaults of the real API."""

    id: str
    facts: dict[str, Any]
    state: str = "available"
    asked: int = 0
    permissions: list[dict[str, str]] = field(default_factory=list)
    deprecation: str | None = None
    created: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class Region:
    """All that is in one region."""

    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)


@dataclass
class State:
    """Everything."""

    settings: Settings = field(default_factory=Settings)
    regions: dict[str, Region] = field(default_factory=dict)
    count: int = 0

    def region(self, name: str) -> Region:
        """One region, made when it is first named."""
        return self.regions.setdefault(name, Region())

    def identifier(self, prefix: str) -> str:
        """A fresh identifier of the real length."""
        self.count += 1
        return f"{prefix}-{self.count:017x}"


STATE = State()


def reset() -> None:
    """Forgets everything."""
    with LOCK:
        STATE.settings = Settings()
        STATE.regions = {}


def ripen(thing: Snapshot | Image, final: str) -> None:
    """Counts a look at something that is on its way to its final state."""
    if thing.asked >= STATE.settings.lag:
        if isinstance(thing, Snapshot):
            thing.status = final
        else:
            thing.state = final
    thing.asked += 1
