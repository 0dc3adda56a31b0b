# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Advice: what Kuma would accept in silence and a person would want to know."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from .findings import Finding, Severity, code
from .model.dataplane import PROTOCOL_TAG, Dataplane
from .model.mesh import Mesh
from .protocol import Protocol
from .versions import INITIAL_POLICIES

INITIAL = code(
    "MESH050",
    Severity.NOTICE,
    "a control plane would give this mesh initial policies",
    "They are not applied yet. Write `skipCreatingInitialPolicies: ['*']` to say that the mesh goes without them.",
)
PASSTHROUGH = code(
    "MESH052",
    Severity.NOTICE,
    "`networking.outbound.passthrough` has no effect",
    "It concerns redirected traffic, and transparent proxying is not supported yet: applications connect directly.",
)
KAFKA = code(
    "MESH053",
    Severity.NOTICE,
    "a kafka service is proxied as plain TCP where Envoy lacks the Kafka filter",
    "The filter counts requests and is part of Envoy's contrib builds; set `mesh_envoy_has_kafka: true` for hosts that "
    "have such a build.",
)
OPEN_WORKLOAD = code(
    "MESH051",
    Severity.NOTICE,
    "an application can be reached past its proxy",
    "Let it listen on loopback and write `serviceAddress: 127.0.0.1`, or close its port to other hosts.",
)


def meshes(found: Iterable[Mesh]) -> Iterator[Finding]:
    """What a mesh says, or leaves unsaid, that has another effect under a control plane."""
    for mesh in found:
        skipped = set(mesh.skip_creating_initial_policies)
        missing = [] if "*" in skipped else [kind for kind in INITIAL_POLICIES if kind not in skipped]
        if missing:
            message = f"the initial policies of a mesh ({', '.join(missing)}) are not applied yet"
            yield mesh.document.finding(INITIAL, ("name",), message, "Mesh", mesh.name)
        if mesh.passthrough is not None:
            path = ("networking", "outbound", "passthrough")
            message = "has no effect: no dataplane of the mesh has its traffic redirected"
            yield mesh.document.finding(PASSTHROUGH, path, message, "Mesh", mesh.name)


def workloads(dataplanes: Iterable[Dataplane]) -> Iterator[Finding]:
    """Inbounds whose application listens on another address than loopback."""
    for dataplane in dataplanes:
        for inbound in dataplane.inbounds:
            if inbound.has_listener and not ipaddress.ip_address(inbound.workload_address).is_loopback:
                where = f"{inbound.workload_address}:{inbound.workload_port}"
                message = f"the application listens on {where}, where it can be reached past the proxy"
                path = (*inbound.path, "serviceAddress")
                yield dataplane.document.finding(OPEN_WORKLOAD, path, message, "Dataplane", dataplane.name)


def kafka(dataplanes: Iterable[Dataplane]) -> Iterator[Finding]:
    """Kafka services, once each, at the first inbound that is tagged so."""
    seen: set[tuple[str, str]] = set()
    for dataplane in sorted(dataplanes, key=lambda one: one.name):
        for inbound in dataplane.inbounds:
            protocol = Protocol.of_tag(inbound.tags.get(PROTOCOL_TAG))
            if protocol is Protocol.KAFKA and (dataplane.mesh, inbound.service) not in seen:
                seen.add((dataplane.mesh, inbound.service))
                message = f"'{inbound.service}' is proxied as plain TCP on hosts without mesh_envoy_has_kafka"
                path = (*inbound.path, "tags", PROTOCOL_TAG)
                yield dataplane.document.finding(KAFKA, path, message, "Dataplane", dataplane.name)
