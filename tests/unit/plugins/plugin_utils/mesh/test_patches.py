# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""MeshProxyPatch on whole proxies: the order of policies, what meets what, what is shared, and who is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.envoy import type_urls
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.kinds import meshproxypatch
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.proxy import Compiler

Load = Callable[..., api.Universe]

WEB = api.DataplaneId("default", "web-1")
LISTENER = "outbound:127.0.0.1:10001"


def dataplane(name: str, service: str, number: int, **tags: str) -> dict[str, Any]:
    inbound = {"port": 80, "servicePort": 8080, "serviceAddress": "127.0.0.1"}
    return {
        "type": "Dataplane",
        "mesh": "default",
        "name": name,
        "networking": {
            "address": f"192.0.2.{number}",
            "inbound": [{**inbound, "tags": {"kuma.io/service": service, "kuma.io/protocol": "http", **tags}}],
            "outbound": [{"port": 10001, "tags": {"kuma.io/service": "backend"}}],
        },
    }


def patch(called: str, *modifications: dict[str, Any], **target: Any) -> dict[str, Any]:
    return {
        "type": "MeshProxyPatch",
        "mesh": "default",
        "name": called,
        "spec": {
            "targetRef": target or {"kind": "Mesh"},
            "default": {"appendModifications": list(modifications)},
        },
    }


def connect_timeout(seconds: int, **match: str) -> dict[str, Any]:
    value = json.dumps({"connect_timeout": f"{seconds}s"})
    return {"cluster": {"operation": "Patch", "match": {"name": "backend", **match}, "value": value}}


def add(name: str, **members: Any) -> dict[str, Any]:
    return {"cluster": {"operation": "Add", "value": json.dumps({"name": name, **members})}}


def remove(name: str) -> dict[str, Any]:
    return {"cluster": {"operation": "Remove", "match": {"name": name}}}


MESH = [dataplane("web-1", "web", 1), dataplane("web-2", "web", 2, version="v2"), dataplane("backend-1", "backend", 3)]


def cluster(universe: api.Universe, name: str = "backend") -> Any:
    return api.compile_proxy(universe, WEB)[type_urls.CLUSTER].get(name)


@pytest.mark.parametrize(
    ("policies", "timeout"),
    [
        ([patch("a", connect_timeout(1))], "1s"),
        ([patch("a", connect_timeout(1), connect_timeout(2))], "2s"),
        # Of equals the first name comes last.
        ([patch("a", connect_timeout(1)), patch("b", connect_timeout(2))], "1s"),
        ([patch("a", connect_timeout(1)), patch("b", connect_timeout(2), kind="MeshService", name="web")], "2s"),
        ([patch("a", connect_timeout(1), kind="MeshService", name="backend")], None),
        ([patch("a", connect_timeout(1, origin="outbound"))], "1s"),
        ([patch("a", connect_timeout(1, origin="inbound"))], None),
    ],
)
def test_policies_come_by_precedence(load_resources: Load, policies: list[dict[str, Any]], timeout: str | None) -> None:
    assert cluster(load_resources(*MESH, *policies)).get("connectTimeout") == timeout


@pytest.mark.parametrize(
    ("modifications", "found"),
    [
        ([add("extra")], {}),
        ([add("extra"), remove("extra")], None),
        ([remove("extra"), add("extra")], {}),
        ([add("extra"), add("extra", connectTimeout="2s")], {"connectTimeout": "2s"}),
        ([add("extra", connectTimeout="2s"), add("extra")], {}),
    ],
)
def test_what_is_added_meets_what_comes_later(
    load_resources: Load, modifications: list[dict[str, Any]], found: dict[str, Any] | None
) -> None:
    made = cluster(load_resources(*MESH, patch("a", *modifications)), "extra")

    assert made == (None if found is None else {"name": "extra", **found})


def test_what_is_added_takes_the_place_of_what_has_its_name(load_resources: Load) -> None:
    replace = {"op": "replace", "path": "/connectTimeout", "value": "3s"}
    later = {"cluster": {"operation": "Patch", "match": {"name": "backend"}, "jsonPatches": [replace]}}
    made = cluster(load_resources(*MESH, patch("a", add("backend", connectTimeout="2s"), later)))

    # The cluster that was there had no connectTimeout to replace.
    assert made == {"name": "backend", "connectTimeout": "3s"}


def test_dataplanes_share_what_is_made_of_the_same(load_resources: Load) -> None:
    universe = load_resources(*MESH, patch("a", connect_timeout(1)))
    compiler = Compiler(universe.indexes["default"])
    one, other, plain = (
        compiler.proxy(universe.dataplane(api.DataplaneId("default", name)), api.Target()).resources
        for name in ("web-1", "web-2", "backend-1")
    )

    assert one[type_urls.CLUSTER]["backend"].fragment is other[type_urls.CLUSTER]["backend"].fragment
    assert one[type_urls.CLUSTER]["backend"].fragment is plain[type_urls.CLUSTER]["backend"].fragment
    # What no modification concerns stays as it was.
    unpatched = compiler.unpatched(universe.dataplane(WEB), api.Target())
    assert one[type_urls.LISTENER][LISTENER] is unpatched[type_urls.LISTENER][LISTENER]


def test_each_dataplane_has_its_own_tags_in_what_was_patched(load_resources: Load) -> None:
    host = {"operation": "Patch", "match": {}, "value": json.dumps({"retryPolicy": {"retryOn": "5xx"}})}
    universe = load_resources(*MESH, patch("a", {"virtualHost": host}))

    for name, version in (("web-1", ""), ("web-2", "&version=v2&")):
        found = api.compile_proxy(universe, api.DataplaneId("default", name))[type_urls.LISTENER][LISTENER]
        [manager] = found["filterChains"][0]["filters"]
        config = manager["typedConfig"]["routeConfig"]
        tags = f"&kuma.io/protocol=http&&kuma.io/service=web&&kuma.io/zone=default&{version}"
        assert config["requestHeadersToAdd"] == [{"header": {"key": "x-kuma-tags", "value": tags}}]
        assert config["virtualHosts"][0]["retryPolicy"] == {"retryOn": "5xx"}


def test_the_release_names_who_patched_what(load_resources: Load) -> None:
    universe = load_resources(*MESH, patch("a", add("extra"), connect_timeout(1)))
    origins = json.loads(api.compile_release(universe, WEB).document)["origins"]

    def origin(position: int) -> dict[str, str]:
        path = f"spec.default.appendModifications[{position}].cluster"
        return {"kind": "MeshProxyPatch", "name": "a", "file": "mesh", "path": path}

    assert origins == {"cluster/backend": [origin(1)], "cluster/extra": [origin(0)]}


MANAGER = "envoy.filters.network.http_connection_manager"
MANAGER_TYPE = f"type.googleapis.com/{MANAGER.replace('filters', 'extensions.filters')}.v3.HttpConnectionManager"
GRPC_STATS = "type.googleapis.com/envoy.extensions.filters.http.grpc_stats.v3.FilterConfig"


def network_filter(**members: Any) -> dict[str, Any]:
    return {"networkFilter": {"operation": "Patch", "match": {"name": MANAGER}, **members}}


def typed(**members: Any) -> str:
    return json.dumps({"name": MANAGER, "typedConfig": {"@type": MANAGER_TYPE, **members}})


@pytest.mark.parametrize(
    ("modification", "alone"),
    [
        (network_filter(value=typed(streamIdleTimeout="9s")), True),
        (network_filter(jsonPatches=[{"op": "add", "path": "/streamIdleTimeout", "value": "9s"}]), True),
        (network_filter(value=typed(routeConfig={"ignorePortInHostMatching": True})), False),
        (network_filter(jsonPatches=[{"op": "add", "path": "/routeConfig/name", "value": "mine"}]), False),
        (network_filter(jsonPatches=[{"op": "copy", "from": "/routeConfig/name", "path": "/serverName"}]), False),
        (
            {
                "httpFilter": {
                    "operation": "AddFirst",
                    "value": json.dumps({"name": "stats", "typedConfig": {"@type": GRPC_STATS}}),
                }
            },
            True,
        ),
        ({"networkFilter": {"operation": "AddLast", "value": typed(statPrefix="x", routeConfig={"name": "x"})}}, False),
        ({"virtualHost": {"operation": "Remove", "match": {}}}, False),
        (
            {
                "listener": {
                    "operation": "Patch",
                    "match": {},
                    "value": json.dumps({"per_connection_buffer_limit_bytes": 9}),
                }
            },
            False,
        ),
    ],
)
def test_routes_that_stay_as_they_are_are_left_out_of_it(
    load_resources: Load, modification: dict[str, Any], alone: bool
) -> None:
    universe = load_resources(*MESH, patch("a", modification))
    compiler = Compiler(universe.indexes["default"])
    before = compiler.unpatched(universe.dataplane(WEB), api.Target())[type_urls.LISTENER][LISTENER].fragment
    after = compiler.proxy(universe.dataplane(WEB), api.Target()).resources[type_urls.LISTENER][LISTENER].fragment
    [step] = compiler.patches.steps

    assert (after.route is before.route) is alone
    whole = meshproxypatch.patched(
        before.resource(), type_urls.LISTENER, LISTENER, "outbound", [step.modification]
    ).resource
    assert after.resource() == whole != before.resource()


def test_a_patched_listener_still_has_its_routes_in_a_file(load_resources: Load) -> None:
    value = json.dumps({"per_connection_buffer_limit_bytes": 9})
    listener = {"operation": "Patch", "match": {"name": LISTENER}, "value": value}
    files = json.loads(api.compile_release(load_resources(*MESH, patch("a", {"listener": listener})), WEB).document)[
        "files"
    ]

    [resource] = [one for one in files["lds"]["resources"] if one["name"] == LISTENER]
    assert resource["perConnectionBufferLimitBytes"] == 9
    assert "rds" in resource["filterChains"][0]["filters"][0]["typedConfig"]
    assert files[f"rds/{LISTENER}"]["resources"][0]["name"] == "outbound:backend"


def test_a_cluster_that_looks_for_endpoints_has_a_file_of_them(load_resources: Load) -> None:
    universe = load_resources(*MESH, patch("a", add("extra", type="EDS", edsClusterConfig={"edsConfig": {"ads": {}}})))
    files = json.loads(api.compile_release(universe, WEB).document)["files"]

    [resource] = [one for one in files["cds"]["resources"] if one["name"] == "extra"]
    assert resource["edsClusterConfig"]["edsConfig"]["pathConfigSource"]["path"].endswith("/eds/extra.json")
    assert [one["clusterName"] for one in files["eds/extra"]["resources"]] == ["extra"]


@pytest.mark.parametrize(
    "modification",
    [
        remove("backend"),
        {"cluster": {"operation": "Patch", "match": {"name": "backend"}, "value": "type: STATIC"}},
    ],
)
def test_endpoints_that_no_cluster_looks_for_are_left_out(load_resources: Load, modification: dict[str, Any]) -> None:
    universe = load_resources(*MESH, patch("a", modification))
    files = json.loads(api.compile_release(universe, WEB).document)["files"]

    static = modification["cluster"]["operation"] == "Patch"
    assert ("eds/backend" in files) is static
    # Kuma has them all the same.
    assert "backend" in api.compile_proxy(universe, WEB)[type_urls.CLUSTER_LOAD_ASSIGNMENT]


def test_what_applies_in_order(load_resources: Load) -> None:
    universe = load_resources(*MESH, patch("a", connect_timeout(1)), patch("b", remove("extra"), add("extra")))

    effective = api.effective(universe, "MeshProxyPatch", WEB)
    assert [(one["policy"]["name"], one["modification"]) for one in effective["modifications"]] == [
        ("b", remove("extra")),
        ("b", add("extra")),
        ("a", connect_timeout(1)),
    ]
    assert api.explain(universe, WEB)["modifications"] == effective["modifications"]
    assert [one["name"] for one in api.matched_policies(universe, WEB)] == ["b", "a"]


# --- findings ---------------------------------------------------------------------------------------------------------


def test_a_modification_that_cannot_be_carried_out() -> None:
    patches = [{"op": "replace", "path": "/connectTimeout", "value": "1s"}]
    wrong = {"cluster": {"operation": "Patch", "match": {"name": "backend"}, "jsonPatches": patches}}
    documents = [api.document(one, "mesh") for one in (*MESH, patch("a", connect_timeout(1), wrong), patch("b", wrong))]
    found = [str(one) for one in api.load(documents=documents).findings]

    assert len(found) == 1
    path = "spec.default.appendModifications[0].cluster.jsonPatches[0].path"
    assert f"MESH254 {path}: cannot be applied to backend" in found[0]


def test_modifications_that_match_nothing(load_resources: Load) -> None:
    universe = load_resources(
        *MESH,
        patch("a", remove("extra"), connect_timeout(1), remove("web")),
        patch("b", connect_timeout(1), kind="MeshService", name="wep"),
    )

    found = [(one.code, one.name, one.path) for one in universe.findings]
    assert found == [
        ("MESH255", "a", "spec.default.appendModifications[0].cluster"),
        ("MESH255", "a", "spec.default.appendModifications[2].cluster"),
        ("MESH055", "b", "spec.targetRef"),
    ]
