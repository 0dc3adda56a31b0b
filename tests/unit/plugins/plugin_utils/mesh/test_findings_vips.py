# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about virtual IPs.

As in `test_findings.py`: rows of a finding, maybe cut short, and a text with just this one mistake; `▸` marks it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.findings import CODES

Load = Callable[..., api.Universe]
Rows = list[tuple[str, str]]

MARK = "▸"


def place_of(text: str) -> str:
    """Line and column of the mark, from 1."""
    before = text[: text.index(MARK)]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def table(body: str) -> str:
    return f"type: VirtualIPs\nmesh: default\n{body}\n"


def services(*lines: str) -> str:
    return table("services:\n" + "\n".join(f"  {line}" for line in lines))


def offered(*names: str, address: str = "192.0.2.1") -> str:
    """A dataplane that offers services."""
    inbounds = ", ".join(
        f'{{port: {8000 + position}, serviceAddress: 127.0.0.1, tags: {{kuma.io/service: "{name}"}}}}'
        for position, name in enumerate(names)
    )
    networking = f"{{address: {address}, inbound: [{inbounds}]}}"
    return f"---\ntype: Dataplane\nmesh: default\nname: web-1\nnetworking: {networking}\n"


def named(*lines: str) -> str:
    """A table together with a dataplane that offers all services in it."""
    names = [line.replace(MARK, "").rpartition(": ")[0].strip('"') for line in lines]
    return services(*lines) + offered(*names)


SHAPE: Rows = [
    ("MESH011 mesh: must be set", "▸type: VirtualIPs\nservices: {}\n"),
    ("MESH010 name: unknown field", table("▸name: virtual-ips")),
    ("MESH010 addresses: unknown field", table("▸addresses: {}")),
    ("MESH012 services: must be a mapping, not a list", table("▸services: []")),
    ("MESH012 services: must be a mapping, not null", table("▸services:")),
    ("MESH012 services.web: must be a string, not a number", services("▸web: 240.1")),
    ("MESH012 services.web: must be a string, not null", services("▸web:")),
    ("MESH003 services.web: this key stands in line 4 already", services("web: 240.0.0.1", "▸web: 240.0.0.1")),
    ("MESH008 type: unknown kind 'VirtualIps'; did you mean 'VirtualIPs'?", "▸type: VirtualIps\nmesh: default\n"),
    ("MESH030 mesh: this VirtualIPs is also in mesh.yaml:2:1", table("") + "---\ntype: VirtualIPs\n▸mesh: default\n"),
    (
        "MESH031 mesh: there is no Mesh 'defalt'; did you mean 'default'?",
        "type: VirtualIPs\n▸mesh: defalt\nservices: {web: 240.0.0.1}\n",
    ),
]

RANGES: Rows = [
    ("MESH240 cidr: must be an IPv4 network such as 240.0.0.0/4", table("▸cidr: private")),
    ("MESH240 cidr: must be an IPv4 network such as 240.0.0.0/4", table("▸cidr: fd00::/64")),
    ("MESH240 cidr: must be written as 10.0.0.0/8", table("▸cidr: 10.1.2.3/8")),
    ("MESH240 cidr: must be written as 10.0.0.0/8", table("▸cidr: 10.0.0.0/255.0.0.0")),
    ("MESH240 cidr: must not be smaller than a /30", table("▸cidr: 10.0.0.0/31")),
    ("MESH240 cidr: must not be smaller than a /30", table("▸cidr: 10.0.0.1")),
    *[
        (
            f"MESH240 cidr: must not hold addresses of {taken}, which have another meaning",
            table(f"▸cidr: {cidr}"),
        )
        for taken, cidr in (
            ("0.0.0.0/8", "0.0.0.0/0"),
            ("127.0.0.0/8", "127.128.0.0/16"),
            ("224.0.0.0/4", "224.0.0.0/3"),
        )
    ],
    (
        "MESH240 cidr: 192.0.2.0/24 must not hold 192.0.2.1, an address of the dataplane 'web-1'",
        table("▸cidr: 192.0.2.0/24") + offered("web"),
    ),
    (
        "MESH240 cidr: 192.0.2.0/24 must not hold 192.0.2.9, an address of the dataplane 'web-1'",
        table("▸cidr: 192.0.2.0/24")
        + offered("web", address="198.51.100.1").replace("{port: 8000", "{port: 8000, address: 192.0.2.9"),
    ),
    (
        "MESH240 cidr: 240.0.0.0/4 must not hold 240.1.2.3, an address of the dataplane 'web-1'",
        "▸" + table("") + offered("web", address="240.1.2.3"),
    ),
]

ADDRESSES: Rows = [
    *[
        ("MESH241 services.web: must be an IPv4 address", services(f"▸web: {address}"))
        for address in ('"fd00::1"', "240.0.0.256", "240.0.0.01", "240.0.0.1/32", '""', "web.mesh")
    ],
    ("MESH241 services.web: must be an address of 240.0.0.0/4", services("▸web: 10.0.0.1")),
    (
        "MESH241 services.web: must be an address of 10.0.0.0/8",
        table("cidr: 10.0.0.0/8\nservices: {▸web: 240.0.0.1}"),
    ),
    ("MESH241 services.web: cannot be 255.255.255.255", services("▸web: 255.255.255.255")),
    (
        "MESH242 services.web: 240.0.0.1 is also the address of 'backend' in mesh.yaml:5:3",
        services("▸web: 240.0.0.1", "backend: 240.0.0.1"),
    ),
    *[
        ("MESH243 services", services(f"▸{service}: 240.0.0.1"))
        for service in ('"web 1"', "web/1", '""', "größe", "web@prod")
    ],
]

NAMES: Rows = [
    (
        "warning: MESH244 services[\"web:1\"]: has no name: 'web:1.mesh' is not a valid host name",
        named('▸"web:1": 240.0.0.1'),
    ),
    ("warning: MESH244 services[", named("▸-web: 240.0.0.1")),
    ("warning: MESH244 services[", named("▸web.: 240.0.0.1")),
    ("warning: MESH244 services.", named(f"▸{'w' * 64}: 240.0.0.1")),
    (
        "warning: MESH244 services.a_b: does not have the name 'a.b.mesh', which is also that of 'a.b'",
        named("▸a_b: 240.0.0.1", "a.b: 240.0.0.2"),
    ),
]

TABLES = [SHAPE, RANGES, ADDRESSES, NAMES]


@pytest.mark.parametrize(
    ("finding", "text"), [pytest.param(finding, text, id=finding) for rows in TABLES for finding, text in rows]
)
def test_one_mistake_one_finding(load_files: Load, finding: str, text: str) -> None:
    [found] = load_files({"mesh.yaml": text.replace(MARK, "", 1)}).findings

    assert str(found).startswith(f"mesh.yaml:{place_of(text)}: {finding}")
    assert found.kind.lower() == "virtualips" or found.code == "MESH003"


def test_every_code_about_virtual_ips_is_shown_by_a_row() -> None:
    shown = {code for rows in TABLES for finding, _text in rows for code in re.findall(r"MESH\d{3}", finding)}

    assert shown >= {f"MESH24{number}" for number in range(5)} & CODES.keys()


def test_names_that_differ_in_case_only_are_nobodys(load_files: Load) -> None:
    found = load_files({"mesh.yaml": named("Web: 240.0.0.1", "web: 240.0.0.2")}).findings

    assert [one.message for one in found] == [
        "does not have the name 'Web.mesh', which is also that of 'web'",
        "does not have the name 'web.mesh', which is also that of 'Web'",
    ]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(table(""), id="empty"),
        pytest.param(table("services: {}"), id="no services"),
        pytest.param(services("web: 240.0.0.0", "backend: 255.255.255.254"), id="the ends of the range"),
        pytest.param(table("cidr: 10.0.0.0/30\nservices: {web: 10.0.0.3}"), id="another range"),
        pytest.param(named("backend_kuma-demo_svc_3001: 240.0.0.1"), id="a name with underscores"),
        pytest.param(services('"web:1": 240.0.0.1'), id="a service without a name that is gone"),
        pytest.param(table("") + "---\ntype: Mesh\nname: other\n---\ntype: VirtualIPs\nmesh: other\n", id="two meshes"),
        pytest.param(
            services("web: 240.0.0.1") + "---\ntype: Mesh\nname: other\n---\n"
            "type: VirtualIPs\nmesh: other\nservices: {backend: 240.0.0.1}\n",
            id="the same address in two meshes",
        ),
    ],
)
def test_nothing_is_wrong(load_files: Load, text: str) -> None:
    assert load_files({"mesh.yaml": text}).findings == ()


def test_a_shared_address_leaves_the_rest_readable(load_files: Load) -> None:
    universe = load_files({"mesh.yaml": services("backend: 240.0.0.1", "web: 240.0.0.1", "api: 240.0.0.7")})

    assert [one.code for one in universe.errors] == ["MESH242"]
    table = universe.indexes["default"].virtual_ips
    assert table is not None
    assert table.services == {"api": "240.0.0.7", "backend": "240.0.0.1", "web": "240.0.0.1"}


def test_of_three_with_one_address_two_are_told_of_the_first(load_files: Load) -> None:
    universe = load_files({"mesh.yaml": services("c: 240.0.0.1", "a: 240.0.0.1", "b: 240.0.0.1")})

    assert [(one.source.line, one.message) for one in universe.errors] == [
        (4, "240.0.0.1 is also the address of 'a' in mesh.yaml:5:3"),
        (6, "240.0.0.1 is also the address of 'a' in mesh.yaml:5:3"),
    ]
