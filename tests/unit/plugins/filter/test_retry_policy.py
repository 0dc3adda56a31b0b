# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `retry_policy`."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.meshsmith.universal.plugins.filter.envoy_resources import FilterModule as EnvoyResources
from ansible_collections.meshsmith.universal.plugins.filter.retry_policy import FilterModule

retry_policy = FilterModule().filters()["retry_policy"]
envoy_resources = EnvoyResources().filters()["envoy_resources"]

LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
RETRIES = """\
type: MeshRetry
mesh: default
name: retries
spec:
  targetRef: {kind: Mesh}
  to:
    - targetRef: {kind: Mesh}
      default:
        http: {numRetries: 4, retryOn: ["503"], perTryTimeout: 2s}
        tcp: {maxConnectAttempt: 6}
"""


@pytest.fixture
def retries(site):
    """The demo's mesh with retries."""
    file = site / "mesh" / "policies" / "retries.yaml"
    file.write_text(RETRIES)
    return file


def proxied_as_tcp(site):
    for file in (site / "mesh" / "dataplanes").iterdir():
        file.write_text(file.read_text().replace("kuma.io/protocol: http", "kuma.io/protocol: tcp"))


def members(value, name):
    """The values of all members of this name, however deep."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from [item] if key == name else members(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from members(item, name)


@pytest.mark.usefixtures("retries")
def test_it_is_that_of_the_route(context):
    policy = retry_policy(context, "mesh", "web", "backend")
    assert policy == {
        "retryOn": "gateway-error,connect-failure,refused-stream,retriable-status-codes",
        "perTryTimeout": "2s",
        "numRetries": 4,
        "retriableStatusCodes": [503],
    }
    assert list(members(envoy_resources(context, "mesh", "web")[LISTENER], "retryPolicy")) == [policy]


@pytest.mark.usefixtures("retries")
def test_a_service_proxied_as_tcp_has_attempts(context, site):
    proxied_as_tcp(site)
    assert retry_policy(context, "mesh", "web", "backend") == {"maxConnectAttempts": 6}


@pytest.mark.usefixtures("retries")
def test_tags_name_a_subset(context):
    tags = {"kuma.io/service": "backend", "version": "v1"}
    assert retry_policy(context, "mesh", "web", tags) == retry_policy(context, "mesh", "web", "backend") != {}


def test_without_a_policy_there_is_none(context, site):
    assert retry_policy(context, "mesh", "web", "backend") == {}
    proxied_as_tcp(site)
    assert retry_policy(context, "mesh", "web", "backend") == {}


@pytest.mark.usefixtures("retries")
def test_the_same_name_in_two_meshes_needs_the_mesh(context, site):
    text = (site / "mesh" / "dataplanes" / "web.yaml").read_text().replace("mesh: default", "mesh: second")
    (site / "mesh" / "second.yaml").write_text(f"type: Mesh\nname: second\n{text}")
    with pytest.raises(AnsibleFilterError, match="several meshes: default, second"):
        retry_policy(context, "mesh", "web", "backend")
    assert retry_policy(context, "mesh", "web", "backend", mesh_name="default")["numRetries"] == 4
    assert retry_policy(context, "mesh", "web", "backend", mesh_name="second") == {}


def test_a_mesh_with_an_error_is_refused_with_the_place(context, retries):
    retries.write_text(RETRIES.replace("503", "5xxx"))
    with pytest.raises(AnsibleFilterError, match=r"mesh/policies/retries.yaml:9:41: MESH211 .*did you mean '5xx'"):
        retry_policy(context, "mesh", "web", "backend")
