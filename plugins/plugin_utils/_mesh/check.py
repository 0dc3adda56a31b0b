# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules over several resources."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from .decode import Resources
from .findings import Code, Finding, Path, Severity, code, did_you_mean, format_path
from .index import Index
from .model.dataplane import Dataplane, Inbound, Outbound
from .source import Document

DUPLICATE = code(
    "MESH030", Severity.ERROR, "a resource is there twice", "Remove or rename one of the two places that are named."
)
NO_MESH = code(
    "MESH031",
    Severity.ERROR,
    "a resource belongs to a mesh that is not described",
    "Add a document with `type: Mesh` and the name, or correct `mesh`. Only the mesh `default` needs none.",
)
NOBODY_OFFERS = code(
    "MESH033",
    Severity.WARNING,
    "an outbound leads to a service that nobody offers",
    "Correct the name, or add the dataplanes that offer it; until then connections to it are refused.",
)
PORT_TAKEN = code(
    "MESH034",
    Severity.WARNING,
    "a port is taken twice on one host",
    "Give each inbound, outbound and application a port of its own; of two listeners only the later one is there.",
)
LOOP = code(
    "MESH035",
    Severity.WARNING,
    "an inbound leads to itself",
    "Say where the application listens: `serviceAddress: 127.0.0.1`, or a `servicePort` that differs from `port`.",
)

NO_VIRTUAL_IP = code(
    "MESH245",
    Severity.ERROR,
    "a service has no virtual IP, and redirected traffic is to reach it",
    "Run the playbook meshsmith.universal.vips, and put the file that it writes under version control.",
)
ONE_WAY = code(
    "MESH246",
    Severity.WARNING,
    "traffic is redirected in one direction only",
    "Set both redirectPortInbound and redirectPortOutbound; until then Envoy would have to listen at the virtual IPs, "
    "which no host has.",
)

NOT_REDIRECTED = code(
    "MESH247",
    Severity.WARNING,
    "an outbound is where redirected traffic never gets to",
    "Take it out and use the virtual IP of the service, or give it an address that the host does not have.",
)

_ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 -- compared with, never bound


def duplicates(resources: Resources) -> Iterator[Finding]:
    """Resources of one kind with the same mesh and name; the second one is the finding, the message names the first."""
    seen: dict[tuple[str, str, str], Document] = {}
    named: list[tuple[str, str, str, Document]] = [("Mesh", "", mesh.name, mesh.document) for mesh in resources.meshes]
    named += [("Dataplane", one.mesh, one.name, one.document) for one in resources.dataplanes]
    named += [(policy.kind, policy.mesh, policy.name, policy.document) for policy in resources.policies]
    named += [("Service", one.namespace, one.name, one.document) for one in resources.services]
    named += [("VirtualIPs", one.mesh, "", one.document) for one in resources.virtual_ips]
    for kind, mesh, name, document in sorted(named, key=lambda one: (one[3].file, one[3].index)):
        first = seen.setdefault((kind, mesh, name), document)
        if first is not document:
            path = ("name",) if name else ("mesh",)
            where = first.finding(DUPLICATE, path, "", kind, name).source
            yield document.finding(DUPLICATE, path, f"this {kind} is also in {where}", kind, name)


def meshes(resources: Resources) -> Iterator[Finding]:
    """Resources of a mesh that no document describes."""
    described = {"default", *(mesh.name for mesh in resources.meshes)}
    members: list[tuple[str, str, str, Document]] = [
        *(("Dataplane", one.mesh, one.name, one.document) for one in resources.dataplanes),
        *((policy.kind, policy.mesh, policy.name, policy.document) for policy in resources.policies),
        *(("VirtualIPs", one.mesh, "", one.document) for one in resources.virtual_ips),
    ]
    for kind, mesh, name, document in members:
        if mesh not in described:
            message = f"there is no Mesh '{mesh}'{did_you_mean(mesh, described)}"
            yield document.finding(NO_MESH, ("mesh",), message, kind, name)


def dataplanes(index: Index) -> Iterator[Finding]:
    """What does not go together on one host, or with what the other dataplanes offer."""
    for dataplane in index.dataplanes.values():
        for outbound in dataplane.outbounds:
            if outbound.service not in index.services:
                hint = did_you_mean(outbound.service, index.services)
                message = f"nobody offers the service '{outbound.service}'{hint}"
                yield _of(dataplane, NOBODY_OFFERS, (*outbound.path, "tags", "kuma.io/service"), message)
        yield from _redirection(index, dataplane)
        yield from _ports(dataplane)
    yield from _virtual_ips(index)


def _redirection(index: Index, dataplane: Dataplane) -> Iterator[Finding]:
    ports = dataplane.transparent_proxying
    if ports is None:
        return
    for position, service in enumerate(ports.reachable_services or ()):
        if service not in index.services:
            message = f"nobody offers the service '{service}'{did_you_mean(service, index.services)}"
            yield _of(dataplane, NOBODY_OFFERS, (*ports.path, "reachableServices", position), message)
    if bool(ports.redirect_port_inbound) is not bool(ports.redirect_port_outbound):
        missing = "redirectPortInbound" if ports.redirect_port_outbound else "redirectPortOutbound"
        yield _of(dataplane, ONE_WAY, ports.path, f"has no {missing}, so traffic is redirected in one direction only")
    if dataplane.redirected:
        own = {dataplane.address, *(inbound.address for inbound in dataplane.inbounds)}
        for outbound in dataplane.outbounds:
            if outbound.address in own or ipaddress.ip_address(outbound.address).is_loopback:
                message = f"cannot be reached: traffic to {outbound.address} stays on the host and is not redirected"
                yield _of(dataplane, NOT_REDIRECTED, outbound.path, message)


def _virtual_ips(index: Index) -> Iterator[Finding]:
    """Services without a virtual IP, once each, at the first dataplane whose redirected traffic may reach them."""
    missing = {service for dataplane in index.dataplanes.values() for service in dataplane.offered_services}
    missing -= index.virtual_outbounds.keys()
    for dataplane in index.dataplanes.values():
        ports = dataplane.transparent_proxying
        if ports is not None:
            for service in sorted(
                missing if ports.reachable_services is None else missing & {*ports.reachable_services}
            ):
                yield _of(dataplane, NO_VIRTUAL_IP, ports.path, f"the service '{service}' has no virtual IP")
                missing.discard(service)


def _ports(dataplane: Dataplane) -> Iterator[Finding]:
    """Listeners on sockets that another listener or an application has."""
    by_port: dict[int, list[Inbound | Outbound]] = {}
    inbounds = [inbound for inbound in dataplane.inbounds if inbound.has_listener]
    listeners: list[Inbound | Outbound] = [*inbounds, *dataplane.outbounds]
    for listening in listeners:
        for earlier in by_port.setdefault(listening.port, []):
            if _overlap(listening.address, earlier.address):
                message = f"{listening.address}:{listening.port} is also that of {format_path(earlier.path)}"
                yield _of(dataplane, PORT_TAKEN, (*listening.path, "port"), message)
                break
        by_port[listening.port].append(listening)
    if dataplane.redirected:
        # Listeners have no sockets of their own then, and may well be where an application listens.
        return
    for inbound in inbounds:
        for listening in by_port.get(inbound.workload_port, ()):
            if not _overlap(listening.address, inbound.workload_address):
                continue
            if listening is inbound:
                socket = f"{inbound.address}:{inbound.port}"
                message = f"leads to itself: the application would have to listen on {socket} as well"
                yield _of(dataplane, LOOP, (*inbound.path, "port"), message)
            else:
                message = f"is where the application of {format_path(inbound.path)} listens"
                yield _of(dataplane, PORT_TAKEN, (*listening.path, "port"), message)


def _overlap(one: str, other: str) -> bool:
    return one == other or one in _ANY_ADDRESS or other in _ANY_ADDRESS


def _of(dataplane: Dataplane, code: Code, path: Path, message: str) -> Finding:
    return dataplane.document.finding(code, path, message, "Dataplane", dataplane.name)
