# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules of the role `transparent_proxy` redirect and close, and what they leave alone.

    behind --- host --- outside

Nobody needs an Envoy for that: listeners stand where it would, and say where connections wanted to go.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from lab.namespaces import WHY_NOT, Namespace, accept, original_destination
from lab.role import ENVOY, ROLE, rendered

pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)

HOST, HOST6 = "10.98.0.1", "fd98::1"
OUTSIDE, OUTSIDE6 = "10.98.0.2", "fd98::2"
BEHIND = "10.97.0.2"
VIP = "240.0.0.1"
APPLICATION, BACKUP = 1000, 34
INBOUND, OUTBOUND = 15006, 15001
ON_HOST = pytest.mark.parametrize("host", [HOST, HOST6])
ON_OUTSIDE = pytest.mark.parametrize("outside", [OUTSIDE, OUTSIDE6])

# What the role is told, by what a test calls it.
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "exclusions": {
        "transparent_proxy_exclude_inbound_ports": [9000, "9100-9110"],
        "transparent_proxy_exclude_outbound_ports": [3306, "4000-4010"],
        "transparent_proxy_exclude_outbound_cidrs": ["10.98.0.128/25", "fd98::8000/113"],
        "transparent_proxy_exclude_users": ["backup"],
    },
    "from outside": {"transparent_proxy_exclude_inbound_cidrs": ["10.98.0.0/24", "fd98::/64"]},
    "IPv4 only": {"transparent_proxy_ipv6": "never"},
    "other ports": {
        "transparent_proxy_inbound_port": 16006,
        "transparent_proxy_inbound_port_ipv6": 16010,
        "transparent_proxy_outbound_port": 16001,
    },
    "gateway": {"transparent_proxy_redirect_inbound": False},
    "secured": {
        "transparent_proxy_secure_inbounds": True,
        "transparent_proxy_secure_ports": [7000],
        "mesh_dataplane": {
            "address": HOST,
            "inbound": [{"port": 8080}, {"port": 8081, "servicePort": 18081}, {"port": 8080, "address": HOST6}],
        },
    },
    "secured and excluded": {
        "transparent_proxy_secure_ports": [7000],
        "transparent_proxy_secure_inbounds": True,
        "mesh_dataplane": {"address": HOST, "inbound": [{"port": 8080}, {"port": 8080, "address": HOST6}]},
        "transparent_proxy_exclude_inbound_cidrs": ["10.98.0.0/24", "fd98::/64"],
    },
    "secured locally": {
        "transparent_proxy_secure_ports": [7000],
        "transparent_proxy_secure_local": True,
        "transparent_proxy_secure_users": ["backup"],
    },
    "dropped": {"transparent_proxy_secure_ports": [7000], "transparent_proxy_secure_verdict": "drop"},
    "secured without redirection": {
        "transparent_proxy_redirect": False,
        "transparent_proxy_secure_inbounds": True,
        "transparent_proxy_secure_local": True,
        "mesh_dataplane": {"address": HOST, "inbound": [{"port": 8080}, {"port": 8081, "servicePort": 18081}]},
    },
}


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    template = ROLE / "templates" / "envoy-mesh-rules.nft.j2"
    return rendered(tmp_path_factory.mktemp("rules"), template, VARIANTS)


class Network:
    """The three hosts, and the listeners on them."""

    def __init__(self, rules: dict[str, str], cleanup: contextlib.ExitStack) -> None:
        self._rules = rules
        self._cleanup = cleanup
        self.host, self.outside, self.behind = (
            self._namespace(f"meshsmith-{os.getpid()}-{name}") for name in ("host", "outside", "behind")
        )
        self.host.join("wan", self.outside, "lan", [(f"{HOST}/24", f"{OUTSIDE}/24"), (f"{HOST6}/64", f"{OUTSIDE6}/64")])
        self.host.join("lan", self.behind, "wan", [("10.97.0.1/24", f"{BEHIND}/24")])
        self.host.run("ip", "route", "add", "default", "via", OUTSIDE)
        self.outside.run("ip", "route", "add", "10.97.0.0/24", "via", HOST)
        self.behind.run("ip", "route", "add", "default", "via", "10.97.0.1")
        self.host.run("sysctl", "--quiet", "net.ipv4.ip_forward=1")
        self.host.run("ip", "address", "add", "::6/128", "dev", "lo")
        # More addresses of the hosts; nobody asks the neighbours about fd98::9000, which is on the cable.
        self.outside.run("ip", "address", "add", "10.98.0.200/24", "dev", "lan")
        self.outside.run("ip", "address", "add", "fd98::9000/64", "dev", "lan", "nodad")
        self.listeners: dict[socket.socket, str] = {}
        for port in (INBOUND, OUTBOUND):
            for address in ("0.0.0.0", "::"):
                self.listen(self.host, address, port, "inbound" if port == INBOUND else "outbound")

    def _namespace(self, name: str) -> Namespace:
        made = Namespace(name)
        self._cleanup.callback(made.remove)
        return made

    def listen(self, on: Namespace, address: str, port: int, name: str) -> socket.socket:
        listener = self._cleanup.enter_context(on.listen(address, port))
        self.listeners[listener] = name
        return listener

    def load(self, variant: str) -> None:
        self.host.run("nft", "--file", "-", given=self._rules[variant])

    def reached(self, client: Namespace, address: str, port: int, **how: Any) -> tuple[str, tuple[str, int]]:
        """Who is reached by a connection, and where it was seen to go."""
        with client.connect(address, port, **how):
            listener, connection = accept(list(self.listeners))
            with connection:
                name = self.listeners[listener]
                seen = original_destination if name in ("inbound", "outbound") else socket.socket.getsockname
                return name, seen(connection)[:2]


@pytest.fixture
def network(rules: dict[str, str]) -> Iterator[Network]:
    with contextlib.ExitStack() as cleanup:
        yield Network(rules, cleanup)


@ON_HOST
def test_connections_from_other_hosts_come_in_through_envoy(network, host):
    network.load("plain")
    for port in (80, 8080, 65535):
        assert network.reached(network.outside, host, port) == ("inbound", (host, port))


@ON_OUTSIDE
def test_connections_to_other_hosts_go_out_through_envoy(network, outside):
    network.load("plain")
    for user in (0, APPLICATION):
        assert network.reached(network.host, outside, 80, user=user) == ("outbound", (outside, 80))


def test_an_address_that_no_host_has_leads_to_envoy(network):
    network.load("plain")
    assert network.reached(network.host, VIP, 80, user=APPLICATION) == ("outbound", (VIP, 80))


@ON_HOST
def test_ssh_and_the_port_of_the_connection_do_not_go_through_envoy(network, host):
    network.load("plain")
    for port in (22, 2200, 2222):
        network.listen(network.host, host, port, "management")
        assert network.reached(network.outside, host, port) == ("management", (host, port))


@ON_OUTSIDE
def test_envoy_itself_leaves_the_host(network, outside):
    network.load("plain")
    network.listen(network.outside, outside, 80, "outside")
    assert network.reached(network.host, outside, 80, user=ENVOY) == ("outside", (outside, 80))


@pytest.mark.parametrize("address", ["127.0.0.1", HOST, "::1", HOST6])
def test_applications_of_the_host_reach_each_other_directly(network, address):
    network.load("plain")
    network.listen(network.host, address, 7000, "application")
    assert network.reached(network.host, address, 7000, user=APPLICATION) == ("application", (address, 7000))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_envoy_reaches_an_application_on_loopback(network, address):
    network.load("plain")
    network.listen(network.host, address, 7000, "application")
    assert network.reached(network.host, address, 7000, user=ENVOY) == ("application", (address, 7000))


@pytest.mark.parametrize(("address", "source"), [(HOST, "127.0.0.6"), ("127.0.0.1", "127.0.0.6"), (HOST6, "::6")])
def test_envoy_hands_connections_to_an_application(network, address, source):
    network.load("plain")
    network.listen(network.host, address, 7000, "application")
    assert network.reached(network.host, address, 7000, user=ENVOY, source=source) == ("application", (address, 7000))


@ON_HOST
def test_envoy_calls_another_service_of_its_host_through_the_inbound(network, host):
    network.load("plain")
    network.listen(network.host, host, 7000, "application")
    assert network.reached(network.host, host, 7000, user=ENVOY) == ("inbound", (host, 7000))


def test_what_the_host_forwards_is_left_alone(network):
    network.load("plain")
    network.listen(network.outside, OUTSIDE, 80, "outside")
    assert network.reached(network.behind, OUTSIDE, 80) == ("outside", (OUTSIDE, 80))
    assert network.reached(network.behind, "10.97.0.1", 80) == ("inbound", ("10.97.0.1", 80))


def test_datagrams_are_left_alone(network):
    network.load("plain")
    with network.outside.socket(OUTSIDE, kind=socket.SOCK_DGRAM) as server:
        server.bind((OUTSIDE, 53))
        with network.host.socket(OUTSIDE, APPLICATION, socket.SOCK_DGRAM) as client:
            client.sendto(b"question", (OUTSIDE, 53))
            assert server.recv(100) == b"question"


@ON_HOST
def test_excluded_ports_of_this_host(network, host):
    network.load("exclusions")
    for port in (9000, 9105):
        network.listen(network.host, host, port, "application")
        assert network.reached(network.outside, host, port) == ("application", (host, port))
    assert network.reached(network.outside, host, 9001) == ("inbound", (host, 9001))


@ON_OUTSIDE
def test_excluded_ports_of_other_hosts(network, outside):
    network.load("exclusions")
    for port in (3306, 4005):
        network.listen(network.outside, outside, port, "outside")
        assert network.reached(network.host, outside, port) == ("outside", (outside, port))
    assert network.reached(network.host, outside, 3307) == ("outbound", (outside, 3307))


@ON_HOST
def test_an_excluded_port_of_other_hosts_is_no_way_around_the_inbound(network, host):
    network.load("exclusions")
    assert network.reached(network.host, host, 3306, user=ENVOY) == ("inbound", (host, 3306))


@pytest.mark.parametrize("address", ["10.98.0.200", "fd98::9000"])
def test_excluded_networks_of_other_hosts(network, address):
    network.load("exclusions")
    network.listen(network.outside, address, 80, "outside")
    assert network.reached(network.host, address, 80) == ("outside", (address, 80))


@ON_OUTSIDE
def test_excluded_users(network, outside):
    network.load("exclusions")
    network.listen(network.outside, outside, 80, "outside")
    assert network.reached(network.host, outside, 80, user=BACKUP) == ("outside", (outside, 80))
    assert network.reached(network.host, outside, 80, user=APPLICATION) == ("outbound", (outside, 80))


@ON_HOST
def test_excluded_networks_that_call_this_host(network, host):
    network.load("from outside")
    network.listen(network.host, host, 80, "application")
    assert network.reached(network.outside, host, 80) == ("application", (host, 80))
    assert network.reached(network.behind, HOST, 81) == ("inbound", (HOST, 81))


def test_ipv6_can_be_left_alone(network):
    network.load("IPv4 only")
    network.listen(network.outside, OUTSIDE6, 80, "outside")
    network.listen(network.host, HOST6, 80, "application")
    assert network.reached(network.host, OUTSIDE6, 80) == ("outside", (OUTSIDE6, 80))
    assert network.reached(network.outside, HOST6, 80) == ("application", (HOST6, 80))
    assert network.reached(network.host, OUTSIDE, 80) == ("outbound", (OUTSIDE, 80))


def test_the_ports_may_be_others(network):
    network.load("other ports")
    for address, port, name in [
        ("0.0.0.0", 16006, "inbound"),
        ("::", 16010, "inbound"),
        ("0.0.0.0", 16001, "outbound"),
        ("::", 16001, "outbound"),
    ]:
        network.listen(network.host, address, port, name)
    for host, outside in ((HOST, OUTSIDE), (HOST6, OUTSIDE6)):
        assert network.reached(network.outside, host, 80) == ("inbound", (host, 80))
        assert network.reached(network.host, outside, 80) == ("outbound", (outside, 80))
        assert network.reached(network.host, host, 80, user=ENVOY) == ("inbound", (host, 80))


@pytest.mark.parametrize(("host", "outside"), [(HOST, OUTSIDE), (HOST6, OUTSIDE6)])
def test_a_gateway_takes_its_traffic_itself(network, host, outside):
    network.load("gateway")
    network.listen(network.host, host, 80, "gateway")
    assert network.reached(network.outside, host, 80) == ("gateway", (host, 80))
    assert network.reached(network.host, outside, 80) == ("outbound", (outside, 80))


@ON_HOST
def test_nobody_calls_envoys_own_ports(network, host):
    """Envoy would take itself for the destination of such a connection, and call itself without end."""
    network.load("plain")
    for port in (INBOUND, OUTBOUND):
        for client, address in ((network.outside, host), (network.host, "127.0.0.1"), (network.host, "::1")):
            if (port, client) == (OUTBOUND, network.outside):
                # It comes in as one for that port. What Envoy then dials is refused.
                assert network.reached(client, address, port) == ("inbound", (host, port))
                client = network.host
                how = {"user": ENVOY, "source": "::6" if ":" in host else "127.0.0.6"}
            else:
                how = {}
            with pytest.raises(ConnectionRefusedError):
                client.connect(address, port, **how)


@ON_OUTSIDE
def test_the_same_ports_of_another_host_can_be_called(network, outside):
    network.load("plain")
    for port in (INBOUND, OUTBOUND):
        assert network.reached(network.host, outside, port) == ("outbound", (outside, port))


@pytest.mark.parametrize("address", [HOST, HOST6])
def test_a_connection_outlives_the_rules_being_loaded_and_removed(network, address):
    """Also one that nobody kept track of before: there were no rules at all."""
    outward = OUTSIDE if address == HOST else OUTSIDE6
    server = network.host.listen(address, 7000)
    far = network.outside.listen(outward, 7000)
    inward = [network.outside.connect(address, 7000), server.accept()[0]]
    outgoing = [network.host.connect(outward, 7000), far.accept()[0]]
    for step in ("load", "reload", "remove"):
        if step == "remove":
            network.host.run("nft", "delete", "table", "inet", "meshsmith")
        else:
            network.load("plain")
        for one, other in (inward, outgoing, reversed(inward), reversed(outgoing)):
            one.sendall(step.encode())
            other.settimeout(5)
            assert other.recv(100) == step.encode()
    for each in (server, far, *inward, *outgoing):
        each.close()


@ON_OUTSIDE
def test_a_redirected_connection_outlives_a_reload(network, outside):
    network.load("plain")
    with network.host.connect(outside, 80, user=APPLICATION) as client:
        _listener, connection = accept(list(network.listeners))
        with connection:
            network.load("exclusions")
            client.sendall(b"question")
            assert connection.recv(100) == b"question"
            connection.sendall(b"answer")
            assert client.recv(100) == b"answer"


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_is_left_of_a_removed_table(network, variant):
    network.host.run("nft", "add table ip other; add chain ip other mine { type filter hook input priority 0; }")
    before = network.host.run("nft", "list", "ruleset")
    network.load(variant)
    network.load(variant)
    assert network.host.run("nft", "list", "ruleset") != before
    network.host.run("nft", "add table inet meshsmith; delete table inet meshsmith")
    assert network.host.run("nft", "list", "ruleset") == before


def test_secured_ports_are_closed_to_other_hosts(network):
    network.load("secured")
    for port in (7000, 18081, 8080):
        for address in ("0.0.0.0", "::"):
            network.listen(network.host, address, port, "application")
    for address in (HOST, HOST6):
        for port in (7000, 18081):
            with pytest.raises(ConnectionRefusedError):
                network.outside.connect(address, port)
            assert network.reached(network.host, address, port) == ("application", (address, port))


def test_a_secured_port_that_is_one_of_the_mesh_leads_through_envoy(network):
    network.load("secured")
    for address, port in ((HOST, 8080), (HOST6, 8080), (HOST, 8081)):
        assert network.reached(network.outside, address, port) == ("inbound", (address, port))
    # Another address of the host is no inbound, and Envoy would hand it through to the application.
    with pytest.raises(ConnectionRefusedError):
        network.behind.connect("10.97.0.1", 8080)


@ON_HOST
def test_a_secured_port_stays_closed_for_networks_that_bypass_envoy(network, host):
    network.load("secured and excluded")
    for port in (7000, 8080):
        network.listen(network.host, host, port, "application")
        with pytest.raises(ConnectionRefusedError):
            network.outside.connect(host, port)


@ON_HOST
def test_envoy_reaches_secured_ports(network, host):
    network.load("secured locally")
    source = "::6" if ":" in host else "127.0.0.6"
    network.listen(network.host, host, 7000, "application")
    assert network.reached(network.host, host, 7000, user=ENVOY, source=source) == ("application", (host, 7000))


@pytest.mark.parametrize("address", ["127.0.0.1", HOST, "::1", HOST6])
def test_secured_ports_can_be_closed_to_other_users(network, address):
    network.load("secured locally")
    network.listen(network.host, address, 7000, "application")
    assert network.reached(network.host, address, 7000, user=BACKUP) == ("application", (address, 7000))
    for user in (0, APPLICATION):
        with pytest.raises(ConnectionRefusedError):
            network.host.connect(address, 7000, user=user)


@ON_OUTSIDE
def test_secured_ports_of_other_hosts_are_no_business_of_this_one(network, outside):
    for variant in ("secured locally", "secured without redirection"):
        network.load(variant)
        network.listen(network.outside, outside, 7000 if variant == "secured locally" else 18081, "outside")
    network.load("secured locally")
    assert network.reached(network.host, outside, 7000) == ("outbound", (outside, 7000))
    network.load("secured without redirection")
    assert network.reached(network.host, outside, 18081) == ("outside", (outside, 18081))


@ON_HOST
def test_secured_ports_may_give_no_answer(network, host):
    network.load("dropped")
    network.listen(network.host, host, 7000, "application")
    with pytest.raises(TimeoutError):
        network.outside.connect(host, 7000, wait=0.3)


def test_ports_are_secured_without_redirection(network):
    network.load("secured without redirection")
    network.listen(network.host, HOST, 8080, "Envoy's inbound")
    network.listen(network.host, "127.0.0.1", 8080, "application")
    network.listen(network.host, "0.0.0.0", 18081, "application")
    network.listen(network.host, HOST6, 18081, "application")
    network.listen(network.host, HOST, 9000, "not of the mesh")
    assert network.reached(network.outside, HOST, 8080) == ("Envoy's inbound", (HOST, 8080))
    assert network.reached(network.outside, HOST, 9000) == ("not of the mesh", (HOST, 9000))
    assert network.reached(network.host, HOST, 8080, user=APPLICATION) == ("Envoy's inbound", (HOST, 8080))
    assert network.reached(network.host, "127.0.0.1", 8080, user=ENVOY) == ("application", ("127.0.0.1", 8080))
    for address in (HOST, HOST6, "10.97.0.1"):
        client = network.behind if address == "10.97.0.1" else network.outside
        with pytest.raises(ConnectionRefusedError):
            client.connect(address, 18081)
    for address, port in (("127.0.0.1", 8080), ("127.0.0.1", 18081), (HOST, 18081)):
        with pytest.raises(ConnectionRefusedError):
            network.host.connect(address, port, user=APPLICATION)
    assert "nat" not in network.host.run("nft", "list", "ruleset")
