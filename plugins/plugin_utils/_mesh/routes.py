# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an outbound leads. Today that is one default route to one destination: the service, or a subset of it."""

from __future__ import annotations

from dataclasses import dataclass

from .envoy import names
from .model.dataplane import SERVICE_TAG, Tags


@dataclass(frozen=True, eq=False)
class Destination:
    """A service, or those of its endpoints that have all of `subset`; `cluster` is its name in Envoy.

    Compared by identity; `Compiler.destination` makes one for each set of tags.
    """

    service: str
    subset: tuple[tuple[str, str], ...]
    cluster: str


def destination(tags: Tags) -> Destination:
    """The destination that an outbound's tags name; tags besides the service's own select a subset."""
    service = tags[SERVICE_TAG]
    subset = tuple(tags.items()) if len(tags) > 1 else ()
    return Destination(service, subset, names.outbound_cluster(service, dict(subset)))
