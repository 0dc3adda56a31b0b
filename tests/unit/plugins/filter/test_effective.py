# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `effective`."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.meshsmith.universal.plugins.filter.effective import FilterModule

effective = FilterModule().filters()["effective"]


def test_it_merges_and_says_who_won(context):
    found = effective(context, "mesh", "MeshHealthCheck", "web", "backend")
    assert found["conf"]["interval"] == "500ms"
    assert found["conf"]["timeout"] == "500ms"
    interval = found["fields"]["interval"]
    assert interval["value"] == "500ms"
    assert (interval["policy"]["name"], interval["policy"]["file"]) == ("backend", "mesh/policies/backend.yaml")
    assert interval["losers"] == [
        {
            "value": "1s",
            "why": "order: of equals the first name wins, and 'backend' comes before 'everything'",
            "kind": "MeshHealthCheck",
            "name": "everything",
            "file": "mesh/policies/everything.yaml",
            "line": 16,
            "path": "spec.to[0].default.interval",
        }
    ]
    assert found["fields"]["timeout"]["policy"]["name"] == "everything"
    assert found["fields"]["http.path"] == {
        "value": "/health",
        "policy": {
            "kind": "MeshHealthCheck",
            "name": "backend",
            "file": "mesh/policies/backend.yaml",
            "line": 21,
            "path": "spec.to[0].default.http.path",
        },
        "losers": [],
    }


def test_it_does_so_for_every_kind(context, site):
    (site / "mesh" / "retries.yaml").write_text(
        "type: MeshRetry\nmesh: default\nname: retries\nspec:\n  targetRef: {kind: Mesh}\n  to:\n"
        "    - {targetRef: {kind: Mesh}, default: {http: {numRetries: 4}}}\n"
    )
    found = effective(context, "mesh", "MeshRetry", "web", "backend")
    assert found["conf"] == {"http": {"numRetries": 4}}
    assert found["fields"]["http.numRetries"]["policy"]["line"] == 7


def test_of_a_kind_that_is_about_the_whole_proxy_it_lists_modifications(context, site):
    modification = "{cluster: {operation: Patch, match: {name: backend}, value: 'connect_timeout: 9s'}}"
    (site / "mesh" / "patch.yaml").write_text(
        "type: MeshProxyPatch\nmesh: default\nname: patch\nspec:\n  targetRef: {kind: Mesh}\n  default:\n"
        f"    appendModifications:\n      - {modification}\n"
    )
    [found] = effective(context, "mesh", "MeshProxyPatch", "web")["modifications"]
    assert found["modification"]["cluster"]["value"] == "connect_timeout: 9s"
    assert (found["policy"]["name"], found["policy"]["line"]) == ("patch", 8)


def test_of_every_other_kind_it_needs_a_service(context):
    with pytest.raises(AnsibleFilterError, match="name one"):
        effective(context, "mesh", "MeshRetry", "web")


def test_without_a_policy_it_is_empty(context):
    found = effective(context, ["mesh/mesh.yaml", "mesh/dataplanes"], "MeshHealthCheck", "web", "backend")
    assert found == {"conf": {}, "fields": {}}


def test_an_unknown_kind_is_answered_with_a_likely_one(context):
    with pytest.raises(AnsibleFilterError, match="did you mean 'MeshHealthCheck'"):
        effective(context, "mesh", "MeshHealthChecks", "web", "backend")
