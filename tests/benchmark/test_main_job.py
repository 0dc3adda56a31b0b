# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark runs, on meshes so small that its figures mean nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("main_job.py")
SIZES = ["--dataplanes", "2", "3", "--services", "3", "--outbounds", "2", "--policies", "4", "--dense", "2"]


def test_prints_a_row_per_mesh() -> None:
    done = subprocess.run([sys.executable, SCRIPT, *SIZES], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.split()[0].isdigit() and "." in line]
    # Spread, twice the same with a patch, dense, and dense with ports of its own.
    assert [row[0] for row in rows] == ["2", "3"] * 3 + ["2", "2"]
    for row in rows:
        load, compile_, write, whole, memory, each, size, _ratio = map(float, row[1:])
        assert whole >= load + compile_ + write
        assert memory > 10
        assert each > 0
        assert size > 1
