# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations as Kuma writes them (Go's notation) and as Envoy reads them (proto3 JSON)."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_TERM = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)", re.ASCII)
_DURATION = re.compile(rf"[-+]?(?:0|(?:{_TERM.pattern})+)\Z", re.ASCII)
_LARGEST = 2**63 - 1


class Duration(NamedTuple):
    """A duration in nanoseconds."""

    nanoseconds: int

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Go's `time.ParseDuration`: `1h2m3.5s`, units ns us ms s m h; `0` needs none. ValueError for anything else."""
        if not _DURATION.match(text):
            raise ValueError(text)
        total = sum(int(Decimal(number) * _UNITS[unit]) for number, unit in _TERM.findall(text))
        if total > _LARGEST:
            raise ValueError(text)
        return cls(-total if text.startswith("-") else total)

    def proto(self) -> str:
        """Seconds with as many digits as proto3 JSON prints: none, three, six or nine."""
        return _proto(self.nanoseconds)

    def __str__(self) -> str:
        """Go's notation, normalised: `90s` is `1m30s`."""
        rest = abs(self.nanoseconds)
        sign = "-" if self.nanoseconds < 0 else ""
        if rest == 0:
            return "0s"
        if rest < 1_000_000_000:
            for unit in ("ms", "\u00b5s", "ns"):
                if rest >= _UNITS[unit]:
                    return f"{sign}{_plain(Decimal(rest) / _UNITS[unit])}{unit}"
        hours, rest = divmod(rest, _UNITS["h"])
        minutes, rest = divmod(rest, _UNITS["m"])
        text = f"{hours}h" if hours else ""
        text += f"{minutes}m" if minutes or hours else ""
        return f"{sign}{text}{_plain(Decimal(rest) / _UNITS['s'])}s"


# A mesh has few different durations, and each stands in many resources.
@lru_cache(maxsize=1024)
def _proto(nanoseconds: int) -> str:
    seconds, fraction = divmod(abs(nanoseconds), 1_000_000_000)
    sign = "-" if nanoseconds < 0 else ""
    if not fraction:
        return f"{sign}{seconds}s"
    digits = f"{fraction:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{sign}{seconds}.{digits}s"


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
