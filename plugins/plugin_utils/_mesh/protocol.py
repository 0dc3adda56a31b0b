# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Protocols of the mesh and how those of a service's endpoints combine (Kuma 2.7, `pkg/util/protocol`)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from functools import reduce


class Protocol(Enum):
    """A protocol that a `kuma.io/protocol` tag names. UNKNOWN is that of a service without any endpoint."""

    HTTP = "http"
    HTTP2 = "http2"
    GRPC = "grpc"
    KAFKA = "kafka"
    TCP = "tcp"
    UNKNOWN = "unknown"

    # Part of many keys; members are compared by identity anyhow.
    __hash__ = object.__hash__

    def __init__(self, tag: str) -> None:
        # Whether proxies read the traffic with Envoy's HTTP connection manager.
        self.is_http = tag in ("http", "http2", "grpc")

    @classmethod
    def of_tag(cls, tag: str | None) -> Protocol:
        """What a tag says, in any case; no tag says tcp, as Kuma's documentation promises (the code says unknown)."""
        return cls.TCP if tag is None else PROTOCOLS[tag.lower()]


PROTOCOLS = {protocol.value: protocol for protocol in Protocol if protocol is not Protocol.UNKNOWN}

# What a protocol can be treated as, the most specific first.
_STACKS = {
    Protocol.GRPC: (Protocol.GRPC, Protocol.HTTP2, Protocol.TCP),
    Protocol.HTTP2: (Protocol.HTTP2, Protocol.TCP),
    Protocol.HTTP: (Protocol.HTTP, Protocol.TCP),
    Protocol.KAFKA: (Protocol.KAFKA, Protocol.TCP),
    Protocol.TCP: (Protocol.TCP,),
}


def combine(protocols: Iterable[Protocol]) -> Protocol:
    """The protocol of a service: the most specific one that all its endpoints share; UNKNOWN without endpoints."""
    distinct = set(protocols)
    return reduce(_common, distinct) if distinct else Protocol.UNKNOWN


def _common(one: Protocol, other: Protocol) -> Protocol:
    return next(protocol for protocol in _STACKS[one] if protocol in _STACKS[other])
