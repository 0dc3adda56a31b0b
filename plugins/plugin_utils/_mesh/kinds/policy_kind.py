# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy kind has to say of itself; everything else about it is the same for all kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..findings import Code, Path
from ..model.duration import Duration
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
    """Where a merged configuration applies: what the service speaks, how many endpoints it has, and after how long a
    request to it times out (zero: never)."""

    protocol: Protocol
    endpoints: int
    request_timeout: Duration


# What a kind finds in a merged configuration where it applies; paths are relative to the configuration.
Opinion = Callable[[Any, Situation], Iterable[Problem]]

# Changes a resource while it is built, by a merged configuration and the protocol of the service.
Effect = Callable[[dict[str, Any], Any, Protocol], None]


def _no_opinion(_conf: Any, _situation: Situation) -> Iterable[Problem]:
    return ()


@dataclass(frozen=True, eq=False)
class PolicyKind:
    """One kind of targetRef policy.

    `schema` names the JSON Schema of its `spec`, `conf` the dataclass of `spec.to[].default`, `top` and `to` the kinds
    of target that are allowed, `lists` the lists of which at least one must have an item. `check` looks at one
    configuration by itself. Effects: on the cluster of a service that the proxy consumes, and on the listener through
    which its application reaches the service.

    Opinions are about a merged configuration where it applies: `unused` names settings that do nothing there and says
    why, `advice` what will hardly do what it seems to.
    """

    name: str
    schema: str
    conf: type
    top: frozenset[TargetKind]
    to: frozenset[TargetKind]
    check: Callable[[Any], Iterable[Problem]]
    outbound_cluster: Effect | None = None
    outbound_listener: Effect | None = None
    lists: tuple[str, ...] = ()
    unused: Opinion = _no_opinion
    advice: Opinion = _no_opinion


Kinds = Mapping[str, PolicyKind]
