# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action `explain`."""

from __future__ import annotations

import json

import pytest
import yaml
from ansible.errors import AnsibleActionFail, AnsibleError

from ansible_collections.meshsmith.universal.plugins.action.explain import ARGUMENT_SPEC, ActionModule
from ansible_collections.meshsmith.universal.plugins.modules import explain as documentation
from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge

MESH = """\
type: Dataplane
mesh: default
name: web-1
networking:
  address: 127.0.0.2
  inbound:
    - {port: 80, servicePort: 8080, serviceAddress: 127.0.0.1, tags: {kuma.io/service: web, kuma.io/protocol: http}}
  outbound:
    - {port: 10001, tags: {kuma.io/service: backend}}
    - {port: 10002, tags: {kuma.io/service: backend, version: v1}}
    - {port: 10003, tags: {kuma.io/service: events}}
---
type: Dataplane
mesh: default
name: backend-1
networking:
  address: 127.0.0.3
  inbound:
    - {port: 80, servicePort: 8080, serviceAddress: 127.0.0.1,
       tags: {kuma.io/service: backend, kuma.io/protocol: http, version: v1}}
    - {port: 9092, servicePort: 9093, serviceAddress: 127.0.0.1,
       tags: {kuma.io/service: events, kuma.io/protocol: kafka}}
---
type: MeshRetry
mesh: default
name: everything
spec:
  targetRef: {kind: Mesh}
  to:
    - targetRef: {kind: Mesh}
      default:
        http:
          numRetries: 3
        tcp: {maxConnectAttempt: 4}
---
type: MeshRetry
mesh: default
name: web
spec:
  targetRef: {kind: MeshService, name: web}
  to:
    - targetRef: {kind: MeshService, name: backend}
      default: {http: {numRetries: 5}}
"""


@pytest.fixture
def mesh(tmp_path):
    (tmp_path / "mesh.yaml").write_text(MESH)
    return tmp_path / "mesh.yaml"


@pytest.fixture
def explain(run_action, mesh):
    def run(check=False, task_vars=None, **options):
        options = {"mesh": str(mesh), **options}
        return run_action(ActionModule, options, check=check, task_vars=task_vars)

    return run


def inventory(runs_on=None, **hosts):
    variables = {name.replace("_", "-"): values for name, values in hosts.items()}
    return {"inventory_hostname": runs_on, "groups": {"mesh": list(variables)}, "hostvars": variables}


def outbounds(result):
    return [outbound for destination in result["destinations"] for outbound in destination["outbounds"]]


@pytest.mark.parametrize("check", [False, True])
def test_a_field_has_its_policy_its_losers_and_what_envoy_makes_of_it(explain, check):
    result = explain(check, dataplane="web-1", service={"kuma.io/service": "backend", "version": "v1"})
    assert not result["changed"]
    assert (result["mesh"], result["dataplane"]) == ("default", "web-1")
    (destination,) = result["destinations"]
    assert (destination["service"], destination["protocol"], destination["endpoints"]) == ("backend", "http", 1)
    fields = destination["kinds"]["MeshRetry"]["fields"]
    assert fields["http.numRetries"] == {
        "value": 5,
        "policy": {
            "kind": "MeshRetry",
            "name": "web",
            "file": "mesh.yaml",
            "line": 43,
            "path": "spec.to[0].default.http.numRetries",
        },
        "losers": [
            {
                "value": 3,
                "why": "less specific: its targetRef is of kind Mesh, not MeshService",
                "kind": "MeshRetry",
                "name": "everything",
                "file": "mesh.yaml",
                "line": 33,
                "path": "spec.to[0].default.http.numRetries",
            }
        ],
        "envoy": fields["http.numRetries"]["envoy"],
        "no_effect": None,
    }
    (became,) = fields["http.numRetries"]["envoy"]
    assert became["field"].endswith("retryPolicy.numRetries")
    assert became["resource"].endswith("of listener outbound:127.0.0.1:10002")
    assert fields["tcp.maxConnectAttempt"]["no_effect"] == "has no effect: the service speaks http"
    assert fields["tcp.maxConnectAttempt"]["envoy"] == []


def test_the_text_says_the_same_to_people(explain):
    lines = explain(dataplane="web-1", service="events")["text"].splitlines()
    assert lines == [
        "web-1 -> events (kafka, 1 endpoint, at 127.0.0.1:10003)",
        "  MeshRetry",
        "    http.numRetries: 3",
        "      from MeshRetry everything (mesh.yaml:33)",
        "      has no effect: the service speaks kafka",
        "    tcp.maxConnectAttempt: 4",
        "      from MeshRetry everything (mesh.yaml:34)",
        "      is filterChains[0].filters[0].typedConfig.maxConnectAttempts of listener outbound:127.0.0.1:10003",
    ]


TIMEOUTS = """\
type: MeshTimeout
mesh: default
name: web
spec:
  targetRef: {kind: MeshService, name: web}
  from:
    - targetRef: {kind: Mesh}
      default: {http: {requestTimeout: 7s}}
"""


@pytest.fixture
def timeouts(mesh):
    """The mesh with its initial policies, and with timeouts on the inbound of web-1."""
    mesh.write_text(f"{mesh.read_text()}---\ntype: Mesh\nname: default\n")
    (mesh.parent / "timeouts.yaml").write_text(TIMEOUTS)
    return [str(mesh), str(mesh.parent / "timeouts.yaml")]


def test_inbounds_are_explained_beside_destinations(explain, timeouts):
    result = explain(mesh=timeouts, dataplane="web-1")
    (inbound,) = result["inbounds"]
    assert {key: value for key, value in inbound.items() if key != "kinds"} == {
        "service": "web",
        "address": "127.0.0.2",
        "port": 80,
        "protocol": "http",
    }
    assert inbound["kinds"]["MeshTimeout"]["fields"]["http.requestTimeout"] == {
        "value": "7s",
        "policy": {
            "kind": "MeshTimeout",
            "name": "web",
            "file": "timeouts.yaml",
            "line": 8,
            "path": "spec.from[0].default.http.requestTimeout",
        },
        "losers": [
            {
                "value": "0s",
                "why": "less specific: its targetRef is of kind Mesh, not MeshService",
                "kind": "MeshTimeout",
                "name": "mesh-timeout-all-default",
                "file": "initial policy of Kuma 2.7",
                "line": None,
                "path": "spec.from[0].default.http.requestTimeout",
            }
        ],
        "envoy": [
            {
                "resource": "route inbound:web of listener inbound:127.0.0.2:80",
                "field": "virtualHosts[0].routes[0].route.timeout",
            }
        ],
        "no_effect": None,
    }
    lines = result["text"].splitlines()
    assert lines[0] == "web-1 <- web (http, at 127.0.0.2:80)"
    assert "      from MeshTimeout web (timeouts.yaml:8)" in lines


def test_what_is_written_beats_what_came_with_the_mesh(explain, timeouts):
    (whole, _subset) = explain(mesh=timeouts, dataplane="web-1", service="backend")["destinations"]
    attempts = whole["kinds"]["MeshRetry"]["fields"]["tcp.maxConnectAttempt"]
    (loser,) = attempts["losers"]
    assert (attempts["value"], attempts["policy"]["name"]) == (4, "everything")
    assert (loser["value"], loser["name"]) == (5, "mesh-retry-all-default")
    assert loser["why"] == "it came with the mesh, and what is written counts more"


def test_inbounds_are_left_out_where_a_service_is_asked_for(explain, timeouts):
    assert explain(mesh=timeouts, dataplane="web-1")["inbounds"] != []
    assert explain(mesh=timeouts, dataplane="web-1", service="backend")["inbounds"] == []


@pytest.mark.parametrize(
    ("service", "ports"),
    [
        (None, [10001, 10002, 10003]),
        ("events", [10003]),
        ("backend", [10001, 10002]),
        ({"kuma.io/service": "backend", "version": "v1"}, [10002]),
    ],
)
def test_a_service_or_a_subset_can_be_asked_for(explain, service, ports):
    result = explain(dataplane="web-1", **({} if service is None else {"service": service}))
    assert outbounds(result) == [f"127.0.0.1:{port}" for port in ports]


def test_the_result_can_be_put_into_json(explain):
    assert json.loads(json.dumps(explain(dataplane="web-1")))["destinations"]


def test_without_a_name_it_is_the_dataplane_of_the_host(explain):
    hosts = {"first": {"mesh_dataplane_name": "web-1"}, "backend_1": {}}
    assert explain(task_vars=inventory("first", **hosts))["dataplane"] == "web-1"
    assert explain(task_vars=inventory("backend-1", **hosts))["dataplane"] == "backend-1"
    with pytest.raises(AnsibleActionFail, match="the host 'localhost' runs no dataplane of the mesh: set dataplane"):
        explain(task_vars=inventory("localhost", **hosts))


def test_the_envoy_of_the_dataplanes_host_counts(explain):
    def field(**variables):
        task_vars = inventory("localhost", web_1=variables, backend_1={"mesh_envoy_has_kafka": True})
        (destination,) = explain(dataplane="web-1", service="events", task_vars=task_vars)["destinations"]
        (became,) = destination["kinds"]["MeshRetry"]["fields"]["tcp.maxConnectAttempt"]["envoy"]
        return became["field"]

    assert field() == "filterChains[0].filters[0].typedConfig.maxConnectAttempts"
    assert field(mesh_envoy_has_kafka=True) == "filterChains[0].filters[1].typedConfig.maxConnectAttempts"


def test_dataplanes_of_hosts_are_known_but_in_a_slice(explain, mesh):
    first, *others = mesh.read_text().split("---\n")
    mesh.write_text("---\n".join(others))
    task_vars = inventory("web-1", web_1={"mesh_dataplane": yaml.safe_load(first)["networking"]})
    assert len(explain(task_vars=task_vars)["destinations"]) == 3
    with pytest.raises(AnsibleActionFail, match="MESH101"):
        explain(slice=True, task_vars=task_vars)


def test_the_same_name_in_two_meshes_needs_the_mesh(explain, mesh):
    text = mesh.read_text()
    second = text.replace("mesh: default", "mesh: second").replace("numRetries: 5", "numRetries: 7")
    mesh.write_text(f"{text}---\n{second}---\ntype: Mesh\nname: second\n---\ntype: Mesh\nname: default\n")

    def retries(**options):
        (destination, _subset) = explain(service="backend", **options)["destinations"]
        return destination["kinds"]["MeshRetry"]["conf"]["http"]["numRetries"]

    with pytest.raises(AnsibleActionFail, match="in several meshes: default, second"):
        retries(dataplane="web-1")
    assert retries(dataplane="web-1", mesh_name="default") == 5
    assert retries(dataplane="web-1", mesh_name="second") == 7
    assert retries(task_vars=inventory("web-1", web_1={"mesh_name": "second"})) == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataplane": "wob-1"}, "there is no dataplane 'wob-1'; did you mean 'web-1'?"),
        ({"dataplane": "web-1", "mesh_name": "second"}, "there is no dataplane 'web-1' in mesh 'second'"),
        ({"dataplane": "web-1", "service": "event"}, "no outbound for the service 'event'; did you mean 'events'?"),
        ({"dataplane": "web-1", "service": {"kuma.io/service": "backend", "version": "v2"}}, "no outbound for"),
        ({"dataplane": "web-1", "service": {"version": "v1"}}, "service must be a name, or tags"),
        ({"dataplane": "web-1", "service": 5}, "service must be a string"),
    ],
    ids=str,
)
def test_what_is_not_there_fails_it_with_a_likely_name(explain, options, message):
    with pytest.raises(AnsibleError) as caught:
        explain(**options)
    assert message in str(caught.value)


def test_errors_of_the_mesh_fail_it_with_all_findings(explain, mesh):
    mesh.write_text(mesh.read_text().replace("numRetries: 3", "numRetries: -3").replace("address:", "adress:"))
    with pytest.raises(AnsibleActionFail, match=r"Nothing can be explained: \d+ errors") as caught:
        explain(dataplane="web-1")
    result = caught.value.result
    assert result["counts"]["error"] == len(result["findings"])
    assert "spec.to[0].default.http.numRetries" in [finding["path"] for finding in result["findings"]]
    assert "mesh.yaml:33:11: MESH021" in str(caught.value)


def test_warnings_do_not(explain, mesh):
    mesh.write_text(mesh.read_text().replace("kuma.io/service: events}", "kuma.io/service: event}"))
    assert explain(dataplane="web-1", service="event")["destinations"][0]["endpoints"] == 0


def test_missing_packages_fail_it_with_the_command(explain, monkeypatch):
    monkeypatch.setattr(_edge._requirements, "missing", lambda: ["run pip install jsonschema"])
    with pytest.raises(AnsibleActionFail, match="pip install jsonschema"):
        explain(dataplane="web-1")


def test_the_documentation_describes_the_options(documented_options):
    assert documented_options(documentation) == ARGUMENT_SPEC
