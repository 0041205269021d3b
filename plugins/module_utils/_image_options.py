# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The image description as Ansible hands it over: its argument spec, and what becomes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils import (
    _app,
    _base,
    _disks,
    _image,
    _layers,
    _ovf,
    _papers,
    _preflight,
)
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

OCI_SPEC = {
    "src": {"type": "path", "required": True},
    "reference": {"type": "str"},
    "max_size": {"type": "int", "default": _layers.LIMIT},
}

OVA_SPEC: dict[str, dict[str, Any]] = {
    "profiles": {
        "type": "list",
        "elements": "str",
        "choices": list(_ovf.PROFILES),
        "default": ["vsphere"],
    },
    "ovf_version": {"type": "str", "choices": list(_ovf.ENVELOPE), "default": "1.0"},
    "cpus": {"type": "int", "default": 1},
    "memory": {"type": "int", "default": 256},
    "network_adapter": {"type": "str", "choices": ["vmxnet3", "e1000", "virtio"]},
}

ARGUMENT_SPEC: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "packages": {"type": "list", "elements": "str", "default": []},
    "oci": {"type": "dict", "options": OCI_SPEC},
    "rootfs": {"type": "path"},
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
        "choices": ["erofs", *_disks.FILES, "ova"],
        "default": ["erofs"],
    },
    "kernel": {"type": "path"},
    "cmdline": {"type": "str", "default": ""},
    "data_size": {"type": "int", "default": 0},
    "ova": {"type": "dict", "options": OVA_SPEC, "default": {}},
    "ovf_schema": {"type": "list", "elements": "path", "default": []},
    "sbom": {
        "type": "list",
        "elements": "str",
        "choices": list(_papers.BILLS),
        "default": list(_papers.BILLS),
    },
    "preflight": {"type": "str", "choices": list(_preflight.MODES), "default": "warn"},
    "preflight_allow": {"type": "list", "elements": "str", "default": []},
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


def base_of(params: dict[str, Any]) -> _base.Base | None:
    """What the image is made from when it is not from packages."""
    given = [name for name in ("oci", "rootfs", "packages") if params.get(name)]
    if len(given) > 1 and given != ["packages"]:
        raise KilnError(f"{' and '.join(f'`{name}`' for name in given)} cannot be given together.")
    if params.get("oci"):
        oci = params["oci"]
        return _base.oci_base(Path(oci["src"]), oci["reference"], oci["max_size"])
    return _base.folder_base(Path(params["rootfs"])) if params.get("rootfs") else None


def disk_spec(params: dict[str, Any]) -> _disks.DiskSpec | None:
    """The disks that are asked for, None when it is the root alone."""
    formats = sorted(set(params["formats"]) - {"erofs"})
    if not formats:
        return None
    if not params["kernel"]:
        raise KilnError(
            f"The formats {', '.join(formats)} need `kernel`, the path of a built kiln.elf."
        )
    if params["data_size"] < 0:
        raise KilnError(f"`data_size` is a number of bytes, 0 for none, not {params['data_size']}.")
    return _disks.DiskSpec(
        kernel=Path(params["kernel"]),
        formats=formats,
        cmdline=params["cmdline"],
        data_size=params["data_size"],
        machines=machines(params) if "ova" in formats else (),
        schemas=schemas(params["ovf_schema"]),
    )


def machines(params: dict[str, Any]) -> tuple[_ovf.Machine, ...]:
    """The virtual machines that OVA files are wanted for."""
    ova = params["ova"] or {}
    value: dict[str, Any] = {
        key: spec.get("default") if ova.get(key) is None else ova[key]
        for key, spec in OVA_SPEC.items()
    }
    if value["cpus"] < 1 or value["memory"] < 4:
        raise KilnError("ova: a machine has at least one of `cpus`, and `memory` of 4 MiB or more.")
    wanted = value["network_adapter"]
    adapters = {name: _ovf.PROFILES[name].adapters for name in sorted(set(value["profiles"]))}
    if wanted and not any(wanted in each for each in adapters.values()):
        known = "; ".join(f"{name} has {' or '.join(each)}" for name, each in adapters.items())
        raise KilnError(f"ova: no profile asked for has the network adapter {wanted}: {known}.")
    return tuple(
        _ovf.Machine(
            name=params["name"],
            profile=name,
            version=value["ovf_version"],
            cpus=value["cpus"],
            memory=value["memory"],
            adapter=wanted if wanted in each else None,
        )
        for name, each in adapters.items()
    )


def schemas(paths: list[str]) -> tuple[Path, ...]:
    """Schema files; a folder stands for those in it."""
    found: list[Path] = []
    for path in map(Path, paths):
        found += sorted(path.glob("*.xsd")) if path.is_dir() else [path]
    return tuple(found)


def make_spec(params: dict[str, Any]) -> _image.ImageSpec:
    """The image's description from the module's options."""
    base = base_of(params)
    oci = base if isinstance(base, _base.OciBase) else None
    exclude = params["exclude"]
    if exclude is None:
        exclude = [] if base else _image.DEFAULT_EXCLUDE
    options = _base.describe(params, oci.image.config) if oci else params
    if not options["argv"]:
        raise KilnError("`argv` is needed: the container image names no program to run.")
    return _image.ImageSpec(
        app=_app.describe(options, relative=oci is not None and options["argv"][0][:1] != "/"),
        base=base,
        packages=params["packages"],
        files=[file_item(entry) for entry in params["files"]],
        exclude=sorted({*exclude, *params["exclude_more"]}),
        keep=params["keep"],
        compression=params["compression"],
        sbom=tuple(each for each in _papers.BILLS if each in params["sbom"]),
        disk=disk_spec(params),
        lock=Path(params["lock"]) if params["lock"] else None,
        update_lock=params["update_lock"],
    )
