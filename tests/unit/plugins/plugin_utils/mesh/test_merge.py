# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merging: what several policies say together, and which of them said it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api

Load = Callable[..., api.Universe]
Conf = dict[str, Any]

WEB = {
    "type": "Dataplane",
    "mesh": "default",
    "name": "web-1",
    "networking": {"address": "192.0.2.1", "gateway": {"tags": {"kuma.io/service": "web"}}},
}
WEB_1 = api.DataplaneId("default", "web-1")


def item(conf: Conf, service: str | None = None) -> Conf:
    target_ref = {"kind": "Mesh"} if service is None else {"kind": "MeshService", "name": service}
    return {"targetRef": target_ref, "default": conf}


def policy(name: str, *items: Conf) -> Conf:
    spec = {"targetRef": {"kind": "Mesh"}, "to": list(items)}
    return {"type": "MeshHealthCheck", "mesh": "default", "name": name, "spec": spec}


def effective(universe: api.Universe, service: str = "backend") -> dict[str, Any]:
    return api.effective(universe, "MeshHealthCheck", WEB_1, service)


def header(name: str) -> dict[str, str]:
    return {"name": name, "value": "x"}


@pytest.mark.parametrize(
    ("lower", "higher", "merged"),
    [
        pytest.param({"tcp": {}}, {"tcp": {}}, {"tcp": {}}, id="mappings that are empty"),
        pytest.param(
            {"interval": "60s", "tcp": {}},
            {"timeout": "1s", "tcp": {}},
            {"interval": "1m0s", "timeout": "1s", "tcp": {}},
            id="fields of both; durations in one notation",
        ),
        pytest.param(
            {"http": {"path": "/a", "disabled": True}},
            {"http": {"path": "/b"}},
            {"http": {"path": "/b", "disabled": True}},
            id="mappings are merged member by member",
        ),
        pytest.param({"http": {}}, {"tcp": {}}, {"http": {}, "tcp": {}}, id="one section does not replace another"),
        pytest.param(
            {"http": {"disabled": True}},
            {"http": {"disabled": False}},
            {"http": {"disabled": False}},
            id="false overrides",
        ),
        pytest.param(
            {"intervalJitterPercent": 10, "healthyPanicThreshold": 50, "tcp": {}},
            {"intervalJitterPercent": 0, "healthyPanicThreshold": 0, "tcp": {}},
            {"intervalJitterPercent": 0, "healthyPanicThreshold": 0, "tcp": {}},
            id="zero overrides",
        ),
        pytest.param(
            {"grpc": {"serviceName": "x", "authority": "y"}},
            {"grpc": {"serviceName": ""}},
            {"grpc": {"serviceName": "", "authority": "y"}},
            id="an empty text overrides",
        ),
        pytest.param(
            {"http": {"expectedStatuses": [200, 204]}},
            {"http": {"expectedStatuses": []}},
            {"http": {"expectedStatuses": []}},
            id="an empty list overrides",
        ),
        pytest.param(
            {"http": {"expectedStatuses": [200, 204]}, "tcp": {"receive": ["UElORw==", "UE9ORw=="]}},
            {"http": {"expectedStatuses": [201]}, "tcp": {"receive": ["UE9ORw=="]}},
            {"http": {"expectedStatuses": [201]}, "tcp": {"receive": ["UE9ORw=="]}},
            id="lists are replaced as a whole",
        ),
        pytest.param(
            {"http": {"requestHeadersToAdd": {"set": [header("a")], "add": [header("b")]}}},
            {"http": {"requestHeadersToAdd": {"add": [header("c")]}}},
            {"http": {"requestHeadersToAdd": {"set": [header("a")], "add": [header("c")]}}},
            id="headers are replaced, those to set apart from those to add",
        ),
        pytest.param(
            {"http": {"requestHeadersToAdd": {"set": [header("a")], "add": [header("b")]}}},
            {"http": {"requestHeadersToAdd": {"set": [], "add": []}}},
            {"http": {"requestHeadersToAdd": {"set": [header("a")], "add": [header("b")]}}},
            id="an empty list of headers counts as absent",
        ),
        pytest.param(
            {"healthyPanicThreshold": 50, "tcp": {}},
            {"healthyPanicThreshold": "62.9", "tcp": {}},
            {"healthyPanicThreshold": "62.9", "tcp": {}},
            id="a percentage in either notation",
        ),
    ],
)
def test_merging(load_resources: Load, lower: Conf, higher: Conf, merged: Conf) -> None:
    in_two = load_resources(WEB, policy("a", item(higher)), policy("b", item(lower)))
    in_one = load_resources(WEB, policy("a", item(lower), item(higher)))

    assert effective(in_two)["conf"] == merged
    assert effective(in_one)["conf"] == merged


def test_the_order_of_policies_and_items_decides_not_how_specific_a_destination_is(load_resources: Load) -> None:
    universe = load_resources(
        WEB,
        policy(
            "p1",
            item({"interval": "10s", "http": {"path": "/a"}}, "backend"),
            item({"interval": "20s", "tcp": {}}),
        ),
        policy("p0", item({"timeout": "3s", "tcp": {}})),
    )

    assert effective(universe, "backend")["conf"] == {
        "interval": "20s",
        "timeout": "3s",
        "http": {"path": "/a"},
        "tcp": {},
    }
    assert effective(universe, "other")["conf"] == {"interval": "20s", "timeout": "3s", "tcp": {}}


def test_where_no_item_concerns_a_service_there_is_nothing(load_resources: Load) -> None:
    universe = load_resources(WEB, policy("a", item({"tcp": {}}, "backend")))

    assert effective(universe, "other") == {"conf": {}, "fields": {}}


def test_an_unknown_kind_is_an_error_with_a_hint(load_resources: Load) -> None:
    with pytest.raises(api.MeshError, match="there is no policy kind 'MeshHealtCheck'; did you mean 'MeshHealthCheck'"):
        api.effective(load_resources(WEB), "MeshHealtCheck", WEB_1, "backend")


LOW = """\
type: MeshHealthCheck
mesh: default
name: low
spec:
  targetRef: {kind: Mesh}
  to:
  - targetRef: {kind: Mesh}
    default:
      interval: 30s
      http: {path: /low}
"""
MIDDLE = """\
type: MeshHealthCheck
mesh: default
name: middle
spec:
  targetRef: {kind: MeshSubset}
  to:
  - targetRef: {kind: Mesh}
    default: {interval: 20s, http: {path: /middle}}
  - targetRef: {kind: MeshService, name: backend}
    default:
      interval: 10s
      http: {}
"""
HIGH = """\
# A comment moves lines.
type: MeshHealthCheck
mesh: default
name: high
spec:
  targetRef: {kind: MeshService, name: web}
  to:
  - targetRef: {kind: MeshService, name: backend}
    default: {interval: 5s, tcp: {}}
"""
DATAPLANE = """\
type: Dataplane
mesh: default
name: web-1
networking: {address: 192.0.2.1, gateway: {tags: {kuma.io/service: web}}}
"""


def source(name: str, file: str, line: int, field: str, item: int = 0) -> dict[str, object]:
    path = f"spec.to[{item}].default.{field}"
    return {"kind": "MeshHealthCheck", "name": name, "file": file, "line": line, "path": path}


def test_every_field_knows_who_set_it_and_who_lost(load_files: Load) -> None:
    universe = load_files(
        {"mesh/low.yaml": LOW, "mesh/middle.yaml": MIDDLE, "mesh/high.yaml": HIGH, "mesh/dataplane.yaml": DATAPLANE}
    )
    another = "another item of `to` stands later in the same policy"
    below = "less specific: its targetRef is of kind Mesh, not MeshSubset"
    far_below = "less specific: its targetRef is of kind Mesh, not MeshService"
    in_between = "less specific: its targetRef is of kind MeshSubset, not MeshService"

    def low(field: str, line: int = 10) -> dict[str, object]:
        return source("low", "mesh/low.yaml", line, field)

    def middle(field: str) -> dict[str, object]:
        return source("middle", "mesh/middle.yaml", 8, field)

    def middle_backend(field: str, line: int) -> dict[str, object]:
        return source("middle", "mesh/middle.yaml", line, field, item=1)

    def high(field: str) -> dict[str, object]:
        return source("high", "mesh/high.yaml", 9, field)

    assert effective(universe, "backend") == {
        "conf": {"interval": "5s", "http": {"path": "/middle"}, "tcp": {}},
        "fields": {
            "interval": {
                "value": "5s",
                "policy": high("interval"),
                "losers": [
                    {**low("interval", 9), "value": "30s", "why": far_below},
                    {**middle("interval"), "value": "20s", "why": in_between},
                    {**middle_backend("interval", 11), "value": "10s", "why": in_between},
                ],
            },
            "http": {
                "value": {},
                "policy": middle_backend("http", 12),
                "losers": [
                    {**low("http"), "value": {}, "why": below},
                    {**middle("http"), "value": {}, "why": another},
                ],
            },
            "http.path": {
                "value": "/middle",
                "policy": middle("http.path"),
                "losers": [{**low("http.path"), "value": "/low", "why": below}],
            },
            "tcp": {"value": {}, "policy": high("tcp"), "losers": []},
        },
    }
