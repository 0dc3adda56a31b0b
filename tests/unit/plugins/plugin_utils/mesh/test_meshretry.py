# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""MeshRetry: what a configuration becomes on the listener through which an application reaches a service."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.decode.conf import decode_conf
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.envoy import type_urls
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.findings import format_path
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.kinds.meshretry import KIND
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.kinds.policy_kind import Opinion, Situation
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.model.duration import Duration
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.model.meshcircuitbreaker import (
    ConnectionLimits,
    MeshCircuitBreakerConf,
)
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.model.meshretry import MeshRetryConf
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.model.meshtimeout import (
    HttpTimeouts,
    MeshTimeoutConf,
)
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.protocol import Protocol

Load = Callable[..., api.Universe]
Conf = dict[str, Any]

WEB = api.DataplaneId("default", "web-1")
EDGE = api.DataplaneId("default", "edge-1")


def item(conf: Conf, service: str | None = None) -> Conf:
    target_ref = {"kind": "Mesh"} if service is None else {"kind": "MeshService", "name": service}
    return {"targetRef": target_ref, "default": conf}


def policy(name: str, *items: Conf, top: Conf | None = None) -> Conf:
    spec = {"targetRef": top or {"kind": "Mesh"}, "to": list(items)}
    return {"type": "MeshRetry", "mesh": "default", "name": name, "spec": spec}


def backend(protocol: str | None = "http") -> Conf:
    tags = {"kuma.io/service": "backend", "version": "v1"} | ({"kuma.io/protocol": protocol} if protocol else {})
    networking = {"address": "192.0.2.2", "inbound": [{"port": 80, "servicePort": 8080, "tags": tags}]}
    return {"type": "Dataplane", "mesh": "default", "name": "backend-1", "networking": networking}


# Consumes `backend`, whole and in part, itself, and a service that nobody offers.
SIDECAR: Conf = {
    "type": "Dataplane",
    "mesh": "default",
    "name": "web-1",
    "networking": {
        "address": "192.0.2.1",
        "inbound": [
            {
                "port": 80,
                "servicePort": 8080,
                "tags": {"kuma.io/service": "web", "kuma.io/protocol": "http", "version": "v1"},
            }
        ],
        "outbound": [
            {"port": 10001, "tags": {"kuma.io/service": "backend"}},
            {"port": 10002, "tags": {"kuma.io/service": "backend", "version": "v1"}},
            {"port": 10003, "tags": {"kuma.io/service": "web"}},
            {"port": 10004, "tags": {"kuma.io/service": "nobody"}},
        ],
    },
}
GATEWAY: Conf = {
    "type": "Dataplane",
    "mesh": "default",
    "name": "edge-1",
    "networking": {
        "address": "192.0.2.3",
        "gateway": {"tags": {"kuma.io/service": "edge", "version": "v1"}},
        "outbound": [{"port": 10001, "tags": {"kuma.io/service": "backend"}}],
    },
}


@pytest.fixture
def compile_backend(load_resources: Load) -> Callable[..., api.Universe]:
    """A mesh in which web-1 consumes `backend`, and a policy says `conf` of it."""

    def compile_(conf: Conf, protocol: str | None = "http") -> api.Universe:
        return load_resources(SIDECAR, backend(protocol), policy("retries", item(conf, "backend")))

    return compile_


def retries(universe: api.Universe, dataplane: api.DataplaneId = WEB, port: int = 10001) -> Conf | int | None:
    """The retry policy of the one route of an outbound listener, or the attempts to connect of its TCP proxy."""
    listener = api.compile_proxy(universe, dataplane)[type_urls.LISTENER][f"outbound:127.0.0.1:{port}"]
    [chain] = listener["filterChains"]
    [network_filter] = chain["filters"]
    config = network_filter["typedConfig"]
    if config["@type"] == type_urls.TCP_PROXY:
        attempts: int | None = config.get("maxConnectAttempts")
        return attempts
    [host] = config["routeConfig"]["virtualHosts"]
    [route] = host["routes"]
    found: Conf | None = route["route"].get("retryPolicy")
    return found


# --- where it applies -------------------------------------------------------------------------------------------------

HTTP = {"retryOn": "gateway-error,connect-failure,refused-stream", "perTryTimeout": "15s"}
GRPC = {
    "retryOn": "cancelled,connect-failure,gateway-error,refused-stream,reset,resource-exhausted,unavailable",
    "perTryTimeout": "15s",
}
ALL: Conf = {"http": {"numRetries": 1}, "grpc": {"numRetries": 2}, "tcp": {"maxConnectAttempt": 3}}


@pytest.mark.parametrize(
    ("protocol", "section", "expected"),
    [
        ("http", "http", {**HTTP, "numRetries": 1}),
        # A control plane retries nothing on http2 services; the documentation says that http2 counts as http.
        ("http2", "http", {**HTTP, "numRetries": 1}),
        ("grpc", "grpc", {**GRPC, "numRetries": 2}),
        ("tcp", "tcp", 3),
        # A control plane does neither of these; the documentation says that both are tcp.
        ("kafka", "tcp", 3),
        (None, "tcp", 3),
    ],
)
def test_the_section_of_the_protocol_applies_and_no_other(
    compile_backend: Load, protocol: str | None, section: str, expected: Conf | int
) -> None:
    others = {name: conf for name, conf in ALL.items() if name != section}

    assert retries(compile_backend(ALL, protocol)) == expected
    assert retries(compile_backend({section: ALL[section]}, protocol)) == expected
    assert retries(compile_backend(others, protocol)) is None


def test_a_service_without_endpoints_has_no_protocol_and_no_retries(load_resources: Load) -> None:
    universe = load_resources(SIDECAR, backend(), policy("retries", item(ALL)))

    assert retries(universe, port=10001) is not None
    assert retries(universe, port=10004) is None


def test_parts_of_a_service_are_retried_like_the_whole_and_other_services_are_not(compile_backend: Load) -> None:
    universe = compile_backend({"http": {"numRetries": 3}})

    assert retries(universe, port=10001) == retries(universe, port=10002) == {**HTTP, "numRetries": 3}
    assert retries(universe, port=10003) is None


def test_requests_that_come_in_are_not_retried(load_resources: Load) -> None:
    resources = api.compile_proxy(load_resources(SIDECAR, backend(), policy("retries", item(ALL))), WEB)
    listeners = resources[type_urls.LISTENER]

    assert "retryPolicy" in json.dumps(listeners["outbound:127.0.0.1:10003"])
    assert "retryPolicy" not in json.dumps(listeners["inbound:192.0.2.1:80"])


@pytest.mark.parametrize(
    ("top", "selected"),
    [
        ({"kind": "Mesh"}, {WEB, EDGE}),
        ({"kind": "Mesh", "proxyTypes": ["Sidecar"]}, {WEB}),
        ({"kind": "Mesh", "proxyTypes": ["Gateway"]}, {EDGE}),
        ({"kind": "MeshSubset", "tags": {"version": "v1"}}, {WEB, EDGE}),
        ({"kind": "MeshSubset", "tags": {"version": "v1"}, "proxyTypes": ["Gateway"]}, {EDGE}),
        ({"kind": "MeshSubset", "tags": {"version": "v2"}}, set()),
        ({"kind": "MeshService", "name": "web"}, {WEB}),
        ({"kind": "MeshService", "name": "edge"}, {EDGE}),
        ({"kind": "MeshServiceSubset", "name": "edge", "tags": {"version": "v1"}}, {EDGE}),
        ({"kind": "MeshServiceSubset", "name": "edge", "tags": {"version": "v2"}}, set()),
    ],
)
def test_whom_it_concerns(load_resources: Load, top: Conf, selected: set[api.DataplaneId]) -> None:
    universe = load_resources(SIDECAR, GATEWAY, backend(), policy("retries", item(ALL), top=top))

    assert {one for one in (WEB, EDGE) if retries(universe, one) is not None} == selected


# --- what it becomes --------------------------------------------------------------------------------------------------

PREVIOUS_HOSTS = {
    "name": "envoy.retry_host_predicates.previous_hosts",
    "typedConfig": {
        "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
    },
}


def hosts_with(**metadata: Conf) -> Conf:
    type_url = "type.googleapis.com/envoy.extensions.retry.host.omit_host_metadata.v3.OmitHostMetadataConfig"
    return {
        "name": "envoy.retry_host_predicates.omit_host_metadata",
        "typedConfig": {"@type": type_url, **metadata},
    }


def previous_priorities(frequency: int) -> Conf:
    type_url = "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"
    return {
        "name": "envoy.retry_priorities.previous_priorities",
        "typedConfig": {"@type": type_url, "updateFrequency": frequency},
    }


def tags(**written: str) -> Conf:
    return {"metadataMatch": {"filterMetadata": {"envoy.lb": written}}}


OF_BOTH: list[tuple[str, Conf, Conf]] = [
    ("retries", {"numRetries": 3}, {"numRetries": 3}),
    ("no retry", {"numRetries": 0}, {"numRetries": 0}),
    ("time of a try", {"perTryTimeout": "1m30s"}, {"perTryTimeout": "90s"}),
    ("any time for a try", {"perTryTimeout": "0s"}, {"perTryTimeout": "0s"}),
    ("no time at all for a try", {"perTryTimeout": "-1s"}, {"perTryTimeout": "15s"}),
    (
        "base interval",
        {"backOff": {"baseInterval": "100ms"}},
        {"retryBackOff": {"baseInterval": "0.100s"}},
    ),
    (
        "both intervals",
        {"backOff": {"baseInterval": "100ms", "maxInterval": "2s"}},
        {"retryBackOff": {"baseInterval": "0.100s", "maxInterval": "2s"}},
    ),
    (
        "maximum alone",
        {"backOff": {"maxInterval": "2s"}},
        {"retryBackOff": {"baseInterval": "0.025s", "maxInterval": "2s"}},
    ),
    (
        "maximum alone, below the default base",
        {"backOff": {"maxInterval": "10ms"}},
        {"retryBackOff": {"baseInterval": "0.010s", "maxInterval": "0.010s"}},
    ),
    ("no maximum at all", {"backOff": {"maxInterval": "0s"}}, {}),
    (
        "base interval without any maximum",
        {"backOff": {"baseInterval": "1s", "maxInterval": "-1s"}},
        {"retryBackOff": {"baseInterval": "1s"}},
    ),
    (
        "base interval above the maximum",
        {"backOff": {"baseInterval": "2s", "maxInterval": "1s"}},
        {"retryBackOff": {"baseInterval": "2s", "maxInterval": "1s"}},
    ),
    (
        "reset headers",
        {
            "rateLimitedBackOff": {
                "resetHeaders": [
                    {"name": "x-ratelimit-reset", "format": "UnixTimestamp"},
                    {"name": "retry-after", "format": "Seconds"},
                ]
            }
        },
        {
            "rateLimitedRetryBackOff": {
                "resetHeaders": [
                    {"name": "x-ratelimit-reset", "format": "UNIX_TIMESTAMP"},
                    {"name": "retry-after", "format": "SECONDS"},
                ]
            }
        },
    ),
    (
        "reset header with a maximum",
        {
            "rateLimitedBackOff": {
                "resetHeaders": [{"name": "retry-after", "format": "Seconds"}],
                "maxInterval": "1m",
            }
        },
        {
            "rateLimitedRetryBackOff": {
                "resetHeaders": [{"name": "retry-after", "format": "SECONDS"}],
                "maxInterval": "60s",
            }
        },
    ),
    ("no reset headers", {"rateLimitedBackOff": {"resetHeaders": [], "maxInterval": "1m"}}, {}),
    ("no conditions", {"retryOn": []}, {}),
]
OF_HTTP: list[tuple[str, Conf, Conf]] = [
    *[
        (name, {"retryOn": [name]}, {"retryOn": envoy})
        for name, envoy in {
            "5xx": "5xx",
            "5XX": "5xx",
            "GatewayError": "gateway-error",
            "Reset": "reset",
            "Retriable4xx": "retriable-4xx",
            "ConnectFailure": "connect-failure",
            "EnvoyRatelimited": "envoy-ratelimited",
            "RefusedStream": "refused-stream",
            "Http3PostConnectFailure": "http3-post-connect-failure",
        }.items()
    ],
    ("conditions in their order", {"retryOn": ["Reset", "5xx", "Reset"]}, {"retryOn": "reset,5xx,reset"}),
    (
        "statuses on top of the default conditions",
        {"retryOn": ["503", 429, "503"]},
        {"retryOn": HTTP["retryOn"] + ",retriable-status-codes", "retriableStatusCodes": [503, 429, 503]},
    ),
    (
        "statuses on top of conditions",
        {"retryOn": [504, "Reset"]},
        {"retryOn": "reset,retriable-status-codes", "retriableStatusCodes": [504]},
    ),
    *[
        (
            name,
            {"retryOn": [name]},
            {"retriableRequestHeaders": [{"name": ":method", "stringMatch": {"exact": envoy}}]},
        )
        for name, envoy in {
            "HttpMethodConnect": "CONNECT",
            "HttpMethodDelete": "DELETE",
            "HttpMethodGet": "GET",
            "HttpMethodHead": "HEAD",
            "HttpMethodOptions": "OPTIONS",
            "HttpMethodPatch": "PATCH",
            "HttpMethodPost": "POST",
            "HttpMethodPut": "PUT",
            "HttpMethodTrace": "TRACE",
        }.items()
    ],
    (
        "methods, conditions and statuses",
        {"retryOn": ["HttpMethodPut", "503", "Reset", "HttpMethodGet"]},
        {
            "retryOn": "reset,retriable-status-codes",
            "retriableStatusCodes": [503],
            "retriableRequestHeaders": [
                {"name": ":method", "stringMatch": {"exact": "PUT"}},
                {"name": ":method", "stringMatch": {"exact": "GET"}},
            ],
        },
    ),
    (
        "request headers after methods",
        {
            "retriableRequestHeaders": [{"name": "x-retry", "type": "Exact", "value": "yes"}],
            "retryOn": ["HttpMethodGet"],
        },
        {
            "retriableRequestHeaders": [
                {"name": ":method", "stringMatch": {"exact": "GET"}},
                {"name": "x-retry", "stringMatch": {"exact": "yes"}},
            ]
        },
    ),
    *[
        (f"header, {name}", {"retriableRequestHeaders": [match]}, {"retriableRequestHeaders": [envoy]})
        for name, match, envoy in [
            ("no type", {"name": "x-a", "value": "v"}, {"name": "x-a", "stringMatch": {"exact": "v"}}),
            (
                "Prefix",
                {"name": "x-a", "type": "Prefix", "value": "v"},
                {"name": "x-a", "stringMatch": {"prefix": "v"}},
            ),
            (
                "RegularExpression",
                {"name": "x-a", "type": "RegularExpression", "value": "v[12]"},
                {"name": "x-a", "stringMatch": {"safeRegex": {"regex": "v[12]"}}},
            ),
            ("Present", {"name": "x-a", "type": "Present"}, {"name": "x-a", "presentMatch": True}),
            ("Absent", {"name": "x-a", "type": "Absent"}, {"name": "x-a", "presentMatch": False}),
            ("Exact without a value", {"name": "x-a"}, {"name": "x-a", "stringMatch": {"exact": ""}}),
            ("Prefix without a value", {"name": "x-a", "type": "Prefix"}, {"name": "x-a", "presentMatch": True}),
            (
                "RegularExpression without a value",
                {"name": "x-a", "type": "RegularExpression", "value": ""},
                {"name": "x-a", "stringMatch": {"exact": ""}},
            ),
        ]
    ],
    (
        "response headers need a condition of their own",
        {
            "retryOn": ["5xx", "429"],
            "retriableResponseHeaders": [
                {"name": "x-try-again", "type": "Present"},
                {"name": "x-reason", "type": "Prefix", "value": "over"},
            ],
        },
        {
            "retryOn": "5xx,retriable-status-codes,retriable-headers",
            "retriableStatusCodes": [429],
            "retriableHeaders": [
                {"name": "x-try-again", "presentMatch": True},
                {"name": "x-reason", "stringMatch": {"prefix": "over"}},
            ],
        },
    ),
    (
        "response headers on top of the default conditions",
        {"retriableResponseHeaders": [{"name": "x-a", "type": "Absent"}]},
        {
            "retryOn": HTTP["retryOn"] + ",retriable-headers",
            "retriableHeaders": [{"name": "x-a", "presentMatch": False}],
        },
    ),
    ("no headers", {"retriableRequestHeaders": [], "retriableResponseHeaders": []}, {}),
    (
        "not the hosts of before",
        {"hostSelection": [{"predicate": "OmitPreviousHosts"}]},
        {"retryHostPredicate": [PREVIOUS_HOSTS]},
    ),
    (
        "not the hosts with tags",
        {"hostSelection": [{"predicate": "OmitHostsWithTags", "tags": {"version": "v1", "team": "a"}}]},
        {"retryHostPredicate": [hosts_with(**tags(team="a", version="v1"))]},
    ),
    (
        "the service is no tag of an endpoint",
        {"hostSelection": [{"predicate": "OmitHostsWithTags", "tags": {"kuma.io/service": "a", "version": "v1"}}]},
        {"retryHostPredicate": [hosts_with(**tags(version="v1"))]},
    ),
    (
        "hosts with no tags",
        {"hostSelection": [{"predicate": "OmitHostsWithTags", "tags": {"kuma.io/service": "a"}}]},
        {"retryHostPredicate": [hosts_with()]},
    ),
    (
        "not the priorities of before",
        {"hostSelection": [{"predicate": "OmitPreviousPriorities", "updateFrequency": 5}]},
        {"retryPriority": previous_priorities(5)},
    ),
    (
        "how often priorities are looked at, unless it is said",
        {"hostSelection": [{"predicate": "OmitPreviousPriorities"}]},
        {"retryPriority": previous_priorities(2)},
    ),
    (
        "several predicates",
        {
            "hostSelection": [
                {"predicate": "OmitHostsWithTags", "tags": {"version": "v1"}},
                {"predicate": "OmitPreviousPriorities", "updateFrequency": 3},
                {"predicate": "OmitPreviousHosts"},
            ],
            "hostSelectionMaxAttempts": 4,
        },
        {
            "retryHostPredicate": [hosts_with(**tags(version="v1")), PREVIOUS_HOSTS],
            "retryPriority": previous_priorities(3),
            "hostSelectionRetryMaxAttempts": "4",
        },
    ),
    (
        "attempts to find a host",
        {"hostSelection": [], "hostSelectionMaxAttempts": 0},
        {"hostSelectionRetryMaxAttempts": "0"},
    ),
]
OF_GRPC: list[tuple[str, Conf, Conf]] = [
    (name, {"retryOn": [name]}, {"retryOn": envoy})
    for name, envoy in {
        # A control plane writes `canceled`, which Envoy does not know.
        "Canceled": "cancelled",
        "DeadlineExceeded": "deadline-exceeded",
        "Internal": "internal",
        "ResourceExhausted": "resource-exhausted",
        "Unavailable": "unavailable",
    }.items()
] + [
    (
        "conditions in their order",
        {"retryOn": ["Unavailable", "Canceled", "Unavailable"]},
        {"retryOn": "unavailable,cancelled,unavailable"},
    ),
]
RETRY_POLICIES = [
    *[("http", {"http": conf}, {**HTTP, **more}, name) for name, conf, more in OF_BOTH + OF_HTTP],
    *[("http2", {"http": conf}, {**HTTP, **more}, name) for name, conf, more in OF_BOTH],
    *[("grpc", {"grpc": conf}, {**GRPC, **more}, name) for name, conf, more in OF_BOTH + OF_GRPC],
]


@pytest.mark.parametrize(
    ("protocol", "conf", "expected"),
    [pytest.param(*row, id=f"{row[0]}: {name}") for *row, name in RETRY_POLICIES],
)
def test_retry_policy(compile_backend: Load, protocol: str, conf: Conf, expected: Conf) -> None:
    assert retries(compile_backend(conf, protocol)) == expected


def test_every_retry_policy_is_a_message_of_envoy() -> None:
    json_format = pytest.importorskip("google.protobuf.json_format", reason="the types of Envoy are not installed")
    # Importing them is what makes the messages inside `typedConfig` known.
    for module in (
        "host.omit_host_metadata.v3.omit_host_metadata_config_pb2",
        "host.previous_hosts.v3.previous_hosts_pb2",
        "priority.previous_priorities.v3.previous_priorities_config_pb2",
    ):
        importlib.import_module(f"envoy.extensions.retry.{module}")
    routes = importlib.import_module("envoy.config.route.v3.route_components_pb2")

    for _protocol, _conf, expected, _name in RETRY_POLICIES:
        message = json_format.ParseDict(expected, routes.RetryPolicy())
        assert message.retry_on == expected["retryOn"]


@pytest.mark.parametrize(("written", "emitted"), [(1, 1), (5, 5), (2147483647, 2147483647), (0, 1)])
def test_tcp_attempts(compile_backend: Load, written: int, emitted: int) -> None:
    assert retries(compile_backend({"tcp": {"maxConnectAttempt": written}}, "tcp")) == emitted


@pytest.mark.parametrize(
    ("protocol", "told"), [("http", {**HTTP, "numRetries": 1}), ("grpc", {**GRPC, "numRetries": 2})]
)
def test_whoever_asks_is_told_what_the_route_has(compile_backend: Load, protocol: str, told: Conf) -> None:
    universe = compile_backend(ALL, protocol)

    assert api.retry_policy(universe, WEB, "backend") == told == retries(universe)
    assert api.retry_policy(universe, WEB, "backend", {"version": "v1"}) == told
    assert api.retry_policy(universe, WEB, "web") == {}
    assert api.retry_policy(universe, WEB, "nobody") == {}


def test_whoever_asks_is_told_the_attempts_of_a_tcp_service(compile_backend: Load) -> None:
    assert api.retry_policy(compile_backend(ALL, "tcp"), WEB, "backend") == {"maxConnectAttempts": 3}
    assert api.retry_policy(compile_backend({"http": {"numRetries": 1}}, "tcp"), WEB, "backend") == {}


# Those that Go's `http.StatusText` has a text for.
STATUSES = [
    *(100, 101, 102, 103),
    *(200, 201, 202, 203, 204, 205, 206, 207, 208, 226),
    *(300, 301, 302, 303, 304, 305, 307, 308),
    *(400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418),
    *(421, 422, 423, 424, 425, 426, 428, 429, 431, 451),
    *(500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511),
]


@pytest.mark.parametrize(("notation", "numbers"), [(int, range(100, 600)), (str, range(-1, 1000))])
def test_statuses_are_those_that_go_knows(
    compile_backend: Load, notation: Callable[[int], int | str], numbers: range
) -> None:
    written = policy("retries", item({"http": {"retryOn": [notation(number) for number in numbers]}}))
    findings = api.load(documents=[api.document(written, "mesh")]).errors
    refused = {finding.path for finding in findings}

    assert len(findings) == len(refused)
    assert [
        number for at, number in enumerate(numbers) if f"spec.to[0].default.http.retryOn[{at}]" not in refused
    ] == STATUSES
    found = retries(compile_backend({"http": {"retryOn": [notation(status) for status in STATUSES]}}))
    assert isinstance(found, dict)
    assert found["retriableStatusCodes"] == STATUSES


# --- several policies and items ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lower", "higher", "merged"),
    [
        pytest.param(
            {"http": {"numRetries": 3}},
            {"http": {"perTryTimeout": "90s"}},
            {"http": {"numRetries": 3, "perTryTimeout": "1m30s"}},
            id="fields of both; durations in one notation",
        ),
        pytest.param(
            {"http": {"numRetries": 3}, "grpc": {"numRetries": 4}},
            {"tcp": {"maxConnectAttempt": 5}, "grpc": {"numRetries": 6}},
            {"http": {"numRetries": 3}, "grpc": {"numRetries": 6}, "tcp": {"maxConnectAttempt": 5}},
            id="one section does not replace another",
        ),
        pytest.param(
            {"http": {"backOff": {"baseInterval": "1s", "maxInterval": "2s"}}},
            {"http": {"backOff": {"maxInterval": "3s"}}},
            {"http": {"backOff": {"baseInterval": "1s", "maxInterval": "3s"}}},
            id="mappings are merged member by member",
        ),
        pytest.param(
            {"http": {"rateLimitedBackOff": {"resetHeaders": [{"name": "a", "format": "Seconds"}]}}},
            {"http": {"rateLimitedBackOff": {"resetHeaders": [], "maxInterval": "1s"}}},
            {"http": {"rateLimitedBackOff": {"resetHeaders": [], "maxInterval": "1s"}}},
            id="an empty list of reset headers overrides",
        ),
        pytest.param(
            {"http": {"retryOn": ["5xx", "503"]}},
            {"http": {"retryOn": [429]}},
            {"http": {"retryOn": ["429"]}},
            id="conditions are replaced as a whole",
        ),
        pytest.param(
            {"http": {"retryOn": ["5xx"]}},
            {"http": {"retryOn": []}},
            {"http": {"retryOn": []}},
            id="an empty list overrides",
        ),
        pytest.param(
            {
                "http": {
                    "retriableRequestHeaders": [{"name": "x-a", "type": "Present"}, {"name": "x-b", "value": "1"}],
                    "retriableResponseHeaders": [{"name": "x-c", "value": "1"}],
                }
            },
            {"http": {"retriableRequestHeaders": [{"name": "x-d", "value": "1"}]}},
            {
                "http": {
                    "retriableRequestHeaders": [{"name": "x-d", "value": "1"}],
                    "retriableResponseHeaders": [{"name": "x-c", "value": "1"}],
                }
            },
            id="header matches are replaced as a whole, those of requests apart from those of responses",
        ),
        pytest.param(
            {
                "http": {
                    "hostSelection": [{"predicate": "OmitPreviousHosts"}, {"predicate": "OmitPreviousPriorities"}],
                    "hostSelectionMaxAttempts": 3,
                }
            },
            {"http": {"hostSelection": [{"predicate": "OmitHostsWithTags", "tags": {"b": "2", "a": "1"}}]}},
            {
                "http": {
                    "hostSelection": [{"predicate": "OmitHostsWithTags", "tags": {"a": "1", "b": "2"}}],
                    "hostSelectionMaxAttempts": 3,
                }
            },
            id="predicates are replaced as a whole, with their tags",
        ),
        pytest.param(
            {"http": {"numRetries": 3, "hostSelectionMaxAttempts": 3}, "tcp": {"maxConnectAttempt": 3}},
            {"http": {"numRetries": 0, "hostSelectionMaxAttempts": 0}, "tcp": {"maxConnectAttempt": 0}},
            {"http": {"numRetries": 0, "hostSelectionMaxAttempts": 0}, "tcp": {"maxConnectAttempt": 0}},
            id="zero overrides",
        ),
        pytest.param(
            {"grpc": {"perTryTimeout": "5s", "retryOn": ["Internal"]}},
            {"grpc": {"perTryTimeout": "0s"}},
            {"grpc": {"perTryTimeout": "0s", "retryOn": ["Internal"]}},
            id="no time overrides",
        ),
    ],
)
def test_merging(load_resources: Load, lower: Conf, higher: Conf, merged: Conf) -> None:
    in_two = load_resources(SIDECAR, backend(), policy("a", item(higher)), policy("b", item(lower)))
    in_one = load_resources(SIDECAR, backend(), policy("a", item(lower), item(higher)))

    for universe in (in_two, in_one):
        assert api.effective(universe, "MeshRetry", WEB, "backend")["conf"] == merged


def test_what_is_emitted_is_made_of_the_merged_configuration(load_resources: Load) -> None:
    universe = load_resources(
        SIDECAR,
        backend(),
        policy("everybody", item({"http": {"numRetries": 5, "retryOn": ["5xx"], "backOff": {"baseInterval": "1s"}}})),
        policy(
            "web",
            item({"http": {"retryOn": [], "backOff": {"maxInterval": "3s"}}}, "backend"),
            item({"tcp": {"maxConnectAttempt": 3}}),
            top={"kind": "MeshService", "name": "web"},
        ),
    )

    intervals = {"baseInterval": "1s", "maxInterval": "3s"}
    assert retries(universe, port=10001) == {**HTTP, "numRetries": 5, "retryBackOff": intervals}
    assert retries(universe, port=10003) == {
        **HTTP,
        "retryOn": "5xx",
        "numRetries": 5,
        "retryBackOff": {"baseInterval": "1s"},
    }


# --- opinions about a configuration where it applies ------------------------------------------------------------------


def told(opinion: Opinion, conf: Conf, situation: Situation) -> list[str]:
    problems = opinion(decode_conf(MeshRetryConf, conf), situation)
    return [f"{problem.code.id} {format_path(problem.path)}: {problem.message}" for problem in problems]


@pytest.mark.parametrize(
    ("protocol", "unused"),
    [
        (Protocol.HTTP, ["tcp", "grpc"]),
        (Protocol.HTTP2, ["tcp", "grpc"]),
        (Protocol.GRPC, ["tcp", "http"]),
        (Protocol.TCP, ["http", "grpc"]),
        (Protocol.KAFKA, ["http", "grpc"]),
    ],
)
def test_sections_that_have_no_effect_on_a_protocol(protocol: Protocol, unused: list[str]) -> None:
    assert told(KIND.unused, ALL, Situation(protocol, 2, {})) == [
        f"MESH054 {section}: has no effect: the service speaks {protocol.value}" for section in unused
    ]


PREVIOUS: Conf = {"hostSelection": [{"predicate": "OmitPreviousHosts"}]}
WITHOUT_HEADERS: Conf = {"rateLimitedBackOff": {"resetHeaders": []}}
WITH_HEADERS: Conf = {"rateLimitedBackOff": {"resetHeaders": [{"name": "retry-after", "format": "Seconds"}]}}
SINGLE = "MESH054 http.hostSelection: has no effect: there is a single endpoint, which gets every retry"


@pytest.mark.parametrize(
    ("protocol", "endpoints", "conf", "findings"),
    [
        pytest.param("http", 1, {"http": PREVIOUS}, [SINGLE], id="a choice of one host"),
        pytest.param("http2", 1, {"http": PREVIOUS}, [SINGLE], id="a choice of one host, http2"),
        pytest.param("http", 2, {"http": PREVIOUS}, [], id="a choice of two hosts"),
        pytest.param("http", 1, {"http": {"hostSelection": []}}, [], id="no choice"),
        pytest.param(
            "grpc",
            1,
            {"http": PREVIOUS},
            ["MESH054 http: has no effect: the service speaks grpc"],
            id="of a section without effect only the section is told",
        ),
        *[
            pytest.param(
                "http",
                2,
                {"http": {"numRetries": 1, "hostSelectionMaxAttempts": 3, **selection}},
                ["MESH054 http.hostSelectionMaxAttempts: has no effect without hostSelection"],
                id=f"attempts without predicates {selection}",
            )
            for selection in ({}, {"hostSelection": []})
        ],
        pytest.param("http", 2, {"http": {"hostSelectionMaxAttempts": 3, **PREVIOUS}}, [], id="attempts"),
        *[
            pytest.param(
                section,
                2,
                {section: WITHOUT_HEADERS},
                [f"MESH054 {section}.rateLimitedBackOff: has no effect without resetHeaders"],
                id=f"no reset headers, {section}",
            )
            for section in ("http", "grpc")
        ],
        *[
            pytest.param(section, 2, {section: WITH_HEADERS}, [], id=f"reset headers, {section}")
            for section in ("http", "grpc")
        ],
        pytest.param("tcp", 1, {"tcp": {"maxConnectAttempt": 5}}, [], id="tcp"),
    ],
)
def test_settings_that_have_no_effect(protocol: str, endpoints: int, conf: Conf, findings: list[str]) -> None:
    assert told(KIND.unused, conf, Situation(Protocol(protocol), endpoints, {})) == findings


METHODS_ONLY = (
    "MESH217 http.retryOn: names methods only, so that the default conditions apply: "
    "gateway-error, connect-failure, refused-stream"
)


@pytest.mark.parametrize(
    ("section", "conf", "findings"),
    [
        *[
            row
            for section in ("http", "grpc")
            for row in (
                (
                    section,
                    {"backOff": {"baseInterval": "2s", "maxInterval": "1s"}},
                    [f"MESH214 {section}.backOff.baseInterval: is above maxInterval, 1s"],
                ),
                (section, {"backOff": {"baseInterval": "1s", "maxInterval": "1s"}}, []),
                (section, {"backOff": {"baseInterval": "1s", "maxInterval": "0s"}}, []),
                (section, {"backOff": {"maxInterval": "10ms"}}, []),
                (section, {"numRetries": 9}, []),
                (
                    section,
                    {"numRetries": 10},
                    [f"MESH216 {section}.numRetries: means up to 11 requests for one, 25ms apart at first"],
                ),
                (
                    section,
                    {"numRetries": 20, "backOff": {"baseInterval": "999ms"}},
                    [f"MESH216 {section}.numRetries: means up to 21 requests for one, 999ms apart at first"],
                ),
                (section, {"numRetries": 20, "backOff": {"baseInterval": "1s"}}, []),
            )
        ],
        ("http", {"retryOn": ["HttpMethodGet", "HttpMethodPut"]}, [METHODS_ONLY]),
        ("http", {"retryOn": ["HttpMethodGet", "Reset"]}, []),
        ("http", {"retryOn": ["HttpMethodGet", 503]}, []),
        ("http", {"retryOn": []}, []),
        # The example of the documentation.
        (
            "http",
            {"numRetries": 10, "backOff": {"baseInterval": "15s", "maxInterval": "20m"}, "retryOn": ["5xx"]},
            [],
        ),
    ],
)
def test_advice(section: str, conf: Conf, findings: list[str]) -> None:
    spoken = {"http": (Protocol.HTTP, Protocol.HTTP2), "grpc": (Protocol.GRPC,)}[section]

    for protocol in Protocol:
        expected = findings if protocol in spoken else []
        assert told(KIND.advice, {section: conf}, Situation(protocol, 2, {})) == expected


NEVER_IN_FORCE = "never comes into force: the whole request times out after 15s"


@pytest.mark.parametrize(
    ("timeout", "conf", "finding"),
    [
        ("15s", {"perTryTimeout": "15s"}, NEVER_IN_FORCE),
        ("15s", {"perTryTimeout": "1m", "numRetries": 0}, NEVER_IN_FORCE),
        ("15s", {"perTryTimeout": "14s", "numRetries": 0}, None),
        ("15s", {"perTryTimeout": "5s", "numRetries": 2}, None),
        (
            "15s",
            {"perTryTimeout": "5001ms", "numRetries": 2},
            "leaves no room for 3 tries: the whole request times out after 15s",
        ),
        # One retry is what Envoy makes when nobody says how many.
        ("15s", {"perTryTimeout": "7500ms"}, None),
        (
            "15s",
            {"perTryTimeout": "8s"},
            "leaves no room for 2 tries: the whole request times out after 15s",
        ),
        ("15s", {"perTryTimeout": "0s", "numRetries": 5}, None),
        ("0s", {"perTryTimeout": "1h", "numRetries": 5}, None),
        # The default of 15s is nothing that the user wrote.
        ("1s", {"numRetries": 1}, None),
        # A MeshTimeout that says nothing of requests makes the same of them as one that says 15s; without any, none.
        (None, {"perTryTimeout": "15s"}, NEVER_IN_FORCE),
        ("no policy", {"perTryTimeout": "1h", "numRetries": 5}, None),
    ],
)
@pytest.mark.parametrize("section", ["http", "grpc"])
def test_advice_on_timeouts(section: str, timeout: str | None, conf: Conf, finding: str | None) -> None:
    http = None if timeout in (None, "no policy") else HttpTimeouts(request_timeout=Duration.parse(timeout))
    confs = {} if timeout == "no policy" else {"MeshTimeout": MeshTimeoutConf(http=http)}
    situation = Situation(Protocol(section), 2, confs)

    assert told(KIND.advice, {section: conf}, situation) == (
        [] if finding is None else [f"MESH215 {section}.perTryTimeout: {finding}"]
    )


@pytest.mark.parametrize(
    ("limits", "retries", "limit"),
    [
        (ConnectionLimits(max_retries=3), 3, None),
        (ConnectionLimits(max_retries=3), 4, 3),
        (ConnectionLimits(max_retries=1), 2, 1),
        # What Envoy lets through when nobody says how many.
        (ConnectionLimits(max_connections=1), 3, None),
        (ConnectionLimits(max_connections=1), 4, 3),
        (None, 9, None),
        (ConnectionLimits(max_retries=1), None, None),
    ],
)
@pytest.mark.parametrize("section", ["http", "grpc"])
def test_advice_on_limits(
    section: str, limits: ConnectionLimits | None, retries: int | None, limit: int | None
) -> None:
    conf = {"perTryTimeout": "1s"} if retries is None else {"numRetries": retries}
    situation = Situation(Protocol(section), 2, {"MeshCircuitBreaker": MeshCircuitBreakerConf(limits)})

    assert told(KIND.advice, {section: conf}, situation) == (
        []
        if limit is None
        else [f"MESH218 {section}.numRetries: is above maxRetries, {limit}: under load retries are silently cancelled"]
    )
