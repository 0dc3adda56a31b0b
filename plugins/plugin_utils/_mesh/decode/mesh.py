# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mesh documents."""

from __future__ import annotations

from typing import Any

from ..model.mesh import Mesh
from .envelope import check_envelope, content
from .reader import Reader


def decode_mesh(reader: Reader, value: dict[str, Any]) -> Mesh | None:
    """A Mesh, or None where findings say why not."""
    body = content(value)
    if "mesh" in value:
        # The one resource that belongs to no mesh.
        body["mesh"] = value["mesh"]
    body, decodable = reader.proto_json("mesh", body)
    fits = check_envelope(reader, {key: part for key, part in value.items() if key != "mesh"})
    if not (fits and decodable and reader.sound):
        return None
    return Mesh(
        name=reader.name,
        passthrough=body.get("networking", {}).get("outbound", {}).get("passthrough"),
        skip_creating_initial_policies=tuple(body.get("skipCreatingInitialPolicies", ())),
        document=reader.document,
    )
