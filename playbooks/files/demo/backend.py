# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application of the demo: `backend.py NAME ADDRESS PORT`.

Any GET answers with the name. `/health` answers 200 or 503, as the last POST to `/sick` or `/well` said.
"""

from __future__ import annotations

import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Serves one connection; what all of them share belongs to the class."""

    protocol_version = "HTTP/1.1"
    name = ""
    status = HTTPStatus.OK

    def do_GET(self) -> None:
        """Answer with the name of this backend."""
        self._answer(Handler.status if self.path == "/health" else HTTPStatus.OK)

    def do_POST(self) -> None:
        """Turn sick or well."""
        Handler.status = HTTPStatus.SERVICE_UNAVAILABLE if self.path == "/sick" else HTTPStatus.OK
        self._answer(HTTPStatus.OK)

    def _answer(self, status: HTTPStatus) -> None:
        body = Handler.name.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


if __name__ == "__main__":
    Handler.name = sys.argv[1]
    ThreadingHTTPServer((sys.argv[2], int(sys.argv[3])), Handler).serve_forever()
