# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded meshes and mutations, read from `data/`. A file that is put there is picked up."""

from __future__ import annotations

import functools
import json
import lzma
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"

Resource = dict[str, Any]
# {type URL: {resource name: resource}}, all of one dataplane
ResourceSet = Mapping[str, Mapping[str, Resource]]


@dataclass(frozen=True, eq=False)
class Case:
    """One mesh: the documents that were given to the control plane, and its answer per dataplane."""

    name: str
    documents: tuple[Resource, ...]
    kuma: Mapping[str, ResourceSet]


@dataclass(frozen=True, eq=False)
class Mutation:
    """One damaged document and how the control plane took it: `status` 200/201 accepted, 400 refused.

    `invalid` has pairs of field path and reason. It is empty where the JSON did not fit the type: see `detail` then.
    """

    name: str
    document: Resource
    changed: tuple[str, ...]
    status: int
    invalid: tuple[tuple[str, str], ...]
    detail: str | None

    @property
    def refused(self) -> bool:
        return self.status == 400


@functools.cache
def cases() -> Mapping[str, Case]:
    """All recorded meshes by name, e.g. `core-90000`."""
    return {
        row["case"]: Case(row["case"], tuple(row["documents"]), row["kuma"])
        for file in sorted((DATA / "meshes").glob("*.jsonl.xz"))
        for row in _rows(file)
    }


@functools.cache
def mutations() -> Mapping[str, Mutation]:
    """All recorded mutations by name, e.g. `MeshHealthCheck-17`."""
    return {
        (name := f"{file.name.partition('.')[0]}-{number}"): Mutation(
            name,
            row["doc"],
            tuple(row["changed"]),
            row["status"],
            tuple((path, reason) for path, reason in row["invalid"]),
            row["detail"],
        )
        for file in sorted((DATA / "mutations").glob("*.jsonl.xz"))
        for number, row in enumerate(_rows(file), 1)
    }


def _rows(file: Path) -> list[dict[str, Any]]:
    with lzma.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
