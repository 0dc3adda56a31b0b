# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redirected traffic through real Envoys: what is for the mesh, what is not, and what MeshProxyPatch makes of either.

Applications call addresses, and know nothing of Envoy. One mesh is for all tests: each rolls out a release of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab.clients import Address
from lab.http_apps import HEALTH, Answer, HttpApp
from lab.namespaces import WHY_NOT
from lab.polling import eventually
from lab.redirected import (
    BACKEND,
    NOWHERE,
    NOWHERE6,
    OUTSIDE,
    OUTSIDE6,
    WEB,
    WEB_OUTWARD,
    WEB_OUTWARD6,
    RedirectedHost,
    RedirectedLab,
    modification,
    patch,
)
from lab.tcp_apps import TcpApp

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import vips

pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)

PAGES = Path(__file__).parent / "pages"
PORT = 7000
# A database outside, for either family.
DATABASE, DATABASE6 = (OUTSIDE, PORT), (OUTSIDE6, PORT)
# Where web reaches the store beside its virtual IP.
EXPLICIT = ("10.97.0.1", 5432)
IPV4, IPV6 = "outbound:passthrough:ipv4", "outbound:passthrough:ipv6"
INBOUND_REQUESTS = "http.localhost_8080.downstream_rq_total"
INBOUND_PASSTHROUGH = "cluster.inbound_passthrough_ipv4.upstream_cx_total"
# Clocks differ by that much, and a busy machine may add so much to a time.
TICK, SLACK = 0.1, 6.0

IN_BOTH_FORMS = pytest.mark.parametrize("form", ["", "-kubernetes"], ids=["Universal", "Kubernetes"])
IN_EITHER_FAMILY = pytest.mark.parametrize(
    ("database", "family"), [(DATABASE, "ipv4"), (DATABASE6, "ipv6")], ids=["IPv4", "IPv6"]
)


class Apps:
    """On the host `web`: itself, and a port that is no inbound. On `backend`: two instances, the store, such a port."""

    def __init__(self) -> None:
        self.web, self.one, self.two = HttpApp("web"), HttpApp("one"), HttpApp("two")
        self.store, self.plain, self.plain6 = TcpApp(), TcpApp(), TcpApp()
        self.databases = {DATABASE: TcpApp(), DATABASE6: TcpApp()}


@pytest.fixture(scope="module")
def apps() -> Apps:
    return Apps()


@pytest.fixture(scope="module")
def running(apps: Apps) -> Iterator[RedirectedLab]:
    with RedirectedLab() as lab:
        lab.lay_cables()
        lab.offer_on(lab.web, apps.web, "web")
        lab.offer_on(lab.backend, apps.one, "backend")
        lab.offer_on(lab.backend, apps.two, "backend", port=8081)
        lab.offer_on(lab.backend, apps.store, "store", "tcp", port=9000)
        lab.serve_on(lab.backend.namespace, apps.plain, BACKEND, PORT)
        lab.serve_on(lab.web.namespace, apps.plain6, WEB_OUTWARD6, PORT)
        for address, app in apps.databases.items():
            lab.serve_on(lab.outside, app, *address)
        lab.web.add_outbound("store", {"kuma.io/service": "store"}, address=EXPLICIT[0], port=EXPLICIT[1])
        lab.start()
        yield lab


@pytest.fixture
def mesh(running: RedirectedLab, apps: Apps) -> RedirectedLab:
    """The mesh without policies; a test says what else is to hold, and rolls it out."""
    running.reset()
    for app in (apps.web, apps.one, apps.two):
        app.status, app.health_status = 200, 200
        app.reply = lambda _request, app=app: Answer(app.status)
        app.requests.clear()
    return running


def leaving(family: str, what: str) -> str:
    """What Envoy calls a counter of the connections that leave the mesh."""
    return f"cluster.outbound_passthrough_{family}.{what}"


def refused(family: str) -> str:
    """The same for those that are refused."""
    return f"tcp.outbound_passthrough_{family}.downstream_cx_no_route"


def of_kind(kind: str, page: str, form: str) -> dict[str, Any]:
    """The resource of this kind on a page, in one of its forms."""
    documents: Iterator[dict[str, Any]] = yaml.safe_load_all((PAGES / f"{page}{form}.mesh").read_text())
    [found] = [one for one in documents if kind in (one.get("type"), one.get("kind"))]
    return found


def switch_off(mesh: RedirectedLab) -> None:
    mesh.mesh["networking"]["outbound"]["passthrough"] = False
    mesh.roll_out()


# ------------------------------------------------------------------------------------------------------ mesh traffic


def test_an_application_reaches_a_service_by_its_virtual_ip(mesh: RedirectedLab, apps: Apps) -> None:
    mesh.roll_out()
    arrivals = {INBOUND_REQUESTS: 1, "http.localhost_8081.downstream_rq_total": 1, INBOUND_PASSTHROUGH: 0}
    departures = {"http.backend.downstream_rq_total": 2, leaving("ipv4", "upstream_cx_total"): 0}
    with mesh.web.counts(departures), mesh.backend.counts(arrivals):
        answers = [mesh.web.ask(mesh.vip("backend"), "/question") for _instance in range(2)]
    assert {(answer.status, answer.body) for answer in answers} == {(200, "one"), (200, "two")}
    for app in (apps.one, apps.two):
        assert [request.path for request in app.taken] == ["/question"]
        assert set(app.peers) == {"127.0.0.6"}


def test_retries_and_health_checks_are_in_force_for_a_program_that_knows_a_name(
    mesh: RedirectedLab, apps: Apps, tmp_path: Path
) -> None:
    mesh.check(http={"path": HEALTH})
    mesh.retry(http={"numRetries": 3, "retryOn": ["5xx"], "backOff": {"baseInterval": "1ms"}})
    apps.two.health_status = 503
    mesh.roll_out()
    eventually(lambda: mesh.web.healthy("backend") == {f"{BACKEND}:8080"})
    statuses = iter([500, 502, 503, 200])
    apps.one.reply = lambda _request: Answer(next(statuses))

    assert fetch(mesh, "http://backend.mesh/question", tmp_path) == "one"
    assert [request.path for request in apps.one.taken] == ["/question"] * 4
    assert apps.two.taken == []

    apps.one.reply = lambda _request: Answer(500)
    assert mesh.web.ask(mesh.vip("backend")).status == 500
    assert (len(apps.one.taken), len(apps.two.taken)) == (8, 0)

    apps.two.health_status = 200
    eventually(lambda: len(mesh.web.healthy("backend")) == 2)
    assert min(len(apps.one.checks), len(apps.two.checks)) > 2
    # Envoys check through Envoys.
    assert set(apps.one.peers + apps.two.peers) == {"127.0.0.6"}
    # Those that come after this test are not to be surprised by a last check.
    mesh.reset()
    mesh.roll_out()
    for port in (8080, 8081):
        eventually(lambda port=port: mesh.backend.stat(f"http.localhost_{port}.downstream_cx_active") == 0)


def fetch(mesh: RedirectedLab, url: str, directory: Path) -> str:
    """What a program of its own has of an address; it runs on `web`, where names are those of virtual IPs."""
    names = vips.host_names(mesh.virtual_ips)
    hosts = directory / "hosts"
    hosts.write_text("".join(f"{address} {' '.join(names[one])}\n" for one, address in mesh.virtual_ips.items()))
    program = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())"
    return mesh.web.namespace.run(
        *("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts)),
        *(sys.executable, "-c", program, url),
    ).strip()


def test_an_application_reaches_its_own_service_by_its_virtual_ip(mesh: RedirectedLab, apps: Apps) -> None:
    mesh.roll_out()
    with mesh.web.counts({"http.web.downstream_rq_total": 1, INBOUND_REQUESTS: 1}):
        assert mesh.web.ask(mesh.vip("web")).body == "web"
    assert apps.web.peers[-1] == "127.0.0.6"


def test_others_come_in_through_the_inbound(mesh: RedirectedLab, apps: Apps) -> None:
    mesh.roll_out()
    with mesh.web.counts({INBOUND_REQUESTS: 1, INBOUND_PASSTHROUGH: 0}), mesh.outside.connect(WEB, 8080) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: web\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
    assert apps.web.peers[-1] == "127.0.0.6"


def test_a_host_of_the_mesh_by_its_own_address_is_no_mesh_traffic(mesh: RedirectedLab) -> None:
    mesh.roll_out()
    with (
        mesh.web.counts({leaving("ipv4", "upstream_cx_total"): 1, "http.backend.downstream_rq_total": 0}),
        mesh.backend.counts({INBOUND_REQUESTS: 1, INBOUND_PASSTHROUGH: 0}),
    ):
        assert mesh.web.ask((BACKEND, 8080)).body == "one"


def test_ports_that_are_no_inbounds_are_reached_through_envoy(mesh: RedirectedLab, apps: Apps) -> None:
    mesh.roll_out()
    with mesh.backend.counts({INBOUND_PASSTHROUGH: 1}):
        assert mesh.web.send((BACKEND, PORT), b"message") == b"message"
    assert apps.plain.peers == ["127.0.0.6"]


def test_ports_that_are_no_inbounds_are_reached_through_envoy_by_ipv6(mesh: RedirectedLab, apps: Apps) -> None:
    mesh.roll_out()
    with (
        mesh.web.counts({"cluster.inbound_passthrough_ipv6.upstream_cx_total": 1}),
        mesh.outside.connect(WEB_OUTWARD6, PORT) as connection,
    ):
        connection.sendall(b"message")
        assert connection.recv(10) == b"message"
    assert apps.plain6.peers == ["::6"]


def test_applications_of_a_host_reach_each_other_without_envoy(mesh: RedirectedLab, apps: Apps) -> None:
    mesh.roll_out()
    with mesh.web.counts({INBOUND_REQUESTS: 0, leaving("ipv4", "upstream_cx_total"): 0}):
        assert mesh.web.ask((WEB, 8080)).body == "web"
    assert apps.web.peers[-1] == WEB


def test_an_outbound_that_is_written_out_stands_beside_virtual_ips(mesh: RedirectedLab) -> None:
    mesh.roll_out()
    with mesh.web.counts({"tcp.store.downstream_cx_total": 2, leaving("ipv4", "upstream_cx_total"): 0}):
        assert mesh.web.send(EXPLICIT, b"message") == b"message"
        assert mesh.web.send(mesh.vip("store"), b"message") == b"message"


def test_a_service_that_is_not_reachable_has_no_virtual_ip(mesh: RedirectedLab) -> None:
    mesh.web.redirection["reachableServices"] = ["backend"]
    switch_off(mesh)
    with mesh.web.counts({refused("ipv4"): 2, "http.backend.downstream_rq_total": 1}):
        assert mesh.web.ask(mesh.vip("backend")).status == 200
        mesh.web.refused_after(mesh.vip("web"))
        mesh.web.refused_after(mesh.vip("store"))
    # The one that is written out stays, whatever the service.
    assert mesh.web.send(EXPLICIT, b"message") == b"message"
    # It is the host's own list.
    assert mesh.backend.ask(mesh.vip("web")).body == "web"


# -------------------------------------------------------------------------------------------------- non-mesh traffic


@IN_EITHER_FAMILY
def test_non_mesh_traffic_passes_until_that_is_switched_off(
    mesh: RedirectedLab, apps: Apps, database: Address, family: str
) -> None:
    mesh.roll_out()
    passing = {
        f"tcp.outbound_passthrough_{family}.downstream_cx_total": 1,
        refused(family): 0,
        leaving(family, "upstream_cx_total"): 1,
        leaving(family, "upstream_cx_tx_bytes_total"): 100_000,
        leaving(family, "upstream_cx_rx_bytes_total"): 100_000,
    }
    app, message = apps.databases[database], bytes(range(100)) * 1000
    with mesh.web.counts(passing):
        assert mesh.web.send(database, message) == message
    # Nobody hides who the client is.
    assert app.peers[-1] == {"ipv4": WEB_OUTWARD, "ipv6": WEB_OUTWARD6}[family]

    with mesh.web.connect(database) as before:
        before.sendall(b"ping")
        assert before.recv(10) == b"ping"
        seen = app.connections
        switch_off(mesh)
        with mesh.web.counts({refused(family): 1}):
            assert mesh.web.refused_after(database) < SLACK
        # Who is connected stays so.
        before.sendall(b"pong")
        assert before.recv(10) == b"pong"
    assert app.connections == seen
    assert mesh.web.ask(mesh.vip("backend")).status == 200

    mesh.mesh["networking"]["outbound"]["passthrough"] = True
    mesh.roll_out()
    assert mesh.web.send(database, b"ping") == b"ping"


def test_the_log_says_where_non_mesh_traffic_went(mesh: RedirectedLab) -> None:
    mesh.web.logging = True
    mesh.roll_out()
    assert mesh.web.send(DATABASE, b"ping") == b"ping"
    assert mesh.web.send(DATABASE6, b"ping") == b"ping"
    assert mesh.web.ask(mesh.vip("backend")).status == 200
    switch_off(mesh)
    mesh.web.refused_after(DATABASE)

    def ends() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in mesh.web.log.read_text().splitlines()]
        return [line for line in lines if line["event"] == "TcpConnectionEnd"]

    eventually(lambda: len(ends()) == 3)
    assert {(one["destination"], one["sent"], one["received"], one["flags"]) for one in ends()} == {
        (f"{OUTSIDE}:{PORT}", 4, 4, "-"),
        (f"[{OUTSIDE6}]:{PORT}", 4, 4, "-"),
        (f"{OUTSIDE}:{PORT}", 0, 0, "NC"),
    }


@IN_BOTH_FORMS
def test_non_mesh_traffic_is_refused_with_the_mesh_of_the_page(mesh: RedirectedLab, form: str) -> None:
    # As it stands there, so that its initial policies are in force as well.
    mesh.mesh = of_kind("Mesh", "non-mesh-off", form)
    mesh.roll_out()
    with mesh.web.counts({refused("ipv4"): 1, refused("ipv6"): 1}):
        assert mesh.web.refused_after(DATABASE) < SLACK
        assert mesh.web.refused_after(DATABASE6) < SLACK
    assert mesh.web.ask(mesh.vip("backend")).status == 200


# -------------------------------------------------------------------------------- MeshProxyPatch on non-mesh traffic


def policy(page: str, form: str = "", instead: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The policy of a page in one of its forms, with other words for some of its own."""
    text = json.dumps(of_kind("MeshProxyPatch", page, form))
    for word, other in (instead or {}).items():
        assert word in text
        text = text.replace(word, other)
    changed: dict[str, Any] = json.loads(text)
    return changed


@IN_BOTH_FORMS
def test_limits_of_the_page_are_what_envoy_goes_by(mesh: RedirectedLab, form: str) -> None:
    own = {"connections": 1024, "pending_requests": 1024, "requests": 1024, "retries": 3}
    mesh.roll_out()
    assert mesh.web.limits(IPV4) == mesh.web.limits(IPV6) == own
    mesh.policies.append(policy("non-mesh-limits", form))
    mesh.roll_out()
    assert mesh.web.limits(IPV4) == {"connections": 2048, "pending_requests": 2048, "requests": 2048, "retries": 4}
    assert mesh.web.limits(IPV6) == own


@IN_BOTH_FORMS
def test_as_many_connections_leave_the_mesh_as_the_page_says(mesh: RedirectedLab, apps: Apps, form: str) -> None:
    mesh.policies.append(policy("non-mesh-limits", form, {"2048": "1"}))
    mesh.roll_out()
    seen = apps.databases[DATABASE].connections
    counted = {leaving("ipv4", "upstream_cx_overflow"): 1, leaving("ipv4", "upstream_cx_total"): 1}
    with mesh.web.counts(counted), mesh.web.connect(DATABASE) as first:
        first.sendall(b"ping")
        assert first.recv(10) == b"ping"
        assert mesh.web.refused_after(DATABASE) < SLACK
        first.sendall(b"pong")
        assert first.recv(10) == b"pong"
        # The page's cluster is that of one family.
        assert mesh.web.send(DATABASE6, b"ping") == b"ping"
    assert apps.databases[DATABASE].connections == seen + 1
    eventually(lambda: mesh.web.stat(leaving("ipv4", "upstream_cx_active")) == 0)
    assert mesh.web.send(DATABASE, b"ping") == b"ping"


def test_limits_take_the_place_of_those_of_a_circuit_breaker(mesh: RedirectedLab) -> None:
    limits = {"maxConnections": 1024, "maxPendingRequests": 1024, "maxRequests": 1024, "maxRetries": 3}
    to = [{"targetRef": {"kind": "MeshService", "name": "store"}, "default": {"connectionLimits": limits}}]
    spec = {"targetRef": {"kind": "Mesh"}, "to": to}
    mesh.policies.append({"type": "MeshCircuitBreaker", "mesh": "default", "name": "limits", "spec": spec})
    mesh.policies.append(policy("non-mesh-limits", instead={"2048": "1", IPV4: "store"}))
    mesh.roll_out()
    assert mesh.web.limits("store") == {"connections": 1, "pending_requests": 1, "requests": 1, "retries": 4}
    with mesh.web.counts({"cluster.store.upstream_cx_overflow": 1}), mesh.web.connect(mesh.vip("store")) as first:
        first.sendall(b"ping")
        assert first.recv(10) == b"ping"
        assert mesh.web.refused_after(mesh.vip("store")) < SLACK


@IN_BOTH_FORMS
def test_timeouts_of_the_page_reach_envoy(mesh: RedirectedLab, form: str) -> None:
    mesh.policies.append(policy("non-mesh-timeouts", form))
    mesh.roll_out()
    assert [mesh.web.cluster(name)["connect_timeout"] for name in (IPV4, IPV6)] == ["99s", "10s"]
    assert [idle_timeout(mesh, name) for name in (IPV4, IPV6)] == ["10800s", None]


def idle_timeout(mesh: RedirectedLab, listener: str) -> str | None:
    """None is Envoy's default, an hour."""
    [chain] = mesh.web.listener(listener)["filter_chains"]
    [proxy] = chain["filters"]
    found: str | None = proxy["typed_config"].get("idle_timeout")
    return found


def test_timeouts_of_the_page_end_what_they_should(mesh: RedirectedLab) -> None:
    """Its policy is about IPv4. IPv6 shows what the defaults are."""
    mesh.policies.append(policy("non-mesh-timeouts", instead={"99s": "1s", "3h": "2s"}))
    mesh.roll_out()
    counted = {
        leaving("ipv4", "upstream_cx_connect_timeout"): 1,
        leaving("ipv6", "upstream_cx_connect_timeout"): 1,
        "tcp.outbound_passthrough_ipv4.idle_timeout": 1,
        "tcp.outbound_passthrough_ipv6.idle_timeout": 0,
    }
    ends = {(NOWHERE, PORT): 1.0, DATABASE: 2.0, (NOWHERE6, PORT): 10.0}
    with mesh.web.counts(counted), mesh.web.connect(DATABASE6) as idle, ThreadPoolExecutor(len(ends)) as pool:
        found = {address: pool.submit(mesh.web.refused_after, address, wait=30) for address in ends}
        for address, seconds in ends.items():
            assert seconds - TICK < found[address].result() < seconds + SLACK, address
        idle.sendall(b"ping")
        assert idle.recv(10) == b"ping"


def test_a_patch_takes_a_way_out_of_the_mesh(mesh: RedirectedLab) -> None:
    mesh.policies.append(patch(modification("cluster", "Remove", name=IPV4)))
    mesh.roll_out()
    with mesh.web.counts({refused("ipv4"): 1}):
        assert mesh.web.refused_after(DATABASE) < SLACK
    assert mesh.web.send(DATABASE6, b"ping") == b"ping"


def test_a_patch_leaves_one_way_out_of_the_mesh(mesh: RedirectedLab) -> None:
    """Where traffic may not leave it otherwise: a listener for one destination, and a cluster."""
    endpoint = {"address": {"socketAddress": {"address": OUTSIDE, "portValue": PORT}}}
    cluster = {
        "name": "database",
        "type": "STATIC",
        "connectTimeout": "5s",
        "loadAssignment": {"clusterName": "database", "endpoints": [{"lbEndpoints": [{"endpoint": endpoint}]}]},
    }
    proxy = typed("out", "filters.network.tcp_proxy.v3.TcpProxy", statPrefix="database", cluster="database")
    listener = {
        "name": "database",
        "trafficDirection": "OUTBOUND",
        "bindToPort": False,
        **endpoint,
        "filterChains": [{"filters": [proxy]}],
    }
    mesh.policies.append(patch(modification("cluster", "Add", cluster), modification("listener", "Add", listener)))
    switch_off(mesh)
    with mesh.web.counts({"cluster.database.upstream_cx_total": 1, refused("ipv4"): 0, refused("ipv6"): 1}):
        assert mesh.web.send(DATABASE, b"ping") == b"ping"
        mesh.web.refused_after(DATABASE6)


# ------------------------------------------------------------------------------------ MeshProxyPatch on mesh traffic


def typed(name: str, type_name: str, **config: Any) -> dict[str, Any]:
    """A filter of this name."""
    return {"name": name, "typedConfig": {"@type": f"type.googleapis.com/envoy.extensions.{type_name}", **config}}


def greeting(text: str) -> dict[str, Any]:
    """A filter that answers every connection, and ends it."""
    return typed("greeting", "filters.network.direct_response.v3.Config", response={"inlineString": text})


def heard(host: RedirectedHost, address: Address) -> bytes:
    """What somebody says to an application without being asked."""
    with host.connect(address) as connection:
        return connection.recv(100)


def test_http_filters_stand_where_they_are_put(mesh: RedirectedLab, apps: Apps) -> None:
    def add(operation: str, new: str, **match: Any) -> dict[str, Any]:
        mutations = {
            "requestMutations": [{"append": {"header": {"key": "x-request", "value": new}}}],
            "responseMutations": [{"append": {"header": {"key": f"x-{new}", "value": "passed"}}}],
        }
        one = typed(new, "filters.http.header_mutation.v3.HeaderMutation", mutations=mutations)
        listeners = {"origin": "outbound", "listenerTags": {"kuma.io/service": "backend"}}
        return modification("httpFilter", operation, one, **listeners, **match)

    mesh.policies.append(
        patch(
            add("AddBefore", "third", name="envoy.filters.http.router"),
            add("AddFirst", "first"),
            add("AddAfter", "second", name="first"),
        )
    )
    mesh.roll_out()
    answer = mesh.web.ask(mesh.vip("backend"))
    assert {answer.headers.get(f"x-{name}") for name in ("first", "second", "third")} == {"passed"}
    [request] = apps.one.taken + apps.two.taken
    assert request.values("x-request") == ["first", "second", "third"]
    assert "x-first" not in mesh.web.ask(mesh.vip("web")).headers


def test_a_virtual_host_tries_again(mesh: RedirectedLab, apps: Apps) -> None:
    match = {"origin": "outbound", "name": "backend", "routeConfigurationName": "outbound:backend"}
    retries = {"retryOn": "5xx", "numRetries": 2, "retryBackOff": {"baseInterval": "0.001s"}}
    header = {"header": {"key": "x-patched", "value": "here"}}
    added = {"op": "add", "path": "/responseHeadersToAdd/-", "value": header}
    mesh.policies.append(
        patch(
            modification("virtualHost", "Patch", {"retryPolicy": retries}, **match),
            {"virtualHost": {"operation": "Patch", "match": match, "jsonPatches": [added]}},
        )
    )
    mesh.roll_out()
    apps.one.status = apps.two.status = 503
    with mesh.web.counts({"cluster.backend.upstream_rq_retry": 2}):
        answer = mesh.web.ask(mesh.vip("backend"))
    assert (answer.status, answer.headers.get("x-patched")) == (503, "here")
    assert len(apps.one.taken + apps.two.taken) == 3


def test_a_listener_comes_and_goes_with_its_policy(mesh: RedirectedLab) -> None:
    address = ("127.0.0.1", 7777)
    listener = {
        "name": "greeting",
        "address": {"socketAddress": {"address": address[0], "portValue": address[1]}},
        "filterChains": [{"filters": [greeting("hello")]}],
    }
    mesh.policies.append(patch(modification("listener", "Add", listener)))
    mesh.roll_out()
    assert heard(mesh.web, address) == b"hello"
    mesh.policies.clear()
    mesh.roll_out()

    def gone() -> bool:
        try:
            heard(mesh.web, address)
        except ConnectionRefusedError:
            return True
        return False

    eventually(gone)


def test_what_a_policy_says_for_some_proxies_comes_after_what_one_says_for_all(mesh: RedirectedLab) -> None:
    """Only then is there something that it can patch."""
    store = {"origin": "outbound", "listenerTags": {"kuma.io/service": "store"}}
    general = patch(
        modification("networkFilter", "Remove", **store, name="envoy.filters.network.tcp_proxy"),
        modification("networkFilter", "AddFirst", greeting("for all"), **store),
    )
    special = patch(modification("networkFilter", "Patch", greeting("for web"), **store, name="greeting"))
    special["spec"]["targetRef"] = {"kind": "MeshService", "name": "web"}
    general["name"], special["name"] = "z", "a"
    mesh.policies += [special, general]
    mesh.roll_out()
    assert heard(mesh.web, mesh.vip("store")) == b"for web"
    assert heard(mesh.backend, mesh.vip("store")) == b"for all"


def test_without_its_cluster_a_service_has_no_route(mesh: RedirectedLab, apps: Apps) -> None:
    mesh.policies.append(patch(*[modification("cluster", "Remove", name=name) for name in ("backend", "store")]))
    mesh.roll_out()
    with mesh.web.counts({"http.backend.no_cluster": 1, "tcp.store.downstream_cx_no_route": 1}):
        assert mesh.web.ask(mesh.vip("backend")).status == 503
        assert mesh.web.refused_after(mesh.vip("store")) < SLACK
    assert apps.one.taken + apps.two.taken == []
    assert mesh.web.ask(mesh.vip("web")).status == 200


def test_without_its_listener_a_virtual_ip_is_no_mesh_traffic(mesh: RedirectedLab) -> None:
    match = {"origin": "outbound", "tags": {"kuma.io/service": "backend"}}
    mesh.policies.append(patch(modification("listener", "Remove", **match)))
    switch_off(mesh)
    with mesh.web.counts({refused("ipv4"): 1, "http.backend.downstream_rq_total": 0}):
        assert mesh.web.refused_after(mesh.vip("backend")) < SLACK
