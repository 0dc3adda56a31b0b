# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Endpoints (Kuma 2.7: `endpoints/v3/endpoints.go`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# Address, port, and the tags without the service.
Endpoint = tuple[str, int, tuple[tuple[str, str], ...]]


def address(host: str, port: int) -> dict[str, Any]:
    return {"address": {"socketAddress": {"address": host, "portValue": port}}}


def load_assignment(cluster: str, zone: str, endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The endpoints of a cluster, which come sorted by address as text, then by port."""
    hosts = [
        {
            "endpoint": address(host, port),
            "loadBalancingWeight": 1,
            "metadata": {"filterMetadata": _metadata(dict(tags))},
        }
        for host, port, tags in endpoints
    ]
    assignment: dict[str, Any] = {"clusterName": cluster}
    if hosts:
        assignment["endpoints"] = [{"locality": {"zone": zone}, "lbEndpoints": hosts}]
    return assignment


def _metadata(tags: Mapping[str, str]) -> dict[str, Any]:
    return {"envoy.lb": tags, "envoy.transport_socket_match": tags}
