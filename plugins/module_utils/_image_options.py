# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The image description as Ansible hands it over: its argument spec, and what becomes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils import _app, _disks, _image
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError

FILE_SPEC = {
    "dest": {"type": "str", "required": True},
    "src": {"type": "path"},
    "content": {"type": "str"},
    "mode": {"type": "str"},
}

MOUNT_SPEC = {
    "path": {"type": "str", "required": True},
    "type": {"type": "str", "choices": ["tmpfs"], "default": "tmpfs"},
    "size": {"type": "int"},
    "copy": {"type": "bool", "default": False},
}

NETWORK_SPEC = {
    "mode": {"type": "str", "choices": ["dhcp", "static", "none"], "default": "dhcp"},
    "address": {"type": "str"},
    "gateway": {"type": "str"},
    "dns": {"type": "list", "elements": "str"},
    "wait": {"type": "bool", "default": False},
}

ARGUMENT_SPEC: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "packages": {"type": "list", "elements": "str", "default": []},
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": FILE_SPEC,
        "mutually_exclusive": [("src", "content")],
        "required_one_of": [("src", "content")],
    },
    "argv": {"type": "list", "elements": "str"},
    "env": {"type": "dict", "default": {}},
    "cwd": {"type": "str", "default": "/"},
    "hostname": {"type": "str"},
    "mounts": {
        "type": "list",
        "elements": "dict",
        "default": [{"path": "/tmp"}],
        "options": MOUNT_SPEC,
    },
    "network": {"type": "dict", "options": NETWORK_SPEC},
    "at_exit": {"type": "str", "choices": ["poweroff", "reboot", "halt"], "default": "poweroff"},
    "overrides": {"type": "list", "elements": "str", "default": [], "choices": _app.OVERRIDABLE},
    "exclude": {"type": "list", "elements": "str"},
    "exclude_more": {"type": "list", "elements": "str", "default": []},
    "keep": {"type": "list", "elements": "str", "default": ["/usr/share/doc/*/copyright"]},
    "compression": {"type": "str", "choices": ["none", "lz4", "lz4hc"], "default": "none"},
    "formats": {
        "type": "list",
        "elements": "str",
        "choices": ["erofs", *_disks.FILES],
        "default": ["erofs"],
    },
    "kernel": {"type": "path"},
    "cmdline": {"type": "str", "default": ""},
    "data_size": {"type": "int", "default": 0},
    "lock": {"type": "path"},
    "update_lock": {"type": "bool", "default": False},
}


def file_item(entry: dict[str, Any]) -> _image.FileItem:
    """One entry of `files`."""
    if not entry["dest"].startswith("/"):
        raise KilnError(f"files: dest must be an absolute path in the image, not {entry['dest']}.")
    try:
        mode = int(entry["mode"], 8) if entry["mode"] is not None else None
    except ValueError:
        raise KilnError(
            f"files: the mode of {entry['dest']} must be octal digits in quotes, such as '0644', "
            f"not {entry['mode']}."
        ) from None
    source = Path(entry["src"]) if entry["src"] is not None else None
    return _image.FileItem(entry["dest"], source, entry["content"], mode)


def disk_spec(params: dict[str, Any]) -> _disks.DiskSpec | None:
    """The disks that are asked for, None when it is the root alone."""
    formats = sorted(set(params["formats"]) - {"erofs"})
    if not formats:
        return None
    if not params["kernel"]:
        raise KilnError(
            f"The formats {', '.join(formats)} need `kernel`, the path of a built kiln.elf."
        )
    return _disks.DiskSpec(
        kernel=Path(params["kernel"]),
        formats=formats,
        cmdline=params["cmdline"],
        data_size=params["data_size"],
    )


def make_spec(params: dict[str, Any]) -> _image.ImageSpec:
    """The image's description from the module's options."""
    exclude = _image.DEFAULT_EXCLUDE if params["exclude"] is None else params["exclude"]
    return _image.ImageSpec(
        app=_app.describe(params),
        packages=params["packages"],
        files=[file_item(entry) for entry in params["files"]],
        exclude=sorted({*exclude, *params["exclude_more"]}),
        keep=params["keep"],
        compression=params["compression"],
        disk=disk_spec(params),
        lock=Path(params["lock"]) if params["lock"] else None,
        update_lock=params["update_lock"],
    )
