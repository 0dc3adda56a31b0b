# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action `passthrough_traffic`: whom it asks. What hosts answer is for the end-to-end tests."""

from __future__ import annotations

import types
from typing import ClassVar

import pytest
import yaml
from ansible.errors import AnsibleActionFail

from ansible_collections.meshsmith.universal.plugins.action.passthrough_traffic import ActionModule
from ansible_collections.meshsmith.universal.plugins.module_utils import _passthrough
from ansible_collections.meshsmith.universal.plugins.modules import passthrough_traffic as module
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api

REDIRECTED = {"redirectPortInbound": 15006, "redirectPortOutbound": 15001}
ANSWER = {"changed": False, "status": "in_use", "summary": "1 connection"}
NOT_ASKED = {
    "changed": False,
    "status": "not_asked",
    "summary": "web-1: its release does not switch passthrough off",
}


class Asking(ActionModule):
    """The action; hosts always give the same answer. `asked` are the options with which they were asked."""

    asked: ClassVar[list] = []

    def run(self, tmp=None, task_vars=None):
        self._templar = types.SimpleNamespace(template=str)
        return super().run(tmp, task_vars)

    def _execute_module(self, *, module_name, module_args, task_vars):
        assert module_name == "meshsmith.universal.passthrough_traffic"
        self.asked.append(module_args)
        return dict(ANSWER)


@pytest.fixture
def asked(monkeypatch):
    monkeypatch.setattr(Asking, "asked", [])
    return Asking.asked


@pytest.fixture
def release(tmp_path):
    """Write the artifact of web-1, and return where artifacts are."""

    def write(passthrough=True, transparent=True, mesh="default"):
        networking = {"address": "127.0.0.2", "inbound": [{"port": 80, "tags": {"kuma.io/service": "web"}}]}
        documents = [
            {"type": "Mesh", "name": mesh, "networking": {"outbound": {"passthrough": passthrough}}},
            {"type": "VirtualIPs", "mesh": mesh, "services": {"web": "240.0.0.1"}},
            {
                "type": "Dataplane",
                "mesh": mesh,
                "name": "web-1",
                "networking": {**networking, **({"transparentProxying": REDIRECTED} if transparent else {})},
            },
        ]
        universe = api.load(documents=[api.document(one, file="mesh.yaml") for one in documents])
        directory = tmp_path / "artifacts" / mesh
        directory.mkdir(parents=True)
        document = api.compile_release(universe, universe.dataplanes[0]).document
        (directory / "web-1.json").write_bytes(document)
        return str(directory.parent)

    return write


def run(run_action, options, **variables):
    return run_action(Asking, options, task_vars={"inventory_hostname": "web-1", **variables})


def test_without_a_release_the_host_is_asked(run_action, asked):
    assert run(run_action, {"window": 3}) == {**ANSWER, "summary": "web-1: 1 connection"}
    assert asked == [{"window": 3}]


def test_a_release_that_switches_passthrough_off_is_a_reason_to_ask(run_action, asked, release):
    directory = release(passthrough=False)
    assert run(run_action, {"artifacts_dir": directory})["status"] == "in_use"
    assert asked == [{"artifacts_dir": directory}]
    assert run(run_action, {"artifact": f"{directory}/default/web-1.json"})["status"] == "in_use"


@pytest.mark.parametrize("kept", [{}, {"transparent": False, "passthrough": False}], ids=str)
def test_others_are_not(run_action, asked, release, kept):
    assert run(run_action, {"artifacts_dir": release(**kept)}) == NOT_ASKED
    assert asked == []


def test_the_release_is_that_of_the_hosts_dataplane(run_action, asked, release):
    directory = release(passthrough=False, mesh="second")
    variables = {"inventory_hostname": "host-1", "mesh_dataplane_name": "web-1", "mesh_name": "second"}
    assert run(run_action, {"artifacts_dir": directory}, **variables)["summary"] == "host-1: 1 connection"
    assert run(run_action, {"artifacts_dir": directory, "dataplane": "web-1", "mesh_name": "second"})["status"]
    with pytest.raises(AnsibleActionFail, match=r"there is no release .*/default/web-1.json: compile the mesh first"):
        run(run_action, {"artifacts_dir": directory})
    assert len(asked) == 2


def test_a_release_that_is_damaged_is_refused(run_action, asked, release):
    directory = release(passthrough=False)
    path = f"{directory}/default/web-1.json"
    with open(path, "a", encoding="utf-8") as file:
        file.write("}")
    with pytest.raises(AnsibleActionFail, match=r"web-1\.json: the release document is not whole"):
        run(run_action, {"artifact": path})
    with pytest.raises(AnsibleActionFail, match="exactly one of artifacts_dir and artifact"):
        run(run_action, {"artifact": path, "artifacts_dir": directory})
    assert asked == []


def test_the_documentation_describes_what_the_module_takes(monkeypatch, documented_options):
    specs = []

    class Started(Exception):
        pass

    def module_of_ansible(argument_spec, **_options):
        specs.append(argument_spec)
        raise Started

    monkeypatch.setattr(module, "AnsibleModule", module_of_ansible)
    with pytest.raises(Started):
        module.main()
    assert documented_options(module) == specs[0]


def test_every_result_is_documented():
    described = yaml.safe_load(module.RETURN)

    class Nothing:
        def configs(self, _resource, _pattern):
            return []

        def stats(self, _pattern):
            return type("Stats", (), {"numbers": {}})

    assert set(described) == set(_passthrough.traffic(Nothing(), 0, 1))
