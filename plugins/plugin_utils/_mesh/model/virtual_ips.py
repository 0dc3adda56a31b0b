# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual IPs of a mesh: our own kind of document, VirtualIPs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network

from ..source import Document

# Nobody's addresses (class E), out of which Kuma takes its virtual IPs.
DEFAULT_CIDR = IPv4Network("240.0.0.0/4")
# The longest prefix of a range that still has addresses between its first and its last.
SMALLEST_CIDR = 30

# What other addresses mean: the host itself, or a group of hosts.
_TAKEN = tuple(map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4")))


@dataclass(frozen=True, eq=False)
class VirtualIPs:
    """The address of each service by name, those of services that are gone among them; all are in `cidr`."""

    mesh: str
    cidr: IPv4Network
    services: Mapping[str, str]
    document: Document


def virtual_network(text: str) -> IPv4Network:
    """The range that a text names. ValueError, which says why, for one that is of no use for virtual IPs."""
    try:
        network = IPv4Network(text, strict=False)
    except ValueError:
        raise ValueError(f"must be an IPv4 network such as {DEFAULT_CIDR}") from None
    if network.prefixlen > SMALLEST_CIDR:
        raise ValueError(f"must not be smaller than a /{SMALLEST_CIDR}")
    if text != str(network):
        raise ValueError(f"must be written as {network}")
    for taken in _TAKEN:
        if network.overlaps(taken):
            raise ValueError(f"must not hold addresses of {taken}, which have another meaning")
    return network
