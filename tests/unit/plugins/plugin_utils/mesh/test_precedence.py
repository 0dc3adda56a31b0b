# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Precedence: which of two policies has the last word."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.index import by_precedence
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.model.policies import Origin, Policy
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.model.target_ref import (
    ProxyType,
    TargetKind,
    TargetRef,
)
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.source import Document


def policy(
    name: str = "p", kind: str = "Mesh", origin: str = "", tags: int = 0, proxy_types: tuple[str, ...] = ()
) -> Policy:
    target_ref = TargetRef(
        kind=TargetKind(kind),
        name="web" if kind in ("MeshService", "MeshServiceSubset") else None,
        tags=tuple((f"tag-{number}", "x") for number in range(tags)),
        proxy_types=frozenset(map(ProxyType, proxy_types)),
    )
    return Policy(
        kind="MeshHealthCheck",
        mesh="default",
        name=name,
        origin=Origin(origin),
        shadow=False,
        target_ref=target_ref,
        to=(),
        from_=(),
        document=Document({}, "mesh.yaml"),
    )


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        pytest.param({"kind": "Mesh"}, {"kind": "MeshSubset"}, id="subset over mesh"),
        pytest.param({"kind": "MeshSubset", "tags": 3}, {"kind": "MeshService"}, id="service over subset"),
        pytest.param({"kind": "MeshService"}, {"kind": "MeshServiceSubset"}, id="service subset over service"),
        pytest.param({"origin": "global"}, {"origin": ""}, id="no label over global"),
        pytest.param({"origin": ""}, {"origin": "zone"}, id="zone over no label"),
        pytest.param({"origin": "zone"}, {"kind": "MeshSubset", "origin": "global"}, id="kind before origin"),
        pytest.param({"name": "a", "origin": "global"}, {"name": "b", "origin": "zone"}, id="origin before name"),
        pytest.param({"name": "b"}, {"name": "a"}, id="the smallest name wins"),
        pytest.param({"name": "hc-10"}, {"name": "hc-1"}, id="a prefix is smaller"),
        pytest.param({"name": "hc-2"}, {"name": "hc-10"}, id="names are texts, not numbers"),
        pytest.param({"name": "a.b"}, {"name": "a-b"}, id="names are compared by bytes"),
        pytest.param(
            {"name": "b", "kind": "MeshSubset", "tags": 3},
            {"name": "a", "kind": "MeshSubset", "tags": 1},
            id="the number of tags does not matter",
        ),
        pytest.param(
            {"name": "b", "proxy_types": ("Gateway",)},
            {"name": "a"},
            id="the number of proxy types does not matter",
        ),
    ],
)
def test_the_later_of_two_overrides(lower: dict[str, Any], higher: dict[str, Any]) -> None:
    low, high = policy(**lower), policy(**higher)

    assert by_precedence([low, high]) == by_precedence([high, low]) == (low, high)


def test_the_order_of_documents_does_not_matter() -> None:
    ordered = [
        policy("b", "Mesh", "global"),
        policy("a", "Mesh", "global"),
        policy("c", "Mesh"),
        policy("d", "Mesh", "zone"),
        policy("a", "MeshSubset", "global"),
        policy("z", "MeshServiceSubset"),
    ]
    for shuffled in itertools.permutations(ordered):
        assert by_precedence(shuffled) == tuple(ordered)
