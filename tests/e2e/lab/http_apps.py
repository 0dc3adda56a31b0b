# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications that speak HTTP/1.1 and HTTP/2 without TLS, and remember what they were asked."""

from __future__ import annotations

import http.server
import queue
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.settings
from h2.errors import ErrorCodes

from lab.tcp_apps import CHUNK, App

HEALTH = "/health"
STREAM = "/stream"
_HANG_SECONDS = 2.0
_OTHER_METHODS = ("DELETE", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")


@dataclass(frozen=True)
class Request:
    """What an application saw and when (Unix time): `headers` in the order of arrival, with lower-case names."""

    path: str
    protocol: str
    headers: tuple[tuple[str, str], ...]
    method: str = "GET"
    time: float = field(default_factory=time.time)

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


@dataclass(frozen=True)
class Answer:
    """What an application does about a request. With `reset` there is no answer but the end of the connection, or of
    the HTTP/2 stream with this error code.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    reset: ErrorCodes | None = None


class _Answers(App):
    """What both protocols share. The body is the name; tests set the status of `/health` and of the rest.

    For more than a status they set `reply`, which may take its time.
    """

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.name = name
        self.health_status = 200
        self.status = 200
        self.reply: Callable[[Request], Answer] = lambda _request: Answer(self.status)
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

    def _answer(self, request: Request) -> tuple[Answer, bytes]:
        self.requests.append(request)
        if request.path != HEALTH:
            return self.reply(request), self.name.encode()
        if self._hang > 0:
            self._hang -= 1
            self._stopped.wait(_HANG_SECONDS)
        return Answer(self.health_status), b""


class HttpApp(_Answers):
    """HTTP/1.1 with keep-alive. `/stream` is answered with what tests put into `stream`, as it comes, up to a None."""

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self.stream: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def stop(self) -> None:
        self.stream.put(None)
        super().stop()

    def serve(self, connection: socket.socket) -> None:
        app = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = tuple((name.lower(), value) for name, value in self.headers.items())
                request = Request(self.path, self.request_version, headers, self.command)
                answer, body = app._answer(request)
                if answer.reset is not None:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if self.path == STREAM:
                    self.send_header("transfer-encoding", "chunked")
                    self.end_headers()
                    while chunk := app.stream.get():
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                    self.wfile.write(b"0\r\n\r\n")
                    return
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing is printed."""

        for method in _OTHER_METHODS:
            setattr(Handler, f"do_{method}", Handler.do_GET)
        Handler(connection, ("", 0), None)  # type: ignore[arg-type]


class Http2App(_Answers):
    """HTTP/2 with prior knowledge; anything else on the connection ends it. It takes `streams` at a time, if told."""

    def __init__(self, name: str = "", streams: int | None = None) -> None:
        super().__init__(name)
        self._streams = streams

    def serve(self, connection: socket.socket) -> None:
        state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        state.initiate_connection()
        if self._streams is not None:
            state.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: self._streams})
        connection.sendall(state.data_to_send())
        streams: dict[int, Request] = {}
        while data := connection.recv(CHUNK):
            for event in state.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    headers = tuple((str(name), str(value)) for name, value in event.headers)
                    pseudo = dict(headers)
                    streams[event.stream_id] = Request(pseudo[":path"], "HTTP/2", headers, pseudo[":method"])
                elif isinstance(event, h2.events.DataReceived):
                    state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamReset):
                    streams.pop(event.stream_id, None)
                elif isinstance(event, h2.events.StreamEnded):
                    answer, body = self._answer(streams.pop(event.stream_id))
                    if answer.reset is not None:
                        state.reset_stream(event.stream_id, answer.reset)
                    else:
                        state.send_headers(event.stream_id, [(":status", str(answer.status)), *answer.headers.items()])
                        state.send_data(event.stream_id, body, end_stream=True)
            connection.sendall(state.data_to_send())
