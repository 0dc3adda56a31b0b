# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `passthrough`."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.meshsmith.universal.plugins.filter.envoy_resources import FilterModule as EnvoyResources
from ansible_collections.meshsmith.universal.plugins.filter.passthrough import FilterModule

passthrough = FilterModule().filters()["passthrough"]
envoy_resources = EnvoyResources().filters()["envoy_resources"]

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
OUT, IN = "outbound:passthrough:ipv4", "inbound:passthrough:ipv4"
ADDRESSES = """\
type: VirtualIPs
mesh: default
services:
  backend: 240.0.0.1
  web: 240.0.0.2
"""


@pytest.fixture
def transparent(site):
    """The demo's mesh with a web whose traffic is redirected."""
    file = site / "mesh" / "dataplanes" / "web.yaml"
    redirected = "  transparentProxying: {redirectPortInbound: 15006, redirectPortOutbound: 15001}\n"
    file.write_text(file.read_text().replace("networking:\n", f"networking:\n{redirected}"))
    (site / "mesh" / "addresses.yaml").write_text(ADDRESSES)
    return site


def switch_off(site):
    file = site / "mesh" / "mesh.yaml"
    file.write_text(f"{file.read_text()}networking: {{outbound: {{passthrough: false}}}}\n")


@pytest.mark.usefixtures("transparent")
def test_traffic_passes_unless_the_mesh_says_otherwise(context):
    found = passthrough(context, "mesh", "web")
    assert found == {
        "transparent": True,
        "passthrough": True,
        "listeners": [IN, OUT],
        "clusters": [IN, OUT],
        "connectTimeout": "10s",
        "idleTimeout": "1h",
    }
    cluster = envoy_resources(context, "mesh", "web")[CLUSTER][OUT]
    assert cluster["connectTimeout"] == found["connectTimeout"]


def test_off_leaves_the_listener_and_no_cluster(context, transparent):
    switch_off(transparent)
    found = passthrough(context, "mesh", "web")
    assert (found["transparent"], found["passthrough"]) == (True, False)
    assert (found["listeners"], found["clusters"]) == ([IN, OUT], [IN])
    resources = envoy_resources(context, "mesh", "web")
    assert OUT in resources[LISTENER]
    assert OUT not in resources[CLUSTER]


def test_without_redirection_there_is_nothing_to_pass(context, site):
    assert passthrough(context, "mesh", "web") == {"transparent": False}
    switch_off(site)
    assert passthrough(context, "mesh", "web") == {"transparent": False}


def test_a_dataplane_that_is_not_there_is_refused(context):
    with pytest.raises(AnsibleFilterError, match="there is no dataplane 'wep'; did you mean 'web'"):
        passthrough(context, "mesh", "wep")
