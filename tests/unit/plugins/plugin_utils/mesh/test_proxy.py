# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proxies: which resources a dataplane gets, and where they lead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.envoy import type_urls

Load = Callable[..., api.Universe]
Resource = dict[str, Any]


def inbound(port: int = 80, service: str = "backend", tags: dict[str, str] | None = None, **members: Any) -> Resource:
    return {"port": port, "servicePort": 8080, "tags": {"kuma.io/service": service, **(tags or {})}, **members}


def dataplane(name: str, number: int, *inbounds: Resource, **networking: Any) -> Resource:
    return {
        "type": "Dataplane",
        "mesh": "default",
        "name": name,
        "networking": {"address": f"192.0.2.{number}", "inbound": list(inbounds), **networking},
    }


def consumer(*outbounds: Resource) -> Resource:
    gateway = {"tags": {"kuma.io/service": "web"}}
    return dataplane("web-1", 1, gateway=gateway, outbound=list(outbounds))


def to(service: str = "backend", port: int = 10001, **tags: str) -> Resource:
    return {"port": port, "tags": {"kuma.io/service": service, **tags}}


def resources(universe: api.Universe, name: str = "web-1") -> dict[str, dict[str, Any]]:
    return api.compile_proxy(universe, api.find_dataplane(universe, name))


def addresses(assignment: Resource) -> list[str]:
    sockets = [
        endpoint["endpoint"]["address"]["socketAddress"]
        for locality in assignment.get("endpoints", [])
        for endpoint in locality["lbEndpoints"]
    ]
    return [f"{socket['address']}:{socket['portValue']}" for socket in sockets]


def filters(listener: Resource) -> list[str]:
    return [one["name"].rpartition(".")[2] for one in listener["filterChains"][0]["filters"]]


V1, V2 = {"version": "v1"}, {"version": "v2"}


@pytest.mark.parametrize(
    ("inbounds", "found"),
    [
        pytest.param([inbound()], ["192.0.2.11:80"], id="ready"),
        pytest.param([inbound(state="Ready", health={"ready": True})], ["192.0.2.11:80"], id="ready, in many words"),
        pytest.param([inbound(health={"ready": False})], [], id="not healthy"),
        pytest.param([inbound(health={})], [], id="not said to be healthy"),
        pytest.param([inbound(state="NotReady")], [], id="not ready"),
        pytest.param([inbound(state="Ignored")], [], id="ignored"),
        pytest.param([inbound(address="192.0.2.99")], ["192.0.2.99:80"], id="an address of its own"),
        pytest.param([inbound(), inbound(81)], ["192.0.2.11:80", "192.0.2.11:81"], id="two inbounds"),
        pytest.param([inbound(service="other")], [], id="another service"),
        pytest.param([inbound(49151)], [], id="a service without a port"),
    ],
)
def test_endpoints_of_a_service(load_resources: Load, inbounds: list[Resource], found: list[str]) -> None:
    universe = load_resources(consumer(to()), dataplane("backend-1", 11, *inbounds))

    assert addresses(resources(universe)[type_urls.CLUSTER_LOAD_ASSIGNMENT]["backend"]) == found


def test_the_advertised_address_is_what_others_dial(load_resources: Load) -> None:
    universe = load_resources(
        consumer(to()),
        dataplane("backend-1", 11, inbound(), inbound(81, address="192.0.2.99"), advertisedAddress="198.51.100.1"),
    )

    assert addresses(resources(universe)[type_urls.CLUSTER_LOAD_ASSIGNMENT]["backend"]) == [
        "198.51.100.1:80",
        "198.51.100.1:81",
    ]
    assert set(resources(universe, "backend-1")[type_urls.LISTENER]) == {
        "inbound:192.0.2.11:80",
        "inbound:192.0.2.99:81",
    }


def test_endpoints_are_sorted_by_address_as_text_and_then_by_port(load_resources: Load) -> None:
    universe = load_resources(
        consumer(to()),
        dataplane("a", 9, inbound(90), inbound(100)),
        dataplane("b", 10, inbound()),
        dataplane("c", 100, inbound()),
    )

    assert addresses(resources(universe)[type_urls.CLUSTER_LOAD_ASSIGNMENT]["backend"]) == [
        "192.0.2.10:80",
        "192.0.2.100:80",
        "192.0.2.9:90",
        "192.0.2.9:100",
    ]


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ({}, ["192.0.2.11:80", "192.0.2.12:80", "192.0.2.12:81"]),
        (V1, ["192.0.2.11:80", "192.0.2.12:80"]),
        ({**V1, "region": "us"}, ["192.0.2.12:80"]),
        ({"kuma.io/zone": "default"}, ["192.0.2.11:80", "192.0.2.12:80", "192.0.2.12:81"]),
        ({"version": "v3"}, []),
    ],
)
def test_subsets_are_the_endpoints_that_have_all_tags(
    load_resources: Load, tags: dict[str, str], found: list[str]
) -> None:
    universe = load_resources(
        consumer(to(**tags)),
        dataplane("backend-1", 11, inbound(tags=V1)),
        dataplane("backend-2", 12, inbound(tags={**V1, "region": "us"}), inbound(81, tags=V2)),
    )
    [assignment] = resources(universe)[type_urls.CLUSTER_LOAD_ASSIGNMENT].values()

    assert addresses(assignment) == found


@pytest.mark.parametrize(
    ("protocols", "expected"),
    [
        (["http"], ["http_connection_manager"]),
        (["HTTP2"], ["http_connection_manager"]),
        (["grpc", "http2"], ["http_connection_manager"]),
        (["http", "http2"], ["tcp_proxy"]),
        (["kafka"], ["tcp_proxy"]),
        (["tcp"], ["tcp_proxy"]),
        ([None], ["tcp_proxy"]),
        (["http", None], ["tcp_proxy"]),
        ([], ["tcp_proxy"]),
    ],
)
def test_a_listener_speaks_what_all_endpoints_speak(
    load_resources: Load, protocols: list[str | None], expected: list[str]
) -> None:
    offered = [
        dataplane(f"backend-{number}", number, inbound(tags={"kuma.io/protocol": tag} if tag else {}))
        for number, tag in enumerate(protocols, start=11)
    ]
    universe = load_resources(consumer(to(), to(version="v1", port=10002)), *offered)
    found = resources(universe)[type_urls.LISTENER]

    # A subset speaks what the whole service speaks.
    assert filters(found["outbound:127.0.0.1:10001"]) == filters(found["outbound:127.0.0.1:10002"]) == expected


def test_endpoints_that_are_not_healthy_have_no_say_in_the_protocol(load_resources: Load) -> None:
    universe = load_resources(
        consumer(to()),
        dataplane("backend-1", 11, inbound(tags={"kuma.io/protocol": "http"})),
        dataplane("backend-2", 12, inbound(tags={"kuma.io/protocol": "tcp"}, state="NotReady")),
    )

    assert filters(resources(universe)[type_urls.LISTENER]["outbound:127.0.0.1:10001"]) == ["http_connection_manager"]


def test_of_two_inbounds_with_one_service_port_the_later_one_is_reached(load_resources: Load) -> None:
    universe = load_resources(
        dataplane("backend-1", 11, inbound(serviceAddress="127.0.0.1"), inbound(81, serviceAddress="127.0.0.2"))
    )
    clusters = resources(universe, "backend-1")[type_urls.CLUSTER]

    assert addresses(clusters["localhost:8080"]["loadAssignment"]) == ["127.0.0.2:8080"]


@pytest.mark.parametrize("order", [("plain", "books"), ("books", "plain")])
def test_of_two_outbounds_on_one_socket_that_of_plain_tcp_stays(load_resources: Load, order: tuple[str, str]) -> None:
    universe = load_resources(
        consumer(*[to(service) for service in order]),
        dataplane("plain-1", 11, inbound(service="plain")),
        dataplane("books-1", 12, inbound(service="books", tags={"kuma.io/protocol": "http"})),
    )
    found = resources(universe)

    assert filters(found[type_urls.LISTENER]["outbound:127.0.0.1:10001"]) == ["tcp_proxy"]
    assert set(found[type_urls.CLUSTER]) == {"books", "plain"}


@pytest.mark.parametrize(
    ("networking", "reached"),
    [
        ({"port": 80, "servicePort": 8080}, "192.0.2.11:8080"),
        ({"port": 80, "servicePort": 8080, "serviceAddress": "127.0.0.1"}, "127.0.0.1:8080"),
        ({"port": 80, "serviceAddress": "127.0.0.1", "servicePort": 0}, "127.0.0.1:80"),
        ({"port": 80, "servicePort": 8080, "address": "192.0.2.99"}, "192.0.2.99:8080"),
        ({"port": 80.0, "servicePort": 8080.0, "serviceAddress": "127.0.0.1"}, "127.0.0.1:8080"),
    ],
)
def test_where_the_application_is_reached(load_resources: Load, networking: Resource, reached: str) -> None:
    universe = load_resources(dataplane("backend-1", 11, {**inbound(), **networking}))
    [cluster] = resources(universe, "backend-1")[type_urls.CLUSTER].values()

    assert addresses(cluster["loadAssignment"]) == [reached]
    assert cluster["name"] == f"localhost:{reached.rpartition(':')[2]}"


def test_an_inbound_without_a_service_port_has_no_resources(load_resources: Load) -> None:
    universe = load_resources(dataplane("job-1", 11, inbound(49151, "job")))

    assert resources(universe, "job-1") == {}
    assert universe.findings == ()


def test_meshes_do_not_see_each_other(load_resources: Load) -> None:
    meshes = [{"type": "Mesh", "name": name, "skipCreatingInitialPolicies": ["*"]} for name in ("blue", "green")]
    universe = load_resources(
        *meshes,
        *[{**consumer(to()), "mesh": mesh} for mesh in ("blue", "green")],
        {**dataplane("backend-1", 11, inbound()), "mesh": "blue"},
    )
    found = {
        mesh: addresses(
            api.compile_proxy(universe, api.DataplaneId(mesh, "web-1"))[type_urls.CLUSTER_LOAD_ASSIGNMENT]["backend"]
        )
        for mesh in ("blue", "green")
    }

    assert found == {"blue": ["192.0.2.11:80"], "green": []}
    assert universe.dataplanes == (("blue", "backend-1"), ("blue", "web-1"), ("green", "web-1"))


@pytest.mark.parametrize(
    ("name", "mesh", "says"),
    [
        ("web-2", None, "there is no dataplane 'web-2'; did you mean 'web-1'?"),
        ("zebra", "blue", "there is no dataplane 'zebra' in mesh 'blue'"),
        ("web-1", None, "dataplane 'web-1' is in several meshes: blue, green"),
    ],
)
def test_a_dataplane_that_is_not_there_or_there_twice(
    load_resources: Load, name: str, mesh: str | None, says: str
) -> None:
    universe = load_resources(
        *[{"type": "Mesh", "name": mesh} for mesh in ("blue", "green")],
        *[{**consumer(), "mesh": mesh} for mesh in ("blue", "green")],
    )

    with pytest.raises(api.MeshError) as raised:
        api.find_dataplane(universe, name, mesh)
    assert str(raised.value) == says
    assert api.find_dataplane(universe, "web-1", "green") == ("green", "web-1")
