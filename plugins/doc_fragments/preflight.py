# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What is said of an image beside the image, in the documentation of the module image."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment: the bills of materials, and the pre-flight."""

    DOCUMENTATION = r"""
options:
  sbom:
    description:
      - Which bills of materials are written beside the image. V([]) writes none, for a machine
        that has not got the libraries.
    type: list
    elements: str
    choices: [cyclonedx, spdx]
    default: [cyclonedx, spdx]
    version_added: 0.2.0
  preflight:
    description:
      - What happens when the program, a library that it is linked with, or another library in the
        image takes functions from others that lead to system calls which a guest does not have,
        such as C(fork), C(execve), C(system) or C(msgget).
      - V(warn) says so in a warning, V(fail) fails before anything is packed, V(off) does not look.
      - It need not matter. Many programs can start others and seldom do.
    type: str
    choices: [warn, fail, "off"]
    default: warn
    version_added: 0.2.0
  preflight_allow:
    description:
      - What O(preflight) does not speak of; names of functions, names of system calls (V(fork) and
        V(execve) for all functions that need no more than these), and patterns of absolute paths
        of files in the image.
    type: list
    elements: str
    default: []
    version_added: 0.2.0
"""
