# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Transparent proxying: what takes redirected traffic, virtual IPs as outbounds, and what of it may leave the mesh."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.envoy import type_urls

Load = Callable[..., api.Universe]

MARK = "▸"
WEB = api.DataplaneId("default", "web-1")
ADDRESSES = {
    "type": "VirtualIPs",
    "mesh": "default",
    "services": {"backend": "240.0.0.1", "gone": "240.0.0.2", "web": "240.0.0.3"},
}


def dataplane(name: str, service: str, **networking: Any) -> dict[str, Any]:
    inbound = [{"port": 8080, "tags": {"kuma.io/service": service, "kuma.io/protocol": "http"}}]
    return {
        "type": "Dataplane",
        "mesh": "default",
        "name": name,
        "networking": {"address": "192.0.2.1", "inbound": inbound, **networking},
    }


def transparent(**more: Any) -> dict[str, Any]:
    return {"redirectPortInbound": 15006, "redirectPortOutbound": 15001, **more}


def web(*resources: dict[str, Any], outbound: tuple[dict[str, Any], ...] = (), **more: Any) -> list[dict[str, Any]]:
    """The dataplane web-1, whose traffic is redirected, one of backend, and what they need."""
    own = dataplane("web-1", "web", outbound=list(outbound), transparentProxying=transparent(**more))
    return [own, dataplane("backend-1", "backend", address="192.0.2.2"), ADDRESSES, *resources]


def names(universe: api.Universe, type_url: str = type_urls.LISTENER, target: api.Target | None = None) -> list[str]:
    return list(api.compile_proxy(universe, WEB, target or api.Target()).get(type_url, {}))


@pytest.mark.parametrize(
    ("reachable", "outbounds"),
    [
        (None, ["outbound:240.0.0.1:80", "outbound:240.0.0.3:80"]),
        ([], ["outbound:240.0.0.1:80", "outbound:240.0.0.3:80"]),
        (["backend"], ["outbound:240.0.0.1:80"]),
        (["gone", "backend"], ["outbound:240.0.0.1:80"]),
    ],
)
def test_every_reachable_service_has_a_listener_at_its_virtual_ip(
    load_resources: Load, reachable: list[str] | None, outbounds: list[str]
) -> None:
    universe = load_resources(*web(**({} if reachable is None else {"reachableServices": reachable})))

    assert [name for name in names(universe) if name.startswith("outbound:240.")] == outbounds
    assert names(universe, type_urls.CLUSTER)[:2] == ["backend", "inbound:passthrough:ipv4"]


def test_written_outbounds_are_there_beside_virtual_ips_unless_they_are_at_one(load_resources: Load) -> None:
    outbound = (
        {"port": 10001, "tags": {"kuma.io/service": "backend"}},
        {"address": "240.0.0.3", "port": 8080, "tags": {"kuma.io/service": "web"}},
        {"address": "240.0.0.9", "port": 8080, "tags": {"kuma.io/service": "web"}},
    )
    universe = load_resources(*web(outbound=outbound))

    assert [name for name in names(universe) if name.startswith("outbound:") and "passthrough" not in name] == [
        "outbound:127.0.0.1:10001",
        "outbound:240.0.0.1:80",
        "outbound:240.0.0.3:80",
        "outbound:240.0.0.9:8080",
    ]


@pytest.mark.parametrize(
    ("more", "port"),
    [
        ({}, None),
        ({"ipFamilyMode": "IPv4", "redirectPortInboundV6": 15016}, None),
        ({"ipFamilyMode": "DualStack"}, 15006),
        ({"ipFamilyMode": "IPv6"}, 15006),
        ({"ipFamilyMode": "DualStack", "redirectPortInboundV6": 15010}, 15006),
        ({"ipFamilyMode": "DualStack", "redirectPortInboundV6": 15016}, 15016),
        ({"redirectPortInboundV6": 15016}, 15016),
        ({"redirectPortInboundV6": 15010}, 15006),
    ],
)
def test_the_listeners_for_ipv6(load_resources: Load, more: dict[str, Any], port: int | None) -> None:
    universe = load_resources(*web(**more))
    listeners = api.compile_proxy(universe, WEB)[type_urls.LISTENER]

    inbound = listeners.get("inbound:passthrough:ipv6")
    assert (inbound and inbound["address"]["socketAddress"]) == (port and {"address": "::", "portValue": port})
    assert ("outbound:passthrough:ipv6" in listeners) is (port is not None)


def test_a_host_without_ipv6_has_none_of_them(load_resources: Load) -> None:
    universe = load_resources(*web(ipFamilyMode="DualStack"))

    assert not [name for name in names(universe, target=api.Target(ipv6=False)) if name.endswith("ipv6")]
    assert not [name for name in names(universe, type_urls.CLUSTER, api.Target(ipv6=False)) if name.endswith("ipv6")]


@pytest.mark.parametrize(
    ("redirect", "bind", "passthrough"),
    [
        (transparent(), False, True),
        ({"redirectPortOutbound": 15001}, None, True),
        ({"redirectPortInbound": 15006}, None, False),
        ({}, None, False),
    ],
)
def test_listeners_bind_unless_both_directions_are_redirected(
    load_resources: Load, redirect: dict[str, int], bind: bool | None, passthrough: bool
) -> None:
    own = dataplane("web-1", "web", transparentProxying=redirect)
    universe = load_resources(own, dataplane("backend-1", "backend", address="192.0.2.2"), ADDRESSES)
    listeners = api.compile_proxy(universe, WEB)[type_urls.LISTENER]

    for name in ("inbound:192.0.2.1:8080", "outbound:240.0.0.1:80"):
        assert listeners[name].get("bindToPort") is bind
    assert ("outbound:passthrough:ipv4" in listeners) is passthrough
    assert "bindToPort" not in listeners.get("outbound:passthrough:ipv4", {})


@pytest.mark.parametrize(
    ("own", "more", "source"),
    [
        ({}, {}, "127.0.0.6"),
        ({"serviceAddress": "127.0.0.1", "servicePort": 80}, {}, None),
        ({"serviceAddress": "192.0.2.99"}, {}, "127.0.0.6"),
        ({"serviceAddress": "2001:db8::9"}, {}, "::6"),
        ({"serviceAddress": "::1"}, {}, None),
        ({}, {"address": "2001:db8::1"}, None),
        ({}, {"address": "2001:db8::1", "transparentProxying": transparent(redirectPortInboundV6=15016)}, "::6"),
        ({}, {"address": "2001:db8::1", "transparentProxying": transparent(ipFamilyMode="DualStack")}, "::6"),
        ({}, {"address": "2001:db8::1", "transparentProxying": transparent(ipFamilyMode="IPv4")}, None),
        ({}, {"transparentProxying": {"redirectPortOutbound": 15001}}, None),
    ],
)
def test_connections_to_the_application_are_not_redirected_again(
    load_resources: Load, own: dict[str, Any], more: dict[str, Any], source: str | None
) -> None:
    inbound = {"port": 8080, "tags": {"kuma.io/service": "web"}, **own}
    resource = dataplane("web-1", "web", **{"transparentProxying": transparent(), **more, "inbound": [inbound]})
    clusters = api.compile_proxy(load_resources(resource, ADDRESSES), WEB)[type_urls.CLUSTER]

    [local] = [cluster for name, cluster in clusters.items() if name.startswith("localhost:")]
    found = local.get("upstreamBindConfig", {}).get("sourceAddress")
    assert found == (source and {"address": source, "portValue": 0})


@pytest.mark.parametrize("passthrough", [None, True, False])
def test_switched_off_only_the_outbound_clusters_go(load_resources: Load, passthrough: bool | None) -> None:
    outbound = {} if passthrough is None else {"passthrough": passthrough}
    mesh = {"type": "Mesh", "name": "default", "networking": {"outbound": outbound}}
    universe = load_resources(*web(mesh, ipFamilyMode="DualStack"))
    clusters = [name for name in names(universe, type_urls.CLUSTER) if "passthrough" in name]

    kept = ["inbound:passthrough:ipv4", "inbound:passthrough:ipv6"]
    gone = ["outbound:passthrough:ipv4", "outbound:passthrough:ipv6"]
    assert clusters == (kept if passthrough is False else kept + gone)
    assert {*kept, *gone} <= {*names(universe)}


def test_a_log_of_what_is_not_mesh_traffic(load_resources: Load) -> None:
    universe = load_resources(*web())
    target = api.Target(passthrough_log="/var/log/passthrough.log")
    listeners = api.compile_proxy(universe, WEB, target)[type_urls.LISTENER]

    logging = [name for name, one in listeners.items() if "accessLog" in str(one)]
    assert logging == ["outbound:passthrough:ipv4"]
    [proxy] = listeners[logging[0]]["filterChains"][0]["filters"]
    [log] = proxy["typedConfig"]["accessLog"]
    assert log["typedConfig"]["path"] == "/var/log/passthrough.log"


def test_what_becomes_of_traffic_that_is_not_of_the_mesh(load_resources: Load) -> None:
    universe = load_resources(*web())

    assert api.passthrough(universe, api.DataplaneId("default", "backend-1")) == {"transparent": False}
    assert api.passthrough(universe, WEB) == {
        "transparent": True,
        "passthrough": True,
        "listeners": ["inbound:passthrough:ipv4", "outbound:passthrough:ipv4"],
        "clusters": ["inbound:passthrough:ipv4", "outbound:passthrough:ipv4"],
        "connectTimeout": "10s",
        "idleTimeout": "1h",
    }


@pytest.mark.parametrize(
    ("more", "names_"),
    [
        ({}, {"backend.mesh": "240.0.0.1", "web.mesh": "240.0.0.3"}),
        ({"reachableServices": ["backend"]}, {"backend.mesh": "240.0.0.1"}),
    ],
)
def test_names_of_what_can_be_reached(load_resources: Load, more: dict[str, Any], names_: dict[str, str]) -> None:
    universe = load_resources(*web(**more))

    assert api.host_names(universe, WEB) == names_
    assert api.host_names(universe, api.DataplaneId("default", "backend-1")) == {}


# --- findings ---------------------------------------------------------------------------------------------------------

MESH = """\
type: VirtualIPs
mesh: default
services: {web: 240.0.0.1}
---
type: Dataplane
mesh: default
name: web-1
networking:
  address: 192.0.2.1
  inbound: [{port: 80, serviceAddress: 127.0.0.1, tags: {kuma.io/service: web}}]
  transparentProxying: {redirectPortInbound: 15006, redirectPortOutbound: 15001}
"""


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (
            "MESH245 networking.transparentProxying: the service 'web' has no virtual IP",
            MESH.replace("web: 240", "other: 240").replace("  transparent", "  ▸transparent"),
        ),
        (
            "MESH245 networking.transparentProxying: the service 'web' has no virtual IP",
            MESH.partition("---\n")[2].replace("  transparent", "  ▸transparent"),
        ),
        (
            "MESH033 networking.transparentProxying.reachableServices[1]: nobody offers the service 'wep'",
            MESH.replace("15001}", "15001, reachableServices: [web, ▸wep]}"),
        ),
        (
            "MESH246 networking.transparentProxying: has no redirectPortInbound, so traffic is redirected in one",
            MESH.replace("  transparent", "  ▸transparent").replace("redirectPortInbound: 15006, ", ""),
        ),
        (
            "MESH246 networking.transparentProxying: has no redirectPortOutbound, so traffic is redirected in one",
            MESH.replace("  transparent", "  ▸transparent").replace(", redirectPortOutbound: 15001", ""),
        ),
    ],
)
def test_one_mistake_one_finding(load_files: Load, finding: str, text: str) -> None:
    before = text[: text.index(MARK)]
    place = f"mesh.yaml:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}: "
    [found] = map(str, load_files({"mesh.yaml": text.replace(MARK, "")}).findings)

    assert found.replace("warning: ", "").startswith(place + finding)


@pytest.mark.parametrize(("outbound", "written"), [("127.0.0.1", ""), ("192.0.2.1", "address: 192.0.2.1, ")])
def test_an_outbound_that_is_not_redirected(load_files: Load, outbound: str, written: str) -> None:
    text = MESH + f"  outbound:\n  - {{{written}port: 10001, tags: {{kuma.io/service: web}}}}\n"
    [found] = map(str, load_files({"mesh.yaml": text}).findings)

    place = "mesh.yaml:13:5: warning: MESH247 networking.outbound[0]: "
    assert found == f"{place}cannot be reached: traffic to {outbound} stays on the host and is not redirected"


@pytest.mark.parametrize("address", ["240.0.0.1", "240.0.0.9", "192.0.2.9"])
def test_an_outbound_that_is_redirected(load_files: Load, address: str) -> None:
    text = MESH + f"  outbound:\n  - {{address: {address}, port: 10001, tags: {{kuma.io/service: web}}}}\n"

    assert [str(one) for one in load_files({"mesh.yaml": text}).findings] == []


def test_no_finding(load_files: Load) -> None:
    off = "type: Mesh\nname: default\nnetworking: {outbound: {passthrough: false}}\n---\n"

    assert [str(one) for one in load_files({"mesh.yaml": off + MESH}).findings] == []
