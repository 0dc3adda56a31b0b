# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole mesh, arranged once for the questions that compiling each dataplane asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .decode import Resources
from .envoy.endpoint import Endpoint
from .model.dataplane import SERVICE_TAG, Dataplane
from .model.policies import Policy
from .protocol import Protocol, combine


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

    def service(self, name: str) -> Service:
        """A service by name; one that nobody offers has no endpoints and no protocol."""
        return self.services.get(name) or Service(name, (), Protocol.UNKNOWN)


def build(resources: Resources) -> dict[str, Index]:
    """An index for each mesh that has dataplanes or policies, or is described itself."""
    names = {mesh.name for mesh in resources.meshes}
    names.update(dataplane.mesh for dataplane in resources.dataplanes)
    names.update(policy.mesh for policy in resources.policies)
    dataplanes: dict[str, list[Dataplane]] = {name: [] for name in names}
    policies: dict[str, list[Policy]] = {name: [] for name in names}
    for dataplane in resources.dataplanes:
        dataplanes[dataplane.mesh].append(dataplane)
    for policy in resources.policies:
        policies[policy.mesh].append(policy)
    return {name: _index(name, dataplanes[name], policies[name]) for name in sorted(names)}


def _index(mesh: str, dataplanes: list[Dataplane], policies: list[Policy]) -> Index:
    dataplanes.sort(key=lambda dataplane: dataplane.name)
    by_kind: dict[str, list[Policy]] = {}
    for policy in policies:
        if not policy.shadow:
            by_kind.setdefault(policy.kind, []).append(policy)
    return Index(
        mesh=mesh,
        dataplanes={dataplane.name: dataplane for dataplane in dataplanes},
        services=_services(dataplanes),
        policies={kind: by_precedence(found) for kind, found in sorted(by_kind.items())},
    )


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
