# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listeners and their network filters (Kuma 2.7: `inbound_proxy_generator.go`, `meshhttproute`, `meshtcproute`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import endpoint, names, route, type_urls

HTTP_CONNECTION_MANAGER = "envoy.filters.network.http_connection_manager"
TCP_PROXY = "envoy.filters.network.tcp_proxy"

# How long a connection may be idle where a TCP proxy says nothing of it.
TCP_IDLE_TIMEOUT = "1h"

# Networks that a default control plane counts as internal, in its order.
_INTERNAL_NETWORKS = (("10.0.0.0", 8), ("192.168.0.0", 16), ("172.16.0.0", 12), ("127.0.0.1", 32))


def inbound(
    address: str, port: int, bind: bool, tags: Mapping[str, str], filters: list[dict[str, Any]]
) -> dict[str, Any]:
    """Where other proxies reach this one."""
    return {
        **_listener(names.inbound_listener(address, port), "INBOUND", address, port, filters),
        **_service(bind, tags),
        "enableReusePort": False,
    }


def outbound(
    address: str, port: int, bind: bool, tags: Mapping[str, str], filters: list[dict[str, Any]]
) -> dict[str, Any]:
    """Where the application reaches one service."""
    return {
        **_listener(names.outbound_listener(address, port), "OUTBOUND", address, port, filters),
        **_service(bind, tags),
    }


def _service(bind: bool, tags: Mapping[str, str]) -> dict[str, Any]:
    """What the listener of a service has. One that does not bind gets its connections from a passthrough listener."""
    metadata = {"metadata": {"filterMetadata": {"io.kuma.tags": dict(tags)}}}
    return metadata if bind else {**metadata, "bindToPort": False}


def outbound_passthrough(family: names.Family, port: int, log: str | None) -> dict[str, Any]:
    """Where redirected connections of applications arrive. What is for no other listener goes where it was meant to.

    `log` is a file that has a line for each such connection once it is there, and one once it ends.
    """
    name = names.passthrough("outbound", family)
    proxy = tcp_proxy(names.stat(name), name)
    if log is not None:
        proxy["typedConfig"]["accessLog"] = [_connection_log(log)]
        # A connection that stays open for days is to be seen before it ends.
        proxy["typedConfig"]["accessLogOptions"] = {"flushAccessLogOnConnected": True}
    return {**_listener(name, "OUTBOUND", names.ANY_ADDRESS[family], port, [proxy]), "useOriginalDst": True}


def inbound_passthrough(family: names.Family, port: int) -> dict[str, Any]:
    """Where redirected connections of others arrive. What is for no inbound goes to the port that it was meant for."""
    name = names.passthrough("inbound", family)
    filters = [tcp_proxy(names.stat(name), name)]
    return {
        **_listener(name, "INBOUND", names.ANY_ADDRESS[family], port, filters),
        "useOriginalDst": True,
        "enableReusePort": False,
    }


def _connection_log(path: str) -> dict[str, Any]:
    members = {
        "time": "%START_TIME%",
        "event": "%ACCESS_LOG_TYPE%",
        "connection": "%CONNECTION_ID%",
        "destination": "%DOWNSTREAM_LOCAL_ADDRESS%",
        "received": "%UPSTREAM_WIRE_BYTES_RECEIVED%",
        "sent": "%UPSTREAM_WIRE_BYTES_SENT%",
        "duration": "%DURATION%",
        "flags": "%RESPONSE_FLAGS%",
    }
    return {
        "name": "envoy.access_loggers.file",
        "typedConfig": {"@type": type_urls.FILE_ACCESS_LOG, "path": path, "logFormat": {"jsonFormat": members}},
    }


def _listener(name: str, direction: str, address: str, port: int, filters: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "trafficDirection": direction,
        **endpoint.address(address, port),
        "filterChains": [{"filters": filters}],
    }


def put_routes(resource: Mapping[str, Any], **routes: Any) -> None:
    """Say where the connection manager has its routes from: `routeConfig` for inline ones, or `rds`."""
    for manager in filters_of(resource, HTTP_CONNECTION_MANAGER):
        manager.update(routes)


def filters_of(resource: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """The configurations of the filters of this name in the first filter chain, the only one that policies change."""
    for one in resource["filterChains"][0]["filters"]:
        if one["name"] == name:
            yield one["typedConfig"]


def route_actions(resource: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The `route` of every route that leads to a cluster, in the route configurations that stand inline."""
    for manager in filters_of(resource, HTTP_CONNECTION_MANAGER):
        yield from route.actions(manager["routeConfig"])


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


def http_connection_manager(stat_prefix: str, *, grpc: bool) -> dict[str, Any]:
    """Requests, routed by what `put_routes` says; `grpc` adds statistics of calls."""
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
        },
    }
