# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations: Go's notation in, Go's and proto3 JSON's out. The expected values are those of Go 1.22."""

from __future__ import annotations

import re

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.model.duration import Duration

US, MS, S, M, H = 10**3, 10**6, 10**9, 60 * 10**9, 3600 * 10**9


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("-0", 0),
        ("0s", 0),
        ("1ns", 1),
        ("1us", US),
        ("1\u00b5s", US),
        ("1\u03bcs", US),
        ("25ms", 25 * MS),
        ("1.5s", 1500 * MS),
        ("1.s", S),
        (".5s", 500 * MS),
        ("1m30s", 90 * S),
        ("1h2m3.5s", H + 2 * M + 3500 * MS),
        ("30s1h", H + 30 * S),
        ("1s1s", 2 * S),
        ("-1s", -S),
        ("+1s", S),
        ("1.0000000009s", S),
        ("9223372036854775807ns", 2**63 - 1),
        ("2562047h47m16.854775807s", 2**63 - 1),
    ],
)
def test_parse(text: str, nanoseconds: int) -> None:
    assert Duration.parse(text) == Duration(nanoseconds)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "1",
            "00",
            "s",
            ".s",
            "-",
            "+",
            "--1s",
            "1 s",
            " 1s",
            "1s ",
            "1s\n",
            "1S",
            "1d",
            "1e3s",
            "1,5s",
            "\uff11s",
        ),
        *("9223372036854775808ns", "2562048h", "1" * 5000 + "h"),
    ],
)
def test_parse_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Duration.parse(text)


@pytest.mark.parametrize(
    ("nanoseconds", "go", "proto"),
    [
        (0, "0s", "0s"),
        (1, "1ns", "0.000000001s"),
        (1100, "1.1\u00b5s", "0.000001100s"),
        (2200 * US, "2.2ms", "0.002200s"),
        (25 * MS, "25ms", "0.025s"),
        (500 * MS, "500ms", "0.500s"),
        (S, "1s", "1s"),
        (3300 * MS, "3.3s", "3.300s"),
        (M, "1m0s", "60s"),
        (4 * M + 5001 * MS, "4m5.001s", "245.001s"),
        (8 * M + 1, "8m0.000000001s", "480.000000001s"),
        (H, "1h0m0s", "3600s"),
        (5 * H + 6 * M + 7001 * MS, "5h6m7.001s", "18367.001s"),
        (100 * H, "100h0m0s", "360000s"),
        (-1500 * MS, "-1.5s", "-1.500s"),
        (2**63 - 1, "2562047h47m16.854775807s", "9223372036.854775807s"),
    ],
)
def test_print(nanoseconds: int, go: str, proto: str) -> None:
    duration = Duration(nanoseconds)

    assert str(duration) == go
    assert duration.proto() == proto
    assert Duration.parse(go) == duration
