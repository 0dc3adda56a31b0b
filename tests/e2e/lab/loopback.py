# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses below 127.0.0.0/8, so that every host of a lab can use the same ports."""

from __future__ import annotations

import random
import socket

_CLAIM_PORT = 20000
_CLAIM_HOST = 254


class Network:
    """A /24 of loopback addresses that no other lab on this machine uses at the same time."""

    def __init__(self) -> None:
        # The bound socket is the claim: a second lab that draws the same network cannot bind it and draws again.
        while True:
            self._prefix = f"127.{random.randint(16, 254)}.{random.randint(0, 255)}"
            self._claim = socket.socket()
            try:
                self._claim.bind((f"{self._prefix}.{_CLAIM_HOST}", _CLAIM_PORT))
                break
            except OSError:
                self._claim.close()
        self._used = 0

    def address(self) -> str:
        """The next address that nobody has yet."""
        self._used += 1
        if self._used == _CLAIM_HOST:
            raise RuntimeError("a lab has at most 253 addresses")
        return f"{self._prefix}.{self._used}"

    def release(self) -> None:
        self._claim.close()


def free_port(address: str) -> int:
    """A port of `address` that was free a moment ago."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
