# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests through outbound listener, remote inbound listener and application, for every protocol."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import random
import socket
from collections.abc import Callable

import pytest
from lab import clients, websocket
from lab.clients import Address
from lab.grpc_app import GrpcApp, GrpcClient
from lab.http_apps import Http2App, HttpApp
from lab.kafka_app import KafkaBroker
from lab.mesh import Lab
from lab.polling import eventually
from lab.tap import Tap
from lab.tcp_apps import TcpApp, TlsApp

MESSAGE = b"a message that has to come back as it went out \x00\xff"
ATTEMPTS = 4


def test_http_stays_http1_for_both_applications(lab: Lab) -> None:
    app = HttpApp("backend")
    lab.offer(app, protocol="http")
    web = lab.consume("backend")
    lab.start()

    response = web.get("backend", "/orders?page=2", {"x-request": "7"})

    assert (response.status, response.body) == (200, "backend")
    [request] = app.taken
    assert (request.path, request.protocol) == ("/orders?page=2", "HTTP/1.1")
    assert request.values("x-request") == ["7"]
    assert request.values("x-kuma-tags") == []


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


def call(address: Address) -> None:
    with GrpcClient(address) as client:
        assert client.unary(b"one") == b"backend:one"


@pytest.mark.parametrize(
    ("protocol", "make_app", "request_with", "to_application"),
    [
        ("http", HttpApp, clients.get, {"http1": 1, "http2": 0}),
        ("http2", Http2App, clients.get, {"http1": 0, "http2": 1}),
        ("grpc", GrpcApp, call, {"http1": 0, "http2": 1}),
    ],
    ids=["http", "http2", "grpc"],
)
def test_sidecars_speak_http2_with_each_other_and_its_own_protocol_with_the_application(
    lab: Lab,
    protocol: str,
    make_app: type[HttpApp | Http2App | GrpcApp],
    request_with: Callable[[Address], object],
    to_application: dict[str, int],
) -> None:
    app = make_app("backend")
    backend = lab.offer(app, protocol=protocol)
    web = lab.consume("backend")
    lab.start()

    request_with(web.outbound("backend"))

    versions = ("http1", "http2")
    in_between = {"http1": 0, "http2": 1}
    local = f"localhost_{app.port}"
    assert {one: web.stat(f"cluster.backend.upstream_cx_{one}_total") for one in versions} == in_between
    assert {one: backend.stat(f"http.{local}.downstream_cx_{one}_total") for one in versions} == in_between
    assert {one: backend.stat(f"cluster.{local}.upstream_cx_{one}_total") for one in versions} == to_application


def test_grpc_calls_and_streams(lab: Lab) -> None:
    lab.offer(GrpcApp("backend"), protocol="grpc")
    web = lab.consume("backend")
    lab.start()

    with GrpcClient(web.outbound("backend")) as client:
        assert client.unary(b"one") == b"backend:one"
        assert list(client.stream([b"two", b"three", b"four"])) == [b"backend:two", b"backend:three", b"backend:four"]


@pytest.mark.parametrize("protocol", ["tcp", "kafka", None], ids=["tcp", "kafka", "no protocol tag"])
def test_bytes_pass_unchanged(lab: Lab, protocol: str | None) -> None:
    app = TcpApp()
    lab.offer(app, protocol=protocol)
    web = lab.consume("backend")
    lab.start()

    assert clients.send(web.outbound("backend"), MESSAGE) == MESSAGE
    assert b"".join(app.received) == MESSAGE


# ------------------------------------------------------------------------------------------------------- statistics


@pytest.mark.parametrize(("protocol", "make_app"), [("http", HttpApp), ("http2", Http2App)], ids=["http", "http2"])
def test_http_is_counted_by_request_and_status(lab: Lab, protocol: str, make_app: type[HttpApp | Http2App]) -> None:
    app = make_app("backend")
    backend = lab.offer(app, protocol=protocol)
    web = lab.consume("backend")
    lab.start()

    with contextlib.closing(http.client.HTTPConnection(*web.outbound("backend"), timeout=clients.SECONDS)) as client:
        for app.status in (200, 201, 404, 500):
            client.request("GET", "/")
            client.getresponse().read()

    for sidecar, listener in ((web, "backend"), (backend, f"localhost_{app.port}")):
        counted = {one: sidecar.stat(f"http.{listener}.downstream_rq_{one}") for one in ("2xx", "4xx", "5xx", "total")}
        assert counted == {"2xx": 2, "4xx": 1, "5xx": 1, "total": 4}
        assert sidecar.stat(f"http.{listener}.downstream_cx_total") == 1


def test_grpc_is_counted_by_call_message_and_status(lab: Lab) -> None:
    app = GrpcApp("backend")
    backend = lab.offer(app, protocol="grpc")
    web = lab.consume("backend")
    lab.start()

    with GrpcClient(web.outbound("backend")) as client:
        client.unary(b"one")
        list(client.stream([b"two", b"three"]))
        app.serving = False
        assert client.unary(b"four") == b"UNAVAILABLE"

    # HTTP knows three successes only; the filter that comes with protocol grpc looks into them.
    assert web.stat("http.backend.downstream_rq_2xx") == 3
    expected = {
        "total": 3,
        "success": 2,
        "failure": 1,
        "0": 2,
        "14": 1,
        "request_message_count": 4,
        "response_message_count": 3,
    }
    for sidecar, cluster in ((web, "backend"), (backend, f"localhost_{app.port}")):
        assert {one: sidecar.stat(f"cluster.{cluster}.grpc.{one}") for one in expected} == expected


@pytest.mark.parametrize("protocol", ["tcp", "kafka", None], ids=["tcp", "kafka", "no protocol tag"])
def test_tcp_is_counted_by_connection(lab: Lab, protocol: str | None) -> None:
    app = TcpApp()
    backend = lab.offer(app, protocol=protocol)
    web = lab.consume("backend")
    lab.start()

    for _attempt in range(2):
        with socket.create_connection(web.outbound("backend"), timeout=clients.SECONDS) as connection:
            for _message in range(3):
                connection.sendall(MESSAGE)
                connection.recv(len(MESSAGE), socket.MSG_WAITALL)

    sent = 2 * 3 * len(MESSAGE)
    for sidecar, listener in ((web, "backend"), (backend, f"localhost_{app.port}")):
        counted = {
            one: sidecar.stat(f"tcp.{listener}.downstream_cx_{one}")
            for one in ("total", "rx_bytes_total", "tx_bytes_total")
        }
        assert counted == {"total": 2, "rx_bytes_total": sent, "tx_bytes_total": sent}
        assert sidecar.stat(f"http.{listener}.downstream_rq_total") == 0


# ------------------------------------------------------------------------------------------------------------ kafka


# Python 3.11 and 3.12 call the functions deprecated by which kafka-python reads its schemas.
@pytest.mark.filterwarnings("ignore:(read|open)_text is deprecated:DeprecationWarning")
def test_kafka_client_and_broker_get_each_others_frames_byte_for_byte(lab: Lab) -> None:
    """The client is kafka-python, which finds the broker, produces and consumes; the broker is a stub of ours, which
    tells clients that it is where the outbound is. Envoy's wheel has no Kafka filter, so the service is plain TCP.
    """
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition

    broker = KafkaBroker()
    lab.serve(broker)
    behind = Tap(broker.address, broker.port)
    lab.offer(behind, protocol="kafka")
    web = lab.consume("backend")
    before = Tap(*web.outbound("backend"))
    lab.serve(before)
    broker.advertised = (before.address, before.port)
    lab.start()

    # The second one needs many segments, and holds whatever a proxy might stumble over.
    values = [b"first", random.Random(0).randbytes(300_000), b"last"]
    server = "{}:{}".format(*broker.advertised)
    with KafkaProducer(bootstrap_servers=server, enable_idempotence=False) as producer:
        assert [producer.send("orders", value).get(timeout=10).offset for value in values] == [0, 1, 2]
    with contextlib.closing(
        KafkaConsumer(bootstrap_servers=server, auto_offset_reset="earliest", consumer_timeout_ms=10_000)
    ) as consumer:
        consumer.assign([TopicPartition("orders", 0)])
        assert [record.value for record in itertools.islice(consumer, len(values))] == values

    def all_arrived() -> bool:
        assert behind.heard == before.heard
        return True

    eventually(all_arrived)
    assert sum(len(requests) for requests, _answers in before.heard) > len(values[1])
    assert sum(len(answers) for _requests, answers in before.heard) > len(values[1])
    assert web.stat("tcp.backend.downstream_cx_total") == len(before.heard)


# ------------------------------------------------------------------------------------- several protocols, one service


@pytest.mark.parametrize(
    ("tags", "read_as_http"),
    [
        (("http2", "grpc"), True),
        (("http", "http2"), False),
        (("http", "grpc"), False),
        (("http", "tcp"), False),
        (("grpc", "kafka"), False),
        (("http2", "grpc", "http"), False),
        (("http", None), False),
    ],
    ids=lambda value: "+".join(map(str, value)) if isinstance(value, tuple) else ("HTTP" if value else "TCP"),
)
def test_a_service_speaks_what_all_its_instances_have_in_common(
    lab: Lab, tags: tuple[str | None, ...], read_as_http: bool
) -> None:
    for tag in tags:
        # An HTTP/1.1 client is understood by all: by inbounds that read HTTP, and by applications behind the others.
        app = Http2App(str(tag)) if tag in ("http2", "grpc") else HttpApp(str(tag))
        lab.offer(app, protocol=tag)
    web = lab.consume("backend")
    lab.start()

    attempts = ATTEMPTS * len(tags)
    assert {web.get("backend").body for _attempt in range(attempts)} == {str(tag) for tag in tags}
    assert web.stat("http.backend.downstream_rq_total") == (attempts if read_as_http else 0)
    assert web.stat("tcp.backend.downstream_cx_total") == (0 if read_as_http else attempts)


def test_grpc_and_http2_have_http2_in_common(lab: Lab) -> None:
    apps = {protocol: GrpcApp(protocol) for protocol in ("grpc", "http2")}
    sidecars = {protocol: lab.offer(app, protocol=protocol) for protocol, app in apps.items()}
    web = lab.consume("backend")
    lab.start()

    with GrpcClient(web.outbound("backend")) as client:
        assert {client.unary(b"one") for _attempt in range(ATTEMPTS)} == {b"grpc:one", b"http2:one"}

    # Calls are counted only where all the traffic is known to be gRPC: at the instance that says so of itself.
    assert web.stat("cluster.backend.grpc.total") == 0
    counted = {one: sidecars[one].stat(f"cluster.localhost_{app.port}.grpc.total") for one, app in apps.items()}
    assert counted == {"grpc": len(apps["grpc"].taken), "http2": 0}


# ------------------------------------------------------------------------------------------------ TLS and WebSocket


@pytest.mark.parametrize("protocol", ["tcp", None], ids=["tcp", "no protocol tag"])
def test_tls_of_the_application_passes_untouched(lab: Lab, protocol: str | None) -> None:
    app = TlsApp("backend.internal", "lab/2")
    lab.offer(app, protocol=protocol)
    web = lab.consume("backend")
    lab.start()

    answer = clients.send_tls(
        web.outbound("backend"), MESSAGE, app.server_name, app.certificate, protocols=["lab/1", "lab/2"]
    )

    # The handshake was between client and application, in all its parts.
    assert answer == clients.TlsAnswer(MESSAGE, app.certificate, "lab/2")
    assert app.asked_for == ["backend.internal"]


@pytest.mark.parametrize("protocol", ["tcp", None], ids=["tcp", "no protocol tag"])
def test_websocket_on_a_service_that_is_tcp(lab: Lab, protocol: str | None) -> None:
    app = websocket.WebSocketApp()
    lab.offer(app, protocol=protocol)
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
