# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fragments: Envoy resources, made by pure functions of a key that holds every input of them.

Dataplanes with equal keys share one fragment; what differs between them stands in it as a token (`envoy.tokens`). A
fragment keeps no resource: each request makes a new one, so that nobody can change what others see.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from .envoy import cluster, endpoint, files, listener, names, route, type_urls
from .kinds.policy_kind import Effect, PolicyKind, Statement
from .model.dataplane import Inbound
from .model.policies import Maker
from .protocol import Protocol
from .versions import ZONE

# How long an inbound connection or its counterpart to the application may be idle.
_INBOUND_IDLE = "7200s"
_INBOUND_STREAM_IDLE = "3600s"

# What kinds say that has an effect on a fragment, in the order in which kinds apply.
Statements = tuple[Statement, ...]


class RouteKey(NamedTuple):
    """What a route configuration is made of."""

    inbound: bool
    service: str
    cluster: str
    protocol: Protocol
    statements: Statements

    @property
    def name(self) -> str:
        return route.inbound_name(self.service) if self.inbound else route.outbound_name(self.service)

    def resource(self) -> dict[str, Any]:
        """The route configuration in proto3 JSON, with tokens."""
        if self.inbound:
            resource = route.inbound(self.service, self.cluster)
        else:
            resource = route.outbound(self.service, self.cluster)
        _apply(
            self.statements,
            lambda kind: (kind.inbound if self.inbound else kind.outbound).route,
            resource,
            self.protocol,
        )
        return resource


@dataclass(frozen=True, eq=False)
class Fragment:
    """One Envoy resource. Compared by identity. `shared` says whether other dataplanes may have it as well.

    `build` makes it of `key`, but for the routes of a listener, which have a key of their own. `origin` is what it is
    for (Kuma: the origin of a resource), and `tags` are those of the service that a listener is for. `endpoints` is the
    name of those that a cluster looks for which no key makes.
    """

    type_url: str
    name: str
    origin: str
    build: Callable[[Any], dict[str, Any]]
    key: object
    route: RouteKey | None = None
    tags: Mapping[str, str] | None = None
    endpoints: str | None = None
    shared: bool = True

    @classmethod
    def whole(cls, type_url: str, name: str, origin: str, resource: Mapping[str, Any], shared: bool) -> Fragment:
        """Of a resource that no key makes. It is kept as text, which takes less memory than what stands in it."""
        endpoints = files.endpoints(resource) if type_url == type_urls.CLUSTER else None
        return cls(type_url, name, origin, json.loads, json.dumps(resource), endpoints=endpoints, shared=shared)

    def with_listener(self, resource: Mapping[str, Any]) -> Fragment:
        """The listener with the same routes, and all else as it is in a resource."""
        return replace(self, build=json.loads, key=json.dumps(resource))

    def resource(self) -> dict[str, Any]:
        """The resource in proto3 JSON, with tokens and inline routes."""
        resource = self.build(self.key)
        if self.route is not None:
            listener.put_routes(resource, routeConfig=self.route.resource())
        return resource


@dataclass(frozen=True, eq=False)
class Placed:
    """A fragment in a proxy, and what made it, by kind in Kuma's order. Compared by identity."""

    fragment: Fragment
    makers: tuple[Maker, ...] = ()


class ClusterKey(NamedTuple):
    """What the cluster of a destination is made of."""

    name: str
    protocol: Protocol
    statements: Statements

    def fragment(self) -> Fragment:
        return Fragment(type_urls.CLUSTER, self.name, "outbound", _outbound_cluster, self)


class EndpointsKey(NamedTuple):
    """What the endpoints of a destination are made of."""

    cluster: str
    endpoints: tuple[endpoint.Endpoint, ...]

    def fragment(self) -> Fragment:
        return Fragment(type_urls.CLUSTER_LOAD_ASSIGNMENT, self.cluster, "outbound", _load_assignment, self)


class OutboundKey(NamedTuple):
    """What an outbound listener is made of. With `bind` it has a socket of its own, else redirected traffic only."""

    address: str
    port: int
    bind: bool
    tags: tuple[tuple[str, str], ...]
    service: str
    cluster: str
    protocol: Protocol
    kafka_filter: bool
    statements: Statements

    def fragment(self, route: RouteKey | None) -> Fragment:
        name = names.outbound_listener(self.address, self.port)
        return Fragment(type_urls.LISTENER, name, "outbound", _outbound_listener, self, route, dict(self.tags))


class InboundKey(NamedTuple):
    """What the listener of an inbound is made of. No two dataplanes share it."""

    inbound: Inbound
    bind: bool
    envoy_has_kafka: bool
    statements: Statements

    def fragment(self, route: RouteKey | None) -> Fragment:
        name = names.inbound_listener(self.inbound.address, self.inbound.port)
        tags = self.inbound.tags
        return Fragment(type_urls.LISTENER, name, "inbound", _inbound_listener, self, route, tags, shared=False)


class LocalClusterKey(NamedTuple):
    """What the cluster of the application behind an inbound is made of. No two dataplanes share it."""

    inbound: Inbound
    exempt: bool
    statements: Statements

    @property
    def name(self) -> str:
        return names.local_cluster(self.inbound.workload_port)

    def fragment(self) -> Fragment:
        return Fragment(type_urls.CLUSTER, self.name, "inbound", _inbound_cluster, self, shared=False)


class OutboundPassthroughKey(NamedTuple):
    """What the listener for all redirected traffic of applications is made of."""

    family: names.Family
    port: int
    log: str | None

    def fragment(self) -> Fragment:
        name = names.passthrough("outbound", self.family)
        return Fragment(type_urls.LISTENER, name, "transparent", lambda key: listener.outbound_passthrough(*key), self)


class InboundPassthroughKey(NamedTuple):
    """What the listener for all redirected traffic to a host is made of."""

    family: names.Family
    port: int

    def fragment(self) -> Fragment:
        name = names.passthrough("inbound", self.family)
        return Fragment(type_urls.LISTENER, name, "transparent", lambda key: listener.inbound_passthrough(*key), self)


class PassthroughClusterKey(NamedTuple):
    """What the cluster for redirected traffic that is not of the mesh is made of."""

    direction: Literal["inbound", "outbound"]
    family: names.Family

    def fragment(self) -> Fragment:
        name = names.passthrough(self.direction, self.family)
        return Fragment(type_urls.CLUSTER, name, "transparent", lambda key: cluster.passthrough(*key), self)


# Keys of what no policy has a part in before MeshProxyPatch.
Key = EndpointsKey | OutboundPassthroughKey | InboundPassthroughKey | PassthroughClusterKey


def _apply(
    statements: Statements, effect_of: Callable[[PolicyKind], Effect | None], part: dict[str, Any], protocol: Protocol
) -> None:
    for statement in statements:
        effect = effect_of(statement.kind)
        if effect is not None:
            effect(part, statement.conf, protocol)


def _outbound_cluster(key: ClusterKey) -> dict[str, Any]:
    resource = cluster.outbound(key.name)
    _apply(key.statements, lambda kind: kind.outbound.cluster, resource, key.protocol)
    return resource


def _load_assignment(key: EndpointsKey) -> dict[str, Any]:
    return endpoint.load_assignment(key.cluster, ZONE, key.endpoints)


def _outbound_listener(key: OutboundKey) -> dict[str, Any]:
    stat_prefix = names.stat(key.service)
    if key.protocol.is_http:
        manager = listener.http_connection_manager(stat_prefix, grpc=key.protocol is Protocol.GRPC)
        manager["typedConfig"]["normalizePath"] = True
        filters = [manager]
    else:
        filters = [listener.tcp_proxy(stat_prefix, key.cluster)]
    config = filters[0]["typedConfig"]
    _apply(key.statements, lambda kind: kind.outbound.of_filter(key.protocol), config, key.protocol)
    if key.kafka_filter:
        filters.insert(0, listener.kafka_broker(stat_prefix))
    return listener.outbound(key.address, key.port, key.bind, dict(key.tags), filters)


def _inbound_cluster(key: LocalClusterKey) -> dict[str, Any]:
    inbound = key.inbound
    protocol = inbound.protocol
    http_version = None if not protocol.is_http else 1 if protocol is Protocol.HTTP else 2
    resource = cluster.local(inbound.workload_address, inbound.workload_port, http_version, key.exempt)
    _apply(key.statements, lambda kind: kind.inbound.cluster, resource, protocol)
    return resource


def _inbound_listener(key: InboundKey) -> dict[str, Any]:
    inbound = key.inbound
    protocol = inbound.protocol
    local = names.local_cluster(inbound.workload_port)
    stat_prefix = names.stat(local)
    if protocol.is_http:
        manager = listener.http_connection_manager(stat_prefix, grpc=protocol is Protocol.GRPC)
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
    _apply(key.statements, lambda kind: kind.inbound.of_filter(protocol), filters[0]["typedConfig"], protocol)
    if protocol is Protocol.KAFKA and key.envoy_has_kafka:
        filters.insert(0, listener.kafka_broker(stat_prefix))
    return listener.inbound(inbound.address, inbound.port, key.bind, inbound.tags, filters)
