# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""MeshHealthCheck at work: instances turn sick, lose their requests, recover and get them back."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from lab import clients
from lab.grpc_app import GrpcApp, GrpcClient
from lab.http_apps import HEALTH, Http2App, HttpApp
from lab.mesh import Lab, Sidecar
from lab.polling import eventually
from lab.tcp_apps import TcpApp

ATTEMPTS = 12
HTTP_CHECK = {"path": HEALTH}
PING, PONG, SICK = b"ping", b"pong", b"sick"

Answer = TypeVar("Answer")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


TCP_CHECK = {"send": b64(PING), "receive": [b64(PONG)]}


def talkative(name: str) -> TcpApp:
    """An application that answers a ping as long as it is well, and anything else with its name."""
    app = TcpApp()
    app.reply = lambda data: PONG if data == PING else name.encode()
    return app


def http_answers(web: Sidecar, outbound: str = "backend") -> set[tuple[int, str]]:
    responses = [web.get(outbound) for _attempt in range(ATTEMPTS)]
    return {(response.status, response.body) for response in responses}


def tcp_answers(web: Sidecar) -> set[bytes]:
    return {clients.send(web.outbound("backend"), b"who") for _attempt in range(ATTEMPTS)}


def grpc_answers(web: Sidecar) -> set[bytes]:
    with GrpcClient(web.outbound("backend")) as client:
        return {client.unary(b"who") for _attempt in range(ATTEMPTS)}


def assert_settles(answers: Callable[[], set[Answer]], expected: set[Answer]) -> None:
    """Requests come to be answered like this, and then stay so.

    Envoy's main thread, whose view `wait_healthy` sees, hands changes of health to the thread that balances at once or,
    when the last change is younger than its merge window of a second, at the end of that window.
    """
    eventually(lambda: answers() == expected)
    assert answers() == expected


# ---------------------------------------------------------------------------------------------- sick and well again


@pytest.mark.parametrize(("application", "protocol"), [(HttpApp, "http"), (Http2App, "http2")], ids=["http", "http2"])
def test_http_check_ejects_a_sick_instance_and_takes_it_back(
    lab: Lab, application: type[HttpApp | Http2App], protocol: str
) -> None:
    one, two = application("one"), application("two")
    first, second = lab.offer(one, protocol=protocol), lab.offer(two, protocol=protocol)
    lab.check(http=HTTP_CHECK)
    web = lab.consume("backend")
    lab.start()
    web.wait_healthy("backend", first, second)
    assert http_answers(web) == {(200, "one"), (200, "two")}

    one.health_status = one.status = 503
    web.wait_healthy("backend", second)
    assert_settles(lambda: http_answers(web), {(200, "two")})
    before = len(one.taken)
    assert http_answers(web) == {(200, "two")}
    assert len(one.taken) == before

    one.health_status = one.status = 200
    web.wait_healthy("backend", first, second)
    assert_settles(lambda: http_answers(web), {(200, "one"), (200, "two")})


@pytest.mark.parametrize("protocol", ["tcp", "kafka", None], ids=["tcp", "kafka", "no protocol tag"])
def test_tcp_check_ejects_a_sick_instance_and_takes_it_back(lab: Lab, protocol: str | None) -> None:
    one, two = talkative("one"), talkative("two")
    first, second = lab.offer(one, protocol=protocol), lab.offer(two, protocol=protocol)
    lab.check(tcp=TCP_CHECK)
    web = lab.consume("backend")
    lab.start()
    web.wait_healthy("backend", first, second)
    assert tcp_answers(web) == {b"one", b"two"}

    one.reply = lambda _data: SICK
    web.wait_healthy("backend", second)
    assert_settles(lambda: tcp_answers(web), {b"two"})

    one.reply = talkative("one").reply
    web.wait_healthy("backend", first, second)
    assert_settles(lambda: tcp_answers(web), {b"one", b"two"})


def test_grpc_check_ejects_a_sick_instance_and_takes_it_back(lab: Lab) -> None:
    one, two = GrpcApp("one", health_service="lab.Echo"), GrpcApp("two", health_service="lab.Echo")
    first, second = lab.offer(one, protocol="grpc"), lab.offer(two, protocol="grpc")
    lab.check(grpc={"serviceName": "lab.Echo"})
    web = lab.consume("backend")
    lab.start()
    web.wait_healthy("backend", first, second)
    assert grpc_answers(web) == {b"one:who", b"two:who"}

    one.serving = False
    web.wait_healthy("backend", second)
    assert_settles(lambda: grpc_answers(web), {b"two:who"})

    one.serving = True
    web.wait_healthy("backend", first, second)
    assert_settles(lambda: grpc_answers(web), {b"one:who", b"two:who"})


def test_tcp_check_without_payload_notices_a_host_that_is_gone(lab: Lab) -> None:
    first, second = lab.offer(talkative("one"), protocol="tcp"), lab.offer(talkative("two"), protocol="tcp")
    lab.check(tcp={})
    web = lab.consume("backend")
    lab.start()
    web.wait_healthy("backend", first, second)

    first.envoy.stop()
    web.wait_healthy("backend", second)
    assert_settles(lambda: tcp_answers(web), {b"two"})

    first.envoy.start()
    web.wait_healthy("backend", first, second)


def test_subset_and_delegated_gateway_are_checked_too(lab: Lab) -> None:
    one = HttpApp("one")
    first = lab.offer(one, tags={"version": "v1"})
    second = lab.offer(HttpApp("two"), tags={"version": "v1"})
    lab.check(http=HTTP_CHECK)
    edge = lab.consume_by_gateway(v1={"kuma.io/service": "backend", "version": "v1"})
    lab.start()
    [cluster] = [name for name in edge.envoy.admin.clusters() if name.startswith("backend-")]
    edge.wait_healthy(cluster, first, second)

    one.health_status = 503
    edge.wait_healthy(cluster, second)
    assert_settles(lambda: http_answers(edge, "v1"), {(200, "two")})


def test_clients_that_the_policy_does_not_select_do_not_check(lab: Lab) -> None:
    app = HttpApp("one")
    backend = lab.offer(app)
    lab.check(http=HTTP_CHECK)
    lab.policies[0]["spec"]["targetRef"] = {"kind": "MeshSubset", "tags": {"kuma.io/service": "web"}}
    web, other = lab.consume("backend"), lab.consume("backend", name="other")
    lab.start()

    app.health_status = 503
    web.wait_healthy("backend")
    other.wait_healthy("backend", backend)
    assert other.stat("cluster.backend.health_check.attempt") == 0


# ------------------------------------------------------------------------------------------------------------ panic


@pytest.mark.parametrize(
    ("conf", "answers"),
    [
        ({}, {(200, "one"), (200, "two")}),
        ({"failTrafficOnPanic": False}, {(200, "one"), (200, "two")}),
        ({"failTrafficOnPanic": True}, {(503, "no healthy upstream")}),
        ({"healthyPanicThreshold": 0}, {(503, "no healthy upstream")}),
    ],
    ids=["default", "failTrafficOnPanic false", "failTrafficOnPanic true", "healthyPanicThreshold 0"],
)
def test_all_instances_sick(lab: Lab, conf: dict[str, Any], answers: set[tuple[int, str]]) -> None:
    apps = [HttpApp("one"), HttpApp("two")]
    for app in apps:
        app.health_status = 503
        lab.offer(app)
    lab.check(http=HTTP_CHECK, **conf)
    web = lab.consume("backend")
    lab.start()
    web.wait_healthy("backend")

    assert_settles(lambda: http_answers(web), answers)


@pytest.mark.parametrize(
    ("threshold", "bodies"),
    [(None, {"one", "two", "three"}), (50, {"one", "two", "three"}), (30, {"three"}), ("30.0", {"three"})],
)
def test_healthy_panic_threshold_with_one_of_three_healthy(
    lab: Lab, threshold: int | str | None, bodies: set[str]
) -> None:
    apps = [HttpApp("one"), HttpApp("two"), HttpApp("three")]
    sidecars = [lab.offer(app) for app in apps]
    apps[0].health_status = apps[1].health_status = 503
    conf: dict[str, Any] = {} if threshold is None else {"healthyPanicThreshold": threshold}
    lab.check(http=HTTP_CHECK, **conf)
    web = lab.consume("backend")
    lab.start()
    web.wait_healthy("backend", sidecars[2])

    assert_settles(lambda: http_answers(web), {(200, body) for body in bodies})
    before = web.stat("cluster.backend.lb_healthy_panic")
    http_answers(web)
    assert web.stat("cluster.backend.lb_healthy_panic") - before == (ATTEMPTS if len(bodies) > 1 else 0)


# ----------------------------------------------------------------------------------------------- what counts as well


@pytest.mark.parametrize(
    ("listed", "well", "sick"),
    [(None, [200], [201, 302, 418, 500]), ([201, 302, 418], [201, 302, 418], [200, 303, 417, 419])],
    ids=["default", "listed"],
)
def test_expected_statuses(lab: Lab, listed: list[int] | None, well: list[int], sick: list[int]) -> None:
    app = HttpApp("one")
    app.health_status = well[0]
    backend = lab.offer(app)
    lab.check(http={**HTTP_CHECK, **({} if listed is None else {"expectedStatuses": listed})})
    web = lab.consume("backend")
    lab.start()
    web.wait_healthy("backend", backend)

    for good, bad in zip(well * len(sick), sick, strict=False):
        app.health_status = bad
        web.wait_healthy("backend")
        app.health_status = good
        web.wait_healthy("backend", backend)


def test_path_is_the_root_unless_given(lab: Lab) -> None:
    app = HttpApp("one")
    lab.offer(app)
    lab.check(http={})
    lab.consume("backend")
    lab.start()

    eventually(lambda: len(app.requests) >= 2)
    assert {request.path for request in app.requests} == {"/"}


def test_tcp_receive_blocks_must_come_in_their_order_but_not_side_by_side(lab: Lab) -> None:
    app = TcpApp()
    app.reply = lambda _data: b"220 mail ready\r\n"
    backend = lab.offer(app, protocol="tcp")
    lab.check(tcp={"send": b64(b"EHLO\r\n"), "receive": [b64(b"220"), b64(b"ready")]})
    web = lab.consume("backend")
    lab.start()
    web.wait_healthy("backend", backend)
    assert set(app.received) == {b"EHLO\r\n"}

    app.reply = lambda _data: b"ready 220 mail\r\n"
    web.wait_healthy("backend")


def test_http_check_gives_way_to_tcp_where_it_is_disabled(lab: Lab) -> None:
    app = HttpApp("one")
    app.health_status = 503
    backend = lab.offer(app)
    lab.check(http={"disabled": True}, tcp={})
    web = lab.consume("backend")
    lab.start()
    web.wait_healthy("backend", backend)
    eventually(lambda: web.stat("cluster.backend.health_check.success") >= 2)
    assert app.requests == []

    backend.envoy.stop()
    web.wait_healthy("backend")


@pytest.mark.parametrize("name", ["", "lab.Echo"], ids=["whole server", "named service"])
def test_grpc_service_name(lab: Lab, name: str) -> None:
    app = GrpcApp("one", health_service=name)
    backend = lab.offer(app, protocol="grpc")
    lab.check(grpc={"serviceName": name} if name else {})
    web = lab.consume("backend")
    lab.start()
    web.wait_healthy("backend", backend)

    app.serving = False
    web.wait_healthy("backend")


# -------------------------------------------------------------------------------------------- what the check looks like


@pytest.mark.parametrize(
    ("application", "protocol", "seen"),
    [(HttpApp, "http", "HTTP/1.1"), (Http2App, "http2", "HTTP/2")],
    ids=["http", "http2"],
)
def test_http_checks_are_http2_between_sidecars(
    lab: Lab, application: type[HttpApp | Http2App], protocol: str, seen: str
) -> None:
    app = application("one")
    backend = lab.offer(app, protocol=protocol)
    lab.check(http=HTTP_CHECK)
    web = lab.consume("backend")
    lab.start()
    web.wait_healthy("backend", backend)

    assert {request.protocol for request in app.checks} == {seen}
    assert backend.stat(f"http.localhost_{app.port}.downstream_cx_http2_total") >= 1
    assert backend.stat(f"http.localhost_{app.port}.downstream_cx_http1_total") == 0


def test_request_headers_arrive_as_written(lab: Lab) -> None:
    app = HttpApp("one")
    backend = lab.offer(app)
    lab.check(
        http={
            **HTTP_CHECK,
            "requestHeadersToAdd": {
                "set": [
                    {"name": "user-agent", "value": "probe/1"},
                    {"name": "x-set", "value": "a,b"},
                    {"name": "x-share", "value": "100% %REQ(x)%"},
                ],
                "add": [
                    {"name": "x-list", "value": "one, two"},
                    {"name": "x-twice", "value": "first"},
                    {"name": "x-twice", "value": "second"},
                ],
            },
        }
    )
    web = lab.consume("backend")
    lab.start()
    web.wait_healthy("backend", backend)

    check = app.checks[0]
    assert check.values("user-agent") == ["probe/1"]
    assert check.values("x-set") == ["a,b"]
    assert check.values("x-share") == ["100% %REQ(x)%"]
    assert check.values("x-list") == ["one, two"]
    assert check.values("x-twice") == ["first", "second"]
    assert check.values("x-kuma-tags") == []
    assert check.values("host") == ["backend"]


def test_grpc_authority(lab: Lab) -> None:
    app = Http2App("not really gRPC")
    lab.offer(app, protocol="grpc")
    lab.check(grpc={"serviceName": "orders", "authority": "orders.internal"})
    lab.consume("backend")
    lab.start()

    eventually(lambda: app.requests)
    assert app.requests[0].path == "/grpc.health.v1.Health/Check"
    assert app.requests[0].values(":authority") == ["orders.internal"]


# ------------------------------------------------------------------------------------- how often, how long, how many


@pytest.mark.parametrize("reuse", [None, True, False])
def test_reuse_connection(lab: Lab, reuse: bool | None) -> None:
    app = HttpApp("one")
    backend = lab.offer(app)
    conf: dict[str, Any] = {} if reuse is None else {"reuseConnection": reuse}
    lab.check(http=HTTP_CHECK, **conf)
    lab.consume("backend")
    lab.start()

    eventually(lambda: len(app.checks) >= 4)
    connections = backend.stat(f"http.localhost_{app.port}.downstream_cx_total")
    assert connections >= 4 if reuse is False else connections == 1


def test_no_traffic_interval_holds_until_the_first_request(lab: Lab) -> None:
    app = HttpApp("one")
    lab.offer(app)
    lab.check(http=HTTP_CHECK, interval="60s", noTrafficInterval="0.1s")
    web = lab.consume("backend")
    lab.start()
    eventually(lambda: len(app.checks) >= 4)

    assert web.get("backend").status == 200

    # The check that is already due still comes; after it the next one is a minute away.
    def no_more_checks() -> bool:
        seen = len(app.checks)
        time.sleep(0.6)
        return len(app.checks) == seen

    eventually(no_more_checks)


def test_unhealthy_threshold_counts_checks_that_time_out(lab: Lab) -> None:
    app = HttpApp("one")
    backend = lab.offer(app)
    events = lab.root / "events.log"
    lab.check(http=HTTP_CHECK, timeout="0.3s", unhealthyThreshold=3, eventLogPath=str(events))
    web = lab.consume("backend")
    lab.start()
    web.wait_healthy("backend", backend)

    app.hang(2)
    eventually(lambda: app.hangs_left == 0)
    answered = web.stat("cluster.backend.health_check.success")
    eventually(lambda: web.stat("cluster.backend.health_check.success") >= answered + 2)
    assert web.stat("cluster.backend.health_check.failure") == 2
    assert kinds(events)["eject_unhealthy_event"] == 0

    app.hang(3)
    eventually(lambda: kinds(events)["eject_unhealthy_event"] == 1)
    web.wait_healthy("backend", backend)


def test_healthy_threshold_counts_checks_that_succeed(lab: Lab) -> None:
    app = HttpApp("one")
    backend = lab.offer(app)
    lab.check(http=HTTP_CHECK, healthyThreshold=4)
    web = lab.consume("backend")
    lab.start()
    app.health_status = 503
    web.wait_healthy("backend")

    before = web.stat("cluster.backend.health_check.success")
    app.health_status = 200
    web.wait_healthy("backend", backend)
    assert web.stat("cluster.backend.health_check.success") >= before + 4


# -------------------------------------------------------------------------------------------------------- event log


def read_events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def kinds(path: Path) -> dict[str, int]:
    """How often each kind of event stands in the log."""
    names = ("health_check_failure_event", "eject_unhealthy_event", "add_healthy_event")
    events = read_events(path)
    return {name: sum(1 for event in events if name in event) for name in names}


def test_event_log_says_who_left_and_came_back(lab: Lab) -> None:
    app = HttpApp("one")
    backend = lab.offer(app)
    log = lab.root / "events.log"
    lab.check(http=HTTP_CHECK, eventLogPath=str(log))
    web = lab.consume("backend")
    lab.start()
    web.wait_healthy("backend", backend)

    app.health_status = 503
    eventually(lambda: kinds(log)["eject_unhealthy_event"] == 1)
    app.health_status = 200
    eventually(lambda: kinds(log)["add_healthy_event"] >= 2)

    [ejected] = [event for event in read_events(log) if "eject_unhealthy_event" in event]
    assert ejected["cluster_name"] == "backend"
    assert ejected["health_checker_type"] == "HTTP"
    assert ejected["host"]["socket_address"]["address"] == backend.address


@pytest.mark.parametrize(
    ("always", "logged"),
    [(None, lambda count: count == 1), (False, lambda count: count == 1), (True, lambda count: count >= 4)],
    ids=["default", "false", "true"],
)
def test_always_log_health_check_failures(lab: Lab, always: bool | None, logged: Callable[[int], bool]) -> None:
    app = HttpApp("one")
    app.health_status = 503
    lab.offer(app)
    log = lab.root / "events.log"
    conf: dict[str, Any] = {} if always is None else {"alwaysLogHealthCheckFailures": always}
    lab.check(http=HTTP_CHECK, eventLogPath=str(log), **conf)
    web = lab.consume("backend")
    lab.start()

    eventually(lambda: web.stat("cluster.backend.health_check.failure") >= 6)
    web.envoy.stop()  # which writes what is left of the log
    assert logged(kinds(log)["health_check_failure_event"])
