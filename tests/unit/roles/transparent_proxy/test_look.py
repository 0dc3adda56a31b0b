# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role `transparent_proxy` finds out about a host."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

SCRIPT = pathlib.Path(__file__).parents[4] / "roles/transparent_proxy/files/look.py"
SPEC = importlib.util.spec_from_file_location("look", SCRIPT)
assert SPEC is not None
assert SPEC.loader is not None
look = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(look)

MEMBERS = ["foreign", "ipv6", "listeners", "missing", "refused", "root", "route", "strangers", "trial", "uids"]


def test_it_runs_with_what_is_on_hosts():
    ast.parse(SCRIPT.read_text(), feature_version=(3, 8))
    question = {"commands": ["no-such-command"], "users": ["root", "12", "no-such-user"], "envoy": "no-such-user"}
    question |= {"binary": "/usr/local/bin/envoy", "unit": "envoy-mesh.service", "address": "", "trial": "none.timer"}
    done = subprocess.run(
        [sys.executable, "-", json.dumps(question)],
        input=SCRIPT.read_text(),
        capture_output=True,
        text=True,
        check=False,
        env={},
    )
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert sorted(answer) == MEMBERS
    assert "no-such-command" in answer["missing"]
    assert answer["uids"] == {"root": 0, "12": 12}
    assert answer["root"] == (os.geteuid() == 0)
    assert (answer["strangers"], answer["trial"], answer["route"]) == ([], False, True)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (
            'LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=95,fd=3)) ino:17 sk:1 cgroup:/system.slice <->',
            {"address": "0.0.0.0", "port": 22, "uid": 0, "loopback": False, "name": "22 (sshd, pid 95)"},
        ),
        (
            'LISTEN 0 4096 [::]:15001 [::]:* users:(("envoy",pid=7,fd=9),("envoy",pid=8,fd=9)) uid:5678 ino:18',
            {"address": "::", "port": 15001, "uid": 5678, "loopback": False, "name": "15001 (envoy, pid 7)"},
        ),
        (
            "LISTEN 0 4096 127.0.0.53%lo:53 0.0.0.0:* uid:101 ino:19 sk:3",
            {"address": "127.0.0.53", "port": 53, "uid": 101, "loopback": True, "name": "53"},
        ),
        (
            "LISTEN 0 5 [::1]:631 [::]:* ino:20 sk:4 v6only:1",
            {"address": "::1", "port": 631, "uid": 0, "loopback": True, "name": "631"},
        ),
        (
            "LISTEN 0 511 *:80 *:* ino:21 sk:5 v6only:0",
            {"address": "*", "port": 80, "uid": 0, "loopback": False, "name": "80"},
        ),
    ],
)
def test_listeners(line, found):
    assert look.listener(line) == found


@pytest.fixture
def sleeper() -> Iterator[int]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        process.kill()


def test_strangers_are_neither_envoy_nor_of_its_unit(sleeper):
    own, binary = f"sleep, pid {sleeper}", os.readlink(f"/proc/{sleeper}/exe")
    of_this_user = look.strangers(os.getuid(), "/usr/local/bin/envoy", "envoy-mesh.service")
    assert own in of_this_user
    assert own not in look.strangers(os.getuid(), binary, "envoy-mesh.service")
    assert look.strangers(4294967294, "/usr/local/bin/envoy", "envoy-mesh.service") == []


@pytest.mark.parametrize(
    ("cgroup", "unit", "strange"),
    [
        ("0::/system.slice/envoy-mesh.service\n", "envoy-mesh.service", False),
        ("0::/system.slice/envoy-mesh.service/sub\n", "envoy-mesh.service", False),
        ("1:name=systemd:/system.slice/envoy-mesh.service\n0::/\n", "envoy-mesh.service", False),
        ("0::/system.slice/not-envoy-mesh.service\n", "envoy-mesh.service", True),
        ("0::/system.slice/envoy-mesh.service\n", "", True),
    ],
)
def test_processes_of_the_unit_are_envoys(monkeypatch, sleeper, cgroup, unit, strange):
    read = look.read
    monkeypatch.setattr(look, "read", lambda path: cgroup if path.endswith("/cgroup") else read(path))
    found = look.strangers(os.getuid(), "/usr/local/bin/envoy", unit)
    assert (f"sleep, pid {sleeper}" in found) is strange


@pytest.mark.parametrize(
    ("switches", "has"),
    [({}, False), ({"all": "0", "lo": "0"}, True), ({"all": "1", "lo": "0"}, False), ({"all": "0", "lo": "1"}, False)],
)
def test_ipv6_may_be_missing_or_switched_off(monkeypatch, switches, has):
    monkeypatch.setattr(look, "read", lambda path: switches.get(pathlib.Path(path).parent.name, ""))
    assert look.has_ipv6() is has


@pytest.mark.parametrize(
    ("answer", "leaves"),
    [
        ((True, "240.0.0.1 via 192.0.2.1 dev eth0 src 192.0.2.7 uid 0 \n", ""), True),
        ((True, "local 192.0.2.7 dev lo src 192.0.2.7 uid 0 \n", ""), False),
        ((False, "", "RTNETLINK answers: Network is unreachable\n"), False),
    ],
)
def test_a_route_leads_out_of_the_host(monkeypatch, answer, leaves):
    monkeypatch.setattr(look, "run", lambda *_command: answer)
    assert look.route_leaves("240.0.0.1") is leaves


def test_chains_of_other_meshes_are_found():
    chains = "chain KUMA_MESH_INBOUND {\n}\nchain ISTIO_OUTPUT {\n}\nchain DOCKER {\n}\nchain MY_KUMA_MESHES {\n}\n"
    assert look.FOREIGN.findall(chains) == ["KUMA_MESH_INBOUND", "ISTIO_OUTPUT"]
