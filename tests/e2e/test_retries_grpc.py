# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""MeshRetry of gRPC calls at work: which statuses the application sees again, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from grpc import StatusCode
from lab.grpc_app import GrpcApp, GrpcClient
from lab.services import ServicesLab

RETRIES = 2
SLACK = 1.5
TICK = 0.01
AT_ONCE = {"numRetries": RETRIES, "backOff": {"baseInterval": "1ms"}}

Conf = dict[str, Any]

# Services: their conditions, statuses that are retried, and neighbours that are not.
CONDITIONS: dict[str, tuple[list[str], list[StatusCode], list[StatusCode]]] = {
    "canceled": (["Canceled"], [StatusCode.CANCELLED], [StatusCode.ABORTED, StatusCode.UNAVAILABLE]),
    "deadline-exceeded": (["DeadlineExceeded"], [StatusCode.DEADLINE_EXCEEDED], [StatusCode.CANCELLED]),
    "internal": (["Internal"], [StatusCode.INTERNAL], [StatusCode.UNKNOWN, StatusCode.DATA_LOSS]),
    "resource-exhausted": (["ResourceExhausted"], [StatusCode.RESOURCE_EXHAUSTED], [StatusCode.OUT_OF_RANGE]),
    "unavailable": (["Unavailable"], [StatusCode.UNAVAILABLE], [StatusCode.NOT_FOUND, StatusCode.UNIMPLEMENTED]),
    "several": (["Canceled", "Internal"], [StatusCode.CANCELLED, StatusCode.INTERNAL], [StatusCode.UNAVAILABLE]),
    "default": (
        [],
        [StatusCode.CANCELLED, StatusCode.RESOURCE_EXHAUSTED, StatusCode.UNAVAILABLE],
        [StatusCode.DEADLINE_EXCEEDED, StatusCode.INTERNAL, StatusCode.NOT_FOUND],
    ),
}
# Configurations, and how often a call that fails is seen.
COUNTS: dict[str, tuple[Conf, int]] = {
    "count-none": ({"numRetries": 0}, 1),
    "count-unset": ({"retryOn": ["Unavailable"]}, 2),
    "count-five": ({"numRetries": 5, "backOff": {"baseInterval": "1ms"}}, 6),
}
LIMITED: Conf = {
    "numRetries": 1,
    "rateLimitedBackOff": {"resetHeaders": [{"name": "retry-after", "format": "Seconds"}]},
}
SERVICES: dict[str, Conf] = {
    **{service: {**AT_ONCE, **({"retryOn": row[0]} if row[0] else {})} for service, row in CONDITIONS.items()},
    **{service: row[0] for service, row in COUNTS.items()},
    "limited": LIMITED,
}


@pytest.fixture(scope="module")
def mesh() -> Iterator[ServicesLab]:
    with ServicesLab() as lab:
        for service, conf in SERVICES.items():
            lab.add(service, GrpcApp(service), "grpc")
            lab.retry(service, grpc=conf)
        lab.start()
        yield lab


def answer(mesh: ServicesLab, service: str) -> bytes:
    with GrpcClient(mesh.web.outbound(service)) as client:
        return client.unary(b"message")


def tries(mesh: ServicesLab, service: str, status: StatusCode) -> int:
    """How often the application sees one call that it always ends with this status."""
    app = mesh.app(service)
    app.failing = status
    before = len(app.calls)
    assert answer(mesh, service) == status.name.encode()
    return len(app.calls) - before


@pytest.mark.parametrize(
    ("service", "status", "seen"),
    [
        pytest.param(service, status, seen, id=f"{service}: {status.name} {'retried' if seen > 1 else 'final'}")
        for service, (_conditions, retried, final) in CONDITIONS.items()
        for seen, statuses in ((1 + RETRIES, retried), (1, final))
        for status in statuses
    ],
)
def test_condition(mesh: ServicesLab, service: str, status: StatusCode, seen: int) -> None:
    assert tries(mesh, service, status) == seen


@pytest.mark.parametrize(("service", "seen"), [(service, row[1]) for service, row in COUNTS.items()])
def test_count(mesh: ServicesLab, service: str, seen: int) -> None:
    assert tries(mesh, service, StatusCode.UNAVAILABLE) == seen


def test_tries_time_out_after_the_documented_default(mesh: ServicesLab) -> None:
    assert mesh.retry_policy("default")["perTryTimeout"] == "15s"


def test_seconds_of_the_response_are_waited(mesh: ServicesLab) -> None:
    app = mesh.app("limited")
    app.failing, app.trailers = StatusCode.UNAVAILABLE, (("retry-after", "1"),)
    assert answer(mesh, "limited") == b"UNAVAILABLE"
    first, second = app.calls
    assert 1 - TICK < second - first < 1.5 + SLACK
