# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests through outbound listener, remote inbound listener and application, for every protocol."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lab import clients, websocket
from lab.grpc_app import GrpcApp, GrpcClient
from lab.http_apps import Http2App, HttpApp
from lab.mesh import Lab
from lab.tcp_apps import TcpApp, TlsApp

MESSAGE = b"a message that has to come back as it went out \x00\xff"


def test_http_stays_http1_for_both_applications_and_is_http2_in_between(lab: Lab) -> None:
    app = HttpApp("backend")
    backend = lab.offer(app, protocol="http")
    web = lab.consume("backend")
    lab.start()

    response = web.get("backend", "/orders?page=2", {"x-request": "7"})

    assert (response.status, response.body) == (200, "backend")
    [request] = app.taken
    assert (request.path, request.protocol) == ("/orders?page=2", "HTTP/1.1")
    assert request.values("x-request") == ["7"]
    assert request.values("x-kuma-tags") == []
    assert web.stat("cluster.backend.upstream_cx_http2_total") == 1
    assert backend.stat(f"http.localhost_{app.port}.downstream_cx_http2_total") == 1


@pytest.mark.parametrize("request_with", [clients.get, clients.get_http2], ids=["HTTP/1.1 client", "HTTP/2 client"])
def test_http2_reaches_the_application_as_http2(lab: Lab, request_with: Callable[..., clients.Response]) -> None:
    app = Http2App("backend")
    lab.offer(app, protocol="http2")
    web = lab.consume("backend")
    lab.start()

    response = request_with(web.outbound("backend"), "/orders")

    assert (response.status, response.body) == (200, "backend")
    assert [(request.path, request.protocol) for request in app.taken] == [("/orders", "HTTP/2")]


def test_http2_client_reaches_an_http1_application(lab: Lab) -> None:
    app = HttpApp("backend")
    lab.offer(app, protocol="http")
    web = lab.consume("backend")
    lab.start()

    response = clients.get_http2(web.outbound("backend"), "/orders")

    assert (response.status, response.body) == (200, "backend")
    assert [(request.path, request.protocol) for request in app.taken] == [("/orders", "HTTP/1.1")]


def test_grpc_calls_and_streams(lab: Lab) -> None:
    app = GrpcApp("backend")
    backend = lab.offer(app, protocol="grpc")
    web = lab.consume("backend")
    lab.start()

    with GrpcClient(web.outbound("backend")) as client:
        assert client.unary(b"one") == b"backend:one"
        assert list(client.stream([b"two", b"three", b"four"])) == [b"backend:two", b"backend:three", b"backend:four"]

    # Only the filter that comes with protocol grpc counts calls by their gRPC status.
    assert web.stat("cluster.backend.grpc.success") == 2
    assert backend.stat(f"cluster.localhost_{app.port}.grpc.success") == 2


@pytest.mark.parametrize("protocol", ["tcp", "kafka", None], ids=["tcp", "kafka", "no protocol tag"])
def test_bytes_pass_unchanged(lab: Lab, protocol: str | None) -> None:
    app = TcpApp()
    lab.offer(app, protocol=protocol)
    web = lab.consume("backend")
    lab.start()

    assert clients.send(web.outbound("backend"), MESSAGE) == MESSAGE
    assert b"".join(app.received) == MESSAGE
    assert web.stat("tcp.backend.downstream_cx_total") == 1


def test_one_untagged_instance_makes_the_whole_service_tcp(lab: Lab) -> None:
    tagged, untagged = HttpApp("tagged"), HttpApp("untagged")
    lab.offer(tagged, protocol="http")
    lab.offer(untagged, protocol=None)
    web = lab.consume("backend")
    lab.start()

    assert {web.get("backend").body for _attempt in range(4)} == {"tagged", "untagged"}
    assert web.stat("tcp.backend.downstream_cx_total") == 4
    assert web.stat("http.backend.downstream_rq_total") == 0


def test_tls_of_the_application_passes_through_a_tcp_service(lab: Lab) -> None:
    app = TlsApp("backend.internal")
    lab.offer(app, protocol="tcp")
    web = lab.consume("backend")
    lab.start()

    # The client verifies the application's own certificate: nobody in between has ended the TLS connection.
    answer = clients.send_tls(web.outbound("backend"), MESSAGE, app.server_name, app.certificate)

    assert answer == MESSAGE


def test_websocket_on_a_service_tagged_tcp(lab: Lab) -> None:
    app = websocket.WebSocketApp()
    lab.offer(app, protocol="tcp")
    web = lab.consume("backend")
    lab.start()

    assert websocket.exchange(web.outbound("backend"), [b"hello", b"again"]) == [b"hello", b"again"]
    assert app.messages == [b"hello", b"again"]


def test_websocket_on_a_service_tagged_http_is_refused(lab: Lab) -> None:
    app = websocket.WebSocketApp()
    lab.offer(app, protocol="http")
    web = lab.consume("backend")
    lab.start()

    with pytest.raises(websocket.WebSocketRefused) as refused:
        websocket.exchange(web.outbound("backend"), [b"hello"])
    assert refused.value.status == 403
    assert app.messages == []
