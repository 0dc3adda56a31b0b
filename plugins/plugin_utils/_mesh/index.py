# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole mesh, arranged once for the questions that compiling each dataplane asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from .decode import Resources
from .envoy.endpoint import Endpoint
from .model.dataplane import SERVICE_TAG, Dataplane, Outbound
from .model.mesh import Mesh
from .model.policies import Policy
from .model.virtual_ips import VirtualIPs
from .protocol import Protocol, combine

# The port of every service at its virtual IP.
VIRTUAL_PORT = 80


@dataclass(frozen=True, eq=False)
class Service:
    """A service: its healthy endpoints over all dataplanes, sorted, and the protocol that they share."""

    name: str
    endpoints: tuple[Endpoint, ...]
    protocol: Protocol

    def subset(self, tags: Mapping[str, str]) -> tuple[Endpoint, ...]:
        """The endpoints that have all these tags; the service's own is not looked at."""
        wanted = {item for item in tags.items() if item[0] != SERVICE_TAG}
        return tuple(one for one in self.endpoints if wanted <= set(one[2]))


@dataclass(frozen=True, eq=False)
class Index:
    """One mesh. `policies` holds those of each kind by precedence: later ones override earlier ones."""

    mesh: str
    dataplanes: Mapping[str, Dataplane]
    services: Mapping[str, Service]
    policies: Mapping[str, tuple[Policy, ...]]
    virtual_ips: VirtualIPs | None
    # By service, in the order of names: where redirected traffic to it goes. Dataplanes share them.
    virtual_outbounds: Mapping[str, Outbound]
    # Whether redirected traffic may leave the mesh.
    passthrough: bool

    def outbounds(self, dataplane: Dataplane) -> list[Outbound]:
        """Where the application of a dataplane reaches services: virtual ones, then those that are written (Kuma 2.7,
        `topology/dns.go`).
        """
        ports = dataplane.transparent_proxying
        if ports is None:
            return list(dataplane.outbounds)
        virtual = self.virtual_outbounds
        reachable = virtual.keys() if ports.reachable_services is None else {*ports.reachable_services}
        found = [outbound for service, outbound in virtual.items() if service in reachable]
        return found + [outbound for outbound in dataplane.outbounds if outbound.address not in self._virtual_addresses]

    @cached_property
    def _virtual_addresses(self) -> frozenset[str]:
        return frozenset(outbound.address for outbound in self.virtual_outbounds.values())

    def service(self, name: str) -> Service:
        """A service by name; one that nobody offers has no endpoints and no protocol."""
        return self.services.get(name) or Service(name, (), Protocol.UNKNOWN)


def build(resources: Resources) -> dict[str, Index]:
    """An index for each mesh that has dataplanes or policies, or is described itself."""
    names = {mesh.name for mesh in resources.meshes}
    names.update(dataplane.mesh for dataplane in resources.dataplanes)
    names.update(policy.mesh for policy in resources.policies)
    names.update(one.mesh for one in resources.virtual_ips)
    meshes = {mesh.name: mesh for mesh in resources.meshes}
    addresses = {one.mesh: one for one in resources.virtual_ips}
    dataplanes: dict[str, list[Dataplane]] = {name: [] for name in names}
    policies: dict[str, list[Policy]] = {name: [] for name in names}
    for dataplane in resources.dataplanes:
        dataplanes[dataplane.mesh].append(dataplane)
    for policy in resources.policies:
        policies[policy.mesh].append(policy)
    return {
        name: _index(name, meshes.get(name), dataplanes[name], policies[name], addresses.get(name))
        for name in sorted(names)
    }


def _index(
    name: str,
    mesh: Mesh | None,
    dataplanes: list[Dataplane],
    policies: list[Policy],
    addresses: VirtualIPs | None,
) -> Index:
    dataplanes.sort(key=lambda dataplane: dataplane.name)
    by_kind: dict[str, list[Policy]] = {}
    for policy in policies:
        if not policy.shadow:
            by_kind.setdefault(policy.kind, []).append(policy)
    return Index(
        mesh=name,
        dataplanes={dataplane.name: dataplane for dataplane in dataplanes},
        services=_services(dataplanes),
        policies={kind: by_precedence(found) for kind, found in sorted(by_kind.items())},
        virtual_ips=addresses,
        virtual_outbounds={} if addresses is None else _virtual_outbounds(dataplanes, addresses),
        passthrough=mesh is None or mesh.passthrough is not False,
    )


def _virtual_outbounds(dataplanes: Iterable[Dataplane], addresses: VirtualIPs) -> dict[str, Outbound]:
    offered = {service for dataplane in dataplanes for service in dataplane.offered_services}
    return {
        service: Outbound(addresses.services[service], VIRTUAL_PORT, {SERVICE_TAG: service}, ())
        for service in sorted(offered & addresses.services.keys())
    }


def by_precedence(policies: Iterable[Policy]) -> tuple[Policy, ...]:
    """Low to high (Kuma 2.7, `matchers/dataplane.go`): kind of the top target, origin, name; the smallest name wins.

    Of a tie between an initial policy and one of the user, the user's wins, which is not always so in Kuma.
    """
    ordered = sorted(policies, key=lambda policy: policy.name, reverse=True)
    ordered.sort(
        key=lambda policy: (policy.target_ref.kind.precedence, not policy.initial, policy.origin.precedence),
    )
    return tuple(ordered)


def _services(dataplanes: Iterable[Dataplane]) -> dict[str, Service]:
    endpoints: dict[str, list[Endpoint]] = {}
    protocols: dict[str, set[Protocol]] = {}
    for dataplane in dataplanes:
        for inbound in dataplane.inbounds:
            if not inbound.healthy:
                continue
            tags = tuple(item for item in inbound.tags.items() if item[0] != SERVICE_TAG)
            endpoints.setdefault(inbound.service, []).append((inbound.advertised_address, inbound.port, tags))
            protocols.setdefault(inbound.service, set()).add(inbound.protocol)
    return {
        name: Service(name, tuple(sorted(found)), combine(protocols[name])) for name, found in sorted(endpoints.items())
    }
