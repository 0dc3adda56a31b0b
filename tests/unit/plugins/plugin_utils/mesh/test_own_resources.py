# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resources of templates: what they are read as, how they join a release, and what templates see of a mesh."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api, templates
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.envoy import type_urls
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.findings import Finding, Source
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.templates import OwnResource, Rendered

Load = Callable[..., api.Universe]

TARGET = api.Target()
WEB = api.DataplaneId("default", "web-1")
BACKEND = api.DataplaneId("default", "backend-1")


def dataplane(name: str, service: str, address: str, **networking: Any) -> dict[str, Any]:
    inbound = {
        "port": 80,
        "servicePort": 8080,
        "serviceAddress": "127.0.0.1",
        "tags": {"kuma.io/service": service, "kuma.io/protocol": "http", "version": "1"},
    }
    return {
        "type": "Dataplane",
        "mesh": "default",
        "name": name,
        "networking": {"address": address, "inbound": [inbound], **networking},
    }


RESOURCES = [
    {"type": "Mesh", "name": "default", "skipCreatingInitialPolicies": ["*"]},
    dataplane(
        "web-1",
        "web",
        "192.0.2.1",
        outbound=[
            {"port": 10001, "tags": {"kuma.io/service": "backend"}},
            {"port": 10002, "tags": {"kuma.io/service": "backend", "version": "1"}},
        ],
    ),
    dataplane("backend-1", "backend", "192.0.2.2"),
]

LISTENER = f"""\
"@type": {type_urls.LISTENER}
name: status
address: {{socket_address: {{address: 127.0.0.1, port_value: 9000}}}}
filter_chains:
- filters:
  - name: envoy.filters.network.http_connection_manager
    typed_config:
      "@type": {type_urls.HTTP_CONNECTION_MANAGER}
      stat_prefix: status
      stream_idle_timeout: 1m
      http_filters:
      - {{name: router, typed_config: {{"@type": {type_urls.ROUTER}}}}}
      route_config:
        virtual_hosts:
        - {{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, direct_response: {{status: 200}}}}]}}
"""
CLUSTER = f"""\
"@type": {type_urls.CLUSTER}
name: slow
type: EDS
connectTimeout: 1s
eds_cluster_config: {{service_name: {{name}}}}
"""


def rendered(text: str, file: str = "templates/status.yaml.j2") -> Rendered:
    return Rendered(file, text, text, range(1, text.count("\n") + 2))


def own(*texts: str) -> list[OwnResource]:
    found: list[OwnResource] = []
    for text in texts:
        resources, findings = templates.read(rendered(text))
        assert findings == []
        found += resources
    return found


def cluster(service: str) -> str:
    return CLUSTER.replace("{name}", service)


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_resource_is_spelled_as_its_type_spells_it() -> None:
    [one] = own(LISTENER)

    assert (one.type_url, one.name, one.template) == (type_urls.LISTENER, "status", "status")
    assert one.source == Source("templates/status.yaml.j2", 2, 1)
    assert one.resource["address"] == {"socketAddress": {"address": "127.0.0.1", "portValue": 9000}}
    manager = one.resource["filterChains"][0]["filters"][0]["typedConfig"]
    assert manager["streamIdleTimeout"] == "60s"
    # In a file of its own it needs a name.
    assert manager["routeConfig"]["name"] == "status"


def test_each_document_is_a_resource_and_an_empty_text_is_none() -> None:
    assert [one.name for one in own(LISTENER + "---\n" + cluster("backend"))] == ["status", "slow"]
    assert own("", "\n---\n# nothing\n---\n") == []


def test_values_of_tags_are_made() -> None:
    [one], findings = templates.read(
        rendered(LISTENER.replace("name: status", "name: !vault x")), {"!vault": str.upper}
    )
    assert (one.name, findings) == ("X", [])


def test_places_are_those_of_the_template() -> None:
    template = "{% if true %}\nname: {{ 'x' }}\n'@type': {{ type }}\n{% endif %}"
    text = "name: x\n'@type': Listener"

    _own, [finding] = templates.read(Rendered("a.j2", template, text, (2, 3)))

    assert finding.source == Source("a.j2", 3, 1)


@pytest.mark.parametrize(("text", "column"), [("a: b\n  x:\ty", 5), ("{{ a }}\n  {{ b }}: y", 1)])
def test_a_column_is_told_where_it_is_that_of_the_template(text: str, column: int) -> None:
    told = Rendered("a.j2", text, "a: b\n  x:\ty", (1, 2)).told(
        Finding("MESH002", templates.NOT_A_RESOURCE.severity, "", "", Source("a.j2", 2, 5))
    )

    assert told.source == Source("a.j2", 2, column)


# --- in a release -----------------------------------------------------------------------------------------------------


def test_they_join_the_resources_of_a_dataplane(load_resources: Load) -> None:
    universe = load_resources(*RESOURCES)
    without = api.compile_proxy(universe, WEB)

    found = api.compile_proxy(universe, WEB, own=own(LISTENER))

    assert set(found[type_urls.LISTENER]) - set(without[type_urls.LISTENER]) == {"status"}
    assert found[type_urls.LISTENER]["status"]["name"] == "status"


def test_a_release_says_which_template_made_a_resource(load_resources: Load) -> None:
    release = api.compile_release(load_resources(*RESOURCES), WEB, own=own(LISTENER + "---\n" + cluster("backend")))
    document = json.loads(release.document)

    made_by = {"kind": "template", "name": "status", "file": "templates/status.yaml.j2"}
    line = 2 + LISTENER.count("\n") + 1
    assert document["origins"] == {
        "listener/status": [{**made_by, "path": "line 2"}],
        "route/status": [{**made_by, "path": "line 2"}],
        "cluster/slow": [{**made_by, "path": f"line {line}"}],
    }


def test_routes_and_endpoints_stand_in_files_of_their_own(load_resources: Load) -> None:
    release = api.compile_release(load_resources(*RESOURCES), WEB, own=own(LISTENER, cluster("backend")))
    files = json.loads(release.document)["files"]

    assert files["rds/status"]["resources"][0]["name"] == "status"
    # The endpoints of the mesh, in the file that the cluster of the mesh reads as well.
    assert "eds/slow" not in files
    [slow] = [one for one in files["cds"]["resources"] if one["name"] == "slow"]
    assert slow["edsClusterConfig"]["edsConfig"]["pathConfigSource"]["path"].endswith("/live/eds/backend.json")


def test_dataplanes_share_what_a_template_comes_to_for_both(load_resources: Load) -> None:
    compilers = load_resources(*RESOURCES)
    asked: list[str] = []

    def render(file: str, variables: Mapping[str, Any]) -> Rendered:
        asked.append(variables["dataplane"]["name"])
        return rendered(LISTENER, file)

    found = templates.Templates(["a.yaml.j2"], render, {})
    compiler = compilers.compiled("default").compiler
    first, second = (found.own(compiler, compilers.dataplane(name), TARGET) for name in (WEB, BACKEND))
    assert first[0] is second[0]
    # And each is rendered once, however often it is asked for.
    assert found.own(compiler, compilers.dataplane(WEB), TARGET) is first
    assert asked == ["web-1", "backend-1"]


def test_without_templates_nothing_is_done(load_resources: Load) -> None:
    universe = load_resources(*RESOURCES)
    nobody: Any = None

    assert templates.Templates([], nobody, {}).own(nobody, universe.dataplane(WEB), TARGET) == []
    assert templates.check(nobody, universe.dataplane(WEB), TARGET, []) == []


# --- findings about several dataplanes --------------------------------------------------------------------------------


def findings(universe: api.Universe, texts: Mapping[str, str], every: bool = True) -> list[str]:
    """Of templates that come to these texts for whatever dataplane, but `{name}` in them is its name."""

    def render(file: str, variables: Mapping[str, Any]) -> Rendered:
        return rendered(texts[file].replace("{name}", variables["dataplane"]["name"]), file)

    found = templates.Templates(list(texts), render, {})
    compiler = universe.compiled("default").compiler
    asked = [(compiler, universe.dataplane(name), TARGET) for name in universe.dataplanes]
    return [str(finding) for finding in found.findings(asked, every)]


def test_what_is_wrong_for_several_dataplanes_is_told_once(load_resources: Load) -> None:
    universe = load_resources(*RESOURCES)

    [found] = findings(universe, {"a.j2": "name: x"})
    assert found.startswith('a.j2:1:1: MESH261 ["@type"]: must be one of ')
    assert found.endswith(" (dataplane 'backend-1' and 1 other)")
    [found] = findings(
        universe, {"a.j2": cluster("{name}").replace("name: {name}", "name: web").replace("slow", "web-1")}
    )
    assert found.endswith("there is no ClusterLoadAssignment 'web' (dataplane 'backend-1' and 1 other)")


def test_a_name_is_looked_for_in_all_templates(load_resources: Load) -> None:
    universe = load_resources(*RESOURCES)

    found = findings(universe, {"a.j2": LISTENER, "b.j2": "\n" + LISTENER.replace("9000", "9001")})

    assert found == ["b.j2:3:1: MESH263 this Listener is also in a.j2:2:1 (dataplane 'backend-1' and 1 other)"]


def test_a_cluster_that_a_patch_adds_is_there(load_resources: Load) -> None:
    text = LISTENER.replace("direct_response: {status: 200}", "route: {cluster: added}")
    change = {"cluster": {"operation": "Add", "value": "name: added\nconnect_timeout: 1s\n"}}
    spec = {"targetRef": {"kind": "Mesh"}, "default": {"appendModifications": [change]}}
    patch = {"type": "MeshProxyPatch", "mesh": "default", "name": "add", "spec": spec}

    [found] = findings(load_resources(*RESOURCES), {"a.j2": text})
    assert "MESH267" in found
    assert findings(load_resources(*RESOURCES, patch), {"a.j2": text}) == []


def test_a_template_that_yields_nothing_is_told_where_all_dataplanes_are_known(load_resources: Load) -> None:
    universe = load_resources(*RESOURCES)
    texts = {"a.j2": LISTENER, "b.j2": "# nothing\n"}

    assert findings(universe, texts) == ["b.j2:1:1: warning: MESH268 it yields nothing for any dataplane"]
    assert findings(universe, texts, every=False) == []


# --- what a template sees ---------------------------------------------------------------------------------------------


def test_variables_are_the_dataplane_with_all_defaults_the_services_and_the_target(load_resources: Load) -> None:
    universe = load_resources(*RESOURCES)
    compiler = universe.compiled("default").compiler

    found = templates.variables(compiler, universe.dataplane(WEB), api.Target(root="/srv/mesh"))

    subset = next(name for name in api.compile_proxy(universe, WEB)[type_urls.CLUSTER] if name.startswith("backend-"))
    assert found["dataplane"] == {
        "name": "web-1",
        "mesh": "default",
        "networking": {
            "address": "192.0.2.1",
            "inbound": [
                {
                    "address": "192.0.2.1",
                    "port": 80,
                    "serviceAddress": "127.0.0.1",
                    "servicePort": 8080,
                    "state": "Ready",
                    "tags": {
                        "kuma.io/protocol": "http",
                        "kuma.io/service": "web",
                        "kuma.io/zone": "default",
                        "version": "1",
                    },
                }
            ],
            "outbound": [
                {
                    "address": "127.0.0.1",
                    "port": 10001,
                    "tags": {"kuma.io/service": "backend"},
                    "cluster": "backend",
                },
                {
                    "address": "127.0.0.1",
                    "port": 10002,
                    "tags": {"kuma.io/service": "backend", "version": "1"},
                    "cluster": subset,
                },
            ],
            "gateway": None,
            "admin": {"port": None},
            "transparentProxying": None,
        },
        "tags": {
            "kuma.io/protocol": ["http"],
            "kuma.io/service": ["web"],
            "kuma.io/zone": ["default"],
            "version": ["1"],
        },
    }
    assert dict(found["services"])["backend"] == {
        "protocol": "http",
        "endpoints": [
            {
                "address": "192.0.2.2",
                "port": 80,
                "tags": {"kuma.io/protocol": "http", "kuma.io/zone": "default", "version": "1"},
            }
        ],
    }
    assert (list(found["services"]), len(found["services"])) == (["backend", "web"], 2)
    assert found["target"]["root"] == "/srv/mesh"


def test_what_a_template_does_to_its_variables_is_seen_by_no_other(load_resources: Load) -> None:
    universe = load_resources(*RESOURCES)
    compiler = universe.compiled("default").compiler
    first, second = (templates.variables(compiler, universe.dataplane(WEB), TARGET) for _time in range(2))

    first["dataplane"]["networking"]["inbound"][0]["tags"].clear()
    first["services"]["backend"]["endpoints"].clear()

    assert second["dataplane"]["networking"]["inbound"][0]["tags"]
    assert first["services"]["backend"]["endpoints"]


def test_a_gateway_and_redirection_are_seen(load_resources: Load) -> None:
    ports = {"redirectPortInbound": 15006, "redirectPortOutbound": 15001}
    networking = {"address": "192.0.2.3", "gateway": {"tags": {"kuma.io/service": "edge"}}}
    networking["transparentProxying"] = ports
    universe = load_resources(
        {"type": "Mesh", "name": "default", "skipCreatingInitialPolicies": ["*"]},
        {"type": "VirtualIPs", "mesh": "default", "services": {"edge": "240.0.0.1"}},
        {"type": "Dataplane", "mesh": "default", "name": "edge-1", "networking": networking},
    )
    edge = universe.dataplane(api.DataplaneId("default", "edge-1"))

    found = templates.variables(universe.compiled("default").compiler, edge, TARGET)["dataplane"]["networking"]

    assert found["gateway"] == {"tags": {"kuma.io/service": "edge", "kuma.io/zone": "default"}}
    assert found["transparentProxying"] == {**ports, "ipFamilyMode": "UnSpecified"}
