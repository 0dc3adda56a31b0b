# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""MeshCircuitBreaker at work: limits refuse the one too many, and detectors take hosts out and let them back in.

Limits stand in pairs of services, of which one is refused what the other, whose limit is one higher, is allowed.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from lab import clients
from lab.breakers import BreakerLab, Gate, connected
from lab.clients import Response
from lab.http_apps import Answer, Http2App, HttpApp
from lab.mesh import MESH
from lab.polling import eventually
from lab.tcp_apps import TcpApp

Conf = dict[str, Any]

REFUSED, PASSED = 503, 200
# Each ejects after three failures in a row.
TOTAL, GATEWAY, LOCAL = (
    {name: {"consecutive": 3}} for name in ("totalFailures", "gatewayFailures", "localOriginFailures")
)
ONE_OR_TWO = pytest.mark.parametrize(("limit", "status"), [(1, REFUSED), (2, PASSED)])


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as executor:
        yield executor


def assert_overloaded(response: Response, status: int) -> None:
    """Envoy itself refused this, or the application answered."""
    assert response.status == status
    assert response.headers.get("x-envoy-overloaded") == ("true" if status == REFUSED else None)


def fail(lab: BreakerLab, service: str, *statuses: int) -> None:
    """One request for each status, with which the only instance of the service answers it."""
    for status in statuses:
        lab.app(service).status = status
        assert lab.web.get(service).status == status


# ---------------------------------------------------------------------------------------------- limits of clients


@pytest.fixture(scope="module")
def limits() -> Iterator[BreakerLab]:
    with BreakerLab() as lab:
        for limit in (1, 2):
            lab.add(f"connections-{limit}", TcpApp(), "tcp")
            lab.limit(f"connections-{limit}", maxConnections=limit)
            lab.stand_in(Http2App(streams=1), f"pending-{limit}")
            lab.limit(f"pending-{limit}", maxConnections=1, maxPendingRequests=limit)
            lab.add(f"requests-{limit}", HttpApp())
            lab.limit(f"requests-{limit}", maxRequests=limit)
            lab.add(f"retries-{limit}", HttpApp())
            lab.limit(f"retries-{limit}", maxRetries=limit)
            lab.retry(f"retries-{limit}", http={"numRetries": 1, "backOff": {"baseInterval": "1ms"}})
            lab.add(f"pools-{limit}", HttpApp("one"))
            lab.add(f"pools-{limit}", HttpApp("two"))
            lab.limit(f"pools-{limit}", maxConnectionPools=limit)
        lab.start()
        yield lab


@ONE_OR_TWO
def test_max_connections(limits: BreakerLab, limit: int, status: int) -> None:
    service = f"connections-{limit}"
    address = limits.web.outbound(service)
    with connected(address) as first:
        assert first
        with connected(address) as second:
            assert second == (status == PASSED)
    assert limits.stat(service, "upstream_cx_overflow") == (1 if status == REFUSED else 0)
    eventually(lambda: limits.stat(service, "upstream_cx_active") == 0)
    assert clients.send(address, b"again") == b"again"


@ONE_OR_TWO
def test_max_pending_requests(limits: BreakerLab, threads: ThreadPoolExecutor, limit: int, status: int) -> None:
    """The only connection that there may be takes one request at a time, as Envoy knows once it is there."""
    service = f"pending-{limit}"
    assert limits.web.get(service).status == 200
    with Gate(limits.app(service)) as gate:
        running = threads.submit(limits.web.get, service)
        eventually(lambda: gate.waiting == 1)
        pending = threads.submit(limits.web.get, service)
        eventually(lambda: limits.stat(service, "upstream_rq_pending_active") == 1)
        last = threads.submit(limits.web.get, service)
        eventually(lambda: last.done() or limits.stat(service, "upstream_rq_pending_active") == 2)
    assert_overloaded(last.result(), status)
    assert {running.result().status, pending.result().status} == {200}
    assert limits.stat(service, "upstream_rq_pending_overflow") == (1 if status == REFUSED else 0)


@ONE_OR_TWO
def test_max_requests(limits: BreakerLab, threads: ThreadPoolExecutor, limit: int, status: int) -> None:
    service = f"requests-{limit}"
    with Gate(limits.app(service)) as gate:
        first = threads.submit(limits.web.get, service)
        eventually(lambda: gate.waiting == 1)
        second = threads.submit(limits.web.get, service)
        eventually(lambda: second.done() or gate.waiting == 2)
        assert limits.stat(service, "upstream_rq_active") == limit
    assert_overloaded(second.result(), status)
    assert first.result().status == 200
    assert limits.stat(service, "upstream_rq_active_overflow") == (1 if status == REFUSED else 0)
    assert limits.web.get(service).status == 200


def retried(lab: BreakerLab, threads: ThreadPoolExecutor, service: str, number: int) -> tuple[list[Response], Response]:
    """The answers to requests that are all retried at the same time, and to one more that comes after them."""
    waiting: list[Future[Response]] = []
    with Gate(lab.app(service), first=Answer(503)) as gate:
        for path in range(number):
            waiting.append(threads.submit(lab.web.get, service, f"/{path}"))
            eventually(lambda: gate.waiting == len(waiting))
        last = threads.submit(lab.web.get, service, "/last")
        eventually(lambda: last.done() or gate.waiting == number + 1)
    return [one.result() for one in waiting], last.result()


@ONE_OR_TWO
def test_max_retries(limits: BreakerLab, threads: ThreadPoolExecutor, limit: int, status: int) -> None:
    service = f"retries-{limit}"
    [first], second = retried(limits, threads, service, 1)
    assert (first.status, second.status) == (200, status)
    assert limits.stat(service, "upstream_rq_retry_overflow") == (1 if status == REFUSED else 0)


@ONE_OR_TWO
def test_max_connection_pools(limits: BreakerLab, limit: int, status: int) -> None:
    """Each instance has a pool of its own, which stays."""
    service = f"pools-{limit}"
    answers = [limits.web.get(service) for _turn in range(4)]
    assert {answer.status for answer in answers} == {200, status}
    assert len({answer.body for answer in answers if answer.status == 200}) == limit
    assert limits.stat(service, "upstream_cx_pool_overflow") == (2 if status == REFUSED else 0)


# ---------------------------------------------------------------------------------------------- limits of inbounds


@pytest.fixture(scope="module")
def inbounds() -> Iterator[BreakerLab]:
    """Two clients of applications on 127.0.0.1; Kuma protects those whose port the inbound shares."""
    services = [f"{name}-{place}" for name in ("tcp", "http") for place in ("same", "other")]
    with BreakerLab() as lab:
        for service in services:
            app = TcpApp() if service.startswith("tcp") else HttpApp()
            lab.serve(app, "127.0.0.1")
            place = {"port": app.port} if service.endswith("same") else {}
            lab.host.add_inbound(service, app, service.partition("-")[0], **place)
            lab.apps[service] = [app]
            lab.protect(service, connectionLimits={"maxConnections": 1, "maxPendingRequests": 1})
        sick = lab.serve(HttpApp(), "127.0.0.1")
        lab.host.add_inbound("sick", sick, "http", port=sick.port)
        lab.apps["sick"] = [sick]
        lab.protect("sick", outlierDetection={"maxEjectionPercent": 100, "detectors": TOTAL})
        lab.consume(*services, name="rival")
        lab.start()
        yield lab


def local_stat(lab: BreakerLab, service: str, name: str) -> int:
    return lab.host.stat(f"cluster.localhost_{lab.app(service).port}.{name}")


@pytest.mark.parametrize(("place", "refused"), [("same", True), ("other", False)])
def test_inbound_max_connections(inbounds: BreakerLab, place: str, refused: bool) -> None:
    service = f"tcp-{place}"
    web, rival = inbounds.web, inbounds.sidecars["rival"]
    with connected(web.outbound(service)) as first, connected(rival.outbound(service)) as second:
        assert (first, second) == (True, not refused)
    assert local_stat(inbounds, service, "upstream_cx_overflow") == (1 if refused else 0)
    assert ("MESH054" in inbounds.warnings(service)) is not refused


@pytest.mark.parametrize(("place", "refused"), [("same", True), ("other", False)])
def test_inbound_max_pending_requests(
    inbounds: BreakerLab, threads: ThreadPoolExecutor, place: str, refused: bool
) -> None:
    service = f"http-{place}"
    web, rival = inbounds.web, inbounds.sidecars["rival"]
    with Gate(inbounds.app(service)) as gate:
        running = threads.submit(web.get, service)
        eventually(lambda: gate.waiting == 1)
        pending = threads.submit(rival.get, service)
        eventually(lambda: gate.waiting == 2 or local_stat(inbounds, service, "upstream_rq_pending_active") == 1)
        last = [threads.submit(client.get, service) for client in (web, rival)]
        eventually(lambda: gate.waiting == 4 or all(one.done() for one in last))
        assert gate.waiting == (1 if refused else 4)
    assert {running.result().status, pending.result().status} == {200}
    assert {one.result().status for one in last} == {REFUSED if refused else PASSED}
    assert local_stat(inbounds, service, "upstream_rq_pending_overflow") == (2 if refused else 0)
    assert ("MESH054" in inbounds.warnings(service)) is not refused


def test_an_inbound_whose_application_is_ejected_has_no_other(inbounds: BreakerLab) -> None:
    app = inbounds.app("sick")
    fail(inbounds, "sick", 500, 500, 500)
    eventually(lambda: local_stat(inbounds, "sick", "outlier_detection.ejections_active") == 1)
    fail(inbounds, "sick", 500, 500, 500)
    assert len(app.taken) == 6


# ---------------------------------------------------------------------------------------------- the initial policies


@pytest.fixture(scope="module")
def initial() -> Iterator[BreakerLab]:
    with BreakerLab() as lab:
        lab.mesh = {"type": "Mesh", "name": MESH}
        for name, protocol in (("http", "http"), ("tcp", "tcp")):
            for service in (name, f"{name}-few"):
                lab.add(service, HttpApp() if protocol == "http" else TcpApp(), protocol)
            lab.limit(f"{name}-few", maxConnections=2)
        lab.add("http-more", HttpApp())
        lab.limit("http-more", maxRetries=4)
        lab.start()
        yield lab


INITIAL = {"maxConnections": 1024, "maxPendingRequests": 1024, "maxRequests": 1024, "maxRetries": 3}


@pytest.mark.parametrize(
    ("service", "own"),
    [
        ("http", {}),
        ("tcp", {}),
        ("http-few", {"maxConnections": 2}),
        ("tcp-few", {"maxConnections": 2}),
        ("http-more", {"maxRetries": 4}),
    ],
)
def test_initial_limits_that_envoy_gets(initial: BreakerLab, service: str, own: dict[str, int]) -> None:
    assert initial.thresholds(service) == [{**INITIAL, **own}]


@pytest.mark.parametrize(("service", "refused"), [("tcp", False), ("tcp-few", True)])
def test_a_third_connection_with_the_initial_policies(initial: BreakerLab, service: str, refused: bool) -> None:
    address = initial.web.outbound(service)
    with connected(address) as first, connected(address) as second, connected(address) as third:
        assert (first, second, third) == (True, True, not refused)
    assert initial.stat(service, "upstream_cx_overflow") == (1 if refused else 0)


@pytest.mark.parametrize(("service", "refused"), [("http", True), ("http-few", True), ("http-more", False)])
def test_a_fourth_retry_with_the_initial_policies(
    initial: BreakerLab, threads: ThreadPoolExecutor, service: str, refused: bool
) -> None:
    three, fourth = retried(initial, threads, service, 3)
    assert [one.status for one in three] == [200] * 3
    assert fourth.status == (REFUSED if refused else PASSED)
    assert initial.stat(service, "upstream_rq_retry_overflow") == (1 if refused else 0)


# ---------------------------------------------------------------------------------------------- outlier detection

SPLIT: Conf = {"splitExternalAndLocalErrors": True}
INTERVAL = 1.0
V5XX, VGATEWAY, VLOCAL = "consecutive_5xx", "consecutive_gateway_failure", "consecutive_local_origin_failure"
RATE: Conf = {"minimumHosts": 5, "requestVolume": 3}
OF_FOUR: Conf = {**RATE, "minimumHosts": 4}

# Services with one instance: detectors, and what else there is.
SINGLE: dict[str, tuple[Conf, Conf]] = {
    "total": (TOTAL, {}),
    "total-split": (TOTAL, SPLIT),
    "gateway": (GATEWAY, {}),
    "empty": ({"totalFailures": {}}, {}),
    "disabled": (TOTAL, {}),
}
# Services whose only port refuses connections: protocol, detectors, what else there is, what ejects it, and warnings.
REFUSING: dict[str, tuple[str, Conf, Conf, str | None, set[str]]] = {
    "http-total": ("http", TOTAL, {}, V5XX, set()),
    "http-total-split": ("http", TOTAL, SPLIT, None, set()),
    "http-gateway": ("http", GATEWAY, {}, VGATEWAY, set()),
    "http-local": ("http", LOCAL, {}, None, {"MESH054", "MESH232"}),
    "http-local-split": ("http", LOCAL, SPLIT, VLOCAL, set()),
    "tcp-total": ("tcp", TOTAL, {}, V5XX, set()),
    "tcp-total-split": ("tcp", TOTAL, SPLIT, None, {"MESH232"}),
    "tcp-gateway": ("tcp", GATEWAY, {}, VGATEWAY, set()),
    "tcp-gateway-split": ("tcp", GATEWAY, SPLIT, None, {"MESH232"}),
    "tcp-local": ("tcp", LOCAL, {}, None, {"MESH054", "MESH232"}),
    "tcp-local-split": ("tcp", LOCAL, SPLIT, VLOCAL, set()),
}
# Services with one instance or four, all of which fail: instances, percent, and how many of them are ejected.
PERCENT: dict[str, tuple[int, int | None, int]] = {
    "one-of-0": (1, 0, 0),
    "one-of-default": (1, None, 0),
    "one-of-99": (1, 99, 0),
    "one-of-100": (1, 100, 1),
    "four-of-0": (4, 0, 0),
    "four-of-default": (4, None, 0),
    "four-of-24": (4, 24, 0),
    "four-of-25": (4, 25, 1),
    "four-of-49": (4, 49, 1),
    "four-of-50": (4, 50, 2),
    "four-of-100": (4, 100, 4),
}
# Services with an instance that fails every second request, among others that do not: instances, detectors, what ejects
# it, and warnings.
RATES: dict[str, tuple[int, Conf, str | None, set[str]]] = {
    "rate": (5, {"successRate": RATE}, "success_rate", set()),
    # Among four hosts a single one is at most 1.73 standard deviations below the average, among five 2.
    "rate-of-four": (4, {"successRate": OF_FOUR}, None, {"MESH232"}),
    "rate-of-four-strict": (4, {"successRate": {**OF_FOUR, "standardDeviationFactor": "1.5"}}, "success_rate", set()),
    "rate-tolerant": (5, {"successRate": {**RATE, "standardDeviationFactor": "2.1"}}, None, {"MESH232"}),
    "rate-of-many": (5, {"successRate": {**RATE, "requestVolume": 10000}}, None, set()),
    "rate-of-six": (5, {"successRate": {**RATE, "minimumHosts": 6}}, None, {"MESH232"}),
    "percentage": (5, {"failurePercentage": {**RATE, "threshold": 20}}, "failure_percentage", set()),
    "percentage-tolerant": (5, {"failurePercentage": {**RATE, "threshold": 90}}, None, set()),
    "percentage-of-six": (5, {"failurePercentage": {**RATE, "minimumHosts": 6, "threshold": 20}}, None, {"MESH232"}),
}
# Services of which one instance turns sick and recovers: detectors, what else there is, what ejects it, instances.
RECOVERING: dict[str, tuple[Conf, Conf, str, int]] = {
    "back-total": (TOTAL, {}, V5XX, 2),
    "back-gateway": (GATEWAY, {}, VGATEWAY, 2),
    "back-local": (LOCAL, SPLIT, VLOCAL, 2),
    "back-rate": ({"successRate": RATE}, {"interval": f"{INTERVAL}s"}, "success_rate", 5),
    "back-percentage": (
        {"failurePercentage": {"minimumHosts": 2, "requestVolume": 3, "threshold": 100}},
        {"interval": f"{INTERVAL}s"},
        "failure_percentage",
        2,
    ),
}


@pytest.fixture(scope="module")
def detectors() -> Iterator[BreakerLab]:
    with BreakerLab() as lab:
        for service, (found, more) in SINGLE.items():
            lab.add(service, HttpApp())
            lab.detect(service, found, **more)
        lab.detect("disabled", GATEWAY, disabled=True)
        for service, (protocol, found, more, _by, _warnings) in REFUSING.items():
            lab.stand_in(TcpApp(), service, protocol)
            lab.detect(service, found, **more)
        four, five = ([HttpApp() for _instance in range(number)] for number in (4, 5))
        for app in (*four, *five):
            lab.serve(app, lab.host.address)
        for service, (instances, percent, _ejected) in PERCENT.items():
            lab.share(service, four[:instances])
            lab.detect(service, {"totalFailures": {"consecutive": 1}}, maxEjectionPercent=percent)
        for service, (instances, found, _by, _warnings) in RATES.items():
            lab.share(service, five[:instances])
            lab.detect(service, found, interval=f"{INTERVAL}s")
        for service, (found, more, _by, instances) in RECOVERING.items():
            for number in range(instances):
                lab.stand_in(Http2App(str(number)), service)
            lab.detect(service, found, baseEjectionTime="2s", **more)
        lab.start()
        for service in REFUSING:
            lab.app(service).stop()
        yield lab


@pytest.mark.parametrize(
    ("service", "spared", "fatal", "by"),
    [
        ("total", [500, 599, 404, 503, 502, 200], [500, 504, 599], V5XX),
        ("total-split", [500, 599, 404, 503, 502, 200], [500, 504, 599], V5XX),
        ("gateway", [500, 500, 500, 501, 505, 502, 503, 500, 504, 502, 599], [502, 503, 504], VGATEWAY),
    ],
)
def test_so_many_failures_in_a_row(
    detectors: BreakerLab, service: str, spared: list[int], fatal: list[int], by: str
) -> None:
    fail(detectors, service, *spared, *fatal[:-1])
    assert detectors.ejections(service) == {}
    fail(detectors, service, fatal[-1])
    eventually(lambda: detectors.ejections(service) == {by: 1})
    assert detectors.ejected(service) == 1
    assert detectors.warnings(service) == set()


@pytest.mark.parametrize(("service", "warnings"), [("empty", {"MESH232"}), ("disabled", set())])
def test_nothing_is_detected(detectors: BreakerLab, service: str, warnings: set[str]) -> None:
    fail(detectors, service, *[503] * 12)
    assert detectors.ejections(service) == {}
    assert detectors.ejected(service) == 0
    assert detectors.stat(service, "outlier_detection.ejections_overflow") == 0
    assert detectors.warnings(service) == warnings


@pytest.mark.parametrize(("service", "by", "warnings"), [(one, row[3], row[4]) for one, row in REFUSING.items()])
def test_a_port_that_refuses(detectors: BreakerLab, service: str, by: str | None, warnings: set[str]) -> None:
    def attempt() -> None:
        if REFUSING[service][0] == "http":
            assert detectors.web.get(service).status == 503
        else:
            with connected(detectors.web.outbound(service)) as answered:
                assert not answered

    for _attempt in range(2):
        attempt()
    assert detectors.ejections(service) == {}
    for _attempt in range(1 if by else 10):
        attempt()
    expected = {by: 1} if by else {}
    eventually(lambda: detectors.ejections(service) == expected)
    assert detectors.warnings(service) == warnings


@pytest.mark.parametrize("service", PERCENT)
def test_max_ejection_percent(detectors: BreakerLab, service: str) -> None:
    instances, _percent, number = PERCENT[service]
    for app in detectors.apps[service]:
        app.status = 500

    def requests() -> set[int]:
        return {detectors.web.get(service).status for _request in range(12)}

    eventually(lambda: requests() == {500} and detectors.ejected(service) == number)
    assert requests() == {500}
    assert detectors.ejected(service) == number
    assert (detectors.stat(service, "outlier_detection.ejections_overflow") > 0) == (number < instances)
    assert detectors.warnings(service) == (set() if number else {"MESH231"})


@pytest.fixture(scope="module")
def rated(detectors: BreakerLab) -> BreakerLab:
    """All of RATES have had requests for some intervals; each instance gets those with the same paths."""
    detectors.apps["rate"][0].reply = lambda request: Answer(500 if request.path == "/odd" else 200)
    ejecting = [service for service, row in RATES.items() if row[2] is not None]
    end = time.monotonic() + 3 * INTERVAL

    def enough() -> bool:
        for service, path in itertools.product(RATES, ("/odd", "/even")):
            for _instance in detectors.apps[service]:
                detectors.web.get(service, path)
        return time.monotonic() > end and all(detectors.ejected(service) for service in ejecting)

    eventually(enough, timeout=20)
    return detectors


@pytest.mark.parametrize(("service", "by", "warnings"), [(one, row[2], row[3]) for one, row in RATES.items()])
def test_rates(rated: BreakerLab, service: str, by: str | None, warnings: set[str]) -> None:
    assert rated.ejections(service) == ({by: 1} if by else {})
    assert rated.warnings(service) == warnings


@pytest.mark.parametrize("service", RECOVERING)
def test_an_ejected_instance_comes_back(detectors: BreakerLab, service: str) -> None:
    _detectors, _more, by, _instances = RECOVERING[service]
    sick, *well = detectors.apps[service]
    names = {app.name for app in well}

    def answers() -> set[tuple[int, str]]:
        found = [detectors.web.get(service) for _request in range(10)]
        return {(one.status, one.body if one.status == 200 else "") for one in found}

    assert answers() == {(200, name) for name in (sick.name, *names)}
    if service == "back-local":
        sick.stop()
    else:
        sick.status = 503
    # Envoy's worker hears of an ejection up to a second late, and for longer than that each one is.
    eventually(lambda: answers() == {(200, name) for name in names})
    assert set(detectors.ejections(service)) == {by}

    if service == "back-local":
        sick.start(sick.address, sick.port)
    sick.status = 200
    eventually(lambda: answers() == {(200, name) for name in (sick.name, *names)}, timeout=20)
    eventually(lambda: detectors.ejected(service) == 0)
