# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases: what is in the document, and that its digests and its id are what they claim to be."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.envoy import type_urls

Load = Callable[..., api.Universe]
Resource = dict[str, Any]

WEB_1 = api.DataplaneId("default", "web-1")
WEB_2 = api.DataplaneId("default", "web-2")
LONG_SERVICE = "s" * 220


def sidecar(name: str, address: str, service: str, protocol: str = "http", **networking: Any) -> Resource:
    tags = {"kuma.io/service": service, "kuma.io/protocol": protocol}
    inbound = {"port": 80, "servicePort": 8080, "serviceAddress": "127.0.0.1", "tags": tags}
    return {
        "type": "Dataplane",
        "mesh": "default",
        "name": name,
        "networking": {"address": address, "inbound": [inbound], **networking},
    }


def health_check(name: str, target: Resource, conf: Resource) -> Resource:
    spec = {"targetRef": {"kind": "Mesh"}, "to": [{"targetRef": target, "default": conf}]}
    return {"type": "MeshHealthCheck", "mesh": "default", "name": name, "spec": spec}


OUTBOUNDS = [
    {"port": 10001, "tags": {"kuma.io/service": "backend"}},
    {"port": 10002, "tags": {"kuma.io/service": "backend", "kuma.io/protocol": "http"}},
    {"port": 10003, "tags": {"kuma.io/service": "database"}},
    {"port": 10004, "tags": {"kuma.io/service": LONG_SERVICE}},
]
BACKEND = sidecar("backend-1", "192.0.2.11", "backend")
MESH = (
    sidecar("web-1", "192.0.2.1", "web", outbound=OUTBOUNDS),
    sidecar("web-2", "192.0.2.2", "web", outbound=OUTBOUNDS, admin={"port": 9901}),
    BACKEND,
    sidecar("database-1", "192.0.2.21", "database", "tcp"),
    sidecar("long-1", "192.0.2.31", LONG_SERVICE, "grpc"),
    health_check("general", {"kind": "Mesh"}, {"interval": "10s", "tcp": {}}),
    health_check("for-backend", {"kind": "MeshService", "name": "backend"}, {"interval": "5s", "http": {}}),
)


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def digest(value: object) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()


def document_of(universe: api.Universe, dataplane: api.DataplaneId = WEB_1, **options: Any) -> Resource:
    document: Resource = json.loads(api.compile_release(universe, dataplane, **options).document)
    return document


def test_digests_and_id_are_those_of_the_content(load_resources: Load) -> None:
    release = api.compile_release(load_resources(*MESH), WEB_1)
    document = json.loads(release.document)

    for name, content in document["files"].items():
        unversioned = {member: value for member, value in content.items() if member != "versionInfo"}
        assert document["digests"][name] == digest(unversioned), name
        assert content.get("versionInfo") == (None if name == "bootstrap" else document["digests"][name])
    lines = [f"{name} {document['digests'][name]}" for name in sorted(document["files"])]
    assert document["id"] == hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]
    assert (release.id, release.digests) == (document["id"], document["digests"])


def test_the_document_is_canonical_json_with_one_resource_a_line(load_resources: Load) -> None:
    text = api.compile_release(load_resources(*MESH), WEB_1, revision='v1 "\u00e4"').document
    document = json.loads(text)

    assert text.replace(b"\n", b"") == canonical(document)
    assert text.endswith(b"}\n")
    lines = {line.removesuffix(b",") for line in text.split(b"\n")}
    resources = [resource for file in document["files"].values() for resource in file.get("resources", ())]
    assert len(resources) > 10
    assert not [resource for resource in resources if canonical(resource) not in lines]
    digests = [f'"{name}":"{sha256}"'.encode() for name, sha256 in document["digests"].items()]
    assert not [line for line in digests if line not in lines]


def test_the_frame_of_the_document(load_resources: Load) -> None:
    document = document_of(load_resources(*MESH))
    long_file = next(name for name in document["files"] if name.startswith("eds/sss"))

    assert {key: document[key] for key in ("dataplane", "format", "mesh", "revision")} == {
        "dataplane": "web-1",
        "format": 1,
        "mesh": "default",
        "revision": None,
    }
    assert set(document["digests"]) == set(document["files"])
    assert sorted(document["files"]) == sorted(
        [
            "bootstrap",
            "cds",
            "lds",
            "eds/backend",
            f"eds/{subset_cluster(document)}",
            "eds/database",
            long_file,
            "rds/inbound:192.0.2.1:80",
            "rds/outbound:127.0.0.1:10001",
            "rds/outbound:127.0.0.1:10002",
            "rds/outbound:127.0.0.1:10004",
        ]
    )
    assert len(long_file.removeprefix("eds/")) == 200


def subset_cluster(document: Resource) -> str:
    [name] = [one["name"] for one in document["files"]["cds"]["resources"] if one["name"].startswith("backend-")]
    return name


@pytest.mark.parametrize("root", ["/etc/envoy/mesh", '/srv/"mesh" \u00e4'])
def test_put_together_again_the_files_are_the_resources_of_the_proxy(load_resources: Load, root: str) -> None:
    universe, target = load_resources(*MESH), api.Target(root=root)
    files = document_of(universe, target=target)["files"]
    resources = {
        type_url: {} for type_url in (type_urls.CLUSTER, type_urls.CLUSTER_LOAD_ASSIGNMENT, type_urls.LISTENER)
    }
    used = {"bootstrap", "cds", "lds"}

    def taken_from(source: Resource) -> list[Resource]:
        """The resources of the file that a config source names."""
        path = source["pathConfigSource"]["path"]
        assert source == {"resourceApiVersion": "V3", "pathConfigSource": {"path": path}}
        name = path.removeprefix(f"{root}/live/").removesuffix(".json")
        used.add(name)
        return copy.deepcopy(files[name]["resources"])

    for cluster in files["cds"]["resources"]:
        if "edsClusterConfig" in cluster:
            [endpoints] = taken_from(cluster["edsClusterConfig"]["edsConfig"])
            cluster["edsClusterConfig"]["edsConfig"] = {"ads": {}, "resourceApiVersion": "V3"}
            assert endpoints.pop("@type") == type_urls.CLUSTER_LOAD_ASSIGNMENT
            assert endpoints["clusterName"] == cluster["name"]
            resources[type_urls.CLUSTER_LOAD_ASSIGNMENT][cluster["name"]] = endpoints
        assert cluster.pop("@type") == type_urls.CLUSTER
        resources[type_urls.CLUSTER][cluster["name"]] = cluster
    for listener in files["lds"]["resources"]:
        for network_filter in listener["filterChains"][0]["filters"]:
            config = network_filter["typedConfig"]
            if "rds" in config:
                rds = config.pop("rds")
                [route] = taken_from(rds["configSource"])
                assert route.pop("@type") == type_urls.ROUTE_CONFIGURATION
                assert route["name"] == rds["routeConfigName"]
                config["routeConfig"] = route
        assert listener.pop("@type") == type_urls.LISTENER
        resources[type_urls.LISTENER][listener["name"]] = listener

    assert resources == api.compile_proxy(universe, WEB_1, target)
    assert used == set(files)


def test_the_bootstrap_leads_to_the_files_and_keeps_admin_to_its_owner(load_resources: Load) -> None:
    bootstrap = document_of(load_resources(*MESH), target=api.Target(root="/srv/mesh"))["files"]["bootstrap"]

    assert bootstrap["node"] == {"id": "default.web-1", "cluster": "web"}
    assert bootstrap["admin"] == {"address": {"pipe": {"path": "/srv/mesh/run/admin.sock", "mode": 0o600}}}
    for name in ("cds", "lds"):
        assert bootstrap["dynamicResources"][f"{name}Config"] == {
            "resourceApiVersion": "V3",
            "initialFetchTimeout": "0s",
            "pathConfigSource": {"path": f"/srv/mesh/live/{name}.json", "watchedDirectory": {"path": "/srv/mesh/live"}},
        }
    assert "staticResources" not in bootstrap


def test_an_admin_port_is_a_way_to_the_socket_on_loopback(load_resources: Load) -> None:
    static = document_of(load_resources(*MESH), WEB_2)["files"]["bootstrap"]["staticResources"]
    [listener], [cluster] = static["listeners"], static["clusters"]
    [[proxy]] = [chain["filters"] for chain in listener["filterChains"]]
    [[endpoint]] = [group["lbEndpoints"] for group in cluster["loadAssignment"]["endpoints"]]

    assert listener["address"] == {"socketAddress": {"address": "127.0.0.1", "portValue": 9901}}
    assert proxy["typedConfig"]["cluster"] == cluster["name"]
    assert endpoint["endpoint"]["address"] == {"pipe": {"path": "/etc/envoy/mesh/run/admin.sock"}}


def test_origins_name_the_policies_that_made_a_resource(load_resources: Load) -> None:
    document = document_of(load_resources(*MESH))

    def origin(name: str) -> Resource:
        return {"kind": "MeshHealthCheck", "name": name, "file": "mesh", "path": "spec.to[0].default"}

    # All that `for-backend` says is overridden or added to by `general`, whose name is the larger one.
    both = [origin("for-backend"), origin("general")]
    assert document["origins"] == {
        "cluster/backend": both,
        f"cluster/{subset_cluster(document)}": both,
        "cluster/database": [origin("general")],
        f"cluster/{LONG_SERVICE}": [origin("general")],
    }


def test_what_is_outside_the_id(load_resources: Load) -> None:
    renamed = [
        {**one, "name": f"x-{one['name']}"} if one["type"] == "MeshHealthCheck" else one for one in copy.deepcopy(MESH)
    ]
    one, other = load_resources(*MESH), load_resources(*renamed)
    release = api.compile_release(one, WEB_1)

    assert api.compile_release(one, WEB_1, revision="v2").id == release.id
    assert document_of(one, revision="v2")["revision"] == "v2"
    assert api.compile_release(other, WEB_1).id == release.id
    assert api.compile_release(other, WEB_1).document != release.document


def changed(before: api.Release, after: api.Release) -> set[str]:
    return {name for name, _digest in set(before.digests.items()) ^ set(after.digests.items())}


def test_a_change_of_endpoints_changes_their_files_only(load_resources: Load) -> None:
    before, after = load_resources(*MESH), load_resources(*MESH, sidecar("backend-2", "192.0.2.12", "backend"))
    subset = subset_cluster(document_of(before))

    assert changed(api.compile_release(before, WEB_1), api.compile_release(after, WEB_1)) == {
        "eds/backend",
        f"eds/{subset}",
    }


def test_a_change_of_a_policy_changes_clusters_only(load_resources: Load) -> None:
    before = load_resources(*MESH)
    after = load_resources(
        *MESH, health_check("a", {"kind": "MeshService", "name": "backend"}, {"timeout": "1s", "tcp": {}})
    )

    assert changed(api.compile_release(before, WEB_1), api.compile_release(after, WEB_1)) == {"cds"}


def test_dataplanes_that_differ_in_their_tags_share_all_but_what_names_them(load_resources: Load) -> None:
    other = copy.deepcopy(MESH[0])
    other["name"] = "web-3"
    other["networking"]["inbound"][0]["tags"]["version"] = "v2"
    universe = load_resources(*MESH, other)
    one = api.compile_release(universe, WEB_1).document
    another = api.compile_release(universe, api.DataplaneId("default", "web-3")).document
    tags = (
        b"&kuma.io/protocol=http&&kuma.io/service=web&&kuma.io/zone=default&",
        b"&kuma.io/protocol=http&&kuma.io/service=web&&kuma.io/zone=default&&version=v2&",
    )

    assert tags[0] + b'"' in one
    lines, others = set(one.split(b"\n")), set(another.replace(tags[1], tags[0]).split(b"\n"))
    resources = [line for line in lines ^ others if line.startswith(b'{"@type"')]
    assert resources
    assert not [line for line in resources if b"inbound:192.0.2.1:80" not in line]


@pytest.mark.parametrize("target", [api.Target(), api.Target(root="/srv/mesh", envoy_has_kafka=True)])
def test_no_token_is_left_over(load_resources: Load, target: api.Target) -> None:
    universe = load_resources(*MESH)

    for dataplane in universe.dataplanes:
        assert b"\\u0001" not in api.compile_release(universe, dataplane, target).document
        assert "\\u0001" not in json.dumps(api.compile_proxy(universe, dataplane, target))
        assert "\\u0001" not in json.dumps(api.health_checks(universe, dataplane, "backend"))


@pytest.mark.parametrize("token", ["source-tags", "node-id", "node-cluster", "mesh-root"])
def test_no_text_can_stand_for_a_token(load_resources: Load, token: str) -> None:
    escaped = f"/\\u0001{token}\\u0001"
    conf = {"http": {"path": escaped, "requestHeadersToAdd": {"set": [{"name": "a", "value": escaped}]}}}
    policy = health_check("a", {"kind": "MeshService", "name": "backend"}, conf)
    document = document_of(load_resources(*MESH, policy))
    [backend] = [one for one in document["files"]["cds"]["resources"] if one["name"] == "backend"]
    [check] = backend["healthChecks"]

    assert check["httpHealthCheck"]["path"] == escaped
    assert check["httpHealthCheck"]["requestHeadersToAdd"][-1]["header"]["value"] == escaped

    policy["spec"]["to"][0]["default"]["http"]["path"] = f"\x01{token}\x01"
    assert [one.code for one in api.load(documents=[api.document(policy, "mesh")]).errors] == ["MESH016"]
