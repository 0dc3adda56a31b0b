# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between Kuma releases, as data. The release that is implemented is 2.7."""

from __future__ import annotations

from typing import Any

# A control plane without zones of its own puts every dataplane into this zone (2.6 and later).
ZONE = "default"

# Kinds of Kuma 2.7 and Kong Mesh besides Mesh and Dataplane. Those that nothing reads yet are refused as such.
KNOWN_KINDS = frozenset(
    {
        "AccessAudit",
        "AccessRole",
        "AccessRoleBinding",
        "CircuitBreaker",
        "Config",
        "DataplaneInsight",
        "ExternalService",
        "FaultInjection",
        "GlobalSecret",
        "HealthCheck",
        "MeshAccessLog",
        "MeshCircuitBreaker",
        "MeshFaultInjection",
        "MeshGateway",
        "MeshGatewayInstance",
        "MeshGatewayRoute",
        "MeshGlobalRateLimit",
        "MeshHTTPRoute",
        "MeshHealthCheck",
        "MeshInsight",
        "MeshLoadBalancingStrategy",
        "MeshMetric",
        "MeshOPA",
        "MeshProxyPatch",
        "MeshRateLimit",
        "MeshRetry",
        "MeshService",
        "MeshTCPRoute",
        "MeshTimeout",
        "MeshTrace",
        "MeshTrafficPermission",
        "OPAPolicy",
        "ProxyTemplate",
        "RateLimit",
        "Retry",
        "Secret",
        "ServiceInsight",
        "Timeout",
        "TrafficLog",
        "TrafficPermission",
        "TrafficRoute",
        "TrafficTrace",
        "VirtualOutbound",
        "Zone",
        "ZoneEgress",
        "ZoneEgressInsight",
        "ZoneIngress",
        "ZoneIngressInsight",
        "ZoneInsight",
    }
)

_MESH = {"kind": "Mesh"}
_RETRIES = {
    "numRetries": 5,
    "perTryTimeout": "16s",
    "backOff": {"baseInterval": "25ms", "maxInterval": "250ms"},
}

# Kind, name without the mesh, and spec of the policies that a new mesh gets; `skipCreatingInitialPolicies` of the Mesh
# names kinds that it is to go without, or `*` (2.6 and later).
INITIAL_POLICIES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (
        "MeshTimeout",
        "mesh-timeout-all",
        {
            "targetRef": {**_MESH, "proxyTypes": ["Sidecar"]},
            "from": [
                {
                    "targetRef": _MESH,
                    "default": {
                        "connectionTimeout": "10s",
                        "idleTimeout": "2h",
                        "http": {"requestTimeout": "0s", "streamIdleTimeout": "1h", "maxStreamDuration": "0s"},
                    },
                }
            ],
            "to": [
                {
                    "targetRef": _MESH,
                    "default": {
                        "connectionTimeout": "5s",
                        "idleTimeout": "1h",
                        "http": {"requestTimeout": "15s", "streamIdleTimeout": "30m"},
                    },
                }
            ],
        },
    ),
    (
        "MeshTimeout",
        "mesh-gateways-timeout-all",
        {
            "targetRef": {**_MESH, "proxyTypes": ["Gateway"]},
            "from": [
                {
                    "targetRef": _MESH,
                    "default": {
                        "idleTimeout": "5m",
                        "http": {"streamIdleTimeout": "5s", "requestHeadersTimeout": "500ms"},
                    },
                }
            ],
            "to": [{"targetRef": _MESH, "default": {"idleTimeout": "1h", "http": {"streamIdleTimeout": "5s"}}}],
        },
    ),
    (
        "MeshCircuitBreaker",
        "mesh-circuit-breaker-all",
        {
            "targetRef": _MESH,
            "to": [
                {
                    "targetRef": _MESH,
                    "default": {
                        "connectionLimits": {
                            "maxConnections": 1024,
                            "maxPendingRequests": 1024,
                            "maxRequests": 1024,
                            "maxRetries": 3,
                        }
                    },
                }
            ],
        },
    ),
    (
        "MeshRetry",
        "mesh-retry-all",
        {
            "targetRef": _MESH,
            "to": [
                {
                    "targetRef": _MESH,
                    "default": {"tcp": {"maxConnectAttempt": 5}, "http": _RETRIES, "grpc": _RETRIES},
                }
            ],
        },
    ),
)
