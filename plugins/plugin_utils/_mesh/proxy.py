# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A dataplane's Envoy resources: what each is made of, and which policies made it.

The work per dataplane is looking things up: it selects policies, merges them for each service, and finds the fragments
that are made of the outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from .envoy import names, tokens, type_urls
from .envoy.endpoint import Endpoint
from .fragments import (
    ClusterKey,
    EndpointsKey,
    Fragment,
    InboundKey,
    InboundPassthroughKey,
    Key,
    LocalClusterKey,
    OutboundKey,
    OutboundPassthroughKey,
    PassthroughClusterKey,
    Placed,
    RouteKey,
    Statements,
)
from .index import Index, Service
from .kinds import POLICY_KINDS, meshproxypatch
from .kinds.policy_kind import Kinds, Situation
from .merge import Merged, Rules, Selection
from .model.dataplane import SERVICE_TAG, Dataplane, Inbound, Outbound, Tags
from .model.policies import Maker
from .patches import Patches
from .protocol import Protocol
from .routes import Destination, destination
from .templates import OwnResource


@dataclass(frozen=True)
class Target:
    """What compiling must know of a host.

    Where files live on it, whether its Envoy has the Kafka filter, whether it has IPv6, and the file into which Envoy
    writes where redirected traffic went that is not of the mesh, None for no such file.
    """

    root: str = "/etc/envoy/mesh"
    envoy_has_kafka: bool = False
    ipv6: bool = True
    passthrough_log: str | None = None


@dataclass(frozen=True, eq=False)
class Proxy:
    """The resources of one dataplane by type URL and name."""

    dataplane: Dataplane
    resources: Mapping[str, Mapping[str, Placed]]

    def tokens(self, target: Target) -> dict[str, str]:
        """What stands for each token in the resources of this dataplane."""
        tag_set = self.dataplane.tag_set()
        return {
            tokens.SOURCE_TAGS: tokens.source_tags(tag_set),
            tokens.NODE_ID: f"{self.dataplane.mesh}.{self.dataplane.name}",
            # Kuma: GetIdentifyingService.
            tokens.NODE_CLUSTER: tag_set[SERVICE_TAG][0],
            tokens.MESH_ROOT: target.root,
        }

    def all_resources(self, target: Target) -> dict[str, dict[str, dict[str, Any]]]:
        """All resources, as Kuma's inspect API (`_config`) shows them: before they are split into files."""
        values = self.tokens(target)
        return {
            type_url: {name: tokens.fill(named[name].fragment.resource(), values) for name in sorted(named)}
            for type_url, named in self.resources.items()
            if named
        }


# What the kinds that say something for an inbound say.
InboundConfs = tuple[tuple[Rules, Merged], ...]

# One for each kind, in the order in which kinds apply.
Selections = tuple[Selection, ...]


class Applied:
    """What policies say for a service or an inbound, of the kinds that have an effect on each sort of resource.

    Compared by identity. Of each sort the statements, which make the resource, and who made them.
    """

    def __init__(self, on_cluster: list[Merged], on_listener: list[Merged], on_routes: list[Merged]) -> None:
        self.on_cluster = _statements(on_cluster)
        self.on_listener = _statements(on_listener)
        self.on_routes = _statements(on_routes)
        self.cluster_makers = _makers(on_cluster)
        self.listener_makers = _makers([*on_listener, *on_routes])


class Outbounds(NamedTuple):
    """The resources through which a dataplane reaches one destination."""

    listener: Placed
    cluster: Placed
    endpoints: Placed


class Compiler:
    """Compiles the dataplanes of one mesh. Keeps what dataplanes can share, so that each further one costs little."""

    def __init__(self, index: Index, kinds: Kinds = POLICY_KINDS) -> None:
        self.index = index
        self._rules = [Rules(kind, index.policies.get(kind.name, ())) for kind in kinds.values()]
        self._selections: dict[Dataplane, Selections] = {}
        self._destinations: dict[tuple[tuple[str, str], ...], Destination] = {}
        self._applied: dict[tuple[object, ...], Applied] = {}
        # By what tells two lookups apart; the fragment is found again by the key that says all of what it is made of.
        self._outbounds: dict[tuple[object, ...], Outbounds] = {}
        self._clusters: dict[tuple[object, ...], Placed] = {}
        self._endpoints: dict[Destination, Placed] = {}
        self._made_by_none: dict[Key, Placed] = {}
        self._fragments: dict[object, Fragment] = {}
        self.patches = Patches(index.policies.get(meshproxypatch.KIND.name, ()))

    def proxy(self, dataplane: Dataplane, target: Target, own: Sequence[OwnResource] = ()) -> Proxy:
        """All resources of a dataplane, those of templates among them, after MeshProxyPatch. StepError."""
        resources = self.unpatched(dataplane, target)
        for one in own:
            fragment = Fragment.whole(one.type_url, one.name, "template", one.resource, shared=False)
            resources[one.type_url][one.name] = Placed(fragment, (one.maker,))
        clusters, endpoints = resources[type_urls.CLUSTER], resources[type_urls.CLUSTER_LOAD_ASSIGNMENT]
        steps = self.patches.steps_of(dataplane)
        if steps.steps:
            steps.take(clusters, resources[type_urls.LISTENER])
        if own or steps.steps:
            self._add_missing_endpoints(clusters, endpoints)
        return Proxy(dataplane, resources)

    def _add_missing_endpoints(self, clusters: Mapping[str, Placed], endpoints: dict[str, Placed]) -> None:
        """Without them, Envoy would refuse a cluster that finds its endpoints in a file."""
        for placed in clusters.values():
            name = placed.fragment.endpoints
            if name is not None and name not in endpoints:
                endpoints[name] = self._by_itself(EndpointsKey(name, ()))

    def unpatched(self, dataplane: Dataplane, target: Target) -> dict[str, dict[str, Placed]]:
        """The resources of a dataplane by type URL and name, as they are before templates and MeshProxyPatch.

        One that comes later takes the place of one of the same name, as in Kuma.
        """
        clusters: dict[str, Placed] = {}
        endpoints: dict[str, Placed] = {}
        listeners: dict[str, Placed] = {}
        for key in self.passthrough(dataplane, target):
            placed = self._by_itself(key)
            fragment = placed.fragment
            (clusters if fragment.type_url == type_urls.CLUSTER else listeners)[fragment.name] = placed
        self._add_inbounds(dataplane, target, clusters, listeners)
        selections = self.select(dataplane)
        bind = not dataplane.redirected
        for outbound, service in self._in_order(dataplane):
            goal = self.destination(outbound.tags)
            found = self.outbound(outbound, bind, service, goal, self.applied(selections, service), target)
            listeners[found.listener.fragment.name] = found.listener
            clusters[goal.cluster] = found.cluster
            endpoints[goal.cluster] = found.endpoints
        return {
            type_urls.CLUSTER: clusters,
            type_urls.CLUSTER_LOAD_ASSIGNMENT: endpoints,
            type_urls.LISTENER: listeners,
        }

    def passthrough(
        self, dataplane: Dataplane, target: Target
    ) -> Iterator[OutboundPassthroughKey | InboundPassthroughKey | PassthroughClusterKey]:
        """What takes redirected traffic (Kuma 2.7, `transparent_proxy_generator.go`)."""
        transparent = dataplane.transparent_proxying
        if transparent is None or not transparent.redirect_port_outbound:
            return
        inbound_ports: dict[names.Family, int] = {"ipv4": transparent.redirect_port_inbound}
        if transparent.ipv6_inbound_port and target.ipv6:
            inbound_ports["ipv6"] = transparent.ipv6_inbound_port
        for family, port in inbound_ports.items():
            yield OutboundPassthroughKey(family, transparent.redirect_port_outbound, target.passthrough_log)
            yield InboundPassthroughKey(family, port)
            yield PassthroughClusterKey("inbound", family)
            # Without the cluster the listener refuses what is for none of the others.
            if self.index.passthrough:
                yield PassthroughClusterKey("outbound", family)

    def _add_inbounds(
        self, dataplane: Dataplane, target: Target, clusters: dict[str, Placed], listeners: dict[str, Placed]
    ) -> None:
        inbounds = self.inbounds(dataplane)
        on_local_clusters: dict[str, list[Merged]] = {}
        for inbound, found in inbounds:
            for rules, merged in found:
                if rules.kind.inbound.cluster is not None:
                    name = names.local_cluster(rules.kind.local_port(inbound))
                    on_local_clusters.setdefault(name, []).append(merged)
        for inbound, found in inbounds:
            service, local, protocol = inbound.service, names.local_cluster(inbound.workload_port), inbound.protocol
            applied = Applied(
                on_cluster=on_local_clusters.get(local, []),
                on_listener=[one for rules, one in found if rules.kind.inbound.of_filter(protocol) is not None],
                on_routes=[one for rules, one in found if rules.kind.inbound.route is not None],
            )
            routes = RouteKey(True, service, local, protocol, applied.on_routes) if protocol.is_http else None
            key = InboundKey(inbound, not dataplane.redirected, target.envoy_has_kafka, applied.on_listener)
            listening = key.fragment(routes)
            listeners[listening.name] = Placed(listening, applied.listener_makers)
            exempt = dataplane.is_exempt(inbound)
            behind = LocalClusterKey(inbound, exempt, applied.on_cluster).fragment()
            clusters[local] = Placed(behind, applied.cluster_makers)

    def destination(self, tags: Tags) -> Destination:
        """The destination that an outbound's tags (sorted) name; equal tags give the same one."""
        lookup = tuple(tags.items())
        found = self._destinations.get(lookup)
        if found is None:
            found = self._destinations[lookup] = destination(tags)
        return found

    def select(self, dataplane: Dataplane) -> Selections:
        """The policies that select a dataplane, of each kind, in the order in which kinds apply."""
        selections = self._selections.get(dataplane)
        if selections is None:
            selections = self._selections[dataplane] = tuple([rules.select(dataplane) for rules in self._rules])
        return selections

    def applied(self, selections: Selections, service: Service) -> Applied:
        """What the selected policies say for a service."""
        found = tuple([selection.merged(service.name) for selection in selections])
        applied = self._applied.get((found, service.protocol))
        if applied is None:
            given = [(one.statement.kind.outbound, one) for one in found if one is not None]
            routed = service.protocol.is_http
            applied = self._applied[found, service.protocol] = Applied(
                on_cluster=[one for effects, one in given if effects.cluster is not None],
                on_listener=[one for effects, one in given if effects.of_filter(service.protocol) is not None],
                on_routes=[one for effects, one in given if routed and effects.route is not None],
            )
        return applied

    def situation(self, goal: Destination, service: Service, selections: Selections) -> Situation:
        """What opinions of kinds about a destination depend on."""
        merged = [(selection.rules.kind.name, selection.merged(service.name)) for selection in selections]
        confs = {name: one.conf for name, one in merged if one is not None and one.conf is not None}
        return Situation(service.protocol, self.number_of_endpoints(goal, service), confs)

    def inbound_situation(self, inbound: Inbound, found: InboundConfs) -> Situation:
        """What opinions of kinds about an inbound depend on; one application is behind it."""
        confs = {rules.kind.name: merged.conf for rules, merged in found if merged.conf is not None}
        return Situation(inbound.protocol, 1, confs, inbound)

    def number_of_endpoints(self, goal: Destination, service: Service) -> int:
        """How many endpoints of a service the destination has."""
        return len(self._endpoints_of(goal, service))

    def inbounds(self, dataplane: Dataplane) -> list[tuple[Inbound, InboundConfs]]:
        """The inbounds of a dataplane that have a listener, each with what the kinds say for it."""
        found = [
            (rules, selection)
            for rules, selection in zip(self._rules, self.select(dataplane), strict=True)
            if rules.kind.from_
        ]
        return [
            (
                inbound,
                tuple(
                    (rules, merged)
                    for rules, selection in found
                    if (merged := rules.for_inbound(selection, inbound)) is not None
                ),
            )
            for inbound in dataplane.inbounds
            if inbound.has_listener
        ]

    def _endpoints_of(self, goal: Destination, service: Service) -> tuple[Endpoint, ...]:
        return service.subset(dict(goal.subset)) if goal.subset else service.endpoints

    def outbound(
        self, outbound: Outbound, bind: bool, service: Service, goal: Destination, applied: Applied, target: Target
    ) -> Outbounds:
        """The resources through which the application reaches a destination, with the effects of policies on them."""
        kafka_filter = target.envoy_has_kafka and service.protocol is Protocol.KAFKA
        lookup = (outbound.address, outbound.port, bind, kafka_filter, goal, applied)
        found = self._outbounds.get(lookup)
        if found is None:
            routes = None
            if service.protocol.is_http:
                routes = RouteKey(False, service.name, goal.cluster, service.protocol, applied.on_routes)
            key = OutboundKey(
                address=outbound.address,
                port=outbound.port,
                bind=bind,
                tags=tuple(outbound.tags.items()),
                service=service.name,
                cluster=goal.cluster,
                protocol=service.protocol,
                kafka_filter=kafka_filter,
                statements=applied.on_listener,
            )
            fragment = self._fragments.get((key, routes))
            if fragment is None:
                fragment = self._fragments[key, routes] = key.fragment(routes)
            found = self._outbounds[lookup] = Outbounds(
                Placed(fragment, applied.listener_makers),
                self._cluster(goal, service, applied),
                self._load_assignment(goal, service),
            )
        return found

    def _cluster(self, goal: Destination, service: Service, applied: Applied) -> Placed:
        lookup = (goal, applied.on_cluster, applied.cluster_makers)
        placed = self._clusters.get(lookup)
        if placed is None:
            key = ClusterKey(goal.cluster, service.protocol, applied.on_cluster)
            fragment = self._fragments.get(key)
            if fragment is None:
                fragment = self._fragments[key] = key.fragment()
            placed = self._clusters[lookup] = Placed(fragment, applied.cluster_makers)
        return placed

    def _load_assignment(self, goal: Destination, service: Service) -> Placed:
        placed = self._endpoints.get(goal)
        if placed is None:
            key = EndpointsKey(goal.cluster, self._endpoints_of(goal, service))
            placed = self._endpoints[goal] = self._by_itself(key)
        return placed

    def _by_itself(self, key: Key) -> Placed:
        """What no policy has a part in, once for all dataplanes that have it."""
        placed = self._made_by_none.get(key)
        if placed is None:
            placed = self._made_by_none[key] = Placed(key.fragment())
        return placed

    def _in_order(self, dataplane: Dataplane) -> list[tuple[Outbound, Service]]:
        """Outbounds with their services, HTTP first: Kuma's route plugin for HTTP runs before the one for TCP."""
        found = [(outbound, self.index.service(outbound.service)) for outbound in self.index.outbounds(dataplane)]
        return sorted(found, key=lambda pair: not pair[1].protocol.is_http)


def _statements(merged: Iterable[Merged]) -> Statements:
    return tuple([one.statement for one in merged])


def _makers(merged: Iterable[Merged]) -> tuple[Maker, ...]:
    """The items of policies behind what kinds say, each once, in the order of kinds."""
    layers = dict.fromkeys(chain.from_iterable([one.winners for one in merged]))
    return tuple([layer.maker for layer in layers])
