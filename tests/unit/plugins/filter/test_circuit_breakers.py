# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `circuit_breakers`."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.meshsmith.universal.plugins.filter.circuit_breakers import FilterModule
from ansible_collections.meshsmith.universal.plugins.filter.envoy_resources import FilterModule as EnvoyResources

circuit_breakers = FilterModule().filters()["circuit_breakers"]
envoy_resources = EnvoyResources().filters()["envoy_resources"]

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
SKIPPING = 'skipCreatingInitialPolicies: ["*"]\n'
LIMITS = "connectionLimits: {maxConnections: 20, maxRetries: 7}"
DETECTION = "outlierDetection: {interval: 2s, detectors: {totalFailures: {consecutive: 4}}}"
WRITTEN = f"""\
type: MeshCircuitBreaker
mesh: default
name: breakers
spec:
  targetRef: {{kind: Mesh}}
  to:
    - targetRef: {{kind: MeshService, name: backend}}
      default:
        {LIMITS}
        {DETECTION}
"""


@pytest.fixture
def written(site):
    """The demo's mesh with limits and outlier detection."""
    file = site / "mesh" / "policies" / "breakers.yaml"
    file.write_text(WRITTEN)
    return file


@pytest.mark.usefixtures("written")
def test_they_are_those_of_the_services_cluster(context):
    found = circuit_breakers(context, "mesh", "web", "backend")
    assert found["circuitBreakers"] == {"thresholds": [{"maxConnections": 20, "maxRetries": 7}]}
    assert (found["outlierDetection"]["interval"], found["outlierDetection"]["consecutive5xx"]) == ("2s", 4)
    cluster = envoy_resources(context, "mesh", "web")[CLUSTER]["backend"]
    assert found == {key: cluster[key] for key in ("circuitBreakers", "outlierDetection")}


@pytest.mark.parametrize(
    ("left_out", "key"), [(DETECTION, "circuitBreakers"), (LIMITS, "outlierDetection")], ids=["limits", "detection"]
)
def test_what_no_policy_sets_is_left_out(context, written, left_out, key):
    written.write_text(WRITTEN.replace(left_out, ""))
    assert list(circuit_breakers(context, "mesh", "web", "backend")) == [key]


@pytest.mark.usefixtures("written")
def test_tags_name_a_subset(context):
    tags = {"kuma.io/service": "backend", "version": "v1"}
    assert circuit_breakers(context, "mesh", "web", tags) == circuit_breakers(context, "mesh", "web", "backend") != {}


def test_without_a_policy_there_are_none(context):
    assert circuit_breakers(context, "mesh", "web", "backend") == {}


def test_a_mesh_starts_with_limits(context, site):
    file = site / "mesh" / "mesh.yaml"
    assert SKIPPING in file.read_text()
    file.write_text(file.read_text().replace(SKIPPING, ""))

    def limits():
        (threshold,) = circuit_breakers(context, "mesh", "web", "backend")["circuitBreakers"]["thresholds"]
        return threshold

    initial = {"maxConnections": 1024, "maxPendingRequests": 1024, "maxRequests": 1024, "maxRetries": 3}
    assert limits() == initial
    (site / "mesh" / "policies" / "breakers.yaml").write_text(WRITTEN)
    assert limits() == {**initial, "maxConnections": 20, "maxRetries": 7}


@pytest.mark.usefixtures("written")
def test_the_same_name_in_two_meshes_needs_the_mesh(context, site):
    text = (site / "mesh" / "dataplanes" / "web.yaml").read_text().replace("mesh: default", "mesh: second")
    (site / "mesh" / "second.yaml").write_text(f"type: Mesh\nname: second\n{SKIPPING}---\n{text}")
    with pytest.raises(AnsibleFilterError, match="several meshes: default, second"):
        circuit_breakers(context, "mesh", "web", "backend")
    assert circuit_breakers(context, "mesh", "web", "backend", mesh_name="default") != {}
    assert circuit_breakers(context, "mesh", "web", "backend", mesh_name="second") == {}


def test_a_mesh_with_an_error_is_refused_with_the_place(context, written):
    written.write_text(WRITTEN.replace("maxRetries: 7", "maxRetry: 7"))
    with pytest.raises(
        AnsibleFilterError, match=r"mesh/policies/breakers.yaml:9:48: MESH010 .*did you mean 'maxRetries'"
    ):
        circuit_breakers(context, "mesh", "web", "backend")
