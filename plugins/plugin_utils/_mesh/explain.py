# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which policy set which field, and which ones lost."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from typing import Any

from .findings import format_path
from .merge import SECTION, Layer, Merged, leaves
from .model import field_name
from .model.duration import Duration


@dataclass(frozen=True, eq=False)
class Field:
    """One field of a merged configuration: its value, who set it, and who set it before, in the order they lost."""

    value: object
    winner: Layer
    losers: tuple[tuple[Layer, object], ...]


def field_origins(merged: Merged, layers: list[Layer]) -> dict[str, Field]:
    """Every field by its path in Kuma's names. `layers` are those that were merged, low to high."""
    history: dict[str, list[tuple[Layer, object]]] = {}
    for layer in layers:
        for path, value in leaves(layer.item.conf):
            history.setdefault(path, []).append((layer, value))
    return {
        path: Field(leaf.value, leaf.layer, tuple(history[path][:-1])) for path, leaf in sorted(merged.leaves.items())
    }


def as_data(merged: Merged, layers: list[Layer]) -> dict[str, Any]:
    """A merged configuration in Kuma's names, and for each of its fields the policies behind it, as plain values."""
    return {
        "conf": plain(merged.conf),
        "fields": {
            path: {
                "value": plain(field.value),
                "policy": _policy(field.winner),
                "losers": [{**_policy(layer), "value": plain(value)} for layer, value in field.losers],
            }
            for path, field in field_origins(merged, layers).items()
        },
    }


def plain(value: object) -> Any:
    """A value of a model as it stands in YAML."""
    if value is SECTION:
        return {}
    if isinstance(value, Duration):
        return str(value)
    if is_dataclass(value):
        members = {field_name(one.name): getattr(value, one.name) for one in fields(value)}
        return {name: plain(member) for name, member in members.items() if member is not None}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else str(value)
    return value


def _policy(layer: Layer) -> Mapping[str, object]:
    document = layer.policy.document
    position = document.position(layer.item.path)
    return {
        "kind": layer.policy.kind,
        "name": layer.policy.name,
        "file": document.file,
        "line": position[0] if position else None,
        "path": format_path(layer.item.path),
    }
