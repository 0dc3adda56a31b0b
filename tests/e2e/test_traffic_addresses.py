# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and names that are not the everyday ones: IPv6, Envoy's admin, services with dots and underscores."""

from __future__ import annotations

import socket
import stat

import pytest
from lab import clients
from lab.http_apps import HEALTH, HttpApp
from lab.loopback import free_port
from lab.mesh import Lab

SERVICE = "kuma.io/service"


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
def test_ipv6_between_the_sidecars_and_towards_the_client(lab: Lab) -> None:
    backend = lab.offer(HttpApp("backend"), address="::1", port=free_port("::1"))
    lab.check(http={"path": HEALTH})
    web = lab.consume("backend")
    web.add_outbound("by IPv6", {SERVICE: "backend"}, address="::1", port=free_port("::1"))
    lab.start()
    web.wait_healthy("backend", backend)

    assert web.get("backend").body == "backend"
    assert web.get("by IPv6").body == "backend"


@pytest.mark.parametrize("service", ["backend_kuma-demo_svc_3001", "orders.eu-1.example"])
def test_names_with_dots_and_underscores(lab: Lab, service: str) -> None:
    backend = lab.offer(HttpApp("backend"), service=service, tags={"version": "v1.2_3"})
    lab.check(service, http={"path": HEALTH})
    web = lab.consume(service, subset={SERVICE: service, "version": "v1.2_3"})
    lab.start()
    web.wait_healthy(service, backend)

    assert web.get(service).body == "backend"
    assert web.get("subset").body == "backend"
    # Dots would cut the name of a statistic into parts.
    assert web.stat(f"cluster.{service.replace('.', '_')}.upstream_rq_total") == 1


def test_two_outbounds_to_one_service_share_its_cluster(lab: Lab) -> None:
    lab.offer(HttpApp("backend"))
    web = lab.consume("backend", again={SERVICE: "backend"})
    lab.start()

    assert web.get("backend").body == "backend"
    assert web.get("again").body == "backend"
    assert web.stat("cluster.backend.upstream_rq_total") == 2


def test_admin_is_a_socket_for_its_owner_only(lab: Lab) -> None:
    web = lab.offer(HttpApp("web"), service="web")
    lab.start()

    admin = web.envoy.root / "run" / "admin.sock"
    assert stat.S_ISSOCK(admin.stat().st_mode)
    assert stat.S_IMODE(admin.stat().st_mode) == 0o600


def test_admin_port_offers_the_admin_on_loopback(lab: Lab) -> None:
    web = lab.offer(HttpApp("web"), service="web")
    port = free_port("127.0.0.1")
    web.networking["admin"] = {"port": port}
    lab.start()

    assert clients.get(("127.0.0.1", port), "/ready").body.strip() == "LIVE"
