# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role `transparent_proxy` refuses, and says about it, before it changes anything on a host."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lab.role import HOST, rendered


def host(**found: Any) -> dict[str, Any]:
    return {"host": {**HOST, **found}}


def listening(port: int, uid: int = 0, address: str = "0.0.0.0", name: str = "") -> dict[str, Any]:
    return {"address": address, "port": port, "uid": uid, "loopback": address == "127.0.0.1", "name": name or str(port)}


SECURED = {"transparent_proxy_secure_inbounds": True, "mesh_dataplane_name": "web-1"}
ONLY_IPV4 = [one for one in HOST["listeners"] if one["address"] == "0.0.0.0"]

# Which list of the role it is, its variables, and the beginning of what it says.
CASES: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "nothing": ("mistakes", {}, []),
    "ports": (
        "mistakes",
        {
            "transparent_proxy_exclude_inbound_ports": ["1-2", 0, "http"],
            "transparent_proxy_exclude_outbound_ports": ["5-", 70000],
        },
        ["0, 5-, http: not a port from 1 to 65535", "70000: a port is at most 65535"],
    ),
    "networks": (
        "mistakes",
        {
            "transparent_proxy_exclude_inbound_cidrs": [
                "10.0.0.0/8",
                "fd00::/8",
                "192.0.2.1",
                "10.0.0/8",
                "10.0.0.256",
            ],
            "transparent_proxy_exclude_outbound_cidrs": ["::1", "intranet"],
        },
        ["10.0.0.256, 10.0.0/8, intranet: not a network"],
    ),
    "names": (
        "mistakes",
        {
            "transparent_proxy_names": {
                "backend.mesh": "240.0.0.1",
                "shop_svc_80.mesh": "fd00::1",
                "-a.mesh": "240.0.0.1",
                "a..mesh": "240.0.0.1",
                f"{'a' * 64}.mesh": "240.0.0.1",
                "a b": "240.0.0.1",
                f"{'a.' * 127}mesh": "240.0.0.1",
                "c.mesh": "240.0.0",
                "d.mesh": 240,
            }
        },
        [
            f"-a.mesh, a b, a..mesh, {'a.' * 127}mesh, {'a' * 64}.mesh: not a valid host name",
            "240, 240.0.0: not an IP address",
        ],
    ),
    "one port for both directions": (
        "mistakes",
        {"transparent_proxy_inbound_port": 15001},
        ["15001: inbound and outbound traffic cannot be redirected to the same port"],
    ),
    "redirected to a port for management": (
        "mistakes",
        {"transparent_proxy_management_ports": [22, 15006]},
        ["15006: traffic cannot be redirected to a port for management"],
    ),
    "secured ports": (
        "mistakes",
        {"transparent_proxy_secure_ports": [22, 2200, 2222, 15001, 8080]},
        ["22, 2200, 2222: a port for management cannot be secured", "15001: a port that traffic is redirected to"],
    ),
    "no Dataplane": ("mistakes", SECURED, ["web-1: there is no Dataplane of this name"]),
    "an inbound without an address": (
        "mistakes",
        {**SECURED, "mesh_dataplane": {"address": "web", "inbound": [{"port": 80}]}},
        ["web . 80: the address of an inbound must be an IP address"],
    ),
    "a host in order": ("obstacles", {}, []),
    "not root": ("obstacles", host(root=False), ["/usr/bin/python3: does not run as root"]),
    "no nftables": ("obstacles", host(missing=["nft"]), ["nft: not on the host. Install nftables"]),
    "a kernel without modules": (
        "obstacles",
        host(refused="Error: Could not process rule: No such file or directory"),
        ["Error: Could not process rule: No such file or directory: this host cannot redirect"],
    ),
    "another mesh": ("obstacles", host(foreign=["KUMA_MESH_INBOUND"]), ["KUMA_MESH_INBOUND: another service mesh"]),
    "another run": ("obstacles", host(trial=True), ["envoy-mesh-rules-restore.timer: another run"]),
    "unknown users": (
        "obstacles",
        {"transparent_proxy_exclude_users": ["backup", "me"], "transparent_proxy_secure_users": ["you"]},
        ["me, you: not a user of this host"],
    ),
    "Envoy as root": ("obstacles", host(uids={"envoy": 0}, listeners=[]), ["envoy: Envoy runs as root"]),
    "an application as Envoy's user": (
        "obstacles",
        host(strangers=["java, pid 7"]),
        ["java, pid 7: runs as envoy, Envoy's user, and would bypass the mesh"],
    ),
    "a port in use": (
        "obstacles",
        host(listeners=[listening(15001, name="15001 (python3, pid 7)"), listening(8080)]),
        ["15001 (python3, pid 7): a port that traffic is redirected to is in use, and not by Envoy"],
    ),
    "a port in use that nothing is redirected to": (
        "obstacles",
        {**host(listeners=[listening(15001)]), "transparent_proxy_redirect": False},
        [],
    ),
    "IPv6 switched off but required": (
        "obstacles",
        {**host(ipv6=False), "transparent_proxy_ipv6": "required"},
        ["IPv6: switched off on this host"],
    ),
    "IPv6 switched off": ("obstacles", host(ipv6=False), []),
    "no route": (
        "obstacles",
        {**host(route=False), "transparent_proxy_names": {"backend.mesh": "240.0.0.1"}},
        ["240.0.0.1: the host has no route"],
    ),
    "Envoy in order": ("absences", {}, []),
    "no Envoy": (
        "absences",
        host(uids={}, listeners=[]),
        [
            "envoy: Envoy's user does not exist",
            "15001, 15006: Envoy does not listen on these ports for redirected traffic",
        ],
    ),
    "an Envoy without the port": (
        "absences",
        {"transparent_proxy_inbound_port": 16000},
        ["16000: Envoy does not listen on these ports for redirected traffic"],
    ),
    "an Envoy without IPv6": ("absences", host(listeners=ONLY_IPV4), []),
    "an Envoy without the IPv6 that is required": (
        "absences",
        {**host(listeners=ONLY_IPV4), "transparent_proxy_ipv6": "required"},
        ["15001, 15006: Envoy does not listen on these ports for redirected IPv6 traffic"],
    ),
    "an Envoy that nothing is redirected to": (
        "absences",
        {**host(listeners=[]), "transparent_proxy_redirect": False},
        [],
    ),
}

# Variables, and the ports that the role then calls open.
OPEN: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nobody listens": ({}, []),
    "an application": (
        host(listeners=[listening(22), listening(2222), listening(8080, 33, name="8080 (java, pid 7)")]),
        ["8080 (java, pid 7)"],
    ),
    "on loopback": (host(listeners=[listening(8080, address="127.0.0.1")]), []),
    "secured": (
        {**host(listeners=[listening(8080), listening(9100)]), "transparent_proxy_secure_ports": [8080]},
        ["9100"],
    ),
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    directory = tmp_path_factory.mktemp("said")
    template = directory / "said.j2"
    template.write_text("{{ lookup('ansible.builtin.vars', '_transparent_proxy_' ~ list) | to_json }}")
    cases = {name: {"list": of, **variables} for name, (of, variables, _messages) in CASES.items()}
    cases |= {name: {"list": "open", **variables} for name, (variables, _open) in OPEN.items()}
    return {name: json.loads(text) for name, text in rendered(directory, template, cases).items()}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_with_a_reason(said, name):
    _of, _variables, expected = CASES[name]
    messages = [f"{', '.join(map(str, sorted(one['wrong'])))}: {one['message']}" for one in said[name] if one["wrong"]]
    assert len(messages) == len(expected), messages
    for message, beginning in zip(messages, expected, strict=True):
        assert message.startswith(beginning)


@pytest.mark.parametrize("name", OPEN)
def test_open_ports_are_named(said, name):
    assert said[name] == OPEN[name][1]
