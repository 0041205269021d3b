# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""/etc/kiln/app.json: what the guest runs, its schema and how it is written.

The kernel reads the same file with a parser of its own and refuses unknown keys, so the schema
is closed at every level. docs/app.schema.json is this SCHEMA; a unit test holds them together.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError

try:
    import jsonschema

    HAS_JSONSCHEMA = True
except ImportError:
    HAS_JSONSCHEMA = False

PLACE = "/etc/kiln/app.json"
OVERRIDABLE = ["argv", "env", "cwd", "mounts", "network", "hostname", "at_exit"]

_ABSOLUTE = {"type": "string", "pattern": "^/[^\\u0000]*$"}
_NO_NUL = {"type": "string", "pattern": "^[^\\u0000]*$"}
# The kernel's own check is check_host_name in kernel-src/core/app_config.cc.
_HOST_NAME = "^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"
_ADDRESS = {"type": "string", "pattern": "^[0-9A-Fa-f:.]+$"}

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "urn:kiln:app:1",
    "title": "What a Kiln guest runs",
    "type": "object",
    "additionalProperties": False,
    "required": ["version", "name", "argv"],
    "properties": {
        "version": {"const": 1, "description": "Version of this description."},
        "name": {
            "type": "string",
            "pattern": "^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$",
            "description": "Name of the image.",
        },
        "argv": {
            "type": "array",
            "minItems": 1,
            "prefixItems": [_ABSOLUTE],
            "items": _NO_NUL,
            "description": "Program, by absolute path, and its arguments.",
        },
        "env": {
            "type": "object",
            "propertyNames": {"pattern": "^[^=\\u0000]+$"},
            "additionalProperties": _NO_NUL,
            "description": "Environment of the program; nothing is added to it.",
        },
        "cwd": dict(_ABSOLUTE, description="Working directory; / when left out."),
        "hostname": {
            "type": "string",
            "pattern": _HOST_NAME,
            "description": "Host name; the image's name when left out.",
        },
        "mounts": {
            "type": "array",
            "description": "What is mounted over the read-only root, in this order.",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["path", "type"],
                "properties": {
                    "path": dict(_ABSOLUTE, description="Mount point; made when missing."),
                    "type": {"enum": ["tmpfs"], "description": "Kind of file system."},
                    "size": {
                        "type": "integer",
                        "minimum": 4096,
                        "description": "Limit in bytes; half of the memory when left out.",
                    },
                    "copy": {
                        "type": "boolean",
                        "description": "Start with a copy of what the root has there.",
                    },
                },
            },
        },
        "network": {
            "type": "object",
            "additionalProperties": False,
            "required": ["mode"],
            "properties": {
                "mode": {"enum": ["dhcp", "static", "none"]},
                "address": {
                    "type": "string",
                    "pattern": "^[0-9A-Fa-f:.]+/[0-9]{1,3}$",
                    "description": "Address and prefix length; with static only.",
                },
                "gateway": _ADDRESS,
                "dns": {"type": "array", "items": _ADDRESS},
                "wait": {
                    "type": "boolean",
                    "description": "Start the program only when the network is up.",
                },
            },
            "if": {"properties": {"mode": {"const": "static"}}},
            "then": {"required": ["address"]},
            "else": {"properties": {"address": False, "gateway": False}},
        },
        "at_exit": {
            "enum": ["poweroff", "reboot", "halt"],
            "description": "What the machine does when the program has ended.",
        },
        "overrides": {
            "type": "array",
            "uniqueItems": True,
            "items": {"enum": OVERRIDABLE},
            "description": "What a cloud's metadata may override; nothing when left out.",
        },
    },
}


def describe(options: dict[str, Any], relative: bool = False) -> dict[str, Any]:
    """The description made from a module's options: unset ones left out, and it is valid.

    A `relative` program has yet to be looked for in the image, by the name that argv gives.
    """
    app: dict[str, Any] = {"version": 1}
    for key in ("name", "argv", "env", "cwd", "hostname", "at_exit", "overrides"):
        if options.get(key) is not None:
            app[key] = options[key]
    if options.get("env"):
        app["env"] = {str(key): _text(value) for key, value in options["env"].items()}
    if options.get("mounts") is not None:
        app["mounts"] = [_without_none(mount) for mount in options["mounts"]]
    if options.get("network") is not None:
        app["network"] = _without_none(options["network"])
    validate(_rooted(app) if relative and app.get("argv") else app)
    return app


def host_name(app: dict[str, Any]) -> str:
    """The name that the kernel gives the guest: a dotted name of an image is none of a host."""
    name = str(app.get("hostname") or app["name"])
    return name if re.fullmatch(_HOST_NAME, name) else "kiln"


def _rooted(app: dict[str, Any]) -> dict[str, Any]:
    """The description as it will be once its program has been found in the image."""
    first, *rest = app["argv"]
    return dict(app, argv=["/" + first, *rest])


def validate(app: Any) -> None:
    """Fails with one sentence that says where the first offence is and what it is."""
    checker = jsonschema.Draft202012Validator(SCHEMA)
    problems = sorted(checker.iter_errors(app), key=lambda problem: list(map(str, problem.path)))
    if problems:
        first = problems[0]
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first.path)
        # A false schema, which says no more than no, stands in one place only.
        static = "address and gateway are for the mode static"
        raise KilnError(
            f"The description of the application is not valid at {place.lstrip('.') or 'its top'}: "
            f"{static if first.validator is None else first.message}."
        )


def render(app: dict[str, Any]) -> str:
    """The file's text, one spelling for one value."""
    return json.dumps(app, indent=1, sort_keys=True, ensure_ascii=True) + "\n"


def _without_none(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if item is not None}


def _text(value: Any) -> str:
    """An environment value as a person means it in YAML: true is 'true', not 'True'."""
    return str(value).lower() if isinstance(value, bool) else str(value)
