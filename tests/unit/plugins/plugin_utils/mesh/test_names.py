# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that a control plane gives, too: a move from one to the other must not rename a resource."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api, release
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.envoy import names, route, tokens


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        pytest.param({}, "backend", id="the whole service"),
        pytest.param({"region": "eu"}, "backend-bb38a94289f18fb9", id="eu"),
        pytest.param({"region": "us"}, "backend-c72efb5be46fae6b", id="us"),
    ],
)
def test_outbound_clusters(tags: dict[str, str], name: str) -> None:
    subset = {"kuma.io/service": "backend", **tags} if tags else {}

    assert names.outbound_cluster("backend", subset) == name


def test_the_order_of_tags_does_not_change_the_name_of_a_cluster() -> None:
    tags = {"version": "v1", "region": "eu", "kuma.io/service": "backend"}

    assert names.outbound_cluster("backend", tags) == names.outbound_cluster("backend", dict(sorted(tags.items())))


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (names.local_cluster(8080), "localhost:8080"),
        (names.inbound_listener("192.0.2.1", 80), "inbound:192.0.2.1:80"),
        (names.inbound_listener("2001:db8::1", 80), "inbound:[2001:db8::1]:80"),
        (names.outbound_listener("127.0.0.1", 10001), "outbound:127.0.0.1:10001"),
        (names.outbound_listener("::1", 10001), "outbound:[::1]:10001"),
        (names.stat("localhost:8080"), "localhost_8080"),
        (names.stat("db.example:5432"), "db_example_5432"),
        (names.stat("Web_1-a"), "Web_1-a"),
    ],
)
def test_listeners_local_clusters_and_statistics(made: str, name: str) -> None:
    assert made == name


def test_the_default_route_is_named_after_what_it_matches() -> None:
    matches = b'[{"path":{"value":"/","type":"PathPrefix"}}]'

    assert base64.b64encode(hashlib.sha256(matches).digest()).decode() == route.DEFAULT_ROUTE


def test_files_have_the_names_of_resources_as_long_as_file_systems_take_them() -> None:
    assert release.file_name("s" * 200) == "s" * 200
    long, longer = release.file_name("s" * 201), release.file_name("s" * 202)
    assert len(long) == len(longer) == 200
    assert long != longer


@pytest.mark.parametrize(
    ("networking", "header"),
    [
        pytest.param(
            {"inbound": [{"port": 80, "tags": {"kuma.io/service": "web"}}]},
            "&kuma.io/service=web&&kuma.io/zone=default&",
            id="one inbound",
        ),
        pytest.param(
            {
                "inbound": [
                    {"port": 81, "state": "Ignored", "tags": {"version": "2", "kuma.io/service": "web"}},
                    {"port": 80, "tags": {"kuma.io/service": "web", "version": "1", "a": "x"}},
                    {"port": 82, "tags": {"kuma.io/service": "api", "version": "1"}},
                ]
            },
            "&a=x&&kuma.io/service=api,web&&kuma.io/zone=default&&version=1,2&",
            id="several inbounds, whatever their state",
        ),
        pytest.param(
            {"gateway": {"tags": {"kuma.io/service": "edge", "kuma.io/zone": "mine"}}},
            "&kuma.io/service=edge&&kuma.io/zone=default&",
            id="delegated gateway; the zone is the control plane's",
        ),
    ],
)
def test_source_tags(load_resources: Callable[..., api.Universe], networking: dict[str, Any], header: str) -> None:
    universe = load_resources(
        {
            "type": "Dataplane",
            "mesh": "default",
            "name": "web-1",
            "networking": {"address": "192.0.2.1", **networking},
        }
    )

    assert tokens.source_tags(universe.dataplane(universe.dataplanes[0]).tag_set()) == header
