# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An application that knows nothing of the mesh: names its host and who asked, and fails every other time."""

from __future__ import annotations

import itertools
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 18080
requests = itertools.count()


class Application(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        fails = self.path != "/health" and next(requests) % 2
        body = f"{socket.gethostname()} {self.client_address[0]}\n".encode()
        self.send_response(503 if fails else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", PORT), Application).serve_forever()
