# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A listener on the line: passes bytes on and keeps a copy of them, so that two ends of a way can be compared."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field

from lab.tcp_apps import CHUNK, Forwarder


@dataclass
class Conversation:
    """What passed on one connection, in either direction."""

    requests: bytearray = field(default_factory=bytearray)
    answers: bytearray = field(default_factory=bytearray)


class Tap(Forwarder):
    """Forwards every connection and keeps what was said, also what came after the other side had hung up."""

    def __init__(self, address: str, port: int) -> None:
        super().__init__(address, port)
        self.conversations: list[Conversation] = []

    @property
    def heard(self) -> list[tuple[bytes, bytes]]:
        """The conversations without regard to which began first."""
        return sorted((bytes(one.requests), bytes(one.answers)) for one in self.conversations)

    def serve(self, connection: socket.socket) -> None:
        conversation = Conversation()
        self.conversations.append(conversation)
        with socket.create_connection(self._destination, timeout=5) as onward:
            onward.settimeout(None)
            back = threading.Thread(target=_pump, args=(onward, connection, conversation.answers), daemon=True)
            back.start()
            _pump(connection, onward, conversation.requests)
            back.join(5)


def _pump(source: socket.socket, sink: socket.socket, record: bytearray) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            record.extend(data)
            with contextlib.suppress(OSError):
                sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
