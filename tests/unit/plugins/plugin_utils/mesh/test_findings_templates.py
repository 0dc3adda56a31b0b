# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about resources of templates: as in `test_findings.py`, rows of a finding and a text with this one mistake.

The text is what a template came to for the dataplane `web-1`; here each of its lines is that of the template.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api, templates
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.findings import CODES, Finding
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.proxy import Compiler

Load = Callable[..., api.Universe]
Rows = list[tuple[str, str]]

MARK = "▸"
TYPES = "type.googleapis.com/envoy"
KNOWN = [
    f"{TYPES}.config.{name}"
    for name in ("cluster.v3.Cluster", "endpoint.v3.ClusterLoadAssignment", "listener.v3.Listener")
]
SECRETS = "transport_socket.typed_config.common_tls_context.tls_certificate_sds_secret_configs"
FILTER = "filter_chains[0].filters[0].typed_config"
TARGET = api.Target()

MESH = """\
type: Mesh
name: default
skipCreatingInitialPolicies: ['*']
---
type: Dataplane
mesh: default
name: web-1
networking:
  address: 192.0.2.1
  admin: {port: 9901}
  inbound:
  - {port: 80, servicePort: 8080, serviceAddress: 127.0.0.1, tags: {kuma.io/service: web, kuma.io/protocol: http}}
  outbound:
  - {port: 10001, tags: {kuma.io/service: web}}
"""


def place_of(text: str) -> str:
    """Line and column of the mark, from 1."""
    before = text[: text.index(MARK)]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def listener(
    members: str = "address: {socket_address: {address: 127.0.0.1, port_value: 999}}", name: str = "own"
) -> str:
    return f"'@type': {TYPES}.config.listener.v3.Listener\n{name if ':' in name else f'name: {name}'}\n{members}\n"


def cluster(members: str = "connect_timeout: 1s", name: str = "own") -> str:
    return listener(members, name).replace("listener.v3.Listener", "cluster.v3.Cluster")


def endpoints(name: str = "own") -> str:
    named = name if ":" in name else f"cluster_name: {name}"
    return f"'@type': {TYPES}.config.endpoint.v3.ClusterLoadAssignment\n{named}\n"


def filtered(filters: str) -> str:
    return listener(f"filter_chains:\n- filters:\n  - {filters}")


def tcp_proxy(members: str) -> str:
    return filtered(
        f"name: tcp\n    typed_config:\n      '@type': {TYPES}.extensions.filters.network.tcp_proxy.v3.TcpProxy\n"
        f"      stat_prefix: own\n      {members}"
    )


def manager(members: str) -> str:
    return tcp_proxy(members).replace("tcp_proxy.v3.TcpProxy", "http_connection_manager.v3.HttpConnectionManager")


DOCUMENTS: Rows = [
    ("MESH007 must be a mapping, is a list", "▸- a\n"),
    ("MESH007 must be a mapping", "---\n---\n▸5\n"),
    (f'MESH261 ["@type"]: must be one of {TYPES}.config.cluster.v3.Cluster, ', "▸name: own\n"),
    ('MESH261 ["@type"]: must be one of ', "▸'@type': [Listener]\n"),
    (
        f"MESH261 [\"@type\"]: must be one of {', '.join(KNOWN)}, not {KNOWN[2]}s; did you mean '{KNOWN[2]}'?",
        MARK + listener().replace("v3.Listener", "v3.Listeners"),
    ),
    (
        'MESH261 ["@type"]: must be one of ',
        MARK + listener().replace("type.googleapis.com/", ""),
    ),
    (
        'MESH261 ["@type"]: routes stand inline in their listener, as routeConfig',
        f"name: own\n▸'@type': {TYPES}.config.route.v3.RouteConfiguration\n",
    ),
    ("MESH261 name: must be the name of the resource", listener(name="▸name: ''")),
    ("MESH261 name: must be the name of the resource", listener(name="▸name: 5")),
    ("MESH261 clusterName: must be the name of the resource", MARK + endpoints("endpoints: []")),
    ("MESH261 cluster_name: must be the name of the resource", endpoints("▸cluster_name: ''")),
    ("MESH016 stat_prefix: must not hold control characters", listener('▸stat_prefix: "\\x01"')),
    ("MESH002 a second `: ` in one value", "a: b▸: c\n"),
    ("MESH003 name: this key stands in line 2 already", listener("▸name: own")),
]

FIELDS: Rows = [
    ("MESH262 adress: Listener has no such field; did you mean 'address'?", listener("▸adress: {}")),
    (
        "MESH262 address.socket_address.port: SocketAddress has no such field",
        listener("address: {socket_address: {address: 127.0.0.1, ▸port: 80}}"),
    ),
    (
        "MESH262 filter_chains[0].filters[0].typed_config.clustr: TcpProxy has no such field; did you mean 'cluster'?",
        tcp_proxy("▸clustr: web"),
    ),
    (
        f'MESH262 {FILTER}["@type"]: there is no Envoy type envoy.extensions.filters.network.tcp_proxy.v3.TcpProx',
        tcp_proxy("cluster: web")
        .replace("TcpProxy", "TcpProx")
        .replace("'@type': type.googleapis.com/envoy.ext", "▸'@type': type.googleapis.com/envoy.ext"),
    ),
    ("MESH262 filter_chains: must be a list, not a mapping", listener("▸filter_chains: {}")),
    ("MESH262 connect_timeout: must be a duration such as 1.5s", cluster("▸connect_timeout: soon")),
    ("MESH262 type: must be one of STATIC, ", cluster("▸type: STATC")),
    # What the type's own rules say.
    ("MESH262 connect_timeout: must be greater than 0s", cluster("▸connect_timeout: 0s")),
    ("MESH262 filter_chains[0].filters[0].name: must not be empty", filtered("▸name: ''")),
    (
        "MESH262 filter_chains[0].filters[0].typed_config.stat_prefix: must not be empty",
        tcp_proxy("cluster: web").replace("stat_prefix: own", "▸stat_prefix: ''"),
    ),
]

NAMES: Rows = [
    (
        "MESH263 the dataplane has a Listener 'inbound:192.0.2.1:80' already",
        listener(name="▸name: 'inbound:192.0.2.1:80'"),
    ),
    ("MESH263 the dataplane has a Cluster 'web' already", cluster(name="▸name: web")),
    ("MESH263 the dataplane has a Cluster 'kuma:envoy:admin' already", cluster(name="▸name: 'kuma:envoy:admin'")),
    ("MESH263 this Cluster is also in own.yaml.j2:2:1", cluster() + "---\n" + cluster(name="▸name: own")),
]

SOCKETS: Rows = [
    (
        f"MESH264 address: {address}:{port} is taken by {by}",
        listener(f"▸address: {{socket_address: {{address: '{address}', port_value: {port}}}}}"),
    )
    for address, port, by in [
        ("192.0.2.1", 80, "the inbound of web"),
        ("0.0.0.0", 80, "the inbound of web"),
        ("127.0.0.1", 10001, "the outbound to web"),
        ("::", 10001, "the outbound to web"),
        ("127.0.0.1", 9901, "Envoy's admin interface"),
    ]
] + [
    (
        "MESH264 additional_addresses[0].address: 127.0.0.1:10001 is taken by the outbound to web",
        listener(
            "address: {socket_address: {address: 127.0.0.1, port_value: 999}}\n"
            "additional_addresses: [{▸address: {socket_address: {address: 127.0.0.1, port_value: 10001}}}]"
        ),
    ),
    (
        "MESH264 address: 127.0.0.1:999 is taken by the listener own in own.yaml.j2:2:1",
        listener() + "---\n" + listener(name="other").replace("address:", "▸address:", 1),
    ),
]

ELSEWHERE: Rows = [
    (
        "MESH265 filter_chains[0].filters[0].typed_config.rds: write the routes inline as routeConfig",
        manager("▸rds: {route_config_name: own, config_source: {ads: {}}}"),
    ),
    (
        "MESH265 eds_cluster_config.eds_config: leave it out",
        cluster("type: EDS\neds_cluster_config: {▸eds_config: {ads: {}}}"),
    ),
    (
        f"MESH265 {SECRETS}[0].sds_config.path_config_source: a release reads no files but its own",
        cluster(
            "transport_socket:\n  name: tls\n  typed_config:\n"
            f"    '@type': {TYPES}.extensions.transport_sockets.tls.v3.UpstreamTlsContext\n"
            "    common_tls_context:\n      tls_certificate_sds_secret_configs:\n"
            "      - {name: own, sds_config: {▸path_config_source: {path: /etc/secret.json}}}"
        ),
    ),
]

ENDPOINTS: Rows = [
    ("MESH266 type: there is no ClusterLoadAssignment 'own'", cluster("▸type: EDS")),
    (
        "MESH266 type: there is no ClusterLoadAssignment 'wbe'; did you mean 'web'?",
        cluster("eds_cluster_config: {service_name: wbe}\n▸type: EDS"),
    ),
    (
        "MESH266 no cluster of a template has `type: EDS` and takes 'own'",
        cluster() + "---\n" + endpoints("▸cluster_name: own"),
    ),
]

CLUSTERS: Rows = [
    (
        f"warning: MESH267 {FILTER}.cluster: the dataplane has no cluster 'wbe'; did you mean 'web'?",
        tcp_proxy("▸cluster: wbe"),
    ),
    (
        f"warning: MESH267 {FILTER}.weighted_clusters.clusters[1].name: the dataplane has no cluster 'gone'",
        tcp_proxy("weighted_clusters: {clusters: [{name: web, weight: 1}, {▸name: gone, weight: 1}]}"),
    ),
    (
        f"warning: MESH267 {FILTER}.route_config.virtual_hosts[0].routes[0].route.cluster: the dataplane has no",
        manager(
            "route_config: {virtual_hosts: [{name: own, domains: ['*'], "
            "routes: [{match: {prefix: /}, route: {▸cluster: gone}}]}]}"
        ),
    ),
]

TABLES = [DOCUMENTS, FIELDS, NAMES, SOCKETS, ELSEWHERE, ENDPOINTS, CLUSTERS]


def wrong_with(universe: api.Universe, text: str) -> list[Finding]:
    """The findings about what a template came to for web-1."""
    rendered = templates.Rendered("own.yaml.j2", text, text, range(1, text.count("\n") + 2))
    own, findings = templates.read(rendered)
    dataplane = universe.indexes["default"].dataplanes["web-1"]
    return findings or templates.check(Compiler(universe.indexes["default"]), dataplane, TARGET, own)


@pytest.mark.parametrize(("finding", "text"), [pytest.param(*row, id=row[0][:90]) for table in TABLES for row in table])
def test_a_mistake_is_told_with_its_place(load_files: Load, finding: str, text: str) -> None:
    found = wrong_with(load_files({"mesh.yaml": MESH}), text.replace(MARK, ""))

    assert len(found) == 1, "\n".join(map(str, found))
    assert str(found[0]).startswith(f"own.yaml.j2:{place_of(text)}: {finding}")


def test_every_code_about_resources_of_templates_is_shown_by_a_row() -> None:
    shown = {code for table in TABLES for finding, _text in table for code in re.findall(r"MESH\d{3}", finding)}

    # These two are about templates, not about what they came to; the tests of the actions show them and MESH260.
    assert shown >= {code for code in CODES if code.startswith("MESH26")} - {"MESH260", "MESH268", "MESH269"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n# nothing here\n---\n",
        listener(),
        listener() + "---\n" + cluster(),
        listener("address: {pipe: {path: /run/own.sock}}"),
        listener("address: {socket_address: {protocol: UDP, address: 127.0.0.1, port_value: 10001}}"),
        cluster("type: EDS\neds_cluster_config: {service_name: web}"),
        cluster("type: EDS") + "---\n" + endpoints(),
        cluster("type: EDS\neds_cluster_config: {service_name: mine}") + "---\n" + endpoints("mine"),
        tcp_proxy("cluster: web"),
        tcp_proxy("cluster: own") + "---\n" + cluster(),
        tcp_proxy("cluster: kuma:envoy:admin"),
        manager("route_config: {virtual_hosts: []}"),
    ],
)
def test_nothing_is_wrong_with(load_files: Load, text: str) -> None:
    assert wrong_with(load_files({"mesh.yaml": MESH}), text) == []
