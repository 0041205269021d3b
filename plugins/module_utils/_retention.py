# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Which old images go, whatever holds them: plans only, nothing is asked or changed here.

A play publishes, promotes, and then lets old images go. In check mode nothing was published when
retention looks, so the play says what would have been (Pending), and it is counted as though done;
done already, the same words change nothing, so that both tell the same story.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._channels import Kept, Pointer

# Stands for an image that is yet to come; it is newer than all that are there.
_NEW = Kept("the one to come", "", created="9999-12-31T23:59:59+00:00")


@dataclass(frozen=True)
class Pending:
    """What the same play has done before, or in check mode would have."""

    digest: str
    state: str = "present"
    channel: str = ""


@dataclass(frozen=True)
class Retention:
    """What may go: only what both limits let go, where both are given."""

    keep: int | None
    older_than: float | None
    pending: Pending | None = None

    def goes(self, place: int, created: str, now: datetime) -> bool:
        """Whether an image may go; `place` is 0 for the newest."""
        age = (now - datetime.fromisoformat(created)).total_seconds()
        return (self.keep is None or place >= self.keep) and (
            self.older_than is None or age >= self.older_than
        )


@dataclass(frozen=True)
class Stock:
    """One place: its images of a name by their identifiers, and what its channels have named."""

    images: dict[str, Kept]
    histories: dict[str, list[str]]

    def of_digest(self, digest: str) -> dict[str, Kept]:
        """The images with a digest."""
        return {key: item for key, item in self.images.items() if item.digest == digest}

    def held(self) -> dict[str, list[str]]:
        """The images that channels name or would roll back to, each with their names."""
        found: dict[str, list[str]] = {}
        for channel, history in self.histories.items():
            pointer = Pointer("", history, self.images)
            previous = pointer.before_this(channel)
            for image, what in ((pointer.current, channel), (previous, f"{channel} (before)")):
                if image in self.images:
                    found.setdefault(image, []).append(what)
        return found

    def after(self, pending: Pending) -> Stock:
        """The place when that is done."""
        theirs = self.of_digest(pending.digest)
        if pending.state == "absent":
            left = {key: item for key, item in self.images.items() if key not in theirs}
            channels = {key: item for key, item in self.histories.items() if key != pending.channel}
            return Stock(left, channels)
        theirs = theirs or {_NEW.identifier: replace(_NEW, digest=pending.digest)}
        there = Stock(self.images | theirs, self.histories)
        return there.promoted(min(theirs), pending.channel) if pending.channel else there

    def promoted(self, image: str, channel: str) -> Stock:
        """The place when a channel names an image."""
        item, history = self.images[image], self.histories.get(channel, [])
        if item.withdrawn == channel:
            item = replace(item, withdrawn="")
        named = history if history[-1:] == [image] else [*history, image]
        return Stock(self.images | {image: item}, self.histories | {channel: named})


@dataclass(frozen=True)
class Leaving:
    """Who goes of one place, and what a reader is shown of it."""

    images: list[Kept]
    before: dict[str, dict[str, Any]]
    after: dict[str, dict[str, Any]]


def leaving(
    stock: Stock,
    rule: Retention,
    name_key: str,
    needed: dict[str, list[str]] | None = None,
    now: datetime | None = None,
) -> Leaving:
    """Never one that a channel needs, that is `needed` otherwise, or that was just published.

    The last is not shown either: in check mode nobody knows what it will be called.
    """
    now = now or datetime.now(UTC)
    stock = stock.after(rule.pending) if rule.pending else stock
    fresh = stock.of_digest(rule.pending.digest) if rule.pending else {}
    held = stock.held()
    for image, reasons in (needed or {}).items():
        held.setdefault(image, []).extend(reasons)
    order = sorted(
        stock.images.values(), key=lambda item: (item.created, item.identifier), reverse=True
    )
    going = [
        item
        for place, item in enumerate(order)
        if item.identifier not in fresh
        and item.identifier not in held
        and rule.goes(place, item.created, now)
    ]
    before = {
        item.identifier: {
            name_key: item.name,
            "created": item.created,
            "channels": held.get(item.identifier, []),
        }
        for item in order
        if item.identifier not in fresh
    }
    gone = {item.identifier for item in going}
    return Leaving(going, before, {key: item for key, item in before.items() if key not in gone})
