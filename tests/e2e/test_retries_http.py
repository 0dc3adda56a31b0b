# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""MeshRetry of HTTP requests at work: which failed requests the application sees again, and how often.

Between client and application stand two sidecars, of which the first one retries. What it sees is the second one, which
answers 503 for an application that it cannot reach or that breaks off. What only a sidecar itself can do to its peers,
such as to reset a stream or to refuse a connection, is done by applications that stand in for one.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from h2.errors import ErrorCodes
from lab import clients, release
from lab.envoy import validate
from lab.http_apps import STREAM, Answer, Http2App, HttpApp
from lab.mesh import Lab, Sidecar
from lab.polling import eventually
from lab.services import ServicesLab

RETRIES = 2
LIMITED = {"x-envoy-ratelimited": "true"}
BROKEN_OFF = Answer(reset=ErrorCodes.INTERNAL_ERROR)
REFUSED = Answer(reset=ErrorCodes.REFUSED_STREAM)

Conf = dict[str, Any]


def statuses(*values: int) -> list[Answer]:
    return [Answer(value) for value in values]


# A few retries without a pause.
AT_ONCE: Conf = {"numRetries": RETRIES, "backOff": {"baseInterval": "1ms"}}


def retry_on(*conditions: str | int) -> Conf:
    return {**AT_ONCE, "retryOn": list(conditions)}


# Services: their configuration, answers of the application that are retried, and the nearest ones that are not.
CONDITIONS: dict[str, tuple[Conf, list[Answer], list[Answer]]] = {
    "default": (AT_ONCE, statuses(502, 503, 504), statuses(200, 409, 429, 500, 501, 505)),
    "empty": (retry_on(), statuses(503), statuses(500)),
    "5xx": (retry_on("5xx"), [*statuses(500, 503, 599), BROKEN_OFF], [*statuses(429, 499), Answer(503, LIMITED)]),
    "upper-5xx": (retry_on("5XX"), statuses(500, 503, 599), statuses(429, 499)),
    "gateway-error": (retry_on("GatewayError"), [*statuses(502, 503, 504), BROKEN_OFF], statuses(500, 501, 505)),
    "retriable-4xx": (retry_on("Retriable4xx"), statuses(409), statuses(404, 408, 410, 503)),
    "envoy-ratelimited": (retry_on("EnvoyRatelimited"), [Answer(429, LIMITED)], statuses(429, 503)),
    "reset-behind-a-sidecar": (retry_on("Reset"), [], [BROKEN_OFF]),
    # Statuses come on top of the conditions that are named, or of the default ones.
    "text": (retry_on("429"), statuses(429, 503), statuses(428, 430, 500)),
    "integer": (retry_on(418), statuses(418, 503), statuses(417, 500)),
    "several": (retry_on("Retriable4xx", 500, "451"), statuses(409, 500, 451), statuses(404, 501, 503)),
}
# The same for applications that stand in for a sidecar.
CONDITIONS_OF_STREAMS: dict[str, tuple[Conf, list[Answer], list[Answer]]] = {
    "reset": (retry_on("Reset"), [BROKEN_OFF, Answer(reset=ErrorCodes.CANCEL)], statuses(500, 503)),
    "refused-stream": (retry_on("RefusedStream"), [REFUSED], [BROKEN_OFF, *statuses(503)]),
    "connect-failure": (retry_on("ConnectFailure"), [], [BROKEN_OFF, *statuses(503)]),
    "default-of-streams": (AT_ONCE, [REFUSED], []),
}
# Services whose port refuses connections, and whether that is retried.
CONDITIONS_OF_CONNECTIONS: dict[str, tuple[Conf, bool]] = {
    "refused-connect-failure": (retry_on("ConnectFailure"), True),
    "refused-default": (AT_ONCE, True),
    "refused-refused-stream": (retry_on("RefusedStream"), False),
    "refused-retriable-4xx": (retry_on("Retriable4xx"), False),
}
# Conditions that nobody here can provoke, and what Envoy gets for them.
UNPROVOKED: dict[str, tuple[Conf, Conf]] = {
    "http3": (retry_on("Http3PostConnectFailure"), {"retryOn": "http3-post-connect-failure"}),
    "connect": (
        retry_on("HttpMethodConnect", "5xx"),
        {"retryOn": "5xx", "retriableRequestHeaders": [{"name": ":method", "stringMatch": {"exact": "CONNECT"}}]},
    ),
}
# Methods that are retried, and the nearest that are not.
METHODS: dict[str, tuple[Conf, list[str], list[str]]] = {
    **{
        f"method-{one.lower()}": (retry_on(f"HttpMethod{one.capitalize()}", "503"), [one], [other])
        for one, other in (
            ("DELETE", "GET"),
            ("GET", "POST"),
            ("HEAD", "GET"),
            ("OPTIONS", "GET"),
            ("PATCH", "PUT"),
            ("POST", "PUT"),
            ("PUT", "POST"),
            ("TRACE", "GET"),
        )
    },
    "methods": (retry_on("HttpMethodGet", "HttpMethodPut"), ["GET", "PUT"], ["POST", "DELETE"]),
}
# Matches of the header `x-kind`, values that they take, and the nearest ones that they do not; None is no such header.
MATCHES: dict[str, tuple[Conf, list[str | None], list[str | None]]] = {
    "exact": ({"type": "Exact", "value": "flaky"}, ["flaky"], ["flaky-2", None]),
    "typeless": ({"value": "flaky"}, ["flaky"], ["flaky-2", None]),
    "prefix": ({"type": "Prefix", "value": "fla"}, ["fla", "flaky"], ["a-flaky", None]),
    "expression": ({"type": "RegularExpression", "value": "f.*[0-9]"}, ["flaky-2"], ["flaky", "a-flaky-2", None]),
    "present": ({"type": "Present"}, ["flaky", "else"], [None]),
    "absent": ({"type": "Absent"}, [None], ["flaky"]),
}
# Configurations, and how often a request that fails is seen.
COUNTS: dict[str, tuple[Conf, int]] = {
    "none": ({"numRetries": 0}, 1),
    "unset": ({"retryOn": ["GatewayError"]}, 2),
    "one": ({"numRetries": 1}, 2),
    "seven": ({"numRetries": 7, "backOff": {"baseInterval": "1ms"}}, 8),
}


def on_header(field: str, match: Conf) -> Conf:
    return {**AT_ONCE, field: [{"name": "x-kind", **match}]}


BEHIND_A_SIDECAR: dict[str, Conf] = {
    **{service: row[0] for table in (CONDITIONS, UNPROVOKED, METHODS) for service, row in table.items()},
    **{f"count-{name}": row[0] for name, row in COUNTS.items()},
    **{f"request-{name}": on_header("retriableRequestHeaders", row[0]) for name, row in MATCHES.items()},
    **{f"response-{name}": on_header("retriableResponseHeaders", row[0]) for name, row in MATCHES.items()},
}
STANDING_IN: dict[str, Conf] = {
    service: row[0] for table in (CONDITIONS_OF_STREAMS, CONDITIONS_OF_CONNECTIONS) for service, row in table.items()
}


@pytest.fixture(scope="module")
def mesh() -> Iterator[ServicesLab]:
    with ServicesLab() as lab:
        for service, conf in BEHIND_A_SIDECAR.items():
            lab.add(service, HttpApp())
            lab.retry(service, http=conf)
        for service, conf in STANDING_IN.items():
            lab.stand_in(Http2App(), service)
            lab.retry(service, http=conf)
        lab.add("http2", Http2App(), "http2")
        lab.retry("http2", http=retry_on("503"))
        lab.add("by-gateways", HttpApp())
        lab.retry("by-gateways", {"kind": "Mesh", "proxyTypes": ["Gateway"]}, http=retry_on("503"))
        lab.consume_by_gateway("by-gateways")
        lab.start()
        for service in CONDITIONS_OF_CONNECTIONS:
            lab.app(service).stop()
        yield lab


def tries(
    mesh: ServicesLab,
    service: str,
    answer: Answer,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    client: Sidecar | None = None,
) -> int:
    """How often the application sees one request that it always answers like this."""
    app = mesh.app(service)
    app.reply = lambda _request: answer
    before = len(app.taken)
    response = clients.request((client or mesh.web).outbound(service), method, headers=headers)
    assert response.status == (503 if answer.reset is not None else answer.status)
    seen = app.taken[before:]
    assert {request.method for request in seen} == {method}
    return len(seen)


# ------------------------------------------------------------------------------------------------------- conditions


def label(value: Answer | str | None) -> str:
    if not isinstance(value, Answer):
        return str(value)
    return value.reset.name if value.reset is not None else " ".join([str(value.status), *value.headers])


def rows(table: dict[str, tuple[Conf, list[Any], list[Any]]]) -> list[Any]:
    """A parameter set for each value of a table: service, value, and how often the application sees such a request."""
    return [
        pytest.param(service, value, seen, id=f"{service}: {label(value)} {'retried' if seen > 1 else 'final'}")
        for service, (_conf, retried, final) in table.items()
        for seen, values in ((1 + RETRIES, retried), (1, final))
        for value in values
    ]


@pytest.mark.parametrize(("service", "answer", "seen"), rows(CONDITIONS) + rows(CONDITIONS_OF_STREAMS))
def test_condition(mesh: ServicesLab, service: str, answer: Answer, seen: int) -> None:
    assert tries(mesh, service, answer) == seen


@pytest.mark.parametrize(("service", "retried"), [(name, row[1]) for name, row in CONDITIONS_OF_CONNECTIONS.items()])
def test_condition_about_connections(mesh: ServicesLab, service: str, retried: bool) -> None:
    tried = {
        name: mesh.web.stat(f"cluster.{service}.{name}") for name in ("upstream_rq_retry", "upstream_cx_connect_fail")
    }

    assert mesh.web.get(service).status == 503

    retries = RETRIES if retried else 0
    assert mesh.web.stat(f"cluster.{service}.upstream_rq_retry") - tried["upstream_rq_retry"] == retries
    assert (
        mesh.web.stat(f"cluster.{service}.upstream_cx_connect_fail") - tried["upstream_cx_connect_fail"] == 1 + retries
    )


@pytest.mark.parametrize(("service", "fields"), [(name, row[1]) for name, row in UNPROVOKED.items()])
def test_condition_that_cannot_be_provoked(mesh: ServicesLab, service: str, fields: Conf) -> None:
    policy = mesh.retry_policy(service)
    assert {name: policy.get(name) for name in fields} == fields


def test_envoys_own_check_of_all_of_it(mesh: ServicesLab, tmp_path: Path) -> None:
    flat = tmp_path / "web.json"
    flat.write_text(json.dumps(release.flatten(mesh.releases["web"])))
    answer = validate(flat)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_a_retry_that_succeeds_is_all_that_the_client_sees(mesh: ServicesLab) -> None:
    app = mesh.app("5xx")
    left = iter(statuses(500, 503))
    app.reply = lambda _request: next(left, Answer(200))
    before = len(app.taken)

    assert mesh.web.get("5xx", "/orders", {"x-request": "7"}).status == 200
    assert [(one.path, one.values("x-request")) for one in app.taken[before:]] == [("/orders", ["7"])] * 3


# ------------------------------------------------------------------------------------------------ which, how often


@pytest.mark.parametrize(("service", "method", "seen"), rows(METHODS))
def test_method(mesh: ServicesLab, service: str, method: str, seen: int) -> None:
    assert tries(mesh, service, Answer(503), method) == seen


def headers(kind: str | None) -> dict[str, str]:
    return {} if kind is None else {"x-kind": kind}


@pytest.mark.parametrize(("match", "kind", "seen"), rows(MATCHES))
def test_request_header(mesh: ServicesLab, match: str, kind: str | None, seen: int) -> None:
    assert tries(mesh, f"request-{match}", Answer(503), headers=headers(kind)) == seen


@pytest.mark.parametrize(("match", "kind", "seen"), rows(MATCHES))
def test_response_header(mesh: ServicesLab, match: str, kind: str | None, seen: int) -> None:
    assert tries(mesh, f"response-{match}", Answer(200, headers(kind))) == seen


@pytest.mark.parametrize(("name", "seen"), [(name, row[1]) for name, row in COUNTS.items()])
def test_count(mesh: ServicesLab, name: str, seen: int) -> None:
    assert tries(mesh, f"count-{name}", Answer(503)) == seen


# ------------------------------------------------------------------------------------------- other services, clients


def test_http2_service(mesh: ServicesLab) -> None:
    assert tries(mesh, "http2", Answer(503)) == 1 + RETRIES
    assert tries(mesh, "http2", Answer(500)) == 1


def test_delegated_gateway(mesh: ServicesLab) -> None:
    assert tries(mesh, "by-gateways", Answer(503), client=mesh.sidecars["edge"]) == 1 + RETRIES
    assert tries(mesh, "by-gateways", Answer(503)) == 1


# --------------------------------------------------------------------------------------------------------- a change


LISTENER_STATS = (
    "lds.version",
    "lds.update_success",
    "listener_added",
    "listener_in_place_updated",
    "listener_modified",
    "listener_removed",
    "total_listeners_draining",
)


def test_connections_outlive_a_change_of_retries(lab: Lab) -> None:
    app = HttpApp()
    app.reply = lambda request: Answer(200 if request.path == STREAM else 503)
    lab.offer(app)
    lab.retry("backend", http=retry_on("503"))
    web = lab.consume("backend")
    lab.start()
    kept, streaming = (http.client.HTTPConnection(*web.outbound("backend"), timeout=5) for _each in range(2))

    def seen() -> int:
        """How often the application sees a request on the connection that is kept."""
        before = len(app.taken)
        kept.request("GET", "/")
        answer = kept.getresponse()
        answer.read()
        assert answer.status == 503
        return len(app.taken) - before

    def listeners() -> dict[str, int]:
        stats = web.envoy.admin.stats("listener_manager.")
        return {name: stats[f"listener_manager.{name}"] for name in LISTENER_STATS}

    kept.connect()
    socket = kept.sock
    streaming.request("GET", STREAM)
    app.stream.put(b"before\n")
    response = streaming.getresponse()
    assert response.readline() == b"before\n"
    assert seen() == 1 + RETRIES
    former = listeners()

    lab.policies[0]["spec"]["to"][0]["default"]["http"]["numRetries"] = RETRIES + 3
    changed = lab.roll_out()

    assert changed == {"backend-1": set(), "web": {"rds/outbound:{}:{}".format(*web.outbound("backend"))}}
    eventually(lambda: seen() == 1 + RETRIES + 3)
    app.stream.put(b"after\n")
    app.stream.put(None)
    assert response.read() == b"after\n"
    assert kept.sock is socket
    assert listeners() == former
    assert former["total_listeners_draining"] == 0
    kept.close()
    streaming.close()
