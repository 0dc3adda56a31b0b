# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fragments: made once for all dataplanes that can have the same, and never changed by any of them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.envoy import type_urls
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.proxy import Compiler, Placed, Proxy

Load = Callable[..., api.Universe]

WEB_1, WEB_2 = api.DataplaneId("default", "web-1"), api.DataplaneId("default", "web-2")
SHARED = [
    (type_urls.CLUSTER, "backend"),
    (type_urls.CLUSTER_LOAD_ASSIGNMENT, "backend"),
    (type_urls.LISTENER, "outbound:127.0.0.1:10001"),
]


def sidecar(name: str, service: str, port: int, **tags: str) -> dict[str, Any]:
    return {
        "type": "Dataplane",
        "mesh": "default",
        "name": name,
        "networking": {
            "address": "192.0.2.1",
            "inbound": [
                {
                    "port": port,
                    "servicePort": 8080,
                    "tags": {"kuma.io/service": service, "kuma.io/protocol": "http", **tags},
                }
            ],
            "outbound": [{"port": 10001, "tags": {"kuma.io/service": "backend"}}],
        },
    }


@pytest.fixture
def universe(load_resources: Load) -> api.Universe:
    item = {"targetRef": {"kind": "Mesh"}, "default": {"http": {"expectedStatuses": [200]}, "tcp": {}}}
    special = {"targetRef": {"kind": "Mesh"}, "default": {"interval": "5s", "http": {}}}
    return load_resources(
        sidecar("web-1", "web", 80),
        sidecar("web-2", "web", 81, version="v2"),
        sidecar("other-1", "other", 82),
        sidecar("backend-1", "backend", 83),
        {
            "type": "MeshHealthCheck",
            "mesh": "default",
            "name": "hc",
            "spec": {"targetRef": {"kind": "Mesh"}, "to": [item]},
        },
        {
            "type": "MeshHealthCheck",
            "mesh": "default",
            "name": "for-other",
            "spec": {"targetRef": {"kind": "MeshService", "name": "other"}, "to": [special]},
        },
    )


@pytest.fixture
def proxies(universe: api.Universe) -> dict[str, Proxy]:
    compiler = Compiler(universe.indexes["default"])
    return {one.name: compiler.proxy(universe.dataplane(one), api.Target()) for one in universe.dataplanes}


def placed(proxies: dict[str, Proxy]) -> Iterator[Placed]:
    return (one for proxy in proxies.values() for named in proxy.resources.values() for one in named.values())


@pytest.mark.parametrize(("type_url", "name"), SHARED)
def test_dataplanes_share_what_is_made_of_the_same(proxies: dict[str, Proxy], type_url: str, name: str) -> None:
    one, other = (proxies[dataplane].resources[type_url][name].fragment for dataplane in ("web-1", "web-2"))

    assert one is other


def test_another_configuration_is_another_fragment(proxies: dict[str, Proxy]) -> None:
    web, other = (proxies[dataplane].resources[type_urls.CLUSTER]["backend"] for dataplane in ("web-1", "other-1"))

    assert web.fragment is not other.fragment
    assert [maker.name for maker in web.makers] == ["hc"]
    assert [maker.name for maker in other.makers] == ["for-other", "hc"]


def test_shared_fragments_name_each_source(universe: api.Universe) -> None:
    for dataplane, tags in [
        (WEB_1, "&kuma.io/protocol=http&&kuma.io/service=web&&kuma.io/zone=default&"),
        (WEB_2, "&kuma.io/protocol=http&&kuma.io/service=web&&kuma.io/zone=default&&version=v2&"),
    ]:
        listener = api.compile_proxy(universe, dataplane)[type_urls.LISTENER]["outbound:127.0.0.1:10001"]
        [check] = api.health_checks(universe, dataplane, "backend")
        header = {"header": {"key": "x-kuma-tags", "value": tags}}

        assert check["httpHealthCheck"]["requestHeadersToAdd"] == [header]
        [manager] = listener["filterChains"][0]["filters"]
        assert manager["typedConfig"]["routeConfig"]["requestHeadersToAdd"] == [header]


def test_a_resource_is_made_of_its_key_alone(proxies: dict[str, Proxy]) -> None:
    for one in placed(proxies):
        resource = one.fragment.resource()
        before = copy.deepcopy(resource)
        spoil(resource)

        assert one.fragment.resource() == before


def test_what_was_handed_out_can_be_changed_without_harm(universe: api.Universe) -> None:
    def everything() -> str:
        made = [
            (
                api.compile_release(universe, dataplane).document.decode(),
                api.compile_proxy(universe, dataplane),
                api.health_checks(universe, dataplane, "backend"),
                api.effective(universe, "MeshHealthCheck", dataplane, "backend"),
            )
            for dataplane in universe.dataplanes
        ]
        text = json.dumps(made)
        for _document, *values in made:
            spoil(values)
        return text

    assert everything() == everything()


def spoil(value: Any) -> None:
    """Empty everything that can be changed, however deep."""
    for member in list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []:
        spoil(member)
    if isinstance(value, (dict, list)):
        value.clear()
