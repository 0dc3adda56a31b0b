# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`targetRef`: which proxies a policy configures, or which service an item of `to` is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from .dataplane import SERVICE_TAG


class TargetKind(Enum):
    """The kinds that are implemented. The order is Kuma's precedence, low to high (2.7, `ref.go`)."""

    MESH = "Mesh"
    MESH_SUBSET = "MeshSubset"
    MESH_SERVICE = "MeshService"
    MESH_SERVICE_SUBSET = "MeshServiceSubset"

    @property
    def precedence(self) -> int:
        return _PRECEDENCE[self]


_PRECEDENCE = {kind: rank for rank, kind in enumerate(TargetKind)}


class ProxyType(Enum):
    """`targetRef.proxyTypes`: a Dataplane with `networking.gateway` is a Gateway, any other a Sidecar."""

    SIDECAR = "Sidecar"
    GATEWAY = "Gateway"


@dataclass(frozen=True)
class TargetRef:
    """A decoded targetRef. `tags` is empty and `name` None where the kind has none; no `proxy_types` means all."""

    kind: TargetKind
    name: str | None
    tags: tuple[tuple[str, str], ...]
    proxy_types: frozenset[ProxyType]

    def selector(self) -> Mapping[str, str]:
        """The tags that a proxy must have (Kuma: asSubset). A written `kuma.io/service` tag overrides the name."""
        selector = {} if self.name is None else {SERVICE_TAG: self.name}
        selector.update(self.tags)
        return selector
