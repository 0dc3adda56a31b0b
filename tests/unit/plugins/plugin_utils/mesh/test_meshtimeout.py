# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""MeshTimeout: what a configuration becomes on the listeners and clusters of services and of inbounds."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.decode.conf import decode_conf
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.envoy import type_urls
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.findings import format_path
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.kinds.meshtimeout import KIND
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.kinds.policy_kind import Opinion, Situation
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.model.duration import Duration
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.model.meshhealthcheck import MeshHealthCheckConf
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.model.meshtimeout import MeshTimeoutConf
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.protocol import Protocol

Load = Callable[..., api.Universe]
Conf = dict[str, Any]
Places = dict[str, str]

WEB = api.DataplaneId("default", "web-1")
EDGE = api.DataplaneId("default", "edge-1")
MESH: Conf = {"kind": "Mesh"}
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def item(conf: Conf, service: str | None = None) -> Conf:
    return {"targetRef": {"kind": "MeshService", "name": service} if service else MESH, "default": conf}


def policy(name: str, top: Conf | None = None, **lists: list[Conf]) -> Conf:
    """A MeshTimeout; `lists` are `to` and `from_`."""
    spec = {"targetRef": top or MESH, **{key.rstrip("_"): items for key, items in lists.items()}}
    return {"type": "MeshTimeout", "mesh": "default", "name": name, "spec": spec}


def tagged(service: str, protocol: str | None = None, **tags: str) -> Conf:
    return {"kuma.io/service": service, **({"kuma.io/protocol": protocol} if protocol else {}), **tags}


def dataplane(name: str, **networking: Any) -> Conf:
    return {
        "type": "Dataplane",
        "mesh": "default",
        "name": name,
        "networking": {"address": "192.0.2.1", **networking},
    }


def sidecar(name: str, *inbounds: Conf, outbounds: tuple[str, ...] = ()) -> Conf:
    """A sidecar with inbounds from port 8080 on, its application from 18080 on, and outbounds from 10001 on."""
    return dataplane(
        name,
        inbound=[
            {"port": 8080 + at, "servicePort": 18080 + at, "serviceAddress": "127.0.0.1", "tags": tags}
            for at, tags in enumerate(inbounds)
        ],
        outbound=[{"port": 10001 + at, "tags": tagged(service)} for at, service in enumerate(outbounds)],
    )


def offers(service: str, protocol: str | None) -> Conf:
    return sidecar(f"{service}-1", tagged(service, protocol))


def _durations(message: Conf, **names: str) -> Places:
    return {name: message[key] for name, key in names.items() if key in message}


def places(universe: api.Universe, at: str, name: api.DataplaneId = WEB) -> Places:
    """Every timeout of one listener, by port, and of the cluster behind it; what is not there is left out."""
    resources = api.compile_proxy(universe, name)
    [listener] = [one for key, one in resources[type_urls.LISTENER].items() if key.endswith(f":{at}")]
    [chain] = listener["filterChains"]
    [network_filter] = chain["filters"]
    config = network_filter["typedConfig"]
    if config["@type"] == type_urls.TCP_PROXY:
        found = _durations(config, tcp_idle="idleTimeout")
        cluster = config["cluster"]
    else:
        [host] = config["routeConfig"]["virtualHosts"]
        [route] = host["routes"]
        cluster = route["route"]["cluster"]
        found = {
            **_durations(config.get("commonHttpProtocolOptions", {}), manager_idle="idleTimeout"),
            **_durations(config, headers="requestHeadersTimeout", manager_stream_idle="streamIdleTimeout"),
            **_durations(route["route"], route="timeout", route_idle="idleTimeout"),
        }
    resource = resources[type_urls.CLUSTER][cluster]
    options = resource.get("typedExtensionProtocolOptions", {}).get(HTTP_OPTIONS, {})
    common = options.get("commonHttpProtocolOptions", {})
    return {
        **found,
        **_durations(resource, connect="connectTimeout"),
        **_durations(common, idle="idleTimeout", stream="maxStreamDuration", connection="maxConnectionDuration"),
    }


# --- fields and constants ---------------------------------------------------------------------------------------------

PROTOCOLS = ("http", "http2", "grpc", "tcp", "kafka", None)


def by_protocol(http: Places, grpc: Places, tcp: Places) -> dict[str | None, Places]:
    return {"http": http, "http2": http, "grpc": grpc, "tcp": tcp, "kafka": tcp, None: tcp}


REQUESTS = {"manager_idle": "0s", "headers": "0s", "route": "15s", "route_idle": "1800s", "connect": "5s"}
OPTIONS = {"idle": "3600s", "stream": "0s", "connection": "0s"}
BYTES = {"tcp_idle": "3600s", "connect": "5s"}
# What is there without any policy, towards services and on inbounds.
BARE_HTTP = {
    "manager_idle": "7200s",
    "manager_stream_idle": "3600s",
    "route": "0s",
    "connect": "10s",
    "idle": "7200s",
}
BARE_TO = by_protocol({"route": "0s"}, {"route": "0s"}, {})
BARE_FROM = by_protocol(BARE_HTTP, BARE_HTTP, {"tcp_idle": "7200s", "connect": "10s"})
# What a configuration brings that says nothing of it. The options of a cluster of grpc stay as they are.
TO = by_protocol({**REQUESTS, **OPTIONS}, REQUESTS, BYTES)
FROM = by_protocol({**BARE_HTTP, **REQUESTS, **OPTIONS}, {**BARE_HTTP, **REQUESTS}, BYTES)

ON_HTTP = ("http", "http2", "grpc")
ON_OPTIONS = ("http", "http2")
ON_TCP = ("tcp", "kafka", None)

# A field, and in which place it is found for which protocols.
FIELDS: list[tuple[str, dict[str, tuple[str | None, ...]]]] = [
    ("connectionTimeout", {"connect": PROTOCOLS}),
    ("idleTimeout", {"idle": ON_OPTIONS, "tcp_idle": ON_TCP}),
    ("http.requestTimeout", {"route": ON_HTTP}),
    ("http.streamIdleTimeout", {"route_idle": ON_HTTP}),
    ("http.maxStreamDuration", {"stream": ON_OPTIONS}),
    ("http.maxConnectionDuration", {"connection": ON_OPTIONS}),
    ("http.requestHeadersTimeout", {"headers": ON_HTTP}),
]
DURATIONS = [("7s", "7s"), ("1m30s", "90s"), ("250ms", "0.250s"), ("0s", "0s")]
WRITTEN = [
    (field, found, *duration)
    for field, found in FIELDS
    for duration in DURATIONS
    if (field, duration[0]) != ("connectionTimeout", "0s")
]


def with_field(field: str, value: str) -> Conf:
    """A configuration that sets one field; beside `requestHeadersTimeout` it needs another, which gets its constant."""
    section, _dot, name = field.rpartition(".")
    if not section:
        return {name: value}
    needed = {"requestTimeout": "15s"} if name == "requestHeadersTimeout" else {}
    return {section: {**needed, name: value}}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("field", "found", "written", "emitted"), WRITTEN)
def test_a_field_has_its_place_and_all_others_their_constants(
    load_resources: Load,
    field: str,
    found: dict[str, tuple[str | None, ...]],
    protocol: str | None,
    written: str,
    emitted: str,
) -> None:
    conf = with_field(field, written)
    changed = {place: emitted for place, protocols in found.items() if protocol in protocols}
    web = sidecar("web-1", tagged("web", protocol), outbounds=("backend",))

    to = load_resources(web, offers("backend", protocol), policy("to", to=[item(conf)]))
    assert places(to, "10001") == {**TO[protocol], **changed}

    from_ = load_resources(web, offers("backend", protocol), policy("from", from_=[item(conf)]))
    assert places(from_, "8080") == {**FROM[protocol], **changed}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_without_any_policy(load_resources: Load, protocol: str | None) -> None:
    web = sidecar("web-1", tagged("web", protocol), outbounds=("backend",))
    universe = load_resources(web, offers("backend", protocol))

    assert places(universe, "10001") == BARE_TO[protocol]
    assert places(universe, "8080") == BARE_FROM[protocol]


def test_a_service_without_endpoints_is_proxied_as_tcp(load_resources: Load) -> None:
    web = sidecar("web-1", tagged("web", "http"), outbounds=("nobody",))
    conf = {"connectionTimeout": "1s", "idleTimeout": "2s", "http": {"requestTimeout": "3s"}}

    universe = load_resources(web, policy("to", to=[item(conf)]))
    assert places(universe, "10001") == {"connect": "1s", "tcp_idle": "2s"}


def test_every_resource_is_a_message_of_envoy(load_resources: Load) -> None:
    json_format = pytest.importorskip("google.protobuf.json_format", reason="the types of Envoy are not installed")
    # Importing them is what makes the messages inside `typedConfig` known.
    for module in (
        "filters.http.grpc_stats.v3.config_pb2",
        "filters.http.router.v3.router_pb2",
        "filters.network.http_connection_manager.v3.http_connection_manager_pb2",
        "filters.network.tcp_proxy.v3.tcp_proxy_pb2",
        "upstreams.http.v3.http_protocol_options_pb2",
    ):
        importlib.import_module(f"envoy.extensions.{module}")
    clusters = importlib.import_module("envoy.config.cluster.v3.cluster_pb2")
    listeners = importlib.import_module("envoy.config.listener.v3.listener_pb2")
    conf = {
        "connectionTimeout": "1ms",
        "idleTimeout": "1s500us",
        "http": {
            "requestTimeout": "2562047h47m16s",
            "streamIdleTimeout": "1ns",
            "maxStreamDuration": "2s",
            "maxConnectionDuration": "3s",
            "requestHeadersTimeout": "4s",
        },
    }

    for protocol in PROTOCOLS:
        web = sidecar("web-1", tagged("web", protocol), outbounds=("web", "nobody"))
        resources = api.compile_proxy(load_resources(web, policy("all", to=[item(conf)], from_=[item(conf)])), WEB)
        for resource in resources[type_urls.LISTENER].values():
            assert json_format.ParseDict(resource, listeners.Listener()).filter_chains
        for resource in resources[type_urls.CLUSTER].values():
            connect = json_format.ParseDict(resource, clusters.Cluster()).connect_timeout
            assert connect.ToTimedelta().total_seconds() == 0.001


# --- which configuration reaches what ---------------------------------------------------------------------------------

# Selected by a policy that says nothing of this listener: connections of clients are not closed, and that is all.
TOUCHED_HTTP = {**BARE_HTTP, "manager_idle": "0s"}
TOUCHED_TO = by_protocol({"manager_idle": "0s", "route": "0s"}, {"manager_idle": "0s", "route": "0s"}, {})
TOUCHED_FROM = by_protocol(TOUCHED_HTTP, TOUCHED_HTTP, BARE_FROM["tcp"])
CONF: Conf = {"connectionTimeout": "7s"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_list_that_is_missing_leaves_its_side_alone(load_resources: Load, protocol: str | None) -> None:
    web = sidecar("web-1", tagged("web", protocol), outbounds=("backend",))

    only_to = load_resources(web, offers("backend", protocol), policy("a", to=[item(CONF)]))
    assert places(only_to, "8080") == TOUCHED_FROM[protocol]
    assert places(only_to, "10001") == {**TO[protocol], "connect": "7s"}

    only_from = load_resources(web, offers("backend", protocol), policy("a", from_=[item(CONF)]))
    assert places(only_from, "8080") == {**FROM[protocol], "connect": "7s"}
    assert places(only_from, "10001") == TOUCHED_TO[protocol]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_service_that_no_item_names_is_left_alone(load_resources: Load, protocol: str | None) -> None:
    web = sidecar("web-1", tagged("web", "http"), outbounds=("backend", "other"))
    others = [offers("backend", "http"), offers("other", protocol)]

    universe = load_resources(web, *others, policy("a", to=[item(CONF, "backend")]))
    assert places(universe, "10001") == {**TO["http"], "connect": "7s"}
    assert places(universe, "10002") == TOUCHED_TO[protocol]


@pytest.mark.parametrize("lists", [{"to": [item(CONF)]}, {"from_": [item(CONF)]}], ids=["to", "from"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_inbound_that_no_policy_selects_gets_the_constants_beside_one_that_is(
    load_resources: Load, protocol: str | None, lists: dict[str, list[Conf]]
) -> None:
    web = sidecar("web-1", tagged("web", "http", version="v1"), tagged("web", protocol, version="v2"))

    universe = load_resources(web, policy("a", {"kind": "MeshSubset", "tags": {"version": "v1"}}, **lists))
    assert places(universe, "8080") == ({**FROM["http"], "connect": "7s"} if "from_" in lists else TOUCHED_FROM["http"])
    assert places(universe, "8081") == FROM[protocol]


def test_an_ignored_inbound_is_selected_by_nothing(load_resources: Load) -> None:
    web = sidecar("web-1", tagged("web", "http"), tagged("web", "http"))
    web["networking"]["inbound"][1]["state"] = "Ignored"

    universe = load_resources(web, policy("a", from_=[item(CONF)]))
    assert places(universe, "8080") == {**FROM["http"], "connect": "7s"}
    assert places(universe, "8081") == FROM["http"]


def test_each_inbound_has_what_the_policies_that_select_it_say(load_resources: Load) -> None:
    web = sidecar("web-1", tagged("web", "http", version="v1"), tagged("api", "tcp", version="v1"))

    universe = load_resources(
        web,
        policy("all", from_=[item({"connectionTimeout": "1s", "idleTimeout": "2s"})]),
        policy("web", {"kind": "MeshService", "name": "web"}, from_=[item({"idleTimeout": "3s"})]),
        policy("api", {"kind": "MeshServiceSubset", "name": "api", "tags": {"version": "v1"}}, from_=[item(CONF)]),
    )
    assert places(universe, "8080") == {**FROM["http"], "connect": "1s", "idle": "3s"}
    assert places(universe, "8081") == {**FROM["tcp"], "connect": "7s", "tcp_idle": "2s"}


def test_where_no_policy_selects_the_proxy_nothing_changes(load_resources: Load) -> None:
    web = sidecar("web-1", tagged("web", "http"), outbounds=("backend",))
    others = [web, offers("backend", "http")]
    elsewhere = policy(
        "a", {"kind": "MeshService", "name": "backend"}, to=[item({"idleTimeout": "1s"})], from_=[item(CONF)]
    )

    with_policy = load_resources(*others, elsewhere)
    assert api.compile_proxy(with_policy, WEB) == api.compile_proxy(load_resources(*others), WEB)
    assert places(with_policy, "8080", api.DataplaneId("default", "backend-1"))["connect"] == "7s"


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        # It has no inbounds, so that a policy about them is none for it.
        ({"from_": [item(CONF)]}, [BARE_TO["http"], BARE_TO["tcp"]]),
        ({"to": [item(CONF)]}, [{**TO["http"], "connect": "7s"}, {**TO["tcp"], "connect": "7s"}]),
        ({"to": [item(CONF, "db")]}, [TOUCHED_TO["http"], {**TO["tcp"], "connect": "7s"}]),
        ({"to": [item(CONF, "elsewhere")]}, [TOUCHED_TO["http"], TOUCHED_TO["tcp"]]),
    ],
)
@pytest.mark.parametrize(
    "top", [MESH, {"kind": "Mesh", "proxyTypes": ["Gateway"]}, {"kind": "MeshService", "name": "edge"}]
)
def test_delegated_gateways(
    load_resources: Load, top: Conf, lists: dict[str, list[Conf]], expected: list[Conf]
) -> None:
    outbounds = [{"port": 10001 + at, "tags": tagged(service)} for at, service in enumerate(("backend", "db"))]
    edge = dataplane("edge-1", gateway={"tags": tagged("edge")}, outbound=outbounds)

    universe = load_resources(edge, offers("backend", "http"), offers("db", "tcp"), policy("a", top, **lists))
    assert [places(universe, port, EDGE) for port in ("10001", "10002")] == expected


def test_parts_of_a_service_are_like_the_whole(load_resources: Load) -> None:
    web = sidecar("web-1", tagged("web", "http", version="v1"), outbounds=("web", "web"))
    web["networking"]["outbound"][1]["tags"]["version"] = "v1"

    universe = load_resources(web, policy("a", to=[item(CONF, "web")]))
    assert places(universe, "10001") == places(universe, "10002") == {**TO["http"], "connect": "7s"}


# --- worked examples --------------------------------------------------------------------------------------------------

# web consumes services of three protocols.
TRIO = [
    sidecar("web-1", tagged("web", "http"), outbounds=("backend", "db", "rpc")),
    offers("backend", "http"),
    offers("db", "tcp"),
    offers("rpc", "grpc"),
]
PORTS = {"inbound": "8080", "backend": "10001", "db": "10002", "rpc": "10003"}
UNTOUCHED = {
    "inbound": TOUCHED_FROM["http"],
    "backend": TOUCHED_TO["http"],
    "db": TOUCHED_TO["tcp"],
    "rpc": TOUCHED_TO["grpc"],
}
INITIAL = {
    "inbound": {**TOUCHED_HTTP, "headers": "0s", "route_idle": "3600s", "stream": "0s", "connection": "0s"},
    "backend": TO["http"],
    "db": TO["tcp"],
    "rpc": TO["grpc"],
}


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        pytest.param(
            [policy("a", to=[item({"http": {"requestTimeout": "3s"}})])],
            {
                **UNTOUCHED,
                "backend": {**TO["http"], "route": "3s"},
                "db": {"tcp_idle": "3600s", "connect": "5s"},
                "rpc": {**REQUESTS, "route": "3s"},
            },
            id="a: one timeout towards all",
        ),
        pytest.param(
            [
                policy(
                    "b",
                    {"kind": "MeshService", "name": "web"},
                    from_=[item({"idleTimeout": "30s", "http": {"requestTimeout": "0s"}})],
                )
            ],
            {**UNTOUCHED, "inbound": {**FROM["http"], "route": "0s", "idle": "30s"}},
            id="b: inbounds",
        ),
        pytest.param(
            [{"type": "Mesh", "name": "default"}],
            INITIAL,
            id="initial policies",
        ),
        pytest.param(
            [
                {"type": "Mesh", "name": "default"},
                policy(
                    "d",
                    to=[
                        item(
                            {
                                "connectionTimeout": "2s",
                                "http": {"maxStreamDuration": "10s", "requestHeadersTimeout": "1s"},
                            },
                            "backend",
                        )
                    ],
                ),
            ],
            {**INITIAL, "backend": {**TO["http"], "connect": "2s", "stream": "10s", "headers": "1s"}},
            id="d: a policy on top of the initial ones",
        ),
    ],
)
def test_examples(load_resources: Load, documents: list[Conf], expected: dict[str, Places]) -> None:
    universe = load_resources(*TRIO, *documents)

    assert {name: places(universe, port) for name, port in PORTS.items()} == expected


def test_example_c_one_of_two_inbounds(load_resources: Load) -> None:
    web = sidecar(
        "web-1", tagged("web", "http", version="v1"), tagged("web", "http", version="v2"), outbounds=("backend", "db")
    )
    subset = policy(
        "c", {"kind": "MeshSubset", "tags": {"version": "v2"}}, to=[item({"connectionTimeout": "8s"}, "db")]
    )

    universe = load_resources(web, *TRIO[1:], subset)
    assert {port: places(universe, port) for port in ("8080", "8081", "10001", "10002")} == {
        "8080": FROM["http"],
        "8081": TOUCHED_FROM["http"],
        "10001": TOUCHED_TO["http"],
        "10002": {"tcp_idle": "3600s", "connect": "8s"},
    }


# --- several policies and items ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lower", "higher", "merged"),
    [
        pytest.param(
            {"connectionTimeout": "1s", "idleTimeout": "2s"},
            {"idleTimeout": "90s"},
            {"connectionTimeout": "1s", "idleTimeout": "1m30s"},
            id="fields of both; durations in one notation",
        ),
        pytest.param(
            {"http": {"requestTimeout": "1s", "streamIdleTimeout": "2s", "maxStreamDuration": "3s"}},
            {"http": {"streamIdleTimeout": "4s", "maxConnectionDuration": "5s", "requestHeadersTimeout": "6s"}},
            {
                "http": {
                    "requestTimeout": "1s",
                    "streamIdleTimeout": "4s",
                    "maxStreamDuration": "3s",
                    "maxConnectionDuration": "5s",
                    "requestHeadersTimeout": "6s",
                }
            },
            id="http is merged member by member",
        ),
        pytest.param(
            {"connectionTimeout": "1s", "http": {"requestTimeout": "1s"}},
            {"idleTimeout": "2s"},
            {"connectionTimeout": "1s", "idleTimeout": "2s", "http": {"requestTimeout": "1s"}},
            id="http stays where a later one has none",
        ),
        pytest.param(
            {"idleTimeout": "1s", "http": {"requestTimeout": "1s", "maxStreamDuration": "1s"}},
            {"idleTimeout": "0s", "http": {"requestTimeout": "0s", "maxStreamDuration": "0s"}},
            {"idleTimeout": "0s", "http": {"requestTimeout": "0s", "maxStreamDuration": "0s"}},
            id="zero overrides",
        ),
    ],
)
def test_merging(load_resources: Load, lower: Conf, higher: Conf, merged: Conf) -> None:
    web = sidecar("web-1", tagged("web", "http"), outbounds=("backend",))
    whole = load_resources(web, policy("a", from_=[item(merged)]))

    for policies in (
        [policy("a", to=[item(higher)], from_=[item(higher)]), policy("b", to=[item(lower)], from_=[item(lower)])],
        [policy("a", to=[item(lower), item(higher)], from_=[item(lower), item(higher)])],
        [
            policy("b", {"kind": "MeshService", "name": "web"}, to=[item(higher)], from_=[item(higher)]),
            policy("a", to=[item(lower, "backend")], from_=[item(lower)]),
        ],
    ):
        universe = load_resources(web, *policies)
        assert api.effective(universe, "MeshTimeout", WEB, "backend")["conf"] == merged
        assert places(universe, "8080") == places(whole, "8080")


# --- whoever asks -----------------------------------------------------------------------------------------------------

TOLD = {
    "connectionTimeout": "5s",
    "requestHeadersTimeout": "0s",
    "requestTimeout": "3s",
    "streamIdleTimeout": "1800s",
}


@pytest.mark.parametrize(
    ("protocol", "told"),
    [
        *[
            (protocol, {**TOLD, "idleTimeout": "3600s", "maxConnectionDuration": "0s", "maxStreamDuration": "0s"})
            for protocol in ("http", "http2")
        ],
        ("grpc", TOLD),
        *[(protocol, {"connectionTimeout": "5s", "idleTimeout": "3600s"}) for protocol in ("tcp", "kafka", None)],
    ],
)
def test_whoever_asks_is_told_the_timeouts(load_resources: Load, protocol: str | None, told: Conf) -> None:
    universe = load_resources(
        sidecar("web-1", tagged("web", "http"), outbounds=("backend",)),
        offers("backend", protocol),
        policy("a", to=[item({"http": {"requestTimeout": "3s"}}, "backend")]),
    )

    assert api.timeouts(universe, WEB, "backend") == told
    assert api.timeouts(universe, WEB, "backend", {"version": "v1"}) == told
    assert api.timeouts(universe, WEB, "web") == {"requestTimeout": "0s"}
    assert api.timeouts(universe, WEB, "nobody") == {}


# --- opinions about a configuration where it applies ------------------------------------------------------------------

ALL: Conf = {
    "connectionTimeout": "1s",
    "idleTimeout": "2s",
    "http": {
        "requestTimeout": "3s",
        "streamIdleTimeout": "4s",
        "maxStreamDuration": "5s",
        "maxConnectionDuration": "6s",
        "requestHeadersTimeout": "7s",
    },
}


def told(opinion: Opinion, conf: Conf, situation: Situation) -> list[str]:
    problems = opinion(decode_conf(MeshTimeoutConf, conf), situation)
    return [f"{problem.code.id} {format_path(problem.path)}: {problem.message}" for problem in problems]


ON_GRPC = "has no effect on a service that speaks grpc"


@pytest.mark.parametrize(
    ("protocol", "conf", "findings"),
    [
        (Protocol.HTTP, ALL, []),
        (Protocol.HTTP2, ALL, []),
        (
            Protocol.GRPC,
            ALL,
            [
                f"MESH054 idleTimeout: {ON_GRPC}",
                f"MESH054 http.maxStreamDuration: {ON_GRPC}",
                f"MESH054 http.maxConnectionDuration: {ON_GRPC}",
            ],
        ),
        (Protocol.GRPC, {"http": {"maxStreamDuration": "0s"}}, [f"MESH054 http.maxStreamDuration: {ON_GRPC}"]),
        (Protocol.GRPC, {"connectionTimeout": "1s", "http": {"requestTimeout": "1s"}}, []),
        (Protocol.TCP, ALL, ["MESH054 http: has no effect: the service speaks tcp"]),
        (Protocol.KAFKA, ALL, ["MESH054 http: has no effect: the service speaks kafka"]),
        (Protocol.TCP, {"connectionTimeout": "1s", "idleTimeout": "1s"}, []),
    ],
)
def test_settings_that_have_no_effect(protocol: Protocol, conf: Conf, findings: list[str]) -> None:
    assert told(KIND.unused, conf, Situation(protocol, 2, {})) == findings


@pytest.mark.parametrize(
    ("idle", "interval", "warned"),
    [
        ("9s", "10s", True),
        ("10s", "10s", False),
        ("11s", "10s", False),
        # Zero is for ever.
        ("0s", "10s", False),
        (None, "10s", False),
        ("9s", None, False),
    ],
)
@pytest.mark.parametrize("protocol", [Protocol.HTTP, Protocol.HTTP2, Protocol.TCP])
def test_advice(protocol: Protocol, idle: str | None, interval: str | None, warned: bool) -> None:
    conf = {"connectionTimeout": "1s"} if idle is None else {"idleTimeout": idle}
    checks = MeshHealthCheckConf(interval=None if interval is None else Duration.parse(interval))

    assert told(KIND.advice, conf, Situation(protocol, 2, {"MeshHealthCheck": checks})) == (
        ["MESH221 idleTimeout: is below the interval of checks, 10s"] if warned else []
    )
    assert told(KIND.advice, conf, Situation(protocol, 2, {})) == []
