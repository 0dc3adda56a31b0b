# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `envoy_resources`."""

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.meshsmith.universal.plugins.filter.envoy_resources import FilterModule

envoy_resources = FilterModule().filters()["envoy_resources"]

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"


def test_it_is_the_whole_set_by_type_and_name(context):
    resources = envoy_resources(context, "mesh", "web")
    assert set(resources[CLUSTER]) == {"backend", "localhost:21081"}
    assert set(resources[LISTENER]) == {"inbound:127.77.0.1:21080", "outbound:127.77.0.1:21000"}
    endpoints = json.dumps(resources[ENDPOINTS]["backend"])
    assert "127.77.0.2" in endpoints
    assert "127.77.0.3" in endpoints
    assert resources[CLUSTER]["backend"]["healthChecks"][0]["httpHealthCheck"]["path"] == "/health"


def test_it_is_that_of_the_dataplane(context):
    resources = envoy_resources(context, "mesh", "backend-1")
    assert set(resources[LISTENER]) == {"inbound:127.77.0.2:21080"}


def kafka_filters(resources):
    return json.dumps(resources).count("KafkaBroker")


def test_kafka_needs_an_envoy_that_has_it(context, site):
    for file in (site / "mesh" / "dataplanes").iterdir():
        file.write_text(file.read_text().replace("kuma.io/protocol: http", "kuma.io/protocol: kafka"))
    assert kafka_filters(envoy_resources(context, "mesh", "web")) == 0
    assert kafka_filters(envoy_resources(context, "mesh", "web", envoy_has_kafka=True)) > 0


OWN = f"""{{% if dataplane.name == 'web' %}}
"@type": {CLUSTER}
name: own
connect_timeout: {{{{ services.backend.endpoints | length }}}}s
{{% endif %}}
"""


def test_what_templates_yield_is_in_it(context, site):
    (site / "templates").mkdir()
    (site / "templates" / "own.yaml.j2").write_text(OWN)
    found = envoy_resources(context, "mesh", "web", templates="templates")[CLUSTER]["own"]
    assert found == {"name": "own", "connectTimeout": "2s"}
    assert "own" not in envoy_resources(context, "mesh", "web")[CLUSTER]
    assert "own" not in envoy_resources(context, "mesh", "backend-1", templates="templates")[CLUSTER]


def test_what_is_wrong_with_templates_fails_it(context, site):
    (site / "templates").mkdir()
    (site / "templates" / "own.yaml.j2").write_text(OWN.replace("services.backend", "services.backnd"))
    message = r"own\.yaml\.j2:4:1: MESH260 there is no 'backnd'; did you mean 'backend'\?"
    with pytest.raises(AnsibleFilterError, match=message):
        envoy_resources(context, "mesh", "web", templates="templates")
    assert "own" not in envoy_resources(context, "mesh", "backend-1", templates="templates")[CLUSTER]
    with pytest.raises(AnsibleFilterError, match="templates must be a string"):
        envoy_resources(context, "mesh", "web", templates=["templates"])
