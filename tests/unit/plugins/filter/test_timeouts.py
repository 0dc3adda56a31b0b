# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `timeouts`."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.meshsmith.universal.plugins.filter.envoy_resources import FilterModule as EnvoyResources
from ansible_collections.meshsmith.universal.plugins.filter.timeouts import FilterModule

timeouts = FilterModule().filters()["timeouts"]
envoy_resources = EnvoyResources().filters()["envoy_resources"]

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
SKIPPING = 'skipCreatingInitialPolicies: ["*"]\n'
WRITTEN = """\
type: MeshTimeout
mesh: default
name: timeouts
spec:
  targetRef: {kind: Mesh}
  to:
    - targetRef: {kind: MeshService, name: backend}
      default:
        connectionTimeout: 250ms
        idleTimeout: 20s
        http: {requestTimeout: 7s, maxStreamDuration: 1m}
"""


@pytest.fixture
def written(site):
    """The demo's mesh with timeouts."""
    file = site / "mesh" / "policies" / "timeouts.yaml"
    file.write_text(WRITTEN)
    return file


def with_initial_policies(site):
    file = site / "mesh" / "mesh.yaml"
    assert SKIPPING in file.read_text()
    file.write_text(file.read_text().replace(SKIPPING, ""))


def proxied_as_tcp(site):
    for file in (site / "mesh" / "dataplanes").iterdir():
        file.write_text(file.read_text().replace("kuma.io/protocol: http", "kuma.io/protocol: tcp"))


@pytest.mark.usefixtures("written")
def test_they_are_those_of_cluster_listener_and_route(context):
    found = timeouts(context, "mesh", "web", "backend")
    assert found == {
        "connectionTimeout": "0.250s",
        "idleTimeout": "20s",
        "maxConnectionDuration": "0s",
        "maxStreamDuration": "60s",
        "requestHeadersTimeout": "0s",
        "requestTimeout": "7s",
        "streamIdleTimeout": "1800s",
    }
    cluster = envoy_resources(context, "mesh", "web")[CLUSTER]["backend"]
    assert cluster["connectTimeout"] == found["connectionTimeout"]


@pytest.mark.usefixtures("written")
def test_a_service_proxied_as_tcp_has_no_requests(context, site):
    proxied_as_tcp(site)
    assert timeouts(context, "mesh", "web", "backend") == {"connectionTimeout": "0.250s", "idleTimeout": "20s"}


@pytest.mark.usefixtures("written")
def test_tags_name_a_subset(context):
    tags = {"kuma.io/service": "backend", "version": "v1"}
    assert timeouts(context, "mesh", "web", tags) == timeouts(context, "mesh", "web", "backend")


def test_without_a_policy_there_are_none(context, site):
    assert timeouts(context, "mesh", "web", "backend") == {"requestTimeout": "0s"}
    proxied_as_tcp(site)
    assert timeouts(context, "mesh", "web", "backend") == {}


def test_a_mesh_starts_with_timeouts(context, site):
    with_initial_policies(site)
    found = timeouts(context, "mesh", "web", "backend")
    assert (found["connectionTimeout"], found["requestTimeout"]) == ("5s", "15s")
    (site / "mesh" / "policies" / "timeouts.yaml").write_text(WRITTEN)
    written = timeouts(context, "mesh", "web", "backend")
    assert (written["connectionTimeout"], written["requestTimeout"]) == ("0.250s", "7s")


@pytest.mark.usefixtures("written")
def test_the_same_name_in_two_meshes_needs_the_mesh(context, site):
    text = (site / "mesh" / "dataplanes" / "web.yaml").read_text().replace("mesh: default", "mesh: second")
    (site / "mesh" / "second.yaml").write_text(f"type: Mesh\nname: second\n{SKIPPING}---\n{text}")
    with pytest.raises(AnsibleFilterError, match="several meshes: default, second"):
        timeouts(context, "mesh", "web", "backend")
    assert timeouts(context, "mesh", "web", "backend", mesh_name="default")["requestTimeout"] == "7s"
    assert "connectionTimeout" not in timeouts(context, "mesh", "web", "backend", mesh_name="second")


def test_a_mesh_with_an_error_is_refused_with_the_place(context, written):
    written.write_text(WRITTEN.replace("250ms", "250"))
    with pytest.raises(AnsibleFilterError, match=r"mesh/policies/timeouts.yaml:9:9: MESH012 "):
        timeouts(context, "mesh", "web", "backend")
