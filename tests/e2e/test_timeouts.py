# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""MeshTimeout at work: which timeout ends what, after how long, and that the others leave it alone.

Each way in which a conversation can take its time is tried on one service for each timeout, which is short there while
all others are long; once with the timeout on the client's side (`to`), once at the inbound of the service (`from`).
"""

from __future__ import annotations

import functools
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from lab.clients import Address
from lab.grpc_app import GrpcClient
from lab.paced import SECONDS, Ending, Paced, PacedApp, PacedGrpcApp, Unreachable, converse
from lab.polling import eventually
from lab.tcp_apps import CHUNK, TcpApp
from lab.timeouts import FROM, TO, TimeoutLab

TIMEOUT = 0.6
# Longer than the timeout.
LONG = 1.5
# Longer as well, but with traffic every STEP seconds.
BUSY, STEP = 1.0, 0.1
STEPS = round(BUSY / STEP)
# How long Envoy leaves it to a client of HTTP/1.1 to hang up once an answer is cut off.
LINGER = 1.0
# What a busy machine may add.
SLACK = 2.0
# Clocks differ by that much.
TICK = 0.02
# Constants of Kuma 2.7, and the time of a try in its initial MeshRetry.
CONNECT, REQUEST, TRY = 5.0, 15.0, 16.0

T = f"{TIMEOUT}s"

Conf = dict[str, Any]
Key = TypeVar("Key")
Answer = TypeVar("Answer")

TIMEOUTS: dict[str, Conf] = {
    "connection": {"connectionTimeout": T},
    "idle": {"idleTimeout": T},
    "request": {"http": {"requestTimeout": T}},
    "stream-idle": {"http": {"streamIdleTimeout": T}},
    "stream-duration": {"http": {"maxStreamDuration": T}},
    "connection-duration": {"http": {"maxConnectionDuration": T}},
    "headers": {"http": {"requestHeadersTimeout": T, "requestTimeout": f"{REQUEST}s"}},
}
# What Envoy counts of the timeouts that end requests, and of those that end connections.
ON_REQUESTS = {
    "request": "cluster.{}.upstream_rq_timeout",
    "stream-idle": "http.{}.downstream_rq_idle_timeout",
    "stream-duration": "cluster.{}.upstream_rq_max_duration_reached",
    "headers": "http.{}.downstream_rq_header_timeout",
}
ON_CONNECTIONS = {
    "connection": "cluster.{}.upstream_cx_connect_timeout",
    "idle": "cluster.{}.upstream_cx_idle_timeout",
    "connection-duration": "cluster.{}.upstream_cx_max_duration_reached",
}
COUNTERS = ON_REQUESTS | ON_CONNECTIONS
CONNECTIONS = {"made": "cluster.{}.upstream_cx_total"}

# The protocols of services that are TCP to Envoy.
TCP = {"tcp": "tcp", "kafka": "kafka", "untagged": None}
# The last of these is nothing to a service that speaks gRPC.
GRPC: dict[str, Conf] = {
    "request": TIMEOUTS["request"],
    "stream-idle": TIMEOUTS["stream-idle"],
    "others": {"idleTimeout": T, "http": {"maxStreamDuration": T, "maxConnectionDuration": T}},
}


def head(length: int = 0) -> bytes:
    return b"POST / HTTP/1.1\r\nhost: lab\r\ncontent-length: %d\r\n\r\n" % length


ASK: Paced = [(0.0, head())]


@dataclass(frozen=True)
class Scenario:
    """What the client sends, when the application answers, and how that ends: with a short timeout of the kinds in
    `ends`, and otherwise. Half a request is `direct`: the sidecar of a client would not pass it on to an inbound.
    """

    otherwise: Ending
    ends: Mapping[str, Ending]
    question: Paced = field(default_factory=lambda: ASK)
    pauses: tuple[float, ...] = (0.0,)
    direct: bool = False


SCENARIOS: dict[str, Scenario] = {
    "answer that begins late": Scenario(
        pauses=(LONG,),
        otherwise=Ending(200, True, LONG),
        ends=dict.fromkeys(("request", "stream-idle", "stream-duration"), Ending(504, True, TIMEOUT)),
    ),
    "answer that trickles": Scenario(
        pauses=(0.0, *[STEP] * STEPS),
        otherwise=Ending(200, True, BUSY),
        ends=dict.fromkeys(("request", "stream-duration"), Ending(200, False, TIMEOUT + LINGER)),
    ),
    "answer that trickles, and stops": Scenario(
        pauses=(0.0, *[STEP] * STEPS, LONG),
        otherwise=Ending(200, True, BUSY + LONG),
        ends={
            **dict.fromkeys(("request", "stream-duration"), Ending(200, False, TIMEOUT + LINGER)),
            "stream-idle": Ending(200, False, BUSY + TIMEOUT + LINGER),
        },
    ),
    "question that trickles": Scenario(
        question=[(0.0, head(STEPS)), *[(STEP, b".")] * STEPS],
        otherwise=Ending(200, True, BUSY),
        ends={"stream-duration": Ending(408, True, TIMEOUT)},
    ),
    "question that begins slowly": Scenario(
        question=[(0.0, head()[:20]), (LONG, head()[20:])],
        otherwise=Ending(200, True, LONG),
        ends={"headers": Ending(408, True, TIMEOUT)},
        direct=True,
    ),
}


def named(direction: str, use: str, name: str) -> str:
    return f"{direction}-{use}-{name}"


@pytest.fixture(scope="module")
def mesh() -> Iterator[TimeoutLab]:
    with TimeoutLab() as lab:
        for direction in (TO, FROM):
            _add_http(lab, direction)
            _add_tcp(lab, direction)
            for name, conf in GRPC.items():
                lab.add(named(direction, "grpc", name), PacedGrpcApp(LONG), "grpc")
                lab.time(direction, named(direction, "grpc", name), conf)
        for service in ("selected", "unselected"):
            lab.add(service, PacedApp(TRY))
        everything, selected = {"kind": "Mesh"}, {"kind": "MeshService", "name": "selected"}
        lab.timeout("selected", selected, TO, everything, TIMEOUTS["connection"])
        lab.start()
        yield lab


def _add_http(lab: TimeoutLab, direction: str) -> None:
    for name, conf in TIMEOUTS.items():
        for use in ("requests", "connections"):
            lab.add(named(direction, use, name), PacedApp())
            lab.time(direction, named(direction, use, name), conf)
        _add_unreachable(lab, direction, named(direction, "unreachable", name), conf, "http")


def _add_tcp(lab: TimeoutLab, direction: str) -> None:
    for name, protocol in TCP.items():
        lab.add(named(direction, "tcp", name), TcpApp(), protocol)
        lab.time(direction, named(direction, "tcp", name), TIMEOUTS["idle"])
    lab.add(named(direction, "tcp", "open"), TcpApp(), "tcp")
    lab.time(direction, named(direction, "tcp", "open"), TIMEOUTS["connection"])
    _add_unreachable(lab, direction, named(direction, "tcp", "unreachable"), TIMEOUTS["connection"], "tcp")


def _add_unreachable(lab: TimeoutLab, direction: str, service: str, conf: Conf, protocol: str) -> None:
    """What has the timeout cannot reach the next hop: the client the sidecar of the host, or that the application."""
    if direction == TO:
        lab.stand_in(Unreachable(), service, protocol)
    else:
        lab.add(service, Unreachable(), protocol)
    lab.time(direction, service, conf)


@pytest.fixture(scope="module")
def fresh() -> Iterator[TimeoutLab]:
    """A mesh with its initial policies, and two of a user that differ in where their names would stand."""
    with TimeoutLab(skipped=[]) as lab:
        lab.add("plain", PacedApp(SECONDS))
        for service in ("aaa", "zzz"):
            lab.add(service, PacedApp(SECONDS))
            item = {"kind": "MeshService", "name": service}
            lab.timeout(service, {"kind": "Mesh"}, TO, item, TIMEOUTS["request"])
        lab.start()
        yield lab


@pytest.fixture(scope="module")
def skipping() -> Iterator[TimeoutLab]:
    """A mesh without the initial MeshTimeouts."""
    with TimeoutLab(skipped=["MeshTimeout"]) as lab:
        lab.add("plain", PacedApp(SECONDS))
        lab.start()
        yield lab


@pytest.fixture(scope="module", autouse=True)
def long_requests(mesh: TimeoutLab, fresh: TimeoutLab, skipping: TimeoutLab) -> Iterator[Mapping[str, Future[Ending]]]:
    """Requests that last a quarter of a minute, during which the tests do everything else."""
    asked = {"initial": (fresh, "plain"), "skipped": (skipping, "plain")}
    asked |= {service: (mesh, service) for service in ("selected", "unselected")}
    pool = ThreadPoolExecutor(len(asked))
    started = {name: pool.submit(converse, lab.web.outbound(service), ASK) for name, (lab, service) in asked.items()}
    # The second try finds an application that has come to its senses.
    app = skipping.app("plain")
    eventually(lambda: app.requests == 1)
    app.pauses = (0.0,)
    yield started
    pool.shutdown(wait=False)


def together(calls: Mapping[Key, Callable[[], Answer]]) -> dict[Key, Answer]:
    """What the calls return that are made at the same time."""
    with ThreadPoolExecutor(len(calls)) as pool:
        futures = {key: pool.submit(call) for key, call in calls.items()}
        return {key: future.result() for key, future in futures.items()}


def assert_endings(found: Mapping[str, Ending], expected: Mapping[str, Ending]) -> None:
    assert {key: (one.status, one.whole) for key, one in found.items()} == {
        key: (one.status, one.whole) for key, one in expected.items()
    }
    for key, one in found.items():
        assert_after(expected[key].seconds, one.seconds, key)


def assert_after(expected: float, seconds: float, what: str) -> None:
    assert expected - TICK < seconds < expected + SLACK, what


def counted(mesh: TimeoutLab, services: Iterable[str], counters: Mapping[str, str]) -> dict[str, Counter[str]]:
    """What Envoy has counted for each service where its timeouts are: by the keys of `counters`, without zeros."""
    stats = {sidecar: sidecar.envoy.admin.stats() for sidecar in (mesh.web, mesh.host)}
    found = {}
    for service in services:
        sidecar, name = mesh.timer(service)
        counts = {key: stats[sidecar].get(counter.format(name), 0) for key, counter in counters.items()}
        found[service] = +Counter(counts)
    return found


# ------------------------------------------------------------------------------------------------------------ HTTP


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_ends_a_request(mesh: TimeoutLab, name: str) -> None:
    scenario = SCENARIOS[name]
    services = {named(direction, "requests", one): one for direction in (TO, FROM) for one in TIMEOUTS}
    before = counted(mesh, services, ON_REQUESTS)
    calls = {}
    for service in services:
        mesh.app(service).pauses = scenario.pauses
        direct = scenario.direct and service.startswith(FROM)
        address = mesh.inbound(service) if direct else mesh.web.outbound(service)
        calls[service] = functools.partial(converse, address, scenario.question)

    found = together(calls)

    assert_endings(found, {service: scenario.ends.get(one, scenario.otherwise) for service, one in services.items()})
    after = counted(mesh, services, ON_REQUESTS)
    assert {service: set(after[service] - before[service]) for service in services} == {
        service: {timeout} & scenario.ends.keys() for service, timeout in services.items()
    }


def test_what_ends_connections_between_requests(mesh: TimeoutLab) -> None:
    services = {named(direction, "connections", one): one for direction in (TO, FROM) for one in TIMEOUTS}
    busy: list[Paced] = [[(STEP, head())]] * STEPS
    found = together(
        {
            service: functools.partial(converse, mesh.web.outbound(service), *busy, [(LONG, head())])
            for service in services
        }
    )

    assert_endings(found, dict.fromkeys(services, Ending(200, True, BUSY + LONG)))
    connections = counted(mesh, services, CONNECTIONS)
    ended = counted(mesh, services, COUNTERS)
    for service, timeout in services.items():
        made = connections[service]["made"]
        if timeout == "idle":
            assert (made, set(ended[service])) == (2, {timeout}), service
        elif timeout == "connection-duration":
            # Of the two that ended, one did so under traffic.
            assert (made >= 3, set(ended[service])) == (True, {timeout}), service
        else:
            assert (made, set(ended[service])) == (1, set()), service


def test_what_ends_the_wait_for_a_connection(mesh: TimeoutLab) -> None:
    services = {named(direction, "unreachable", one): one for direction in (TO, FROM) for one in TIMEOUTS}
    found = together({service: functools.partial(converse, mesh.web.outbound(service), ASK) for service in services})

    ends = {
        "connection": Ending(503, True, TIMEOUT),
        "request": Ending(504, True, TIMEOUT),
        "stream-idle": Ending(504, True, TIMEOUT),
    }
    otherwise = Ending(503, True, CONNECT)
    assert_endings(found, {service: ends.get(one, otherwise) for service, one in services.items()})
    ended = counted(mesh, services, ON_REQUESTS)
    assert {service: set(ended[service]) for service in services} == {
        service: {timeout} & {"request", "stream-idle"} for service, timeout in services.items()
    }
    ended = counted(mesh, (service for service, one in found.items() if one.status == 503), ON_CONNECTIONS)
    assert all(set(counts) == {"connection"} for counts in ended.values()), ended


# ------------------------------------------------------------------------------------------------------------- TCP


def end_of_tcp(address: Address) -> float | None:
    """When a connection is ended that has had traffic for a while, in seconds from then; None for not at all."""
    with socket.create_connection(address, timeout=SECONDS) as connection:
        for _step in range(STEPS):
            connection.sendall(b"message")
            assert connection.recv(CHUNK) == b"message"
            time.sleep(STEP)
        start = time.monotonic() - STEP
        connection.settimeout(LONG)
        try:
            assert connection.recv(CHUNK) == b""
        except TimeoutError:
            return None
        return time.monotonic() - start


def test_idle_tcp_sessions_end(mesh: TimeoutLab) -> None:
    services = [named(direction, "tcp", name) for direction in (TO, FROM) for name in (*TCP, "open")]
    found = together({service: functools.partial(end_of_tcp, mesh.web.outbound(service)) for service in services})

    ended = counted(mesh, services, {"idle": "tcp.{}.idle_timeout"})
    for service, seconds in found.items():
        if service.endswith("-open"):
            assert (seconds, ended[service]["idle"]) == (None, 0), service
        else:
            assert seconds is not None, service
            assert_after(TIMEOUT, seconds, service)
            assert ended[service]["idle"] == 1, service


def wait_for_end(address: Address) -> float:
    start = time.monotonic()
    with socket.create_connection(address, timeout=SECONDS) as connection:
        assert connection.recv(CHUNK) == b""
    return time.monotonic() - start


def test_tcp_connections_that_are_never_established_end(mesh: TimeoutLab) -> None:
    services = [named(direction, "tcp", "unreachable") for direction in (TO, FROM)]
    found = together({service: functools.partial(wait_for_end, mesh.web.outbound(service)) for service in services})

    for service, seconds in found.items():
        assert_after(TIMEOUT, seconds, service)
    assert all(counts == Counter(connection=1) for counts in counted(mesh, services, COUNTERS).values())


# ------------------------------------------------------------------------------------------------------------ gRPC


def call(address: Address) -> tuple[bytes, float]:
    """The answer, or the status of a call that failed, and after how many seconds; then the client stays for LONG."""
    with GrpcClient(address) as client:
        start = time.monotonic()
        answer = client.unary(b"message")
        seconds = time.monotonic() - start
        time.sleep(LONG)
        return answer, seconds


def test_grpc_knows_timeouts_of_requests_only(mesh: TimeoutLab) -> None:
    services = {named(direction, "grpc", one): one for direction in (TO, FROM) for one in GRPC}
    found = together({service: functools.partial(call, mesh.web.outbound(service)) for service in services})

    ended = counted(mesh, services, COUNTERS)
    for service, timeout in services.items():
        answer, seconds = found[service]
        if timeout == "others":
            assert (answer, set(ended[service])) == (b":message", set()), service
            assert_after(LONG, seconds, service)
        else:
            assert (answer, set(ended[service])) == (b"UNAVAILABLE", {timeout}), service
            assert_after(TIMEOUT, seconds, service)


# ------------------------------------------------------------------------------------------------- initial policies


def test_initial_timeouts_that_envoy_gets(fresh: TimeoutLab, skipping: TimeoutLab) -> None:
    found = {name: lab.route("plain") for name, lab in {"fresh": fresh, "skipping": skipping}.items()}
    assert {name: (route["timeout"], route.get("idleTimeout")) for name, route in found.items()} == {
        "fresh": ("15s", "1800s"),
        "skipping": ("0s", None),
    }


@pytest.mark.parametrize("policy", ["aaa", "zzz"])
def test_a_policy_of_a_user_wins_over_the_initial_one_whatever_its_name(fresh: TimeoutLab, policy: str) -> None:
    found = converse(fresh.web.outbound(policy), ASK)
    assert_endings({policy: found}, {policy: Ending(504, True, TIMEOUT)})


def test_the_initial_policies_end_requests_and_a_mesh_may_skip_that(
    fresh: TimeoutLab, skipping: TimeoutLab, long_requests: Mapping[str, Future[Ending]]
) -> None:
    # Without them the initial MeshRetry is next; its second try is answered.
    assert_endings(
        {name: long_requests[name].result() for name in ("initial", "skipped")},
        {"initial": Ending(504, True, REQUEST), "skipped": Ending(200, True, TRY)},
    )
    assert (fresh.app("plain").requests, skipping.app("plain").requests) == (1, 2)
    assert fresh.web.stat("cluster.plain.upstream_rq_timeout") == 1
    assert skipping.web.stat("cluster.plain.upstream_rq_per_try_timeout") == 1


# -------------------------------------------------------------------------------------------------------- inbounds


def test_constants_count_at_an_inbound_that_no_policy_selects_beside_one_that_is_selected(
    mesh: TimeoutLab, long_requests: Mapping[str, Future[Ending]]
) -> None:
    assert_endings(
        {service: long_requests[service].result() for service in ("selected", "unselected")},
        {"selected": Ending(200, True, TRY), "unselected": Ending(504, True, REQUEST)},
    )
    timed_out = {
        service: mesh.host.stat(f"cluster.localhost_{mesh.app(service).port}.upstream_rq_timeout")
        for service in ("selected", "unselected")
    }
    assert timed_out == {"selected": 0, "unselected": 1}
