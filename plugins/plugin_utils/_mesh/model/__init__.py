# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resources as typed, frozen values. What the user did not write is None; defaults stand where they take effect."""

from __future__ import annotations

import re

_SNAKE = re.compile(r"_([a-z0-9])")


def field_name(name: str) -> str:
    """`healthy_threshold`, the name of a dataclass's field or in snake_case, as Kuma's `healthyThreshold`."""
    return _SNAKE.sub(lambda match: match[1].upper(), name)


class StringMap(tuple[tuple[str, str], ...]):
    """A mapping of strings to strings that can be hashed: its items, sorted."""

    __slots__ = ()
