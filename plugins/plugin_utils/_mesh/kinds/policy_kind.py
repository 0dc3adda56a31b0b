# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy kind has to say of itself; everything else about it is the same for all kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from ..findings import Code, Path
from ..model.dataplane import Inbound
from ..model.target_ref import TargetKind
from ..protocol import Protocol


@dataclass(frozen=True)
class Problem:
    """What a kind's own check finds in one configuration; `path` is relative to it."""

    code: Code
    path: Path
    message: str


@dataclass(frozen=True)
class Situation:
    """Where a merged configuration applies: what the service speaks, how many endpoints it has, and what the kinds with
    a configuration say there, by their names. `inbound` is None where it is about a service that the proxy consumes."""

    protocol: Protocol
    endpoints: int
    confs: Mapping[str, Any]
    inbound: Inbound | None = None


# What a kind finds in a merged configuration where it applies; paths are relative to the configuration.
Opinion = Callable[[Any, Situation], Iterable[Problem]]

# Changes a part of a resource while it is built, by a merged configuration and the protocol of the service or inbound.
Effect = Callable[[dict[str, Any], Any, Protocol], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class Effects:
    """What a kind changes for a service or for an inbound: its cluster, its route configuration, and in its listener
    the configuration of the filter that proxies, which is one of two by the protocol."""

    cluster: Effect | None = None
    tcp_proxy: Effect | None = None
    connection_manager: Effect | None = None
    route: Effect | None = None

    def of_filter(self, protocol: Protocol) -> Effect | None:
        """The effect on the filter that proxies this protocol."""
        return self.connection_manager if protocol.is_http else self.tcp_proxy


def _no_opinion(_conf: Any, _situation: Situation) -> Iterable[Problem]:
    return ()


@dataclass(frozen=True, eq=False, kw_only=True)
class PolicyKind:
    """One kind of targetRef policy.

    `schema` names the JSON Schema of its `spec`, `conf` the dataclass of `default` in the items of `spec.to` and
    `spec.from`; `top`, `to` and `from_` are the kinds of target that are allowed, `not_yet` those besides `top` that
    Kuma knows, `lists` the lists of which at least one must have an item. `check` looks at one configuration by itself.

    `outbound` are its effects for a service that the proxy consumes, `inbound` those for what it offers; the cluster of
    an inbound is found by its `local_port`. With `touches_all` they take place on everything of a proxy that a policy
    of the kind selects: the configuration is None where the policies that select it say nothing, and an empty one on
    inbounds that none of them selects.

    Opinions are about a merged configuration where it applies: `unused` names settings that do nothing there and says
    why, `advice` what will hardly do what it seems to.
    """

    name: str
    schema: str
    conf: type
    top: frozenset[TargetKind]
    to: frozenset[TargetKind]
    from_: frozenset[TargetKind] = frozenset()
    not_yet: frozenset[str] = frozenset({"MeshGateway"})
    lists: tuple[str, ...] = ()
    check: Callable[[Any], Iterable[Problem]]
    outbound: Effects = field(default_factory=Effects)
    inbound: Effects = field(default_factory=Effects)
    local_port: Callable[[Inbound], int] = attrgetter("workload_port")
    touches_all: bool = False
    unused: Opinion = _no_opinion
    advice: Opinion = _no_opinion


@dataclass(frozen=True, eq=False)
class Statement:
    """What a kind says where its policies are merged. Compared by identity; equal configurations share one.

    The configuration is None where the kind has an effect without one.
    """

    kind: PolicyKind
    conf: Any


Kinds = Mapping[str, PolicyKind]
