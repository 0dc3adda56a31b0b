# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates of a team: to a real Envoy that serves what they yield, or to a host that stays as it was."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from apply_hosts import MESH, NAME, Host, ansible, copy_of_envoy
from lab import clients
from lab.polling import eventually

DOCUMENTATION = Path(__file__).resolve().parents[2] / "docs" / "templates.md"
# The listener of the documentation's example.
PORT = 9000
INBOUND = 8080
TYPES = "type.googleapis.com/envoy"


@pytest.fixture(scope="module")
def binary() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="envoy-", dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        yield copy_of_envoy(Path(directory))


@pytest.fixture
def site(binary: Path) -> Iterator[Site]:
    site = Site(Host(binary))
    yield site
    site.host.close()


class Site:
    """A host with the mesh, the templates and the playbook of its owner. Its one backend is `backend`."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.backend = host.serve("backend")
        self.templates = host.base / "templates"
        self.templates.mkdir()
        self._write_mesh()
        inventory = {"mesh": {"hosts": {NAME: {"mesh_root": str(host.root)}}}}
        (host.base / "inventory.yml").write_text(yaml.safe_dump(inventory))
        self._write_playbook()

    def _write_mesh(self) -> None:
        def dataplane(name: str, address: str, **networking: Any) -> dict[str, Any]:
            return {"type": "Dataplane", "mesh": MESH, "name": name, "networking": {"address": address, **networking}}

        def inbound(service: str, port: int) -> list[dict[str, Any]]:
            tags = {"kuma.io/service": service, "kuma.io/protocol": "http"}
            return [{"port": port, "servicePort": 1, "serviceAddress": "127.0.0.1", "tags": tags}]

        outbound = {"address": self.host.address, "port": self.host.port, "tags": {"kuma.io/service": "backend"}}
        documents = [
            {"type": "Mesh", "name": MESH, "skipCreatingInitialPolicies": ["*"]},
            dataplane(NAME, self.host.address, inbound=inbound("web", INBOUND), outbound=[outbound]),
            dataplane("backend-1", self.backend.address, inbound=inbound("backend", self.backend.port)),
        ]
        (self.host.base / "mesh.yaml").write_text(yaml.safe_dump_all(documents))

    def _write_playbook(self) -> None:
        options = self.host.options()
        variables = {
            "mesh_source": "mesh.yaml",
            "mesh_templates": "templates",
            "envoy_binary": options["envoy"],
            "envoy_user": options["user"],
            "envoy_group": options["group"],
            "dataplane_unit": "",
        }
        keep = {"dest": f"{self.host.base}/result.json", "content": "{{ _dataplane_applied | to_json }}"}
        play = {
            "hosts": "mesh",
            "gather_facts": False,
            "vars": variables,
            "roles": ["meshsmith.universal.dataplane"],
            "post_tasks": [{"name": "Keep the result", "ansible.builtin.copy": keep}],
        }
        (self.host.base / "site.yml").write_text(yaml.safe_dump([play], sort_keys=False))

    def write(self, text: str, file: str = "reports.yaml.j2") -> None:
        (self.templates / file).write_text(text)

    def patch(self, cluster: str, value: str) -> int:
        """Let a MeshProxyPatch change a cluster; the line of its modification."""
        change = {"cluster": {"operation": "Patch", "match": {"name": cluster}, "value": value}}
        spec = {"targetRef": {"kind": "Mesh"}, "default": {"appendModifications": [change]}}
        policy = {"type": "MeshProxyPatch", "mesh": MESH, "name": "times", "spec": spec}
        mesh = self.host.base / "mesh.yaml"
        text = mesh.read_text() + "---\n" + yaml.safe_dump(policy, sort_keys=False)
        mesh.write_text(text)
        return text[: text.index("cluster:\n")].count("\n") + 1

    def deploy(self, fails: bool = False) -> str:
        """Run the owner's playbook; what it printed."""
        return self.play(str(self.host.base / "site.yml"), fails=fails)

    def play(self, playbook: str, fails: bool = False, **variables: str) -> str:
        variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, **variables}
        inventory = str(self.host.base / "inventory.yml")
        done = ansible("ansible-playbook", "-i", inventory, "-e", json.dumps(variables), playbook)
        output = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, output
        return output

    @property
    def result(self) -> dict[str, Any]:
        """That of the last successful `apply`."""
        found: dict[str, Any] = json.loads((self.host.base / "result.json").read_text())
        return found

    def ask(self, path: str, port: int = PORT) -> str:
        return clients.get((self.host.address, port), path).body


def documented() -> str:
    """The template of the documentation."""
    text = DOCUMENTATION.read_text(encoding="utf-8")
    found = re.search(r"<!-- template: templates/reports.yaml.j2 -->\n```jinja\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def running(site: Site) -> Site:
    """A site whose Envoy runs with the template of the documentation."""
    site.write(documented())
    site.deploy()
    site.host.start()
    eventually(lambda: site.ask("/") == "backend")
    return site


def test_envoy_serves_what_a_template_yields(running: Site) -> None:
    assert running.ask("/who") == running.backend.address
    assert running.ask("/report") == "backend"
    # By a cluster of its own, which has the endpoints of the mesh.
    assert running.host.admin.endpoints("reports") == running.host.admin.endpoints("backend")
    assert running.host.admin.stat("cluster.reports.upstream_rq_200") >= 1
    assert {"kind": "template", "name": "reports", "file": "templates/reports.yaml.j2"} in running.result["policies"]


def test_the_playbooks_take_templates(site: Site) -> None:
    base = site.host.base
    site.write(documented())
    places = {"mesh_source": str(base / "mesh.yaml"), "mesh_artifacts_dir": str(base / "artifacts")}
    for templates, listeners in (("", 0), (str(site.templates), 1)):
        site.play("meshsmith.universal.compile", mesh_templates=templates, **places)
        release = (base / "artifacts" / MESH / f"{NAME}.json").read_text()
        assert release.count('"listener/reports"') == listeners
    site.write("{{ nobody }}")
    for name in ("validate", "compile", "deploy"):
        words = site.play(f"meshsmith.universal.{name}", fails=True, mesh_templates=str(site.templates), **places)
        assert "reports.yaml.j2:1:1: MESH260 'nobody' is undefined" in words


def test_a_changed_template_is_taken_over_and_a_removed_one_is_gone(running: Site) -> None:
    running.deploy()
    assert running.result["status"] == "current"
    running.write(documented().replace("join(' ')", "join(' ') | replace('127', 'host 127')"))
    running.deploy()
    # Its routes are in a file of their own: nothing else is touched.
    assert running.result["resources"] == {"added": [], "changed": ["route/reports"], "removed": []}
    eventually(lambda: running.ask("/who") == f"host {running.backend.address}")
    running.write("# nothing\n")
    running.deploy()
    assert running.result["resources"]["removed"] == ["cluster/reports", "listener/reports", "route/reports"]
    eventually(lambda: "reports" not in running.host.admin.listeners())


def test_a_patch_comes_after_templates(running: Site) -> None:
    running.patch("reports", "connect_timeout: 99s")
    running.deploy()
    [cluster] = [one for one in running.host.live()["cds"]["resources"] if one["name"] == "reports"]
    assert cluster["connectTimeout"] == "99s"


def test_what_envoy_refuses_of_a_patch_is_told_at_its_line(running: Site) -> None:
    line = running.patch("reports", "connect_timeout: 0s")
    words = " ".join(running.deploy(fails=True).split())
    part = "spec.default.appendModifications[0].cluster"
    assert f"MeshProxyPatch times in mesh.yaml:{line} {part}" in words
    assert "connectTimeout: value must be greater than 0s" in words
    assert running.ask("/") == "backend"


MISTAKES = [
    ("networking.address", "networking.adress", "5:1: MESH260 there is no 'adress'; did you mean 'address'?"),
    ("stat_prefix", "stat_prefx", "11:11: MESH262 filter_chains[0].filters[0].typed_config.stat_prefx: "),
    ("name: reports\ntype", "name: backend\ntype", "29:1: MESH263 the dataplane has a Cluster 'backend' already"),
    ("name: reports\naddress", "name: {own}\naddress", "3:1: MESH263 the dataplane has a Listener '{own}' already"),
    ("port_value: 9000", "port_value: 8080", "4:1: MESH264 address: {address}:8080 is taken by the inbound of web"),
]


def test_a_bad_template_is_told_at_its_line_and_no_host_is_touched(running: Site) -> None:
    places = {"address": running.host.address, "own": f"outbound:{running.host.address}:{running.host.port}"}
    before = running.host.snapshot()
    for old, new, finding in MISTAKES:
        assert documented().count(old) >= 1
        running.write(documented().replace(old, new.format(**places), 1))
        words = " ".join(running.deploy(fails=True).split())
        assert f"templates/reports.yaml.j2:{finding.format(**places)}" in words
        assert f"(dataplane '{NAME}')" in words
    assert running.host.snapshot() == before
    assert running.ask("/") == "backend"


def test_what_envoy_refuses_is_told_at_the_line_of_the_resource(running: Site) -> None:
    # Of the type that an address has; but Envoy looks up no names.
    running.write(documented().replace("address: {{ dataplane.networking.address }}", "address: localhost"))
    before = running.host.snapshot()
    words = " ".join(running.deploy(fails=True).split())
    assert (
        "Envoy refuses the release: listener reports (template reports in templates/reports.yaml.j2 line 3): "
        "malformed IP address: localhost"
    ) in words
    after = running.host.snapshot()
    assert {path for path in after if after[path] != before.get(path)} <= {".", "releases"}
    assert running.ask("/") == "backend"
