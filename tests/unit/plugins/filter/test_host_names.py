# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `host_names`."""

from __future__ import annotations

from ansible_collections.meshsmith.universal.plugins.filter.host_names import FilterModule

host_names = FilterModule().filters()["host_names"]

WEB = {
    "type": "Dataplane",
    "mesh": "default",
    "name": "web-1",
    "networking": {
        "address": "192.0.2.1",
        "inbound": [{"port": 80, "tags": {"kuma.io/service": "web_front"}}],
        "transparentProxying": {"redirectPortInbound": 15006, "redirectPortOutbound": 15001},
    },
}
ADDRESSES = {"type": "VirtualIPs", "mesh": "default", "services": {"web_front": "240.0.0.1"}}


def test_every_name_of_a_service_leads_to_its_address(context):
    assert host_names(context, [WEB, ADDRESSES], "web-1") == {
        "web_front.mesh": "240.0.0.1",
        "web.front.mesh": "240.0.0.1",
    }


def test_a_dataplane_whose_traffic_is_not_redirected_has_none(context):
    assert host_names(context, "mesh", "web") == {}
