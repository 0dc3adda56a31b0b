# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The border between Ansible's values and the core."""

from __future__ import annotations

import datetime
import json
import os
import pathlib

import pytest
import yaml
from ansible.errors import AnsibleFilterError, AnsibleUndefinedVariable
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import EncryptedString, VaultLib, VaultSecret, VaultSecretsContext

from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.findings import Severity

ROOT = pathlib.Path(__file__).resolve().parents[4]

MESH = {"type": "Mesh", "name": "default", "skipCreatingInitialPolicies": ["*"]}
NETWORKING = {
    "address": "127.0.0.9",
    "inbound": [
        {"port": 8080, "servicePort": 18080, "serviceAddress": "127.0.0.1", "tags": {"kuma.io/service": "backend"}}
    ],
}
CHECK = {
    "type": "MeshHealthCheck",
    "mesh": "default",
    "name": "hc",
    "spec": {
        "targetRef": {"kind": "Mesh"},
        "to": [{"targetRef": {"kind": "Mesh"}, "default": {"http": {"path": "/ping"}}}],
    },
}


def dataplane(name="backend-1", mesh="default"):
    return {"type": "Dataplane", "mesh": mesh, "name": name, "networking": NETWORKING}


def codes(findings):
    return [finding.code for finding in findings]


def load(mesh, base=".", loader=None):
    return _edge.load(_edge.read(mesh, str(base), loader or DataLoader()))


@pytest.fixture
def vault(monkeypatch):
    """A vault with the secrets that a run of Ansible would have."""
    secrets = [("default", VaultSecret(b"open sesame"))]
    monkeypatch.setattr(VaultSecretsContext, "_current", VaultSecretsContext(secrets))
    return VaultLib(secrets)


# --- values


def test_plain_copies_what_ansible_tags_into_builtin_types():
    tagged = DataLoader().load("a: text\nb: 7\nc: 1.5\nd: true\ne: null\nf: [x, {g: y}]\n", file_name="/tmp/vars.yml")
    assert type(tagged["a"]).__name__ != "str"
    copy = _edge.plain(tagged)
    assert copy == {"a": "text", "b": 7, "c": 1.5, "d": True, "e": None, "f": ["x", {"g": "y"}]}
    assert [type(copy[key]) for key in "abcdef"] == [str, int, float, bool, type(None), list]
    assert {type(key) for key in copy} == {str}
    assert yaml.safe_dump(copy)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": datetime.date(2026, 1, 1)}, ("a",)),
        ({"a": [1, {"b": {1, 2}}]}, ("a", 1, "b")),
        ({"a": b"bytes"}, ("a",)),
        ({"a": float("nan")}, ("a",)),
        ({"a": {503: "x"}}, ("a",)),
    ],
)
def test_plain_refuses_what_has_no_place_in_a_document(value, path):
    with pytest.raises(_edge.UnusableValueError) as caught:
        _edge.plain(value)
    assert caught.value.path == path


def test_plain_refuses_to_follow_a_value_that_holds_itself():
    value = []
    value.append(value)
    with pytest.raises(_edge.UnusableValueError, match="nested"):
        _edge.plain(value)


# --- the option `mesh`


@pytest.mark.parametrize(
    "mesh",
    [None, 5, {"a"}, b"mesh", ["mesh", MESH], "", [""], "type: Mesh\nname: default\n"],
    ids=repr,
)
def test_what_is_neither_path_nor_documents_is_refused(mesh):
    with pytest.raises(_edge.MeshOptionError):
        _edge.paths_or_documents(mesh)


@pytest.mark.parametrize(
    ("mesh", "expected"),
    [
        ("mesh", (["mesh"], [])),
        (["a", "b"], (["a", "b"], [])),
        (MESH, ([], [MESH])),
        ([MESH, 5], ([], [MESH, 5])),
        ([], ([], [])),
    ],
)
def test_paths_and_documents_are_told_apart(mesh, expected):
    assert _edge.paths_or_documents(mesh) == expected


def test_relative_paths_start_at_the_playbook_but_for_our_own_playbooks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert _edge.base_directory("/srv/site/playbooks") == "/srv/site/playbooks"
    assert _edge.base_directory(str(ROOT / "playbooks")) == str(tmp_path)
    assert _edge.resolve("../mesh", "/srv/site/playbooks") == "/srv/site/mesh"
    assert _edge.resolve("~/mesh", "/srv") == os.path.expanduser("~/mesh")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/srv/site/mesh/hc.yaml", "mesh/hc.yaml"),
        ("/srv/mesh/hc.yaml", "../mesh/hc.yaml"),
        ("/etc/hc.yaml", "/etc/hc.yaml"),
    ],
)
def test_files_are_called_by_the_shorter_of_their_names(path, name):
    assert _edge.label(path, "/srv/site") == name


def test_findings_and_policies_name_files_relative_to_the_playbook(tmp_path):
    (tmp_path / "mesh").mkdir()
    (tmp_path / "mesh" / "all.yaml").write_text(yaml.safe_dump_all([MESH, dataplane(), CHECK]))
    (tmp_path / "mesh" / "wrong.yaml").write_text("type: Mesh\nname: [\n")
    loaded = load("mesh", tmp_path)
    assert [(f.code, f.source.file, f.source.line) for f in loaded.findings] == [("MESH002", "mesh/wrong.yaml", 3)]
    assert {document.file for document in loaded.documents} == {"mesh/all.yaml"}


def test_a_missing_path_is_a_finding_under_the_name_that_was_given(tmp_path):
    (finding,) = load(["nowhere"], tmp_path).findings
    assert (finding.code, finding.source.file) == ("MESH001", "nowhere")


def test_an_empty_list_is_a_mesh_of_nothing():
    loaded = load([])
    assert loaded.universe.dataplanes == ()
    assert not loaded.errors


def test_documents_of_a_variable_are_named_by_what_they_are_not_by_their_position():
    wrong = {**CHECK, "spec": {**CHECK["spec"], "targetRef": {"kind": "Mish"}}}
    for documents in ([MESH, wrong], [wrong, MESH]):
        (finding,) = load(documents).errors
        assert finding.source.file == "mesh variable (MeshHealthCheck hc)"
        assert finding.path.startswith("spec.targetRef")


@pytest.mark.parametrize(
    ("document", "label"),
    [
        ({"kind": "MeshHealthCheck", "apiVersion": "kuma.io/v1", "metadata": {"name": "hc"}}, " (MeshHealthCheck hc)"),
        ({"kind": "MeshHealthCheck", "metadata": "hc"}, " (MeshHealthCheck)"),
        ({"kind": ["MeshHealthCheck"], "metadata": {"name": 5}}, ""),
        ({}, ""),
    ],
    ids=str,
)
def test_documents_in_kubernetes_form_are_named_alike(document, label):
    findings = load([document]).errors
    assert {finding.source.file for finding in findings} == {f"mesh variable{label}"}


def test_findings_about_a_variable_say_where_the_variable_was_written(tmp_path):
    text = yaml.safe_dump({"documents": [MESH, {**CHECK, "spec": {"targetRef": {"kind": "Mish"}}}]})
    (tmp_path / "vars.yml").write_text(text)
    variables = DataLoader().load_from_file(str(tmp_path / "vars.yml"))
    finding = load(variables["documents"]).errors[0]
    line = next(number for number, line in enumerate(text.splitlines(), 1) if "Mish" in line)
    assert finding.source.file.endswith("vars.yml")
    assert finding.source.line == line


def test_values_that_no_document_can_hold_are_findings():
    (finding,) = load([MESH, {**CHECK, "spec": {"to": [datetime.date(2026, 1, 1)]}}]).errors
    assert (finding.code, finding.path) == ("MESH006", "spec.to[0]")


# --- vault


def encrypted(vault, text):
    return vault.encrypt(text.encode(), VaultSecret(b"open sesame")).decode()


def test_encrypted_files_are_read_and_said_nothing_about(tmp_path, vault):
    documents = [MESH, {**CHECK, "spec": {**CHECK["spec"], "targetRef": {"kind": "s3cret"}}}]
    (tmp_path / "hc.yaml").write_text(encrypted(vault, yaml.safe_dump_all(documents)))
    loaded = load(str(tmp_path), tmp_path, _edge.ambient_loader())
    assert loaded.has_encrypted_files
    assert loaded.errors
    for finding in loaded.findings:
        assert "s3cret" not in json.dumps(finding.as_dict())


def test_a_file_that_cannot_be_decrypted_is_a_finding(tmp_path, vault, monkeypatch):
    (tmp_path / "hc.yaml").write_text(encrypted(vault, yaml.safe_dump(MESH)))
    monkeypatch.setattr(VaultSecretsContext, "_current", None)
    (finding,) = load(str(tmp_path), tmp_path, _edge.ambient_loader()).findings
    assert finding.code == "MESH001"
    assert finding.source.file == "hc.yaml"


def vaulted_header(vault, text):
    ciphertext = encrypted(vault, text)
    indented = "".join(f"                {line}\n" for line in ciphertext.splitlines())
    return (
        yaml.safe_dump_all([MESH, dataplane()])
        + "---\ntype: MeshHealthCheck\nmesh: default\nname: hc\nspec:\n  targetRef: {kind: Mesh}\n  to:\n"
        + "    - targetRef: {kind: Mesh}\n      default:\n        http:\n          path: /ping\n"
        + "          requestHeadersToAdd:\n            set:\n            - name: authorization\n"
        + f"              value: !vault |\n{indented}"
    )


def test_encrypted_values_are_decrypted_and_hidden(tmp_path, vault):
    (tmp_path / "hc.yaml").write_text(vaulted_header(vault, "Bearer 0123456789"))
    loaded = load("hc.yaml", tmp_path, _edge.ambient_loader())
    assert not loaded.errors
    assert "Bearer 0123456789" in json.dumps(loaded.documents[2].value)
    assert loaded.hide("value: Bearer 0123456789.") == "value: (hidden)."


def test_a_value_that_cannot_be_decrypted_is_a_finding_without_its_text(tmp_path, vault):
    text = vaulted_header(vault, "Bearer 0123456789")
    digits = [line.strip() for line in text.splitlines() if line.strip().isdigit()]
    (tmp_path / "hc.yaml").write_text(text.replace(digits[0], digits[0][::-1]))
    (finding,) = load("hc.yaml", tmp_path, _edge.ambient_loader()).errors
    assert finding.code == "MESH001"
    assert digits[1][:20] not in str(finding)


@pytest.mark.parametrize("decrypted", [False, True])
def test_encrypted_values_of_variables_are_hidden(vault, decrypted):
    value = EncryptedString(ciphertext=encrypted(vault, "s3cret-mesh"))
    if decrypted:  # as it is when it comes through a template
        value = value._decrypt()
    (finding,) = load([MESH, {**CHECK, "mesh": value}]).errors
    assert finding.message == "there is no Mesh '(hidden)'"


# --- explanations


WEB = {
    "type": "Dataplane",
    "mesh": "default",
    "name": "web-1",
    "networking": {
        "address": "127.0.0.8",
        "outbound": [{"port": 10001, "tags": {"kuma.io/service": "backend", "version": "v1"}}],
        "inbound": [
            {"port": 80, "servicePort": 81, "serviceAddress": "127.0.0.1", "tags": {"kuma.io/service": "web"}},
        ],
    },
}


def payload_check(name, send):
    default = {"interval": "10s", "tcp": {"send": send}}
    to = [{"targetRef": {"kind": "Mesh"}, "default": default}]
    return {**CHECK, "name": name, "spec": {"targetRef": {"kind": "Mesh"}, "to": to}}


def explained_whole(mesh, base="."):
    """What is said of web-1 in a mesh without hosts."""
    options = {"mesh": mesh, "hosts": "mesh", "slice": False}
    loader = _edge.ambient_loader()
    loader.set_basedir(str(base))
    fleet = _edge.read_fleet(options, {}, loader)
    return fleet.explain(_edge.api.DataplaneId("default", "web-1"))


def explained(mesh, base="."):
    """The one destination of web-1, and all that is said of web-1 as text."""
    explanation = explained_whole(mesh, base)
    (destination,) = explanation["destinations"]
    return destination, json.dumps(explanation) + _edge.api.explanation_text(explanation)


def test_encrypted_values_are_not_in_an_explanation(tmp_path, vault):
    lines = "".join(f"          {line}\n" for line in encrypted(vault, "czNjcmV0").splitlines())
    text = yaml.safe_dump_all([MESH, WEB, dataplane(), payload_check("b", "SECRET"), payload_check("a", "SECRET")])
    (tmp_path / "mesh.yaml").write_text(text.replace("SECRET", f"!vault |\n{lines}"))
    destination, everything = explained("mesh.yaml", tmp_path)
    data = destination["kinds"]["MeshHealthCheck"]
    field = data["fields"]["tcp.send"]
    assert (field["value"], field["losers"][0]["value"]) == ("(hidden)", "(hidden)")
    assert data["conf"] == {"interval": "10s", "tcp": {"send": "(hidden)"}}
    assert "czNjcmV0" not in everything
    assert "    tcp.send: (hidden)\n" in _edge.api.explanation_text(
        {"dataplane": "web-1", "inbounds": [], "destinations": [destination], "modifications": []}
    )


def test_of_a_vaulted_file_an_explanation_shows_no_values(tmp_path, vault):
    (tmp_path / "open.yaml").write_text(yaml.safe_dump_all([MESH, WEB, dataplane(), payload_check("b", "b3Blbg==")]))
    closed = yaml.safe_dump(payload_check("a", "czNjcmV0"))
    (tmp_path / "closed.yaml").write_text(encrypted(vault, closed.replace("interval: 10s", "interval: 77s")))
    destination, everything = explained(["open.yaml", "closed.yaml"], tmp_path)
    data = destination["kinds"]["MeshHealthCheck"]
    assert data["conf"] == {"interval": "(hidden)", "tcp": {"send": "(hidden)"}}
    send = data["fields"]["tcp.send"]
    assert (send["value"], send["policy"]["name"], send["policy"]["file"]) == ("(hidden)", "a", "closed.yaml")
    assert send["losers"][0]["value"] == "b3Blbg=="
    assert data["fields"]["tcp"]["value"] == {}
    assert "czNjcmV0" not in everything
    assert "77s" not in everything


def test_of_a_vaulted_file_no_values_for_inbounds_are_shown_either(tmp_path, vault):
    def timeouts(name, target, **default):
        spec = {"targetRef": target, "from": [{"targetRef": {"kind": "Mesh"}, "default": default}]}
        return {"type": "MeshTimeout", "mesh": "default", "name": name, "spec": spec}

    closed = timeouts("a", {"kind": "Mesh"}, idleTimeout="77s", connectionTimeout="66s")
    (tmp_path / "closed.yaml").write_text(encrypted(vault, yaml.safe_dump(closed)))
    opened = timeouts("b", {"kind": "MeshService", "name": "web"}, idleTimeout="1h")
    (tmp_path / "open.yaml").write_text(yaml.safe_dump_all([MESH, WEB, dataplane(), opened]))
    explanation = explained_whole(["open.yaml", "closed.yaml"], tmp_path)
    (inbound,) = explanation["inbounds"]
    data = inbound["kinds"]["MeshTimeout"]
    assert data["conf"] == {"connectionTimeout": "(hidden)", "idleTimeout": "1h0m0s"}
    assert data["fields"]["connectionTimeout"]["value"] == "(hidden)"
    assert data["fields"]["idleTimeout"]["losers"][0]["value"] == "(hidden)"
    everything = json.dumps(explanation) + _edge.api.explanation_text(explanation)
    assert "77s" not in everything
    assert "1m17s" not in everything
    assert "66s" not in everything
    assert "1m6s" not in everything


def test_a_vaulted_file_that_was_beaten_shows_no_values_either(tmp_path, vault):
    (tmp_path / "open.yaml").write_text(yaml.safe_dump_all([MESH, WEB, dataplane(), payload_check("a", "b3Blbg==")]))
    (tmp_path / "closed.yaml").write_text(encrypted(vault, yaml.safe_dump(payload_check("b", "czNjcmV0"))))
    destination, everything = explained(["open.yaml", "closed.yaml"], tmp_path)
    send = destination["kinds"]["MeshHealthCheck"]["fields"]["tcp.send"]
    assert (send["value"], send["losers"][0]["value"]) == ("b3Blbg==", "(hidden)")
    assert "czNjcmV0" not in everything


def test_of_a_vaulted_dataplane_an_explanation_names_services_only(tmp_path, vault):
    assert explained([MESH, WEB, dataplane()])[0]["tags"] == {"kuma.io/service": "backend", "version": "v1"}
    (tmp_path / "open.yaml").write_text(yaml.safe_dump_all([MESH, dataplane()]))
    (tmp_path / "closed.yaml").write_text(encrypted(vault, yaml.safe_dump(WEB)))
    destination, _everything = explained(["open.yaml", "closed.yaml"], tmp_path)
    assert destination["tags"] == {"kuma.io/service": "backend", "version": "(hidden)"}


def test_policies_in_a_variable_are_where_the_variable_was_written(tmp_path):
    kubernetes = {
        "kind": "MeshHealthCheck",
        "apiVersion": "kuma.io/v1alpha1",
        "metadata": {"name": "a"},
        "spec": payload_check("a", "b3Blbg==")["spec"],
    }
    text = yaml.safe_dump({"documents": [MESH, WEB, dataplane(), kubernetes, payload_check("b", "b3Blbg==")]})
    (tmp_path / "vars.yml").write_text(text)
    variables = DataLoader().load_from_file(str(tmp_path / "vars.yml"))
    destination, _everything = explained(variables["documents"])
    interval = destination["kinds"]["MeshHealthCheck"]["fields"]["interval"]
    places = [interval["policy"], *interval["losers"]]
    assert [place["name"] for place in places] == ["a", "b"]
    assert all(place["file"].endswith("vars.yml") for place in places)
    lines = [number for number, line in enumerate(text.splitlines(), 1) if "interval: 10s" in line]
    assert [place["line"] for place in places] == lines


# --- the cache


def test_the_same_content_is_parsed_once_and_other_content_anew(tmp_path):
    file = tmp_path / "mesh.yaml"
    file.write_text(yaml.safe_dump(MESH))
    first = load("mesh.yaml", tmp_path)
    assert load("mesh.yaml", tmp_path) is first
    status = file.stat()
    file.write_text(yaml.safe_dump({**MESH, "name": "deefault"}))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert load("mesh.yaml", tmp_path) is not first


def test_the_digest_is_that_of_the_content_not_of_its_order():
    def digest(*documents):
        return _edge.digest(_edge.read(list(documents), ".", DataLoader()))

    assert digest(MESH, CHECK) == digest(CHECK, MESH)
    assert digest(MESH, CHECK) == digest(MESH, dict(reversed(CHECK.items())))
    assert digest(MESH, CHECK) != digest(MESH, {**CHECK, "name": "hd"})
    assert digest(MESH) != digest(MESH, MESH)


# --- hosts


class HostVars(dict):
    """Host variables some of which cannot be templated."""

    def __getitem__(self, name):
        value = super().__getitem__(name)
        if isinstance(value, Exception):
            raise value
        return value


def task_vars(**hosts):
    return {
        "groups": {"all": sorted(hosts), "mesh": sorted(hosts), "ungrouped": []},
        "hostvars": {name: HostVars(variables) for name, variables in hosts.items()},
    }


def fleet(variables, documents=(MESH,), hosts="mesh", slice=False):
    return _edge.read_fleet({"mesh": list(documents), "hosts": hosts, "slice": slice}, variables, DataLoader())


def test_a_host_brings_its_dataplane_under_its_own_name_or_another():
    found = fleet(
        task_vars(
            plain={"mesh_dataplane": NETWORKING},
            named={"mesh_dataplane": NETWORKING, "mesh_dataplane_name": "other", "mesh_name": "second"},
        ),
        [MESH, {**MESH, "name": "second"}],
    )
    assert found.dataplanes == {"plain": ("default", "plain"), "named": ("second", "other")}
    assert not _edge.errors_of(found.findings)


def test_what_compile_must_know_of_a_host_is_in_its_variables():
    variables = task_vars(
        first={"mesh_dataplane": NETWORKING},
        second={
            "mesh_dataplane": NETWORKING,
            "mesh_root": "/srv/mesh/",
            "mesh_envoy_has_kafka": "yes",
            "mesh_passthrough_log": "/var/log/envoy/passthrough.log",
            "mesh_ipv6": "no",
        },
    )
    hosts, findings = _edge.read_hosts("mesh", variables, DataLoader())
    assert not findings
    assert [host.target for host in hosts] == [
        _edge.api.Target(root="/etc/envoy/mesh", envoy_has_kafka=False, ipv6=True, passthrough_log=None),
        _edge.api.Target(
            root="/srv/mesh", envoy_has_kafka=True, ipv6=False, passthrough_log="/var/log/envoy/passthrough.log"
        ),
    ]


@pytest.mark.parametrize(
    ("variables", "path"),
    [
        ({"mesh_root": "relative"}, "mesh_root"),
        ({"mesh_root": "/"}, "mesh_root"),
        ({"mesh_root": "/a\nb"}, "mesh_root"),
        ({"mesh_root": 5}, "mesh_root"),
        ({"mesh_envoy_has_kafka": "perhaps"}, "mesh_envoy_has_kafka"),
        ({"mesh_passthrough_log": "passthrough.log"}, "mesh_passthrough_log"),
        ({"mesh_passthrough_log": True}, "mesh_passthrough_log"),
        ({"mesh_ipv6": "perhaps"}, "mesh_ipv6"),
        ({"mesh_dataplane_name": ["x"]}, "mesh_dataplane_name"),
        ({"mesh_name": 1}, "mesh_name"),
        ({"mesh_dataplane": AnsibleUndefinedVariable("'nope' is undefined")}, "mesh_dataplane"),
        ({"mesh_dataplane": {"address": datetime.date(2026, 1, 1)}}, "mesh_dataplane.address"),
    ],
    ids=str,
)
def test_variables_of_no_use_are_findings(variables, path):
    findings = fleet(task_vars(web={"mesh_dataplane": NETWORKING, **variables})).findings
    assert [(f.code, f.path, f.source.file) for f in findings if f.code != "MESH101"] == [
        ("MESH103", path, "inventory host web")
    ]


def test_one_mistake_in_a_host_variable_is_one_finding():
    variables = task_vars(web={"mesh_dataplane": AnsibleUndefinedVariable("'nope' is undefined")})
    assert codes(fleet(variables).findings) == ["MESH103"]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "there is no dataplane 'backend-2' in mesh 'default'; did you mean 'backend-1'?"),
        (
            {"mesh_dataplane_name": "web-9"},
            "there is no dataplane 'web-9' in mesh 'default'; there is one in mesh 'second'",
        ),
    ],
)
def test_a_host_without_a_dataplane_is_an_error(variables, message):
    documents = [MESH, {**MESH, "name": "second"}, dataplane(), dataplane("web-9", "second")]
    errors = _edge.errors_of(fleet(task_vars(**{"backend-2": variables}), documents).findings)
    assert codes(errors) == ["MESH101"]
    assert errors[0].message.startswith(message)


def test_a_dataplane_without_a_host_is_a_notice_unless_the_run_sees_only_a_slice():
    variables = task_vars(**{"backend-1": {}})
    documents = [MESH, dataplane("backend-1"), dataplane("backend-2")]
    (notice,) = fleet(variables, documents).findings
    assert (notice.code, notice.severity, notice.name) == ("MESH102", Severity.NOTICE, "backend-2")
    assert not fleet(variables, documents, slice=True).findings


def test_a_mesh_without_hosts_is_a_mesh():
    assert not fleet(task_vars(), [MESH, dataplane()]).findings
    assert not fleet({}, [MESH, dataplane()]).findings


def test_two_hosts_cannot_be_one_dataplane():
    variables = task_vars(a={"mesh_dataplane_name": "backend-1"}, b={"mesh_dataplane_name": "backend-1"})
    errors = _edge.errors_of(fleet(variables, [MESH, dataplane()]).findings)
    assert codes(errors) == ["MESH104"]
    assert "'a'" in errors[0].message


def test_a_dataplane_of_a_host_and_of_a_file_is_there_twice():
    errors = _edge.errors_of(
        fleet(task_vars(**{"backend-1": {"mesh_dataplane": NETWORKING}}), [MESH, dataplane()]).findings
    )
    assert codes(errors) == ["MESH030"]


def test_a_dataplane_with_a_mistake_is_not_missing_as_well():
    broken = {**dataplane(), "networking": {**NETWORKING, "address": "nonsense "}}
    errors = _edge.errors_of(fleet(task_vars(**{"backend-1": {}}), [MESH, broken]).findings)
    assert errors
    assert "MESH101" not in codes(errors)


def test_a_host_name_that_kuma_would_refuse_is_a_finding():
    errors = _edge.errors_of(fleet(task_vars(Web_1={"mesh_dataplane": NETWORKING})).findings)
    assert errors
    assert {error.source.file for error in errors} == {"inventory host Web_1"}


def test_hosts_are_chosen_by_a_pattern_over_the_whole_inventory():
    variables = task_vars(a={}, b={}, c={})
    variables["groups"]["db"] = ["c"]
    loader = DataLoader()
    assert _edge.matching_hosts("mesh:!db", variables, loader) == ["a", "b"]
    assert _edge.matching_hosts("nobody", variables, loader) == []


def test_in_a_slice_dataplanes_come_from_files_only():
    variables = task_vars(**{"backend-1": {"mesh_dataplane": NETWORKING}})
    assert fleet(variables, [MESH, dataplane()], slice=True).dataplanes == {"backend-1": ("default", "backend-1")}
    assert codes(fleet(variables, [MESH], slice=True).findings) == ["MESH101"]


def test_the_inputs_of_a_fleet_are_files_hosts_and_flags():
    def inputs(**variables):
        return fleet(task_vars(web={"mesh_dataplane": NETWORKING, **variables})).inputs

    assert inputs() == inputs()
    assert inputs() != inputs(mesh_root="/srv/mesh")
    assert inputs() != inputs(mesh_envoy_has_kafka=True)
    assert inputs() != inputs(mesh_passthrough_log="/var/log/envoy/passthrough.log")
    assert inputs() != inputs(mesh_dataplane={**NETWORKING, "address": "127.0.0.8"})


# --- telling


def test_the_summary_counts_and_puts_errors_first():
    told = {**MESH, "networking": {"outbound": {"passthrough": True}}}
    findings = load([told, dataplane(), {**CHECK, "mesh": "nowhere"}]).findings
    lines = _edge.summary(findings).splitlines()
    assert lines[0] == "1 error, 1 notice"
    assert "MESH031" in lines[1]
    assert "notice: MESH052" in lines[2]
    assert _edge.summary([]) == "no findings"


def test_a_long_summary_is_cut_and_says_so():
    findings = load([MESH, *({**CHECK, "mesh": "nowhere", "name": f"hc-{n}"} for n in range(60))]).findings
    lines = _edge.summary(findings).splitlines()
    assert len(lines) == _edge.SHOWN_FINDINGS + 2
    assert "10 more" in lines[-1]


def test_missing_packages_are_findings_that_name_the_command(monkeypatch):
    monkeypatch.setattr(
        _edge._requirements, "missing", lambda: ["jsonschema is not installed: run pip install jsonschema"]
    )
    (finding,) = _edge.missing_packages()
    assert finding.severity is Severity.ERROR
    assert "pip install jsonschema" in str(finding)
    with pytest.raises(AnsibleFilterError, match="pip install jsonschema"):
        _edge.load_for_filter({}, [MESH])


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("backend", ("backend", {})),
        ({"kuma.io/service": "backend", "version": "v1"}, ("backend", {"version": "v1"})),
    ],
)
def test_a_service_is_a_name_or_tags(service, expected):
    assert _edge.service_and_tags(service) == expected


@pytest.mark.parametrize("service", [None, 5, {}, {"version": "v1"}, {"kuma.io/service": 1}], ids=repr)
def test_a_service_that_is_neither_is_refused(service):
    with pytest.raises(AnsibleFilterError):
        _edge.service_and_tags(service)
