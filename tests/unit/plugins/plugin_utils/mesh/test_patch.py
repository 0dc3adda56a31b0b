# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Envoy messages: what merging a message and JSON patches make of one, and what rules it has to keep."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.envoy import (
    constraints,
    patch,
    protos,
    reading,
    tokens,
)
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.envoy.patch import (
    JsonPatches,
    Merge,
    NotApplicable,
)
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.findings import format_path
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.model.meshproxypatch import JsonPatch

Json = dict[str, Any]

COLLECTIONS = Path(api.__file__).parents[6]
CLUSTER = "envoy.config.cluster.v3.Cluster"
LISTENER = "envoy.config.listener.v3.Listener"
NODE = "envoy.config.core.v3.Node"
SOURCE = "envoy.config.core.v3.DataSource"
VIRTUAL_HOST = "envoy.config.route.v3.VirtualHost"
MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
EXTENSIONS = "type.googleapis.com/envoy.extensions"
TLS = f"{EXTENSIONS}.transport_sockets.tls.v3.UpstreamTlsContext"
OPTIONS = f"{EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions"
THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "ci"


def socket(**config: Any) -> Json:
    return {"transportSocket": {"name": "tls", "typedConfig": {"@type": TLS, **config}}}


def thresholds(*found: Json) -> Json:
    return {"circuitBreakers": {"thresholds": list(found)}}


# --- merging ----------------------------------------------------------------------------------------------------------

# Type, what is there, what is merged into it, what it becomes.
MERGES = {
    "a text": (CLUSTER, {"name": "a", "altStatName": "b"}, {"altStatName": "c"}, {"name": "a", "altStatName": "c"}),
    "an enum": (CLUSTER, {"lbPolicy": "RANDOM"}, {"lbPolicy": "RING_HASH"}, {"lbPolicy": "RING_HASH"}),
    "the default of an enum says nothing": (
        CLUSTER,
        {"lbPolicy": "RANDOM"},
        {"lbPolicy": "ROUND_ROBIN"},
        {"lbPolicy": "RANDOM"},
    ),
    "false and the empty text say nothing": (
        CLUSTER,
        {"ignoreHealthOnHostRemoval": True, "altStatName": "a"},
        {"ignoreHealthOnHostRemoval": False, "altStatName": ""},
        {"ignoreHealthOnHostRemoval": True, "altStatName": "a"},
    ),
    "a wrapped number": (
        CLUSTER,
        {"perConnectionBufferLimitBytes": 1},
        {"perConnectionBufferLimitBytes": 2},
        {"perConnectionBufferLimitBytes": 2},
    ),
    "a wrapped zero changes nothing that is there": (
        CLUSTER,
        {"perConnectionBufferLimitBytes": 1},
        {"perConnectionBufferLimitBytes": 0},
        {"perConnectionBufferLimitBytes": 1},
    ),
    "a wrapped zero is new": (CLUSTER, {}, {"perConnectionBufferLimitBytes": 0}, {"perConnectionBufferLimitBytes": 0}),
    "a message, member by member": (
        CLUSTER,
        {"outlierDetection": {"consecutive5xx": 5, "interval": "1s"}},
        {"outlierDetection": {"interval": "2s"}},
        {"outlierDetection": {"consecutive5xx": 5, "interval": "2s"}},
    ),
    "an empty message is there": (CLUSTER, {}, {"outlierDetection": {}}, {"outlierDetection": {}}),
    "a duration as a whole": (
        CLUSTER,
        {"connectTimeout": "2.500s"},
        {"connectTimeout": "1s"},
        {"connectTimeout": "1s"},
    ),
    "no duration": (CLUSTER, {"connectTimeout": "5s"}, {"connectTimeout": "0s"}, {"connectTimeout": "0s"}),
    "several at once": (
        CLUSTER,
        {"connectTimeout": "5s", "lbPolicy": "RANDOM", "dnsRefreshRate": "3s"},
        {"connectTimeout": "0s", "lbPolicy": "ROUND_ROBIN", "dnsRefreshRate": "1.5s"},
        {"connectTimeout": "0s", "lbPolicy": "RANDOM", "dnsRefreshRate": "1.500s"},
    ),
    "lists one after the other": (
        CLUSTER,
        {"healthChecks": [{"timeout": "1s"}]},
        {"healthChecks": [{"timeout": "1s"}, {"timeout": "2s"}]},
        {"healthChecks": [{"timeout": "1s"}, {"timeout": "1s"}, {"timeout": "2s"}]},
    ),
    "lists of texts": (
        VIRTUAL_HOST,
        {"domains": ["a"], "requestHeadersToRemove": ["x"]},
        {"domains": ["b", "a"]},
        {"domains": ["a", "b", "a"], "requestHeadersToRemove": ["x"]},
    ),
    "an empty list": (VIRTUAL_HOST, {"domains": ["a"]}, {"domains": []}, {"domains": ["a"]}),
    "a filter chain is one more": (
        LISTENER,
        {"filterChains": [{"name": "a"}]},
        {"filterChains": [{"name": "b"}]},
        {"filterChains": [{"name": "a"}, {"name": "b"}]},
    ),
    "a map by its keys": (
        CLUSTER,
        {"metadata": {"filterMetadata": {"a": {"x": 1, "y": 2}, "b": {"x": 1}}}},
        {"metadata": {"filterMetadata": {"a": {"x": 3}, "c": {}}}},
        {"metadata": {"filterMetadata": {"a": {"x": 3}, "b": {"x": 1}, "c": {}}}},
    ),
    "a map of any messages by its keys": (
        CLUSTER,
        {
            "typedExtensionProtocolOptions": {
                "a": {"@type": OPTIONS, "explicitHttpConfig": {"http2ProtocolOptions": {}}}
            }
        },
        {
            "typedExtensionProtocolOptions": {
                "a": {"@type": OPTIONS, "commonHttpProtocolOptions": {"idleTimeout": "1s"}}
            }
        },
        {
            "typedExtensionProtocolOptions": {
                "a": {"@type": OPTIONS, "commonHttpProtocolOptions": {"idleTimeout": "1s"}}
            }
        },
    ),
    "a map of texts": (
        CLUSTER,
        {"upstreamConfig": {"name": "a"}, "trackTimeoutBudgets": True},
        {"upstreamConfig": {"name": "b"}},
        {"upstreamConfig": {"name": "b"}, "trackTimeoutBudgets": True},
    ),
    "free JSON by its top members": (
        NODE,
        {"metadata": {"a": {"x": 1, "y": 2}, "b": 1}},
        {"metadata": {"a": {"x": 3}, "c": None}},
        {"metadata": {"a": {"x": 3.0}, "b": 1.0, "c": None}},
    ),
    "any message inside of another as a whole": (
        CLUSTER,
        socket(sni="a", allowRenegotiation=True),
        socket(sni="b"),
        socket(sni="b"),
    ),
    "any message that says nothing keeps what is there": (CLUSTER, socket(sni="a"), socket(), socket(sni="a")),
    "another member of a oneof": (
        CLUSTER,
        {"type": "EDS", "name": "a"},
        {"clusterType": {"name": "own"}},
        {"clusterType": {"name": "own"}, "name": "a"},
    ),
    "the default of a oneof's member": (
        CLUSTER,
        {"clusterType": {"name": "own"}},
        {"type": "STATIC"},
        {"type": "STATIC"},
    ),
    "free JSON that looks like a message": (
        CLUSTER,
        {"metadata": {"filterMetadata": {"a": {"@type": "b"}}}},
        {"metadata": {"filterMetadata": {"c": {"@type": "d"}}}},
        {"metadata": {"filterMetadata": {"a": {"@type": "b"}, "c": {"@type": "d"}}}},
    ),
    "bytes": (SOURCE, {"inlineBytes": "YQ=="}, {"inlineBytes": "Yg=="}, {"inlineBytes": "Yg=="}),
    "a token in what is there": (
        VIRTUAL_HOST,
        {"name": tokens.SOURCE_TAGS, "domains": [tokens.NODE_ID]},
        {"domains": ["a"]},
        {"name": tokens.SOURCE_TAGS, "domains": [tokens.NODE_ID, "a"]},
    ),
    # Where Kuma appends a second one, which Envoy does not look at.
    "a threshold takes the place of the one of its priority": (
        CLUSTER,
        thresholds({"maxConnections": 1, "maxRetries": 1}, {"priority": "HIGH", "maxRetries": 2}),
        thresholds({"maxConnections": 3}),
        thresholds({"maxConnections": 3}, {"priority": "HIGH", "maxRetries": 2}),
    ),
    "a threshold of another priority is one more": (
        CLUSTER,
        thresholds({"maxConnections": 1}),
        thresholds({"priority": "HIGH", "maxRetries": 2}),
        thresholds({"maxConnections": 1}, {"priority": "HIGH", "maxRetries": 2}),
    ),
    "the first threshold": (CLUSTER, {}, thresholds({"maxConnections": 1}), thresholds({"maxConnections": 1})),
    "thresholds of hosts": (
        CLUSTER,
        {"circuitBreakers": {"perHostThresholds": [{"maxConnections": 1}]}},
        {"circuitBreakers": {"perHostThresholds": [{"maxConnections": 2}]}},
        {"circuitBreakers": {"perHostThresholds": [{"maxConnections": 2}]}},
    ),
}


@pytest.mark.parametrize("name", MERGES)
def test_merging(name: str) -> None:
    of, before, value, after = MERGES[name]
    target = copy.deepcopy(before)

    assert Merge(of, value).apply(of, target) == after
    assert target == before


@pytest.mark.parametrize(
    ("of", "value", "places"),
    [
        (CLUSTER, {"lbPolicy": "ROUND_ROBIN", "connectTimeout": "0s", "altStatName": ""}, ["lbPolicy", "altStatName"]),
        (CLUSTER, {"type": "STATIC", "circuitBreakers": {"thresholds": []}}, ["circuitBreakers.thresholds"]),
        (
            CLUSTER,
            {"outlierDetection": {}, "perConnectionBufferLimitBytes": 0, "metadata": {"filterMetadata": {}}},
            ["metadata.filterMetadata"],
        ),
        # Whole messages come with what they leave out.
        (
            CLUSTER,
            {"healthChecks": [{"altPort": 0}], "transportSocket": {"typedConfig": {"@type": TLS, "sni": ""}}},
            [],
        ),
        (LISTENER, {"useOriginalDst": False, "transparent": False, "tcpBacklogSize": 0}, []),
        (
            LISTENER,
            {"address": {"socketAddress": {"address": "a", "portValue": 0, "ipv4Compat": False}}},
            ["address.socketAddress.ipv4Compat"],
        ),
    ],
)
def test_what_has_no_effect_when_it_is_merged(of: str, value: Json, places: list[str]) -> None:
    assert [format_path(path) for path in patch.without_effect(of, value)] == places


# --- JSON patches -----------------------------------------------------------------------------------------------------


def patches(*written: Json) -> JsonPatches:
    return JsonPatches([JsonPatch(one["op"], one["path"], one.get("from"), one.get("value")) for one in written])


def add(path: str, value: Any) -> Json:
    return {"op": "add", "path": path, "value": value}


def replace(path: str, value: Any) -> Json:
    return {"op": "replace", "path": path, "value": value}


def remove(path: str) -> Json:
    return {"op": "remove", "path": path}


def move(source: str, path: str) -> Json:
    return {"op": "move", "from": source, "path": path}


ABC: Json = {"domains": ["a", "b", "c"]}

# Type, what is there, patches, what it becomes.
PATCHED = {
    "add": (CLUSTER, {"name": "a"}, [add("/connectTimeout", "5s")], {"name": "a", "connectTimeout": "5s"}),
    "add to what is there": (
        CLUSTER,
        {"connectTimeout": "1s"},
        [add("/connectTimeout", "5s")],
        {"connectTimeout": "5s"},
    ),
    "add in snake_case": (CLUSTER, {}, [add("/connect_timeout", "5s")], {"connectTimeout": "5s"}),
    "add a duration of Go": (CLUSTER, {}, [add("/connectTimeout", "1m30s")], {"connectTimeout": "90s"}),
    "add null": (CLUSTER, {"connectTimeout": "1s"}, [add("/connectTimeout", None)], {}),
    "add a default": (CLUSTER, {"lbPolicy": "RANDOM"}, [add("/lbPolicy", "ROUND_ROBIN")], {}),
    "add with parents": (
        CLUSTER,
        {},
        [add("/circuitBreakers/thresholds/0/maxRetries", 3), add("/metadata/filterMetadata/a~1b/c", 1)],
        {**thresholds({"maxRetries": 3}), "metadata": {"filterMetadata": {"a/b": {"c": 1.0}}}},
    ),
    "add a parent to a list": (
        CLUSTER,
        {"healthChecks": [{"timeout": "1s"}]},
        [add("/healthChecks/1/timeout", "2s")],
        {"healthChecks": [{"timeout": "1s"}, {"timeout": "2s"}]},
    ),
    "add at the end": (VIRTUAL_HOST, ABC, [add("/domains/-", "x")], {"domains": ["a", "b", "c", "x"]}),
    "add behind the last": (VIRTUAL_HOST, ABC, [add("/domains/-1", "x")], {"domains": ["a", "b", "c", "x"]}),
    "add before the last": (VIRTUAL_HOST, ABC, [add("/domains/-2", "x")], {"domains": ["a", "b", "x", "c"]}),
    "add first": (VIRTUAL_HOST, ABC, [add("/domains/0", "x")], {"domains": ["x", "a", "b", "c"]}),
    "add everything": (CLUSTER, {"name": "a"}, [add("", {"name": "b"})], {"name": "b"}),
    "replace": (CLUSTER, {"connectTimeout": "1s"}, [replace("/connectTimeout", "5s")], {"connectTimeout": "5s"}),
    "replace the last": (VIRTUAL_HOST, ABC, [replace("/domains/-1", "x")], {"domains": ["a", "b", "x"]}),
    "remove": (CLUSTER, {"name": "a", "connectTimeout": "1s"}, [remove("/connectTimeout")], {"name": "a"}),
    "remove what is not there": (
        CLUSTER,
        {"name": "a"},
        [remove("/connectTimeout"), remove("/healthChecks/3/timeout")],
        {"name": "a"},
    ),
    "remove behind the last": (VIRTUAL_HOST, ABC, [remove("/domains/3"), remove("/domains/-4")], ABC),
    "remove the last": (VIRTUAL_HOST, ABC, [remove("/domains/-1")], {"domains": ["a", "b"]}),
    "move": (CLUSTER, {"name": "a"}, [move("/name", "/altStatName")], {"altStatName": "a"}),
    "move in a list": (VIRTUAL_HOST, ABC, [move("/domains/-1", "/domains/0")], {"domains": ["c", "a", "b"]}),
    "copy": (
        CLUSTER,
        {"name": "a"},
        [{**move("/name", "/altStatName"), "op": "copy"}],
        {"name": "a", "altStatName": "a"},
    ),
    "one after the other": (
        CLUSTER,
        {},
        [add("/altStatName", "a"), replace("/altStatName", "b"), move("/altStatName", "/name")],
        {"name": "b"},
    ),
    "what Envoy leaves out is not there": (CLUSTER, {"lbPolicy": "ROUND_ROBIN"}, [remove("/lbPolicy")], {}),
    "inside of any message": (
        CLUSTER,
        socket(sni="a"),
        [replace("/transportSocket/typedConfig/sni", "b")],
        socket(sni="b"),
    ),
    "another member of a oneof": (
        CLUSTER,
        {"type": "EDS"},
        [remove("/type"), add("/clusterType/name", "own")],
        {"clusterType": {"name": "own"}},
    ),
    "a token in what is there": (
        VIRTUAL_HOST,
        {"name": tokens.SOURCE_TAGS, "domains": ["a"]},
        [move("/name", "/domains/0")],
        {"domains": [tokens.SOURCE_TAGS, "a"]},
    ),
}


@pytest.mark.parametrize("name", PATCHED)
def test_json_patches(name: str) -> None:
    of, before, written, after = PATCHED[name]
    target = copy.deepcopy(before)

    assert patches(*written).apply(of, target) == after
    assert target == before


@pytest.mark.parametrize(
    ("before", "written", "step", "words"),
    [
        (
            {},
            [replace("/connectTimeout", "1s")],
            0,
            "/connectTimeout is not there to be replaced; `add` sets it either way",
        ),
        ({"lbPolicy": "ROUND_ROBIN"}, [replace("/lbPolicy", "RANDOM")], 0, "/lbPolicy is not there"),
        ({"connectTimeout": "1s"}, [replace("/connect_timeout", "2s")], 0, "/connect_timeout is not there"),
        (
            {"connectTimeout": "1s"},
            [add("/name", "a"), add("/connect_timeout", "2s")],
            1,
            "connect_timeout: cannot stand beside connectTimeout",
        ),
        ({"type": "EDS"}, [add("/clusterType", {"name": "own"})], 0, "clusterType: cannot stand beside type"),
        ({"name": "a"}, [move("/altStatName", "/name")], 0, "/altStatName is not there"),
        ({}, [move("/altStatName", "/name")], 0, "/altStatName is not there"),
        ({}, [add("/nothing", 1)], 0, "nothing: Cluster has no such field"),
        (
            {},
            [add("/name", "a"), add("/outlierDetection", {"nothing": 1}), remove("/metadata")],
            1,
            "outlierDetection.nothing: OutlierDetection has no such field",
        ),
        ({}, [add("/name", {})], 0, "name: must be a string, not a mapping"),
        ({"name": "a"}, [add("/name/b", "c")], 0, "there is no place for /name/b"),
        ({"healthChecks": [{}]}, [add("/healthChecks/2", {})], 0, "there is no place for /healthChecks/2"),
        (
            {"healthChecks": [{}]},
            [add("/healthChecks/-/timeout", "1s")],
            0,
            "there is no place for /healthChecks/-/timeout",
        ),
        ({"name": "a"}, [move("/name", "/metadata/a")], 0, "there is no place for /metadata/a"),
        ({"healthChecks": [{}]}, [remove("/healthChecks/first")], 0, "there is no place for /healthChecks/first"),
        ({"healthChecks": [{}]}, [replace("/healthChecks/-2", {})], 0, "/healthChecks/-2 is not there"),
        ({}, [replace("", [])], 0, "must be a mapping, not a list"),
        (
            thresholds({"maxRetries": 1}),
            [add("/name", "a"), add("/circuitBreakers/thresholds/-", {"maxRetries": 2})],
            1,
            "circuitBreakers.thresholds[1] has the priority of one before it, and Envoy looks at the first one only",
        ),
    ],
)
def test_json_patches_that_cannot_be_applied(before: Json, written: list[Json], step: int, words: str) -> None:
    with pytest.raises(NotApplicable) as raised:
        patches(*written).apply(CLUSTER, before)

    assert str(raised.value).startswith(words)
    assert raised.value.step == step


# --- what a change is made of -----------------------------------------------------------------------------------------

CLUSTERS = {
    "name": st.sampled_from(["a", "b"]),
    "altStatName": st.sampled_from(["", "a"]),
    "lbPolicy": st.sampled_from(["ROUND_ROBIN", "RANDOM"]),
    "connectTimeout": st.sampled_from(["0s", "1s", "2.5s"]),
    "perConnectionBufferLimitBytes": st.sampled_from([0, 1]),
    "ignoreHealthOnHostRemoval": st.booleans(),
    "circuitBreakers": st.builds(
        lambda found: {"thresholds": found},
        st.lists(
            st.fixed_dictionaries({"maxRetries": st.integers(0, 3)}, optional={"priority": st.just("HIGH")}),
            max_size=2,
            unique_by=lambda one: one.get("priority"),
        ),
    ),
    "outlierDetection": st.fixed_dictionaries({}, optional={"interval": st.just("1s"), "consecutive5xx": st.just(5)}),
    "healthChecks": st.lists(st.just({"timeout": "1s"}), max_size=2),
    "metadata": st.sampled_from([{"filterMetadata": {"a": {"b": "c"}}}, {"filterMetadata": {"b": {}}}]),
    "transportSocket": st.sampled_from([socket(sni="a")["transportSocket"], socket(sni="b")["transportSocket"]]),
}
# Of the members of a oneof, one at most.
KINDS = st.sampled_from([{}, {"type": "EDS"}, {"type": "STATIC"}, {"clusterType": {"name": "own"}}])
clusters = st.builds(lambda fields, kind: {**fields, **kind}, st.fixed_dictionaries({}, optional=CLUSTERS), KINDS)
pointers = st.sampled_from(
    [
        "",
        "/name",
        "/altStatName",
        "/alt_stat_name",
        "/type",
        "/clusterType",
        "/clusterType/name",
        "/lbPolicy",
        "/circuitBreakers/thresholds/0",
        "/circuitBreakers/thresholds/-1",
        "/healthChecks/-",
        "/metadata/filterMetadata/a",
        "/nothing",
    ]
)
written_patches = st.one_of(
    st.builds(add, pointers, st.sampled_from(["a", "EDS", {}, {"name": "c"}, {"maxRetries": 2}, None])),
    st.builds(replace, pointers, st.sampled_from(["a", "EDS", {"name": "c"}])),
    st.builds(remove, pointers.filter(bool)),
    st.builds(move, pointers.filter(bool), pointers),
)


def outcome(change: patch.Change, before: Json, *, whole: bool) -> Json | str:
    """What becomes of a cluster, in Envoy's spelling; the words where nothing does."""
    try:
        after = change.whole(CLUSTER, before) if whole else change.apply(CLUSTER, before)
    except (NotApplicable, protos.NotAMessage) as error:
        return str(error)
    return protos.canonical(CLUSTER, after)


@settings(max_examples=2000 if THOROUGH else 200, derandomize=THOROUGH, database=None, deadline=None)
@given(before=clusters, others=st.lists(clusters, max_size=2), value=clusters)
def test_merging_looks_at_the_fields_that_it_names_and_no_others(before: Json, others: list[Json], value: Json) -> None:
    change = Merge(CLUSTER, value)
    for other in others:
        outcome(change, other, whole=False)

    assert outcome(change, before, whole=False) == outcome(change, before, whole=True)


@settings(max_examples=2000 if THOROUGH else 200, derandomize=THOROUGH, database=None, deadline=None)
@given(
    before=clusters, others=st.lists(clusters, max_size=2), written=st.lists(written_patches, min_size=1, max_size=3)
)
def test_json_patches_look_at_the_fields_that_they_name_and_no_others(
    before: Json, others: list[Json], written: list[Json]
) -> None:
    change = patches(*written)
    for other in others:
        outcome(change, other, whole=False)

    assert outcome(change, before, whole=False) == outcome(change, before, whole=True)


@pytest.mark.parametrize("change", [Merge(CLUSTER, {"connectTimeout": "7s"}), patches(add("/connectTimeout", "7s"))])
def test_many_clusters_are_changed_at_the_cost_of_one(change: patch.Change, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    whole = change.whole
    monkeypatch.setattr(change, "whole", lambda name, message: asked.append(message) or whole(name, message))

    for number in range(100):
        after = change.apply(CLUSTER, {"name": f"svc-{number}", "connectTimeout": "5s"})
        assert after == {"name": f"svc-{number}", "connectTimeout": "7s"}
    assert asked == [{"connectTimeout": "5s"}]


def test_every_result_is_one_of_its_own() -> None:
    change = Merge(CLUSTER, thresholds({"maxRetries": 3}))

    first = change.apply(CLUSTER, {})
    first["circuitBreakers"]["thresholds"].clear()
    assert change.apply(CLUSTER, {}) == thresholds({"maxRetries": 3})


# --- messages ---------------------------------------------------------------------------------------------------------


def test_json_is_read_in_either_spelling_and_with_durations_of_go() -> None:
    value = {"connect_timeout": "1m", "circuit_breakers": {"thresholds": [{"max_retries": "3"}]}, "name": None}

    assert reading.read(CLUSTER, value) == ({"connectTimeout": "60s", **thresholds({"maxRetries": "3"})}, [])


@pytest.mark.parametrize(
    ("of", "value", "mistakes"),
    [
        ("google.protobuf.Any", {"@type": "x/google.protobuf.Duration", "value": "1h"}, []),
        ("google.protobuf.Any", {"@type": "x/google.protobuf.Struct", "value": {"a": [None]}}, []),
        ("google.protobuf.Any", {}, []),
        (
            "google.protobuf.Any",
            {"@type": "x/google.protobuf.Duration", "seconds": 1},
            ["seconds: unknown field", "value: must be a duration"],
        ),
        (NODE, {"metadata": []}, ["metadata: must be a mapping, not a list"]),
        (
            NODE,
            {"userAgentBuildVersion": {"version": {"majorNumber": 1.5}}},
            ["userAgentBuildVersion.version.majorNumber: must be a whole number"],
        ),
        (SOURCE, {"inlineBytes": "?"}, ["inlineBytes: must be base64 text, not '?'"]),
        (CLUSTER, [], ["must be a mapping, not a list"]),
    ],
)
def test_what_is_wrong_with_json(of: str, value: Any, mistakes: list[str]) -> None:
    _result, found = reading.read(of, value)

    assert len(found) == len(mistakes)
    assert all(str(one).startswith(words) for one, words in zip(found, mistakes, strict=True)), found


@pytest.mark.parametrize(
    ("of", "pointer", "creating", "words"),
    [
        (CLUSTER, "/circuitBreakers/thresholds/0/maxRetries", False, None),
        (CLUSTER, "/circuitBreakers/thresholds/-", True, None),
        (CLUSTER, "/connect_timeout", True, None),
        (CLUSTER, "/connect_timeout", False, "in the JSON that is patched it is connectTimeout"),
        (CLUSTER, "/transportSocket/typedConfig/anything/at/all", False, None),
        (CLUSTER, "/metadata/filterMetadata/a/b/c", False, None),
        (CLUSTER, "/typedExtensionProtocolOptions/a/b", False, None),
        (CLUSTER, "", True, None),
        (CLUSTER, "/", True, "Cluster has no such field"),
        (
            CLUSTER,
            "/circuitBreakers/threshold/0",
            True,
            "CircuitBreakers has no such field; did you mean 'thresholds'?",
        ),
        (CLUSTER, "/perConnectionBufferLimitBytes/value", True, "there is nothing below a value"),
        (VIRTUAL_HOST, "/domains/0/a", True, "there is nothing below a value"),
    ],
)
def test_where_a_pointer_leads(of: str, pointer: str, creating: bool, words: str | None) -> None:
    mistake = reading.pointer_mistake(of, patch.pointer_parts(pointer), creating=creating)

    assert (mistake and mistake.message) == words


CHECK = {"timeout": "1s", "interval": "1s", "unhealthyThreshold": 1, "healthyThreshold": 1}


@pytest.mark.parametrize(
    ("of", "value", "broken"),
    [
        (CLUSTER, {"name": "a"}, []),
        (CLUSTER, {"name": "a", "metadata": {"filterMetadata": {"b": {"c": [1, None, {"d": "e"}]}}}}, []),
        (CLUSTER, {}, ["name: must not be empty"]),
        (CLUSTER, {"name": "a", "connectTimeout": "0s"}, ["connectTimeout: must be greater than 0s"]),
        (CLUSTER, {"name": "a", "type": 99}, ["type: must be one of the values that have a name"]),
        (
            CLUSTER,
            {"name": "a", "outlierDetection": {"maxEjectionPercent": 101}},
            ["outlierDetection.maxEjectionPercent: must be at most 100"],
        ),
        (CLUSTER, {"name": "a", "healthChecks": [{**CHECK, "tcpHealthCheck": {}}]}, []),
        (
            CLUSTER,
            {"name": "a", "healthChecks": [CHECK]},
            ["healthChecks[0]: must have one of httpHealthCheck, tcpHealthCheck, "],
        ),
        (
            CLUSTER,
            {"name": "a", "healthChecks": [{"timeout": "1s", "tcpHealthCheck": {}}]},
            [
                "healthChecks[0].interval: must be set",
                "healthChecks[0].unhealthyThreshold: must be set",
                "healthChecks[0].healthyThreshold: must be set",
            ],
        ),
        (
            CLUSTER,
            {"name": "a", "healthChecks": [{**CHECK, "httpHealthCheck": {"path": "/", "method": "CONNECT"}}]},
            ["healthChecks[0].httpHealthCheck.method: must not be CONNECT"],
        ),
        (
            CLUSTER,
            {"name": "a", "preconnectPolicy": {"perUpstreamPreconnectRatio": 0.5}},
            ["preconnectPolicy.perUpstreamPreconnectRatio: must be at least 1.0 and at most 3.0"],
        ),
        # What stands in a field for any message is Envoy's business.
        (
            CLUSTER,
            {
                "name": "a",
                "transportSocket": {"name": "b", "typedConfig": {"@type": TLS, "maxSessionKeys": 1, "sni": "a" * 256}},
            },
            [],
        ),
        (VIRTUAL_HOST, {"name": "a", "domains": []}, ["domains: must have at least 1 item"]),
        (
            VIRTUAL_HOST,
            {"name": "a", "domains": ["a"], "requestHeadersToRemove": ["a\n"]},
            ["requestHeadersToRemove[0]: must be a header's name or value as HTTP allows it"],
        ),
        (
            VIRTUAL_HOST,
            {"name": "a", "domains": ["a"], "routes": [{"match": {"pathSeparatedPrefix": "/a/"}, "redirect": {}}]},
            ["routes[0].match.pathSeparatedPrefix: must match "],
        ),
        (LISTENER, {"listenerFilters": [{}]}, ["listenerFilters[0].name: must not be empty"]),
        ("envoy.config.listener.v3.ListenerFilterChainMatchPredicate", {"anyMatch": False}, ["anyMatch: must be true"]),
        (
            "envoy.config.core.v3.QuicKeepAliveSettings",
            {"initialInterval": "0.0005s"},
            ["initialInterval: must be at least 0.001s or at most 0s"],
        ),
        ("envoy.config.core.v3.QuicKeepAliveSettings", {"initialInterval": "0s"}, []),
        (
            "envoy.config.route.v3.InternalRedirectPolicy",
            {"responseHeadersToCopy": ["a", "a"]},
            ["responseHeadersToCopy: must not have an item twice"],
        ),
    ],
)
def test_rules_of_messages(of: str, value: Json, broken: list[str]) -> None:
    found = [f"{format_path(path)}: {words}" for path, words in constraints.violations(protos.parse(of, value))]

    assert len(found) == len(broken), found
    assert all(one.startswith(words) for one, words in zip(found, broken, strict=True)), found


def test_the_kafka_filter_is_known() -> None:
    name = "envoy.extensions.filters.network.kafka_broker.v3.KafkaBroker"

    assert protos.canonical(name, {"stat_prefix": "a"}) == {"statPrefix": "a"}


@pytest.mark.parametrize("name", ["envoy.config.cluster.v3.Clustr", "envoy.none.v3.A", "os.path", "", "A", "envoy..A"])
def test_unknown_types(name: str) -> None:
    with pytest.raises(protos.NotAMessage, match="there is no Envoy type"):
        protos.descriptor(name)


def test_a_mesh_that_patches_nothing_loads_no_messages(tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_text("type: Mesh\nname: default\n")
    program = f"""
import sys
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
assert not api.load(paths=[{str(tmp_path)!r}]).errors
print([name for name in ("google.protobuf", "envoy", "jsonpatch") if name in sys.modules])
"""
    environment = {**os.environ, "PYTHONPATH": str(COLLECTIONS)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)

    assert done.stdout == "[]\n"
