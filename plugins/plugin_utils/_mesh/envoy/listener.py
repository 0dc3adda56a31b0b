# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listeners and their network filters (Kuma 2.7: `inbound_proxy_generator.go`, `meshhttproute`, `meshtcproute`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import endpoint, names, type_urls

HTTP_CONNECTION_MANAGER = "envoy.filters.network.http_connection_manager"
TCP_PROXY = "envoy.filters.network.tcp_proxy"

# Networks that a default control plane counts as internal, in its order.
_INTERNAL_NETWORKS = (("10.0.0.0", 8), ("192.168.0.0", 16), ("172.16.0.0", 12), ("127.0.0.1", 32))


def inbound(address: str, port: int, tags: Mapping[str, str], filters: list[dict[str, Any]]) -> dict[str, Any]:
    """Where other proxies reach this one."""
    return {
        **_listener(names.inbound_listener(address, port), "INBOUND", address, port, tags, filters),
        "enableReusePort": False,
    }


def outbound(address: str, port: int, tags: Mapping[str, str], filters: list[dict[str, Any]]) -> dict[str, Any]:
    """Where the application reaches one service."""
    return _listener(names.outbound_listener(address, port), "OUTBOUND", address, port, tags, filters)


def _listener(
    name: str, direction: str, address: str, port: int, tags: Mapping[str, str], filters: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "name": name,
        "trafficDirection": direction,
        **endpoint.address(address, port),
        "metadata": {"filterMetadata": {"io.kuma.tags": dict(tags)}},
        "filterChains": [{"filters": filters}],
    }


def filters_of(resource: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """The configurations of the filters of this name in the first filter chain, the only one that policies change."""
    for one in resource["filterChains"][0]["filters"]:
        if one["name"] == name:
            yield one["typedConfig"]


def route_actions(resource: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The `route` of every route that leads to a cluster, in the route configurations that stand inline."""
    for manager in filters_of(resource, HTTP_CONNECTION_MANAGER):
        for host in manager["routeConfig"]["virtualHosts"]:
            for route in host["routes"]:
                if "route" in route:
                    yield route["route"]


def tcp_proxy(stat_prefix: str, cluster: str) -> dict[str, Any]:
    """Bytes from here to the cluster."""
    return {
        "name": TCP_PROXY,
        "typedConfig": {"@type": type_urls.TCP_PROXY, "statPrefix": stat_prefix, "cluster": cluster},
    }


def kafka_broker(stat_prefix: str) -> dict[str, Any]:
    """Statistics of Kafka requests. Part of Envoy's contrib builds only."""
    return {
        "name": "envoy.filters.network.kafka_broker",
        "typedConfig": {"@type": type_urls.KAFKA_BROKER, "statPrefix": stat_prefix},
    }


def http_connection_manager(stat_prefix: str, route_config: dict[str, Any], *, grpc: bool) -> dict[str, Any]:
    """Requests, routed by a route configuration that stands inline; `grpc` adds statistics of calls."""
    http_filters: list[dict[str, Any]] = [
        {"name": "envoy.filters.http.router", "typedConfig": {"@type": type_urls.ROUTER}}
    ]
    if grpc:
        stats = {"@type": type_urls.GRPC_STATS, "emitFilterState": True}
        http_filters.insert(0, {"name": "envoy.filters.http.grpc_stats", "typedConfig": stats})
    return {
        "name": HTTP_CONNECTION_MANAGER,
        "typedConfig": {
            "@type": type_urls.HTTP_CONNECTION_MANAGER,
            "statPrefix": stat_prefix,
            "internalAddressConfig": {
                "cidrRanges": [{"addressPrefix": prefix, "prefixLen": length} for prefix, length in _INTERNAL_NETWORKS]
            },
            "httpFilters": http_filters,
            "routeConfig": route_config,
        },
    }
