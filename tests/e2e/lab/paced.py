# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversations that take their time: applications that answer slowly or never, and clients that ask slowly."""

from __future__ import annotations

import http.client
import select
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from lab.clients import Address
from lab.grpc_app import GrpcApp
from lab.tcp_apps import App

# The parts of what is sent, each with the pause before it.
Paced = Sequence[tuple[float, bytes]]

# Longer than anything that a test waits for.
SECONDS = 30.0


class PacedApp(App):
    """HTTP/1.1 with keep-alive. The head of an answer comes after the first pause, a byte of its body after each other.

    `requests` counts those that arrived whole; `pauses` may be changed between them.
    """

    def __init__(self, *pauses: float) -> None:
        super().__init__()
        self.requests = 0
        self.pauses = pauses or (0.0,)
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()
        super().stop()

    def serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while stream.readline():
                headers = http.client.parse_headers(stream)
                stream.read(int(headers["content-length"] or 0))
                first, *others = self.pauses
                self.requests += 1
                self._stopped.wait(first)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(others))
                for pause in others:
                    self._stopped.wait(pause)
                    connection.sendall(b".")


class PacedGrpcApp(GrpcApp):
    """Answers each call after a pause."""

    def __init__(self, pause: float) -> None:
        super().__init__()
        self._pause = pause

    def _unary(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        time.sleep(self._pause)
        return super()._unary(message, context)


class Unreachable:
    """A port on which no connection is ever established, nor refused: its queue is full, and nobody takes from it."""

    def __init__(self) -> None:
        self.address = ""
        self.port = 0
        self._sockets: list[socket.socket] = []

    def start(self, address: str, port: int = 0) -> None:
        listening = socket.socket()
        listening.bind((address, port))
        listening.listen(0)
        self.address, self.port = listening.getsockname()
        self._sockets = [listening]
        established = True
        while established:
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex((self.address, self.port))
            self._sockets.append(waiting)
            _readable, established, _failed = select.select([], [waiting], [], 0.1)

    def stop(self) -> None:
        for one in self._sockets:
            one.close()


@dataclass(frozen=True)
class Ending:
    """How a conversation ended, and after how many seconds: `status` is that of the last answer, `whole` says whether
    all of that answer came.
    """

    status: int
    whole: bool
    seconds: float


def converse(address: Address, *requests: Paced) -> Ending:
    """HTTP/1.1 requests one after the other on one connection. What an answer comes before is not sent any more."""
    start = time.monotonic()
    status, whole = 0, True
    with socket.create_connection(address, timeout=SECONDS) as connection:
        for request in requests:
            for pause, part in request:
                answered, _writable, _failed = select.select([connection], [], [], pause)
                if answered:
                    break
                connection.sendall(part)
            with http.client.HTTPResponse(connection) as answer:
                answer.begin()
                status = answer.status
                try:
                    answer.read()
                except (http.client.IncompleteRead, ConnectionError):
                    whole = False
    return Ending(status, whole, time.monotonic() - start)
