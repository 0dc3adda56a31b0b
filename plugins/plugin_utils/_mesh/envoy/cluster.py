# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters (Kuma 2.7: `inbound_proxy_generator.go`, `meshroute/clusters.go`)."""

from __future__ import annotations

from typing import Any, Literal

from . import endpoint, names, type_urls

# Documented so; Kuma has had 5s since 2.6.
PASSTHROUGH_CONNECT_TIMEOUT = "10s"

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def local(address: str, port: int, http_version: int | None, exempt: bool) -> dict[str, Any]:
    """The application behind an inbound; `http_version` 1 or 2 says how it is spoken to, None is plain TCP.

    With `exempt` connections come from an address that keeps them from being redirected once more.
    """
    name = names.local_cluster(port)
    cluster: dict[str, Any] = {
        "name": name,
        "altStatName": names.stat(name),
        "type": "STATIC",
        "connectTimeout": "10s",
        "loadAssignment": {
            "clusterName": name,
            "endpoints": [{"lbEndpoints": [{"endpoint": endpoint.address(address, port)}]}],
        },
    }
    if http_version is not None:
        explicit = "httpProtocolOptions" if http_version == 1 else "http2ProtocolOptions"
        cluster["typedExtensionProtocolOptions"] = {
            _HTTP_OPTIONS: {
                "@type": type_urls.HTTP_PROTOCOL_OPTIONS,
                "commonHttpProtocolOptions": {"idleTimeout": "7200s"},
                "explicitHttpConfig": {explicit: {}},
            }
        }
    if exempt:
        cluster["upstreamBindConfig"] = _bind_config("ipv6" if ":" in address else "ipv4")
    return cluster


def passthrough(direction: Literal["inbound", "outbound"], family: names.Family) -> dict[str, Any]:
    """Wherever a redirected connection was meant to go."""
    name = names.passthrough(direction, family)
    cluster = {
        "name": name,
        "altStatName": names.stat(name),
        "type": "ORIGINAL_DST",
        "lbPolicy": "CLUSTER_PROVIDED",
        "connectTimeout": PASSTHROUGH_CONNECT_TIMEOUT,
    }
    return cluster if direction == "outbound" else {**cluster, "upstreamBindConfig": _bind_config(family)}


def _bind_config(family: names.Family) -> dict[str, Any]:
    return {"sourceAddress": {"address": names.SOURCE_ADDRESS[family], "portValue": 0}}


def common_http_options(resource: dict[str, Any]) -> dict[str, Any]:
    """The options that a cluster has for HTTP of any version; what is put into them counts."""
    options = resource["typedExtensionProtocolOptions"][_HTTP_OPTIONS]
    common: dict[str, Any] = options.setdefault("commonHttpProtocolOptions", {})
    return common


def outbound(name: str) -> dict[str, Any]:
    """A service of the mesh. Proxies speak HTTP/2 to each other whatever the service's protocol."""
    cluster: dict[str, Any] = {
        "name": name,
        "type": "EDS",
        "edsClusterConfig": {"edsConfig": {"ads": {}, "resourceApiVersion": "V3"}},
        "typedExtensionProtocolOptions": {
            _HTTP_OPTIONS: {
                "@type": type_urls.HTTP_PROTOCOL_OPTIONS,
                "explicitHttpConfig": {"http2ProtocolOptions": {}},
            }
        },
    }
    if names.stat(name) != name:
        cluster["altStatName"] = names.stat(name)
    return cluster
