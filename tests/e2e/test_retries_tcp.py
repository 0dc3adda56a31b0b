# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""MeshRetry of TCP connections at work: how often a port that refuses them is tried."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lab import clients
from lab.services import ServicesLab
from lab.tcp_apps import TcpApp

ATTEMPTS = 6

# Services: protocol, attempts that are configured, and those that Envoy makes.
REFUSED: dict[str, tuple[str | None, int | None, int]] = {
    "tcp": ("tcp", 3, 3),
    "kafka": ("kafka", 3, 3),
    "untagged": (None, 3, 3),
    "once": ("tcp", 1, 1),
    "zero": ("tcp", 0, 1),
    "without-a-policy": ("tcp", None, 1),
}
# Services with an instance that refuses and one that does not: attempts.
HALF: dict[str, int] = {"half-once": 1, "half-twice": 2}


@pytest.fixture(scope="module")
def mesh() -> Iterator[ServicesLab]:
    with ServicesLab() as lab:
        for service, (protocol, attempts, _made) in REFUSED.items():
            lab.stand_in(TcpApp(), service, protocol)
            if attempts is not None:
                lab.retry(service, tcp={"maxConnectAttempt": attempts})
        for service, attempts in HALF.items():
            lab.stand_in(TcpApp(), service, "tcp")
            lab.add(service, TcpApp(), "tcp")
            lab.retry(service, tcp={"maxConnectAttempt": attempts})
        lab.start()
        for service in (*REFUSED, *HALF):
            lab.apps[service][0].stop()
        yield lab


def answer(mesh: ServicesLab, service: str) -> bytes:
    """What comes back of a message; nothing where Envoy has given up."""
    try:
        return clients.send(mesh.web.outbound(service), b"message")
    except ConnectionError:
        return b""


@pytest.mark.parametrize(("service", "made"), [(service, row[2]) for service, row in REFUSED.items()])
def test_attempts_on_a_port_that_refuses(mesh: ServicesLab, service: str, made: int) -> None:
    assert answer(mesh, service) == b""
    stats = mesh.web.envoy.admin.stats(f"cluster.{service}.upstream_cx")
    assert stats[f"cluster.{service}.upstream_cx_connect_fail"] == made
    assert stats[f"cluster.{service}.upstream_cx_connect_attempts_exceeded"] == 1


@pytest.mark.parametrize(("service", "answers"), [("half-once", {b"", b"message"}), ("half-twice", {b"message"})])
def test_the_next_attempt_goes_to_the_next_instance(mesh: ServicesLab, service: str, answers: set[bytes]) -> None:
    assert {answer(mesh, service) for _attempt in range(ATTEMPTS)} == answers
