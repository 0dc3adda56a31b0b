# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of the demo: `client.py ADDRESS PORT [REQUESTS]`.

Sends requests one after another, so many or until it is told to end (SIGTERM), and then prints how many each backend
has answered and how many failed, as JSON: `{"answers": {"backend-1": 50, "backend-2": 50}, "errors": 0}`.
"""

from __future__ import annotations

import http.client
import itertools
import json
import signal
import sys
import time
from collections import Counter

PAUSE_SECONDS = 0.005


def request(address: str, port: int) -> str | None:
    """The name of the backend that answers; None for an error."""
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        body = response.read().decode()
    except OSError:
        return None
    finally:
        connection.close()
    return body if response.status == http.HTTPStatus.OK else None


def main(address: str, port: int, requests: int | None) -> None:
    """Send requests and print the totals."""
    ended = False

    def end(_signal: int, _frame: object) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGTERM, end)
    answers: Counter[str | None] = Counter()
    for number in itertools.count():
        if ended or number == requests:
            break
        answers[request(address, port)] += 1
        time.sleep(PAUSE_SECONDS)
    errors = answers.pop(None, 0)
    json.dump({"answers": dict(sorted(answers.items())), "errors": errors}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else None)
