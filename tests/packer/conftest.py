"""The fixtures of publishing: the strict EC2 server, and its credentials."""

from __future__ import annotations

from tests.publish.conftest import (  # noqa: F401 - pytest finds fixtures by their names
    _one_loader,
    _own_credentials,
    rig,
    server,
)
