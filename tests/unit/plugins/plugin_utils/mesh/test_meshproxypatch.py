# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""MeshProxyPatch: which resources and which of their parts a modification is about, and what it does to them."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.envoy import type_urls
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.kinds import meshproxypatch
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.kinds.meshproxypatch import PatchError
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.model.meshproxypatch import Modification

Load = Callable[..., api.Universe]
Json = dict[str, Any]

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "ci"
HCM = "envoy.filters.network.http_connection_manager"
TCP = "envoy.filters.network.tcp_proxy"
TYPE = "type.googleapis.com/envoy.extensions.filters"
NAME = "outbound:127.0.0.1:80"


def modifications(*items: Json) -> tuple[Modification, ...]:
    """Modifications as a document has them; a value may be a mapping."""
    written = [
        {
            part: {key: json.dumps(one) if key == "value" else one for key, one in members.items()}
            for part, members in item.items()
        }
        for item in items
    ]
    spec = {"targetRef": {"kind": "Mesh"}, "default": {"appendModifications": written}}
    resource = {"type": "MeshProxyPatch", "mesh": "default", "name": "a", "spec": spec}
    universe = api.load(documents=[api.document(resource, "mesh")])
    assert not universe.errors, universe.errors
    (policy,) = universe.indexes["default"].policies["MeshProxyPatch"]
    return policy.modifications


def network_filter(name: str, kind: str = "tcp_proxy.v3.TcpProxy", **config: Any) -> Json:
    return {"name": name, "typedConfig": {"@type": f"{TYPE}.network.{kind}", **config}}


def http_filter(name: str, kind: str = "router.v3.Router", **config: Any) -> Json:
    return {"name": name, "typedConfig": {"@type": f"{TYPE}.http.{kind}", **config}}


def manager(*filters: Json, **config: Any) -> Json:
    kind = "http_connection_manager.v3.HttpConnectionManager"
    return network_filter(HCM, kind, httpFilters=list(filters), **config)


def listener(*chains: list[Json], tags: Json | None = None) -> Json:
    return {
        "name": NAME,
        "metadata": {"filterMetadata": {"io.kuma.tags": tags or {"kuma.io/service": "web", "version": "v1"}}},
        "filterChains": [{"filters": filters} for filters in chains],
    }


def outcome(resource: Json, *items: Json, type_url: str = type_urls.LISTENER, key: str = NAME) -> tuple[Any, list[int]]:
    """What is left of a resource, and the positions of the modifications that matched."""
    before = copy.deepcopy(resource)
    found = meshproxypatch.patched(resource, type_url, key, "outbound", modifications(*items))
    assert resource == before
    return found.resource, sorted(found.matched)


def filters(resource: Json) -> list[list[str]]:
    return [[one["name"] for one in chain["filters"]] for chain in resource["filterChains"]]


# --- clusters and listeners -------------------------------------------------------------------------------------------

SOMETHING = {"connectTimeout": "7s"}


@pytest.mark.parametrize(
    ("match", "matches"),
    [
        (None, True),
        ({}, True),
        ({"name": "web"}, True),
        ({"name": "we"}, False),
        ({"name": ""}, False),
        ({"origin": "outbound"}, True),
        ({"origin": "inbound"}, False),
        ({"origin": "outbound", "name": "web"}, True),
        ({"origin": "inbound", "name": "web"}, False),
    ],
)
def test_clusters_are_matched_by_name_and_origin(match: Json | None, matches: bool) -> None:
    item = {"operation": "Patch", "value": SOMETHING, **({} if match is None else {"match": match})}

    after, matched = outcome({"name": "web"}, {"cluster": item}, type_url=type_urls.CLUSTER, key="web")
    assert after == ({"name": "web", **SOMETHING} if matches else {"name": "web"})
    assert matched == [0] * matches


def test_a_cluster_is_known_by_the_name_that_it_had() -> None:
    after, matched = outcome(
        {"name": "web"},
        {"cluster": {"operation": "Patch", "match": {"name": "web"}, "value": {"name": "other"}}},
        {"cluster": {"operation": "Patch", "match": {"name": "other"}, "value": {"altStatName": "no"}}},
        {"cluster": {"operation": "Patch", "match": {"name": "web"}, "value": {"altStatName": "yes"}}},
        type_url=type_urls.CLUSTER,
        key="web",
    )
    assert after == {"name": "other", "altStatName": "yes"}
    assert matched == [0, 2]


@pytest.mark.parametrize(
    ("match", "matches"),
    [
        ({"name": NAME}, True),
        ({"name": "outbound"}, False),
        ({"tags": {}}, True),
        ({"tags": {"kuma.io/service": "web"}}, True),
        ({"tags": {"kuma.io/service": "web", "version": "v1"}}, True),
        ({"tags": {"kuma.io/service": "*"}}, True),
        ({"tags": {"kuma.io/service": "w*"}}, False),
        ({"tags": {"kuma.io/service": "web", "version": "v2"}}, False),
        ({"tags": {"zone": "*"}}, False),
        ({"tags": {"kuma.io/service": "web"}, "origin": "inbound"}, False),
    ],
)
def test_listeners_are_matched_by_name_origin_and_tags(match: Json, matches: bool) -> None:
    item = {"operation": "Patch", "match": match, "value": {"tcpBacklogSize": 7}}

    after, matched = outcome(listener(), {"listener": item})
    assert after == ({**listener(), "tcpBacklogSize": 7} if matches else listener())
    assert matched == [0] * matches


def test_a_listener_without_tags_has_none_that_match() -> None:
    item = {"operation": "Remove", "match": {"tags": {"kuma.io/service": "*"}}}

    assert outcome({"name": NAME}, {"listener": item}) == ({"name": NAME}, [])


@pytest.mark.parametrize(("part", "type_url"), [("cluster", type_urls.CLUSTER), ("listener", type_urls.LISTENER)])
def test_what_is_removed_is_not_there_for_what_follows(part: str, type_url: str) -> None:
    after, matched = outcome(
        {"name": "web"},
        {part: {"operation": "Patch", "match": {"name": "web"}, "value": {"name": "a"}}},
        {part: {"operation": "Remove", "match": {"name": "web"}}},
        {part: {"operation": "Patch", "value": {"name": "b"}}},
        type_url=type_url,
        key="web",
    )
    assert after is None
    assert matched == [0, 1]


@pytest.mark.parametrize(("part", "type_url"), [("cluster", type_urls.CLUSTER), ("listener", type_urls.LISTENER)])
def test_additions(part: str, type_url: str) -> None:
    add, patch = modifications(
        {part: {"operation": "Add", "value": {"name": "added", "metadata": {"filter_metadata": {}}}}},
        {part: {"operation": "Patch", "value": {"name": "a"}}},
    )
    assert meshproxypatch.addition(add) == (type_url, "added", {"name": "added", "metadata": {}})
    assert meshproxypatch.addition(add) is not meshproxypatch.addition(add)
    assert meshproxypatch.addition(patch) is None
    assert not meshproxypatch.concerns(add, type_url, "added", "outbound")
    assert meshproxypatch.patched({"name": "added"}, type_url, "added", "outbound", [add]) == (
        {"name": "added"},
        frozenset(),
    )


def test_each_modification_changes_what_those_before_it_left() -> None:
    items = [{"cluster": {"operation": "Patch", "value": {"healthChecks": [{"altPort": port}]}}} for port in (1, 2)]
    items.append({"cluster": {"operation": "Patch", "jsonPatches": [{"op": "remove", "path": "/healthChecks/0"}]}})

    after, matched = outcome({"name": "web"}, *items, type_url=type_urls.CLUSTER, key="web")
    assert after == {"name": "web", "healthChecks": [{"altPort": 2}]}
    assert matched == [0, 1, 2]


# --- filters ----------------------------------------------------------------------------------------------------------

A, B, A2 = (network_filter(name) for name in ("a", "b", "a"))
NEW = network_filter("new")
FILTERS = [
    ("AddFirst", {}, [["new", "a", "b", "a"], ["new", "b"], ["new"]]),
    ("AddLast", {}, [["a", "b", "a", "new"], ["b", "new"], ["new"]]),
    # Relative to the first one of that name, and to none where there is none.
    ("AddBefore", {"name": "a"}, [["new", "a", "b", "a"], ["b"], []]),
    ("AddAfter", {"name": "a"}, [["a", "new", "b", "a"], ["b"], []]),
    ("AddBefore", {"name": "c"}, None),
    ("Remove", {"name": "a"}, [["b"], ["b"], []]),
    ("Remove", {"name": "c"}, None),
    ("Remove", {}, [[], [], []]),
]


@pytest.mark.parametrize(("operation", "match", "names"), FILTERS)
def test_network_filters_are_changed_in_every_chain(operation: str, match: Json, names: list[list[str]] | None) -> None:
    resource = listener([A, B, A2], [B], [])
    value = {} if operation == "Remove" else {"value": NEW}

    after, matched = outcome(resource, {"networkFilter": {"operation": operation, "match": match, **value}})
    assert filters(after) == (names or [["a", "b", "a"], ["b"], []])
    assert matched == ([] if names is None else [0])


@pytest.mark.parametrize(("operation", "match", "names"), FILTERS)
def test_http_filters_are_changed_in_every_connection_manager(
    operation: str, match: Json, names: list[list[str]] | None
) -> None:
    chains = [[http_filter("a"), http_filter("b"), http_filter("a")], [http_filter("b")], []]
    resource = listener(*([network_filter("other"), manager(*chain)] for chain in chains))
    value = {} if operation == "Remove" else {"value": http_filter("new")}

    after, matched = outcome(resource, {"httpFilter": {"operation": operation, "match": match, **value}})
    managers = [chain["filters"][1]["typedConfig"] for chain in after["filterChains"]]
    assert [[one["name"] for one in found["httpFilters"]] for found in managers] == (
        names or [["a", "b", "a"], ["b"], []]
    )
    assert matched == ([] if names is None else [0])


@pytest.mark.parametrize("part", ["networkFilter", "httpFilter"])
@pytest.mark.parametrize(
    ("match", "matches"),
    [
        ({"origin": "outbound"}, True),
        ({"origin": "inbound"}, False),
        ({"listenerName": NAME}, True),
        ({"listenerName": "other"}, False),
        ({"listenerTags": {"version": "v1"}}, True),
        ({"listenerTags": {"version": "*", "kuma.io/service": "web"}}, True),
        ({"listenerTags": {"version": "v2"}}, False),
        ({"listenerName": NAME, "listenerTags": {"version": "v2"}}, False),
    ],
)
def test_filters_are_matched_by_their_listener(part: str, match: Json, matches: bool) -> None:
    resource = listener([manager(http_filter("a"))])

    _after, matched = outcome(resource, {part: {"operation": "Remove", "match": match}})
    assert matched == [0] * matches


def test_of_a_filter_its_configuration_alone_is_patched() -> None:
    resource = listener([network_filter(TCP, statPrefix="a"), network_filter("other", statPrefix="a")])
    value = network_filter("renamed", statPrefix="b", idleTimeout="3h")

    after, matched = outcome(
        resource, {"networkFilter": {"operation": "Patch", "match": {"name": TCP}, "value": value}}
    )
    assert after["filterChains"][0]["filters"] == [
        network_filter(TCP, statPrefix="b", idleTimeout="10800s"),
        network_filter("other", statPrefix="a"),
    ]
    assert matched == [0]


def test_paths_of_json_patches_begin_in_the_configuration_of_the_filter() -> None:
    resource = listener([manager(http_filter("a", dynamicStats=True), statPrefix="a")])

    after, matched = outcome(
        resource,
        {
            "networkFilter": {
                "operation": "Patch",
                "match": {"name": HCM},
                "jsonPatches": [{"op": "replace", "path": "/statPrefix", "value": "b"}],
            }
        },
        {
            "httpFilter": {
                "operation": "Patch",
                "match": {"name": "a"},
                "jsonPatches": [{"op": "move", "from": "/dynamicStats", "path": "/startChildSpan"}],
            }
        },
    )
    assert after == listener([manager(http_filter("a", startChildSpan=True), statPrefix="b")])
    assert matched == [0, 1]


@pytest.mark.parametrize("configured", [{}, {"configDiscovery": {}}, {"typedConfig": {}}])
def test_a_filter_without_configuration_gets_that_of_the_value(configured: Json) -> None:
    resource = listener([{"name": "a", **configured}])

    after, _matched = outcome(
        resource, {"networkFilter": {"operation": "Patch", "match": {"name": "a"}, "value": network_filter("a")}}
    )
    assert after == listener([network_filter("a")])


@pytest.mark.parametrize(
    ("chain", "item", "path", "words"),
    [
        (
            [network_filter("a")],
            {"networkFilter": {"operation": "Patch", "match": {"name": "a"}, "value": manager()}},
            ("value",),
            "its filter a is a envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, the value is a ",
        ),
        (
            [{"name": "a"}],
            {
                "networkFilter": {
                    "operation": "Patch",
                    "match": {"name": "a"},
                    "jsonPatches": [{"op": "add", "path": "/statPrefix", "value": "b"}],
                }
            },
            ("jsonPatches", 0, "path"),
            "its filter a has no typedConfig",
        ),
        (
            [manager(http_filter("a"))],
            {
                "httpFilter": {
                    "operation": "Patch",
                    "match": {"name": "a"},
                    "jsonPatches": [
                        {"op": "add", "path": "/dynamicStats", "value": True},
                        {"op": "add", "path": "/dynamicStat", "value": True},
                    ],
                }
            },
            ("jsonPatches", 1, "path"),
            "dynamicStat: Router has no such field; did you mean 'dynamicStats'?",
        ),
        (
            [network_filter(HCM)],
            {"httpFilter": {"operation": "AddFirst", "value": http_filter("a")}},
            (),
            f"its filter {HCM} is none, but {TYPE}.network.tcp_proxy.v3.TcpProxy",
        ),
    ],
)
def test_filters_that_cannot_be_patched(chain: list[Json], item: Json, path: tuple[str | int, ...], words: str) -> None:
    (modification,) = modifications(item)

    with pytest.raises(PatchError) as raised:
        meshproxypatch.patched(listener(chain), type_urls.LISTENER, NAME, "outbound", [modification])
    assert str(raised.value).startswith(f"cannot be applied to {NAME}: {words}")
    assert raised.value.modification is modification
    assert raised.value.path == (*modification.path, *path)
    assert modification.path == ("spec", "default", "appendModifications", 0, next(iter(item)))


# --- virtual hosts ----------------------------------------------------------------------------------------------------


def host(name: str, **members: Any) -> Json:
    return {"name": name, "domains": ["*"], **members}


def routed(*names: str, config: str = "outbound:web") -> Json:
    return manager(routeConfig={"name": config, "virtualHosts": [host(name) for name in names]})


@pytest.mark.parametrize(
    ("operation", "match", "names"),
    [
        ("Add", {}, [["a", "b", "new"], ["b", "new"]]),
        ("Add", {"routeConfigurationName": "other"}, [["a", "b"], ["b", "new"]]),
        ("Add", {"origin": "inbound"}, None),
        ("Remove", {}, [[], []]),
        ("Remove", {"name": "b"}, [["a"], []]),
        ("Remove", {"name": "b", "routeConfigurationName": "outbound:web"}, [["a"], ["b"]]),
        ("Remove", {"name": "c"}, None),
        ("Remove", {"routeConfigurationName": "third"}, None),
    ],
)
def test_virtual_hosts_are_changed_in_every_route_configuration(
    operation: str, match: Json, names: list[list[str]] | None
) -> None:
    resource = listener([network_filter("other"), routed("a", "b")], [routed("b", config="other")], [manager()])
    value = {} if operation == "Remove" else {"value": host("new")}

    after, matched = outcome(resource, {"virtualHost": {"operation": operation, "match": match, **value}})
    configs = [chain["filters"][-1]["typedConfig"].get("routeConfig") for chain in after["filterChains"]]
    assert [[one["name"] for one in config["virtualHosts"]] for config in configs[:2]] == (names or [["a", "b"], ["b"]])
    assert configs[2] is None
    assert matched == ([] if names is None else [0])


def test_virtual_hosts_are_patched() -> None:
    after, matched = outcome(
        listener([routed("a", "b")]),
        {"virtualHost": {"operation": "Patch", "match": {"name": "a"}, "value": {"domains": ["c"]}}},
        {
            "virtualHost": {
                "operation": "Patch",
                "match": {},
                "jsonPatches": [{"op": "add", "path": "/requireTls", "value": "ALL"}],
            }
        },
    )
    assert after["filterChains"][0]["filters"][0]["typedConfig"]["routeConfig"]["virtualHosts"] == [
        {"name": "a", "domains": ["*", "c"], "requireTls": "ALL"},
        {"name": "b", "domains": ["*"], "requireTls": "ALL"},
    ]
    assert matched == [0, 1]


# --- what may concern a resource --------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["cluster", "listener", "networkFilter", "httpFilter", "virtualHost"])
def test_what_concerns_neither_the_type_nor_the_origin_of_a_resource(part: str) -> None:
    (modification,) = modifications({part: {"operation": "Remove", "match": {"origin": "outbound"}}})
    own, other = type_urls.LISTENER, type_urls.CLUSTER
    if part == "cluster":
        own, other = other, own

    assert meshproxypatch.concerns(modification, own, "a", "outbound")
    assert not meshproxypatch.concerns(modification, other, "a", "outbound")
    assert not meshproxypatch.concerns(modification, own, "a", "inbound")
    assert not meshproxypatch.concerns(modification, type_urls.CLUSTER_LOAD_ASSIGNMENT, "a", "outbound")


def test_a_listener_may_get_the_tags_that_later_modifications_ask_for() -> None:
    found = modifications(
        {"networkFilter": {"operation": "Remove", "match": {"listenerTags": {"version": "v2"}}}},
        {"cluster": {"operation": "Remove"}},
        {
            "listener": {
                "operation": "Patch",
                "match": {"tags": {"version": "v1"}},
                "value": {"metadata": {"filterMetadata": {"io.kuma.tags": {"version": "v2"}}}},
            }
        },
        {"networkFilter": {"operation": "Remove", "match": {"listenerTags": {"version": "v2"}}}},
        {"networkFilter": {"operation": "Remove", "match": {"listenerName": "other"}}},
    )
    tags = {"version": "v1"}

    assert meshproxypatch.concerning(found, type_urls.LISTENER, NAME, "outbound", tags) == (2, 3)
    assert meshproxypatch.concerning(found, type_urls.LISTENER, NAME, "outbound", {}) == ()
    after = meshproxypatch.patched(listener([A], tags=tags), type_urls.LISTENER, NAME, "outbound", found)
    assert after == (listener([], tags={"version": "v2"}), frozenset({2, 3}))


# --- policies ---------------------------------------------------------------------------------------------------------


def proxy_patch(name: str, top: Json, *names: str) -> Json:
    items = [{"cluster": {"operation": "Add", "value": json.dumps({"name": one})}} for one in names]
    spec = {"targetRef": top, "default": {"appendModifications": items}}
    return {"type": "MeshProxyPatch", "mesh": "default", "name": name, "spec": spec}


def test_policies_are_there_by_precedence(load_resources: Load) -> None:
    universe = load_resources(
        proxy_patch("service", {"kind": "MeshService", "name": "web"}, "d"),
        proxy_patch("b", {"kind": "Mesh"}, "a", "b"),
        proxy_patch("a", {"kind": "Mesh"}, "c"),
    )

    found = universe.indexes["default"].policies["MeshProxyPatch"]
    additions = [meshproxypatch.addition(one) for policy in found for one in policy.modifications]
    assert [one and one[1] for one in additions] == ["a", "b", "c", "d"]


# --- whatever is written ----------------------------------------------------------------------------------------------

WEB = {
    "type": "Dataplane",
    "mesh": "default",
    "name": "web-1",
    "networking": {
        "address": "192.0.2.1",
        "inbound": [
            {
                "port": 80,
                "servicePort": 8080,
                "serviceAddress": "127.0.0.1",
                "tags": {"kuma.io/service": "web", "kuma.io/protocol": "http"},
            }
        ],
        "outbound": [{"port": 10000, "tags": {"kuma.io/service": "web"}}],
    },
}
ROUTER = "envoy.filters.http.router"
FIELDS = [
    *(
        "name",
        "typedConfig",
        "@type",
        "value",
        "metadata",
        "filterMetadata",
        "connectTimeout",
        "connect_timeout",
        "type",
    ),
    *("clusterType", "circuitBreakers", "thresholds", "maxRetries", "priority", "filterChains", "filters", "address"),
    *("routeConfig", "virtualHosts", "httpFilters", "domains", "routes", "match", "prefix", "route", "nothing"),
]
TYPES = ("network.tcp_proxy.v3.TcpProxy", "http.router.v3.Router")
TEXTS = [
    *(HCM, TCP, ROUTER, "web", "", "1s", "HIGH", "EDS", "*", "5", "\x01", "x/none"),
    *(f"{TYPE}.{name}" for name in (*TYPES, "network.http_connection_manager.v3.HttpConnectionManager")),
    *(f"x/google.protobuf.{name}" for name in ("Any", "Duration", "Struct")),
]
leaves = st.one_of(st.none(), st.booleans(), st.integers(-1, 2**33), st.just(0.5), st.sampled_from(TEXTS))
junk = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
)
pointers = st.lists(st.sampled_from((*FIELDS, "0", "-1", "-", "7")), max_size=4).map(
    lambda steps: "/".join(["", *steps])
)
json_patches = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy"]), "path": pointers},
    optional={"from": pointers, "value": junk},
)
whatever = st.one_of(
    *(
        st.fixed_dictionaries(
            {"operation": st.sampled_from(["Patch", "Remove", *operations])},
            optional={
                "match": st.fixed_dictionaries({}, optional={"name": names, "origin": st.just("outbound")}),
                "value": junk.map(json.dumps) | st.text(max_size=5),
                "jsonPatches": st.lists(json_patches, max_size=2),
            },
        ).map(lambda members, part=part: {part: members})
        for part, operations, names in (
            ("cluster", ["Add"], st.just("web")),
            ("listener", ["Add"], st.just("outbound:127.0.0.1:10000")),
            ("networkFilter", ["AddFirst", "AddBefore"], st.just(HCM)),
            ("httpFilter", ["AddLast", "AddAfter"], st.just(ROUTER)),
            ("virtualHost", ["Add"], st.just("web")),
        )
    )
)


@settings(
    max_examples=2000 if THOROUGH else 200,
    derandomize=THOROUGH,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.lists(whatever, min_size=1, max_size=3))
def test_whatever_is_written_is_a_finding_or_can_be_compiled(items: list[Json]) -> None:
    spec = {"targetRef": {"kind": "Mesh"}, "default": {"appendModifications": items}}
    resource = {"type": "MeshProxyPatch", "mesh": "default", "name": "a", "spec": spec}
    universe = api.load(documents=[api.document(one, "mesh") for one in (WEB, resource)])

    if not universe.errors:
        assert api.compile_release(universe, api.DataplaneId("default", "web-1")).document
