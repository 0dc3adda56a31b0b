# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many files Envoy will watch, and whether it may."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.module_utils import _envoy, _watches
from ansible_collections.meshsmith.universal.plugins.module_utils._errors import EnvoyError


def release(*names: str, timeout: str = "1s") -> Any:
    clusters = [{"name": name, "edsClusterConfig": {}, "connectTimeout": timeout} for name in names]
    files: dict[str, Any] = {"bootstrap": {}, "cds": {"resources": [*clusters, {"name": "static"}]}, "lds": {}}
    files.update({f"{folder}/{name}": {} for name in names for folder in ("eds", "rds")})
    return SimpleNamespace(files=files)


def live(*names: str) -> dict[str, bytes]:
    return {key: json.dumps(content).encode() for key, content in release(*names).files.items()}


@pytest.mark.parametrize(
    ("target", "running", "count"),
    [
        (release("a", "b"), {}, 6),
        (release("a", "b"), live("a", "b"), 0),
        (release("a", "b"), live("a"), 2),
        (release("a"), live("a", "b"), 0),
        (release("a", "b", timeout="2s"), live("a"), 3),
    ],
)
def test_instances_on_the_way_to_a_release(target: Any, running: dict[str, bytes], count: int) -> None:
    assert _watches.additional(target, running) == count


def test_what_the_host_allows() -> None:
    with open(_watches.LIMIT, encoding="ascii") as file:
        limit = int(file.read())
    user = _envoy.User()
    assert user.can(lambda: _watches.open_instances(1))
    assert not user.can(lambda: _watches.open_instances(limit + 1))
    _watches.check(user, release("a"), {})
    many = release(*(str(number) for number in range(limit)))
    with pytest.raises(EnvoyError, match=f"raise fs.inotify.max_user_instances, which is {limit}"):
        _watches.check(user, many, {})
