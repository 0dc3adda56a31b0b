# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory that Envoy watches becomes a copy of one whole release."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from ansible_collections.meshsmith.universal.plugins.module_utils import _live


@pytest.fixture
def root(tmp_path: Path) -> Path:
    release = tmp_path / "releases" / "1"
    for folder in ("eds", "rds"):
        (release / folder).mkdir(parents=True)
    for name in ("bootstrap", "cds", "lds", "release", "eds/backend"):
        (release / f"{name}.json").write_text(name)
    (tmp_path / "current").symlink_to("releases/1")
    return tmp_path


def live(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root / "live")): path.read_text() for path in (root / "live").rglob("*.*")}


WHOLE = {"bootstrap.json": "bootstrap", "cds.json": "cds", "lds.json": "lds", "eds/backend.json": "eds/backend"}


def test_from_nothing(root: Path) -> None:
    assert _live.main([str(root)]) == 0
    assert live(root) == WHOLE


def test_what_differs_is_replaced_and_what_is_not_of_the_release_removed(root: Path) -> None:
    _live.main([str(root)])
    kept = (root / "live" / "lds.json").stat()
    (root / "live" / "cds.json").write_text("other")
    (root / "live" / "eds" / "gone.json").write_text("gone")
    assert _live.rebuild(str(root / "current"), str(root / "live")) == 2
    assert live(root) == WHOLE
    assert (root / "live" / "lds.json").stat() == kept
    assert _live.rebuild(str(root / "current"), str(root / "live")) == 0


@pytest.mark.parametrize("name", ["bootstrap", "cds", "lds"])
def test_half_a_release_is_none(root: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    _live.main([str(root)])
    (root / "releases" / "1" / f"{name}.json").unlink()
    assert _live.main([str(root)]) == 1
    assert f"lacks {name}.json" in capsys.readouterr().err
    assert live(root) == WHOLE


def test_without_a_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _live.main([str(tmp_path)]) == 1
    assert "nothing was deployed here yet" in capsys.readouterr().err
    assert _live.main([]) == 2


def test_a_write_that_fails_changes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _live.main([str(root)])
    for name in ("bootstrap", "cds", "lds"):
        (root / "releases" / "1" / f"{name}.json").write_text("new")

    def fails(_source: str, path: str) -> None:
        if "lds" in path:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(_live, "copy_owner", fails)
    assert _live.main([str(root)]) == 1
    assert live(root) == WHOLE


def test_it_runs_without_the_collection() -> None:
    tree = ast.parse(Path(_live.__file__).read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= set(sys.stdlib_module_names)
