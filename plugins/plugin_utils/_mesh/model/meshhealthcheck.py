# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of a MeshHealthCheck."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from .duration import Duration


@dataclass(frozen=True)
class Header:
    """One header of `requestHeadersToAdd`."""

    name: str
    value: str


@dataclass(frozen=True)
class HeaderModifier:
    """`requestHeadersToAdd`: `set` overwrites, `add` appends. An empty list counts as absent (Go: omitempty)."""

    set: tuple[Header, ...] | None = field(default=None, metadata={"omitempty": True})
    add: tuple[Header, ...] | None = field(default=None, metadata={"omitempty": True})


@dataclass(frozen=True)
class HttpHealthCheck:
    """`http`."""

    disabled: bool | None = None
    path: str | None = None
    expected_statuses: tuple[int, ...] | None = None
    request_headers_to_add: HeaderModifier | None = None


@dataclass(frozen=True)
class TcpHealthCheck:
    """`tcp`; payloads are decoded bytes."""

    disabled: bool | None = None
    send: bytes | None = None
    receive: tuple[bytes, ...] | None = None


@dataclass(frozen=True)
class GrpcHealthCheck:
    """`grpc`."""

    disabled: bool | None = None
    service_name: str | None = None
    authority: str | None = None


@dataclass(frozen=True)
class MeshHealthCheckConf:
    """`spec.to[].default`. The panic threshold is a percentage."""

    interval: Duration | None = None
    timeout: Duration | None = None
    unhealthy_threshold: int | None = None
    healthy_threshold: int | None = None
    initial_jitter: Duration | None = None
    interval_jitter: Duration | None = None
    interval_jitter_percent: int | None = None
    healthy_panic_threshold: Decimal | None = None
    fail_traffic_on_panic: bool | None = None
    no_traffic_interval: Duration | None = None
    event_log_path: str | None = None
    always_log_health_check_failures: bool | None = None
    reuse_connection: bool | None = None
    http: HttpHealthCheck | None = None
    tcp: TcpHealthCheck | None = None
    grpc: GrpcHealthCheck | None = None
