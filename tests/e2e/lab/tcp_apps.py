# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications that speak TCP: an echo, the same behind TLS, and what they share with the HTTP ones."""

from __future__ import annotations

import abc
import contextlib
import datetime
import socket
import socketserver
import ssl
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CHUNK = 65536


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: Any) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that end in the middle are part of the tests; nothing is printed."""


class App(abc.ABC):
    """A server with one thread per connection. Subclasses say in `serve` what happens on a connection."""

    def __init__(self) -> None:
        self.address = ""
        self.port = 0
        self.connections = 0
        self.peers: list[str] = []
        self._server: _Server | None = None
        self._open: set[socket.socket] = set()

    def start(self, address: str, port: int = 0) -> None:
        app = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                app.connections += 1
                app.peers.append(self.client_address[0])
                app._open.add(self.request)
                try:
                    app.serve(self.request)
                finally:
                    app._open.discard(self.request)

        self._server = _Server((address, port), Handler)
        self.address, self.port = address, self._server.socket.getsockname()[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Close the port and every connection, like a process that ends."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._server = None
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @abc.abstractmethod
    def serve(self, connection: socket.socket) -> None:
        """Talk over one connection until it ends."""


class TcpApp(App):
    """Answers every chunk with `reply(chunk)`; as it comes, an echo."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[bytes] = []
        self.reply: Callable[[bytes], bytes] = bytes

    def serve(self, connection: socket.socket) -> None:
        while data := connection.recv(CHUNK):
            self.received.append(data)
            connection.sendall(self.reply(data))


class TlsApp(TcpApp):
    """An echo that terminates TLS itself; with `certificate` (PEM), which it signs itself, a client can verify it.

    It speaks one protocol of ALPN, and remembers the server names that clients asked for.
    """

    def __init__(self, server_name: str, protocol: str) -> None:
        super().__init__()
        self.server_name = server_name
        self.asked_for: list[str | None] = []
        self.certificate, key = _self_signed(server_name)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.set_alpn_protocols([protocol])
        self._context.sni_callback = lambda _connection, name, _context: self.asked_for.append(name)
        with tempfile.TemporaryDirectory() as directory:
            chain = Path(directory) / "chain.pem"
            chain.write_text(key + self.certificate)
            self._context.load_cert_chain(chain)

    def serve(self, connection: socket.socket) -> None:
        with self._context.wrap_socket(connection, server_side=True) as wrapped:
            super().serve(wrapped)


def _self_signed(server_name: str) -> tuple[str, str]:
    """Certificate and key as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, server_name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(server_name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )


class Forwarder(App):
    """Passes every connection on to another address: a stand-in for the address translation in front of a host."""

    def __init__(self, address: str, port: int) -> None:
        super().__init__()
        self._destination = (address, port)

    def serve(self, connection: socket.socket) -> None:
        with socket.create_connection(self._destination, timeout=5) as onward:
            onward.settimeout(None)
            back = threading.Thread(target=_pump, args=(onward, connection), daemon=True)
            back.start()
            _pump(connection, onward)
            back.join(5)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
