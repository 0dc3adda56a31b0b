# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option `templates` of the actions `compile` and `validate`."""

from __future__ import annotations

import json
import pathlib
import shutil
import types

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret, VaultSecretsContext

from ansible_collections.meshsmith.universal.plugins.action import compile as compile_action
from ansible_collections.meshsmith.universal.plugins.action import validate as validate_action
from ansible_collections.meshsmith.universal.plugins.filter.health_checks import health_checks
from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge

ROOT = pathlib.Path(__file__).resolve().parents[4]
FILE = "templates/status.yaml.j2"
TYPES = "type.googleapis.com/envoy"

STATUS = f"""\
{{% if 'web' in dataplane.tags['kuma.io/service'] %}}
"@type": {TYPES}.config.listener.v3.Listener
name: status
address:
  socket_address: {{address: {{{{ dataplane.networking.address }}}}, port_value: 21999}}
filter_chains:
  - filters:
      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": {TYPES}.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: status
          cluster: backend
{{% endif %}}
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A directory with a playbook's mesh and a template."""
    shutil.copytree(ROOT / "playbooks" / "files" / "demo" / "mesh", tmp_path / "mesh")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "status.yaml.j2").write_text(STATUS)
    (tmp_path / "local").mkdir()
    monkeypatch.setattr(compile_action.C, "DEFAULT_LOCAL_TMP", str(tmp_path / "local"))
    return tmp_path


@pytest.fixture
def compile_mesh(run_action, site):
    def run(check=False, diff=False, task_vars=None, **options):
        options = {"mesh": str(site / "mesh"), "artifacts_dir": "artifacts", "templates": "templates", **options}
        return run_action(compile_action.ActionModule, options, check=check, diff=diff, task_vars=task_vars)

    return run


@pytest.fixture
def validate(run_action, site):
    def run(**options):
        options = {"mesh": str(site / "mesh"), "templates": "templates", **options}
        return run_action(validate_action.ActionModule, options)

    return run


@pytest.fixture
def vault(monkeypatch):
    secrets = [("default", VaultSecret(b"open sesame"))]
    monkeypatch.setattr(VaultSecretsContext, "_current", VaultSecretsContext(secrets))
    init = DataLoader.__init__

    def with_secrets(loader):
        init(loader)
        loader.set_vault_secrets(secrets)

    monkeypatch.setattr(DataLoader, "__init__", with_secrets)
    return VaultLib(secrets)


def write(site, name, text):
    path = site / "templates" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def listeners(site, name):
    document = json.loads((site / "artifacts" / "default" / f"{name}.json").read_bytes())
    return {one["name"]: one for one in document["files"]["lds"]["resources"]}


def message_of(run, **options):
    with pytest.raises(AnsibleActionFail) as caught:
        run(**options)
    return str(caught.value)


def test_what_templates_yield_is_in_the_releases_that_they_are_for(compile_mesh, site):
    result = compile_mesh()
    assert listeners(site, "web")["status"]["address"]["socketAddress"] == {"address": "127.77.0.1", "portValue": 21999}
    assert "status" not in listeners(site, "backend-1")
    assert result["releases"]["web"]["policies"][-1] == "template status"
    assert result["findings"] == []


def test_without_the_option_nothing_is_rendered(compile_mesh, site, monkeypatch):
    monkeypatch.setattr(_edge.templates, "variables", None)
    compile_mesh(templates=None)
    assert "status" not in listeners(site, "web")


def test_the_same_templates_are_rendered_once_and_changed_ones_again(compile_mesh, site):
    assert compile_mesh()["changed"]
    assert not compile_mesh()["changed"]
    write(site, "status.yaml.j2", STATUS.replace("21999", "21998"))
    changed = {name for name, release in compile_mesh()["releases"].items() if release["changed"]}
    assert changed == {"web"}
    # One that nothing is rendered of counts too: others may import it.
    before = _edge_inputs(site)
    write(site, "_values.j2", "{% set port = 1 %}")
    assert _edge_inputs(site) != before
    write(site, "notes.txt", "not a template")
    after = _edge_inputs(site)
    write(site, "notes.txt", "still none")
    assert _edge_inputs(site) == after


def _edge_inputs(site):
    given = _edge.read_templates("templates", str(site), DataLoader())
    return _edge.digest(given)


def test_templates_may_import_others_and_stand_in_directories(compile_mesh, site):
    write(site, "_values.j2", "{% set ports = {'web': 21998} %}")
    text = "{% from '_values.j2' import ports %}\n{% if dataplane.name in ports %}\n"
    text += STATUS.replace("21999", "{{ ports[dataplane.name] }}").replace("name: status", "name: other")
    write(site, "more/other.yaml.j2", text + "{% endif %}")
    compile_mesh()
    assert listeners(site, "web")["other"]["address"]["socketAddress"]["portValue"] == 21998


def test_filters_take_the_mesh_that_is_compiled(compile_mesh, site, monkeypatch):
    # Without a run of Ansible its loader knows no collections.
    get = _edge.filter_loader.get
    own = types.SimpleNamespace(j2_function=health_checks)
    monkeypatch.setattr(_edge.filter_loader, "get", lambda name: own if "meshsmith" in name else get(name))
    checks = "{{ mesh | meshsmith.universal.health_checks(dataplane.name, 'backend') | to_json }}"
    text = f"""\
{{% if dataplane.networking.outbound %}}
"@type": {TYPES}.config.cluster.v3.Cluster
name: slow
type: EDS
eds_cluster_config: {{service_name: {{{{ dataplane.networking.outbound[0].cluster }}}}}}
connect_timeout: {{{{ '10s' | regex_replace('^1', '2') }}}}
health_checks: {checks}
{{% endif %}}
"""
    write(site, "status.yaml.j2", text)
    compile_mesh()
    document = json.loads((site / "artifacts" / "default" / "web.json").read_bytes())
    [slow] = [one for one in document["files"]["cds"]["resources"] if one["name"] == "slow"]
    assert slow["connectTimeout"] == "20s"
    assert slow["healthChecks"][0]["httpHealthCheck"]["path"] == "/health"


def test_services_can_be_looped_over_and_printed(compile_mesh, site):
    write(
        site,
        "status.yaml.j2",
        "# {{ services | to_json }} {{ services | length }} {{ services.keys() | sort | join }} {{ target.root }}\n"
        "# {% for name, service in services.items() %}{{ name }} {{ service.protocol }} "
        "{% for one in service.endpoints %}{{ one.address }}:{{ one.port }}{% endfor %}{% endfor %}\n",
    )
    assert compile_mesh()["counts"] == {"error": 0, "warning": 1, "notice": 0}


# --- what is wrong ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        (
            "dataplane.networking.address",
            "dataplane.networking.adress",
            "templates/status.yaml.j2:5:1: MESH260 there is no 'adress'; did you mean 'address'? (dataplane 'web')",
        ),
        (
            "{{ dataplane.networking.address }}",
            "{{ hostvars.web.address }}",
            "templates/status.yaml.j2:5:1: MESH260 'hostvars' is undefined (dataplane 'web')",
        ),
        ("{% endif %}", "{% end %}", "templates/status.yaml.j2:13:1: MESH260 Encountered unknown tag 'end'."),
        (
            "stat_prefix",
            "stat_prefx",
            f"{FILE}:11:11: MESH262 filter_chains[0].filters[0].typed_config.stat_prefx: TcpProxy has no such field;",
        ),
        (
            "name: status",
            "name: outbound:127.77.0.1:21000",
            f"{FILE}:3:1: MESH263 the dataplane has a Listener 'outbound:127.77.0.1:21000' already (dataplane 'web')",
        ),
        (
            "21999",
            "21080",
            f"{FILE}:4:1: MESH264 address: 127.77.0.1:21080 is taken by the inbound of web (dataplane 'web')",
        ),
        ("name: status", "name: [", "templates/status.yaml.j2:"),
    ],
)
def test_mistakes_are_told_at_their_lines_and_nothing_is_written(compile_mesh, validate, site, old, new, finding):
    assert old in STATUS
    write(site, "status.yaml.j2", STATUS.replace(old, new))
    assert f"\n{finding}" in message_of(validate)
    assert f"Nothing was compiled: 1 error\n{finding}" in message_of(compile_mesh)
    assert not (site / "artifacts").exists()


def test_all_templates_are_looked_at(validate, site):
    write(site, "a.j2", "{{ nobody }}")
    write(site, "b.j2", "{% if %}")
    with pytest.raises(AnsibleActionFail) as caught:
        validate()
    found = [(one["file"], one["code"], one["line"]) for one in caught.value.result["findings"]]
    assert found == [("templates/a.j2", "MESH260", 1), ("templates/b.j2", "MESH260", 1)]


def test_errors_of_the_mesh_come_first(validate, site):
    (site / "mesh" / "mesh.yaml").write_text("type: Mesh\nname: 5\n")
    write(site, "status.yaml.j2", "{{ nobody }}")
    assert "MESH260" not in message_of(validate)


def test_a_template_for_no_dataplane_is_a_warning(validate, compile_mesh, site):
    write(site, "status.yaml.j2", STATUS.replace("'web' in", "'wbe' in"))
    for result in (validate(), compile_mesh()):
        [finding] = result["findings"]
        assert (finding["code"], finding["severity"], finding["file"]) == (
            "MESH268",
            "warning",
            "templates/status.yaml.j2",
        )
    assert "MESH268" in message_of(validate, strict=True)


def test_a_directory_must_be_there_and_hold_templates(validate, site):
    assert "nowhere: MESH001 No such file or directory" in message_of(validate, templates="nowhere")
    (site / "empty" / ".hidden").mkdir(parents=True)
    (site / "empty" / ".hidden" / "a.j2").write_text("{{")
    (site / "empty" / "notes.txt").write_text("")
    assert "empty: MESH269 the directory holds no *.j2 files" in message_of(validate, templates="empty")
    assert "status.yaml.j2: MESH001 Not a directory" in message_of(validate, templates="templates/status.yaml.j2")


def test_a_template_must_be_text(validate, site):
    (site / "templates" / "status.yaml.j2").write_bytes(b"\xff")
    assert "templates/status.yaml.j2:1:1: MESH002 the file is not UTF-8" in message_of(validate)


def test_only_what_a_run_compiles_is_rendered(compile_mesh, site):
    play = {"ansible_limit": "backend-1", "ansible_play_hosts_all": ["backend-1"]}
    hosts = {"groups": {"mesh": ["web", "backend-1"]}, "hostvars": {"web": {}, "backend-1": {}}}
    write(site, "status.yaml.j2", STATUS.replace("networking.address", "networking.adress"))
    result = compile_mesh(task_vars={**hosts, **play})
    assert list(result["releases"]) == ["backend-1"]
    # It may well be for one of the others.
    assert not [one for one in result["findings"] if one["code"] == "MESH268"]
    with pytest.raises(AnsibleActionFail, match="MESH260"):
        compile_mesh(task_vars=hosts)


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_a_vaulted_template_is_decrypted_and_never_shown(compile_mesh, validate, site, vault):
    def save(text):
        (site / "templates" / "status.yaml.j2").write_bytes(vault.encrypt(text))

    save(STATUS.replace("stat_prefix: status", "stat_prefix: t0psecret"))
    [entry] = [one for one in compile_mesh(diff=True)["diff"] if one["after_header"].endswith("web")]
    assert "listener status" in entry["after"]
    assert "t0psecret" not in json.dumps(entry)
    document = json.loads((site / "artifacts" / "default" / "web.json").read_bytes())
    assert document["sensitive"] is True
    assert listeners(site, "web")["status"]["filterChains"][0]["filters"][0]["typedConfig"]["statPrefix"] == "t0psecret"
    save(STATUS.replace("cluster: backend", "cluster: {t0psecret: 1}"))
    assert "t0psecret" not in message_of(validate)
    assert "status.yaml.j2:12:11: MESH262" in message_of(validate)


def test_a_vaulted_value_in_a_template_is_decrypted_and_hidden(compile_mesh, validate, site, vault):
    ciphertext = vault.encrypt("t0psecret").decode().replace("\n", "\n            ")
    secret = f"!vault |\n            {ciphertext}"
    write(site, "status.yaml.j2", STATUS.replace("stat_prefix: status", f"stat_prefix: {secret}"))
    [entry] = [one for one in compile_mesh(diff=True)["diff"] if one["after_header"].endswith("web")]
    assert "t0psecret" not in json.dumps(entry)
    assert listeners(site, "web")["status"]["filterChains"][0]["filters"][0]["typedConfig"]["statPrefix"] == "t0psecret"
    document = json.loads((site / "artifacts" / "default" / "web.json").read_bytes())
    assert document["sensitive"] is True
    write(site, "status.yaml.j2", STATUS.replace("port_value: 21999", f"port_value: {secret}"))
    assert "t0psecret" not in message_of(validate)


def test_what_cannot_be_decrypted_says_so(validate, site):
    (site / "templates" / "status.yaml.j2").write_bytes(VaultLib([("x", VaultSecret(b"other"))]).encrypt(STATUS))
    assert "templates/status.yaml.j2: MESH001 a file or directory cannot be read" in message_of(validate)
