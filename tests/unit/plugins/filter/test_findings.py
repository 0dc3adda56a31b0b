# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `findings`."""

from __future__ import annotations

import datetime

import pytest
from ansible.errors import AnsibleError

from ansible_collections.meshsmith.universal.plugins.filter.findings import FilterModule
from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge

findings = FilterModule().filters()["findings"]


def test_a_sound_mesh_has_none(context):
    assert findings(context, "mesh") == []
    assert findings(context, ["mesh/mesh.yaml", "mesh/dataplanes"]) == []


def test_a_finding_says_everything(context, site):
    (site / "mesh" / "more.yaml").write_text(
        "type: MeshHealthCheck\nmesh: default\nname: hc\nspec:\n  targetRef: {kind: Mesh}\n  too: []\n"
    )
    (finding,) = findings(context, "mesh")
    assert finding == {
        "code": finding["code"],
        "severity": "error",
        "path": "spec.too",
        "message": "unknown field; did you mean 'to'?",
        "file": "mesh/more.yaml",
        "line": 6,
        "column": 3,
        "kind": "MeshHealthCheck",
        "name": "hc",
    }


@pytest.mark.parametrize(
    "mesh",
    [
        "nowhere",
        [5],
        [None],
        [[]],
        [{}],
        [{"type": 5}],
        [{"type": "Mesh"}],
        [{5: 5}],
        [{"type": "Mesh", "name": datetime.date(2026, 1, 1)}],
        [{"type": "Mesh", "name": "default", "deep": [[[[[[[[[[]]]]]]]]]]}],
    ],
    ids=repr,
)
def test_bad_documents_are_findings_never_a_failure(context, mesh):
    found = findings(context, mesh)
    assert [finding["severity"] for finding in found].count("error") >= 1
    assert all(finding["message"] for finding in found)


@pytest.mark.parametrize("mesh", [None, 5, ["mesh", {}]], ids=repr)
def test_what_is_no_mesh_at_all_is_a_wrong_use(context, mesh):
    with pytest.raises(AnsibleError):
        findings(context, mesh)


def test_missing_packages_are_a_finding(context, monkeypatch):
    monkeypatch.setattr(_edge._requirements, "missing", lambda: ["run pip install jsonschema"])
    (finding,) = findings(context, "mesh")
    assert finding["message"] == "run pip install jsonschema"
