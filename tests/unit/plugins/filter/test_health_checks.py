# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `health_checks`."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.meshsmith.universal.plugins.filter.health_checks import FilterModule

health_checks = FilterModule().filters()["health_checks"]


def test_they_are_those_of_the_services_cluster(context):
    (check,) = health_checks(context, "mesh", "web", "backend")
    assert check["interval"] == "0.500s"
    assert check["httpHealthCheck"]["path"] == "/health"
    (header,) = check["httpHealthCheck"]["requestHeadersToAdd"]
    assert header["header"] == {"key": "x-kuma-tags", "value": header["header"]["value"]}
    assert "kuma.io/service=web" in header["header"]["value"]


def test_tags_name_a_subset(context):
    tags = {"kuma.io/service": "backend", "version": "v1"}
    assert health_checks(context, "mesh", "web", tags) == health_checks(context, "mesh", "web", "backend")


def test_without_a_policy_there_are_none(context):
    assert health_checks(context, ["mesh/mesh.yaml", "mesh/dataplanes"], "web", "backend") == []


def test_a_wrong_name_is_answered_with_a_likely_one(context):
    with pytest.raises(AnsibleFilterError, match="there is no dataplane 'wob'; did you mean 'web'"):
        health_checks(context, "mesh", "wob", "backend")


def test_the_same_name_in_two_meshes_needs_the_mesh(context, site):
    text = (site / "mesh" / "dataplanes" / "web.yaml").read_text().replace("mesh: default", "mesh: second")
    (site / "mesh" / "second.yaml").write_text(f"type: Mesh\nname: second\n{text}")
    with pytest.raises(AnsibleFilterError, match="several meshes: default, second"):
        health_checks(context, "mesh", "web", "backend")
    assert health_checks(context, "mesh", "web", "backend", mesh_name="second") == []


def test_a_mesh_with_errors_is_refused_with_all_of_them(context, site):
    file = site / "mesh" / "policies" / "everything.yaml"
    file.write_text(file.read_text().replace("interval: 1s", "interval: 0s").replace("timeout: 500ms", "timeot: 1s"))
    with pytest.raises(
        AnsibleFilterError,
        match=r"(?s)2 errors.*mesh/policies/everything.yaml:16:9.*mesh/policies/everything.yaml:17:9",
    ):
        health_checks(context, "mesh", "web", "backend")
