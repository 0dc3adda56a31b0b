# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Traffic that leaves the mesh: it is counted and logged, and a deploy that would cut it off stops.

Connections are not redirected here. A header of the PROXY protocol says where each was meant to go.
"""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from apply_hosts import CHECKOUT, MESH, NAME, USER, Document, Host, Run, ansible, copy_of_envoy
from lab.loopback import free_port
from lab.paced import Unreachable
from lab.polling import eventually
from lab.tcp_apps import TcpApp

from ansible_collections.meshsmith.universal.plugins.module_utils import _passthrough
from ansible_collections.meshsmith.universal.plugins.module_utils._admin import Admin
from ansible_collections.meshsmith.universal.plugins.module_utils._errors import AdminError, ApplyError
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api

LISTENER = "outbound:passthrough:ipv4"
CHANGED = "the host is changed"
PREFLIGHT = CHECKOUT / "playbooks" / "tasks" / "passthrough_preflight.yml"


class Transparent:
    """A host whose applications' connections arrive at its Envoy, and a server that is not of the mesh."""

    def __init__(self, host: Host, server: TcpApp) -> None:
        self.host = host
        self.server = server
        self.port = free_port(host.address)
        self.inbound_port = free_port(host.address)
        self.log = host.base / "log" / "passthrough.log"
        # Not an echo: what is sent and what is received are not the same.
        self.server.reply = lambda data: data * 3
        self.log.parent.mkdir()
        self.log.parent.chmod(0o777)

    # --- releases

    def mesh(self, passthrough: bool = True) -> list[Document]:
        """The documents of the mesh but for policies."""
        outbound = {"passthrough": passthrough}
        networking = {
            "address": self.host.address,
            "inbound": [{"port": 80, "servicePort": 8080, "tags": {"kuma.io/service": "web"}}],
            "transparentProxying": {"redirectPortOutbound": self.port, "redirectPortInbound": self.inbound_port},
        }
        return [
            {
                "type": "Mesh",
                "name": MESH,
                "skipCreatingInitialPolicies": ["*"],
                "networking": {"outbound": outbound},
            },
            {"type": "Dataplane", "mesh": MESH, "name": NAME, "networking": networking},
            {"type": "VirtualIPs", "mesh": MESH, "services": {"web": "240.0.0.1"}},
        ]

    def release(self, passthrough: bool = True, log: bool = False, policies: Iterable[Document] = ()) -> Document:
        """The release of the host, with its passthrough on loopback."""
        documents = [*self.mesh(passthrough), *policies]
        universe = api.load(documents=[api.document(value, file="mesh.yaml") for value in documents])
        assert not universe.errors, "\n".join(map(str, universe.errors))
        target = api.Target(root=str(self.host.root), passthrough_log=str(self.log) if log else None)
        release = api.compile_release(universe, api.find_dataplane(universe, NAME), target)
        return self.host.changed(json.loads(release.document), self._on_loopback)

    def _on_loopback(self, document: Document) -> None:
        type_url = "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"
        for listener in document["files"]["lds"]["resources"]:
            if ":passthrough:" in listener["name"]:
                listener["address"]["socketAddress"]["address"] = self.host.address
            if listener["name"] == LISTENER:
                del listener["useOriginalDst"]
                listener["listenerFilters"] = [{"name": "destination", "typedConfig": {"@type": type_url}}]

    def run(self, document: Document) -> None:
        """Apply a release and start Envoy, if it does not run."""
        started = bool(self.host.apply(document)["pending_start"])
        if started:
            self.host.start("--file-flush-interval-msec", "50")
        eventually(lambda: LISTENER in self.host.admin.listeners())

    # --- traffic

    def connect(self, port: int | None = None) -> socket.socket:
        """A connection of an application to the server, or to another port of its host."""
        to = (self.server.address, self.server.port if port is None else port)
        connection = socket.create_connection((self.host.address, self.port), timeout=5)
        connection.sendall(f"PROXY TCP4 {self.host.address} {to[0]} 1 {to[1]}\r\n".encode())
        return connection

    def talk(self, connection: socket.socket) -> bytes:
        connection.sendall(b"ping")
        return connection.recv(100)

    def pass_by(self, times: int = 1) -> None:
        """So many connections that come and go."""
        for _time in range(times):
            with self.connect() as connection:
                assert self.talk(connection) == b"pingpingping"
        eventually(lambda: self.host.admin.stat(f"cluster.{LISTENER.replace(':', '_')}.upstream_cx_active") == 0)

    @property
    def destination(self) -> str:
        return f"{self.server.address}:{self.server.port}"

    # --- what is known of it

    def traffic(self, window: int = 0, **options: Any) -> dict[str, Any]:
        found: dict[str, Any] = _passthrough.traffic(Admin(self.socket, 5), window, 20, **options)
        return found

    @property
    def socket(self) -> str:
        return str(self.host.root / "run" / "admin.sock")

    def play(self, document: Document, *arguments: str, **variables: Any) -> Run:
        """What `deploy` does between the compilation and the first host: its tasks, and then a mark on the host."""
        artifacts = self.host.base / "artifacts" / MESH
        artifacts.mkdir(parents=True, exist_ok=True)
        (artifacts / f"{NAME}.json").write_text(json.dumps(document))
        play = {
            "hosts": "all",
            "gather_facts": False,
            "tasks": [
                {"ansible.builtin.import_tasks": str(PREFLIGHT)},
                {"ansible.builtin.debug": {"msg": CHANGED}},
            ],
        }
        (self.host.base / "play.yml").write_text(yaml.safe_dump([play]))
        directory = {"passthrough_artifacts_dir": str(artifacts.parent)}
        return self.playbook(str(self.host.base / "play.yml"), *arguments, **directory, **variables)

    def playbook(self, name: str, *arguments: str, hosts: str = f"{NAME},", **variables: Any) -> Run:
        """A run of Ansible with `web-1` as its only host, or with others that have the same variables."""
        values = {
            "ansible_connection": "local",
            "ansible_become": False,
            "ansible_python_interpreter": sys.executable,
            "mesh_hosts": "all",
            "mesh_root": str(self.host.root),
            "mesh_passthrough_window": 1,
            **variables,
        }
        done = ansible("ansible-playbook", "-i", hosts, name, *arguments, "-e", json.dumps(values))
        return Run(done.returncode, {}, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def binary() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="envoy-", dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        yield copy_of_envoy(Path(directory))


@pytest.fixture
def transparent(binary: Path) -> Iterator[Transparent]:
    host, server = Host(binary), TcpApp()
    server.start(host.network.address())
    yield Transparent(host, server)
    server.stop()
    host.close()


# --- counters


def test_counters_tell_whether_anything_passes(transparent: Transparent) -> None:
    transparent.run(transparent.release())
    unused = transparent.traffic()
    assert unused["status"] == "unused"
    assert (unused["connections"], unused["active"], unused["sent"], unused["received"]) == (0, 0, 0, 0)

    transparent.pass_by(3)
    used = transparent.traffic()
    assert used["status"] == "used"
    assert (used["connections"], used["active"], used["new_connections"]) == (3, 0, 0)
    assert (used["sent"], used["received"]) == (12, 36)
    assert "3 connections left the mesh since Envoy started " in used["summary"]
    assert used["summary"].endswith("0 open; where to is not known, mesh_passthrough_log is not set")

    with transparent.connect() as connection:
        assert transparent.talk(connection) == b"pingpingping"
        in_use = transparent.traffic()
        assert (in_use["status"], in_use["active"], in_use["new_connections"]) == ("in_use", 1, 0)


def test_what_comes_within_the_window_is_new(transparent: Transparent) -> None:
    transparent.run(transparent.release())
    transparent.pass_by(1)
    found = transparent.traffic(7, sleep=lambda seconds: transparent.pass_by(seconds - 5))
    assert (found["status"], found["connections"], found["new_connections"], found["active"]) == ("in_use", 3, 2, 0)
    assert ", 2 of them in 7 s, 0 open" in found["summary"]


def test_an_envoy_that_is_gone_is_an_answer(transparent: Transparent) -> None:
    answer = {"status": "not_running", "summary": "Envoy does not run"}
    assert transparent.traffic() == answer
    transparent.run(transparent.release())
    assert transparent.traffic(1, sleep=lambda _seconds: transparent.host.stop()) == answer


def test_an_envoy_without_redirection_is_an_answer(transparent: Transparent) -> None:
    host = transparent.host
    host.apply(host.release(host.serve("one")))
    host.start()
    found = transparent.traffic(60)
    assert (found["status"], found["connections"]) == ("not_transparent", 0)
    assert found["summary"] == "no traffic is redirected to this Envoy"


def test_an_admin_socket_that_hangs_is_told(transparent: Transparent) -> None:
    (transparent.host.root / "run").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(transparent.socket)
        silent.listen()
        with pytest.raises(AdminError, match="does not answer"):
            _passthrough.traffic(Admin(transparent.socket, 0.2), 0, 20)


# --- passthrough off


def test_off_refuses_new_connections_and_counts_them(transparent: Transparent) -> None:
    transparent.run(transparent.release(log=True))
    with transparent.connect() as before:
        assert transparent.talk(before) == b"pingpingping"
        transparent.run(transparent.release(passthrough=False, log=True))
        eventually(lambda: transparent.traffic()["status"] == "off")
        with transparent.connect() as refused:
            assert refused.recv(10) == b""
        # Who is connected stays so.
        assert transparent.talk(before) == b"pingpingping"
        eventually(lambda: transparent.traffic()["destinations"][0]["refused"] == 1)
        found = transparent.traffic(60)
    assert (found["refused"], found["active"], found["new_connections"]) == (1, 1, 0)
    assert found["summary"].startswith("passthrough is off, 1 connection refused since Envoy started ")
    assert f"; 1 connection of before still open; to {transparent.destination} (" in found["summary"]


# --- where it went


def test_the_log_has_open_closed_and_failed_connections(transparent: Transparent) -> None:
    transparent.run(transparent.release(log=True))
    nobody = free_port(transparent.server.address)
    transparent.pass_by(2)
    with transparent.connect() as connection, transparent.connect(nobody) as failing:
        assert transparent.talk(connection) == b"pingpingping"
        assert failing.recv(10) == b""
        found = eventually(lambda: (one := transparent.traffic())["destinations"][1:] and one)
        assert found["log"] == str(transparent.log)
        assert [(one["destination"], one["connections"], one["refused"]) for one in found["destinations"]] == [
            (transparent.destination, 3, 0),
            (f"{transparent.server.address}:{nobody}", 1, 0),
        ]
        assert (found["destinations"][0]["sent"], found["destinations"][0]["received"]) == (8, 24)
    ended = eventually(lambda: (one := transparent.traffic()["destinations"][0])["sent"] == 12 and one)
    assert (ended["connections"], ended["last"]) == (3, found["destinations"][0]["last"])
    assert ended["last"].endswith("Z")


def test_a_log_that_is_emptied_goes_on(transparent: Transparent) -> None:
    transparent.run(transparent.release(log=True))
    transparent.pass_by(2)
    eventually(lambda: len(transparent.log.read_text().splitlines()) == 4)
    # As the timer of the role does it.
    transparent.log.with_suffix(".log.1").write_bytes(transparent.log.read_bytes())
    os.truncate(transparent.log, 0)
    transparent.pass_by(1)
    eventually(lambda: transparent.log.read_text().count("\n") == 2)
    assert transparent.log.read_text().startswith("{")
    (told,) = transparent.traffic()["destinations"]
    assert told["connections"] == 3


def test_only_envoys_user_writes_the_log_and_its_place_is_checked_first(transparent: Transparent) -> None:
    document = transparent.release(log=True)
    transparent.log.parent.rename(transparent.log.parent.with_name("gone"))
    with pytest.raises(ApplyError, match=f"listener {LISTENER}: its log {transparent.log} needs the directory"):
        transparent.host.apply(document)
    transparent.log.parent.with_name("gone").rename(transparent.log.parent)
    transparent.host.apply(document, check=True)
    assert not transparent.log.exists()
    transparent.run(document)
    assert transparent.log.owner() == (USER or transparent.log.parent.owner())
    assert not stat.S_IMODE(transparent.log.stat().st_mode) & stat.S_IWOTH


# --- what MeshProxyPatch changes


def patch(kind: str, old: str, new: str) -> Document:
    """The policy on the page about such traffic in which `old`, which is there once or more, is now `new`."""
    page = (CHECKOUT / "docs" / "non-mesh-traffic.md").read_text()
    (text,) = [block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if f"name: {kind}-out" in block]
    assert old in text
    policy: Document = yaml.safe_load(text.replace(old, new))
    return policy


def test_a_limit_of_connections_is_in_force(transparent: Transparent) -> None:
    transparent.run(transparent.release(policies=[patch("limits", "max_connections: 2048", "max_connections: 1")]))
    with transparent.connect() as first:
        assert transparent.talk(first) == b"pingpingping"
        with transparent.connect() as second:
            assert second.recv(10) == b""
        assert transparent.talk(first) == b"pingpingping"
    assert transparent.host.admin.stat("cluster.outbound_passthrough_ipv4.upstream_cx_overflow") == 1
    transparent.pass_by(1)


def test_an_idle_timeout_is_in_force(transparent: Transparent) -> None:
    transparent.run(transparent.release(policies=[patch("timeouts", '"3h"', '"0.4s"')]))
    with transparent.connect() as connection:
        assert transparent.talk(connection) == b"pingpingping"
        began = time.monotonic()
        assert connection.recv(10) == b""
        assert 0.3 < time.monotonic() - began < 3
    assert transparent.host.admin.stat("tcp.outbound_passthrough_ipv4.idle_timeout") == 1


def test_a_connect_timeout_is_in_force(transparent: Transparent) -> None:
    transparent.run(transparent.release(policies=[patch("timeouts", "99s", "0.5s")]))
    nowhere = Unreachable()
    nowhere.start(transparent.server.address)
    with transparent.connect(nowhere.port) as connection:
        began = time.monotonic()
        assert connection.recv(10) == b""
        assert 0.4 < time.monotonic() - began < 3
    assert transparent.host.admin.stat("cluster.outbound_passthrough_ipv4.upstream_cx_connect_timeout") == 1
    nowhere.stop()


# --- the deploy


def test_a_deploy_stops_before_it_cuts_off_what_passes(transparent: Transparent) -> None:
    before = transparent.release(log=True)
    transparent.run(before)
    transparent.pass_by(2)
    eventually(lambda: transparent.traffic()["destinations"])
    directory = transparent.host.base / "site"
    directory.mkdir()
    (directory / "mesh.yaml").write_text(yaml.safe_dump_all(transparent.mesh(passthrough=False)))
    variables = {"mesh_source": str(directory / "mesh.yaml"), "mesh_artifacts_dir": str(directory / "artifacts")}

    for mode in ((), ("--check",)):
        run = transparent.playbook("meshsmith.universal.deploy", *mode, **variables)
        assert run.code != 0
        assert "No host was changed. The new releases would cut off traffic that leaves the mesh:" in run.output
        assert f"\n{NAME}: 2 connections left the mesh since Envoy started " in run.output
        assert f"to {transparent.destination} (2 connections, last " in run.output
        assert "Set mesh_passthrough_accept to true" in run.output
        assert "PLAY [Bring the hosts to their releases]" not in run.output
    assert transparent.host.current() == before["id"]


def test_a_deploy_goes_on_when_told(transparent: Transparent) -> None:
    transparent.run(transparent.release())
    transparent.pass_by(1)
    off = transparent.release(passthrough=False)
    stopped = transparent.play(off)
    assert stopped.code != 0
    assert CHANGED not in stopped.output
    # As `-e mesh_passthrough_accept=true` has it.
    told = transparent.play(off, "-vvv", mesh_passthrough_accept="true")
    assert told.code == 0, told.output
    assert told.round_trips == 0
    assert CHANGED in told.output


def test_one_host_stops_the_deploy_for_all(transparent: Transparent) -> None:
    transparent.run(transparent.release())
    transparent.pass_by(1)
    run = transparent.play(
        transparent.release(passthrough=False),
        hosts=f"accepted,idle,{NAME}",
        mesh_dataplane_name=NAME,
        mesh_root=f"{{{{ '{transparent.host.root}' ~ ('' if inventory_hostname == '{NAME}' else '-absent') }}}}",
        mesh_passthrough_accept="{{ inventory_hostname == 'accepted' }}",
    )
    assert run.code != 0
    assert "idle: Envoy does not run" in run.output
    told = run.output.partition("No host was changed")[2].partition("Set mesh_passthrough_accept")[0]
    assert f"\n{NAME}: 1 connection left the mesh" in told
    assert "idle" not in told
    assert CHANGED not in run.output


def test_a_deploy_goes_on_where_nothing_passes(transparent: Transparent) -> None:
    transparent.run(transparent.release())
    run = transparent.play(transparent.release(passthrough=False))
    assert run.code == 0, run.output
    assert f"{NAME}: no connection left the mesh since Envoy started " in run.output
    assert CHANGED in run.output


def test_a_deploy_asks_no_host_that_keeps_passthrough(transparent: Transparent) -> None:
    transparent.run(transparent.release())
    transparent.pass_by(1)
    for document in (transparent.release(log=True), transparent.host.release(transparent.host.serve("one"))):
        run = transparent.play(document, "-vvv")
        assert run.code == 0, run.output
        assert run.round_trips == 0
        assert CHANGED in run.output


def test_a_host_without_envoy_does_not_stop_a_deploy(transparent: Transparent) -> None:
    run = transparent.play(transparent.release(passthrough=False))
    assert run.code == 0, run.output
    assert f"{NAME}: Envoy does not run" in run.output


# --- the audit


def test_the_audit_lists_destinations(transparent: Transparent) -> None:
    def audit() -> str:
        run = transparent.playbook("meshsmith.universal.passthrough_audit", mesh_passthrough_window=0)
        assert run.code == 0, run.output
        return run.output

    assert f"{NAME}: Envoy does not run" in audit()
    transparent.run(transparent.release())
    transparent.pass_by(1)
    assert f"Where to is not logged on {NAME}. To have it logged for a while, set mesh_passthrough_log to" in audit()
    transparent.run(transparent.release(log=True))
    transparent.pass_by(2)
    eventually(lambda: transparent.traffic()["destinations"])
    output = audit()
    assert "Where to is not logged" not in output
    assert "Destinations of all hosts:" in output
    assert f'"{transparent.destination}: 2 passed, 0 refused, last 2' in output
    assert f", from {NAME}" in output
