# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications that speak HTTP/1.1 and HTTP/2 without TLS, and remember what they were asked."""

from __future__ import annotations

import http.server
import socket
import threading
from dataclasses import dataclass

import h2.config
import h2.connection
import h2.events

from lab.tcp_apps import CHUNK, App

HEALTH = "/health"
_HANG_SECONDS = 2.0


@dataclass(frozen=True)
class Request:
    """What an application saw: `headers` in the order of arrival, with lower-case names."""

    path: str
    protocol: str
    headers: tuple[tuple[str, str], ...]

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


class _Answers(App):
    """What both protocols share. The body is the name; tests set the status of `/health` and of the rest."""

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.name = name
        self.health_status = 200
        self.status = 200
        self.requests: list[Request] = []
        self._hang = 0
        self._stopped = threading.Event()

    def hang(self, count: int) -> None:
        """Leave the next `count` health checks without an answer."""
        self._hang = count

    @property
    def hangs_left(self) -> int:
        return self._hang

    @property
    def checks(self) -> list[Request]:
        return [request for request in self.requests if request.path == HEALTH]

    @property
    def taken(self) -> list[Request]:
        """The requests that were no health checks."""
        return [request for request in self.requests if request.path != HEALTH]

    def stop(self) -> None:
        self._stopped.set()
        super().stop()

    def _answer(self, request: Request) -> tuple[int, bytes]:
        self.requests.append(request)
        if request.path != HEALTH:
            return self.status, self.name.encode()
        if self._hang > 0:
            self._hang -= 1
            self._stopped.wait(_HANG_SECONDS)
        return self.health_status, b""


class HttpApp(_Answers):
    """HTTP/1.1 with keep-alive."""

    def serve(self, connection: socket.socket) -> None:
        app = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                headers = tuple((name.lower(), value) for name, value in self.headers.items())
                status, body = app._answer(Request(self.path, self.request_version, headers))
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing is printed."""

        Handler(connection, ("", 0), None)  # type: ignore[arg-type]


class Http2App(_Answers):
    """HTTP/2 with prior knowledge; anything else on the connection ends it."""

    def serve(self, connection: socket.socket) -> None:
        state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        state.initiate_connection()
        connection.sendall(state.data_to_send())
        streams: dict[int, Request] = {}
        while data := connection.recv(CHUNK):
            for event in state.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    headers = tuple((str(name), str(value)) for name, value in event.headers)
                    streams[event.stream_id] = Request(dict(headers)[":path"], "HTTP/2", headers)
                elif isinstance(event, h2.events.DataReceived):
                    state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamReset):
                    streams.pop(event.stream_id, None)
                elif isinstance(event, h2.events.StreamEnded):
                    status, body = self._answer(streams.pop(event.stream_id))
                    state.send_headers(event.stream_id, [(":status", str(status))])
                    state.send_data(event.stream_id, body, end_stream=True)
            connection.sendall(state.data_to_send())
