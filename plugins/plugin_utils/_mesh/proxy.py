# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A dataplane's Envoy resources: what each is made of, and which policies made it.

The work per dataplane is looking things up: it selects policies, merges them for each service, and finds the fragments
that are made of the outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from .envoy import names, tokens, type_urls
from .envoy.endpoint import Endpoint
from .fragments import ClusterKey, EndpointsKey, Fragment, InboundKey, KindsConfs, LocalClusterKey, OutboundKey
from .index import Index, Service
from .kinds import POLICY_KINDS
from .kinds.policy_kind import Kinds, PolicyKind, Situation
from .merge import Layer, Merged, Rules, Selection
from .model.dataplane import SERVICE_TAG, Dataplane, Inbound, Outbound, Tags
from .protocol import Protocol
from .routes import Destination, destination


@dataclass(frozen=True)
class Target:
    """What compiling must know of a host: where files live on it, and whether its Envoy has the Kafka filter."""

    root: str = "/etc/envoy/mesh"
    envoy_has_kafka: bool = False


class Placed(NamedTuple):
    """A fragment in a proxy, and the items of policies that made it, by kind in Kuma's order."""

    fragment: Fragment
    layers: tuple[Layer, ...]


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


_KindsMerged = tuple[tuple[PolicyKind, Merged], ...]

# What the kinds that say something for an inbound say.
InboundConfs = tuple[tuple[Rules, Merged], ...]

# One for each kind, in the order in which kinds apply.
Selections = tuple[Selection, ...]


class Effects(NamedTuple):
    """What policies say for a service, of the kinds that have an effect on each sort of resource."""

    on_cluster: _KindsMerged
    on_listener: _KindsMerged


class Compiler:
    """Compiles the dataplanes of one mesh. Keeps what dataplanes can share, so that each further one costs little."""

    def __init__(self, index: Index, kinds: Kinds = POLICY_KINDS) -> None:
        self.index = index
        self._rules = [Rules(kind, index.policies.get(kind.name, ())) for kind in kinds.values()]
        self._selections: dict[Dataplane, Selections] = {}
        self._destinations: dict[tuple[tuple[str, str], ...], Destination] = {}
        self._effects: dict[tuple[Merged | None, ...], Effects] = {}
        # By what tells two lookups apart; the value is found again by the key that says all of what it is made of.
        self._placed: dict[tuple[object, ...], Placed] = {}
        self._fragments: dict[object, Fragment] = {}

    def proxy(self, dataplane: Dataplane, target: Target) -> Proxy:
        """All resources of a dataplane. One that comes later takes the place of one of the same name, as in Kuma."""
        clusters: dict[str, Placed] = {}
        endpoints: dict[str, Placed] = {}
        listeners: dict[str, Placed] = {}
        selections = self.select(dataplane)
        on_local_clusters: dict[str, list[tuple[PolicyKind, Merged]]] = {}
        inbounds = self.inbounds(dataplane)
        for inbound, found in inbounds:
            for rules, merged in found:
                if rules.kind.inbound_cluster is not None:
                    name = names.local_cluster(rules.kind.local_port(inbound))
                    on_local_clusters.setdefault(name, []).append((rules.kind, merged))
        for inbound, found in inbounds:
            on_listener = tuple(
                (rules.kind, merged) for rules, merged in found if rules.kind.inbound_listener is not None
            )
            listen = InboundKey(inbound, target.envoy_has_kafka, _confs(on_listener)).fragment()
            listeners[listen.name] = Placed(listen, _layers(on_listener))
            on_cluster = tuple(on_local_clusters.get(names.local_cluster(inbound.workload_port), ()))
            local = LocalClusterKey(inbound, _confs(on_cluster)).fragment()
            clusters[local.name] = Placed(local, _layers(on_cluster))
        for outbound, service in self._in_order(dataplane):
            goal = self.destination(outbound.tags)
            effects = self.effects(selections, service.name)
            listening = self.outbound_listener(outbound, service, goal, effects, target)
            listeners[listening.fragment.name] = listening
            clusters[goal.cluster] = self.outbound_cluster(goal, service, effects)
            endpoints[goal.cluster] = self._endpoints(goal, service)
        return Proxy(
            dataplane=dataplane,
            resources={
                type_urls.CLUSTER: clusters,
                type_urls.CLUSTER_LOAD_ASSIGNMENT: endpoints,
                type_urls.LISTENER: listeners,
            },
        )

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

    def effects(self, selections: Selections, service: str) -> Effects:
        """What the selected policies say for a service."""
        found = tuple([selection.merged(service) for selection in selections])
        effects = self._effects.get(found)
        if effects is None:
            given = [
                (rules.kind, merged) for rules, merged in zip(self._rules, found, strict=True) if merged is not None
            ]
            effects = self._effects[found] = Effects(
                on_cluster=tuple(pair for pair in given if pair[0].outbound_cluster is not None),
                on_listener=tuple(pair for pair in given if pair[0].outbound_listener is not None),
            )
        return effects

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

    def outbound_cluster(self, goal: Destination, service: Service, effects: Effects) -> Placed:
        """The cluster of a destination with the effects of policies on it."""
        lookup = ("cluster", goal, effects.on_cluster)
        placed = self._placed.get(lookup)
        if placed is None:
            key = ClusterKey(goal.cluster, service.protocol, _confs(effects.on_cluster))
            placed = self._placed[lookup] = Placed(self._fragment(key), _layers(effects.on_cluster))
        return placed

    def _endpoints(self, goal: Destination, service: Service) -> Placed:
        lookup = ("endpoints", goal)
        placed = self._placed.get(lookup)
        if placed is None:
            key = EndpointsKey(goal.cluster, self._endpoints_of(goal, service))
            placed = self._placed[lookup] = Placed(self._fragment(key), ())
        return placed

    def outbound_listener(
        self, outbound: Outbound, service: Service, goal: Destination, effects: Effects, target: Target
    ) -> Placed:
        """The listener through which the application reaches a destination, with the effects of policies on it."""
        kafka_filter = target.envoy_has_kafka and service.protocol is Protocol.KAFKA
        lookup = ("listener", outbound.address, outbound.port, goal, kafka_filter, effects.on_listener)
        placed = self._placed.get(lookup)
        if placed is None:
            key = OutboundKey(
                address=outbound.address,
                port=outbound.port,
                tags=tuple(outbound.tags.items()),
                service=service.name,
                cluster=goal.cluster,
                protocol=service.protocol,
                kafka_filter=kafka_filter,
                confs=_confs(effects.on_listener),
            )
            placed = self._placed[lookup] = Placed(self._fragment(key), _layers(effects.on_listener))
        return placed

    def _fragment(self, key: ClusterKey | EndpointsKey | OutboundKey) -> Fragment:
        fragment = self._fragments.get(key)
        if fragment is None:
            fragment = self._fragments[key] = key.fragment()
        return fragment

    def _in_order(self, dataplane: Dataplane) -> list[tuple[Outbound, Service]]:
        """Outbounds with their services, HTTP first: Kuma's route plugin for HTTP runs before the one for TCP."""
        outbounds = [(outbound, self.index.service(outbound.service)) for outbound in dataplane.outbounds]
        return sorted(outbounds, key=lambda pair: not pair[1].protocol.is_http)


def _confs(merged: _KindsMerged) -> KindsConfs:
    return tuple((kind, one.conf) for kind, one in merged)


def _layers(merged: _KindsMerged) -> tuple[Layer, ...]:
    return tuple(chain.from_iterable([one.winners for _kind, one in merged]))
