# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the product's pages on MeshHealthCheck, MeshRetry and protocols promise, with their examples in a mesh."""

from __future__ import annotations

import contextlib
import copy
import functools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from lab import clients, release
from lab.envoy import validate
from lab.grpc_app import GrpcApp, GrpcClient
from lab.http_apps import Answer, HttpApp
from lab.mesh import Lab, Sidecar
from lab.tcp_apps import TcpApp

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api

PAGES = Path(__file__).parent / "pages"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
CONNECTION_MANAGER = "envoy.filters.network.http_connection_manager"
TCP_PROXY = "envoy.filters.network.tcp_proxy"
KAFKA_BROKER = "envoy.filters.network.kafka_broker"
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
CONF = "spec.to[0].default"

# A page of each kind of policy.
POLICIES = ["health-check-http", "retry-http"]

KUBERNETES_NAME = "backend_kuma-demo_svc_8080"
KUBERNETES_SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "backend", "namespace": "kuma-demo"},
    "spec": {"selector": {"app": "backend"}, "ports": [{"port": 8080, "appProtocol": "http"}]},
}

Resource = dict[str, Any]


@functools.cache
def load(page: str) -> api.Universe:
    return api.load(paths=[str(PAGES / f"{page}.mesh")])


def documents(page: str) -> list[Resource]:
    return list(yaml.safe_load_all((PAGES / f"{page}.mesh").read_text()))


def load_documents(values: list[Resource]) -> api.Universe:
    return api.load(documents=[api.document(value, file="page") for value in values])


def policy_of(values: list[Resource]) -> Resource:
    kinds = ("MeshHealthCheck", "MeshRetry")
    [policy] = [value for value in values if value.get("type", value.get("kind")) in kinds]
    return policy


def checks(universe: api.Universe, dataplane: str, service: str = "backend") -> list[Resource]:
    return api.health_checks(universe, api.find_dataplane(universe, dataplane), service)


def retries(universe: api.Universe, dataplane: str, service: str = "backend") -> Resource:
    return api.retry_policy(universe, api.find_dataplane(universe, dataplane), service)


def applies(universe: api.Universe, dataplane: str) -> bool:
    """Whether anything of the page's policy arrives at a dataplane."""
    return bool(checks(universe, dataplane) or retries(universe, dataplane))


def resources(universe: api.Universe, dataplane: str, **target: Any) -> dict[str, dict[str, Resource]]:
    return api.compile_proxy(universe, api.find_dataplane(universe, dataplane), api.Target(**target))


def filters(listener: Resource) -> list[str]:
    [chain] = listener["filterChains"]
    return [network_filter["name"] for network_filter in chain["filters"]]


def http_version(cluster: Resource) -> int | None:
    """What Envoy speaks to the endpoints of a cluster, None where it has no HTTP options."""
    options = cluster.get("typedExtensionProtocolOptions", {}).get(HTTP_OPTIONS)
    if options is None:
        return None
    return 2 if "http2ProtocolOptions" in options["explicitHttpConfig"] else 1


# ------------------------------------------------------------------------------------------------------ every page


@pytest.mark.parametrize("page", sorted(path.stem for path in PAGES.glob("*.mesh")))
def test_page_loads_compiles_and_passes_envoys_check(page: str, tmp_path: Path) -> None:
    universe = load(page)
    assert [str(finding) for finding in universe.findings if finding.severity.value != "notice"] == []
    assert len(universe.dataplanes) >= 2
    for dataplane in universe.dataplanes:
        flat = tmp_path / f"{dataplane.name}.json"
        document = api.compile_release(universe, dataplane, api.Target(root="/tmp")).document
        flat.write_text(json.dumps(release.flatten(document)))
        answer = validate(flat)
        assert answer.returncode == 0, answer.stdout + answer.stderr


# ------------------------------------------------------------------------------------------- targets of either policy


@pytest.mark.parametrize("page", POLICIES)
@pytest.mark.parametrize(
    "target_ref",
    [
        {"kind": "Mesh"},
        {"kind": "MeshSubset", "tags": {"kuma.io/protocol": "http"}},
        {"kind": "MeshService", "name": "web"},
        {"kind": "MeshServiceSubset", "name": "web", "tags": {"kuma.io/protocol": "http"}},
    ],
    ids=lambda target_ref: str(target_ref["kind"]),
)
def test_supported_target_refs_of_a_sidecar(page: str, target_ref: Resource) -> None:
    values = documents(page)
    policy_of(values)["spec"]["targetRef"] = target_ref
    universe = load_documents(values)
    assert universe.errors == ()
    assert applies(universe, "web-1")


@pytest.mark.parametrize("page", POLICIES)
@pytest.mark.parametrize(
    "target_ref",
    [
        {"kind": "Mesh"},
        {"kind": "MeshSubset", "tags": {"team": "edge"}},
        {"kind": "MeshService", "name": "edge"},
        {"kind": "MeshServiceSubset", "name": "edge", "tags": {"team": "edge"}},
    ],
    ids=lambda target_ref: str(target_ref["kind"]),
)
def test_supported_target_refs_of_a_delegated_gateway(page: str, target_ref: Resource) -> None:
    values = documents(page)
    gateway = {
        "address": "10.0.0.3",
        "gateway": {"type": "DELEGATED", "tags": {"kuma.io/service": "edge", "team": "edge"}},
        "outbound": [{"port": 10001, "tags": {"kuma.io/service": "backend"}}],
    }
    values.append({"type": "Dataplane", "mesh": "default", "name": "edge-1", "networking": gateway})
    policy_of(values)["spec"]["targetRef"] = target_ref
    universe = load_documents(values)
    assert universe.errors == ()
    assert applies(universe, "edge-1")


@pytest.mark.parametrize("page", POLICIES)
@pytest.mark.parametrize(
    "target_ref",
    [
        {"kind": "MeshSubset", "tags": {"kuma.io/service": "web", "kuma.io/protocol": "tcp"}},
        {"kind": "MeshService", "name": "shop"},
        {"kind": "MeshServiceSubset", "name": "web", "tags": {"kuma.io/protocol": "tcp"}},
    ],
    ids=lambda target_ref: str(target_ref["kind"]),
)
def test_target_refs_that_fit_only_in_part_select_nobody(page: str, target_ref: Resource) -> None:
    values = documents(page)
    policy_of(values)["spec"]["targetRef"] = target_ref
    universe = load_documents(values)
    assert universe.errors == ()
    assert not applies(universe, "web-1")


@pytest.mark.parametrize("page", POLICIES)
@pytest.mark.parametrize("kind", ["Mesh", "MeshService"])
def test_supported_destinations(page: str, kind: str) -> None:
    values = documents(page)
    destination = {"kind": kind, "name": "backend"} if kind == "MeshService" else {"kind": kind}
    policy_of(values)["spec"]["to"][0]["targetRef"] = destination
    universe = load_documents(values)
    assert universe.errors == ()
    assert applies(universe, "web-1")


@pytest.mark.parametrize("page", POLICIES)
@pytest.mark.parametrize("kind", ["MeshSubset", "MeshServiceSubset", "MeshGateway", "MeshHTTPRoute"])
def test_other_destinations_are_refused(page: str, kind: str) -> None:
    values = documents(page)
    policy_of(values)["spec"]["to"][0]["targetRef"] = {"kind": kind, "name": "backend"}
    assert "spec.to[0].targetRef.kind" in {finding.path for finding in load_documents(values).errors}


# -------------------------------------------------------------------------------------------------- MeshHealthCheck


def test_http_example_asks_for_the_path_and_takes_the_listed_statuses() -> None:
    [check] = checks(load("health-check-http"), "web-1")
    assert (check["interval"], check["timeout"]) == ("10s", "2s")
    assert (check["unhealthyThreshold"], check["healthyThreshold"]) == (3, 1)
    assert check["httpHealthCheck"]["path"] == "/health"
    assert check["httpHealthCheck"]["expectedStatuses"] == [
        {"start": "200", "end": "201"},
        {"start": "201", "end": "202"},
    ]


def test_http_checks_use_http2() -> None:
    [check] = checks(load("health-check-http"), "web-1")
    assert check["httpHealthCheck"]["codecClientType"] == "HTTP2"


def test_only_the_instances_that_the_policy_selects_check() -> None:
    assert checks(load("health-check-http"), "cart-1") == []


def test_fallback_example_checks_by_tcp() -> None:
    [check] = checks(load("health-check-fallback"), "web-1")
    assert check["tcpHealthCheck"] == {}
    assert "httpHealthCheck" not in check


def test_grpc_example_asks_for_the_service() -> None:
    [check] = checks(load("health-check-grpc"), "web-1")
    assert check["grpcHealthCheck"] == {"serviceName": "grpc.health.v1.CustomHealth"}
    assert (check["interval"], check["timeout"], check["healthyThreshold"]) == ("15s", "5s", 2)


def test_documented_defaults() -> None:
    universe = load("health-check-defaults")
    [check] = checks(universe, "web-1")
    assert (check["interval"], check["timeout"]) == ("60s", "15s")
    assert (check["unhealthyThreshold"], check["healthyThreshold"]) == (5, 1)
    assert check["httpHealthCheck"]["path"] == "/"
    # Left to Envoy, whose defaults are the documented ones: status 200, a panic threshold of 50 %, one connection for
    # all checks, a check a minute without traffic.
    assert not check["httpHealthCheck"].get("expectedStatuses")
    assert check.keys() == {"interval", "timeout", "unhealthyThreshold", "healthyThreshold", "httpHealthCheck"}
    assert "commonLbConfig" not in resources(universe, "web-1")[CLUSTER]["backend"]


def test_every_option_reaches_envoy() -> None:
    universe = load("health-check-options")
    [check] = checks(universe, "web-1")
    http = check.pop("httpHealthCheck")
    [event_sink] = check.pop("eventLogger")
    assert check == {
        "interval": "10s",
        "timeout": "2s",
        "unhealthyThreshold": 3,
        "healthyThreshold": 2,
        "initialJitter": "5s",
        "intervalJitter": "6s",
        "intervalJitterPercent": 10,
        "noTrafficInterval": "10s",
        "alwaysLogHealthCheckFailures": True,
        "reuseConnection": False,
    }
    assert event_sink["typedConfig"]["eventLogPath"] == "/dev/null"
    added = {entry["header"]["key"]: entry for entry in http["requestHeadersToAdd"]}
    assert added["accept"].get("appendAction", "APPEND_IF_EXISTS_OR_ADD") == "APPEND_IF_EXISTS_OR_ADD"
    assert added["content-type"]["appendAction"] == "OVERWRITE_IF_EXISTS_OR_ADD"
    assert {name: added[name]["header"]["value"] for name in ("accept", "content-type")} == {
        "accept": "application/json",
        "content-type": "application/json",
    }
    balancing = resources(universe, "web-1")[CLUSTER]["backend"]["commonLbConfig"]
    assert balancing == {"healthyPanicThreshold": {"value": 62.9}, "zoneAwareLbConfig": {"failTrafficOnPanic": True}}


def test_tcp_payload_is_decoded() -> None:
    [check] = checks(load("health-check-tcp"), "web-1")
    assert bytes.fromhex(check["tcpHealthCheck"]["send"]["text"]) == b"foo"
    assert [bytes.fromhex(block["text"]) for block in check["tcpHealthCheck"]["receive"]] == [b"bar", b"baz"]


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("http", {"expectedStatuses": [200, 99]}, f"{CONF}.http.expectedStatuses[1]"),
        ("http", {"expectedStatuses": [600]}, f"{CONF}.http.expectedStatuses[0]"),
        (
            "http",
            {"requestHeadersToAdd": {"set": [{"name": "X-Probe", "value": "1"}]}},
            f"{CONF}.http.requestHeadersToAdd.set[0].name",
        ),
        (
            "http",
            {"requestHeadersToAdd": {"add": [{"name": "", "value": "1"}]}},
            f"{CONF}.http.requestHeadersToAdd.add[0].name",
        ),
        (
            "http",
            {"requestHeadersToAdd": {"add": [{"name": f"x-{number}", "value": "1"} for number in range(17)]}},
            f"{CONF}.http.requestHeadersToAdd.add",
        ),
        ("tcp", {"send": "no base64"}, f"{CONF}.tcp.send"),
        ("tcp", {"receive": ["Zm9v", "Zm9"]}, f"{CONF}.tcp.receive[1]"),
        ("interval", "0s", f"{CONF}.interval"),
        ("intervalJitterPercent", 101, f"{CONF}.intervalJitterPercent"),
        ("healthyPanicThreshold", "101", f"{CONF}.healthyPanicThreshold"),
    ],
)
def test_values_outside_the_documented_range_are_refused(field: str, value: Any, path: str) -> None:
    values = documents("health-check-http")
    policy_of(values)["spec"]["to"][0]["default"][field] = value
    assert path in {finding.path for finding in load_documents(values).errors}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("http", {"expectedStatuses": [100, 599]}),
        ("http", {"requestHeadersToAdd": {"add": [{"name": f"x-{number}", "value": "1"} for number in range(16)]}}),
        ("healthyPanicThreshold", 0),
        ("healthyPanicThreshold", "99.9"),
    ],
)
def test_values_at_the_documented_limits_are_taken(field: str, value: Any) -> None:
    values = documents("health-check-http")
    policy_of(values)["spec"]["to"][0]["default"][field] = copy.deepcopy(value)
    assert load_documents(values).errors == ()


# -------------------------------------------------------------------------------------------------------- MeshRetry


@pytest.mark.parametrize(
    ("page", "policy"),
    [
        (
            "retry-http",
            {
                "retryOn": "5xx",
                "numRetries": 10,
                "perTryTimeout": "15s",
                "retryBackOff": {"baseInterval": "15s", "maxInterval": "1200s"},
            },
        ),
        (
            "retry-grpc",
            {
                "retryOn": "deadline-exceeded",
                "numRetries": 5,
                "perTryTimeout": "15s",
                "retryBackOff": {"baseInterval": "5s", "maxInterval": "60s"},
            },
        ),
        ("retry-tcp", {"maxConnectAttempts": 5}),
    ],
)
def test_retry_examples_reach_envoy_as_written_and_only_where_they_should(page: str, policy: Resource) -> None:
    assert retries(load(page), "web-1") == policy
    assert retries(load(page), "cart-1") == {}


@pytest.mark.parametrize("page", ["retry-http", "retry-grpc", "retry-tcp"])
def test_retry_examples_mean_the_same_in_kubernetes_form(page: str) -> None:
    form = load(f"{page}-kubernetes")
    assert retries(form, "web-1", KUBERNETES_NAME) == retries(load(page), "web-1") != {}
    assert retries(form, "cart-1", KUBERNETES_NAME) == {}


def test_statuses_are_conditions() -> None:
    policy = retries(load("retry-statuses"), "web-1")
    assert policy["retriableStatusCodes"] == [429, 503]
    assert "retriable-status-codes" in policy["retryOn"].split(",")


def test_every_condition_of_http_reaches_envoy() -> None:
    policy = retries(load("retry-conditions-http"), "web-1")
    assert policy["retryOn"].split(",") == [
        "5xx",
        "gateway-error",
        "reset",
        "retriable-4xx",
        "connect-failure",
        "envoy-ratelimited",
        "refused-stream",
        "http3-post-connect-failure",
        "retriable-status-codes",
    ]
    assert policy["retriableStatusCodes"] == [429, 503]
    methods = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"]
    assert policy["retriableRequestHeaders"] == [
        {"name": ":method", "stringMatch": {"exact": method}} for method in methods
    ]


def test_every_condition_of_grpc_reaches_envoy() -> None:
    policy = retries(load("retry-conditions-grpc"), "web-1")
    assert policy["retryOn"].split(",") == [
        "cancelled",
        "deadline-exceeded",
        "internal",
        "resource-exhausted",
        "unavailable",
    ]


def test_rate_limited_example_names_both_headers() -> None:
    policy = retries(load("retry-rate-limited"), "web-1")
    assert policy["rateLimitedRetryBackOff"] == {
        "resetHeaders": [
            {"name": "retry-after", "format": "SECONDS"},
            {"name": "x-ratelimit-reset", "format": "UNIX_TIMESTAMP"},
        ]
    }


def in_a_hurry(page: str) -> Resource:
    """The policy of a page, with pauses between retries that a test can wait for."""
    policy = policy_of(documents(page))
    for section in policy["spec"]["to"][0]["default"].values():
        section["backOff"] = {"baseInterval": "1ms", "maxInterval": "10ms"}
    return policy


@pytest.mark.parametrize(
    ("page", "service", "protocol", "hints"),
    [("retry-http", "backend", "http", []), ("retry-http-kubernetes", KUBERNETES_NAME, None, [KUBERNETES_SERVICE])],
    ids=["Universal", "Kubernetes"],
)
def test_http_example_sends_a_request_up_to_ten_times_more(
    lab: Lab, page: str, service: str, protocol: str | None, hints: list[Resource]
) -> None:
    app = HttpApp()
    lab.offer(app, service, protocol)
    web, cart = lab.consume(service), lab.consume(service, name="cart")
    lab.policies += [in_a_hurry(page), *hints]
    lab.start()

    def ask(client: Sidecar, statuses: Iterable[int]) -> tuple[int, int]:
        """The status that a client gets from an application that answers so, and how often that was asked."""
        answers, before = iter(statuses), len(app.taken)
        app.reply = lambda _request: Answer(next(answers))
        return client.get(service).status, len(app.taken) - before

    assert ask(web, [500] * 10 + [200]) == (200, 11)
    assert ask(web, [500] * 11) == (500, 11)
    assert ask(web, [499]) == (499, 1)
    assert ask(cart, [500]) == (500, 1)


class ScriptedGrpcApp(GrpcApp):
    """Its calls end with the statuses of `script`, those for which that holds None well."""

    script: Iterator[grpc.StatusCode | None] = iter(())

    def _unary(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        self.failing = next(self.script)
        return super()._unary(message, context)


def test_grpc_example_makes_a_call_up_to_five_times_more(lab: Lab) -> None:
    app = ScriptedGrpcApp("backend")
    lab.offer(app, protocol="grpc")
    web, cart = lab.consume("backend"), lab.consume("backend", name="cart")
    lab.policies.append(in_a_hurry("retry-grpc"))
    lab.start()

    def call(client: Sidecar, statuses: Iterable[grpc.StatusCode | None]) -> tuple[bytes, int]:
        """What a client gets from an application whose calls end so, and how many of them that had."""
        app.script, before = iter(statuses), len(app.calls)
        with GrpcClient(client.outbound("backend")) as channel:
            return channel.unary(b"one"), len(app.calls) - before

    too_late = grpc.StatusCode.DEADLINE_EXCEEDED
    assert call(web, [too_late] * 5 + [None]) == (b"backend:one", 6)
    assert call(web, [too_late] * 6) == (b"DEADLINE_EXCEEDED", 6)
    assert call(web, [grpc.StatusCode.UNAVAILABLE]) == (b"UNAVAILABLE", 1)
    assert call(cart, [too_late]) == (b"DEADLINE_EXCEEDED", 1)


def test_tcp_example_tries_up_to_five_times_to_connect(lab: Lab) -> None:
    apps = [TcpApp(), TcpApp()]
    for app in apps:
        lab.stand_in(app, protocol="tcp")
    web, cart = lab.consume("backend"), lab.consume("backend", name="cart")
    lab.policies.append(policy_of(documents("retry-tcp")))
    lab.start()

    def connect(client: Sidecar) -> tuple[bytes, int]:
        """What comes back of a message, nothing for a connection that was closed, and how many attempts failed."""
        failures = "cluster.backend.upstream_cx_connect_fail"
        answer, before = b"", client.stat(failures)
        with contextlib.suppress(ConnectionError):
            answer = clients.send(client.outbound("backend"), b"message")
        return answer, client.stat(failures) - before

    apps[0].stop()
    # Endpoints have their turns, so that one attempt finds the one that is left every other time.
    assert {connect(web)[0] for _attempt in range(4)} == {b"message"}
    assert sorted(connect(cart) for _attempt in range(4)) == [(b"", 1)] * 2 + [(b"message", 0)] * 2
    apps[1].stop()
    assert connect(web) == (b"", 5)
    assert connect(cart) == (b"", 1)


# -------------------------------------------------------------------------------------------------------- protocols


@pytest.mark.parametrize(
    ("service", "network_filters", "to_application"),
    [
        ("http", [CONNECTION_MANAGER], 1),
        ("http2", [CONNECTION_MANAGER], 2),
        ("grpc", [CONNECTION_MANAGER], 2),
        ("kafka", [KAFKA_BROKER, TCP_PROXY], None),
        ("tcp", [TCP_PROXY], None),
        ("untagged", [TCP_PROXY], None),
    ],
)
def test_protocol_table(service: str, network_filters: list[str], to_application: int | None) -> None:
    universe = load("protocols")
    server = resources(universe, f"{service}-1", envoy_has_kafka=True)
    client = resources(universe, "web-1", envoy_has_kafka=True)

    [inbound] = server[LISTENER].values()
    assert filters(inbound) == network_filters
    assert http_version(server[CLUSTER]["localhost:18080"]) == to_application
    [outbound] = [
        listener
        for listener in client[LISTENER].values()
        if listener["metadata"]["filterMetadata"]["io.kuma.tags"].get("kuma.io/service") == service
        and listener["trafficDirection"] == "OUTBOUND"
    ]
    assert filters(outbound) == network_filters
    # Between Dataplanes HTTP is always upgraded; tcp_proxy takes no notice of the option.
    assert http_version(client[CLUSTER][service]) == 2


def test_kafka_is_plain_tcp_for_an_envoy_without_the_filter() -> None:
    [inbound] = resources(load("protocols"), "kafka-1")[LISTENER].values()
    assert filters(inbound) == [TCP_PROXY]


@pytest.mark.parametrize(
    ("page", "dataplane", "protocol", "network_filter", "to_application"),
    [
        ("protocol-http", "web", "http", CONNECTION_MANAGER, 1),
        ("protocol-http-kubernetes", "web", "http", CONNECTION_MANAGER, 1),
        ("protocol-http-annotation", "web", "http", CONNECTION_MANAGER, 1),
        ("protocol-http2", "web", "http2", CONNECTION_MANAGER, 2),
        ("protocol-websocket", "websocket-server", "tcp", TCP_PROXY, None),
        ("protocol-websocket-kubernetes", "websocket-server", "tcp", TCP_PROXY, None),
    ],
)
def test_protocol_examples(
    page: str, dataplane: str, protocol: str, network_filter: str, to_application: int | None
) -> None:
    proxy = resources(load(page), dataplane)
    inbound = proxy[LISTENER]["inbound:192.168.0.1:80"]
    assert inbound["address"]["socketAddress"] == {"address": "192.168.0.1", "portValue": 80}
    assert inbound["metadata"]["filterMetadata"]["io.kuma.tags"]["kuma.io/protocol"] == protocol
    assert filters(inbound) == [network_filter]
    assert http_version(proxy[CLUSTER]["localhost:8080"]) == to_application
    assert filters(resources(load(page), "client")[LISTENER]["outbound:127.0.0.1:10001"]) == [network_filter]
