# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Explanations: for each field of each kind its value, who set it, who lost and why, and what it became in Envoy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api, schema
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.kinds import POLICY_KINDS

Load = Callable[..., api.Universe]
Resource = dict[str, Any]
Conf = dict[str, Any]
Field = dict[str, Any]

WEB = api.DataplaneId("default", "web-1")
VERSIONS = ("v1", "v2")


def web(*outbounds: dict[str, str]) -> Resource:
    """A consumer; of each outbound the tags besides that of `backend`."""
    networking = {
        "address": "192.0.2.1",
        "inbound": [
            {
                "port": 80,
                "serviceAddress": "127.0.0.1",
                "tags": {"kuma.io/service": "web", "kuma.io/protocol": "tcp", "version": "v1"},
            }
        ],
        "outbound": [
            {"port": 10001 + number, "tags": {"kuma.io/service": "backend", **tags}}
            for number, tags in enumerate(outbounds or [{}])
        ],
    }
    return {"type": "Dataplane", "mesh": "default", "name": "web-1", "networking": networking}


def backends(protocol: str = "http") -> list[Resource]:
    """Two dataplanes that offer `backend`, of one version each."""
    return [
        {
            "type": "Dataplane",
            "mesh": "default",
            "name": f"backend-{version}",
            "networking": {
                "address": "192.0.2.2",
                "inbound": [
                    {
                        "port": 80,
                        "serviceAddress": "127.0.0.1",
                        "tags": {"kuma.io/service": "backend", "kuma.io/protocol": protocol, "version": version},
                    }
                ],
            },
        }
        for version in VERSIONS
    ]


def item(conf: Conf, service: str | None = None) -> Resource:
    target_ref = {"kind": "Mesh"} if service is None else {"kind": "MeshService", "name": service}
    return {"targetRef": target_ref, "default": conf}


def policy(
    kind: str, name: str, *items: Resource, top: Resource | None = None, labels: dict[str, str] | None = None
) -> Resource:
    spec = {"targetRef": top or {"kind": "Mesh"}, "to": list(items)}
    return {"type": kind, "mesh": "default", "name": name, "labels": labels or {}, "spec": spec}


def fields_of(universe: api.Universe, kind: str) -> dict[str, Field]:
    """What is said of the one destination of web-1."""
    [destination] = api.explain(universe, WEB, "backend")["destinations"]
    found: dict[str, Field] = destination["kinds"][kind]["fields"]
    return found


def touched(field: Field) -> list[str]:
    return [f"{one['resource']}: {one['field']}" for one in field["envoy"]]


# --- what a field became in Envoy -------------------------------------------------------------------------------------


def check(path: str) -> str:
    return f"cluster backend: healthChecks[0].{path}"


def retry(path: str) -> str:
    return (
        "route outbound:backend of listener outbound:127.0.0.1:10001: "
        f"virtualHosts[0].routes[0].route.retryPolicy.{path}"
    )


HEADERS = [{"name": "x-a", "value": "b"}]
RESET = {"resetHeaders": [{"name": "retry-after", "format": "Seconds"}]}

# Of each field a value, and what depends on it for a service of the section's protocol. Values are not the defaults.
HEALTH_CHECKS: dict[str, tuple[object, list[str]]] = {
    "interval": ("7s", [check("interval")]),
    "timeout": ("7s", [check("timeout")]),
    "unhealthyThreshold": (7, [check("unhealthyThreshold")]),
    "healthyThreshold": (7, [check("healthyThreshold")]),
    "initialJitter": ("7s", [check("initialJitter")]),
    "intervalJitter": ("7s", [check("intervalJitter")]),
    "intervalJitterPercent": (7, [check("intervalJitterPercent")]),
    "healthyPanicThreshold": ("62.5", ["cluster backend: commonLbConfig"]),
    "failTrafficOnPanic": (True, ["cluster backend: commonLbConfig"]),
    "noTrafficInterval": ("7s", [check("noTrafficInterval")]),
    "eventLogPath": ("/var/log/envoy/a.log", [check("eventLogger")]),
    "alwaysLogHealthCheckFailures": (True, [check("alwaysLogHealthCheckFailures")]),
    "reuseConnection": (False, [check("reuseConnection")]),
    "http.disabled": (True, ["cluster backend: healthChecks"]),
    "http.path": ("/a", [check("httpHealthCheck.path")]),
    "http.expectedStatuses": ([204], [check("httpHealthCheck.expectedStatuses")]),
    "http.requestHeadersToAdd.add": (HEADERS, [check("httpHealthCheck.requestHeadersToAdd")]),
    "http.requestHeadersToAdd.set": (HEADERS, [check("httpHealthCheck.requestHeadersToAdd")]),
    "tcp.disabled": (True, ["cluster backend: healthChecks"]),
    "tcp.send": ("UElORw==", [check("tcpHealthCheck.send")]),
    "tcp.receive": (["UE9ORw=="], [check("tcpHealthCheck.receive")]),
    "grpc.disabled": (True, ["cluster backend: healthChecks"]),
    "grpc.serviceName": ("a", [check("grpcHealthCheck.serviceName")]),
    "grpc.authority": ("a", [check("grpcHealthCheck.authority")]),
}
RETRIES: dict[str, tuple[object, list[str]]] = {
    "tcp.maxConnectAttempt": (
        7,
        ["listener outbound:127.0.0.1:10001: filterChains[0].filters[0].typedConfig.maxConnectAttempts"],
    ),
    **{
        f"{section}.{path}": row
        for section in ("http", "grpc")
        for path, row in {
            "numRetries": (7, [retry("numRetries")]),
            "perTryTimeout": ("7s", [retry("perTryTimeout")]),
            "backOff.baseInterval": ("7s", [retry("retryBackOff")]),
            "backOff.maxInterval": ("7s", [retry("retryBackOff")]),
            "rateLimitedBackOff.resetHeaders": (RESET["resetHeaders"], [retry("rateLimitedRetryBackOff")]),
            "rateLimitedBackOff.maxInterval": ("7s", [retry("rateLimitedRetryBackOff.maxInterval")]),
        }.items()
    },
    "http.retryOn": (
        ["Reset", 503, "HttpMethodGet"],
        [retry("retriableRequestHeaders"), retry("retriableStatusCodes"), retry("retryOn")],
    ),
    "grpc.retryOn": (["Internal"], [retry("retryOn")]),
    "http.retriableRequestHeaders": (HEADERS, [retry("retriableRequestHeaders")]),
    "http.retriableResponseHeaders": (HEADERS, [retry("retriableHeaders"), retry("retryOn")]),
    "http.hostSelection": (
        [{"predicate": "OmitPreviousHosts"}, {"predicate": "OmitPreviousPriorities"}],
        [retry("retryHostPredicate"), retry("retryPriority")],
    ),
    "http.hostSelectionMaxAttempts": (7, [retry("hostSelectionRetryMaxAttempts")]),
}


def manager(path: str) -> str:
    return f"listener outbound:127.0.0.1:10001: filterChains[0].filters[0].typedConfig.{path}"


def route(path: str) -> str:
    return f"route outbound:backend of listener outbound:127.0.0.1:10001: virtualHosts[0].routes[0].route.{path}"


def options(path: str) -> str:
    http = 'typedExtensionProtocolOptions["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]'
    return f"cluster backend: {http}.commonHttpProtocolOptions.{path}"


def threshold(path: str) -> str:
    return f"cluster backend: circuitBreakers.thresholds[0].{path}"


def outlier(*paths: str) -> list[str]:
    return [f"cluster backend: outlierDetection.{path}" for path in paths]


# For a service that speaks http.
TIMEOUTS: dict[str, tuple[object, list[str]]] = {
    "connectionTimeout": ("7s", ["cluster backend: connectTimeout"]),
    "idleTimeout": ("7s", [options("idleTimeout")]),
    "http.requestTimeout": ("7s", [route("timeout")]),
    "http.streamIdleTimeout": ("7s", [route("idleTimeout")]),
    "http.maxStreamDuration": ("7s", [options("maxStreamDuration")]),
    "http.maxConnectionDuration": ("7s", [options("maxConnectionDuration")]),
    "http.requestHeadersTimeout": ("7s", [manager("requestHeadersTimeout")]),
}
DETECTORS = "outlierDetection.detectors"
CIRCUIT_BREAKERS: dict[str, tuple[object, list[str]]] = {
    **{
        f"connectionLimits.{name}": (7, [threshold(name)])
        for name in ("maxConnections", "maxConnectionPools", "maxPendingRequests", "maxRetries", "maxRequests")
    },
    "outlierDetection.disabled": (True, ["cluster backend: outlierDetection"]),
    "outlierDetection.interval": ("7s", outlier("interval")),
    "outlierDetection.baseEjectionTime": ("7s", outlier("baseEjectionTime")),
    "outlierDetection.maxEjectionPercent": (70, outlier("maxEjectionPercent")),
    "outlierDetection.splitExternalAndLocalErrors": (True, outlier("splitExternalLocalOriginErrors")),
    f"{DETECTORS}.totalFailures.consecutive": (7, outlier("consecutive5xx", "enforcingConsecutive5xx")),
    f"{DETECTORS}.gatewayFailures.consecutive": (
        7,
        outlier("consecutiveGatewayFailure", "enforcingConsecutiveGatewayFailure"),
    ),
    f"{DETECTORS}.localOriginFailures.consecutive": (
        7,
        outlier("consecutiveLocalOriginFailure", "enforcingConsecutiveLocalOriginFailure"),
    ),
    f"{DETECTORS}.successRate.minimumHosts": (7, outlier("successRateMinimumHosts")),
    f"{DETECTORS}.successRate.requestVolume": (7, outlier("successRateRequestVolume")),
    f"{DETECTORS}.successRate.standardDeviationFactor": ("1.7", outlier("successRateStdevFactor")),
    f"{DETECTORS}.failurePercentage.minimumHosts": (7, outlier("failurePercentageMinimumHosts")),
    f"{DETECTORS}.failurePercentage.requestVolume": (7, outlier("failurePercentageRequestVolume")),
    f"{DETECTORS}.failurePercentage.threshold": (7, outlier("failurePercentageThreshold")),
}
EXAMPLES = {
    "MeshTimeout": TIMEOUTS,
    "MeshCircuitBreaker": CIRCUIT_BREAKERS,
    "MeshHealthCheck": HEALTH_CHECKS,
    "MeshRetry": RETRIES,
}
# What else has to be written for a field to be of use.
NEEDED: dict[str, Conf] = {
    "http.hostSelectionMaxAttempts": {"hostSelection": [{"predicate": "OmitPreviousHosts"}]},
    "http.rateLimitedBackOff.maxInterval": RESET,
    "grpc.rateLimitedBackOff.maxInterval": RESET,
    "http.requestHeadersTimeout": {"requestTimeout": "1s"},
    **{
        f"outlierDetection.{name}": {"detectors": {"totalFailures": {"consecutive": 5}}}
        for name in ("disabled", "interval", "baseEjectionTime", "maxEjectionPercent", "splitExternalAndLocalErrors")
    },
}


def written(kind: str, path: str, value: object) -> Conf:
    """A configuration that has a value at a path, and what it needs."""
    *sections, name = path.split(".")
    conf: Conf = {name: value, **NEEDED.get(path, {})}
    if path == "http.hostSelectionMaxAttempts":
        return {"http": conf}
    for section in reversed(sections):
        conf = {section: conf}
    if "localOriginFailures" in sections:
        conf["outlierDetection"]["splitExternalAndLocalErrors"] = True
    return {**conf, "http": {}} if kind == "MeshHealthCheck" and not sections else conf


def paths(node: Resource, prefix: str = "") -> Iterator[str]:
    """The fields of a configuration in a schema. A list is one field."""
    for name, member in node["properties"].items():
        if "properties" in member:
            yield from paths(member, f"{prefix}{name}.")
        else:
            yield prefix + name


@pytest.mark.parametrize("kind", POLICY_KINDS.values(), ids=POLICY_KINDS)
def test_there_is_an_example_of_every_field(kind: Any) -> None:
    items = schema.load(kind.schema)["properties"]["to"]["items"]

    assert set(EXAMPLES[kind.name]) == set(paths(items["properties"]["default"]))


@pytest.mark.parametrize(
    ("kind", "path", "value", "envoy"),
    [(kind, path, *row) for kind, examples in EXAMPLES.items() for path, row in examples.items()],
)
def test_every_field_becomes_a_field_of_envoy(
    load_resources: Load, kind: str, path: str, value: object, envoy: list[str]
) -> None:
    section = path.partition(".")[0]
    protocol = section if section in ("tcp", "grpc") else "http"
    universe = load_resources(web(), *backends(protocol), policy(kind, "a", item(written(kind, path, value))))

    field = fields_of(universe, kind)[path]
    assert field["value"] == (value if path != "http.retryOn" else ["Reset", "503", "HttpMethodGet"])
    assert touched(field) == envoy
    assert field["no_effect"] is None


@pytest.mark.parametrize(
    ("kind", "protocol", "conf", "envoy"),
    [
        ("MeshHealthCheck", "http", {"http": {}}, {"http": ["cluster backend: healthChecks"]}),
        ("MeshHealthCheck", "tcp", {"tcp": {}}, {"tcp": ["cluster backend: healthChecks"]}),
        ("MeshHealthCheck", "kafka", {"tcp": {}}, {"tcp": ["cluster backend: healthChecks"]}),
        # The check that takes over.
        (
            "MeshHealthCheck",
            "http",
            {"http": {"disabled": True}, "tcp": {}},
            {
                "http.disabled": [check("httpHealthCheck"), check("tcpHealthCheck")],
                "tcp": ["cluster backend: healthChecks"],
            },
        ),
        # Values that are the same as those that would be used without them.
        (
            "MeshHealthCheck",
            "http",
            {
                "interval": "60s",
                "timeout": "15s",
                "unhealthyThreshold": 5,
                "healthyThreshold": 1,
                "http": {"path": "/"},
            },
            {
                "interval": [check("interval")],
                "timeout": [check("timeout")],
                "unhealthyThreshold": [check("unhealthyThreshold")],
                "healthyThreshold": [check("healthyThreshold")],
                "http.path": [check("httpHealthCheck.path")],
            },
        ),
        (
            "MeshHealthCheck",
            "http",
            {"http": {"disabled": False}},
            {"http.disabled": ["cluster backend: healthChecks"]},
        ),
        ("MeshRetry", "http2", {"http": {"perTryTimeout": "15s"}}, {"http.perTryTimeout": [retry("perTryTimeout")]}),
        (
            "MeshRetry",
            "http",
            {"http": {"retryOn": ["GatewayError", "ConnectFailure", "RefusedStream"]}},
            {"http.retryOn": [retry("retryOn")]},
        ),
        # Only what depends on the field, where its neighbours stay.
        (
            "MeshRetry",
            "http",
            {"http": {"backOff": {"baseInterval": "1s", "maxInterval": "2s"}}},
            {
                "http.backOff.baseInterval": [retry("retryBackOff.baseInterval")],
                "http.backOff.maxInterval": [retry("retryBackOff.maxInterval")],
            },
        ),
        # With an http section alone no check is made, but panic is a matter of the cluster.
        (
            "MeshHealthCheck",
            "tcp",
            {"healthyPanicThreshold": 10, "failTrafficOnPanic": True, "http": {}},
            {
                "healthyPanicThreshold": ["cluster backend: commonLbConfig.healthyPanicThreshold"],
                "failTrafficOnPanic": ["cluster backend: commonLbConfig.zoneAwareLbConfig"],
            },
        ),
    ],
)
def test_what_depends_on_a_field(
    load_resources: Load, kind: str, protocol: str, conf: Conf, envoy: dict[str, list[str]]
) -> None:
    fields = fields_of(load_resources(web(), *backends(protocol), policy(kind, "a", item(conf))), kind)

    assert {path: touched(fields[path]) for path in envoy} == envoy
    assert {fields[path]["no_effect"] for path in envoy} == {None}


def test_each_kind_is_changed_by_itself(load_resources: Load) -> None:
    universe = load_resources(
        web(),
        *backends("tcp"),
        policy("MeshHealthCheck", "a", item({"interval": "5s", "tcp": {"send": "UElORw=="}})),
        policy("MeshRetry", "a", item({"tcp": {"maxConnectAttempt": 3}})),
    )

    checked, retried = (fields_of(universe, kind) for kind in ("MeshHealthCheck", "MeshRetry"))
    assert {path: touched(field) for path, field in checked.items()} == {
        "interval": [check("interval")],
        "tcp": [],
        "tcp.send": [check("tcpHealthCheck.send")],
    }
    assert {path: touched(field) for path, field in retried.items()} == {
        "tcp": [],
        "tcp.maxConnectAttempt": RETRIES["tcp.maxConnectAttempt"][1],
    }


# --- what has no effect, and why --------------------------------------------------------------------------------------

NOTHING = "has no effect: nothing in Envoy depends on it here"


@pytest.mark.parametrize(
    ("kind", "protocol", "conf", "reasons"),
    [
        (
            "MeshRetry",
            "tcp",
            {"http": {"numRetries": 3}, "tcp": {"maxConnectAttempt": 3}},
            {
                "http": "has no effect: the service speaks tcp",
                "http.numRetries": "has no effect: the service speaks tcp",
                "tcp": None,
                "tcp.maxConnectAttempt": None,
            },
        ),
        (
            "MeshRetry",
            "http",
            {"http": {"numRetries": 3, "hostSelectionMaxAttempts": 3, "rateLimitedBackOff": {"resetHeaders": []}}},
            {
                "http": None,
                "http.numRetries": None,
                "http.hostSelectionMaxAttempts": "has no effect without hostSelection",
                "http.rateLimitedBackOff": "has no effect without resetHeaders",
                "http.rateLimitedBackOff.resetHeaders": "has no effect without resetHeaders",
            },
        ),
        (
            "MeshHealthCheck",
            "grpc",
            {"interval": "5s", "healthyPanicThreshold": 10, "http": {"path": "/a"}},
            {
                "interval": "has no effect: the service is not checked",
                "healthyPanicThreshold": None,
                "http": "has no effect: the service speaks grpc",
                "http.path": "has no effect: the service speaks grpc",
            },
        ),
        (
            "MeshHealthCheck",
            "http",
            {"http": {"disabled": True, "path": "/a"}},
            {"http": None, "http.disabled": None, "http.path": NOTHING},
        ),
    ],
)
def test_what_has_no_effect(
    load_resources: Load, kind: str, protocol: str, conf: Conf, reasons: dict[str, str | None]
) -> None:
    fields = fields_of(load_resources(web(), *backends(protocol), policy(kind, "a", item(conf))), kind)

    assert {path: field["no_effect"] for path, field in fields.items()} == reasons


def test_a_service_that_nobody_offers(load_resources: Load) -> None:
    conf = {"interval": "5s", "healthyPanicThreshold": 10, "tcp": {}, "http": {"path": "/a"}}
    universe = load_resources(web(), policy("MeshHealthCheck", "a", item(conf)))

    [destination] = api.explain(universe, WEB)["destinations"]
    assert (destination["protocol"], destination["endpoints"]) == ("unknown", 0)
    fields = fields_of(universe, "MeshHealthCheck")
    nobody = "has no effect: nobody offers the service"
    assert {path: field["no_effect"] for path, field in fields.items()} == {
        "interval": nobody,
        "healthyPanicThreshold": None,
        "tcp": nobody,
        "http": None,
        "http.path": nobody,
    }


# --- who won, and why -------------------------------------------------------------------------------------------------

OF_WEB = {"kind": "MeshService", "name": "web"}
SUBSET = {"kind": "MeshSubset", "tags": {"version": "v1"}}
BOTH = {"kind": "MeshServiceSubset", "name": "web", "tags": {"version": "v1"}}
GLOBAL, ZONE = {"kuma.io/origin": "global"}, {"kuma.io/origin": "zone"}


def attempts(number: int, service: str | None = None) -> Resource:
    return item({"tcp": {"maxConnectAttempt": number}}, service)


@pytest.mark.parametrize(
    ("policies", "losers"),
    [
        pytest.param([("a", [attempts(1)], {})], [], id="nobody else"),
        pytest.param(
            [("b", [attempts(2)], {}), ("a", [attempts(1)], {})],
            [("b", 2, "order: of equals the first name wins, and 'a' comes before 'b'")],
            id="order",
        ),
        *[
            pytest.param(
                [("a", [attempts(2)], {"top": lower}), ("z", [attempts(1)], {"top": higher})],
                [("a", 2, f"less specific: its targetRef is of kind {lower['kind']}, not {higher['kind']}")],
                id=f"{lower['kind']} and {higher['kind']}",
            )
            for lower, higher in [({"kind": "Mesh"}, SUBSET), (SUBSET, OF_WEB), (OF_WEB, BOTH)]
        ],
        *[
            pytest.param(
                [("a", [attempts(2)], {"labels": lower}), ("z", [attempts(1)], {"labels": higher})],
                [("a", 2, why)],
                id=f"origins {lower} and {higher}",
            )
            for lower, higher, why in [
                (GLOBAL, ZONE, "its origin is global, and zone counts more"),
                (GLOBAL, {}, "its origin is global, and none counts more"),
                ({}, ZONE, "its origin is not given, and zone counts more"),
            ]
        ],
        pytest.param(
            [("a", [attempts(2, "backend"), attempts(1)], {})],
            [("a", 2, "another item of `to` stands later in the same policy")],
            id="another item of `to`",
        ),
        # How specific the destination is does not matter.
        pytest.param(
            [("b", [attempts(2, "backend")], {}), ("a", [attempts(1)], {})],
            [("b", 2, "order: of equals the first name wins, and 'a' comes before 'b'")],
            id="a special destination",
        ),
        pytest.param(
            [
                ("a", [attempts(4), attempts(3, "backend")], {}),
                ("z", [attempts(2)], {"top": SUBSET}),
                ("y", [attempts(5, "other"), attempts(1)], {"top": OF_WEB}),
            ],
            [
                ("a", 4, "less specific: its targetRef is of kind Mesh, not MeshService"),
                ("a", 3, "less specific: its targetRef is of kind Mesh, not MeshService"),
                ("z", 2, "less specific: its targetRef is of kind MeshSubset, not MeshService"),
            ],
            id="each is held against the winner, the first one out comes first",
        ),
    ],
)
def test_why_others_lost(
    load_resources: Load,
    policies: list[tuple[str, list[Resource], Resource]],
    losers: list[tuple[str, int, str]],
) -> None:
    made = [policy("MeshRetry", name, *items, **more) for name, items, more in policies]
    fields = fields_of(load_resources(web(), *backends("tcp"), *made), "MeshRetry")

    field = fields["tcp.maxConnectAttempt"]
    assert field["value"] == 1
    assert [(one["name"], one["value"], one["why"]) for one in field["losers"]] == losers


EVERYBODY = """\
type: MeshHealthCheck
mesh: default
name: everybody
spec:
  targetRef: {kind: Mesh}
  to:
  - targetRef: {kind: Mesh}
    default:
      interval: 30s
      http:
        path: /health
"""
WEBS = """\
apiVersion: kuma.io/v1alpha1
kind: MeshHealthCheck
metadata:
  name: webs
spec:
  targetRef: {kind: MeshService, name: web}
  to:
  - targetRef: {kind: MeshService, name: backend}
    default:
      interval: 5s
      http: {expectedStatuses: [200]}
"""
DATAPLANES = """\
type: Dataplane
mesh: default
name: web-1
networking:
  address: 192.0.2.1
  inbound: [{port: 80, serviceAddress: 127.0.0.1, tags: {kuma.io/service: web}}]
  outbound: [{port: 10001, tags: {kuma.io/service: backend}}]
---
type: Dataplane
mesh: default
name: backend-1
networking:
  address: 192.0.2.2
  inbound: [{port: 80, serviceAddress: 127.0.0.1, tags: {kuma.io/service: backend, kuma.io/protocol: http}}]
"""
FILES = {"mesh/everybody.yaml": EVERYBODY, "mesh/webs.yaml": WEBS, "mesh/dataplanes.yaml": DATAPLANES}


def place(file: str, line: int | None, field: str) -> Resource:
    name = file.removeprefix("mesh/").removesuffix(".yaml")
    return {
        "kind": "MeshHealthCheck",
        "name": name,
        "file": file,
        "line": line,
        "path": f"spec.to[0].default.{field}",
    }


def test_places_are_those_of_the_fields_themselves(load_files: Load) -> None:
    fields = fields_of(load_files(FILES), "MeshHealthCheck")

    why = "less specific: its targetRef is of kind Mesh, not MeshService"
    everybody, webs = "mesh/everybody.yaml", "mesh/webs.yaml"
    assert {path: field["policy"] for path, field in fields.items()} == {
        "interval": place(webs, 10, "interval"),
        "http": place(webs, 11, "http"),
        "http.expectedStatuses": place(webs, 11, "http.expectedStatuses"),
        # What the API server writes in stands nowhere: the nearest place is that of the mapping that holds it.
        "timeout": place(webs, 9, "timeout"),
        "unhealthyThreshold": place(webs, 9, "unhealthyThreshold"),
        "healthyThreshold": place(webs, 9, "healthyThreshold"),
        "http.path": place(webs, 11, "http.path"),
    }
    assert {path: field["losers"] for path, field in fields.items() if field["losers"]} == {
        "interval": [{**place(everybody, 9, "interval"), "value": "30s", "why": why}],
        "http": [{**place(everybody, 10, "http"), "value": {}, "why": why}],
        "http.path": [{**place(everybody, 11, "http.path"), "value": "/health", "why": why}],
    }


def test_without_text_there_are_no_lines(load_resources: Load) -> None:
    universe = load_resources(web(), *backends("tcp"), policy("MeshRetry", "a", attempts(3)))

    assert fields_of(universe, "MeshRetry")["tcp.maxConnectAttempt"]["policy"] == {
        "kind": "MeshRetry",
        "name": "a",
        "file": "mesh",
        "line": None,
        "path": "spec.to[0].default.tcp.maxConnectAttempt",
    }


# --- destinations -----------------------------------------------------------------------------------------------------


def test_the_parts_of_a_service_are_destinations_of_their_own(load_resources: Load) -> None:
    conf = {"http": {"hostSelection": [{"predicate": "OmitPreviousHosts"}]}}
    universe = load_resources(
        web({}, {"version": "v1"}, {}), *backends(), policy("MeshRetry", "a", item(conf, "backend"))
    )

    explained = api.explain(universe, WEB)
    assert (explained["mesh"], explained["dataplane"]) == ("default", "web-1")
    whole, part = explained["destinations"]
    tags = {"kuma.io/service": "backend", "version": "v1"}
    assert (whole["tags"], whole["endpoints"], whole["cluster"]) == ({}, 2, "backend")
    assert (part["tags"], part["endpoints"], part["cluster"][:8]) == (tags, 1, "backend-")
    # Two listeners lead to the whole.
    assert (whole["outbounds"], part["outbounds"]) == (["127.0.0.1:10001", "127.0.0.1:10003"], ["127.0.0.1:10002"])
    field = whole["kinds"]["MeshRetry"]["fields"]["http.hostSelection"]
    assert [one["resource"].rpartition(" ")[2] for one in field["envoy"]] == [
        "outbound:127.0.0.1:10001",
        "outbound:127.0.0.1:10003",
    ]
    assert field["no_effect"] is None
    # What is of use for the whole is of none for a part with one endpoint.
    field = part["kinds"]["MeshRetry"]["fields"]["http.hostSelection"]
    assert field["no_effect"] == "has no effect: there is a single endpoint, which gets every retry"


def test_one_destination_of_many(load_resources: Load) -> None:
    universe = load_resources(web({}, {"version": "v1"}, {"version": "v2"}), *backends())

    def outbounds(*arguments: Any) -> list[str]:
        found = api.explain(universe, WEB, *arguments)["destinations"]
        return [outbound for one in found for outbound in one["outbounds"]]

    assert outbounds() == ["127.0.0.1:10001", "127.0.0.1:10002", "127.0.0.1:10003"]
    assert outbounds("backend") == ["127.0.0.1:10001", "127.0.0.1:10002", "127.0.0.1:10003"]
    assert outbounds("backend", {}) == ["127.0.0.1:10001"]
    assert outbounds("backend", {"version": "v2"}) == ["127.0.0.1:10003"]


def test_kinds_without_a_policy_are_left_out(load_resources: Load) -> None:
    universe = load_resources(web(), *backends("tcp"), policy("MeshRetry", "a", attempts(3)))

    [destination] = api.explain(universe, WEB)["destinations"]
    assert list(destination["kinds"]) == ["MeshRetry"]
    assert destination["kinds"]["MeshRetry"]["conf"] == {"tcp": {"maxConnectAttempt": 3}}


@pytest.mark.parametrize(
    ("service", "tags", "message"),
    [
        ("bakend", None, r"dataplane 'web-1' has no outbound for the service 'bakend'; did you mean 'backend'\?"),
        ("web", None, "dataplane 'web-1' has no outbound for the service 'web'"),
        ("backend", {"version": "v3"}, "dataplane 'web-1' has no outbound for the service 'backend'"),
    ],
)
def test_a_service_that_the_dataplane_does_not_consume(
    load_resources: Load, service: str, tags: dict[str, str] | None, message: str
) -> None:
    universe = load_resources(web({}, {"version": "v1"}), *backends())

    with pytest.raises(api.MeshError, match=message):
        api.explain(universe, WEB, service, tags)


def test_a_mesh_with_errors_is_not_explained(load_files: Load) -> None:
    universe = load_files({**FILES, "mesh/wrong.yaml": EVERYBODY.replace("30s", "0s").replace("everybody", "wrong")})

    with pytest.raises(api.MeshError, match="MESH021"):
        api.explain(universe, WEB)


def test_explaining_changes_nothing(load_resources: Load) -> None:
    universe = load_resources(web(), *backends(), policy("MeshRetry", "a", item({"http": {"numRetries": 3}})))
    before = api.compile_release(universe, WEB).document

    api.explain(universe, WEB)
    assert api.compile_release(universe, WEB).document == before


# --- inbounds ---------------------------------------------------------------------------------------------------------


def offering(*protocols: str, **inbound: Any) -> Resource:
    """A dataplane with one inbound for each of these protocols, on ports from 80 on, all of them of web."""
    inbounds = [
        {
            "port": 80 + number,
            "serviceAddress": "127.0.0.1",
            "tags": {"kuma.io/service": "web", "kuma.io/protocol": protocol},
            **inbound,
        }
        for number, protocol in enumerate(protocols)
    ]
    return {
        "type": "Dataplane",
        "mesh": "default",
        "name": "web-1",
        "networking": {"address": "192.0.2.1", "inbound": inbounds},
    }


def from_policy(kind: str, name: str, conf: Conf, top: Resource | None = None) -> Resource:
    spec = {"targetRef": top or {"kind": "Mesh"}, "from": [item(conf)]}
    return {"type": kind, "mesh": "default", "name": name, "spec": spec}


def local(path: str) -> list[str]:
    return [f"cluster localhost:80: {path}"]


def listening(path: str) -> list[str]:
    return [f"listener inbound:192.0.2.1:80: filterChains[0].filters[0].typedConfig.{path}"]


def answering(path: str) -> list[str]:
    return [f"route inbound:web of listener inbound:192.0.2.1:80: virtualHosts[0].routes[0].route.{path}"]


HTTP = (
    'typedExtensionProtocolOptions["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"].commonHttpProtocolOptions'
)


@pytest.mark.parametrize(
    ("kind", "protocol", "conf", "path", "envoy"),
    [
        ("MeshTimeout", "http", {"connectionTimeout": "7s"}, "connectionTimeout", local("connectTimeout")),
        ("MeshTimeout", "tcp", {"idleTimeout": "7s"}, "idleTimeout", listening("idleTimeout")),
        ("MeshTimeout", "http", {"http": {"requestTimeout": "7s"}}, "http.requestTimeout", answering("timeout")),
        (
            "MeshTimeout",
            "http",
            {"http": {"streamIdleTimeout": "7s"}},
            "http.streamIdleTimeout",
            answering("idleTimeout"),
        ),
        (
            "MeshTimeout",
            "http",
            {"http": {"maxStreamDuration": "7s"}},
            "http.maxStreamDuration",
            local(f"{HTTP}.maxStreamDuration"),
        ),
        (
            "MeshCircuitBreaker",
            "tcp",
            {"connectionLimits": {"maxConnections": 7}},
            "connectionLimits.maxConnections",
            local("circuitBreakers.thresholds[0].maxConnections"),
        ),
        (
            "MeshCircuitBreaker",
            "http",
            {"outlierDetection": {"interval": "7s", "detectors": {"totalFailures": {"consecutive": 5}}}},
            "outlierDetection.interval",
            local("outlierDetection.interval"),
        ),
    ],
)
def test_what_depends_on_a_field_for_an_inbound(
    load_resources: Load, kind: str, protocol: str, conf: Conf, path: str, envoy: list[str]
) -> None:
    [inbound] = api.explain(load_resources(offering(protocol), from_policy(kind, "a", conf)), WEB)["inbounds"]

    field = inbound["kinds"][kind]["fields"][path]
    assert touched(field) == envoy
    assert field["no_effect"] is None
    assert field["policy"]["path"] == f"spec.from[0].default.{path}"


def test_inbounds_are_explained_one_by_one(load_resources: Load) -> None:
    subset = {"kind": "MeshSubset", "tags": {"kuma.io/protocol": "http"}}
    universe = load_resources(
        offering("http", "tcp"),
        from_policy("MeshTimeout", "a", {"idleTimeout": "3s"}),
        from_policy("MeshTimeout", "b", {"idleTimeout": "5s"}, subset),
        policy("MeshRetry", "a", attempts(3)),
    )

    first, second = api.explain(universe, WEB)["inbounds"]
    assert (first["service"], first["address"], first["port"], first["protocol"]) == ("web", "192.0.2.1", 80, "http")
    assert (second["service"], second["address"], second["port"], second["protocol"]) == ("web", "192.0.2.1", 81, "tcp")
    # Retries are for destinations only.
    assert [list(one["kinds"]) for one in (first, second)] == [["MeshTimeout"], ["MeshTimeout"]]
    assert first["kinds"]["MeshTimeout"]["conf"] == {"idleTimeout": "5s"}
    [loser] = first["kinds"]["MeshTimeout"]["fields"]["idleTimeout"]["losers"]
    assert (loser["name"], loser["value"]) == ("a", "3s")
    assert loser["why"] == "less specific: its targetRef is of kind Mesh, not MeshSubset"
    # The more special policy selects the proxy, but not this inbound of it.
    assert second["kinds"]["MeshTimeout"]["conf"] == {"idleTimeout": "3s"}
    assert second["kinds"]["MeshTimeout"]["fields"]["idleTimeout"]["losers"] == []


def test_what_has_no_effect_on_an_inbound(load_resources: Load) -> None:
    universe = load_resources(
        offering("tcp", servicePort=8080),
        from_policy("MeshTimeout", "a", {"idleTimeout": "5s", "http": {"requestTimeout": "5s"}}),
        from_policy("MeshCircuitBreaker", "a", {"connectionLimits": {"maxConnections": 7}}),
    )

    [inbound] = api.explain(universe, WEB)["inbounds"]
    reasons = {path: field["no_effect"] for kind in inbound["kinds"].values() for path, field in kind["fields"].items()}
    other_port = "has no effect on the application of an inbound whose servicePort is not its port, 80"
    assert reasons == {
        "idleTimeout": None,
        "http": "has no effect: the service speaks tcp",
        "http.requestTimeout": "has no effect: the service speaks tcp",
        "connectionLimits": other_port,
        "connectionLimits.maxConnections": other_port,
    }


def test_inbounds_are_left_out_where_there_are_none_or_a_service_is_asked_for(load_resources: Load) -> None:
    gateway = offering()
    gateway["networking"].update(gateway={"tags": {"kuma.io/service": "edge"}}, inbound=[])
    timeout = from_policy("MeshTimeout", "a", {"idleTimeout": "5s"})

    explained = api.explain(load_resources(gateway, timeout), WEB)
    assert (explained["inbounds"], explained["destinations"]) == ([], [])
    assert api.explanation_text(explained) == "web-1 has neither inbounds nor outbounds"
    universe = load_resources(web(), *backends(), timeout)
    assert len(api.explain(universe, WEB)["inbounds"]) == 1
    assert api.explain(universe, WEB, "backend")["inbounds"] == []


# --- initial policies -------------------------------------------------------------------------------------------------


def test_initial_policies_are_explained_by_where_they_come_from(load_resources: Load) -> None:
    universe = load_resources(
        {"type": "Mesh", "name": "default"},
        web(),
        *backends(),
        policy("MeshTimeout", "a", item({"http": {"requestTimeout": "7s"}}), labels=GLOBAL),
    )

    fields = fields_of(universe, "MeshTimeout")
    initial = {
        "kind": "MeshTimeout",
        "name": "mesh-timeout-all-default",
        "file": "initial policy of Kuma 2.7",
        "line": None,
    }
    assert fields["connectionTimeout"]["policy"] == {**initial, "path": "spec.to[0].default.connectionTimeout"}
    timeout = fields["http.requestTimeout"]
    assert (timeout["value"], timeout["policy"]["name"]) == ("7s", "a")
    assert timeout["losers"] == [
        {
            **initial,
            "path": "spec.to[0].default.http.requestTimeout",
            "value": "15s",
            "why": "it came with the mesh, and what is written counts more",
        }
    ]


# --- text for people --------------------------------------------------------------------------------------------------

TEXT_MESH = """\
type: Dataplane
mesh: default
name: web-1
networking:
  address: 192.0.2.1
  inbound: [{port: 80, serviceAddress: 127.0.0.1, tags: {kuma.io/service: web, kuma.io/protocol: http}}]
  outbound:
  - {port: 10001, tags: {kuma.io/service: backend}}
  - {port: 10002, tags: {kuma.io/service: backend, app: backend, version: v1}}
  - {port: 10003, tags: {kuma.io/service: backend}}
  - {port: 10004, tags: {kuma.io/service: db}}
---
type: Dataplane
mesh: default
name: backend-1
networking:
  address: 192.0.2.2
  inbound:
  - port: 80
    serviceAddress: 127.0.0.1
    tags: {kuma.io/service: backend, kuma.io/protocol: http, app: backend, version: v1}
---
type: Dataplane
mesh: default
name: backend-2
networking:
  address: 192.0.2.3
  inbound: [{port: 80, serviceAddress: 127.0.0.1, tags: {kuma.io/service: backend, kuma.io/protocol: http}}]
---
type: MeshRetry
mesh: default
name: all
spec:
  targetRef: {kind: Mesh}
  to:
  - targetRef: {kind: MeshService, name: backend}
    default:
      http:
        numRetries: 3
        hostSelection: [{predicate: OmitPreviousHosts}]
---
type: MeshRetry
mesh: default
name: web
spec:
  targetRef: {kind: MeshService, name: web}
  to:
  - targetRef: {kind: MeshService, name: backend}
    default:
      http: {numRetries: 4}
  - targetRef: {kind: MeshService, name: backend}
    default:
      http: {numRetries: 5}
      tcp: {maxConnectAttempt: 2}
"""
ROUTE = "virtualHosts[0].routes[0].route.retryPolicy"
EXPLANATION = f"""\
web-1 <- web (http, at 192.0.2.1:80)
  no policy applies
web-1 -> backend (http, 2 endpoints, at 127.0.0.1:10001, 127.0.0.1:10003)
  MeshRetry
    http.hostSelection: [{{"predicate": "OmitPreviousHosts"}}]
      from MeshRetry all (mesh.yaml:40)
      is {ROUTE}.retryHostPredicate of route outbound:backend of listener outbound:127.0.0.1:10001
      is {ROUTE}.retryHostPredicate of route outbound:backend of listener outbound:127.0.0.1:10003
    http.numRetries: 5
      from MeshRetry web (mesh.yaml:53)
      is {ROUTE}.numRetries of route outbound:backend of listener outbound:127.0.0.1:10001
      is {ROUTE}.numRetries of route outbound:backend of listener outbound:127.0.0.1:10003
      instead of 4 from MeshRetry web (mesh.yaml:50): another item of `to` stands later in the same policy
      instead of 3 from MeshRetry all (mesh.yaml:39): less specific: its targetRef is of kind Mesh, not MeshService
    tcp.maxConnectAttempt: 2
      from MeshRetry web (mesh.yaml:54)
      has no effect: the service speaks http
web-1 -> backend, app=backend, version=v1 (http, 1 endpoint, at 127.0.0.1:10002)
  MeshRetry
    http.hostSelection: [{{"predicate": "OmitPreviousHosts"}}]
      from MeshRetry all (mesh.yaml:40)
      is {ROUTE}.retryHostPredicate of route outbound:backend of listener outbound:127.0.0.1:10002
      has no effect: there is a single endpoint, which gets every retry
    http.numRetries: 5
      from MeshRetry web (mesh.yaml:53)
      is {ROUTE}.numRetries of route outbound:backend of listener outbound:127.0.0.1:10002
      instead of 4 from MeshRetry web (mesh.yaml:50): another item of `to` stands later in the same policy
      instead of 3 from MeshRetry all (mesh.yaml:39): less specific: its targetRef is of kind Mesh, not MeshService
    tcp.maxConnectAttempt: 2
      from MeshRetry web (mesh.yaml:54)
      has no effect: the service speaks http
web-1 -> db (unknown, 0 endpoints, at 127.0.0.1:10004)
  no policy applies"""


def test_the_text_for_people(load_files: Load) -> None:
    universe = load_files({"mesh.yaml": TEXT_MESH})

    assert api.explanation_text(api.explain(universe, WEB)) == EXPLANATION
