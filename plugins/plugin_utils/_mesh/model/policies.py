# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all targetRef policies share. The configuration of a kind is a dataclass of its own beside this module."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from ..findings import Path, format_path
from ..source import Document
from .meshproxypatch import Modification
from .target_ref import TargetRef


class Origin(Enum):
    """Label `kuma.io/origin`, in the order of precedence, low to high. Policies without the label stand between."""

    GLOBAL = "global"
    NONE = ""
    ZONE = "zone"

    @property
    def precedence(self) -> int:
        return _PRECEDENCE[self]


_PRECEDENCE = {origin: rank for rank, origin in enumerate(Origin)}


@dataclass(frozen=True, eq=False)
class Item:
    """One item of `spec.to` or `spec.from`: who is at the other end, and the configuration for it. `path` leads to its
    `default`."""

    target_ref: TargetRef
    conf: object
    path: Path


class Maker(NamedTuple):
    """What made a resource, or changed it: a place in a policy, or a template. Releases tell it as it is here."""

    kind: str
    name: str
    file: str
    path: str


@dataclass(frozen=True, eq=False)
class Policy:
    """A targetRef policy. `shadow` (label `kuma.io/effect: shadow`) keeps it from taking effect; an `initial` one came
    with the mesh. `modifications` are those of a MeshProxyPatch, which has no items."""

    kind: str
    mesh: str
    name: str
    origin: Origin
    shadow: bool
    target_ref: TargetRef
    to: tuple[Item, ...]
    from_: tuple[Item, ...]
    document: Document
    initial: bool = False
    modifications: tuple[Modification, ...] = ()

    def maker(self, path: Path) -> Maker:
        """What names a place in the policy as what made a resource."""
        return Maker(self.kind, self.name, self.document.file, format_path(path))
