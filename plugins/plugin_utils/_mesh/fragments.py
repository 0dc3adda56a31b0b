# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fragments: Envoy resources, made by pure functions of a key that holds every input of them.

Dataplanes with equal keys share one fragment; what differs between them stands in it as a token (`envoy.tokens`). A
fragment keeps no resource: each request makes a new one, so that nobody can change what others see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from .envoy import cluster, endpoint, listener, names, route, type_urls
from .kinds.policy_kind import PolicyKind
from .model.dataplane import Inbound
from .protocol import Protocol
from .versions import ZONE

# How long an inbound connection or its counterpart to the application may be idle.
_INBOUND_IDLE = "7200s"
_INBOUND_STREAM_IDLE = "3600s"

# The merged configurations that have an effect on a fragment, in the order in which kinds apply.
KindsConfs = tuple[tuple[PolicyKind, object], ...]


@dataclass(frozen=True, eq=False)
class Fragment:
    """One Envoy resource. Compared by identity. `shared` says whether other dataplanes may have it as well."""

    type_url: str
    name: str
    build: Callable[[Any], dict[str, Any]]
    key: object
    shared: bool = True

    def resource(self) -> dict[str, Any]:
        """The resource in proto3 JSON, with tokens."""
        return self.build(self.key)


class ClusterKey(NamedTuple):
    """What the cluster of a destination is made of."""

    name: str
    protocol: Protocol
    confs: KindsConfs

    def fragment(self) -> Fragment:
        return Fragment(type_urls.CLUSTER, self.name, _outbound_cluster, self)


class EndpointsKey(NamedTuple):
    """What the endpoints of a destination are made of."""

    cluster: str
    endpoints: tuple[endpoint.Endpoint, ...]

    def fragment(self) -> Fragment:
        return Fragment(type_urls.CLUSTER_LOAD_ASSIGNMENT, self.cluster, _load_assignment, self)


class OutboundKey(NamedTuple):
    """What an outbound listener with its route is made of."""

    address: str
    port: int
    tags: tuple[tuple[str, str], ...]
    service: str
    cluster: str
    protocol: Protocol
    kafka_filter: bool
    confs: KindsConfs

    def fragment(self) -> Fragment:
        name = names.outbound_listener(self.address, self.port)
        return Fragment(type_urls.LISTENER, name, _outbound_listener, self)


class InboundKey(NamedTuple):
    """What the listener of an inbound is made of. No two dataplanes share it."""

    inbound: Inbound
    envoy_has_kafka: bool
    confs: KindsConfs

    def fragment(self) -> Fragment:
        name = names.inbound_listener(self.inbound.address, self.inbound.port)
        return Fragment(type_urls.LISTENER, name, _inbound_listener, self, shared=False)


class LocalClusterKey(NamedTuple):
    """What the cluster of the application behind an inbound is made of. No two dataplanes share it."""

    inbound: Inbound
    confs: KindsConfs

    @property
    def name(self) -> str:
        return names.local_cluster(self.inbound.workload_port)

    def fragment(self) -> Fragment:
        return Fragment(type_urls.CLUSTER, self.name, _inbound_cluster, self, shared=False)


def _outbound_cluster(key: ClusterKey) -> dict[str, Any]:
    resource = cluster.outbound(key.name)
    for kind, conf in key.confs:
        if kind.outbound_cluster is not None:
            kind.outbound_cluster(resource, conf, key.protocol)
    return resource


def _load_assignment(key: EndpointsKey) -> dict[str, Any]:
    return endpoint.load_assignment(key.cluster, ZONE, key.endpoints)


def _outbound_listener(key: OutboundKey) -> dict[str, Any]:
    stat_prefix = names.stat(key.service)
    if key.protocol.is_http:
        manager = listener.http_connection_manager(
            stat_prefix, route.outbound(key.service, key.cluster), grpc=key.protocol is Protocol.GRPC
        )
        manager["typedConfig"]["normalizePath"] = True
        filters = [manager]
    else:
        filters = [listener.tcp_proxy(stat_prefix, key.cluster)]
        if key.kafka_filter:
            filters.insert(0, listener.kafka_broker(stat_prefix))
    resource = listener.outbound(key.address, key.port, dict(key.tags), filters)
    for kind, conf in key.confs:
        if kind.outbound_listener is not None:
            kind.outbound_listener(resource, conf, key.protocol)
    return resource


def _inbound_cluster(key: LocalClusterKey) -> dict[str, Any]:
    inbound = key.inbound
    protocol = inbound.protocol
    http_version = None if not protocol.is_http else 1 if protocol is Protocol.HTTP else 2
    resource = cluster.local(inbound.workload_address, inbound.workload_port, http_version)
    for kind, conf in key.confs:
        if kind.inbound_cluster is not None:
            kind.inbound_cluster(resource, conf, protocol)
    return resource


def _inbound_listener(key: InboundKey) -> dict[str, Any]:
    inbound = key.inbound
    protocol = inbound.protocol
    local = names.local_cluster(inbound.workload_port)
    stat_prefix = names.stat(local)
    if protocol.is_http:
        manager = listener.http_connection_manager(
            stat_prefix, route.inbound(inbound.service, local), grpc=protocol is Protocol.GRPC
        )
        manager["typedConfig"].update(
            commonHttpProtocolOptions={"idleTimeout": _INBOUND_IDLE},
            forwardClientCertDetails="SANITIZE_SET",
            setCurrentClientCertDetails={"uri": True},
            streamIdleTimeout=_INBOUND_STREAM_IDLE,
        )
        filters = [manager]
    else:
        proxy = listener.tcp_proxy(stat_prefix, local)
        proxy["typedConfig"]["idleTimeout"] = _INBOUND_IDLE
        filters = [proxy]
        if protocol is Protocol.KAFKA and key.envoy_has_kafka:
            filters.insert(0, listener.kafka_broker(stat_prefix))
    resource = listener.inbound(inbound.address, inbound.port, inbound.tags, filters)
    for kind, conf in key.confs:
        if kind.inbound_listener is not None:
            kind.inbound_listener(resource, conf, protocol)
    return resource
