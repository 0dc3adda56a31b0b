# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Dataplane resource: one proxy, what it offers and what it consumes."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from ..findings import Path
from ..protocol import Protocol
from ..source import Document

SERVICE_TAG = "kuma.io/service"
PROTOCOL_TAG = "kuma.io/protocol"
ZONE_TAG = "kuma.io/zone"
MESH_TAG = "kuma.io/mesh"

# A port that marks an inbound without a service behind it: no listener, no cluster (Kuma: TCPPortReserved).
SERVICELESS_PORT = 49151

Tags = Mapping[str, str]


class State(Enum):
    """`networking.inbound[].state`."""

    READY = "Ready"
    NOT_READY = "NotReady"
    IGNORED = "Ignored"


@dataclass(frozen=True, eq=False)
class Inbound:
    """One port that the proxy offers. `workload_*` is where the application listens."""

    address: str
    port: int
    advertised_address: str
    workload_address: str
    workload_port: int
    tags: Tags
    state: State
    ready: bool
    path: Path

    @property
    def service(self) -> str:
        return self.tags[SERVICE_TAG]

    @property
    def protocol(self) -> Protocol:
        """What the application behind the inbound speaks."""
        return Protocol.of_tag(self.tags.get(PROTOCOL_TAG))

    @property
    def has_listener(self) -> bool:
        """Whether there is anything behind the inbound; its tags count in any case."""
        return self.port != SERVICELESS_PORT

    @property
    def healthy(self) -> bool:
        """Whether the inbound becomes an endpoint (Kuma: GetHealthyInbounds)."""
        return self.ready and self.state is State.READY and self.has_listener


@dataclass(frozen=True, eq=False)
class Outbound:
    """One service that the proxy's application reaches through `address:port`."""

    address: str
    port: int
    tags: Tags
    path: Path

    @property
    def service(self) -> str:
        return self.tags[SERVICE_TAG]


class IpFamilyMode(Enum):
    """`networking.transparentProxying.ipFamilyMode`."""

    UNSPECIFIED = "UnSpecified"
    DUAL_STACK = "DualStack"
    IPV4 = "IPv4"
    IPV6 = "IPv6"


# The port for IPv6 that earlier releases redirected to unless told otherwise.
_FORMER_PORT_V6 = 15010


@dataclass(frozen=True, eq=False)
class TransparentProxying:
    """The ports that traffic is redirected to, 0 for none, and the services for which it is, None for all."""

    redirect_port_inbound: int
    redirect_port_outbound: int
    redirect_port_inbound_v6: int
    ip_family_mode: IpFamilyMode
    reachable_services: tuple[str, ...] | None
    path: Path

    @property
    def ipv6_inbound_port(self) -> int:
        """Where inbound IPv6 traffic is redirected to, 0 for nowhere (Kuma 2.7, `transparent_proxy_generator.go`)."""
        own = self.redirect_port_inbound_v6
        if self.ip_family_mode is IpFamilyMode.IPV4 or (self.ip_family_mode is IpFamilyMode.UNSPECIFIED and not own):
            return 0
        return self.redirect_port_inbound if own in (0, _FORMER_PORT_V6) else own


@dataclass(frozen=True, eq=False)
class Dataplane:
    """A proxy. `gateway_tags` is None for a sidecar, the tags of `networking.gateway` for a delegated gateway."""

    mesh: str
    name: str
    address: str
    inbounds: tuple[Inbound, ...]
    outbounds: tuple[Outbound, ...]
    gateway_tags: Tags | None
    admin_port: int | None
    transparent_proxying: TransparentProxying | None
    document: Document

    @property
    def offered_services(self) -> list[str]:
        """The services of its inbounds, in whatever health (Kuma: those that get a virtual IP)."""
        return [one.service for one in self.inbounds if one.has_listener and one.state is not State.IGNORED]

    @property
    def redirected(self) -> bool:
        """Whether traffic in both directions is redirected, so that listeners need no sockets of their own."""
        ports = self.transparent_proxying
        return ports is not None and bool(ports.redirect_port_inbound and ports.redirect_port_outbound)

    def is_exempt(self, inbound: Inbound) -> bool:
        """Whether connections to the application must not be redirected once more, and say so by their source."""
        ports = self.transparent_proxying
        if ports is None or ipaddress.ip_address(inbound.workload_address).is_loopback:
            return False
        if ipaddress.ip_address(self.address).version == 4:
            return self.redirected
        if ports.ip_family_mode is IpFamilyMode.UNSPECIFIED:
            return bool(ports.redirect_port_inbound_v6)
        return self.redirected and ports.ip_family_mode is not IpFamilyMode.IPV4

    def tag_set(self) -> dict[str, tuple[str, ...]]:
        """Every tag with its distinct values, both sorted, over all inbounds in any state (Kuma: TagSet)."""
        values: dict[str, set[str]] = {}
        sources = [inbound.tags for inbound in self.inbounds] if self.gateway_tags is None else [self.gateway_tags]
        for tags in sources:
            for key, value in tags.items():
                values.setdefault(key, set()).add(value)
        return {key: tuple(sorted(values[key])) for key in sorted(values)}
