# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual IPs: who gets which address, how the document is written, and which names lead there."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api, source, vips
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.model.virtual_ips import DEFAULT_CIDR

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "ci"
EXAMPLES = settings(max_examples=1000 if THOROUGH else 100, derandomize=THOROUGH, database=None, deadline=None)

SMALL = IPv4Network("10.9.0.0/27")

# Names of services, more of them than a small range has addresses, and those that YAML takes for something else.
names = st.one_of(
    st.sampled_from(["y", "on", "null", "1", "1e3", "0x1f", "12:30", ".5", "-", "~", "<<", "a.b", "a_b", "Web"]),
    st.text("abyzABYZ019.-_:", min_size=1, max_size=8),
)
few = st.sets(names, max_size=12)
ranges = st.sampled_from([SMALL, IPv4Network("10.9.0.0/26"), DEFAULT_CIDR])


def assign(offered: set[str], table: dict[str, str] | None = None, **more: Any) -> vips.Assignment:
    return vips.assign("default", more.pop("cidr", SMALL), offered, table or {}, **more)


def in_range(assignment: vips.Assignment) -> bool:
    first, *_others, last = (assignment.cidr.network_address, assignment.cidr.broadcast_address)
    return all(first < IPv4Address(address) < last for address in assignment.services.values())


# --- what holds for every assignment ----------------------------------------------------------------------------------


@EXAMPLES
@given(offered=few, cidr=ranges)
def test_every_service_has_an_address_of_its_own_within_the_range(offered: set[str], cidr: IPv4Network) -> None:
    assignment = assign(offered, cidr=cidr)

    assert list(assignment.services) == sorted(offered)
    assert len({*assignment.services.values()}) == len(offered)
    assert in_range(assignment)
    assert assignment.added == assignment.services


@EXAMPLES
@given(offered=few, remembered=few, data=st.data())
def test_the_order_of_services_does_not_matter(offered: set[str], remembered: set[str], data: st.DataObject) -> None:
    table = dict(assign(remembered).services)
    shuffled = data.draw(st.permutations(sorted(offered)))
    turned = dict(data.draw(st.permutations(sorted(table.items()))))

    assert vips.assign("default", SMALL, shuffled, turned) == assign(offered, table)


@EXAMPLES
@given(first=few, second=few)
def test_what_is_added_changes_nothing_that_is_there(first: set[str], second: set[str]) -> None:
    before = assign(first)
    after = assign(first | second, dict(before.services))

    assert after.kept == before.services
    assert {service: after.services[service] for service in first} == before.services
    assert after.added.keys() == second - first


@EXAMPLES
@given(first=few, second=few)
def test_an_address_that_is_remembered_is_nobody_elses(first: set[str], second: set[str]) -> None:
    before = assign(first)
    after = assign(second, dict(before.services))

    assert before.services.items() <= after.services.items()
    assert not {*after.added.values()} & {*before.services.values()}
    assert after.gone == tuple(sorted(first - second))
    assert assign(first | second, dict(after.services)).services == after.services


@EXAMPLES
@given(first=few, second=few)
def test_who_is_forgotten_is_gone_and_nobody_else(first: set[str], second: set[str]) -> None:
    before = assign(first)
    after = assign(second, dict(before.services), forget=True)

    assert after.services.keys() == second
    assert after.forgotten == {service: before.services[service] for service in sorted(first - second)}
    assert after.kept == {service: before.services[service] for service in sorted(first & second)}
    assert after.gone == ()


@EXAMPLES
@given(common=few, ours=few, theirs=few)
def test_branches_come_to_the_same_addresses_as_one_that_has_both(
    common: set[str], ours: set[str], theirs: set[str]
) -> None:
    base = dict(assign(common, cidr=DEFAULT_CIDR).services)
    branches = [assign(common | side, base, cidr=DEFAULT_CIDR).services for side in (ours, theirs)]

    merged = {**branches[0], **branches[1]}
    assert merged == assign(common | ours | theirs, base, cidr=DEFAULT_CIDR).services


@EXAMPLES
@given(offered=few, remembered=few, cidr=ranges, mesh=names)
def test_the_document_is_read_as_it_was_meant_and_a_second_run_writes_the_same(
    offered: set[str], remembered: set[str], cidr: IPv4Network, mesh: str
) -> None:
    assignment = vips.assign(mesh, cidr, offered, vips.assign(mesh, cidr, remembered, {}).services)
    documents, findings = source.parse(source.Text("vips.yaml", assignment.text().encode()))

    assert not findings
    assert [document.value for document in documents] == [
        {"type": "VirtualIPs", "mesh": mesh, "cidr": str(cidr), "services": dict(assignment.services)}
    ]
    assert vips.assign(mesh, cidr, offered, assignment.services).text() == assignment.text()


@EXAMPLES
@given(few)
def test_no_name_leads_to_two_services(services: set[str]) -> None:
    found = vips.host_names(services)

    every = [name.lower() for those in found.values() for name in those]
    assert len(every) == len({*every})
    assert found.keys() == services
    labels = {label for name in every for label in name.split(".")}
    assert all(re.fullmatch(r"[a-z0-9_](.*[a-z0-9_])?", label) and ":" not in label for label in labels)


# --- single cases -----------------------------------------------------------------------------------------------------


def test_addresses_are_the_same_wherever_and_whenever_they_are_worked_out() -> None:
    """Another hash would move every service that is not yet written down on another branch."""
    assert vips.assign("default", DEFAULT_CIDR, ["backend", "web"], {}).services == {
        "backend": "252.29.109.30",
        "web": "246.130.144.169",
    }


def test_the_mesh_is_a_part_of_what_decides() -> None:
    one, other = (vips.assign(mesh, DEFAULT_CIDR, ["web"], {}).services for mesh in ("one", "other"))

    assert one != other


def colliding(cidr: IPv4Network) -> tuple[str, str]:
    """Two services for which the same address is the first choice, in the order of their names."""
    first: dict[int, str] = {}
    for number in range(1000):
        service = f"service-{number:03}"
        slot = vips.hash_of("default", service) % (cidr.num_addresses - 2)
        if slot in first:
            return first[slot], service
        first[slot] = service
    raise AssertionError


def test_who_comes_second_to_an_address_gets_the_next_one() -> None:
    first, second = colliding(SMALL)
    services = assign({first, second}).services

    assert services[first] == assign({first}).services[first] == assign({second}).services[second]
    size = SMALL.num_addresses - 2
    positions = [int(IPv4Address(services[one])) - int(SMALL.network_address) - 1 for one in (first, second)]
    assert positions[1] == (positions[0] + 1) % size


def test_after_a_merge_the_first_by_name_keeps_a_shared_address() -> None:
    first, second = colliding(SMALL)
    table = {**assign({first}).services, **assign({second}).services}
    assert len({*table.values()}) == 1

    assignment = assign({first, second}, table)
    assert assignment.kept == {first: table[first]}
    assert assignment.moved == {second: (table[second], assignment.services[second])}
    assert len({*assignment.services.values()}) == 2
    assert not assignment.added


def test_another_range_moves_those_who_are_outside_of_it() -> None:
    assignment = assign({"web"}, {"web": "10.9.0.7", "api": "240.0.0.1", "old": "240.0.0.2"})

    assert assignment.kept == {"web": "10.9.0.7"}
    assert {service: before for service, (before, _after) in assignment.moved.items()} == {
        "api": "240.0.0.1",
        "old": "240.0.0.2",
    }
    assert in_range(assignment)
    assert assignment.gone == ("api", "old")


def test_the_ends_of_a_range_are_kept_where_they_are_written_and_not_given_out() -> None:
    cidr = IPv4Network("10.9.0.0/30")
    table = {"a": "10.9.0.0", "b": "10.9.0.3"}

    assert assign(set(), table, cidr=cidr).services == table
    assert {*assign({"c", "d"}, table, cidr=cidr).added.values()} == {"10.9.0.1", "10.9.0.2"}


def test_the_last_address_of_a_range_is_found() -> None:
    everybody = {f"service-{number}" for number in range(SMALL.num_addresses - 2)}

    assert {*assign(everybody).services.values()} == {str(address) for address in SMALL.hosts()}


def test_a_range_without_addresses_left_says_so() -> None:
    everybody = {f"service-{number:02}" for number in range(SMALL.num_addresses - 2)}
    table = assign(everybody).services

    message = (
        "the range 10.9.0.0/27 has 30 addresses, of which 30 are taken, and 2 more are needed: "
        "choose a larger range, or forget services that are gone"
    )
    with pytest.raises(vips.RangeExhaustedError, match=re.escape(message)):
        assign({"one", "two"}, dict(table))
    assert assign({"one", "two"}, dict(table), forget=True).services.keys() == {"one", "two"}
    assert len(assign({"one", "two"}, dict(table), cidr=IPv4Network("10.9.0.0/26")).services) == 32


@pytest.mark.parametrize(
    ("services", "found"),
    [
        (["web"], {"web": ("web.mesh",)}),
        (
            ["backend_kuma-demo_svc_3001"],
            {
                "backend_kuma-demo_svc_3001": (
                    "backend_kuma-demo_svc_3001.mesh",
                    "backend.kuma-demo.svc.3001.mesh",
                )
            },
        ),
        (["a.b", "a_b"], {"a.b": ("a.b.mesh",), "a_b": ("a_b.mesh",)}),
        (["a.b_c", "a_b.c"], {"a.b_c": ("a.b_c.mesh",), "a_b.c": ("a_b.c.mesh",)}),
        (["Web", "web"], {"Web": (), "web": ()}),
        (["a__b", "_c"], {"a__b": ("a__b.mesh",), "_c": ("_c.mesh",)}),
        (["web:80", "-web", "web-", "web."], {"web:80": (), "-web": (), "web-": (), "web.": ()}),
        (["w" * 63, "w" * 64], {"w" * 63: (f"{'w' * 63}.mesh",), "w" * 64: ()}),
        ([f"{'w' * 62}." * 4], {f"{'w' * 62}." * 4: ()}),
    ],
)
def test_names_of_services(services: list[str], found: dict[str, tuple[str, ...]]) -> None:
    assert vips.host_names(services) == found


# --- by the door ------------------------------------------------------------------------------------------------------


def dataplane(*inbounds: dict[str, Any], mesh: str = "default", name: str = "web-1") -> dict[str, Any]:
    return {
        "type": "Dataplane",
        "mesh": mesh,
        "name": name,
        "networking": {"address": "192.0.2.1", "inbound": list(inbounds)},
    }


def inbound(service: str, port: int, **more: Any) -> dict[str, Any]:
    return {"port": port, "serviceAddress": "127.0.0.1", "tags": {"kuma.io/service": service}, **more}


Load = Callable[..., api.Universe]


def test_every_service_of_an_inbound_gets_one_whatever_its_health(load_resources: Load) -> None:
    universe = load_resources(
        dataplane(
            inbound("web", 8080),
            inbound("sick", 8081, health={"ready": False}),
            inbound("starting", 8082, state="NotReady"),
            inbound("ignored", 8083, state="Ignored"),
            inbound("nothing", 49151),
        )
    )

    assert sorted(api.virtual_ips(universe).services) == ["sick", "starting", "web"]


def test_the_table_of_the_mesh_is_what_is_remembered(load_resources: Load) -> None:
    table = {"type": "VirtualIPs", "mesh": "default", "cidr": "10.9.0.0/16", "services": {"old": "10.9.8.7"}}
    universe = load_resources(dataplane(inbound("web", 8080)), table)

    assignment = api.virtual_ips(universe)
    assert (assignment.mesh, str(assignment.cidr)) == ("default", "10.9.0.0/16")
    assert (dict(assignment.kept), assignment.gone) == ({"old": "10.9.8.7"}, ("old",))
    assert api.virtual_ips(universe, forget=True).forgotten == {"old": "10.9.8.7"}
    assert api.virtual_ips(universe, cidr="10.10.0.0/16").moved.keys() == {"old"}


def test_of_several_meshes_one_has_to_be_named(load_resources: Load) -> None:
    universe = load_resources(
        {"type": "Mesh", "name": "blue", "skipCreatingInitialPolicies": ["*"]},
        {"type": "Mesh", "name": "green", "skipCreatingInitialPolicies": ["*"]},
        dataplane(inbound("web", 8080), mesh="blue"),
        dataplane(inbound("api", 8080), mesh="green"),
    )

    assert list(api.virtual_ips(universe, "green").services) == ["api"]
    with pytest.raises(api.MeshError, match="there are several meshes, one has to be named: blue, green"):
        api.virtual_ips(universe)
    with pytest.raises(api.MeshError, match=r"there is no mesh 'gren'; did you mean 'green'\?"):
        api.virtual_ips(universe, "gren")


@pytest.mark.parametrize(
    ("cidr", "message"),
    [
        ("fd00::/8", "cidr must be an IPv4 network such as 240.0.0.0/4"),
        ("10.0.0.0/30", "the range 10.0.0.0/30 has 2 addresses, of which 0 are taken, and 3 more are needed"),
    ],
)
def test_a_range_that_is_of_no_use_is_refused(load_resources: Load, cidr: str, message: str) -> None:
    universe = load_resources(dataplane(*(inbound(f"service-{number}", 8080 + number) for number in range(3))))

    with pytest.raises(api.MeshError, match=re.escape(message)):
        api.virtual_ips(universe, cidr=cidr)
