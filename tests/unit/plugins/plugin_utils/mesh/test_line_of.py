# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The line of a policy's part, found again by what a release says of it."""

from __future__ import annotations

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api

TEXT = b"""\
type: MeshRetry
mesh: default
name: a
spec:
  targetRef: {kind: Mesh}
  to:
    - targetRef: {kind: Mesh}
      default: {tcp: {maxConnectAttempt: 3}}
---
apiVersion: kuma.io/v1alpha1
kind: MeshProxyPatch
metadata: {name: a}
spec:
  targetRef: {kind: Mesh}
  default:
    appendModifications:
      - cluster: {operation: Remove}
      - cluster: {operation: Remove, match: {name: x}}
"""


@pytest.mark.parametrize(
    ("kind", "name", "path", "line"),
    [
        ("MeshRetry", "a", "spec.to[0].default", 8),
        ("MeshProxyPatch", "a", "spec.default.appendModifications[1].cluster", 18),
        ("MeshRetry", "a", "spec.to[1].default", None),
        ("MeshRetry", "b", "spec.to[0].default", None),
        ("MeshTimeout", "a", "spec.to[0].default", None),
    ],
)
def test_line(kind: str, name: str, path: str, line: int | None) -> None:
    assert api.line_of(TEXT, kind, name, path) == line


@pytest.mark.parametrize("text", [b"", b"\xff", b"a: [", b"- 1"])
def test_a_file_that_has_changed(text: bytes) -> None:
    assert api.line_of(text, "MeshRetry", "a", "spec.to[0].default") is None
