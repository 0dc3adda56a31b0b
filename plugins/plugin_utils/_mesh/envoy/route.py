# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Route configurations (Kuma 2.7: `inbound_proxy_generator.go`, `meshhttproute/listeners.go`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import tokens

# Base64 of the SHA-256 of [{"path":{"value":"/","type":"PathPrefix"}}]: the name of the route that takes everything.
DEFAULT_ROUTE = "9Zuf5Tg79OuZcQITwBbQykxAk2u4fRKrwYn3//AL4Yo="


def inbound_name(service: str) -> str:
    return f"inbound:{service}"


def outbound_name(service: str) -> str:
    return f"outbound:{service}"


def inbound(service: str, cluster: str) -> dict[str, Any]:
    """All requests to the application; who sent them stays between the proxies."""
    return {
        "name": inbound_name(service),
        "validateClusters": False,
        "requestHeadersToRemove": ["x-kuma-tags"],
        "virtualHosts": [_virtual_host(service, {"match": {"prefix": "/"}, "route": _to(cluster)})],
    }


def outbound(service: str, cluster: str) -> dict[str, Any]:
    """All requests to one service of the mesh."""
    return {
        "name": outbound_name(service),
        "validateClusters": False,
        "requestHeadersToAdd": [{"header": {"key": "x-kuma-tags", "value": tokens.SOURCE_TAGS}}],
        "virtualHosts": [
            _virtual_host(service, {"name": DEFAULT_ROUTE, "match": {"prefix": "/"}, "route": _to(cluster)})
        ],
    }


def actions(config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The `route` of every route that leads to a cluster."""
    for host in config["virtualHosts"]:
        for route in host["routes"]:
            if "route" in route:
                yield route["route"]


def _virtual_host(service: str, route: dict[str, Any]) -> dict[str, Any]:
    return {"name": service, "domains": ["*"], "routes": [route]}


def _to(cluster: str) -> dict[str, Any]:
    return {"cluster": cluster, "timeout": "0s"}
