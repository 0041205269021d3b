"""The strict server as a test sees it: start it, set it, count its requests, ask it as a client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

TOP = Path(__file__).resolve().parents[3]
KEY, SECRET, REGION = "AKIAKILNRIG", "rig-secret", "eu-central-1"


class Rig:
    """One server process."""

    def __init__(self) -> None:
        env = dict(os.environ, PYTHONPATH=str(TOP), PYTHONDONTWRITEBYTECODE="1")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.rigs.ec2.server"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=TOP,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

    def stop(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(120)

    @property
    def alive(self) -> bool:
        """Whether the process is still there."""
        return self._process.poll() is None

    def wait_gone(self) -> None:
        """Waits for the end that a fault has asked for."""
        self._process.wait(120)

    def set(self, **wanted: Any) -> dict[str, Any]:
        """Changes it through its own door; tells its counts."""
        data = json.dumps(wanted).encode() if wanted else None
        with urllib.request.urlopen(f"{self.url}/rig", data, timeout=30) as reply:
            told: dict[str, Any] = json.load(reply)
        return told

    def fault(self, operation: str, kind: str, after: int = 0, times: int = 1) -> None:
        """Asks for a fault."""
        self.set(faults=[{"operation": operation, "kind": kind, "after": after, "times": times}])

    def client(self, service: str, region: str = REGION, **rest: Any) -> Any:
        """A boto3 client that tries each request once."""
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=rest.pop("key", KEY),
            aws_secret_access_key=rest.pop("secret", SECRET),
            config=Config(
                retries={"total_max_attempts": 1},
                max_pool_connections=rest.pop("connections", 10),
            ),
        )
