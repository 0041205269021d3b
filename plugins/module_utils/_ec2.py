# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""The way to AWS: clients by amazon.aws' options, retries within the deadline, errors as sentences.

`Cloud.call` is the only place where a botocore error is caught. It tries again what may pass
(throttling, 5xx, a lost connection) and turns the rest into a PublishError that says what to do;
`code` of it is AWS' own code. botocore's own retries are off: they know nothing of the deadline.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Deadline,
    Patience,
    PublishError,
)

try:
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        EndpointConnectionError,
        HTTPClientError,
        InvalidRegionError,
        NoCredentialsError,
        PartialCredentialsError,
    )

    HAS_BOTO = True
except ImportError:
    HAS_BOTO = False

_AGAIN = {
    "RequestThrottledException",
    "ThrottlingException",
    "Throttling",
    "RequestLimitExceeded",
    "SlowDown",
    "TooManyRequestsException",
    "InternalServerException",
    "InternalError",
    "InternalFailure",
    "ServiceUnavailable",
    "Unavailable",
    "RequestTimeout",
    "RequestTimeoutException",
}
_CREDENTIALS = {
    "AuthFailure",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
}
_ACCESS = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}

Connect = Callable[[str, str], Any]


class AwsError(PublishError):
    """What AWS said, as a sentence; `code` is AWS' word for it."""

    def __init__(self, message: str, cause: BaseException, code: str) -> None:
        super().__init__(message, cause)
        self.code = code


class Cloud:
    """Clients of one account. `connect(service, region)` makes a client."""

    def __init__(self, connect: Connect, deadline: Deadline, region: str) -> None:
        self._connect = connect
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()
        self.deadline = deadline
        self.patience = Patience(deadline)
        self.region = region

    def client(self, service: str, region: str) -> Any:
        """A client, made once; boto3's sessions are not to be used by two threads at a time."""
        with self._lock:
            key = (service, region)
            if key not in self._clients:
                try:
                    self._clients[key] = self._connect(service, region)
                except (BotoCoreError, ValueError) as problem:
                    raise explain(problem, f"connecting to {service}", region) from problem
            return self._clients[key]

    def call(
        self,
        service: str,
        region: str,
        operation: str,
        also_again: frozenset[str] = frozenset(),
        **parameters: Any,
    ) -> dict[str, Any]:
        """One operation, tried again while that may help."""
        doing = f"calling {operation} in {region}"
        given = {key: value for key, value in parameters.items() if value is not None}
        try:
            method = getattr(self.client(service, region), operation)
            return self.patience.keep(
                lambda: method(**given), lambda problem: may_pass(problem, also_again), doing
            )
        except (ClientError, BotoCoreError) as problem:
            raise explain(problem, operation, region) from problem

    def pages(
        self, service: str, region: str, operation: str, member: str, **parameters: Any
    ) -> list[dict[str, Any]]:
        """All entries of a listing, whatever its pages."""
        found: list[dict[str, Any]] = []
        token: str | None = None
        while True:
            page = self.call(service, region, operation, NextToken=token, **parameters)
            found += page.get(member, [])
            token = page.get("NextToken")
            if not token:
                return found

    def check_regions(self, wanted: list[str]) -> None:
        """Fails for a region that AWS does not have or this account has not turned on."""
        told = self.call("ec2", self.region, "describe_regions", AllRegions=True)
        known = {item["RegionName"]: item.get("OptInStatus") for item in told["Regions"]}
        for name in wanted:
            if name not in known:
                raise PublishError(
                    f"There is no region {name}; the regions are {', '.join(sorted(known))}."
                )
            if known[name] == "not-opted-in":
                raise PublishError(
                    f"The region {name} is not turned on for this account; turn it on in the "
                    "account's settings, or leave it out of `regions`."
                )


def may_pass(problem: Exception, also: frozenset[str] = frozenset()) -> bool:
    """Whether the same request may work a moment later."""
    if isinstance(problem, ClientError):
        status = problem.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code_of(problem) in _AGAIN | also or status >= 500
    if isinstance(problem, EndpointConnectionError):
        return "Name or service not known" not in str(problem)
    return isinstance(problem, HTTPClientError)


def code_of(problem: BaseException) -> str:
    """AWS' code, or the kind of a local error."""
    if isinstance(problem, ClientError):
        return str(problem.response.get("Error", {}).get("Code", ""))
    return type(problem).__name__


def explain(problem: Exception, operation: str, region: str) -> AwsError:
    """The sentence for an error that will not pass."""
    code = code_of(problem)
    text = problem.response["Error"].get("Message", "") if isinstance(problem, ClientError) else ""
    return AwsError(_sentence(problem, code, text, operation, region), problem, code)


def _sentence(problem: Exception, code: str, text: str, operation: str, region: str) -> str:
    if "valid region" in text or isinstance(problem, InvalidRegionError):
        return f"There is no region {region}, or it is not turned on for this account"
    if isinstance(problem, (NoCredentialsError, PartialCredentialsError)):
        return (
            "There are no AWS credentials; give `profile`, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY in the environment, or run on a machine with a role"
        )
    if code in _CREDENTIALS:
        return (
            f"AWS has refused the credentials in {region} ({code}); check the key, its secret and "
            "whether they have expired"
        )
    if code in _ACCESS:
        return f"These credentials may not call {operation} in {region} ({code}); allow it by IAM"
    if isinstance(problem, (HTTPClientError, EndpointConnectionError)):
        return (
            f"The connection to AWS in {region} was lost while calling {operation}; nothing was "
            "registered that is not complete. Check `region`, `endpoint_url` and the network, and "
            "run this again to go on where it stopped"
        )
    return f"{operation} failed in {region} ({code})"


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    """Tags as AWS takes them."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def tag_dict(tags: list[dict[str, str]] | None) -> dict[str, str]:
    """Tags as AWS gives them."""
    return {item["Key"]: item["Value"] for item in tags or []}
