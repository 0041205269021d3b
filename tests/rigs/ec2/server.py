"""Starts the strict server on loopback and prints its address.

Usage: python -m tests.rigs.ec2.server [PORT]

It ends when its standard input does, so that it cannot outlive the test that has started it.
"""

from __future__ import annotations

import logging
import os
import sys
import threading

os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
os.environ.setdefault("MOTO_S3_DEFAULT_MULTIPART_MEMORY_LIMIT", "64")

import moto.ebs.urls
import moto.ec2.urls
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from tests.rigs.ec2.blocks import StrictEBS
from tests.rigs.ec2.door import Door
from tests.rigs.ec2.imports import StrictEC2


class Handler(MotoRequestHandler):
    """Keeps connections, as the real service does, and says nothing."""

    protocol_version = "HTTP/1.1"
    # The answer's head and body are two writes: without this each waits for the other's ACK.
    disable_nagle_algorithm = True


def strict() -> None:
    """Puts the strict classes in the places of moto's."""
    moto.ec2.urls.url_paths = {"{0}/": StrictEC2.dispatch}
    moto.ebs.urls.url_paths = dict.fromkeys(moto.ebs.urls.url_paths, StrictEBS.dispatch)


def make(port: int = 0) -> BaseWSGIServer:
    """The server, bound and not yet serving."""
    strict()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = Door(DomainDispatcherApplication(create_backend_app))
    return make_server("127.0.0.1", port, app, threaded=True, request_handler=Handler)


def main() -> None:
    """Serves until standard input ends."""
    server = make(int(sys.argv[1]) if sys.argv[1:] else 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
