# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds up the figures that the tests record and prints them at the end of the run."""

from __future__ import annotations

from collections import Counter

import pytest

FIGURE = "conformance: "


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    totals: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            totals.update({name: count for name, count in report.user_properties if name.startswith(FIGURE)})
    if totals:
        terminalreporter.section("conformance with Kuma")
        for name, count in sorted(totals.items()):
            terminalreporter.write_line(f"{count:7d}  {name.removeprefix(FIGURE)}")
