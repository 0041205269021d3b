# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the collection's modules have in common in their documentation."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragments: the store, and attributes of modules that change and that only ask."""

    DOCUMENTATION = r"""
options:
  store:
    description:
      - Folder of the content-addressed store that holds kernels, images, fetched packages and
        local guests.
      - When left out it is the environment variable E(KILN_CACHE), or C(kiln) in the user's cache
        folder (E(XDG_CACHE_HOME), by default C(~/.cache)).
    type: path
"""

    CHANGES = r"""
attributes:
  check_mode:
    description: Can run in check mode and return what would change without changing it.
    support: full
    details:
      - The same plan is made as in a real run, and bad input fails as it would there.
  diff_mode:
    description: Returns details on what has changed, or would change in check mode, in diff mode.
    support: full
  idempotent:
    description: Changes nothing when run again with the same options and the same inputs.
    support: full
  platform:
    description: Where the module runs.
    support: full
    platforms: posix
"""

    ASKS = r"""
attributes:
  check_mode:
    description: Can run in check mode; it changes nothing in any mode.
    support: full
  diff_mode:
    description: Has no diff to show, since it changes nothing.
    support: N/A
  idempotent:
    description: Changes nothing.
    support: N/A
  platform:
    description: Where the module runs.
    support: full
    platforms: posix
"""
