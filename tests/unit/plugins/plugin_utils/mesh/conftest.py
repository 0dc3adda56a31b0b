# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes that tests write down where they need them."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api


@pytest.fixture
def load_files(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., api.Universe]:
    """`load_files({"mesh/a.yaml": text, …})` writes files and loads them; findings name them as they are given."""
    monkeypatch.chdir(tmp_path)

    def load(texts: dict[str, str]) -> api.Universe:
        for file, text in texts.items():
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return api.load(paths=list(texts))

    return load


@pytest.fixture
def load_resources() -> Callable[..., api.Universe]:
    """`load_resources(resource, …)` loads resources that have no text, and holds that nothing is wrong with them."""

    def load(*resources: dict[str, Any]) -> api.Universe:
        universe = api.load(documents=[api.document(resource, "mesh") for resource in resources])
        assert not universe.errors, "\n".join(map(str, universe.errors))
        return universe

    return load
