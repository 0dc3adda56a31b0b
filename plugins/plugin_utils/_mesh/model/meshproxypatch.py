# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""MeshProxyPatch: what a policy of this kind consists of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..findings import Path
from . import StringMap


class Part(Enum):
    """What a modification is about, by the name of its member in `appendModifications`."""

    CLUSTER = "cluster"
    LISTENER = "listener"
    NETWORK_FILTER = "networkFilter"
    HTTP_FILTER = "httpFilter"
    VIRTUAL_HOST = "virtualHost"


class Operation(Enum):
    """What is done to it. Filters have an order, so that there are four ways of adding one."""

    ADD = "Add"
    ADD_FIRST = "AddFirst"
    ADD_LAST = "AddLast"
    ADD_BEFORE = "AddBefore"
    ADD_AFTER = "AddAfter"
    PATCH = "Patch"
    REMOVE = "Remove"


@dataclass(frozen=True)
class Match:
    """Which of its part a modification is about: all for which everything that is set holds."""

    origin: str | None = None
    name: str | None = None
    tags: StringMap | None = None
    listener_name: str | None = None
    listener_tags: StringMap | None = None
    route_configuration_name: str | None = None


@dataclass(frozen=True, eq=False)
class JsonPatch:
    """One operation of RFC 6902; `from_` is where `move` and `copy` take their value from."""

    op: str
    path: str
    from_: str | None = None
    value: Any = None


@dataclass(frozen=True, eq=False)
class Modification:
    """One modification; compared by identity. `value` is an Envoy message in proto3 JSON, `path` leads to the
    modification in the document of its policy."""

    part: Part
    operation: Operation
    match: Match
    value: Mapping[str, Any] | None
    json_patches: tuple[JsonPatch, ...]
    path: Path
