# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the filters are tried on: the demo's mesh beside a playbook."""

from __future__ import annotations

import pathlib
import shutil

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[4]


@pytest.fixture
def site(tmp_path):
    shutil.copytree(ROOT / "playbooks" / "files" / "demo" / "mesh", tmp_path / "mesh")
    return tmp_path


@pytest.fixture
def context(site):
    """As much of Jinja's context as the filters look at."""
    return {"playbook_dir": str(site)}
