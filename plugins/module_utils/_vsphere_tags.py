# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""Tags of a template: custom attributes that bear the tags' own names, for anybody to see.

Others write custom attributes too (backup programs do). So kiln.tags lists those that Kiln has set,
and only these are shown as tags and ever taken away. A name is in that list before its attribute
has a value, and as long as it has one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._publish import PublishError

TAGS = "kiln.tags"
_OWN = "kiln."
_BETWEEN = ","


def tags_of(marks: dict[str, str]) -> dict[str, str]:
    """The tags among a template's custom attributes."""
    return {key: marks[key] for key in marks.get(TAGS, "").split(_BETWEEN) if key in marks}


def tags_from(given: dict[str, Any] | None) -> dict[str, str] | None:
    """The tags that an option describes; fails for what cannot be a custom attribute of ours."""
    if given is None:
        return None
    tags = {str(key): str(value) for key, value in given.items()}
    for key, value in tags.items():
        if not key or key.startswith(_OWN) or _BETWEEN in key:
            raise PublishError(
                f"'{key}' cannot be the name of a tag on vSphere, where it becomes a custom "
                f"attribute; choose one without a comma that does not begin with '{_OWN}'."
            )
        if not value:
            raise PublishError(
                f"The tag '{key}' has no value, and vSphere cannot tell an empty custom attribute "
                "from none; give it a value, or leave it out."
            )
    return tags


def merged(now: dict[str, str], wanted: dict[str, str] | None, purge: bool) -> dict[str, str]:
    """The tags that there will be; None leaves them as they are."""
    if wanted is None:
        return now
    return wanted if purge else now | wanted


def told(tags: dict[str, str]) -> str:
    """Tags for a reader."""
    return ", ".join(f"{key}={value}" for key, value in sorted(tags.items())) or "none"


def write(put: Callable[[str, str], None], before: dict[str, str], after: dict[str, str]) -> None:
    """Makes these tags of those; `put` gives the template a custom attribute, '' takes it away."""
    if before == after:
        return
    put(TAGS, _BETWEEN.join(sorted(before | after)))
    for key, value in after.items():
        if before.get(key) != value:
            put(key, value)
    for key in sorted(set(before) - set(after)):
        put(key, "")
    put(TAGS, _BETWEEN.join(sorted(after)))
