# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents as Kubernetes has them: policies in Kubernetes form, and Services as hints about protocols.

In texts `▸` marks the place that the one finding must name; it is taken out before the text is read.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.envoy import type_urls

Load = Callable[..., api.Universe]
Resource = dict[str, Any]
Conf = dict[str, Any]

MARK = "▸"
WEB = api.DataplaneId("default", "web-1")


def place_of(text: str) -> str:
    """Line and column of the mark, from 1."""
    before = text[: text.index(MARK)]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def documents(*texts: str) -> str:
    return "---\n".join(texts)


# --- what a policy in Kubernetes form says ----------------------------------------------------------------------------


def spec(*items: tuple[Conf, str | None], proxies: str | None = None) -> Resource:
    """`spec` of a policy: configurations with the service that each is for, and whose proxies it selects."""

    def ref(service: str | None) -> Conf:
        return {"kind": "Mesh"} if service is None else {"kind": "MeshService", "name": service}

    to = [{"targetRef": ref(service), "default": conf} for conf, service in items]
    return {"targetRef": ref(proxies), "to": to}


def universal(kind: str, name: str, content: Resource, mesh: str = "default") -> Resource:
    return {"type": kind, "name": name, "mesh": mesh, "spec": content}


def kubernetes(kind: str, name: str, content: Resource, labels: dict[str, str] | None = None) -> Resource:
    metadata: Resource = {"name": name, "namespace": "kuma-system"}
    metadata |= {} if labels is None else {"labels": labels}
    return {"apiVersion": "kuma.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": content}


def dataplane(name: str, inbounds: Iterable[Resource], outbounds: Iterable[str], mesh: str = "default") -> Resource:
    """A sidecar; of each inbound its tags, of each outbound the service."""
    networking = {
        "address": "192.0.2.1",
        "inbound": [
            {"port": 80 + number, "serviceAddress": "127.0.0.1", "tags": tags} for number, tags in enumerate(inbounds)
        ],
        "outbound": [
            {"port": 10001 + number, "tags": {"kuma.io/service": service}} for number, service in enumerate(outbounds)
        ],
    }
    return {"type": "Dataplane", "mesh": mesh, "name": name, "networking": networking}


CONSUMER = dataplane("web-1", [{"kuma.io/service": "web", "kuma.io/protocol": "http"}], ["backend"])
BACKEND = dataplane("backend-1", [{"kuma.io/service": "backend", "kuma.io/protocol": "http"}], [])
CHECK_DEFAULTS: Conf = {"interval": "1m", "timeout": "15s", "unhealthyThreshold": 5, "healthyThreshold": 1}
RESET_HEADERS = [{"name": "retry-after", "format": "Seconds"}]

# Configurations as they are written in Kubernetes form, and in Universal form to the same effect, also in merging.
FORMS: list[tuple[str, Conf, Conf]] = [
    ("MeshHealthCheck", {"http": {}}, {**CHECK_DEFAULTS, "http": {"path": "/"}}),
    ("MeshHealthCheck", {"tcp": {}, "grpc": {}}, {**CHECK_DEFAULTS, "tcp": {}, "grpc": {}}),
    (
        "MeshHealthCheck",
        {"interval": "5s", "unhealthyThreshold": 2, "reuseConnection": False, "http": {"path": "/a", "disabled": True}},
        {
            **CHECK_DEFAULTS,
            "interval": "5s",
            "unhealthyThreshold": 2,
            "reuseConnection": False,
            "http": {"path": "/a", "disabled": True},
        },
    ),
    ("MeshRetry", {"http": {"numRetries": 3}}, {"http": {"numRetries": 3}}),
    (
        "MeshRetry",
        {"http": {"backOff": {"maxInterval": "1s"}}},
        {"http": {"backOff": {"baseInterval": "25ms", "maxInterval": "1s"}}},
    ),
    (
        "MeshRetry",
        {"grpc": {"rateLimitedBackOff": {"resetHeaders": RESET_HEADERS}}},
        {"grpc": {"rateLimitedBackOff": {"resetHeaders": RESET_HEADERS, "maxInterval": "300s"}}},
    ),
    (
        "MeshRetry",
        {"http": {"backOff": {"baseInterval": "2s"}, "rateLimitedBackOff": {"resetHeaders": [], "maxInterval": "9s"}}},
        {"http": {"backOff": {"baseInterval": "2s"}, "rateLimitedBackOff": {"resetHeaders": [], "maxInterval": "9s"}}},
    ),
    ("MeshRetry", {"tcp": {"maxConnectAttempt": 3}}, {"tcp": {"maxConnectAttempt": 3}}),
]
# Everything that these have defaults for.
LOWER: dict[str, Conf] = {
    "MeshHealthCheck": {
        "interval": "7s",
        "timeout": "3s",
        "unhealthyThreshold": 9,
        "healthyThreshold": 8,
        "http": {"path": "/lower", "expectedStatuses": [204]},
    },
    "MeshRetry": {
        section: {
            "numRetries": 1,
            "backOff": {"baseInterval": "7s", "maxInterval": "8s"},
            "rateLimitedBackOff": {"resetHeaders": RESET_HEADERS, "maxInterval": "9s"},
        }
        for section in ("http", "grpc")
    },
}


@pytest.mark.parametrize(("kind", "written", "meant"), FORMS)
def test_a_policy_is_the_same_in_both_forms_once_defaults_are_written(
    load_resources: Load, kind: str, written: Conf, meant: Conf
) -> None:
    lower = universal(kind, "lower", spec((LOWER[kind], None)))
    meshes = [
        load_resources(CONSUMER, BACKEND, lower, form(kind, "a", spec((conf, "backend"), proxies="web")))
        for form, conf in [(kubernetes, written), (kubernetes, meant), (universal, meant)]
    ]

    effective, *others = [api.effective(one, kind, WEB, "backend") for one in meshes]
    assert others == [effective] * 2
    release, *others = [api.compile_release(one, WEB).document for one in meshes]
    assert others == [release] * 2


LISTS: Conf = {"rateLimitedBackOff": {"resetHeaders": []}}


@pytest.mark.parametrize(
    ("kind", "conf", "values"),
    [
        (
            "MeshHealthCheck",
            {"http": {"expectedStatuses": [200]}},
            {
                "interval": ("7s", "1m0s"),
                "timeout": ("3s", "15s"),
                "unhealthyThreshold": (9, 5),
                "healthyThreshold": (8, 1),
                "http.path": ("/lower", "/"),
            },
        ),
        # Where a mapping is missing nothing is written into it.
        ("MeshHealthCheck", {"timeout": "1s", "tcp": {}}, {"timeout": ("1s", "1s"), "http.path": ("/lower", "/lower")}),
        *[
            ("MeshRetry", {section: conf}, {f"{section}.{path}": values})
            for section in ("http", "grpc")
            for conf, path, values in [
                ({"backOff": {"maxInterval": "1s"}}, "backOff.baseInterval", ("7s", "25ms")),
                ({"backOff": {"baseInterval": "1s"}}, "backOff.maxInterval", ("8s", "8s")),
                (LISTS, "rateLimitedBackOff.maxInterval", ("9s", "5m0s")),
                (LISTS, "backOff.baseInterval", ("7s", "7s")),
            ]
        ],
    ],
)
def test_what_a_custom_resource_has_by_default_overrides_less_specific_policies(
    load_resources: Load, kind: str, conf: Conf, values: dict[str, tuple[object, object]]
) -> None:
    lower = universal(kind, "lower", spec((LOWER[kind], None)))

    for number, form in enumerate((universal, kubernetes)):
        universe = load_resources(CONSUMER, BACKEND, lower, form(kind, "a", spec((conf, "backend"), proxies="web")))
        fields = api.effective(universe, kind, WEB, "backend")["fields"]
        assert {path: fields[path]["value"] for path in values} == {path: both[number] for path, both in values.items()}


@pytest.mark.parametrize(
    "selection",
    [
        [{"predicate": "OmitPreviousHosts"}],
        [{"predicate": "OmitHostsWithTags", "tags": {"a": "b"}}],
        [{"predicate": "OmitPreviousPriorities"}],
    ],
)
def test_the_defaults_of_items_of_lists_are_the_same_in_both_forms(load_resources: Load, selection: list[Conf]) -> None:
    conf = {"http": {"hostSelection": selection, "retriableRequestHeaders": [{"name": "x-a", "value": "b"}]}}
    second = copy.deepcopy(BACKEND) | {"name": "backend-2"}
    meshes = [
        load_resources(CONSUMER, BACKEND, second, form("MeshRetry", "a", spec((conf, "backend"))))
        for form in (universal, kubernetes)
    ]

    assert [one.findings for one in meshes] == [(), ()]
    assert api.compile_release(meshes[0], WEB).document == api.compile_release(meshes[1], WEB).document


@pytest.mark.parametrize(
    ("labels", "mesh"),
    [(None, "default"), ({}, "default"), ({"kuma.io/mesh": "default"}, "default"), ({"kuma.io/mesh": "east"}, "east")],
)
def test_a_label_names_the_mesh(load_resources: Load, labels: dict[str, str] | None, mesh: str) -> None:
    east = {"type": "Mesh", "name": "east", "skipCreatingInitialPolicies": ["*"]}
    consumer = copy.deepcopy(CONSUMER) | {"mesh": "east"}
    policy = kubernetes("MeshRetry", "a", spec(({"tcp": {"maxConnectAttempt": 3}}, None)), labels)
    universe = load_resources(east, consumer, CONSUMER, policy)

    selected = {one.mesh: api.matched_policies(universe, one) for one in universe.dataplanes}
    assert selected == {"default": [], "east": [], mesh: [{"kind": "MeshRetry", "name": "a", "file": "mesh"}]}


@pytest.mark.parametrize("passthrough", [None, True, False])
def test_a_mesh_is_the_same_in_both_forms(load_resources: Load, passthrough: bool | None) -> None:
    outbound = {} if passthrough is None else {"passthrough": passthrough}
    fields = {"networking": {"outbound": outbound}, "skipCreatingInitialPolicies": ["*"]}
    one = load_resources({"type": "Mesh", "name": "shop", **fields})
    metadata = {"name": "shop", "labels": {"team": "a"}, "uid": "1"}
    other = load_resources(
        {"apiVersion": "kuma.io/v1alpha1", "kind": "Mesh", "metadata": metadata, "spec": fields, "status": {}}
    )

    assert list(one.indexes) == list(other.indexes) == ["shop"]
    assert one.indexes["shop"].passthrough is other.indexes["shop"].passthrough is (passthrough is not False)
    assert one.indexes["shop"].policies == other.indexes["shop"].policies == {}


MESH_RESOURCE = "apiVersion: kuma.io/v1alpha1\nkind: Mesh\nmetadata: {name: default}\n"


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (
            "MESH012 spec.networking.outbound.passthrough: must be true or false",
            MESH_RESOURCE + "spec: {networking: {outbound: {▸passthrough: 5}}}\n",
        ),
        ("MESH009 spec.mtls: not supported yet: mutual TLS", MESH_RESOURCE + "spec: {▸mtls: {}}\n"),
        ("MESH010 spec.networkin: unknown field", MESH_RESOURCE + "spec: {▸networkin: {}}\n"),
        ("MESH010 spec.name: unknown field", MESH_RESOURCE + "spec: {▸name: x}\n"),
        ("MESH012 spec: must be a mapping", MESH_RESOURCE + "▸spec: []\n"),
        (
            "MESH029 metadata.namespace: must not be set: a Mesh is in no namespace",
            MESH_RESOURCE.replace("{name: default}", "{name: default, ▸namespace: kuma-system}"),
        ),
        ("MESH023 metadata.name: must consist of", MESH_RESOURCE.replace("name: default", "▸name: A")),
        ("MESH009 apiVersion: not supported: Mesh of this", MESH_RESOURCE.replace("apiVersion: k", "▸apiVersion: l")),
    ],
)
def test_one_mistake_in_a_mesh(load_files: Load, finding: str, text: str) -> None:
    [found] = map(str, load_files({"mesh.yaml": text.replace(MARK, "")}).findings)

    assert found.startswith(f"mesh.yaml:{place_of(text)}: {finding}")


@pytest.mark.parametrize("namespace", [None, "kuma-system", "kong-mesh-system"])
def test_a_policy_is_in_the_namespace_of_the_control_plane(load_resources: Load, namespace: str | None) -> None:
    policy = kubernetes("MeshRetry", "a", spec(({"tcp": {"maxConnectAttempt": 3}}, None)))
    del policy["metadata"]["namespace"]
    policy["metadata"] |= {} if namespace is None else {"namespace": namespace}

    assert len(api.matched_policies(load_resources(CONSUMER, policy), WEB)) == 1


def test_other_labels_mean_the_same_in_both_forms(load_resources: Load) -> None:
    def attempts(value: int) -> Resource:
        return spec(({"tcp": {"maxConnectAttempt": value}}, None))

    universe = load_resources(
        CONSUMER,
        BACKEND,
        kubernetes("MeshRetry", "a", attempts(1), {"kuma.io/origin": "global"}),
        kubernetes("MeshRetry", "b", attempts(2), {"kuma.io/origin": "zone"}),
        kubernetes("MeshRetry", "c", attempts(3), {"kuma.io/origin": "zone", "kuma.io/effect": "shadow"}),
        universal("MeshRetry", "d", attempts(4)),
    )

    assert [one["name"] for one in api.matched_policies(universe, WEB)] == ["a", "d", "b"]
    assert api.effective(universe, "MeshRetry", WEB, "backend")["conf"] == {"tcp": {"maxConnectAttempt": 2}}


# --- findings, in the words and at the places of Kubernetes form ------------------------------------------------------

POLICY = """\
apiVersion: kuma.io/v1alpha1
kind: MeshRetry
metadata:
  name: a
  namespace: kuma-system
  labels: {kuma.io/mesh: default}
spec:
  targetRef: {kind: Mesh}
  to:
  - targetRef: {kind: Mesh}
    default: {tcp: {maxConnectAttempt: 3}}
"""
UNIVERSAL = """\
type: MeshRetry
mesh: default
name: a
spec:
  targetRef: {kind: Mesh}
  to:
  - targetRef: {kind: Mesh}
    default: {tcp: {maxConnectAttempt: 3}}
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata:
  name: backend
  namespace: demo
  annotations: {}
spec:
  ports:
  - {port: 8080}
"""
MESH_LABEL = 'metadata.labels["kuma.io/mesh"]'
CONF = "spec.to[0].default"
ANNOTATION = 'metadata.annotations["8080.service.kuma.io/protocol"]'


def changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


def policy(old: str, new: str) -> str:
    return changed(POLICY, old, new)


def service(old: str, new: str) -> str:
    return changed(SERVICE, old, new)


FINDINGS: list[tuple[str, str]] = [
    (
        "MESH011 kind: must be set, for example to MeshRetry",
        policy("apiV", "▸apiV").replace("kind: MeshRetry\n", ""),
    ),
    (
        "MESH011 kind: must be set, for example to MeshRetry",
        policy("kind: MeshRetry", "▸kind: 5"),
    ),
    *[
        (f"MESH009 kind: not supported yet: {kind} in Kubernetes form", policy("kind: MeshRetry", f"▸kind: {kind}"))
        for kind in ("Dataplane", "MeshAccessLog", "HealthCheck")
    ],
    ("MESH008 kind: unknown kind 'MeshRety'; did you mean 'MeshRetry'?", policy("kind: MeshRetry", "▸kind: MeshRety")),
    (
        "MESH009 kind: not supported yet: Service in Kubernetes form",
        service("v1\nkind", "serving.knative.dev/v1\n▸kind"),
    ),
    ("MESH009 kind: not supported yet: List in Kubernetes form", "apiVersion: v1\n▸kind: List\nitems: []\n"),
    (
        "MESH009 apiVersion: not supported: MeshRetry of this version; did you mean 'kuma.io/v1alpha1'?",
        policy("apiVersion: kuma.io/v1alpha1", "▸apiVersion: kuma.io/v1alpha2"),
    ),
    (
        "MESH009 apiVersion: not supported: MeshRetry of this version",
        policy("apiVersion: kuma.io/v1alpha1", "▸apiVersion: v1"),
    ),
    ("MESH011 apiVersion: must be set", policy("apiVersion: kuma.io/v1alpha1\nkind", "▸kind")),
    ("MESH012 apiVersion: must be a string, not a number", policy("apiVersion: kuma.io/v1alpha1", "▸apiVersion: 1")),
    ("MESH011 metadata: must be set", "▸apiVersion: kuma.io/v1alpha1\nkind: MeshRetry\nspec: {}\n"),
    ("MESH012 metadata: must be a mapping, not null", "apiVersion: kuma.io/v1alpha1\nkind: MeshRetry\n▸metadata:\n"),
    ("MESH011 metadata.name: must be set", policy("metadata:\n  name: a\n", "▸metadata:\n")),
    ("MESH012 metadata.name: must be a string, not a number", policy("name: a\n", "▸name: 1\n")),
    ("MESH023 metadata.name: must not be empty", policy("name: a\n", "▸name: ''\n")),
    ("MESH023 metadata.name: must consist of a-z, 0-9, '-' and '.'", policy("name: a\n", "▸name: a_b\n")),
    ("MESH010 metadata.nmaespace: unknown field; did you mean 'namespace'?", policy("namespace", "▸nmaespace")),
    ("MESH010 metadata.mesh: unknown field", policy("  name: a\n", "  name: a\n  ▸mesh: default\n")),
    # Where kinds of the older sort have it.
    ("MESH010 mesh: unknown field", policy("metadata:", "▸mesh: default\nmetadata:")),
    ("MESH010 type: unknown field", policy("metadata:", "▸type: MeshRetry\nmetadata:")),
    ("MESH010 specs: unknown field; did you mean 'spec'?", policy("spec:", "status: {}\n▸specs: {}\nspec:")),
    *[
        (
            "MESH029 metadata.namespace: must be kuma-system or kong-mesh-system, where the control plane runs",
            policy("namespace: kuma-system", f"▸namespace: {namespace}"),
        )
        for namespace in ("default", "kuma-demo", "Kuma-System", "''")
    ],
    ("MESH012 metadata.namespace: must be a string, not null", policy("namespace: kuma-system", "▸namespace: null")),
    (
        "MESH012 metadata.labels: must be a mapping, not a list",
        policy("labels: {kuma.io/mesh: default}", "▸labels: []"),
    ),
    ("MESH012 metadata.labels.a: must be a string, not a number", policy("{kuma.io/mesh: default}", "{▸a: 1}")),
    ("MESH027 metadata.labels.team: must be up to 63 letters", policy("{kuma.io/mesh: default}", "{▸team: a b}")),
    (
        'MESH027 metadata.labels["kuma.io/origin"]: must be global or zone',
        policy("{kuma.io/mesh: default}", "{▸kuma.io/origin: local}"),
    ),
    (f"MESH011 {MESH_LABEL}: must name the mesh", policy("kuma.io/mesh: default", "▸kuma.io/mesh: ''")),
    (f"MESH023 {MESH_LABEL}: must consist of a-z", policy("kuma.io/mesh: default", "▸kuma.io/mesh: Default")),
    (f"MESH031 {MESH_LABEL}: there is no Mesh 'east'", policy("kuma.io/mesh: default", "▸kuma.io/mesh: east")),
    (
        "MESH011 spec.targetRef.kind: must be set",
        "▸" + POLICY[: POLICY.index("spec")].replace("MeshRetry", "MeshHealthCheck"),
    ),
    ("MESH012 spec: must be a mapping, not null", POLICY[: POLICY.index("spec")] + "▸spec:\n"),
    ("MESH012 spec.to: must be a list, not a mapping", POLICY[: POLICY.index("  to:")] + "  ▸to: {}\n"),
    ("MESH012 spec.to[0]: must be a mapping, not null", POLICY[: POLICY.index("  to:")] + "  to: [▸null]\n"),
    (
        "MESH013 spec.targetRef.kind: must be one of",
        policy("targetRef: {kind: Mesh}\n  to", "targetRef: {▸kind: X}\n  to"),
    ),
    ("MESH015 spec.to: must have at least one item", POLICY[: POLICY.index("  to:")].replace("spec", "▸spec")),
    (f"MESH012 {CONF}.tcp: must be a mapping, not a list", policy("tcp: {maxConnectAttempt: 3}", "▸tcp: []")),
    (f"MESH021 {CONF}.tcp.maxConnectAttempt: must be", policy("maxConnectAttempt: 3", "▸maxConnectAttempt: -1")),
    (f"MESH010 {CONF}.tcp.maxconnectattempt: unknown", policy("{maxConnect", "{▸maxconnectattempt: 3, maxConnect")),
    (
        f"MESH022 {CONF}.http.backOff.maxInterval: is not a duration",
        policy("tcp: {maxConnectAttempt: 3}", "http: {backOff: {▸maxInterval: 1 s}}"),
    ),
    (
        f"MESH211 {CONF}.http.retryOn[1]: unknown condition '5xxx'; did you mean '5xx'?",
        policy("tcp: {maxConnectAttempt: 3}", "http: {retryOn: [5xx, ▸5xxx]}"),
    ),
    # What the API server writes in makes no section, and no section right.
    (
        "MESH201 spec.to[0].default: must have at least one of http, tcp, grpc",
        policy("default: {tcp: {maxConnectAttempt: 3}}", "▸default: {}").replace("MeshRetry", "MeshHealthCheck"),
    ),
    (
        f"MESH210 {CONF}.http: must have at least one field",
        policy("tcp: {maxConnectAttempt: 3}", "▸http: {}"),
    ),
    (
        "MESH030 name: this MeshRetry is also in mesh.yaml:4:3",
        documents(POLICY, UNIVERSAL.replace("name: a", "▸name: a")),
    ),
    (
        "MESH030 metadata.name: this MeshRetry is also in mesh.yaml:3:1",
        documents(UNIVERSAL, POLICY.replace("name: a", "▸name: a")),
    ),
    (
        "MESH030 metadata.name: this MeshRetry is also in mesh.yaml:4:3",
        documents(POLICY, POLICY.replace("name: a", "▸name: a").replace("kuma-system", "kong-mesh-system")),
    ),
    # Services.
    ("MESH011 metadata.name: must be set", service("metadata:\n  name: backend\n", "▸metadata:\n")),
    ("MESH010 metadata.anotations: unknown field; did you mean 'annotations'?", service("annotations", "▸anotations")),
    ("MESH012 metadata.annotations: must be a mapping, not null", service("annotations: {}", "▸annotations:")),
    ("MESH012 spec: must be a mapping, not null", SERVICE[: SERVICE.index("spec")] + "▸spec:\n"),
    ("MESH012 spec.ports: must be a list, not null", SERVICE[: SERVICE.index("  ports")] + "  ▸ports:\n"),
    ("MESH010 spec.port: unknown field; did you mean 'ports'?", service("  ports:", "  ▸port: 1\n  ports:")),
    ("MESH011 spec.ports[0].port: must be set", service("{port: 8080}", "▸{appProtocol: http}")),
    ("MESH012 spec.ports[0].port: must be a whole number, not a string", service("port: 8080", "▸port: '8080'")),
    ("MESH021 spec.ports[0].port: must be greater than zero", service("port: 8080", "▸port: 0")),
    ("MESH021 spec.ports[0].port: must be between 1 and 65535", service("port: 8080", "▸port: 65536")),
    ("MESH012 spec.ports[0].appProtocol: must be a string, not null", service("8080}", "8080, ▸appProtocol: null}")),
    (
        "MESH010 spec.ports[0].appprotocol: unknown field; did you mean 'appProtocol'?",
        service("8080}", "8080, ▸appprotocol: http}"),
    ),
    *[
        (
            f"MESH013 {ANNOTATION}: must be one of grpc, http, http2, kafka, tcp{hint}",
            service("{}", f"{{▸8080.service.kuma.io/protocol: {written}}}").replace("8080}", f"8080{more}}}"),
        )
        for written, hint in [("htpp", "; did you mean 'http'?"), ("redis", ""), ("''", "")]
        for more in ("", ", appProtocol: http")
    ],
    (
        "MESH030 metadata.name: this Service is also in mesh.yaml:4:3",
        documents(SERVICE, SERVICE.replace("name: backend", "▸name: backend")),
    ),
]


@pytest.mark.parametrize(("finding", "text"), FINDINGS)
def test_one_mistake_one_finding(load_files: Load, finding: str, text: str) -> None:
    [found] = load_files({"mesh.yaml": text.replace(MARK, "")}).findings

    assert str(found).startswith(f"mesh.yaml:{place_of(text)}: {finding}")


def test_findings_name_the_resource_as_kubernetes_does(load_files: Load) -> None:
    [finding] = load_files({"a.yaml": policy("namespace: kuma-system", "namespace: x")}).findings

    assert (finding.kind, finding.name, finding.path) == ("MeshRetry", "a", "metadata.namespace")


def test_what_came_from_variables_has_the_same_paths_and_no_lines() -> None:
    retry = kubernetes("MeshRetry", "a", spec(({"tcp": {"maxConnectAttempt": -1}}, None)), {"kuma.io/mesh": "A"})
    hint = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": "x"}]}}
    values = [api.document(value, "the variable mesh_source") for value in (retry, hint)]

    assert [str(finding) for finding in api.load(documents=values).findings] == [
        f"the variable mesh_source: MESH023 {MESH_LABEL}: must consist of a-z, 0-9, '-', '_' and '.'",
        "the variable mesh_source: MESH012 spec.ports[0].port: must be a whole number, not a string",
        "the variable mesh_source: MESH021 spec.to[0].default.tcp.maxConnectAttempt: must be between 0 and 2147483647",
    ]


SERVER_SIDE = """\
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: |
      {"apiVersion":"kuma.io/v1alpha1","kind":"MeshRetry"}
  creationTimestamp: "2024-05-06T07:08:09Z"
  deletionGracePeriodSeconds: null
  deletionTimestamp: null
  finalizers: [example.com/keep]
  generateName: a-
  generation: 2
  managedFields:
  - {apiVersion: kuma.io/v1alpha1, fieldsType: FieldsV1, fieldsV1: {"f:spec": {}}, manager: kubectl, operation: Update}
  ownerReferences: [{apiVersion: v1, kind: Secret, name: owner, uid: 1b7d}]
  resourceVersion: "1234"
  selfLink: /apis/kuma.io/v1alpha1/namespaces/kuma-system/meshretries/a
  uid: 4f0c8b0e-0000-4000-8000-000000000000
"""
SERVED = """\
  allocateLoadBalancerNodePorts: true
  clusterIP: 10.0.0.7
  clusterIPs: [10.0.0.7]
  externalIPs: [192.0.2.9]
  externalName: backend.example.com
  externalTrafficPolicy: Local
  healthCheckNodePort: 30000
  internalTrafficPolicy: Cluster
  ipFamilies: [IPv4]
  ipFamilyPolicy: SingleStack
  loadBalancerClass: example.com/class
  loadBalancerIP: 192.0.2.9
  loadBalancerSourceRanges: [192.0.2.0/24]
  publishNotReadyAddresses: false
  selector: {app: backend}
  sessionAffinity: None
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 1}}
  trafficDistribution: PreferClose
  type: LoadBalancer
"""


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(POLICY, id="policy"),
        pytest.param(
            policy("  namespace: kuma-system\n", "").replace("  labels: {kuma.io/mesh: default}\n", ""), id="short"
        ),
        pytest.param(policy("spec:", f"{SERVER_SIDE}status: {{}}\nspec:"), id="policy as the API server shows it"),
        pytest.param(SERVICE, id="a Service without hints"),
        pytest.param(SERVICE[: SERVICE.index("spec")], id="a Service without a spec"),
        pytest.param(
            service("  annotations: {}\n", SERVER_SIDE).replace(
                "spec:\n", f"status: {{loadBalancer: {{}}}}\nspec:\n{SERVED}"
            ),
            id="a Service as the API server shows it",
        ),
        pytest.param(
            service("{port: 8080}", "{name: web, nodePort: 30001, port: 8080, protocol: TCP, targetPort: http}"),
            id="a port with everything",
        ),
        pytest.param(service("{}", "{prometheus.io/port: '8080', kuma.io/protocol: x}"), id="other annotations"),
        pytest.param(documents(SERVICE, service("demo", "other")), id="one name in two namespaces"),
        pytest.param(
            documents(
                POLICY,
                UNIVERSAL.replace("MeshRetry", "MeshHealthCheck").replace("{tcp: {maxConnectAttempt: 3}}", "{tcp: {}}"),
            ),
            id="one name for two kinds, in two forms",
        ),
        pytest.param(
            documents(SERVICE, POLICY.replace("name: a", "name: backend")), id="a Service and a policy of one name"
        ),
    ],
)
def test_no_finding(load_files: Load, text: str) -> None:
    assert [str(finding) for finding in load_files({"mesh.yaml": text}).findings] == []


# --- Services as hints about protocols --------------------------------------------------------------------------------

NAME = "backend_demo_svc_8080"


def hinting(
    *ports: Resource, annotations: dict[str, str] | None = None, name: str = "backend", namespace: str | None = "demo"
) -> Resource:
    metadata: Resource = {"name": name, "annotations": annotations or {}}
    metadata |= {} if namespace is None else {"namespace": namespace}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": list(ports)}}


def annotated(protocol: str, port: int = 8080) -> dict[str, str]:
    return {f"{port}.service.kuma.io/protocol": protocol}


def mesh(*tags: Resource) -> list[Resource]:
    """A consumer of all services that a second dataplane offers with these tags."""
    return [
        dataplane(
            "web-1", [{"kuma.io/service": "web", "kuma.io/protocol": "tcp"}], [one["kuma.io/service"] for one in tags]
        ),
        dataplane("backend-1", tags, []),
    ]


SILENT = {"kuma.io/service": NAME}
OTHER = "MESH058 spec.ports[0].appProtocol: "
NO_PORT = "has no effect: the Service has no such TCP port"


@pytest.mark.parametrize(
    ("hint", "protocol", "findings"),
    [
        (hinting({"port": 8080, "appProtocol": "http"}), "http", []),
        (hinting({"port": 8080, "appProtocol": "HTTP2"}), "http2", []),
        (hinting({"port": 8080}, annotations=annotated("grpc")), "grpc", []),
        (hinting({"port": 8080}, annotations=annotated("Grpc")), "grpc", []),
        (hinting({"port": 8080, "appProtocol": "tcp"}), "tcp", []),
        (hinting({"port": 8080}), "tcp", []),
        (hinting({"port": 8080, "appProtocol": "http"}, annotations=annotated("HTTP")), "http", []),
        (
            hinting({"port": 8080, "appProtocol": "Http"}, annotations=annotated("tcp")),
            "http",
            [f"MESH036 {ANNOTATION}: says tcp, but the port's appProtocol says Http, which counts"],
        ),
        (
            hinting({"port": 8080, "appProtocol": "tcp"}, annotations=annotated("http")),
            "tcp",
            [f"MESH036 {ANNOTATION}: says http, but the port's appProtocol says tcp, which counts"],
        ),
        (
            hinting({"port": 8080, "appProtocol": "kubernetes.io/h2c"}),
            "tcp",
            [f"{OTHER}'kubernetes.io/h2c' is no protocol of the mesh, tcp is used"],
        ),
        (
            hinting({"port": 8080, "appProtocol": "htpp"}),
            "tcp",
            [f"{OTHER}'htpp' is no protocol of the mesh; did you mean 'http'? tcp is used"],
        ),
        (
            hinting({"port": 8080, "appProtocol": "redis"}, annotations=annotated("HTTP")),
            "http",
            [f"{OTHER}'redis' is no protocol of the mesh, the annotation's HTTP is used"],
        ),
        (hinting({"port": 8080, "appProtocol": ""}), "tcp", [f"{OTHER}'' is no protocol of the mesh, tcp is used"]),
        (
            hinting({"port": 8080}, annotations=annotated("http", 80)),
            "tcp",
            [f"MESH054 {ANNOTATION.replace('8080', '80')}: {NO_PORT}"],
        ),
        (
            hinting({"port": 8080, "name": "web"}, annotations={"web.service.kuma.io/protocol": "http"}),
            "tcp",
            [f"MESH054 {ANNOTATION.replace('8080', 'web')}: {NO_PORT}"],
        ),
        # The mesh has no ports but those of TCP.
        (
            hinting({"port": 8080, "appProtocol": "http"}, {"port": 8080, "appProtocol": "grpc", "protocol": "UDP"}),
            "http",
            [],
        ),
        (hinting({"port": 8080, "appProtocol": "http", "protocol": "UDP"}), "tcp", []),
        # Other Services have other names in the mesh.
        *[
            (other, "tcp", [f"MESH059 spec.ports[0].appProtocol: nobody offers the service '{name}'"])
            for other, name in [
                (hinting({"port": 8080, "appProtocol": "http"}, name="back"), "back_demo_svc_8080"),
                (hinting({"port": 8080, "appProtocol": "http"}, namespace="mode"), "backend_mode_svc_8080"),
                (hinting({"port": 8080, "appProtocol": "http"}, namespace=None), "backend_default_svc_8080"),
                (hinting({"port": 80, "appProtocol": "http", "targetPort": 8080}), "backend_demo_svc_80"),
            ]
        ],
    ],
)
def test_hint(load_resources: Load, hint: Resource, protocol: str, findings: list[str]) -> None:
    universe = load_resources(*mesh(SILENT), hint)

    assert universe.indexes["default"].services[NAME].protocol.value == protocol
    assert [f"{one.code} {one.path}: {one.message}" for one in universe.findings] == findings


def test_a_hint_is_as_good_as_a_tag(load_resources: Load) -> None:
    tags = {"kuma.io/service": NAME, "version": "v1"}
    hint = hinting({"port": 8080, "appProtocol": "HTTP"})
    retry = universal("MeshRetry", "a", spec(({"http": {"numRetries": 3}}, None)))
    # Tags select proxies, also the one that the hint makes.
    ref = {"kind": "MeshSubset", "tags": {"kuma.io/protocol": "http"}}
    check = universal("MeshHealthCheck", "a", {**spec(({"http": {}}, None)), "targetRef": ref})
    rest = [retry, check]

    hinted = load_resources(*mesh(tags), hint, *rest)
    tagged = load_resources(*mesh({**tags, "kuma.io/protocol": "http"}), *rest)
    silent = load_resources(*mesh(tags), *rest)
    for dataplane_id in tagged.dataplanes:
        assert api.compile_release(hinted, dataplane_id).document == api.compile_release(tagged, dataplane_id).document
        assert api.compile_release(silent, dataplane_id).document != api.compile_release(tagged, dataplane_id).document


def test_a_hint_is_for_proxies_that_offer_and_that_consume(load_resources: Load) -> None:
    universe = load_resources(*mesh(SILENT), hinting({"port": 8080, "appProtocol": "grpc"}))
    offering = api.compile_proxy(universe, api.DataplaneId("default", "backend-1"))
    consuming = api.compile_proxy(universe, WEB)

    for listener in (
        offering[type_urls.LISTENER]["inbound:192.0.2.1:80"],
        consuming[type_urls.LISTENER]["outbound:127.0.0.1:10001"],
    ):
        assert "envoy.filters.http.grpc_stats" in json.dumps(listener)
    assert "http2ProtocolOptions" in json.dumps(consuming[type_urls.CLUSTER][NAME])
    [locality] = consuming[type_urls.CLUSTER_LOAD_ASSIGNMENT][NAME]["endpoints"]
    [endpoint] = locality["lbEndpoints"]
    assert endpoint["metadata"]["filterMetadata"]["envoy.lb"]["kuma.io/protocol"] == "grpc"


def test_each_port_has_its_own_hint(load_resources: Load) -> None:
    names = {port: f"backend_demo_svc_{port}" for port in (80, 81, 82, 83)}
    universe = load_resources(
        *mesh(*({"kuma.io/service": name} for name in names.values())),
        hinting(
            {"port": 80, "name": "web", "appProtocol": "http"},
            {"port": 81, "name": "calls"},
            {"port": 82, "name": "bytes"},
            {"port": 83, "name": "more", "appProtocol": "http2"},
            annotations=annotated("grpc", 81),
        ),
    )

    services = universe.indexes["default"].services
    assert {port: services[name].protocol.value for port, name in names.items()} == {
        80: "http",
        81: "grpc",
        82: "tcp",
        83: "http2",
    }
    assert universe.findings == ()


def test_the_namespace_is_default_where_none_is_named(load_resources: Load) -> None:
    name = "backend_default_svc_8080"
    hint = hinting({"port": 8080, "appProtocol": "http"}, namespace=None)
    universe = load_resources(*mesh({"kuma.io/service": name}), hint)

    assert universe.indexes["default"].services[name].protocol.value == "http"


def test_hints_are_for_all_meshes(load_resources: Load) -> None:
    east = [resource | {"mesh": "east"} for resource in mesh(SILENT)]
    described = {"type": "Mesh", "name": "east", "skipCreatingInitialPolicies": ["*"]}
    hint = hinting({"port": 8080, "appProtocol": "http"})
    universe = load_resources(described, *mesh(SILENT), *east, hint)

    assert {index.services[NAME].protocol.value for index in universe.indexes.values()} == {"http"}
    assert universe.findings == ()


def test_hints_alone_make_no_mesh(load_resources: Load) -> None:
    assert load_resources(hinting({"port": 8080})).indexes == {}


TAGGED = f"""\
type: Dataplane
mesh: default
name: backend-1
networking:
  address: 192.0.2.2
  inbound:
  - {{port: 80, serviceAddress: 127.0.0.1, tags: {{kuma.io/service: {NAME}, ▸kuma.io/protocol: HTTP}}}}
"""
TAG = 'networking.inbound[0].tags["kuma.io/protocol"]'


@pytest.mark.parametrize(
    ("file", "hint", "counts"),
    [
        ("a.yaml", service("8080}", "8080, appProtocol: tcp}"), "the Service in a.yaml:9:18 says tcp"),
        (
            "z.yaml",
            service("{}", "{8080.service.kuma.io/protocol: Grpc}"),
            "the Service in z.yaml:6:17 says grpc",
        ),
        ("a.yaml", service("8080}", "8080, appProtocol: http}"), None),
        ("a.yaml", service("8080}", "80, appProtocol: tcp}").replace("name: backend", "name: other"), None),
        ("a.yaml", SERVICE, None),
    ],
)
def test_the_tag_of_a_dataplane_counts_more_than_a_hint(
    load_files: Load, file: str, hint: str, counts: str | None
) -> None:
    universe = load_files({"dataplane.yaml": TAGGED.replace(MARK, ""), file: hint})

    assert universe.indexes["default"].services[NAME].protocol.value == "http"
    assert [str(finding) for finding in universe.findings if finding.code == "MESH036"] == (
        []
        if counts is None
        else [f"dataplane.yaml:{place_of(TAGGED)}: warning: MESH036 {TAG}: says HTTP, which counts, but {counts}"]
    )


def test_endpoints_disagree_where_only_some_are_tagged(load_resources: Load) -> None:
    second = dataplane("backend-2", [{**SILENT, "kuma.io/protocol": "tcp"}], [])
    universe = load_resources(*mesh(SILENT), second, hinting({"port": 8080, "appProtocol": "http"}))

    assert [str(finding) for finding in universe.findings] == [
        f"mesh: warning: MESH036 {TAG}: says tcp, which counts, but the Service in mesh says http",
        f"mesh: warning: MESH037 {TAG}: '{NAME}' speaks http on backend-1 and tcp on backend-2: tcp to the mesh",
    ]


def test_what_nobody_offers_is_a_notice_at_the_hint(load_files: Load) -> None:
    text = service("8080}", "8080, ▸appProtocol: http}")
    universe = load_files(
        {"dataplane.yaml": TAGGED.replace(MARK, "").replace("8080", "8081"), "service.yaml": text.replace(MARK, "")}
    )

    assert [str(finding) for finding in universe.findings] == [
        f"service.yaml:{place_of(text)}: notice: MESH059 spec.ports[0].appProtocol: nobody offers the service '{NAME}'"
    ]


def test_a_kafka_service_by_hint_is_told_of_where_the_tag_would_be(load_files: Load) -> None:
    silent = TAGGED.replace(", ▸kuma.io/protocol: HTTP", "").replace("tags", "▸tags")
    hint = service("8080}", "8080, appProtocol: kafka}")
    universe = load_files({"dataplane.yaml": silent.replace(MARK, ""), "service.yaml": hint})

    [finding] = universe.findings
    assert str(finding).startswith(f"dataplane.yaml:{place_of(silent)}: notice: MESH053 {TAG}: ")


# --- all of it in one directory ---------------------------------------------------------------------------------------


def test_a_directory_may_mix_forms(load_files: Load) -> None:
    hint = hinting({"port": 8080, "appProtocol": "http"})
    check = kubernetes("MeshHealthCheck", "checks", spec(({"http": {}}, NAME)))
    load_files(
        {
            "mesh/mesh.yaml": "type: Mesh\nname: default\nskipCreatingInitialPolicies: ['*']\n",
            "mesh/dataplanes.yaml": documents(*(json.dumps(one) + "\n" for one in mesh(SILENT))),
            "mesh/exported/checks.json": json.dumps(check),
            "mesh/exported/mixed.yaml": documents(
                json.dumps(hint) + "\n", policy("{tcp: {maxConnectAttempt: 3}}", "{http: {numRetries: 2}}")
            ),
            "mesh/retry.yaml": UNIVERSAL.replace("name: a", "name: b").replace(
                "tcp: {maxConnectAttempt: 3}", "http: {numRetries: 3}"
            ),
        }
    )

    universe = api.load(paths=["mesh"])
    assert [str(finding) for finding in universe.findings] == []
    assert api.matched_policies(universe, WEB) == [
        {"kind": "MeshHealthCheck", "name": "checks", "file": "mesh/exported/checks.json"},
        {"kind": "MeshRetry", "name": "b", "file": "mesh/retry.yaml"},
        {"kind": "MeshRetry", "name": "a", "file": "mesh/exported/mixed.yaml"},
    ]
    assert api.retry_policy(universe, WEB, NAME)["numRetries"] == 2
    [check_made] = api.health_checks(universe, WEB, NAME)
    assert (check_made["interval"], check_made["httpHealthCheck"]["path"]) == ("60s", "/")
