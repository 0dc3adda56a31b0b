# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Envoy resources as the protobuf messages that they stand for, and what tells two of them apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.envoy import protos as messages

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()


class Difference(NamedTuple):
    """One place where two values differ; `path` is written like `healthChecks[0].timeout`."""

    path: str
    ours: Any
    kuma: Any


def canonical(type_url: str, resource: dict[str, Any]) -> dict[str, Any]:
    """The resource read as its message and printed again: one spelling of names, durations and numbers, no defaults.

    Equal messages print equal; unlike the messages' own bytes that also holds inside `google.protobuf.Any`, whose maps
    have no order. Raises `messages.NotAMessage` for what is not such a message.
    """
    return messages.canonical(messages.type_name(type_url), resource)


def differences(ours: Any, kuma: Any, path: str = "") -> Iterator[Difference]:
    """Where two canonical values differ, innermost places first; a list of another length differs as a whole."""
    if isinstance(ours, dict) and isinstance(kuma, dict):
        for key in sorted(ours.keys() | kuma.keys()):
            member = f"{path}.{key}" if path and key.isidentifier() else key if not path else f'{path}["{key}"]'
            yield from differences(ours.get(key, ABSENT), kuma.get(key, ABSENT), member)
    elif isinstance(ours, list) and isinstance(kuma, list) and len(ours) == len(kuma):
        for index, pair in enumerate(zip(ours, kuma, strict=True)):
            yield from differences(*pair, f"{path}[{index}]")
    elif ours != kuma:
        yield Difference(path, ours, kuma)
