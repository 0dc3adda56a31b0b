# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policies that a mesh starts with: which there are, what they do, and that a user's always win."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.envoy import type_urls

Load = Callable[..., api.Universe]
Conf = dict[str, Any]

MESH: Conf = {"type": "Mesh", "name": "default"}
WEB = api.DataplaneId("default", "web-1")
EDGE = api.DataplaneId("default", "edge-1")
ORIGIN = "initial policy of Kuma 2.7"

TIMEOUT = ("MeshTimeout", "mesh-timeout-all-default")
GATEWAY_TIMEOUT = ("MeshTimeout", "mesh-gateways-timeout-all-default")
CIRCUIT_BREAKER = ("MeshCircuitBreaker", "mesh-circuit-breaker-all-default")
RETRY = ("MeshRetry", "mesh-retry-all-default")


def policy(
    name: str,
    default: Conf,
    kind: str = "MeshTimeout",
    *,
    top: Conf | None = None,
    to: str | None = None,
    labels: dict[str, str] | None = None,
    list_: str = "to",
) -> Conf:
    target = {"kind": "MeshService", "name": to} if to else {"kind": "Mesh"}
    items = [{"targetRef": target, "default": default}]
    spec = {"targetRef": top or {"kind": "Mesh"}, list_: items}
    return {"type": kind, "mesh": "default", "name": name, "labels": labels or {}, "spec": spec}


def tagged(service: str, protocol: str) -> Conf:
    return {"kuma.io/service": service, "kuma.io/protocol": protocol}


def sidecar(service: str, protocol: str, outbounds: tuple[str, ...] = (), mesh: str = "default") -> Conf:
    inbound = {"port": 8080, "servicePort": 18080, "serviceAddress": "127.0.0.1", "tags": tagged(service, protocol)}
    listed = [{"port": 10001 + at, "tags": {"kuma.io/service": name}} for at, name in enumerate(outbounds)]
    networking = {"address": "192.0.2.1", "inbound": [inbound], "outbound": listed}
    return {"type": "Dataplane", "mesh": mesh, "name": f"{service}-1", "networking": networking}


GATEWAY: Conf = {
    "type": "Dataplane",
    "mesh": "default",
    "name": "edge-1",
    "networking": {
        "address": "192.0.2.2",
        "gateway": {"tags": {"kuma.io/service": "edge"}},
        "outbound": [{"port": 10001, "tags": {"kuma.io/service": "backend"}}],
    },
}
PROXIES = [sidecar("web", "http", ("backend", "db", "rpc")), sidecar("backend", "http"), GATEWAY]
PROXIES += [sidecar("db", "tcp"), sidecar("rpc", "grpc")]


def selected(universe: api.Universe, dataplane: api.DataplaneId = WEB) -> dict[tuple[str, str], str]:
    return {(one["kind"], one["name"]): one["file"] for one in api.matched_policies(universe, dataplane)}


# --- which there are --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("skipped", "left"),
    [
        (None, {TIMEOUT, CIRCUIT_BREAKER, RETRY}),
        ([], {TIMEOUT, CIRCUIT_BREAKER, RETRY}),
        (["MeshTimeout"], {CIRCUIT_BREAKER, RETRY}),
        (["MeshCircuitBreaker"], {TIMEOUT, RETRY}),
        (["MeshRetry"], {TIMEOUT, CIRCUIT_BREAKER}),
        (["MeshTimeout", "MeshRetry"], {CIRCUIT_BREAKER}),
        (["MeshTimeout", "MeshCircuitBreaker", "MeshRetry"], set()),
        (["*"], set()),
        (["MeshTimeout", "*"], set()),
        # Kinds of which a mesh of this release has none anyway.
        (["TrafficRoute", "Timeout", "MeshHealthCheck"], {TIMEOUT, CIRCUIT_BREAKER, RETRY}),
    ],
)
def test_a_mesh_has_the_initial_policies_that_it_does_not_skip(
    load_resources: Load, skipped: list[str] | None, left: set[tuple[str, str]]
) -> None:
    mesh = MESH if skipped is None else {**MESH, "skipCreatingInitialPolicies": skipped}
    universe = load_resources(mesh, *PROXIES)

    assert selected(universe) == dict.fromkeys(left, ORIGIN)
    assert selected(universe, EDGE) == {GATEWAY_TIMEOUT if one == TIMEOUT else one: ORIGIN for one in left}
    assert universe.findings == ()


def test_what_skips_them_all_is_as_without_a_mesh(load_resources: Load) -> None:
    skipping = load_resources({**MESH, "skipCreatingInitialPolicies": ["*"]}, *PROXIES)
    without = load_resources(*PROXIES)

    for one in skipping.dataplanes:
        assert api.compile_release(skipping, one).document == api.compile_release(without, one).document
        assert api.matched_policies(without, one) == []


def test_each_mesh_has_its_own(load_resources: Load) -> None:
    universe = load_resources(
        {**MESH, "name": "blue"},
        {**MESH, "name": "green", "skipCreatingInitialPolicies": ["MeshTimeout", "MeshRetry"]},
        *[sidecar("web", "http", mesh=mesh) for mesh in ("blue", "green", "default")],
    )

    assert {one.mesh: {name for _kind, name in selected(universe, one)} for one in universe.dataplanes} == {
        "blue": {"mesh-timeout-all-blue", "mesh-circuit-breaker-all-blue", "mesh-retry-all-blue"},
        "green": {"mesh-circuit-breaker-all-green"},
        "default": set(),
    }


# --- what they say ----------------------------------------------------------------------------------------------------

RETRIES = {"numRetries": 5, "perTryTimeout": "16s", "backOff": {"baseInterval": "25ms", "maxInterval": "250ms"}}
CONFS = {
    "MeshTimeout": {
        "connectionTimeout": "5s",
        "idleTimeout": "1h0m0s",
        "http": {"requestTimeout": "15s", "streamIdleTimeout": "30m0s"},
    },
    "MeshCircuitBreaker": {
        "connectionLimits": {"maxConnections": 1024, "maxPendingRequests": 1024, "maxRetries": 3, "maxRequests": 1024}
    },
    "MeshRetry": {"http": RETRIES, "grpc": RETRIES, "tcp": {"maxConnectAttempt": 5}},
}


@pytest.mark.parametrize("service", ["backend", "db", "rpc", "nobody"])
def test_what_they_say_and_that_it_is_theirs(load_resources: Load, service: str) -> None:
    universe = load_resources(MESH, *PROXIES)

    for kind, name in (TIMEOUT, CIRCUIT_BREAKER, RETRY):
        effective = api.effective(universe, kind, WEB, service)
        assert effective["conf"] == CONFS[kind]
        for path, field in effective["fields"].items():
            source = field["policy"]
            assert (source["kind"], source["name"], source["file"], source["line"]) == (kind, name, ORIGIN, None)
            assert source["path"] == f"spec.to[0].default.{path}"
            assert field["losers"] == []
    assert api.effective(universe, "MeshHealthCheck", WEB, service) == {"conf": {}, "fields": {}}


def test_gateways_have_timeouts_of_their_own(load_resources: Load) -> None:
    universe = load_resources(MESH, *PROXIES)

    assert api.effective(universe, "MeshTimeout", EDGE, "backend")["conf"] == {
        "idleTimeout": "1h0m0s",
        "http": {"streamIdleTimeout": "5s"},
    }
    assert api.timeouts(universe, EDGE, "backend") == {**TIMEOUTS, "streamIdleTimeout": "5s"}


TIMEOUTS = {
    "connectionTimeout": "5s",
    "idleTimeout": "3600s",
    "maxConnectionDuration": "0s",
    "maxStreamDuration": "0s",
    "requestHeadersTimeout": "0s",
    "requestTimeout": "15s",
    "streamIdleTimeout": "1800s",
}
LIMITS = {"maxConnections": 1024, "maxPendingRequests": 1024, "maxRetries": 3, "maxRequests": 1024}


def test_what_envoy_makes_of_them(load_resources: Load) -> None:
    universe = load_resources(MESH, *PROXIES)

    assert api.timeouts(universe, WEB, "backend") == TIMEOUTS
    assert api.timeouts(universe, WEB, "db") == {"connectionTimeout": "5s", "idleTimeout": "3600s"}
    assert api.timeouts(universe, WEB, "rpc") == {
        key: value for key, value in TIMEOUTS.items() if not key.startswith(("idle", "max"))
    }
    for service in ("backend", "db", "rpc"):
        assert api.circuit_breakers(universe, WEB, service) == {"circuitBreakers": {"thresholds": [LIMITS]}}
    assert api.retry_policy(universe, WEB, "db") == {"maxConnectAttempts": 5}
    assert api.retry_policy(universe, WEB, "backend") == {
        "retryOn": "gateway-error,connect-failure,refused-stream",
        "numRetries": 5,
        "perTryTimeout": "16s",
        "retryBackOff": {"baseInterval": "0.025s", "maxInterval": "0.250s"},
    }


def test_what_envoy_makes_of_them_on_inbounds(load_resources: Load) -> None:
    resources = api.compile_proxy(load_resources(MESH, *PROXIES), WEB)
    cluster = resources[type_urls.CLUSTER]["localhost:18080"]
    [network_filter] = resources[type_urls.LISTENER]["inbound:192.0.2.1:8080"]["filterChains"][0]["filters"]
    manager = network_filter["typedConfig"]
    [options] = cluster["typedExtensionProtocolOptions"].values()
    [route] = manager["routeConfig"]["virtualHosts"][0]["routes"]

    assert manager["commonHttpProtocolOptions"] == {"idleTimeout": "0s"}
    assert (manager["requestHeadersTimeout"], manager["streamIdleTimeout"]) == ("0s", "3600s")
    assert (route["route"]["timeout"], route["route"]["idleTimeout"]) == ("0s", "3600s")
    assert cluster["connectTimeout"] == "10s"
    assert options["commonHttpProtocolOptions"] == {
        "idleTimeout": "7200s",
        "maxStreamDuration": "0s",
        "maxConnectionDuration": "0s",
    }
    assert "circuitBreakers" not in cluster


def test_releases_name_them(load_resources: Load) -> None:
    universe = load_resources(MESH, *PROXIES)
    origins = api.compile_release(universe, WEB).document.decode()

    for kind, name in (TIMEOUT, CIRCUIT_BREAKER, RETRY):
        assert f'"file":"{ORIGIN}","kind":"{kind}","name":"{name}"' in origins


# --- a user's policies beside them ------------------------------------------------------------------------------------

SUBSET = {"kind": "MeshSubset", "tags": {}}
USERS = [
    # Name, labels, top, service: each of these loses a tie under a control plane, or could.
    ("aaa", {}, None, None),
    ("zzz", {}, None, None),
    ("zzz", {}, None, "backend"),
    ("mesh-timeout-al", {}, None, None),
    ("mesh-timeout-all-default-x", {}, None, None),
    ("zzz", {"kuma.io/origin": "zone"}, None, None),
    ("zzz", {"kuma.io/origin": "global"}, None, None),
    ("zzz", {}, SUBSET, None),
    ("zzz", {"kuma.io/origin": "global"}, {"kind": "MeshService", "name": "web"}, "backend"),
]


@pytest.mark.parametrize(("name", "labels", "top", "to"), USERS)
def test_a_users_policy_wins(
    load_resources: Load, name: str, labels: dict[str, str], top: Conf | None, to: str | None
) -> None:
    mine = policy(name, {"connectionTimeout": "2s", "http": {"requestTimeout": "0s"}}, labels=labels, top=top, to=to)
    universe = load_resources(MESH, *PROXIES, mine)

    effective = api.effective(universe, "MeshTimeout", WEB, "backend")
    assert effective["conf"] == {
        **CONFS["MeshTimeout"],
        "connectionTimeout": "2s",
        "http": {"requestTimeout": "0s", "streamIdleTimeout": "30m0s"},
    }
    field = effective["fields"]["connectionTimeout"]
    assert field["policy"]["name"] == name
    assert [(loser["name"], loser["file"], loser["value"]) for loser in field["losers"]] == [(TIMEOUT[1], ORIGIN, "5s")]
    if top is None:
        assert field["losers"][0]["why"] == "it came with the mesh, and what is written counts more"
    assert effective["fields"]["idleTimeout"]["policy"]["name"] == TIMEOUT[1]
    assert api.timeouts(universe, WEB, "backend") == {**TIMEOUTS, "connectionTimeout": "2s", "requestTimeout": "0s"}


@pytest.mark.parametrize("name", ["aaa", "zzz"])
def test_only_fields_that_collide_are_overridden(load_resources: Load, name: str) -> None:
    limits = {"maxConnections": 3, "maxConnectionPools": 4}
    mine = policy(name, {"connectionLimits": limits}, "MeshCircuitBreaker")
    universe = load_resources(MESH, *PROXIES, mine)

    assert api.circuit_breakers(universe, WEB, "backend") == {"circuitBreakers": {"thresholds": [{**LIMITS, **limits}]}}


def test_a_users_policy_for_gateways_wins_as_well(load_resources: Load) -> None:
    gateways = {"kind": "Mesh", "proxyTypes": ["Gateway"]}
    universe = load_resources(MESH, *PROXIES, policy("zzz", {"http": {"streamIdleTimeout": "1h"}}, top=gateways))

    assert api.timeouts(universe, EDGE, "backend")["streamIdleTimeout"] == "3600s"
    assert api.timeouts(universe, WEB, "backend") == TIMEOUTS


def test_a_users_policy_about_inbounds_wins_as_well(load_resources: Load) -> None:
    mine = policy("zzz", {"connectionTimeout": "3s"}, list_="from")
    cluster = api.compile_proxy(load_resources(MESH, *PROXIES, mine), WEB)[type_urls.CLUSTER]["localhost:18080"]

    assert cluster["connectTimeout"] == "3s"


@pytest.mark.parametrize("file", ["mesh/exported.yaml", "mesh variable"])
def test_a_users_policy_of_the_same_name_stands_in(file: str) -> None:
    mine = policy(TIMEOUT[1], {"connectionTimeout": "2s"})
    documents = [api.document(one, "mesh/rest.yaml") for one in (MESH, *PROXIES)]
    universe = api.load(documents=[*documents, api.document(mine, file)])

    assert universe.findings == ()
    assert selected(universe) == {TIMEOUT: file, CIRCUIT_BREAKER: ORIGIN, RETRY: ORIGIN}
    assert selected(universe, EDGE)[GATEWAY_TIMEOUT] == ORIGIN
    assert api.effective(universe, "MeshTimeout", WEB, "backend")["conf"] == {"connectionTimeout": "2s"}


def test_a_policy_of_the_same_name_and_another_kind_or_mesh_does_not(load_resources: Load) -> None:
    other = {**policy(TIMEOUT[1], {"connectionTimeout": "2s"}), "mesh": "other"}
    kind = policy(TIMEOUT[1], {"connectionLimits": {"maxRetries": 9}}, "MeshCircuitBreaker")
    universe = load_resources(MESH, *PROXIES, {**MESH, "name": "other"}, other, kind)

    assert selected(universe)[TIMEOUT] == ORIGIN
    assert api.timeouts(universe, WEB, "backend") == TIMEOUTS


def test_a_shadow_of_the_same_name_stands_in_and_has_no_effect(load_resources: Load) -> None:
    mine = policy(TIMEOUT[1], {"connectionTimeout": "2s"}, labels={"kuma.io/effect": "shadow"})
    universe = load_resources(MESH, *PROXIES, mine)

    assert selected(universe) == {CIRCUIT_BREAKER: ORIGIN, RETRY: ORIGIN}


# --- findings ---------------------------------------------------------------------------------------------------------


def codes(universe: api.Universe) -> list[tuple[str, str]]:
    return [(finding.code, finding.name) for finding in universe.findings]


@pytest.mark.parametrize("protocol", ["http", "http2", "grpc", "tcp", "kafka"])
def test_nobody_is_told_of_what_the_mesh_brought(load_resources: Load, protocol: str) -> None:
    universe = load_resources(MESH, sidecar("web", protocol, ("web",)))

    # Tries of 16s never time out within 15s, and five retries are more than three at a time; but nobody wrote them.
    assert [code for code, _name in codes(universe) if code != "MESH053"] == []


def test_a_user_is_told_of_what_does_not_go_with_what_the_mesh_brought(load_resources: Load) -> None:
    retries = policy("mine", {"http": {"numRetries": 4, "perTryTimeout": "15s"}}, "MeshRetry", to="backend")
    universe = load_resources(MESH, *PROXIES, retries)

    assert codes(universe) == [("MESH218", "mine"), ("MESH215", "mine")]
    assert codes(load_resources(*PROXIES, retries)) == []


def test_a_mesh_without_dataplanes_is_sound(load_resources: Load) -> None:
    assert load_resources(MESH).findings == ()
