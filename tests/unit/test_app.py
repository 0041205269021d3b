from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import _app
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError

TOP = Path(__file__).resolve().parents[2]
LEAST = {"version": 1, "name": "x", "argv": ["/bin/x"]}


def test_describe_leaves_out_what_is_not_set():
    assert _app.describe({"name": "x", "argv": ["/bin/x"], "hostname": None}) == LEAST


def test_describe_writes_booleans_of_the_environment_as_yaml_means_them():
    app = _app.describe({"name": "x", "argv": ["/bin/x"], "env": {"A": True, "N": 3, "S": "s"}})
    assert app["env"] == {"A": "true", "N": "3", "S": "s"}


def test_describe_drops_unset_suboptions():
    mounts = [{"path": "/tmp", "type": "tmpfs", "size": None, "copy": False}]
    network = {"mode": "dhcp", "address": None, "gateway": None, "dns": None, "wait": True}
    app = _app.describe({"name": "x", "argv": ["/bin/x"], "mounts": mounts, "network": network})
    assert app["mounts"] == [{"path": "/tmp", "type": "tmpfs", "copy": False}]
    assert app["network"] == {"mode": "dhcp", "wait": True}


@pytest.mark.parametrize(
    ("facts", "name"),
    [({}, "x"), ({"hostname": "web-1"}, "web-1"), ({"name": "a.b"}, "kiln")],
)
def test_the_host_name_is_the_one_that_the_kernel_takes(facts, name):
    assert _app.host_name({**LEAST, **facts}) == name


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"argv": []}, "argv"),
        ({"argv": ["bin/x"]}, "argv[0]"),
        ({"argv": ["/bin/x", "a\0b"]}, "argv[1]"),
        ({"name": "Not Good"}, "name"),
        ({"version": 2}, "version"),
        ({"env": {"A=B": "c"}}, "env"),
        ({"cwd": "relative"}, "cwd"),
        ({"mounts": [{"path": "/d", "type": "ext4"}]}, "mounts[0].type"),
        ({"mounts": [{"path": "/d", "type": "tmpfs", "size": "64M"}]}, "mounts[0].size"),
        ({"network": {"mode": "static"}}, "network"),
        ({"network": {"mode": "dhcp", "address": "192.0.2.1/24"}}, "network"),
        ({"at_exit": "explode"}, "at_exit"),
        ({"overrides": ["kernel"]}, "overrides[0]"),
        ({"colour": "blue"}, "its top"),
    ],
)
def test_validate_names_the_place_of_what_is_wrong(change, place):
    with pytest.raises(KilnError) as caught:
        _app.validate({**LEAST, **change})
    assert f"not valid at {place}:" in str(caught.value)


def test_render_is_one_spelling():
    text = _app.render({"b": 1, "a": "ü"})
    assert text == '{\n "a": "\\u00fc",\n "b": 1\n}\n'


def test_the_published_schema_is_the_one_that_is_applied():
    published = json.loads((TOP / "docs/app.schema.json").read_text())
    assert published == _app.SCHEMA
