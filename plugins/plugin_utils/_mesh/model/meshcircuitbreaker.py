# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of a MeshCircuitBreaker."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from .duration import Duration


@dataclass(frozen=True)
class ConnectionLimits:
    """`connectionLimits`."""

    max_connections: int | None = None
    max_connection_pools: int | None = None
    max_pending_requests: int | None = None
    max_retries: int | None = None
    max_requests: int | None = None


@dataclass(frozen=True)
class ConsecutiveFailures:
    """A detector that counts failures in a row."""

    consecutive: int | None = None


@dataclass(frozen=True)
class SuccessRate:
    """The detector of hosts whose success rate is far below that of the others."""

    minimum_hosts: int | None = None
    request_volume: int | None = None
    standard_deviation_factor: Decimal | None = None


@dataclass(frozen=True)
class FailurePercentage:
    """The detector of hosts with too many failures; `threshold` is in percent."""

    minimum_hosts: int | None = None
    request_volume: int | None = None
    threshold: int | None = None


@dataclass(frozen=True)
class Detectors:
    """`outlierDetection.detectors`."""

    total_failures: ConsecutiveFailures | None = None
    gateway_failures: ConsecutiveFailures | None = None
    local_origin_failures: ConsecutiveFailures | None = None
    success_rate: SuccessRate | None = None
    failure_percentage: FailurePercentage | None = None


@dataclass(frozen=True)
class OutlierDetection:
    """`outlierDetection`."""

    disabled: bool | None = None
    interval: Duration | None = None
    base_ejection_time: Duration | None = None
    max_ejection_percent: int | None = None
    split_external_and_local_errors: bool | None = None
    detectors: Detectors | None = None


@dataclass(frozen=True)
class MeshCircuitBreakerConf:
    """`default` of an item of `spec.to` or `spec.from`."""

    connection_limits: ConnectionLimits | None = None
    outlier_detection: OutlierDetection | None = None
