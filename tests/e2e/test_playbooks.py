# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as its users meet it: ansible-playbook and ansible-doc, in a site of their own."""

from __future__ import annotations

import ast
import contextlib
import fcntl
import glob
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from lab.envoy import envoy_binary

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEMO_MESH = ROOT / "playbooks" / "files" / "demo" / "mesh"
PLUGINS = [
    (kind, path)
    for kind in ("modules", "filter", "lookup")
    for path in sorted((ROOT / "plugins" / kind).glob("[!_]*.py"))
    if path.stem != "apply"  # it needs a host with an Envoy: test_apply
]
SECRET = "Bearer 0123456789"


class Site:
    """Somebody's directory with a mesh, from which they run Ansible."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.artifacts = directory / "artifacts"
        shutil.copytree(DEMO_MESH, directory / "mesh")

    def run(self, *command: str, fails: bool = False) -> str:
        """What Ansible prints; whether it fails is checked."""
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.directory / "home"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False",
        }
        program = str(pathlib.Path(sys.executable).with_name(command[0]))
        done = subprocess.run(
            [program, *command[1:]],
            cwd=self.directory,
            env=environment,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert (done.returncode != 0) == fails, done.stdout
        return done.stdout

    def playbook(self, name: str, *options: str, fails: bool = False) -> str:
        return self.run("ansible-playbook", name, *options, fails=fails)

    def play(self, *tasks: object, options: tuple[str, ...] = (), fails: bool = False, **keywords: object) -> str:
        """Run tasks in a play of the user's own."""
        play = {"hosts": "localhost", "gather_facts": False, "tasks": list(tasks), **keywords}
        (self.directory / "site.yml").write_text(yaml.safe_dump([play], sort_keys=False))
        return self.playbook("site.yml", *options, fails=fails)

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.directory / "mesh" / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def changed(output: str) -> int:
    """The sum of `changed=` in a recap."""
    recap = output[output.index("PLAY RECAP") :]
    return sum(int(word.partition("=")[2]) for word in recap.split() if word.startswith("changed="))


def left_by_demos() -> list[str]:
    """Directories and processes of demos: none, when none runs."""
    found = glob.glob("/tmp/mesh.*")
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            command = pathlib.Path(path).read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if "/tmp/mesh." in command or "/files/demo/" in command:
                found.append(command)
    return found


@pytest.fixture
def only_demo() -> Iterator[None]:
    """Demos use the same addresses, so only one runs at a time; what they leave is looked for afterwards."""
    with open(pathlib.Path(tempfile.gettempdir()) / "meshsmith-demo.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = left_by_demos()
        yield
        assert set(left_by_demos()) <= set(before)


# --- validate


def test_validate_says_that_a_mesh_is_sound(site):
    for options in ((), ("--check",), ("--diff",)):
        output = site.playbook("meshsmith.universal.validate", *options)
        assert '"no findings"' in output
        assert changed(output) == 0


def test_validate_shows_all_findings_on_lines_of_their_own(site):
    site.edit("policies/everything.yaml", "interval: 1s", "interval: 0s")
    site.edit("policies/everything.yaml", "timeout: 500ms", "timeot: 500ms")
    lines = site.playbook("meshsmith.universal.validate", fails=True).splitlines()
    first = lines.index("[ERROR]: Task failed: The mesh is not valid: 2 errors")
    assert (
        lines[first + 1]
        == "mesh/policies/everything.yaml:16:9: MESH021 spec.to[0].default.interval: must be greater than zero"
    )
    assert lines[first + 2].startswith("mesh/policies/everything.yaml:17:9: ")


def test_validate_strict_fails_for_warnings(site):
    site.edit("dataplanes/web.yaml", "kuma.io/service: backend", "kuma.io/service: backent")
    assert "did you mean 'backend'" in site.playbook("meshsmith.universal.validate")
    site.playbook("meshsmith.universal.validate", "-e", "mesh_strict=true", fails=True)


def test_findings_about_the_inventory_point_into_it(site):
    inventory = {"mesh": {"hosts": {"db-1": {"mesh_dataplane": {"address": "127.0.0.9", "inbaund": []}}}}}
    (site.directory / "hosts.yml").write_text(yaml.safe_dump(inventory))
    output = site.playbook("meshsmith.universal.validate", "-i", "hosts.yml", fails=True)
    assert "\nhosts.yml:6:" in output
    assert "networking.inbaund: unknown field; did you mean 'inbound'? (inventory host db-1)" in output


# --- explain


def fenced(page: str, language: str) -> list[str]:
    """The blocks of one language on a page of the documentation."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def test_explain_prints_what_the_page_about_ansible_shows(site):
    page = "docs/using-with-ansible.md"
    (policies,) = [block for block in fenced(page, "yaml") if block.startswith("type: MeshRetry")]
    (session,) = [block for block in fenced(page, "console") if "meshsmith.universal.explain" in block]
    shutil.rmtree(site.directory / "mesh")
    (site.directory / "mesh").mkdir()
    (site.directory / "mesh" / "shop.yaml").write_text(fenced("README.md", "yaml")[0])
    (site.directory / "mesh" / "policies.yaml").write_text(policies)
    inventory = {"mesh": {"hosts": {"web-1": {}, "backend-1": {}}}}
    (site.directory / "inventory.yml").write_text(yaml.safe_dump(inventory))
    command, shown = session.removeprefix("$ ").split("\n…\n")
    for options in ((), ("--check",)):
        output = site.run(*command.split(), *options)
        assert shown in output
        assert changed(output) == 0


def test_explain_can_be_asked_about_one_service_of_one_dataplane(site):
    options = ["-e", "mesh_explain_dataplane=web"]
    assert "healthChecks[0].interval of cluster backend" in site.playbook("meshsmith.universal.explain", *options)
    subset = json.dumps({"mesh_explain_service": {"kuma.io/service": "backend"}})
    assert '"web -> backend (http, ' in site.playbook("meshsmith.universal.explain", *options, "-e", subset)
    options += ["-e", "mesh_explain_service=backent"]
    output = site.playbook("meshsmith.universal.explain", *options, fails=True)
    assert "has no outbound for the service 'backent'; did you mean 'backend'?" in output
    assert "failed: set mesh_explain_dataplane" in site.playbook("meshsmith.universal.explain", fails=True)


def test_each_host_of_a_play_explains_its_own_dataplane(site):
    inventory = {"mesh": {"hosts": {name: {} for name in ("web", "backend-1", "backend-2")}}}
    (site.directory / "hosts.yml").write_text(yaml.safe_dump(inventory))
    output = site.play(
        {"meshsmith.universal.explain": {"mesh": "mesh"}, "register": "explained"},
        {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} is {{ explained.dataplane }}"}},
        hosts="mesh",
        options=("-i", "hosts.yml", "--limit", "web,backend-2"),
    )
    assert '"web is web"' in output
    assert '"backend-2 is backend-2"' in output


# --- compile


def test_compile_writes_once_and_check_mode_not_at_all(site):
    checked = site.playbook("meshsmith.universal.compile", "--check", "--diff")
    assert changed(checked) == 1
    assert "+cluster backend" in checked
    assert not site.artifacts.exists()
    assert changed(site.playbook("meshsmith.universal.compile")) == 1
    assert sorted(path.name for path in (site.artifacts / "default").iterdir()) == [
        "backend-1.json",
        "backend-2.json",
        "web.json",
    ]
    assert changed(site.playbook("meshsmith.universal.compile")) == 0
    assert changed(site.playbook("meshsmith.universal.compile", "--check")) == 0


def test_compile_shows_what_changes_by_resource(site):
    site.playbook("meshsmith.universal.compile")
    site.edit("policies/backend.yaml", "path: /health", "path: /healthz")
    output = site.playbook("meshsmith.universal.compile", "--diff")
    assert "--- before: default/web" in output
    assert '-        "httpHealthCheck": ' not in output
    assert '-          "path": "/health",' in output
    assert '+          "path": "/healthz",' in output
    assert "listener" not in output


def test_hosts_that_compile_at_the_same_time_do_it_once(site):
    hosts = {f"host-{number}": {"ansible_connection": "local"} for number in range(6)}
    (site.directory / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    task = {"meshsmith.universal.compile": {"mesh": "mesh", "artifacts_dir": "artifacts"}}
    output = site.play(task, hosts="all", options=("-i", "hosts.yml", "--forks", "6"))
    assert changed(output) == 1


def test_limit_keeps_the_artifacts_of_the_others(site):
    inventory = {"mesh": {"hosts": {name: {} for name in ("web", "backend-1", "backend-2")}}}
    (site.directory / "hosts.yml").write_text(yaml.safe_dump(inventory))
    task = {"run_once": True, "meshsmith.universal.compile": {"mesh": "mesh", "artifacts_dir": "artifacts"}}
    options = ("-i", "hosts.yml")
    site.play(task, hosts="mesh", options=(*options, "--limit", "web"))
    assert [path.name for path in (site.artifacts / "default").iterdir()] == ["web.json"]
    limited = (site.artifacts / "default" / "web.json").read_bytes()
    site.play(task, hosts="mesh", options=options)
    assert len(list((site.artifacts / "default").iterdir())) == 3
    assert (site.artifacts / "default" / "web.json").read_bytes() == limited


def test_action_defaults_reach_the_actions(site):
    defaults = {"group/meshsmith.universal.mesh": {"mesh": "mesh"}}
    site.play({"meshsmith.universal.validate": {}}, module_defaults=defaults)


def test_deploy_holds_together(site):
    output = site.playbook("meshsmith.universal.deploy", "--list-tasks")
    assert output.index("Compile the mesh") < output.index("Bring the hosts to their releases")


# --- slices


def test_a_slice_compiles_from_an_export_what_the_whole_inventory_gives(site):
    web = site.directory / "mesh" / "dataplanes" / "web.yaml"
    networking = yaml.safe_load(web.read_text())["networking"]
    web.unlink()
    hosts = {"web": {"mesh_dataplane": networking}, "backend-1": {}, "backend-2": {}}
    (site.directory / "inventory.yml").write_text(yaml.safe_dump({"mesh": {"hosts": hosts}}))
    (site.directory / "slice.yml").write_text(yaml.safe_dump({"mesh": {"hosts": {"backend-1": {}}}}))
    site.playbook("meshsmith.universal.compile", "-i", "inventory.yml")
    artifact = site.artifacts / "default" / "backend-1.json"
    whole = (artifact.read_bytes(), (site.artifacts / "default" / "web.json").read_bytes())

    assert changed(site.playbook("meshsmith.universal.export", "-i", "inventory.yml", "--check")) == 1
    assert not (site.directory / "mesh" / "inventory-dataplanes.yaml").exists()
    assert changed(site.playbook("meshsmith.universal.export", "-i", "inventory.yml")) == 1
    assert changed(site.playbook("meshsmith.universal.export", "-i", "inventory.yml")) == 0
    shutil.rmtree(site.artifacts)
    site.playbook("meshsmith.universal.compile", "-i", "slice.yml", "-e", "mesh_slice=true")

    assert artifact.read_bytes() == whole[0]
    # What both the inventory and the export say, is there twice.
    output = site.playbook("meshsmith.universal.compile", "-i", "inventory.yml", fails=True)
    assert "MESH030 name: this Dataplane is also in" in output
    site.playbook("meshsmith.universal.compile", "-i", "inventory.yml", "-e", "mesh_slice=true")
    assert (site.artifacts / "default" / "web.json").read_bytes() == whole[1]


# --- vault


@pytest.fixture
def vaulted(site):
    """A site with a vaulted header, and the options that decrypt it."""
    (site.directory / "password").write_text("open sesame")
    secret = VaultSecret(b"open sesame")
    ciphertext = VaultLib().encrypt(SECRET.encode(), secret).decode()
    indented = "".join(f"                {line}\n" for line in ciphertext.splitlines())
    lines = ["requestHeadersToAdd:", "  set:", "  - name: authorization", "    value: !vault |"]
    header = "\n".join(f"          {line}" for line in lines)
    site.edit("policies/backend.yaml", "path: /health\n", f"path: /health\n{header}\n{indented}")
    return ("--vault-password-file", "password")


def test_vaulted_values_reach_the_artifact_and_no_output(site, vaulted):
    output = site.playbook("meshsmith.universal.compile", *vaulted, "--diff", "-vvv")
    assert changed(output) == 1
    assert SECRET not in output
    assert "(hidden)" in output
    artifact = (site.artifacts / "default" / "web.json").read_text()
    assert SECRET in artifact
    # What was encrypted anywhere, apply shows by names only.
    assert json.loads(artifact)["sensitive"] is True


def test_vaulted_values_are_not_explained(site, vaulted):
    options = (*vaulted, "-vvv", "-e", "mesh_explain_dataplane=web")
    output = site.playbook("meshsmith.universal.explain", *options)
    assert "http.requestHeadersToAdd" in output
    assert "(hidden)" in output
    assert SECRET not in output


def test_vaulted_files_are_read_and_their_content_is_not_shown(site):
    (site.directory / "password").write_text("open sesame")
    file = site.directory / "mesh" / "policies" / "backend.yaml"
    text = file.read_text().replace("path: /health", "path: /s3cret")
    file.write_bytes(VaultLib().encrypt(text.encode(), VaultSecret(b"open sesame")))
    options = ("--vault-password-file", "password", "--diff", "-vvv")
    output = site.playbook("meshsmith.universal.compile", *options)
    assert "cluster backend (hidden)" in output
    assert "s3cret" not in output
    assert "/s3cret" in (site.artifacts / "default" / "web.json").read_text()
    output = site.playbook("meshsmith.universal.explain", *options, "-e", "mesh_explain_dataplane=web")
    assert "http.path: (hidden)" in output
    assert "s3cret" not in output


def test_without_the_password_it_is_said_which_file(site, vaulted):
    assert vaulted
    output = site.playbook("meshsmith.universal.compile", fails=True)
    assert "mesh/policies/backend.yaml:" in output
    assert not site.artifacts.exists()


# --- filters


def test_filters_know_the_secrets_of_the_run(site, vaulted):
    expression = "{{ 'mesh' | meshsmith.universal.health_checks('web', 'backend') | to_json is search('Bearer') }}"
    assert '"msg": true' in site.play({"ansible.builtin.debug": {"msg": expression}}, options=vaulted)


def test_results_are_never_templates(site):
    site.edit("policies/backend.yaml", "path: /health", 'path: "/{{ 6 * 7 }}"')
    values = {
        "checks": "{{ 'mesh' | meshsmith.universal.health_checks('web', 'backend') }}",
        "documents": "{{ query('meshsmith.universal.mesh', 'mesh') }}",
        "effective": "{{ 'mesh' | meshsmith.universal.effective('MeshHealthCheck', 'web', 'backend') }}",
    }
    output = site.play(
        {"ansible.builtin.set_fact": values},
        {
            "ansible.builtin.copy": {
                "dest": "{{ playbook_dir }}/out.json",
                "content": "{{ [checks, documents, effective] | to_json }}",
            }
        },
    )
    assert "42" not in (site.directory / "out.json").read_text()
    assert (site.directory / "out.json").read_text().count("/{{ 6 * 7 }}") >= 3, output
    output = site.playbook("meshsmith.universal.explain", "-e", "mesh_explain_dataplane=web", "-vv")
    assert "http.path: /{{ 6 * 7 }}" in output
    assert "/42" not in output


def test_documents_in_a_variable_are_a_mesh(site):
    task = {
        "vars": {
            "documents": "{{ query('meshsmith.universal.mesh', 'mesh') }}",
            "checks": "{{ 'mesh' | meshsmith.universal.health_checks('web', 'backend') }}",
        },
        "ansible.builtin.assert": {
            "that": [
                "documents | meshsmith.universal.findings == []",
                "documents | meshsmith.universal.health_checks('web', 'backend') == checks",
            ]
        },
    }
    site.play(task)


def test_a_failing_filter_names_file_and_line(site):
    site.edit("policies/everything.yaml", "interval: 1s", "interval: 0s")
    expression = "{{ 'mesh' | meshsmith.universal.envoy_resources('web') }}"
    output = site.play({"ansible.builtin.debug": {"msg": expression}}, fails=True)
    assert "mesh/policies/everything.yaml:16:9: MESH021 spec.to[0].default.interval" in output


def test_a_template_of_ones_own_is_accepted_by_envoy(site):
    shutil.copy(ROOT / "tests" / "e2e" / "templates" / "envoy.yaml.j2", site.directory)
    task = {"ansible.builtin.template": {"src": "envoy.yaml.j2", "dest": "{{ playbook_dir }}/envoy.yaml"}}
    site.play(task, vars={"mesh": "mesh"})
    configuration = yaml.safe_load((site.directory / "envoy.yaml").read_text())
    (cluster,) = configuration["static_resources"]["clusters"]
    assert cluster["health_checks"][0]["httpHealthCheck"]["path"] == "/health"
    assert "127.77.0.3" in json.dumps(cluster["load_assignment"])
    command = [envoy_binary(), "--mode", "validate", "--config-path", site.directory / "envoy.yaml"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- documentation


def documentation(path: pathlib.Path, name: str) -> str:
    """The text of DOCUMENTATION, EXAMPLES or RETURN of a plugin."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return str(ast.literal_eval(node.value))
    raise LookupError(name)


@pytest.mark.parametrize(("kind", "path"), PLUGINS, ids=lambda value: getattr(value, "stem", value))
def test_every_plugin_is_documented(site, kind, path):
    sort = "module" if kind == "modules" else kind
    output = site.run("ansible-doc", "--json", "-t", sort, f"meshsmith.universal.{path.stem}")
    described = json.loads(output[output.index("{") :])[f"meshsmith.universal.{path.stem}"]
    assert described["doc"]["short_description"]
    assert described["examples"]
    assert described["return"]


@pytest.mark.parametrize(("kind", "path"), PLUGINS, ids=lambda value: getattr(value, "stem", value))
def test_examples_run(site, kind, path):
    assert kind
    tasks = yaml.safe_load(documentation(path, "EXAMPLES"))
    mesh = site.directory / "mesh"
    (mesh / "policies").rename(mesh / "platform")
    (mesh / "mesh.yaml").rename(mesh / "platform" / "mesh.yaml")
    (mesh / "dataplanes").rename(mesh / "shop")
    site.edit("shop/web.yaml", "name: web\n", "name: web-1\n")
    (site.directory / "templates").mkdir()
    (site.directory / "templates" / "nothing.yaml.j2").write_text("# nothing\n")
    output = site.play(*tasks, vars={"envoy_directory": str(site.directory)})
    for task in tasks:
        assert f"TASK [{task['name']}]" in output


# --- demo


@pytest.mark.usefixtures("only_demo")
def test_the_demo_shows_what_it_promises_and_leaves_nothing(site):
    output = site.playbook("meshsmith.universal.demo")
    assert "backend-1 turned sick, got no more requests, recovered, and got them again." in output
    assert "none of them failed" in output


@pytest.mark.usefixtures("only_demo")
def test_a_demo_that_fails_leaves_nothing_either(site):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.77.0.2", 21081))
        taken.listen()
        output = site.playbook("meshsmith.universal.demo", fails=True)
    assert "Address already in use" in output


def test_the_demo_says_when_there_is_no_envoy(site):
    output = site.playbook("meshsmith.universal.demo", "-e", "demo_envoy=/nowhere/envoy", fails=True)
    assert "/nowhere/envoy: No such file or directory" in output
