# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Dataplane resource: one proxy, what it offers and what it consumes."""

from __future__ import annotations

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
    document: Document

    def tag_set(self) -> dict[str, tuple[str, ...]]:
        """Every tag with its distinct values, both sorted, over all inbounds in any state (Kuma: TagSet)."""
        values: dict[str, set[str]] = {}
        sources = [inbound.tags for inbound in self.inbounds] if self.gateway_tags is None else [self.gateway_tags]
        for tags in sources:
            for key, value in tags.items():
                values.setdefault(key, set()).add(value)
        return {key: tuple(sorted(values[key])) for key in sorted(values)}
