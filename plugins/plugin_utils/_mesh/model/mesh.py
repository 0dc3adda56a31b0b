# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Mesh resource."""

from __future__ import annotations

from dataclasses import dataclass

from ..source import Document


@dataclass(frozen=True, eq=False)
class Mesh:
    """A Mesh. `passthrough` is what it says of traffic to other destinations than services of the mesh, and
    `skip_creating_initial_policies` names the types of initial policies that it wants left out (`*` for all).
    """

    name: str
    passthrough: bool | None
    skip_creating_initial_policies: tuple[str, ...]
    document: Document
