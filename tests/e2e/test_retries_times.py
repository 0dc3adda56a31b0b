# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When MeshRetry sends an HTTP request again: after the time of a try, after a back-off, or when the response says so.

Envoy draws each back-off at random, from nothing up to its bound. What is asserted of one pause is the bound, with room
for a busy machine; that pauses are no shorter is asserted of so many that chance fails it less than once in a million.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest
from lab.http_apps import Answer, HttpApp, Request
from lab.services import ServicesLab

# What a busy machine may add to a pause, or to all pauses of a request.
SLACK = 1.5
# Clocks differ by that much.
TICK = 0.01
TRY = 0.3
BASE = 0.3
RESET_HEADERS = [
    {"name": "retry-after", "format": "Seconds"},
    {"name": "x-ratelimit-reset", "format": "UnixTimestamp"},
]

Conf = dict[str, Any]

SERVICES: dict[str, Conf] = {
    "tries": {"numRetries": 1, "perTryTimeout": f"{TRY}s", "backOff": {"baseInterval": "1ms"}, "retryOn": ["5xx"]},
    "first": {"numRetries": 1, "backOff": {"baseInterval": f"{BASE}s"}},
    "capped": {"numRetries": 10, "backOff": {"baseInterval": "0.2s", "maxInterval": "0.2s"}},
    "uncapped": {"numRetries": 12, "backOff": {"baseInterval": "20ms"}},
    "no-base": {"numRetries": 40, "backOff": {"maxInterval": "40ms"}},
    "limited": {"numRetries": 1, "rateLimitedBackOff": {"resetHeaders": RESET_HEADERS}},
    "limited-to-1s": {"numRetries": 1, "rateLimitedBackOff": {"resetHeaders": RESET_HEADERS, "maxInterval": "1s"}},
}


@pytest.fixture(scope="module")
def mesh() -> Iterator[ServicesLab]:
    with ServicesLab() as lab:
        for service, conf in SERVICES.items():
            lab.add(service, HttpApp())
            lab.retry(service, http=conf)
        lab.add("endless", HttpApp())
        lab.retry("endless", http=SERVICES["tries"])
        lab.retry("endless", {"kind": "MeshService", "name": "web"}, http={"perTryTimeout": "0s"})
        lab.start()
        yield lab


def arrivals(mesh: ServicesLab, service: str, *answers: Answer) -> list[float]:
    """When the tries of one request reach the application, which answers them like this, and from then on with 200."""
    app = mesh.app(service)
    left = iter(answers)
    app.reply = lambda _request: next(left, Answer(200))
    before = len(app.taken)
    assert mesh.web.get(service).status == 200
    return [request.time for request in app.taken[before:]]


def pauses(mesh: ServicesLab, service: str) -> list[float]:
    """How long Envoy waits before each of its retries of a request that fails until the last one."""
    retries = SERVICES[service]["numRetries"]
    times = arrivals(mesh, service, *[Answer(503)] * retries)
    assert len(times) == 1 + retries
    return [later - earlier for earlier, later in pairwise(times)]


# -------------------------------------------------------------------------------------------------- time of a try


def test_a_try_ends_with_its_timeout(mesh: ServicesLab) -> None:
    app, over = mesh.app("tries"), threading.Event()
    before = len(app.taken)

    def hang_once(_request: Request) -> Answer:
        if len(app.taken) == before + 1:
            over.wait(30)
        return Answer(200)

    app.reply = hang_once
    start = time.time()
    assert mesh.web.get("tries").status == 200
    over.set()
    _first, second = app.taken[before:]
    assert TRY - TICK < second.time - start < TRY + SLACK


def test_the_timeout_of_the_last_try_is_that_of_the_request(mesh: ServicesLab) -> None:
    app, over = mesh.app("tries"), threading.Event()
    before = len(app.taken)
    app.reply = lambda _request: Answer(200 if over.wait(30) else 500)
    assert mesh.web.get("tries").status == 504
    over.set()
    assert len(app.taken) - before == 2


def test_a_timeout_of_zero_is_none(mesh: ServicesLab) -> None:
    app = mesh.app("endless")

    def slow(_request: Request) -> Answer:
        time.sleep(2 * TRY)
        return Answer(200)

    app.reply = slow
    assert mesh.web.get("endless").status == 200
    assert len(app.taken) == 1


@pytest.mark.parametrize(("service", "timeout"), [("first", "15s"), ("endless", "0s")])
def test_timeout_that_envoy_gets(mesh: ServicesLab, service: str, timeout: str) -> None:
    assert mesh.retry_policy(service)["perTryTimeout"] == timeout


# ------------------------------------------------------------------------------------------------------- back-off


def test_the_first_pause_is_up_to_the_base_interval(mesh: ServicesLab) -> None:
    firsts = [pauses(mesh, "first")[0] for _request in range(10)]
    assert max(firsts) < BASE + SLACK
    # By default they would be a quarter of a second together at most. One time in 10! chance makes less of these.
    assert sum(firsts) > BASE


def test_pauses_grow_up_to_the_maximum_interval(mesh: ServicesLab) -> None:
    # Without the maximum eight of the ten would be up to 2 s.
    assert sum(pauses(mesh, "capped")) < 10 * 0.2 + SLACK


def test_pauses_grow_up_to_ten_times_the_base_interval(mesh: ServicesLab) -> None:
    found = pauses(mesh, "uncapped")
    # Nine pauses are up to 0.2 s; one time in 5**9 chance leaves all of them below a fifth of it.
    assert max(found) > 0.04
    # Without a maximum the last one alone would be up to 82 s.
    assert sum(found) < 12 * 0.2 + SLACK


def test_a_maximum_alone_goes_with_the_default_base_interval(mesh: ServicesLab) -> None:
    # By default nearly all pauses would be up to 0.25 s.
    assert sum(pauses(mesh, "no-base")) < 40 * 0.04 + SLACK


# --------------------------------------------------------------------------------- when the response says when


def test_seconds_of_the_response_are_waited(mesh: ServicesLab) -> None:
    first, second = arrivals(mesh, "limited", Answer(503, {"retry-after": "1"}))
    # Envoy adds up to a half, so that not everybody comes back at once.
    assert 1 - TICK < second - first < 1.5 + SLACK


def test_time_of_the_response_is_waited_for(mesh: ServicesLab) -> None:
    when = int(time.time()) + 2
    # The first header that can be read counts.
    headers = {"retry-after": "soon", "x-ratelimit-reset": str(when)}
    _first, second = arrivals(mesh, "limited", Answer(503, headers))
    assert when - TICK < second < when + 1 + SLACK


@pytest.mark.parametrize(
    ("service", "headers"),
    [
        ("limited", {}),
        ("limited", {"retry-after": "soon"}),
        ("limited", {"retry-after": "301"}),
        ("limited", {"x-ratelimit-reset": "1706096119"}),
        ("limited-to-1s", {"retry-after": "4"}),
    ],
    ids=["none", "no number", "above the default maximum", "in the past", "above the maximum"],
)
def test_back_off_where_the_response_does_not_say_when(
    mesh: ServicesLab, service: str, headers: Mapping[str, str]
) -> None:
    first, second = arrivals(mesh, service, Answer(503, headers))
    assert second - first < SLACK
