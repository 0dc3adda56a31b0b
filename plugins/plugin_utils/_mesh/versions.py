# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between Kuma releases, as data. The release that is implemented is 2.7."""

from __future__ import annotations

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

# `skipCreatingInitialPolicies` of a Mesh names these types, or `*` (2.6 and later).
INITIAL_POLICIES = ("MeshTimeout", "MeshCircuitBreaker", "MeshRetry")
