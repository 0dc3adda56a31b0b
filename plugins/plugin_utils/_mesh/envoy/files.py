# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How resources become files: endpoints and routes apart from clusters and listeners.

Endpoints stand in EDS files, so that a change of them resets no connection pool; routes stand in RDS files, so that a
change of them drains no listener.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import bootstrap
from .listener import HTTP_CONNECTION_MANAGER, put_routes


def cluster(resource: Mapping[str, Any], file_name: Callable[[str], str]) -> dict[str, Any]:
    """A cluster that finds its endpoints in a file of its own."""
    name = endpoints(resource)
    if name is None:
        return dict(resource)
    source = bootstrap.file_source("eds", file_name(name))
    return {**resource, "edsClusterConfig": {**resource["edsClusterConfig"], "edsConfig": source}}


def endpoints(resource: Mapping[str, Any]) -> str | None:
    """The name of the endpoints that a cluster finds in a file, None for one that finds none there."""
    if "edsClusterConfig" not in resource:
        return None
    name: str = resource["edsClusterConfig"].get("serviceName") or resource["name"]
    return name


def listener(resource: dict[str, Any], routes: str, file_name: Callable[[str], str]) -> dict[str, Any]:
    """A listener that finds its routes, of this name, in a file of its own."""
    put_routes(resource, rds=_rds(routes, file_name(resource["name"])))
    return resource


def split_listener(
    resource: Mapping[str, Any], file_name: Callable[[str], str]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """A listener without its inline routes, and the route configurations by the name of their file."""
    routes: dict[str, dict[str, Any]] = {}
    chains = []
    for chain in resource.get("filterChains", ()):
        filters = []
        for one in chain.get("filters", ()):
            if one.get("name") == HTTP_CONNECTION_MANAGER and "routeConfig" in one.get("typedConfig", {}):
                suffix = f"-{len(routes)}" if routes else ""
                name = file_name(resource["name"] + suffix)
                config = dict(one["typedConfig"])
                routes[name] = config.pop("routeConfig")
                config["rds"] = _rds(routes[name].get("name", ""), name)
                filters.append({**one, "typedConfig": config})
            else:
                filters.append(one)
        chains.append({**chain, "filters": filters})
    return {**resource, **({"filterChains": chains} if chains else {})}, routes


def _rds(routes: str, file: str) -> dict[str, Any]:
    return {"routeConfigName": routes, "configSource": bootstrap.file_source("rds", file)}
