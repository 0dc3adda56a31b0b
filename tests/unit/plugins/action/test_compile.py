# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action `compile`."""

from __future__ import annotations

import errno
import json
import os
import pathlib
import re
import shutil

import pytest
import yaml
from ansible.errors import AnsibleActionFail

from ansible_collections.meshsmith.universal.plugins.action import compile as action
from ansible_collections.meshsmith.universal.plugins.modules import compile as documentation
from ansible_collections.meshsmith.universal.plugins.plugin_utils import _artifacts, _edge

ROOT = pathlib.Path(__file__).resolve().parents[4]
NAMES = ["backend-1", "backend-2", "web"]


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A directory with a playbook's mesh, and Ansible's local temporary directory."""
    shutil.copytree(ROOT / "playbooks" / "files" / "demo" / "mesh", tmp_path / "mesh")
    (tmp_path / "local").mkdir()
    monkeypatch.setattr(action.C, "DEFAULT_LOCAL_TMP", str(tmp_path / "local"))
    return tmp_path


@pytest.fixture
def compile_mesh(run_action, site):
    def run(check=False, diff=False, task_vars=None, **options):
        options = {"mesh": str(site / "mesh"), "artifacts_dir": "artifacts", **options}
        return run_action(action.ActionModule, options, check=check, diff=diff, task_vars=task_vars)

    return run


def edit(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def without(site, name):
    """Take a dataplane out of the mesh."""
    (site / "mesh" / "dataplanes" / f"{name}.yaml").unlink()


def artifact(site, name):
    return json.loads((site / "artifacts" / "default" / f"{name}.json").read_bytes())


def files(directory):
    return {path: path.read_bytes() for path in directory.rglob("*.json")} if directory.exists() else {}


def inventory(*hosts, play=None, **variables):
    found = {
        "groups": {"mesh": list(hosts)},
        "hostvars": {host: variables.get(host.replace("-", "_"), {}) for host in hosts},
    }
    if play is not None:
        found |= {"ansible_limit": ",".join(play), "ansible_play_hosts_all": list(play)}
    return found


def test_every_dataplane_gets_an_artifact(compile_mesh, site):
    result = compile_mesh()
    assert result["changed"]
    assert result["artifacts_dir"] == str(site / "artifacts")
    assert result["dataplanes"] == 3
    assert result["counts"] == {"error": 0, "warning": 0, "notice": 0}
    assert (result["findings"], result["removed"], result["msg"]) == ([], [], "no findings")
    assert sorted(result["releases"]) == NAMES
    for name, release in result["releases"].items():
        document = json.loads(pathlib.Path(release["path"]).read_bytes())
        assert (document["dataplane"], document["mesh"], document["id"]) == (name, "default", release["id"])
        assert release["mesh"] == "default"
        assert release["changed"]
    policies = json.loads((site / "artifacts" / "default.policies.json").read_bytes())
    assert {"kind": "MeshHealthCheck", "name": "backend", "file": "mesh/policies/backend.yaml"} in policies["web"]


def test_a_second_run_changes_and_parses_nothing(compile_mesh, site, monkeypatch):
    first = compile_mesh()
    before = files(site / "artifacts")
    monkeypatch.setattr(_edge, "load", lambda _given: pytest.fail("parsed the mesh again"))
    second = compile_mesh()
    assert not second["changed"]
    assert not any(release["changed"] for release in second["releases"].values())
    assert {name: release["id"] for name, release in second["releases"].items()} == {
        name: release["id"] for name, release in first["releases"].items()
    }
    assert files(site / "artifacts") == before


def test_only_what_a_change_reaches_changes(compile_mesh, site):
    compile_mesh()
    edit(site / "mesh" / "policies/backend.yaml", "path: /health", "path: /healthz")
    result = compile_mesh()
    assert result["changed"]
    assert {name for name, release in result["releases"].items() if release["changed"]} == {"web"}


def test_the_order_of_documents_does_not_matter(run_action, site):
    documents = [yaml.safe_load(path.read_text()) for path in sorted((site / "mesh").rglob("*.yaml"))]
    for order, changes in ((documents, True), (documents[::-1], False)):
        result = run_action(action.ActionModule, {"mesh": order, "artifacts_dir": "artifacts"})
        assert result["changed"] == changes


def test_an_artifact_that_was_edited_is_put_right(compile_mesh, site):
    compile_mesh()
    path = site / "artifacts" / "default" / "web.json"
    before = path.read_bytes()
    path.write_bytes(b"{}")
    assert compile_mesh()["changed"]
    assert path.read_bytes() == before


def test_errors_write_nothing_and_are_all_in_the_result(compile_mesh, site):
    compile_mesh()
    before = files(site / "artifacts")
    edit(site / "mesh" / "policies/everything.yaml", "interval: 1s", "interval: 0s")
    edit(site / "mesh" / "policies/everything.yaml", "timeout: 500ms", "timeot: 500ms")
    with pytest.raises(AnsibleActionFail, match="Nothing was compiled: 2 errors") as caught:
        compile_mesh()
    assert [finding["path"] for finding in caught.value.result["findings"]] == [
        "spec.to[0].default.interval",
        "spec.to[0].default.timeot",
    ]
    assert files(site / "artifacts") == before


def test_a_host_without_a_dataplane_compiles_nothing(compile_mesh, site):
    with pytest.raises(AnsibleActionFail, match="MESH101"):
        compile_mesh(task_vars=inventory("web", "nobody"))
    assert not files(site / "artifacts")


def test_host_variables_reach_the_release(compile_mesh, site):
    compile_mesh(task_vars=inventory("web", web={"mesh_root": "/srv/mesh"}))
    assert "/srv/mesh/run/admin.sock" in json.dumps(artifact(site, "web"))
    assert "/etc/envoy/mesh/run/admin.sock" in json.dumps(artifact(site, "backend-1"))


def test_a_dataplane_that_is_gone_takes_its_artifact_along(compile_mesh, site):
    compile_mesh()
    without(site, "backend-2")
    result = compile_mesh()
    assert result["removed"] == ["default/backend-2"]
    assert result["changed"]
    assert sorted(path.stem for path in (site / "artifacts" / "default").iterdir()) == ["backend-1", "web"]


def test_files_that_are_no_artifacts_are_left_alone(compile_mesh, site):
    compile_mesh()
    (site / "artifacts" / "default" / "notes.json").write_text("{}")
    without(site, "backend-2")
    assert compile_mesh()["removed"] == ["default/backend-2"]
    assert (site / "artifacts" / "default" / "notes.json").exists()


def test_a_mesh_that_has_lost_much_of_itself_is_refused_until_it_is_meant(compile_mesh, site):
    compile_mesh()
    without(site, "backend-1")
    without(site, "backend-2")
    before = files(site / "artifacts")
    with pytest.raises(AnsibleActionFail, match=r"66 % are gone.*Gone: backend-1, backend-2.*max_removed to 100"):
        compile_mesh()
    assert files(site / "artifacts") == before
    assert compile_mesh(max_removed=100)["removed"] == ["default/backend-1", "default/backend-2"]


@pytest.mark.parametrize("max_removed", [-1, 101])
def test_max_removed_is_a_percentage(compile_mesh, max_removed):
    with pytest.raises(AnsibleActionFail, match="percentage"):
        compile_mesh(max_removed=max_removed)


def test_with_limit_only_the_hosts_of_the_play_are_compiled_and_nothing_is_removed(compile_mesh, site):
    compile_mesh()
    without(site, "backend-2")
    edit(site / "mesh" / "policies/backend.yaml", "interval: 500ms", "interval: 700ms")
    result = compile_mesh(task_vars=inventory("web", "backend-1", play=["web"]))
    assert list(result["releases"]) == ["web"]
    assert result["removed"] == []
    assert (site / "artifacts" / "default" / "backend-2.json").exists()
    whole = compile_mesh(task_vars=inventory("web", "backend-1"))
    assert whole["removed"] == ["default/backend-2"]
    assert {name for name, release in whole["releases"].items() if release["changed"]} == set()


def test_with_limit_the_endpoints_of_the_other_hosts_are_known(compile_mesh, site):
    compile_mesh(task_vars=inventory("web", "backend-1", play=["web"]))
    assert "127.77.0.2" in json.dumps(artifact(site, "web"))
    assert "127.77.0.3" in json.dumps(artifact(site, "web"))


def test_a_slice_compiles_for_its_hosts_and_removes_nothing(compile_mesh, site):
    compile_mesh()
    without(site, "backend-2")
    result = compile_mesh(slice=True, task_vars=inventory("backend-1"))
    assert list(result["releases"]) == ["backend-1"]
    assert result["counts"]["notice"] == 0
    assert (site / "artifacts" / "default" / "backend-2.json").exists()


def test_a_slice_that_sees_too_little_is_refused(compile_mesh, site):
    compile_mesh()
    without(site, "backend-1")
    without(site, "backend-2")
    with pytest.raises(AnsibleActionFail, match="max_removed"):
        compile_mesh(slice=True)


def test_check_mode_writes_beside_and_says_what_would_change(compile_mesh, site):
    compile_mesh()
    before = files(site / "artifacts")
    edit(site / "mesh" / "policies/backend.yaml", "path: /health", "path: /healthz")
    without(site, "backend-2")
    for _run in range(2):
        result = compile_mesh(check=True)
        assert result["changed"]
        assert result["removed"] == ["default/backend-2"]
        assert result["artifacts_dir"].startswith(str(site / "local"))
        assert sorted(result["releases"]) == ["backend-1", "web"]
        assert {name for name, release in result["releases"].items() if release["changed"]} == {"web"}
        assert b"/healthz" in pathlib.Path(result["releases"]["web"]["path"]).read_bytes()
    assert files(site / "artifacts") == before


def test_check_mode_before_anything_was_compiled_creates_nothing(compile_mesh, site):
    result = compile_mesh(check=True)
    assert result["changed"]
    assert all(release["changed"] for release in result["releases"].values())
    assert not (site / "artifacts").exists()
    assert all(release["changed"] for release in compile_mesh(check=True)["releases"].values())


def test_check_mode_without_a_change_names_the_artifacts_that_are_there(compile_mesh, site):
    compile_mesh()
    result = compile_mesh(check=True)
    assert not result["changed"]
    assert result["artifacts_dir"] == str(site / "artifacts")
    assert not list((site / "local").iterdir())


def test_the_diff_shows_resources_and_hides_values(compile_mesh, site):
    headers = "requestHeadersToAdd: {set: [{name: x-token, value: t0psecret}]}"
    edit(site / "mesh" / "policies/backend.yaml", "path: /health", f"path: /health\n          {headers}")
    compile_mesh()
    edit(site / "mesh" / "policies/backend.yaml", "path: /health", "path: /healthz")
    (entry,) = compile_mesh(diff=True)["diff"]
    assert entry["before_header"] == "default/web"
    assert [line for line in entry["after"].splitlines() if not line.startswith(" ")] == ["cluster backend"]
    assert '"path": "/healthz"' in entry["after"]
    assert "t0psecret" not in json.dumps(entry)
    assert "kuma.io/service=web" in entry["after"]


def fields(value, path=""):
    """Every field that holds no other, by its path. Names of types are left out of it."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from fields(item, path if "." in key else f"{path}.{key}".removeprefix("."))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from fields(item, f"{path}[{at}]")
    else:
        yield path, value


def shown(text):
    """The fields of one side of a diff, by resource."""
    found = {}
    for block in filter(None, re.split(r"^(?=\S)", text, flags=re.MULTILINE)):
        name, _newline, body = block.partition("\n")
        found[name] = dict(fields(json.loads(body)))
    return found


OPTIONS = "typedExtensionProtocolOptions.commonHttpProtocolOptions"
FILTER = "filterChains[0].filters[0].typedConfig"
ROUTE = "virtualHosts[0].routes[0].route"
# What the initial policies of a mesh do, as resources have it with and without them; None is a field that is not there.
CONNECTING = {"connectTimeout": ("5s", None)}
LIMITS = {
    f"circuitBreakers.thresholds[0].{name}": (number, None)
    for name, number in (
        ("maxConnections", 1024),
        ("maxPendingRequests", 1024),
        ("maxRequests", 1024),
        ("maxRetries", 3),
    )
}
UNLIMITED = {f"{OPTIONS}.maxConnectionDuration": ("0s", None), f"{OPTIONS}.maxStreamDuration": ("0s", None)}
HEADERS = {f"{FILTER}.requestHeadersTimeout": ("0s", None)}
RETRIES = {
    f"{ROUTE}.retryPolicy.numRetries": (5, None),
    f"{ROUTE}.retryPolicy.perTryTimeout": ("16s", None),
    f"{ROUTE}.retryPolicy.retryBackOff.baseInterval": ("0.025s", None),
    f"{ROUTE}.retryPolicy.retryBackOff.maxInterval": ("0.250s", None),
    f"{ROUTE}.retryPolicy.retryOn": ("gateway-error,connect-failure,refused-stream", None),
}


def inbound(service, address):
    return {
        "cluster localhost:21081": UNLIMITED,
        f"listener inbound:{address}:21080": {
            **HEADERS,
            f"{FILTER}.commonHttpProtocolOptions.idleTimeout": ("0s", "7200s"),
        },
        f"route inbound:{service}": {f"{ROUTE}.idleTimeout": ("3600s", None)},
    }


INITIAL = {
    "default/backend-1": inbound("backend", "127.77.0.2"),
    "default/backend-2": inbound("backend", "127.77.0.3"),
    "default/web": {
        **inbound("web", "127.77.0.1"),
        "cluster backend": {**CONNECTING, **LIMITS, **UNLIMITED, f"{OPTIONS}.idleTimeout": ("3600s", None)},
        "cluster db": {**CONNECTING, **LIMITS},
        "listener outbound:127.77.0.1:21000": {
            **HEADERS,
            f"{FILTER}.commonHttpProtocolOptions.idleTimeout": ("0s", None),
        },
        "listener outbound:127.77.0.1:21001": {
            f"{FILTER}.idleTimeout": ("3600s", None),
            f"{FILTER}.maxConnectAttempts": (5, None),
        },
        "route outbound:backend": {
            **RETRIES,
            f"{ROUTE}.timeout": ("15s", "0s"),
            f"{ROUTE}.idleTimeout": ("1800s", None),
        },
    },
}


def changes(entry):
    """Of each resource in a diff the fields that differ, before and after."""
    before, after = shown(entry["before"]), shown(entry["after"])
    assert before.keys() == after.keys()
    return {name: differences(before[name], after[name]) for name in before}


def differences(before, after):
    paths = [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)]
    return {path: (before.get(path), after.get(path)) for path in paths}


def test_the_diff_of_leaving_out_the_initial_policies_is_what_they_did(compile_mesh, site, monkeypatch):
    monkeypatch.setattr(action, "DIFF_LINES", 10_000)
    dataplanes = site / "mesh" / "dataplanes"
    shutil.copy(dataplanes / "backend-2.yaml", dataplanes / "db-1.yaml")
    for old, new in [("backend-2", "db-1"), ("service: backend", "service: db"), (": http", ": tcp"), (".0.3", ".0.4")]:
        edit(dataplanes / "db-1.yaml", old, new)
    with (dataplanes / "web.yaml").open("a") as web:
        web.write("    - {address: 127.77.0.1, port: 21001, tags: {kuma.io/service: db}}\n")
    skipping = 'skipCreatingInitialPolicies: ["*"]\n'
    edit(site / "mesh" / "mesh.yaml", skipping, "")
    compile_mesh()
    edit(site / "mesh" / "mesh.yaml", "name: default\n", f"name: default\n{skipping}")
    result = compile_mesh(check=True, diff=True)
    assert {entry["before_header"]: changes(entry) for entry in result["diff"]} == INITIAL


def test_without_diff_there_is_none(compile_mesh):
    assert "diff" not in compile_mesh()


def test_a_removed_artifact_is_in_the_diff(compile_mesh, site):
    compile_mesh()
    without(site, "backend-2")
    entries = {entry["before_header"]: entry for entry in compile_mesh(diff=True)["diff"]}
    assert entries["default/backend-2"]["after"] == ""
    assert "listener inbound:127.77.0.3:21080" in entries["default/backend-2"]["before"]


def test_the_diff_of_a_fleet_is_cut(compile_mesh, monkeypatch):
    monkeypatch.setattr(action, "DIFF_LINES", 20)
    diffs = compile_mesh(diff=True)["diff"]
    assert len(diffs) == 1
    assert "more not shown" in diffs[0]["after"]


def test_the_revision_is_kept_and_is_no_other_release(compile_mesh, site):
    first = compile_mesh(revision="one")
    second = compile_mesh(revision="two")
    assert artifact(site, "web")["revision"] == "two"
    assert second["changed"]
    assert first["releases"]["web"]["id"] == second["releases"]["web"]["id"]


def test_dataplanes_of_one_name_in_two_meshes_are_told_apart(compile_mesh, site):
    second = site / "mesh" / "second"
    shutil.copytree(site / "mesh" / "dataplanes", second)
    for name in NAMES:
        edit(second / f"{name}.yaml", "mesh: default", "mesh: second")
    (second / "mesh.yaml").write_text("type: Mesh\nname: second\nskipCreatingInitialPolicies: ['*']\n")
    result = compile_mesh()
    assert sorted(result["releases"]) == sorted(f"{mesh}/{name}" for mesh in ("default", "second") for name in NAMES)
    assert pathlib.Path(result["releases"]["second/web"]["path"]) == site / "artifacts" / "second" / "web.json"


def test_a_full_disk_is_said_and_leaves_what_was_there(compile_mesh, site, monkeypatch):
    compile_mesh()
    before = files(site / "artifacts")
    edit(site / "mesh" / "policies/backend.yaml", "path: /health", "path: /healthz")

    def full_disk(*_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(_artifacts, "_write", full_disk)
    with pytest.raises(AnsibleActionFail, match=r"Cannot write the artifacts to .*: .*No space left"):
        compile_mesh()
    assert files(site / "artifacts") == before


def test_a_place_that_cannot_be_written_is_said(compile_mesh, site):
    (site / "file").write_text("")
    with pytest.raises(AnsibleActionFail, match="Cannot write the artifacts to"):
        compile_mesh(artifacts_dir="file/artifacts")


def test_missing_packages_fail_it_with_the_command(compile_mesh, monkeypatch):
    monkeypatch.setattr(_edge._requirements, "missing", lambda: ["run pip install jsonschema"])
    with pytest.raises(AnsibleActionFail, match="pip install jsonschema"):
        compile_mesh()


def test_the_documentation_describes_the_options(documented_options):
    assert documented_options(documentation) == action.ARGUMENT_SPEC
