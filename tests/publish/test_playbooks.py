"""The playbook publish_ec2 by its name, from the installed collection.

Those of vSphere and VirtualBox are tried beside their roles.
"""

from __future__ import annotations

import pytest

from tests.publish.test_pipeline import promoted, published
from tests.rigs.ec2.rig import REGION


@pytest.mark.long
def test_redis_is_baked_and_published(rig, desk):
    given = {"endpoint_url": rig.url, "region": REGION, "channel": "redis/stable"}
    desk.publish(
        "kiln.unikernel.publish_ec2",
        **{f"publish_ec2_{key}": value for key, value in given.items()},
    )
    assert [item["ImageId"] for item in published(rig)] == [promoted(rig, "redis")]
