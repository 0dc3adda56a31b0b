# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for something to become true, with an end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(check: Callable[[], T], timeout: float = 10.0, interval: float = 0.02) -> T:
    """Call `check` until its answer is true and return that answer; fail with the last answer after `timeout` seconds.

    An AssertionError or OSError from `check` counts as "not yet".
    """
    deadline = time.monotonic() + timeout
    while True:
        error: Exception | None = None
        answer = None
        try:
            answer = check()
        except (AssertionError, OSError) as exc:
            error = exc
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s; the last answer was {error or answer!r}")
        time.sleep(interval)
