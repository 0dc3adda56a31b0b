# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action `validate`."""

from __future__ import annotations

import pytest
import yaml
from ansible.errors import AnsibleActionFail, AnsibleError

from ansible_collections.meshsmith.universal.plugins.action.validate import ARGUMENT_SPEC, ActionModule
from ansible_collections.meshsmith.universal.plugins.modules import validate as documentation
from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge

MESH = {"type": "Mesh", "name": "default", "skipCreatingInitialPolicies": ["*"]}
OUTBOUND = {"address": "127.0.0.1", "port": 10001, "tags": {"kuma.io/service": "nobody"}}
INBOUND = {"port": 80, "servicePort": 81, "serviceAddress": "127.0.0.1", "tags": {"kuma.io/service": "web"}}
WITH_WARNING = [
    MESH,
    {
        "type": "Dataplane",
        "mesh": "default",
        "name": "web",
        "networking": {"address": "127.0.0.2", "inbound": [INBOUND], "outbound": [OUTBOUND]},
    },
]
WITH_NOTICE = [{**MESH, "networking": {"outbound": {"passthrough": True}}}]


def test_a_sound_mesh_passes(run_action):
    result = run_action(ActionModule, {"mesh": [MESH]})
    assert result == {
        "changed": False,
        "counts": {"error": 0, "warning": 0, "notice": 0},
        "findings": [],
        "msg": "no findings",
    }


@pytest.mark.parametrize("check", [False, True])
def test_errors_fail_it_and_are_in_its_result(run_action, tmp_path, check):
    (tmp_path / "mesh.yaml").write_text(yaml.safe_dump({**MESH, "nmae": "x"}, sort_keys=False))
    with pytest.raises(AnsibleActionFail) as caught:
        run_action(ActionModule, {"mesh": "mesh.yaml"}, check=check)
    result = caught.value.result
    assert result["counts"]["error"] == 1
    (finding,) = result["findings"]
    assert (finding["file"], finding["line"], finding["severity"]) == ("mesh.yaml", 5, "error")
    assert f"mesh.yaml:5:1: {finding['code']} nmae: {finding['message']}" in str(caught.value)


def test_warnings_pass_unless_strict(run_action):
    result = run_action(ActionModule, {"mesh": WITH_WARNING})
    assert result["counts"] == {"error": 0, "warning": 1, "notice": 0}
    with pytest.raises(AnsibleActionFail, match="MESH033"):
        run_action(ActionModule, {"mesh": WITH_WARNING, "strict": True})


def test_notices_pass_when_strict(run_action):
    result = run_action(ActionModule, {"mesh": WITH_NOTICE, "strict": True})
    assert result["counts"]["notice"] == 1


def test_hosts_are_checked_against_dataplanes(run_action):
    task_vars = {"groups": {"edge": ["web-9"]}, "hostvars": {"web-9": {}}}
    with pytest.raises(AnsibleActionFail, match="MESH101"):
        run_action(ActionModule, {"mesh": WITH_WARNING, "hosts": "edge"}, task_vars=task_vars)


def test_a_mesh_that_is_none_is_a_wrong_option(run_action):
    with pytest.raises(AnsibleError, match="mesh must be a path"):
        run_action(ActionModule, {"mesh": 5})


def test_missing_packages_fail_it_with_the_command(run_action, monkeypatch):
    monkeypatch.setattr(_edge._requirements, "missing", lambda: ["run pip install jsonschema"])
    with pytest.raises(AnsibleActionFail, match="pip install jsonschema"):
        run_action(ActionModule, {"mesh": [MESH]})


def test_the_documentation_describes_the_options(documented_options):
    assert documented_options(documentation) == ARGUMENT_SPEC
