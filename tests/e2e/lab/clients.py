# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an application does through its sidecar: HTTP/1.1, HTTP/2, TCP and TLS requests."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import h2.config
import h2.connection
import h2.events

from lab.tcp_apps import CHUNK

SECONDS = 5.0
Address = tuple[str, int]


@dataclass(frozen=True)
class Response:
    """Status, headers (lower-case names; the last one of a name) and body."""

    status: int
    headers: dict[str, str]
    body: str


def request(address: Address, method: str, path: str = "/", headers: Mapping[str, str] | None = None) -> Response:
    """One HTTP/1.1 request without a body, on a connection of its own."""
    connection = http.client.HTTPConnection(*address, timeout=SECONDS)
    try:
        connection.request(method, path, headers=dict(headers or {}))
        answer = connection.getresponse()
        body = answer.read().decode()
        return Response(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)
    finally:
        connection.close()


def get(address: Address, path: str = "/", headers: Mapping[str, str] | None = None) -> Response:
    return request(address, "GET", path, headers)


def get_http2(address: Address, path: str = "/") -> Response:
    """One HTTP/2 request with prior knowledge, without TLS."""
    state = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    state.initiate_connection()
    state.send_headers(
        1,
        [(":method", "GET"), (":scheme", "http"), (":authority", "{}:{}".format(*address)), (":path", path)],
        end_stream=True,
    )
    headers: dict[str, str] = {}
    body = b""
    with socket.create_connection(address, timeout=SECONDS) as connection:
        connection.sendall(state.data_to_send())
        while data := connection.recv(CHUNK):
            for event in state.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    headers = {str(name): str(value) for name, value in event.headers}
                elif isinstance(event, h2.events.DataReceived):
                    body += event.data
                    state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    return Response(int(headers[":status"]), headers, body.decode())
                elif isinstance(event, h2.events.StreamReset):
                    raise ConnectionError(f"stream reset with error code {event.error_code}")
            connection.sendall(state.data_to_send())
    raise ConnectionError("the connection ended before the response")


def send(address: Address, message: bytes) -> bytes:
    """One message over TCP and as many bytes back; fewer when the other side ends the connection."""
    with socket.create_connection(address, timeout=SECONDS) as connection:
        return _echo(connection, message)


@dataclass(frozen=True)
class TlsAnswer:
    """What came back over TLS, the certificate of whoever ended it (PEM), and the protocol that ALPN chose."""

    message: bytes
    certificate: str
    protocol: str | None


def send_tls(
    address: Address, message: bytes, server_name: str, certificate: str, protocols: Sequence[str]
) -> TlsAnswer:
    """The same over TLS, verified end to end against `certificate` (PEM); ALPN offers `protocols`."""
    context = ssl.create_default_context(cadata=certificate)
    context.set_alpn_protocols(list(protocols))
    with (
        socket.create_connection(address, timeout=SECONDS) as connection,
        context.wrap_socket(connection, server_hostname=server_name) as wrapped,
    ):
        presented = ssl.DER_cert_to_PEM_cert(wrapped.getpeercert(binary_form=True) or b"")
        return TlsAnswer(_echo(wrapped, message), presented, wrapped.selected_alpn_protocol())


def _echo(connection: socket.socket, message: bytes) -> bytes:
    connection.sendall(message)
    answer = b""
    while len(answer) < len(message):
        data = connection.recv(CHUNK)
        if not data:
            break
        answer += data
    return answer
