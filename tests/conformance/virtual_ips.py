# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses that the control plane gave to the services of a recorded mesh, in the document for them."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, ip_address

from .facts import SERVICE_TAG, is_transparent
from .protos import LISTENER
from .recordings import Case, Resource

KUMA = IPv4Network("240.0.0.0/4")
# For services that no recorded dataplane may reach. The control plane gave away only addresses before these.
SPARE = IPv4Network("250.0.0.0/24")


def virtual_ips(case: Case) -> list[Resource]:
    """The document, with an address for every service, if the mesh has a dataplane that uses them."""
    dataplanes = [document for document in case.documents if document["type"] == "Dataplane"]
    if not any(map(is_transparent, dataplanes)):
        return []
    inbounds = (inbound for dataplane in dataplanes for inbound in dataplane["networking"].get("inbound", []))
    services = sorted({inbound["tags"][SERVICE_TAG] for inbound in inbounds})
    addresses = dict(zip(services, map(str, SPARE.hosts()), strict=False)) | dict(_recorded(case))
    return [{"type": "VirtualIPs", "mesh": dataplanes[0]["mesh"], "services": addresses}]


def _recorded(case: Case) -> Iterator[tuple[str, str]]:
    """Services and their addresses: an outbound listener says in its metadata whom it is for."""
    for resources in case.kuma.values():
        for listener in resources.get(LISTENER, {}).values():
            address = listener["address"]["socketAddress"]["address"]
            tags = listener.get("metadata", {}).get("filterMetadata", {}).get("io.kuma.tags", {})
            if ip_address(address) in KUMA and listener["trafficDirection"] == "OUTBOUND":
                yield tags[SERVICE_TAG], address
