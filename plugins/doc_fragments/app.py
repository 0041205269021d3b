# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The documentation of what a guest runs: the options that become /etc/kiln/app.json."""

from __future__ import annotations


class ModuleDocFragment:
    """One fragment, for modules that take the description of an application."""

    DOCUMENTATION = r"""
options:
  argv:
    description:
      - The program to run, by absolute path, and its arguments.
      - Required when O(state=present), unless O(oci) brings them.
    type: list
    elements: str
  env:
    description: The program's environment.
    type: dict
    default: {}
  cwd:
    description: The program's working directory.
    type: str
    default: /
  hostname:
    description: Host name of the guest; the image's name when left out.
    type: str
  mounts:
    description:
      - What is mounted over the read-only root. A guest has no other place it can write to.
    type: list
    elements: dict
    default:
      - path: /tmp
    suboptions:
      path:
        description: Mount point; it need not be in the image.
        type: str
        required: true
      type:
        description: Kind of file system.
        type: str
        choices: [tmpfs]
        default: tmpfs
      size:
        description: Limit in bytes; half of the guest's memory when left out.
        type: int
      copy:
        description: Whether to begin with a copy of what the image has at this path.
        type: bool
        default: false
  network:
    description: How the guest gets its address. DHCP when left out.
    type: dict
    suboptions:
      mode:
        description: By DHCP, by O(network.address), or not at all.
        type: str
        choices: [dhcp, static, none]
        default: dhcp
      address:
        description: Address and prefix length, such as V(192.0.2.10/24).
        type: str
      gateway:
        description: The way out.
        type: str
      dns:
        description: Name servers.
        type: list
        elements: str
      wait:
        description: Whether the program starts only when the network is up.
        type: bool
        default: false
  at_exit:
    description: What the machine does when the program has ended.
    type: str
    choices: [poweroff, reboot, halt]
    default: poweroff
  overrides:
    description: What the metadata of a cloud may override.
    type: list
    elements: str
    choices: [argv, env, cwd, mounts, network, hostname, at_exit]
    default: []
"""
