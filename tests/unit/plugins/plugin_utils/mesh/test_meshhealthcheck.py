# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""MeshHealthCheck: what a configuration becomes on the cluster of a service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.envoy import type_urls

Load = Callable[..., api.Universe]
Conf = dict[str, Any]

WEB = api.DataplaneId("default", "web-1")
SOURCE_TAGS = {"header": {"key": "x-kuma-tags", "value": "&kuma.io/service=web&&kuma.io/zone=default&"}}
OUTBOUNDS = ({}, {"version": "v1"}, {"version": "v2"})


@pytest.fixture
def compile_backend(load_resources: Load) -> Callable[..., api.Universe]:
    """A mesh in which web-1 consumes `backend`, whole and in parts, and a policy says `conf` of it."""

    def compile_(conf: Conf, protocol: str | None = "http") -> api.Universe:
        return load_resources(
            {
                "type": "MeshHealthCheck",
                "mesh": "default",
                "name": "hc",
                "spec": {
                    "targetRef": {"kind": "Mesh"},
                    "to": [{"targetRef": {"kind": "MeshService", "name": "backend"}, "default": conf}],
                },
            },
            {
                "type": "Dataplane",
                "mesh": "default",
                "name": "web-1",
                "networking": {
                    "address": "192.0.2.1",
                    "inbound": [{"port": 80, "servicePort": 8080, "tags": {"kuma.io/service": "web"}}],
                    "outbound": [
                        {"port": 10001 + number, "tags": {"kuma.io/service": "backend", **tags}}
                        for number, tags in enumerate(OUTBOUNDS)
                    ]
                    + [{"port": 10010, "tags": {"kuma.io/service": "web"}}],
                },
            },
            {
                "type": "Dataplane",
                "mesh": "default",
                "name": "backend-1",
                "networking": {
                    "address": "192.0.2.2",
                    "inbound": [
                        {
                            "port": 80,
                            "servicePort": 8080,
                            "tags": {"kuma.io/service": "backend", "version": "v1"}
                            | ({"kuma.io/protocol": protocol} if protocol else {}),
                        }
                    ],
                },
            },
        )

    return compile_


def the_check(universe: api.Universe) -> dict[str, Any]:
    [check] = api.health_checks(universe, WEB, "backend")
    return check


def clusters(universe: api.Universe) -> dict[str, Any]:
    return api.compile_proxy(universe, WEB)[type_urls.CLUSTER]


ALL: Conf = {"http": {}, "tcp": {}, "grpc": {}}


@pytest.mark.parametrize(
    ("protocol", "conf", "check"),
    [
        *[(protocol, ALL, "httpHealthCheck") for protocol in ("http", "http2")],
        *[(protocol, {"http": {"disabled": False}}, "httpHealthCheck") for protocol in ("http", "http2")],
        *[(protocol, {**ALL, "http": {"disabled": True}}, "tcpHealthCheck") for protocol in ("http", "http2")],
        ("http", {"http": {"disabled": True}}, None),
        ("http", {"http": {"disabled": True}, "grpc": {}}, None),
        ("http", {"http": {"disabled": True}, "tcp": {"disabled": True}}, None),
        ("http", {"tcp": {}}, None),
        ("http", {"grpc": {}}, None),
        ("http2", {"tcp": {}, "grpc": {}}, None),
        ("grpc", ALL, "grpcHealthCheck"),
        ("grpc", {"grpc": {"disabled": False}}, "grpcHealthCheck"),
        ("grpc", {**ALL, "grpc": {"disabled": True}}, "tcpHealthCheck"),
        ("grpc", {"grpc": {"disabled": True}}, None),
        ("grpc", {"grpc": {"disabled": True}, "http": {}}, None),
        ("grpc", {"grpc": {"disabled": True}, "tcp": {"disabled": True}}, None),
        ("grpc", {"http": {}}, None),
        ("grpc", {"tcp": {}}, None),
        # A control plane checks neither untagged services nor kafka; the documentation says that both are tcp.
        *[(protocol, ALL, "tcpHealthCheck") for protocol in ("tcp", "kafka", None)],
        *[(protocol, {"tcp": {"disabled": False}}, "tcpHealthCheck") for protocol in ("tcp", "kafka", None)],
        *[(protocol, {**ALL, "tcp": {"disabled": True}}, None) for protocol in ("tcp", "kafka", None)],
        *[(protocol, {"http": {}, "grpc": {}}, None) for protocol in ("tcp", "kafka", None)],
    ],
)
def test_one_check_at_most_that_of_the_protocol(
    compile_backend: Load, protocol: str | None, conf: Conf, check: str | None
) -> None:
    checks = api.health_checks(compile_backend(conf, protocol), WEB, "backend")

    kinds = {"httpHealthCheck", "tcpHealthCheck", "grpcHealthCheck"}
    assert [kinds & set(one) for one in checks] == ([] if check is None else [{check}])


def test_a_service_without_endpoints_is_not_checked(load_resources: Load) -> None:
    universe = load_resources(
        {
            "type": "MeshHealthCheck",
            "mesh": "default",
            "name": "hc",
            "spec": {"targetRef": {"kind": "Mesh"}, "to": [{"targetRef": {"kind": "Mesh"}, "default": ALL}]},
        },
        {
            "type": "Dataplane",
            "mesh": "default",
            "name": "web-1",
            "networking": {
                "address": "192.0.2.1",
                "gateway": {"tags": {"kuma.io/service": "web"}},
                "outbound": [{"port": 10001, "tags": {"kuma.io/service": "backend"}}],
            },
        },
    )

    assert api.health_checks(universe, WEB, "backend") == []


DEFAULTS = {"interval": "60s", "timeout": "15s", "unhealthyThreshold": 5, "healthyThreshold": 1}
HTTP_DEFAULTS = {"path": "/", "codecClientType": "HTTP2", "requestHeadersToAdd": [SOURCE_TAGS]}


@pytest.mark.parametrize(
    ("protocol", "section", "check"),
    [
        ("http", "http", {"httpHealthCheck": HTTP_DEFAULTS}),
        ("http2", "http", {"httpHealthCheck": HTTP_DEFAULTS}),
        ("tcp", "tcp", {"tcpHealthCheck": {}}),
        ("grpc", "grpc", {"grpcHealthCheck": {}}),
    ],
)
def test_defaults(compile_backend: Load, protocol: str, section: str, check: Conf) -> None:
    assert the_check(compile_backend({section: {}}, protocol)) == {**DEFAULTS, **check}


EVENT_SINK = "type.googleapis.com/envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink"


@pytest.mark.parametrize(
    ("written", "emitted"),
    [
        ({"interval": "5s"}, {"interval": "5s"}),
        ({"timeout": "250ms"}, {"timeout": "0.250s"}),
        ({"unhealthyThreshold": 3}, {"unhealthyThreshold": 3}),
        ({"healthyThreshold": 2}, {"healthyThreshold": 2}),
        ({"initialJitter": "1m"}, {"initialJitter": "60s"}),
        ({"intervalJitter": "1s"}, {"intervalJitter": "1s"}),
        ({"intervalJitterPercent": 10}, {"intervalJitterPercent": 10}),
        ({"noTrafficInterval": "10s"}, {"noTrafficInterval": "10s"}),
        ({"alwaysLogHealthCheckFailures": True}, {"alwaysLogHealthCheckFailures": True}),
        ({"reuseConnection": False}, {"reuseConnection": False}),
        (
            {"eventLogPath": "/var/log/envoy/health.log"},
            {
                "eventLogger": [
                    {
                        "name": "envoy.health_check.event_sinks.file",
                        "typedConfig": {"@type": EVENT_SINK, "eventLogPath": "/var/log/envoy/health.log"},
                    }
                ]
            },
        ),
    ],
)
def test_fields_of_every_check(compile_backend: Load, written: Conf, emitted: Conf) -> None:
    universe = compile_backend({**written, "tcp": {}}, "tcp")

    assert the_check(universe) == {**DEFAULTS, "tcpHealthCheck": {}, **emitted}


OVERWRITE = {"appendAction": "OVERWRITE_IF_EXISTS_OR_ADD"}


@pytest.mark.parametrize(
    ("protocol", "conf", "check"),
    [
        pytest.param("http", {"http": {"path": "/ready"}}, {"path": "/ready"}, id="path"),
        pytest.param(
            "http",
            {"http": {"expectedStatuses": [204, 200, 201]}},
            {
                "expectedStatuses": [
                    {"start": "204", "end": "205"},
                    {"start": "200", "end": "201"},
                    {"start": "201", "end": "202"},
                ]
            },
            id="each status is a range of its own",
        ),
        pytest.param("http", {"http": {"expectedStatuses": []}}, {}, id="no statuses"),
        pytest.param(
            "http",
            {
                "http": {
                    "requestHeadersToAdd": {
                        "set": [{"name": "accept", "value": "a,b"}],
                        "add": [{"name": "x-a", "value": "1, 2"}, {"name": "x-a", "value": ""}],
                    }
                }
            },
            {
                "requestHeadersToAdd": [
                    SOURCE_TAGS,
                    {"header": {"key": "x-a", "value": "1, 2"}},
                    {"header": {"key": "x-a", "value": ""}},
                    {"header": {"key": "accept", "value": "a,b"}, **OVERWRITE},
                ]
            },
            id="headers: tags, added, set; commas stay",
        ),
        pytest.param(
            "http",
            {"http": {"requestHeadersToAdd": {"set": [{"name": "x-share", "value": "100%"}]}}},
            {"requestHeadersToAdd": [SOURCE_TAGS, {"header": {"key": "x-share", "value": "100%%"}, **OVERWRITE}]},
            id="Envoy sends two percent signs as one",
        ),
        pytest.param("tcp", {"tcp": {"send": "UElORw=="}}, {"send": {"text": "50494e47"}}, id="send, decoded"),
        pytest.param(
            "tcp",
            {"tcp": {"receive": ["UE9ORw==", "AP8="]}},
            {"receive": [{"text": "504f4e47"}, {"text": "00ff"}]},
            id="receive, decoded",
        ),
        pytest.param("tcp", {"tcp": {"send": "", "receive": []}}, {}, id="nothing to send or receive"),
        pytest.param(
            "grpc",
            {"grpc": {"serviceName": "books", "authority": "books.example"}},
            {"serviceName": "books", "authority": "books.example"},
            id="grpc",
        ),
        pytest.param("grpc", {"grpc": {"serviceName": "", "authority": ""}}, {}, id="grpc without names"),
    ],
)
def test_fields_of_one_protocol(compile_backend: Load, protocol: str, conf: Conf, check: Conf) -> None:
    base = HTTP_DEFAULTS if protocol == "http" else {}

    assert the_check(compile_backend(conf, protocol))[f"{protocol}HealthCheck"] == {**base, **check}


@pytest.mark.parametrize(
    ("conf", "common"),
    [
        ({"healthyPanicThreshold": "62.9"}, {"healthyPanicThreshold": {"value": 62.9}}),
        ({"healthyPanicThreshold": 0}, {"healthyPanicThreshold": {"value": 0}}),
        ({"healthyPanicThreshold": "100.0"}, {"healthyPanicThreshold": {"value": 100}}),
        ({"failTrafficOnPanic": True}, {"zoneAwareLbConfig": {"failTrafficOnPanic": True}}),
        ({"failTrafficOnPanic": False}, {"zoneAwareLbConfig": {"failTrafficOnPanic": False}}),
        (
            {"failTrafficOnPanic": True, "healthyPanicThreshold": 5},
            {"healthyPanicThreshold": {"value": 5}, "zoneAwareLbConfig": {"failTrafficOnPanic": True}},
        ),
        ({}, None),
    ],
)
@pytest.mark.parametrize("section", ["http", "grpc"])
def test_fields_of_the_cluster_do_not_need_a_check(
    compile_backend: Load, conf: Conf, common: Conf | None, section: str
) -> None:
    backend = clusters(compile_backend({**conf, section: {}}, "http"))["backend"]

    assert backend.get("commonLbConfig") == common
    assert ("healthChecks" in backend) == (section == "http")


def test_subsets_are_checked_like_the_service_and_nothing_else_is(compile_backend: Load) -> None:
    universe = compile_backend({"tcp": {}}, "tcp")
    checked = {name: cluster.get("healthChecks", []) for name, cluster in clusters(universe).items()}
    [check] = checked["backend"]
    subsets = {name for name in checked if name.startswith("backend-")}

    assert len(subsets) == 2
    assert checked == {"backend": [check], **{name: [check] for name in subsets}, "web": [], "localhost:8080": []}
    for tags in OUTBOUNDS:
        assert api.health_checks(universe, WEB, "backend", tags) == [check]


def test_the_source_tags_are_those_of_whoever_asks(compile_backend: Load) -> None:
    universe = compile_backend({"http": {}})
    [check] = api.health_checks(universe, api.DataplaneId("default", "backend-1"), "backend")

    assert check["httpHealthCheck"]["requestHeadersToAdd"][0]["header"]["value"] == (
        "&kuma.io/protocol=http&&kuma.io/service=backend&&kuma.io/zone=default&&version=v1&"
    )
