# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of WebSocket (RFC 6455) as one text message to and fro needs: the application and the client."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
from typing import BinaryIO

from lab.tcp_apps import App

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT = 0x81
_MASKED = 0x80


def _accept(key: bytes) -> bytes:
    return base64.b64encode(hashlib.sha1(key + _GUID).digest())


def _head(stream: BinaryIO) -> tuple[bytes, dict[bytes, bytes]]:
    """The first line of a request or response, and its headers with lower-case names."""
    first = stream.readline().strip()
    headers = {}
    while line := stream.readline().strip():
        name, _separator, value = line.partition(b":")
        headers[name.strip().lower()] = value.strip()
    return first, headers


def _mask(data: bytes, mask: bytes) -> bytes:
    return bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))


def _read_frame(stream: BinaryIO) -> bytes | None:
    """The payload of a short frame, or None at the end of the connection."""
    start = stream.read(2)
    if len(start) < 2:
        return None
    mask = stream.read(4) if start[1] & _MASKED else bytes(4)
    return _mask(stream.read(start[1] & ~_MASKED), mask)


class WebSocketApp(App):
    """Sends every message back."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[bytes] = []

    def serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            _request, headers = _head(stream)
            connection.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + _accept(headers[b"sec-websocket-key"]) + b"\r\n\r\n"
            )
            while (payload := _read_frame(stream)) is not None:
                self.messages.append(payload)
                connection.sendall(bytes([_TEXT, len(payload)]) + payload)


class WebSocketRefused(Exception):
    """The upgrade was answered with another status than 101; `status` is that one."""

    def __init__(self, status: int) -> None:
        super().__init__(f"upgrade answered with {status}")
        self.status = status


def exchange(address: tuple[str, int], messages: list[bytes]) -> list[bytes]:
    """Open a WebSocket, send the messages (up to 125 bytes each) one by one and return the answers."""
    key = base64.b64encode(os.urandom(16))
    with socket.create_connection(address, timeout=5) as connection, connection.makefile("rb") as stream:
        connection.sendall(
            b"GET /chat HTTP/1.1\r\nHost: chat\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n"
        )
        status_line, headers = _head(stream)
        status = int(status_line.split()[1])
        if status != 101:
            raise WebSocketRefused(status)
        assert headers[b"sec-websocket-accept"] == _accept(key)
        answers = []
        for message in messages:
            mask = os.urandom(4)
            connection.sendall(bytes([_TEXT, _MASKED | len(message)]) + mask + _mask(message, mask))
            answers.append(_read_frame(stream) or b"")
        return answers
