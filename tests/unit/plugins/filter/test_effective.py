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
    assert [(loser["name"], loser["value"]) for loser in interval["losers"]] == [("everything", "1s")]
    assert found["fields"]["timeout"]["policy"]["name"] == "everything"
    assert found["fields"]["http.path"] == {
        "value": "/health",
        "policy": {
            "kind": "MeshHealthCheck",
            "name": "backend",
            "file": "mesh/policies/backend.yaml",
            "line": 16,
            "path": "spec.to[0].default",
        },
        "losers": [],
    }


def test_without_a_policy_it_is_empty(context):
    found = effective(context, ["mesh/mesh.yaml", "mesh/dataplanes"], "MeshHealthCheck", "web", "backend")
    assert found == {"conf": {}, "fields": {}}


def test_an_unknown_kind_is_answered_with_a_likely_one(context):
    with pytest.raises(AnsibleFilterError, match="did you mean 'MeshHealthCheck'"):
        effective(context, "mesh", "MeshHealthChecks", "web", "backend")
