# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What channels and retention have in common, wherever images are published."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragments: image_info, channel, retention."""

    IMAGE_INFO = r"""
options:
  name:
    description: Only images of this name.
    type: str
  digest:
    description: Only images of this content.
    type: str
"""

    CHANNEL = r"""
options:
  channel:
    description: The channel; the images' name, a slash and a word.
    type: str
    required: true
  state:
    description:
      - V(promoted) makes it name the image with O(digest).
      - V(rolled_back) makes it name the one before, where it names the image with O(digest). Where
        it names another one already, nothing is done, so that a second run does not go back twice.
        An image that was rolled back from is passed over by later rollbacks until it is promoted
        again.
      - V(absent) takes the channel away; the images stay.
    type: str
    choices: [promoted, rolled_back, absent]
    default: promoted
  digest:
    description:
      - The image's digest, as the module that has published it returns it.
      - Required unless O(state=absent).
    type: str
"""

    REMOVAL = r"""
options:
  ignore_channels:
    description:
      - Channels that do not keep the image from being removed with O(state=absent), since they are
        taken away before it.
      - Roles that remove both say so, for in check mode the channel is still there.
    type: list
    elements: str
    default: []
"""

    RETENTION = r"""
options:
  name:
    description: The images' name.
    type: str
    required: true
  keep:
    description: How many of the newest stay.
    type: int
  older_than:
    description:
      - Only images of at least this age go, a number with C(s), C(m), C(h), C(d) or C(w).
      - With O(keep) given too, an image goes only when both let it go.
    type: str
  pending:
    description:
      - What the same play has done with an image before this task, or in check mode would have.
        It is counted as though done, so that check mode tells what a run does.
      - Roles that publish and remove say so. An image that this names as V(present) stays, and is
        not shown in the diff.
    type: dict
    suboptions:
      digest:
        description: The image's digest.
        type: str
        required: true
      state:
        description: Whether it was published or removed.
        type: str
        choices: [present, absent]
        default: present
      channel:
        description: The channel that it was promoted to, or that was taken away with it.
        type: str
        default: ""
"""
