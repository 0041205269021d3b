# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What the ec2_* modules do in the same way, on top of amazon.aws' AnsibleAWSModule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.botocore import (
    get_aws_connection_info,
)
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.kiln.unikernel.plugins.module_utils._ec2 import Cloud, explain
from ansible_collections.kiln.unikernel.plugins.module_utils._publish import (
    Deadline,
    PublishError,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError

COMMON_SPEC: dict[str, Any] = {
    "regions": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "int", "default": 3600},
}
PARALLEL = 16


def run_ec2_module(
    body: Callable[[AnsibleAWSModule, Cloud], dict[str, Any]], spec: dict[str, Any], **rest: Any
) -> None:
    """Makes the module, runs its body, and ends with its result or with the sentence it raised."""
    module = AnsibleAWSModule(argument_spec=COMMON_SPEC | spec, supports_check_mode=True, **rest)
    if not module.region:
        module.fail_json(
            msg="Which region? Give `region`, or AWS_REGION in the environment, or a profile that "
            "has one."
        )
    try:
        result = body(module, cloud_of(module))
    except PublishError as problem:
        module.fail_json_aws_error(AnsibleAWSError(message=str(problem), exception=problem.cause))
    except KilnError as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(**result)


def cloud_of(module: AnsibleAWSModule) -> Cloud:
    """The account that the options name."""
    # One session for all clients: each would read the descriptions of the services again.
    # AnsibleAWSModule has seen to it that boto3 is there.
    from boto3.session import Session  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    timeout = module.params["timeout"]
    _region, endpoint, options = get_aws_connection_info(module)
    config = Config(
        user_agent_extra="kiln.unikernel",
        retries={"total_max_attempts": 1},
        connect_timeout=min(10, timeout),
        read_timeout=min(60, timeout),
        max_pool_connections=max(PARALLEL, module.params.get("parallel") or 0),
    ).merge(options.pop("aws_config", Config()))
    try:
        session = Session(profile_name=options.pop("profile_name", None))
    except BotoCoreError as problem:
        raise explain(problem, "connecting", str(module.region)) from problem

    def connect(service: str, region: str) -> Any:
        return session.client(
            service, region_name=region, endpoint_url=endpoint, config=config, **options
        )

    return Cloud(connect, Deadline(timeout), str(module.region))


def regions_of(module: AnsibleAWSModule, cloud: Cloud) -> list[str]:
    """The main region first, then the others, each once; checked to exist."""
    found = list(dict.fromkeys([cloud.region, *module.params["regions"]]))
    cloud.check_regions(found)
    return found
