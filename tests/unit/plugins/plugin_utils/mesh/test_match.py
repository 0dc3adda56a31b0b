# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Matching: which dataplanes a policy selects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api

Load = Callable[..., api.Universe]


def inbound(service: str = "web", state: str = "Ready", **tags: str) -> dict[str, Any]:
    return {"port": 80, "state": state, "tags": {"kuma.io/service": service, **tags}}


def sidecar(*inbounds: dict[str, Any]) -> dict[str, Any]:
    offered = [{**one, "address": f"192.0.2.{number}"} for number, one in enumerate(inbounds, start=1)]
    return {"address": "192.0.2.1", "inbound": offered}


def gateway(service: str = "web", **tags: str) -> dict[str, Any]:
    return {"address": "192.0.2.1", "gateway": {"tags": {"kuma.io/service": service, **tags}}}


def dataplane(networking: dict[str, Any], mesh: str = "default") -> dict[str, Any]:
    return {"type": "Dataplane", "mesh": mesh, "name": "web-1", "networking": networking}


def policy(target_ref: dict[str, Any], name: str = "hc", mesh: str = "default", **labels: str) -> dict[str, Any]:
    return {
        "type": "MeshHealthCheck",
        "mesh": mesh,
        "name": name,
        "labels": {f"kuma.io/{key}": value for key, value in labels.items()},
        "spec": {"targetRef": target_ref, "to": [{"targetRef": {"kind": "Mesh"}, "default": {"tcp": {}}}]},
    }


def selected(universe: api.Universe) -> list[str]:
    return [one["name"] for one in api.matched_policies(universe, api.find_dataplane(universe, "web-1"))]


MESH = {"kind": "Mesh"}
SERVICE = {"kind": "MeshService", "name": "web"}


def subset(**tags: str) -> dict[str, Any]:
    return {"kind": "MeshSubset", "tags": tags}


def service_subset(name: str = "web", **tags: str) -> dict[str, Any]:
    return {"kind": "MeshServiceSubset", "name": name, "tags": tags}


@pytest.mark.parametrize(
    ("target_ref", "networking", "matches"),
    [
        pytest.param(MESH, sidecar(inbound()), True, id="Mesh: sidecar"),
        pytest.param(MESH, gateway(), True, id="Mesh: gateway"),
        pytest.param({**MESH, "proxyTypes": ["Sidecar"]}, sidecar(inbound()), True, id="Sidecar: sidecar"),
        pytest.param({**MESH, "proxyTypes": ["Sidecar"]}, gateway(), False, id="Sidecar: gateway"),
        pytest.param({**MESH, "proxyTypes": ["Gateway"]}, sidecar(inbound()), False, id="Gateway: sidecar"),
        pytest.param({**MESH, "proxyTypes": ["Gateway"]}, gateway(), True, id="Gateway: gateway"),
        pytest.param({**MESH, "proxyTypes": ["Gateway", "Sidecar"]}, gateway(), True, id="both types: gateway"),
        pytest.param(subset(), sidecar(inbound()), True, id="MeshSubset without tags"),
        pytest.param({"kind": "MeshSubset"}, gateway(), True, id="MeshSubset that names no tags"),
        pytest.param(subset(a="1"), sidecar(inbound(a="1", b="2")), True, id="MeshSubset: more tags than asked for"),
        pytest.param(subset(a="1"), sidecar(inbound(a="2")), False, id="MeshSubset: another value"),
        pytest.param(subset(a="1"), sidecar(inbound()), False, id="MeshSubset: no such tag"),
        pytest.param(subset(a="1", b="2"), sidecar(inbound(a="1", b="2")), True, id="MeshSubset: both tags"),
        pytest.param(
            subset(a="1", b="2"), sidecar(inbound(a="1"), inbound(b="2")), False, id="MeshSubset: not on one inbound"
        ),
        pytest.param(
            subset(b="2"), sidecar(inbound(a="1"), inbound(b="2")), True, id="MeshSubset: any inbound will do"
        ),
        pytest.param(subset(a="1"), gateway(a="1"), True, id="MeshSubset: tags of a gateway"),
        pytest.param(subset(a="1"), gateway(), False, id="MeshSubset: gateway without the tag"),
        pytest.param(
            {**subset(a="1"), "proxyTypes": ["Gateway"]}, sidecar(inbound(a="1")), False, id="MeshSubset: proxyTypes"
        ),
        pytest.param(
            subset(**{"kuma.io/zone": "default"}), sidecar(inbound()), True, id="MeshSubset: the zone of everything"
        ),
        pytest.param(
            subset(**{"kuma.io/zone": "mine"}),
            sidecar(inbound(**{"kuma.io/zone": "mine"})),
            False,
            id="MeshSubset: a written zone is overwritten",
        ),
        pytest.param(SERVICE, sidecar(inbound("web")), True, id="MeshService"),
        pytest.param(SERVICE, sidecar(inbound("api")), False, id="MeshService: another"),
        pytest.param(SERVICE, sidecar(inbound("api"), inbound("web")), True, id="MeshService: the second inbound"),
        pytest.param(SERVICE, gateway("web"), True, id="MeshService: gateway"),
        pytest.param(service_subset(a="1"), sidecar(inbound("web", a="1")), True, id="MeshServiceSubset"),
        pytest.param(service_subset(a="1"), sidecar(inbound("api", a="1")), False, id="MeshServiceSubset: another"),
        pytest.param(service_subset(a="1"), sidecar(inbound("web")), False, id="MeshServiceSubset: no such tag"),
        pytest.param(
            service_subset(a="1"),
            sidecar(inbound("web"), inbound("api", a="1")),
            False,
            id="MeshServiceSubset: not on one inbound",
        ),
        pytest.param(
            service_subset("other", **{"kuma.io/service": "web"}),
            sidecar(inbound("web")),
            True,
            id="MeshServiceSubset: the tag overrides the name",
        ),
        pytest.param(MESH, sidecar(inbound(state="NotReady")), True, id="NotReady inbounds match"),
        pytest.param(MESH, sidecar(inbound(state="Ignored")), False, id="Ignored inbounds do not"),
        pytest.param(
            SERVICE, sidecar(inbound("web", "Ignored"), inbound("api")), False, id="Ignored inbounds do not lend tags"
        ),
    ],
)
def test_selection(load_resources: Load, target_ref: dict[str, Any], networking: dict[str, Any], matches: bool) -> None:
    universe = load_resources(policy(target_ref), dataplane(networking))

    assert selected(universe) == (["hc"] if matches else [])


def test_shadow_policies_take_no_effect(load_resources: Load) -> None:
    universe = load_resources(policy(MESH, "real"), policy(MESH, "shadow", effect="shadow"), dataplane(gateway()))

    assert selected(universe) == ["real"]


def test_policies_of_other_meshes_take_no_effect(load_resources: Load) -> None:
    universe = load_resources(
        {"type": "Mesh", "name": "other"}, policy(MESH, "theirs", "other"), policy(MESH, "ours"), dataplane(gateway())
    )

    assert selected(universe) == ["ours"]


def test_selected_policies_come_by_precedence(load_resources: Load) -> None:
    universe = load_resources(
        policy(subset(a="1"), "a-subset"),
        policy(MESH, "a"),
        policy(service_subset(a="1"), "service-subset"),
        policy(MESH, "b"),
        policy(SERVICE, "service"),
        policy(MESH, "synced", origin="global"),
        dataplane(sidecar(inbound(a="1"))),
    )

    assert selected(universe) == ["synced", "b", "a", "a-subset", "service", "service-subset"]
