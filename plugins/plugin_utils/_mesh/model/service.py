# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes Services, of which the mesh takes one thing: what the services they name speak."""

from __future__ import annotations

from dataclasses import dataclass

from ..findings import Path
from ..source import Document


@dataclass(frozen=True, eq=False)
class ProtocolHint:
    """What a port of a Service speaks, as the value of a tag `kuma.io/protocol`; `service` is its name in the mesh."""

    service: str
    protocol: str
    path: Path


@dataclass(frozen=True, eq=False)
class KubernetesService:
    """A Service. Ports about which it says nothing have no hint."""

    namespace: str
    name: str
    hints: tuple[ProtocolHint, ...]
    document: Document
