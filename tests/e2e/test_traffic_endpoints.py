# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the instances of a service get the requests of which client."""

from __future__ import annotations

from typing import Any

import pytest
from lab import clients
from lab.http_apps import HttpApp
from lab.loopback import free_port
from lab.mesh import INBOUND_PORT, Lab, Sidecar
from lab.tcp_apps import Forwarder, TcpApp

SERVICE = "kuma.io/service"
ATTEMPTS = 8


def answers(sidecar: Sidecar, outbound: str) -> set[str]:
    """Who answers, over enough requests that every endpoint has its turn."""
    responses = [sidecar.get(outbound) for _attempt in range(ATTEMPTS)]
    assert {response.status for response in responses} == {200}
    return {response.body for response in responses}


def test_requests_go_to_every_instance_in_turn(lab: Lab) -> None:
    apps = [HttpApp("one"), HttpApp("two")]
    for app in apps:
        lab.offer(app)
    web = lab.consume("backend")
    lab.start()

    assert answers(web, "backend") == {"one", "two"}
    assert [len(app.taken) for app in apps] == [ATTEMPTS // 2, ATTEMPTS // 2]


def test_subset_outbound_reaches_only_the_endpoints_with_its_tags(lab: Lab) -> None:
    lab.offer(HttpApp("old"), tags={"version": "v1"})
    lab.offer(HttpApp("new"), tags={"version": "v2"})
    lab.offer(HttpApp("none"))
    web = lab.consume("backend", v1={SERVICE: "backend", "version": "v1"}, v2={SERVICE: "backend", "version": "v2"})
    lab.start()

    assert answers(web, "v1") == {"old"}
    assert answers(web, "v2") == {"new"}
    assert answers(web, "backend") == {"old", "new", "none"}


def test_subset_that_nobody_has_is_answered_with_503(lab: Lab) -> None:
    app = HttpApp("old")
    lab.offer(app, tags={"version": "v1"})
    web = lab.consume(v3={SERVICE: "backend", "version": "v3"})
    lab.start()

    assert web.get("v3").status == 503
    assert app.requests == []


def test_several_inbounds_of_one_dataplane_are_services_of_their_own(lab: Lab) -> None:
    shop = lab.offer(HttpApp("orders"), service="orders")
    shop.add_inbound("stock", lab.serve(HttpApp("stock")), "http")
    echo = TcpApp()
    shop.add_inbound("ledger", lab.serve(echo), "tcp")
    web = lab.consume("orders", "stock", "ledger")
    lab.start()

    assert answers(web, "orders") == {"orders"}
    assert answers(web, "stock") == {"stock"}
    assert clients.send(web.outbound("ledger"), b"entry") == b"entry"


def test_inbound_with_an_address_of_its_own_is_reached_there_and_nowhere_else(lab: Lab) -> None:
    own = lab.address()
    backend = lab.offer(HttpApp("backend"), address=own)
    web = lab.consume("backend")
    lab.start()

    assert answers(web, "backend") == {"backend"}
    assert clients.get((own, INBOUND_PORT)).status == 200
    with pytest.raises(ConnectionRefusedError):
        clients.get((backend.address, INBOUND_PORT))


def test_others_dial_the_advertised_address(lab: Lab) -> None:
    backend = lab.offer(HttpApp("backend"))
    public = lab.address()
    backend.networking["advertisedAddress"] = public
    translation = Forwarder(backend.address, INBOUND_PORT)
    translation.start(public, INBOUND_PORT)
    web = lab.consume("backend")
    try:
        lab.start()

        assert answers(web, "backend") == {"backend"}
        assert translation.connections == 1
        assert web.healthy("backend") == {f"{public}:{INBOUND_PORT}"}
    finally:
        translation.stop()


@pytest.mark.parametrize(
    "withheld",
    [{"state": "NotReady"}, {"state": "Ignored"}, {"health": {"ready": False}}],
    ids=["NotReady", "Ignored", "health.ready false"],
)
def test_inbound_that_is_not_ready_gets_no_requests(lab: Lab, withheld: dict[str, Any]) -> None:
    app = HttpApp("withheld")
    backend = lab.offer(app, **withheld)
    lab.offer(HttpApp("ready"))
    web = lab.consume("backend")
    lab.start()

    assert answers(web, "backend") == {"ready"}
    assert app.requests == []
    # Its listener is there all the same, so that whoever looks after it can try it out.
    assert clients.get((backend.address, INBOUND_PORT)).body == "withheld"


def test_delegated_gateway_is_a_client_without_inbounds(lab: Lab) -> None:
    lab.offer(HttpApp("one"), tags={"version": "v1"})
    lab.offer(HttpApp("two"))
    edge = lab.consume_by_gateway("backend", v1={SERVICE: "backend", "version": "v1"})
    lab.start()

    assert answers(edge, "backend") == {"one", "two"}
    assert answers(edge, "v1") == {"one"}
    assert {name.partition(":")[0] for name in edge.envoy.admin.listeners()} == {"outbound"}


def test_outbound_without_an_address_listens_on_the_usual_loopback_address(lab: Lab) -> None:
    lab.offer(HttpApp("backend"))
    web = lab.sidecar("web")
    web.add_inbound("web", lab.serve(HttpApp("web")), "http")
    web.add_outbound("backend", {SERVICE: "backend"}, address=None, port=free_port("127.0.0.1"))
    lab.start()

    assert web.outbound("backend")[0] == "127.0.0.1"
    assert answers(web, "backend") == {"backend"}


def test_two_hosts_reach_each_other(lab: Lab) -> None:
    orders = lab.offer(HttpApp("orders"), service="orders")
    stock = lab.offer(HttpApp("stock"), service="stock")
    orders.add_outbound("stock", {SERVICE: "stock"})
    stock.add_outbound("orders", {SERVICE: "orders"})
    lab.start()

    assert answers(orders, "stock") == {"stock"}
    assert answers(stock, "orders") == {"orders"}
