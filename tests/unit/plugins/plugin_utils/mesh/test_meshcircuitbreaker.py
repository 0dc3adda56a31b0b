# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""MeshCircuitBreaker: what a configuration becomes on the clusters of services and of applications behind inbounds."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.decode.conf import decode_conf
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.envoy import type_urls
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.findings import format_path
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.kinds import meshhealthcheck
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.kinds.meshcircuitbreaker import KIND
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.kinds.policy_kind import Situation
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.model.dataplane import Inbound
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.model.meshcircuitbreaker import (
    MeshCircuitBreakerConf,
)
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.model.meshhealthcheck import MeshHealthCheckConf
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.protocol import Protocol

Load = Callable[..., api.Universe]
Conf = dict[str, Any]

WEB = api.DataplaneId("default", "web-1")
EDGE = api.DataplaneId("default", "edge-1")
MESH: Conf = {"kind": "Mesh"}
PROTOCOLS = ("http", "http2", "grpc", "tcp", "kafka", None)


def item(conf: Conf, service: str | None = None) -> Conf:
    return {"targetRef": {"kind": "MeshService", "name": service} if service else MESH, "default": conf}


def policy(name: str, top: Conf | None = None, **lists: list[Conf]) -> Conf:
    """A MeshCircuitBreaker; `lists` are `to` and `from_`."""
    spec = {"targetRef": top or MESH, **{key.rstrip("_"): items for key, items in lists.items()}}
    return {"type": "MeshCircuitBreaker", "mesh": "default", "name": name, "spec": spec}


def tagged(service: str, protocol: str | None = None, **tags: str) -> Conf:
    return {"kuma.io/service": service, **({"kuma.io/protocol": protocol} if protocol else {}), **tags}


def inbound(tags: Conf, port: int = 8080, service_port: int | None = None) -> Conf:
    ports = {"port": port} if service_port is None else {"port": port, "servicePort": service_port}
    return {**ports, "serviceAddress": "127.0.0.1", "tags": tags}


def dataplane(name: str, *outbounds: Conf, **networking: Any) -> Conf:
    listed = [{"port": 10001 + at, "tags": tags} for at, tags in enumerate(outbounds)]
    networking = {"address": "192.0.2.1", "outbound": listed, **networking}
    return {"type": "Dataplane", "mesh": "default", "name": name, "networking": networking}


def offers(service: str, protocol: str | None = "http", **tags: str) -> Conf:
    return dataplane(f"{service}-1", inbound=[inbound(tagged(service, protocol, **tags))])


def broken(universe: api.Universe, name: api.DataplaneId = WEB) -> dict[str, Conf]:
    """By cluster, `circuitBreakers` and `outlierDetection`, of those that have one of them."""
    clusters = api.compile_proxy(universe, name)[type_urls.CLUSTER]
    wanted = ("circuitBreakers", "outlierDetection")
    found = {name: {key: one[key] for key in wanted if key in one} for name, one in clusters.items()}
    return {name: one for name, one in found.items() if one}


def limits(**threshold: int) -> Conf:
    return {"circuitBreakers": {"thresholds": [threshold]}}


# --- fields -----------------------------------------------------------------------------------------------------------

NOTHING_ENFORCED = {
    "enforcingConsecutive5xx": 0,
    "enforcingConsecutiveGatewayFailure": 0,
    "enforcingConsecutiveLocalOriginFailure": 0,
    "enforcingSuccessRate": 0,
    "enforcingLocalOriginSuccessRate": 0,
    "enforcingFailurePercentage": 0,
    "enforcingFailurePercentageLocalOrigin": 0,
}
SUCCESS_RATE = {"enforcingSuccessRate": 100, "enforcingLocalOriginSuccessRate": 100}
FAILURE_PERCENTAGE = {"enforcingFailurePercentage": 100, "enforcingFailurePercentageLocalOrigin": 100}
DETECTED = {"totalFailures": {"consecutive": 5}}
TOTAL = {**NOTHING_ENFORCED, "consecutive5xx": 5, "enforcingConsecutive5xx": 100}

LIMITS: list[tuple[str, Conf, Conf]] = [
    ("no limit", {}, {}),
    *[
        (f"{name} {number}", {name: number}, {name: number})
        for name in ("maxConnections", "maxConnectionPools", "maxPendingRequests", "maxRetries", "maxRequests")
        for number in (1, 4294967295)
    ],
    (
        "all limits",
        {"maxConnections": 1, "maxConnectionPools": 2, "maxPendingRequests": 3, "maxRetries": 4, "maxRequests": 5},
        {"maxConnections": 1, "maxConnectionPools": 2, "maxPendingRequests": 3, "maxRetries": 4, "maxRequests": 5},
    ),
]
DETECTIONS: list[tuple[str, Conf, Conf]] = [
    *[
        (f"{name} {written}", {name: written, "detectors": DETECTED}, {**TOTAL, envoy: emitted})
        for name, written, envoy, emitted in [
            ("interval", "1m30s", "interval", "90s"),
            ("interval", "250ms", "interval", "0.250s"),
            ("baseEjectionTime", "1m", "baseEjectionTime", "60s"),
            ("maxEjectionPercent", 0, "maxEjectionPercent", 0),
            ("maxEjectionPercent", 100, "maxEjectionPercent", 100),
            ("splitExternalAndLocalErrors", True, "splitExternalLocalOriginErrors", True),
            ("splitExternalAndLocalErrors", False, "splitExternalLocalOriginErrors", False),
        ]
    ],
    ("not disabled", {"disabled": False, "detectors": DETECTED}, TOTAL),
    *[
        (f"{name} {written}", {"detectors": {name: written}}, {**NOTHING_ENFORCED, **emitted})
        for name, written, emitted in [
            ("totalFailures", {"consecutive": 1}, {"consecutive5xx": 1, "enforcingConsecutive5xx": 100}),
            (
                "gatewayFailures",
                {"consecutive": 2},
                {"consecutiveGatewayFailure": 2, "enforcingConsecutiveGatewayFailure": 100},
            ),
            (
                "localOriginFailures",
                {"consecutive": 4294967295},
                {"consecutiveLocalOriginFailure": 4294967295, "enforcingConsecutiveLocalOriginFailure": 100},
            ),
            # An empty detector is off, but for those of rates.
            ("totalFailures", {}, {}),
            ("gatewayFailures", {}, {}),
            ("localOriginFailures", {}, {}),
            ("successRate", {}, SUCCESS_RATE),
            ("successRate", {"minimumHosts": 3}, {**SUCCESS_RATE, "successRateMinimumHosts": 3}),
            ("successRate", {"requestVolume": 4}, {**SUCCESS_RATE, "successRateRequestVolume": 4}),
            *[
                (
                    "successRate",
                    {"standardDeviationFactor": factor},
                    {**SUCCESS_RATE, "successRateStdevFactor": emitted},
                )
                for factor, emitted in [(2, 2000), ("2", 2000), ("1.9", 1900), ("1.99999", 1999), ("0.0005", 0)]
            ],
            ("failurePercentage", {}, FAILURE_PERCENTAGE),
            ("failurePercentage", {"minimumHosts": 3}, {**FAILURE_PERCENTAGE, "failurePercentageMinimumHosts": 3}),
            ("failurePercentage", {"requestVolume": 4}, {**FAILURE_PERCENTAGE, "failurePercentageRequestVolume": 4}),
            ("failurePercentage", {"threshold": 0}, {**FAILURE_PERCENTAGE, "failurePercentageThreshold": 0}),
            ("failurePercentage", {"threshold": 100}, {**FAILURE_PERCENTAGE, "failurePercentageThreshold": 100}),
        ]
    ],
    (
        "all detectors",
        {
            "detectors": {
                "totalFailures": {"consecutive": 1},
                "gatewayFailures": {"consecutive": 2},
                "localOriginFailures": {"consecutive": 3},
                "successRate": {"minimumHosts": 4, "requestVolume": 5, "standardDeviationFactor": "1.5"},
                "failurePercentage": {"minimumHosts": 6, "requestVolume": 7, "threshold": 8},
            }
        },
        {
            **dict.fromkeys(NOTHING_ENFORCED, 100),
            "consecutive5xx": 1,
            "consecutiveGatewayFailure": 2,
            "consecutiveLocalOriginFailure": 3,
            "successRateMinimumHosts": 4,
            "successRateRequestVolume": 5,
            "successRateStdevFactor": 1500,
            "failurePercentageMinimumHosts": 6,
            "failurePercentageRequestVolume": 7,
            "failurePercentageThreshold": 8,
        },
    ),
]
CONFIGURATIONS: list[tuple[str, Conf, Conf]] = [
    *[(name, {"connectionLimits": conf}, limits(**emitted)) for name, conf, emitted in LIMITS],
    *[(name, {"outlierDetection": conf}, {"outlierDetection": emitted}) for name, conf, emitted in DETECTIONS],
    (
        "both",
        {"connectionLimits": {"maxRetries": 9}, "outlierDetection": {"detectors": DETECTED}},
        {**limits(maxRetries=9), "outlierDetection": TOTAL},
    ),
    (
        "disabled",
        {"connectionLimits": {"maxRetries": 9}, "outlierDetection": {"disabled": True, "detectors": DETECTED}},
        limits(maxRetries=9),
    ),
]


@pytest.mark.parametrize(("conf", "emitted"), [pytest.param(*row, id=name) for name, *row in CONFIGURATIONS])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_configuration_is_the_same_for_all_protocols_and_directions(
    load_resources: Load, protocol: str | None, conf: Conf, emitted: Conf
) -> None:
    web = dataplane("web-1", tagged("backend"), tagged("other"), inbound=[inbound(tagged("web", protocol))])
    others = [offers("backend", protocol), offers("other", protocol)]

    to = load_resources(web, *others, policy("a", to=[item(conf, "backend")]))
    assert broken(to) == {"backend": emitted}
    assert api.circuit_breakers(to, WEB, "backend") == emitted
    assert api.circuit_breakers(to, WEB, "other") == {}

    from_ = load_resources(web, *others, policy("a", from_=[item(conf)]))
    assert broken(from_) == {"localhost:8080": emitted}
    assert api.circuit_breakers(from_, WEB, "backend") == {}


def test_every_configuration_is_a_message_of_envoy() -> None:
    json_format = pytest.importorskip("google.protobuf.json_format", reason="the types of Envoy are not installed")
    clusters = importlib.import_module("envoy.config.cluster.v3.cluster_pb2")

    for _name, _conf, emitted in CONFIGURATIONS:
        message = json_format.ParseDict(emitted, clusters.Cluster())
        assert message.HasField("circuit_breakers") == ("circuitBreakers" in emitted)
        assert message.HasField("outlier_detection") == ("outlierDetection" in emitted)


# --- where it applies -------------------------------------------------------------------------------------------------

ONE: Conf = {"connectionLimits": {"maxConnections": 1}}


def test_a_service_without_endpoints_has_limits_as_well(load_resources: Load) -> None:
    web = dataplane("web-1", tagged("nobody"), inbound=[inbound(tagged("web"))])

    assert broken(load_resources(web, policy("a", to=[item(ONE)]))) == {"nobody": limits(maxConnections=1)}


def test_parts_of_a_service_are_like_the_whole(load_resources: Load) -> None:
    backend = tagged("backend")
    web = dataplane("web-1", backend, {**backend, "version": "v1"}, tagged("web"), inbound=[inbound(tagged("web"))])
    universe = load_resources(web, offers("backend", version="v1"), policy("a", to=[item(ONE, "backend")]))

    found = broken(universe)
    assert len(found) == 2
    assert all(name.startswith("backend") for name in found)
    assert list(found.values()) == [limits(maxConnections=1)] * 2
    assert api.circuit_breakers(universe, WEB, "backend", {"version": "v1"}) == limits(maxConnections=1)


@pytest.mark.parametrize(
    ("ports", "limited"),
    [
        pytest.param([(8080, None)], {"localhost:8080"}, id="one port"),
        pytest.param([(8080, 8080)], {"localhost:8080"}, id="one port, written twice"),
        pytest.param([(8080, None), (8081, 9000)], {"localhost:8080"}, id="nothing where the ports differ"),
        pytest.param([(8080, 18080)], set(), id="nothing where the only ports differ"),
        pytest.param([(8080, 9000), (9000, 9001)], {"localhost:9000"}, id="another inbound's application"),
    ],
)
def test_the_application_is_found_by_the_port_of_the_inbound(
    load_resources: Load, ports: list[tuple[int, int | None]], limited: set[str]
) -> None:
    web = dataplane("web-1", inbound=[inbound(tagged("web"), *pair) for pair in ports])
    found = broken(load_resources(web, policy("a", from_=[item(ONE)])))

    assert found == dict.fromkeys(limited, limits(maxConnections=1))


def test_each_inbound_has_what_the_policies_that_select_it_say(load_resources: Load) -> None:
    inbounds = [inbound(tagged("web"), 8080), inbound(tagged("api", version="v1"), 8081), inbound(tagged("db"), 8082)]
    universe = load_resources(
        dataplane("web-1", tagged("web"), inbound=inbounds),
        policy("web", {"kind": "MeshService", "name": "web"}, from_=[item(ONE)]),
        policy(
            "api",
            {"kind": "MeshSubset", "tags": {"version": "v1"}},
            from_=[item({"connectionLimits": {"maxRetries": 2}}), item({"connectionLimits": {"maxRetries": 3}})],
        ),
    )

    assert broken(universe) == {"localhost:8080": limits(maxConnections=1), "localhost:8081": limits(maxRetries=3)}


@pytest.mark.parametrize(
    ("top", "selected"),
    [
        (MESH, {WEB, EDGE}),
        ({"kind": "Mesh", "proxyTypes": ["Sidecar"]}, {WEB}),
        ({"kind": "Mesh", "proxyTypes": ["Gateway"]}, {EDGE}),
        ({"kind": "MeshSubset", "tags": {"version": "v1"}}, {WEB, EDGE}),
        ({"kind": "MeshSubset", "tags": {"version": "v2"}}, set()),
        ({"kind": "MeshService", "name": "edge"}, {EDGE}),
        ({"kind": "MeshServiceSubset", "name": "web", "tags": {"version": "v1"}}, {WEB}),
        ({"kind": "MeshServiceSubset", "name": "web", "tags": {"version": "v2"}}, set()),
    ],
)
def test_whom_it_concerns(load_resources: Load, top: Conf, selected: set[api.DataplaneId]) -> None:
    universe = load_resources(
        dataplane("web-1", tagged("backend"), inbound=[inbound(tagged("web", version="v1"))]),
        dataplane("edge-1", tagged("backend"), gateway={"tags": tagged("edge", version="v1")}),
        offers("backend"),
        policy("a", top, to=[item(ONE)], from_=[item(ONE)]),
    )
    limited = {"backend": limits(maxConnections=1)}

    assert broken(universe, EDGE) == (limited if EDGE in selected else {})
    assert broken(universe) == ({**limited, "localhost:8080": limited["backend"]} if WEB in selected else {})


# --- worked examples --------------------------------------------------------------------------------------------------

DUO = [
    dataplane("web-1", tagged("backend"), tagged("db"), inbound=[inbound(tagged("web"))]),
    offers("backend"),
    offers("db", "tcp"),
]
INITIAL = {"maxConnections": 1024, "maxPendingRequests": 1024, "maxRetries": 3, "maxRequests": 1024}


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        pytest.param(
            [{"type": "Mesh", "name": "default"}],
            {"backend": limits(**INITIAL), "db": limits(**INITIAL)},
            id="initial policies",
        ),
        pytest.param(
            [
                {"type": "Mesh", "name": "default"},
                policy(
                    "a",
                    to=[
                        item(
                            {
                                "connectionLimits": {"maxConnections": 2},
                                "outlierDetection": {
                                    "interval": "5s",
                                    "baseEjectionTime": "30s",
                                    "maxEjectionPercent": 20,
                                    "detectors": {"totalFailures": {"consecutive": 5}},
                                },
                            },
                            "backend",
                        )
                    ],
                ),
            ],
            {
                "backend": {
                    **limits(**{**INITIAL, "maxConnections": 2}),
                    "outlierDetection": {
                        **TOTAL,
                        "interval": "5s",
                        "baseEjectionTime": "30s",
                        "maxEjectionPercent": 20,
                    },
                },
                "db": limits(**INITIAL),
            },
            id="a: a policy on top of the initial ones",
        ),
        pytest.param(
            [
                policy(
                    "b",
                    to=[
                        item(
                            {
                                "connectionLimits": {"maxConnections": 1, "maxRetries": 2},
                                "outlierDetection": {
                                    "interval": "5s",
                                    "detectors": {"totalFailures": {"consecutive": 3}},
                                },
                            }
                        )
                    ],
                ),
                policy(
                    "a",
                    to=[
                        item(
                            {
                                "connectionLimits": {"maxConnections": 9},
                                "outlierDetection": {"detectors": {"gatewayFailures": {"consecutive": 4}}},
                            },
                            "backend",
                        ),
                        item(
                            {
                                "outlierDetection": {
                                    "disabled": True,
                                    "detectors": {"gatewayFailures": {"consecutive": 4}},
                                }
                            },
                            "db",
                        ),
                    ],
                ),
            ],
            {
                "backend": {
                    **limits(maxConnections=9, maxRetries=2),
                    "outlierDetection": {
                        **NOTHING_ENFORCED,
                        "interval": "5s",
                        "consecutive5xx": 3,
                        "enforcingConsecutive5xx": 100,
                        "consecutiveGatewayFailure": 4,
                        "enforcingConsecutiveGatewayFailure": 100,
                    },
                },
                "db": limits(maxConnections=1, maxRetries=2),
            },
            id="b: two policies; detectors unite, and the detection as a whole is disabled",
        ),
        pytest.param(
            [policy("d", to=[item({"connectionLimits": {}})])], {"backend": limits(), "db": limits()}, id="d: no limit"
        ),
    ],
)
def test_examples(load_resources: Load, documents: list[Conf], expected: dict[str, Conf]) -> None:
    assert broken(load_resources(*DUO, *documents)) == expected


def test_example_c_ports_that_differ(load_resources: Load) -> None:
    inbounds = [inbound(tagged("web")), inbound(tagged("web"), 8081, 9000)]
    universe = load_resources(
        dataplane("web-1", inbound=inbounds), policy("c", from_=[item({"connectionLimits": {"maxRetries": 1}})])
    )

    assert broken(universe) == {"localhost:8080": limits(maxRetries=1)}
    assert "localhost:9000" in api.compile_proxy(universe, WEB)[type_urls.CLUSTER]


# --- several policies and items ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lower", "higher", "merged"),
    [
        pytest.param(
            {"connectionLimits": {"maxConnections": 1, "maxRetries": 2}},
            {"connectionLimits": {"maxRetries": 3, "maxRequests": 4}},
            {"connectionLimits": {"maxConnections": 1, "maxRetries": 3, "maxRequests": 4}},
            id="limits unite",
        ),
        pytest.param(
            {"connectionLimits": {"maxConnections": 1}},
            {"connectionLimits": {}},
            {"connectionLimits": {"maxConnections": 1}},
            id="no limits take none away",
        ),
        pytest.param(
            {"connectionLimits": {"maxConnections": 1}},
            {"outlierDetection": {"interval": "1s", "detectors": {"totalFailures": {}}}},
            {
                "connectionLimits": {"maxConnections": 1},
                "outlierDetection": {"interval": "1s", "detectors": {"totalFailures": {}}},
            },
            id="one section does not replace the other",
        ),
        pytest.param(
            {"outlierDetection": {"maxEjectionPercent": 50, "detectors": {"successRate": {"requestVolume": 9}}}},
            {"outlierDetection": {"maxEjectionPercent": 0, "detectors": {"successRate": {"minimumHosts": 1}}}},
            {
                "outlierDetection": {
                    "maxEjectionPercent": 0,
                    "detectors": {"successRate": {"requestVolume": 9, "minimumHosts": 1}},
                }
            },
            id="detectors are merged member by member; zero overrides",
        ),
        pytest.param(
            {"outlierDetection": {"disabled": True, "detectors": {"totalFailures": {"consecutive": 1}}}},
            {"outlierDetection": {"disabled": False, "detectors": {"totalFailures": {}}}},
            {"outlierDetection": {"disabled": False, "detectors": {"totalFailures": {"consecutive": 1}}}},
            id="what is disabled can be enabled again, and an empty detector takes nothing away",
        ),
        pytest.param(
            {"outlierDetection": {"detectors": {"successRate": {"standardDeviationFactor": "1.9"}}}},
            {"outlierDetection": {"detectors": {"successRate": {"standardDeviationFactor": 2}}}},
            {"outlierDetection": {"detectors": {"successRate": {"standardDeviationFactor": 2}}}},
            id="factors in both notations",
        ),
    ],
)
def test_merging(load_resources: Load, lower: Conf, higher: Conf, merged: Conf) -> None:
    whole = broken(load_resources(*DUO, policy("a", to=[item(merged)], from_=[item(merged)])))

    for policies in (
        [policy("a", to=[item(higher)], from_=[item(higher)]), policy("b", to=[item(lower)], from_=[item(lower)])],
        [policy("a", to=[item(lower), item(higher)], from_=[item(lower), item(higher)])],
    ):
        universe = load_resources(*DUO, *policies)
        assert api.effective(universe, "MeshCircuitBreaker", WEB, "backend")["conf"] == merged
        assert broken(universe) == whole


# --- opinions about a configuration where it applies ------------------------------------------------------------------


def told(opinion: Any, conf: Conf, situation: Situation, kind: type = MeshCircuitBreakerConf) -> list[str]:
    problems = opinion(decode_conf(kind, conf), situation)
    return [f"{problem.code.id} {format_path(problem.path)}: {problem.message}" for problem in problems]


def detection(detectors: Conf, **members: Any) -> Conf:
    return {"outlierDetection": {**members, "detectors": detectors}}


@pytest.fixture
def situation(load_resources: Load) -> Callable[..., Situation]:
    """The situation of an inbound with two ports."""

    def make(port: int, service_port: int) -> Situation:
        universe = load_resources(dataplane("web-1", inbound=[inbound(tagged("web"), port, service_port)]))
        [one] = universe.dataplane(WEB).inbounds
        assert isinstance(one, Inbound)
        return Situation(one.protocol, 1, {}, one)

    return make


PORTS_DIFFER = "has no effect on the application of an inbound whose servicePort is not its port, 8080"
LOCAL = "MESH054 outlierDetection.detectors.localOriginFailures: has no effect without splitExternalAndLocalErrors"


@pytest.mark.parametrize(
    ("conf", "paths"),
    [
        (ONE, ["connectionLimits"]),
        (detection(DETECTED), ["outlierDetection"]),
        ({**ONE, **detection(DETECTED)}, ["connectionLimits", "outlierDetection"]),
    ],
)
def test_settings_of_inbounds_that_have_no_effect(
    situation: Callable[..., Situation], conf: Conf, paths: list[str]
) -> None:
    assert told(KIND.unused, conf, situation(8080, 9000)) == [f"MESH054 {path}: {PORTS_DIFFER}" for path in paths]
    assert told(KIND.unused, conf, situation(8080, 8080)) == []


@pytest.mark.parametrize(
    ("conf", "findings"),
    [
        ({**ONE, **detection(DETECTED)}, []),
        (detection({"localOriginFailures": {"consecutive": 1}, **DETECTED}), [LOCAL]),
        (
            detection({"localOriginFailures": {"consecutive": 1}, **DETECTED}, splitExternalAndLocalErrors=False),
            [LOCAL],
        ),
        (detection({"localOriginFailures": {"consecutive": 1}}, splitExternalAndLocalErrors=True), []),
        (detection({"localOriginFailures": {"consecutive": 1}}, disabled=True), []),
    ],
)
def test_settings_that_have_no_effect(conf: Conf, findings: list[str]) -> None:
    assert told(KIND.unused, conf, Situation(Protocol.HTTP, 2, {})) == findings


AT_PERCENT = "outlierDetection.maxEjectionPercent"
LESS = "{} percent of {} hosts is less than one"
NOBODY_EJECTED = [f"MESH231 {AT_PERCENT}: is 0: no host is ever ejected"]


def never(*reasons: str) -> list[str]:
    return [f"MESH232 outlierDetection.detectors: holds no detector that can fire: {'; '.join(reasons)}"]


def firing(detectors: Conf, **members: Any) -> Conf:
    """A detection that may eject every host, if one of its detectors fires."""
    return detection(detectors, maxEjectionPercent=100, **members)


NO_ANSWERS = "sees no answers of a service that is not http"
NEEDS_SPLIT = "localOriginFailures needs splitExternalAndLocalErrors"
ON_HTTP = ("http", "http2", "grpc")
ON_TCP = ("tcp", "kafka")


@pytest.mark.parametrize(
    ("protocols", "endpoints", "conf", "findings"),
    [
        (ON_HTTP + ON_TCP, 5, firing(DETECTED), []),
        (ON_HTTP + ON_TCP, 5, detection(DETECTED, maxEjectionPercent=0), NOBODY_EJECTED),
        # Envoy rounds down.
        *[
            (
                ON_HTTP + ON_TCP,
                endpoints,
                detection(DETECTED, maxEjectionPercent=percent),
                [] if ejected else [f"MESH231 {AT_PERCENT}: ejects nobody: {LESS.format(percent, endpoints)}"],
            )
            for endpoints, percent, ejected in [(1, 99, 0), (1, 100, 1), (4, 24, 0), (4, 25, 1), (5, 1, 0), (100, 1, 1)]
        ],
        (ON_HTTP + ON_TCP, 9, detection(DETECTED), [f"MESH231 outlierDetection: ejects nobody: {LESS.format(10, 9)}"]),
        (ON_HTTP + ON_TCP, 10, detection(DETECTED), []),
        (ON_HTTP + ON_TCP, 5, detection(DETECTED, maxEjectionPercent=0, disabled=True), []),
        (ON_HTTP + ON_TCP, 5, firing({"totalFailures": {}}), never("totalFailures has no number")),
        (ON_HTTP + ON_TCP, 5, firing({"totalFailures": {}}, disabled=True), []),
        (ON_HTTP + ON_TCP, 5, firing({"totalFailures": {}, "gatewayFailures": {"consecutive": 1}}), []),
        (
            ON_HTTP + ON_TCP,
            5,
            firing({"gatewayFailures": {}, "localOriginFailures": {"consecutive": 1}}),
            never("gatewayFailures has no number", NEEDS_SPLIT),
        ),
        # Without the split, failures to connect count as answers; with it, a service that is not http has none.
        *[
            (ON_HTTP, 5, firing({name: {"consecutive": 1}}, splitExternalAndLocalErrors=split), [])
            for name in ("totalFailures", "gatewayFailures")
            for split in (True, False)
        ],
        *[
            (
                ON_TCP,
                5,
                firing({name: {"consecutive": 1}}, splitExternalAndLocalErrors=True),
                never(f"{name} {NO_ANSWERS}"),
            )
            for name in ("totalFailures", "gatewayFailures")
        ],
        (
            ON_HTTP + ON_TCP,
            5,
            firing({"localOriginFailures": {"consecutive": 1}}, splitExternalAndLocalErrors=True),
            [],
        ),
        *[
            row
            for name in ("successRate", "failurePercentage")
            for row in [
                (ON_HTTP + ON_TCP, 5, firing({name: {}}), []),
                (ON_HTTP + ON_TCP, 4, firing({name: {}}), never(f"{name} needs 5 hosts, and there are 4")),
                (
                    ON_HTTP + ON_TCP,
                    5,
                    firing({name: {"minimumHosts": 6}}),
                    never(f"{name} needs 6 hosts, and there are 5"),
                ),
                (ON_HTTP + ON_TCP, 4, firing({name: {}, **DETECTED}), []),
            ]
        ],
        (ON_HTTP + ON_TCP, 4, firing({"failurePercentage": {"minimumHosts": 4}}), []),
        *[
            (
                ON_HTTP + ON_TCP,
                endpoints,
                firing({"successRate": {"minimumHosts": 2, **factor}}),
                never(f"successRate sees no host {number} standard deviations below the average of {endpoints}")
                if number
                else [],
            )
            for endpoints, factor, number in [
                (4, {}, "1.9"),
                (5, {}, None),
                (4, {"standardDeviationFactor": "1.7"}, None),
                (4, {"standardDeviationFactor": "1.74"}, "1.74"),
                (5, {"standardDeviationFactor": 2}, "2"),
                (6, {"standardDeviationFactor": 2}, None),
                (2, {"standardDeviationFactor": 1}, "1"),
            ]
        ],
        (
            ON_HTTP,
            1,
            firing({"successRate": {}, "failurePercentage": {"minimumHosts": 2}}),
            never("successRate needs 5 hosts, and there are 1", "failurePercentage needs 2 hosts, and there are 1"),
        ),
        (ON_HTTP + ON_TCP, 5, ONE, []),
    ],
)
def test_advice(protocols: tuple[str, ...], endpoints: int, conf: Conf, findings: list[str]) -> None:
    for protocol in protocols:
        assert told(KIND.advice, conf, Situation(Protocol(protocol), endpoints, {})) == findings


LEAVES = "the service is not checked, and outlier detection leaves {} of 20 hosts"


@pytest.mark.parametrize(
    ("threshold", "checked", "breaker", "left"),
    [
        (50, "http", None, None),
        (50, "tcp", None, 20),
        (50, "grpc", None, 20),
        (100, "grpc", None, 20),
        # Zero is no panic at all.
        (0, "grpc", None, None),
        (90, "grpc", detection(DETECTED), 18),
        (91, "grpc", detection(DETECTED), None),
        (50, "grpc", detection(DETECTED, maxEjectionPercent=50), 10),
        (51, "grpc", detection(DETECTED, maxEjectionPercent=50), None),
        (100, "grpc", detection(DETECTED, maxEjectionPercent=0), 20),
        (91, "grpc", detection(DETECTED, disabled=True), 20),
        (91, "grpc", ONE, 20),
    ],
)
def test_advice_on_panic(threshold: int, checked: str, breaker: Conf | None, left: int | None) -> None:
    """Of a MeshHealthCheck that checks no http service, where an outlier detection takes too few hosts out."""
    confs = {} if breaker is None else {"MeshCircuitBreaker": decode_conf(MeshCircuitBreakerConf, breaker)}
    conf = {"healthyPanicThreshold": threshold, checked: {}}

    assert told(meshhealthcheck.KIND.advice, conf, Situation(Protocol.HTTP, 20, confs), MeshHealthCheckConf) == (
        [] if left is None else [f"MESH203 healthyPanicThreshold: is never reached: {LEAVES.format(left)}"]
    )
