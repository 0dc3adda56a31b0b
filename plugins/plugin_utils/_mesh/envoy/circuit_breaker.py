# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Circuit breakers and outlier detection of clusters (Kuma 2.7, `meshcircuitbreaker/plugin/xds`)."""

from __future__ import annotations

# Of `envoy.config.cluster.v3.CircuitBreakers.Thresholds`.
DEFAULT_MAX_RETRIES = 3

_ON, _OFF = 100, 0


def consecutive(name: str, number: int | None) -> dict[str, int]:
    """A detector of failures in a row, named as in `consecutive5xx`; without a number it is switched off."""
    enforcing = f"enforcingConsecutive{name}"
    return {enforcing: _OFF} if number is None else {f"consecutive{name}": number, enforcing: _ON}


def enforcing_success_rate(on: bool) -> dict[str, int]:
    """Whether hosts with a low success rate are ejected, as seen from the answers and from the connections."""
    return dict.fromkeys(("enforcingSuccessRate", "enforcingLocalOriginSuccessRate"), _ON if on else _OFF)


def enforcing_failure_percentage(on: bool) -> dict[str, int]:
    """Whether hosts with a high failure percentage are ejected, as seen from the answers and from the connections."""
    members = ("enforcingFailurePercentage", "enforcingFailurePercentageLocalOrigin")
    return dict.fromkeys(members, _ON if on else _OFF)
