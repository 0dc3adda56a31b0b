# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Protocols that Kubernetes Services name, given to the inbounds whose tags are silent about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from .decode import Resources
from .decode.service import CONTRADICTION
from .findings import Finding, Severity, code
from .model.dataplane import PROTOCOL_TAG, Dataplane, Inbound
from .model.service import KubernetesService, ProtocolHint

NOBODY_OFFERS = code(
    "MESH059",
    Severity.NOTICE,
    "a Kubernetes Service speaks of a service that nobody offers",
    "Services of the mesh that come from Kubernetes are named `<name>_<namespace>_svc_<port>`.",
)

_Hints = Mapping[str, tuple[KubernetesService, ProtocolHint]]


def apply(resources: Resources) -> Iterator[Finding]:
    """Write hints into the dataplanes as tags, as a control plane on Kubernetes would have written them."""
    hints = {hint.service: (service, hint) for service in resources.services for hint in service.hints}
    if not hints:
        return
    offered: set[str] = set()
    for position, dataplane in enumerate(resources.dataplanes):
        inbounds = tuple(_tagged(inbound, hints) for inbound in dataplane.inbounds)
        resources.dataplanes[position] = replace(dataplane, inbounds=inbounds)
        offered.update(inbound.service for inbound in inbounds)
        yield from _contradictions(dataplane, hints)
    for service, hint in hints.values():
        if hint.service not in offered:
            message = f"nobody offers the service '{hint.service}'"
            yield service.document.finding(NOBODY_OFFERS, hint.path, message, "Service", service.name)


def _tagged(inbound: Inbound, hints: _Hints) -> Inbound:
    if PROTOCOL_TAG in inbound.tags or inbound.service not in hints:
        return inbound
    _service, hint = hints[inbound.service]
    return replace(inbound, tags=dict(sorted({**inbound.tags, PROTOCOL_TAG: hint.protocol}.items())))


def _contradictions(dataplane: Dataplane, hints: _Hints) -> Iterator[Finding]:
    for inbound in dataplane.inbounds:
        tag = inbound.tags.get(PROTOCOL_TAG)
        if tag is None or inbound.service not in hints:
            continue
        service, hint = hints[inbound.service]
        if tag.lower() != hint.protocol:
            where = service.document.finding(CONTRADICTION, hint.path, "", "Service", service.name).source
            message = f"says {tag}, which counts, but the Service in {where} says {hint.protocol}"
            path = (*inbound.path, "tags", PROTOCOL_TAG)
            yield dataplane.document.finding(CONTRADICTION, path, message, "Dataplane", dataplane.name)
