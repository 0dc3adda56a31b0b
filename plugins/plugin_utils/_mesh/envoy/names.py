# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of Envoy resources, the same that Kuma gives them (`pkg/xds/envoy/names`, `pkg/xds/envoy/tags`)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Literal

Family = Literal["ipv4", "ipv6"]

# By family: all addresses of a host, and the source of connections that are not to be redirected once more.
ANY_ADDRESS: Mapping[Family, str] = {"ipv4": "0.0.0.0", "ipv6": "::"}  # noqa: S104 -- as Kuma has it
SOURCE_ADDRESS: Mapping[Family, str] = {"ipv4": "127.0.0.6", "ipv6": "::6"}

_NOT_IN_STATS = re.compile(r"[^A-Za-z0-9_-]")


def local_cluster(port: int) -> str:
    return f"localhost:{port}"


def inbound_listener(address: str, port: int) -> str:
    return f"inbound:{_host(address)}:{port}"


def outbound_listener(address: str, port: int) -> str:
    return f"outbound:{_host(address)}:{port}"


def passthrough(direction: Literal["inbound", "outbound"], family: Family) -> str:
    """The listener and the cluster for redirected traffic that is not of the mesh."""
    return f"{direction}:passthrough:{family}"


def outbound_cluster(service: str, subset: Mapping[str, str]) -> str:
    """The service, with a hash behind it when tags besides the service select among its endpoints (`tags/match.go`).

    `subset` holds all tags, `kuma.io/service` among them when there are others; empty for the whole service.
    """
    if not subset:
        return service
    digest = hashlib.sha256("".join(key + subset[key] for key in sorted(subset)).encode())
    return f"{service}-{digest.hexdigest()[:16]}"


def stat(name: str) -> str:
    """A name as Envoy's statistics can carry it (`metric_sanitizer.go`)."""
    return _NOT_IN_STATS.sub("_", name)


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
