# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dataplane documents (Kuma 2.7, `dataplane_validator.go`)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from .. import versions
from ..findings import Path, Severity, code, did_you_mean, format_path
from ..model.dataplane import (
    MESH_TAG,
    PROTOCOL_TAG,
    SERVICE_TAG,
    ZONE_TAG,
    Dataplane,
    Inbound,
    IpFamilyMode,
    Outbound,
    State,
    Tags,
    TransparentProxying,
)
from ..protocol import PROTOCOLS
from ..schema import MISSING, NOT_ONE_OF, OUT_OF_RANGE, UNSUPPORTED
from .envelope import check_envelope, content
from .reader import Reader
from .tags import WRONG_TAG, check_tags

WRONG_ADDRESS = code("MESH025", Severity.ERROR, "a text is not an address", "Write an IPv4 or IPv6 address.")
WRONG_SHAPE_OF_PROXY = code(
    "MESH028",
    Severity.ERROR,
    "a dataplane is neither sidecar nor delegated gateway",
    "A sidecar has `inbound`, a delegated gateway has `gateway` and no `inbound`.",
)

# What Kuma's admin listens on, and addresses that overlap it. Compared with, never bound.
_OVERLAP_LOOPBACK = ("127.0.0.1", "0.0.0.0", "::")  # noqa: S104


def decode_dataplane(reader: Reader, value: dict[str, Any]) -> Dataplane | None:
    """A Dataplane, or None where findings say why not."""
    body, decodable = reader.proto_json("dataplane", content(value))
    fits = check_envelope(reader, value)
    if not decodable:
        return None
    if "networking" not in body:
        reader.report(MISSING, ("networking",), "must be set")
        return None
    dataplane = _networking(reader, value.get("mesh", ""), body["networking"])
    return dataplane if fits and reader.sound else None


def _networking(reader: Reader, mesh: str, networking: dict[str, Any]) -> Dataplane:
    at: Path = ("networking",)
    inbounds, gateway = networking.get("inbound", []), networking.get("gateway")
    address = networking.get("address", "")
    _address(reader, (*at, "address"), address)
    advertised = networking.get("advertisedAddress", "")
    if advertised:
        _address(reader, (*at, "advertisedAddress"), advertised)
    gateway_tags: Tags | None = None
    if gateway is not None:
        gateway_tags = _gateway(reader, (*at, "gateway"), gateway)
        if inbounds:
            reader.report(WRONG_SHAPE_OF_PROXY, (*at, "inbound"), "cannot be set for a gateway")
    elif not inbounds:
        reader.report(WRONG_SHAPE_OF_PROXY, at, "must have at least one inbound, or be a delegated gateway")
    admin_port = _integer(networking.get("admin", {}), "port")
    dataplane = Dataplane(
        mesh=mesh,
        name=reader.name,
        address=address,
        inbounds=tuple(
            _inbound(reader, (*at, "inbound", index), inbound, address, advertised)
            for index, inbound in enumerate(inbounds)
        ),
        outbounds=tuple(
            _outbound(reader, (*at, "outbound", index), outbound)
            for index, outbound in enumerate(networking.get("outbound", []))
        ),
        gateway_tags=gateway_tags,
        admin_port=admin_port or None,
        transparent_proxying=_transparent_proxying(reader, (*at, "transparentProxying"), networking),
        document=reader.document,
    )
    if admin_port:
        _admin(reader, (*at, "admin", "port"), admin_port, dataplane)
    return dataplane


def _transparent_proxying(reader: Reader, at: Path, networking: dict[str, Any]) -> TransparentProxying | None:
    written = networking.get("transparentProxying")
    if written is None:
        return None
    for key in ("redirectPortInbound", "redirectPortOutbound", "redirectPortInboundV6"):
        if _integer(written, key):
            _port(reader, (*at, key), _integer(written, key))
    services = written.get("reachableServices")
    return TransparentProxying(
        redirect_port_inbound=_integer(written, "redirectPortInbound"),
        redirect_port_outbound=_integer(written, "redirectPortOutbound"),
        redirect_port_inbound_v6=_integer(written, "redirectPortInboundV6"),
        ip_family_mode=IpFamilyMode(written.get("ipFamilyMode", IpFamilyMode.UNSPECIFIED.value)),
        # A list without items is none, as in protobuf.
        reachable_services=tuple(services) if services else None,
        path=at,
    )


def _admin(reader: Reader, path: Path, port: int, dataplane: Dataplane) -> None:
    if not _port(reader, path, port):
        return
    for inbound in dataplane.inbounds:
        if (inbound.address in _OVERLAP_LOOPBACK and inbound.port == port) or (
            inbound.workload_address in _OVERLAP_LOOPBACK and inbound.workload_port == port
        ):
            reader.report(OUT_OF_RANGE, path, f"must differ from the ports of {format_path(inbound.path)}")
    for outbound in dataplane.outbounds:
        if outbound.address in _OVERLAP_LOOPBACK and outbound.port == port:
            reader.report(OUT_OF_RANGE, path, f"must differ from the port of {format_path(outbound.path)}")


def _gateway(reader: Reader, at: Path, gateway: dict[str, Any]) -> Tags:
    if gateway.get("type", "DELEGATED") == "BUILTIN":
        reader.report(UNSUPPORTED, (*at, "type"), "not supported yet: builtin gateways")
    tags: dict[str, str] = gateway.get("tags", {})
    if SERVICE_TAG not in tags:
        reader.report(WRONG_TAG, (*at, "tags"), f"must have the tag {SERVICE_TAG}")
    if tags.get(PROTOCOL_TAG, "tcp").lower() != "tcp":
        reader.report(WRONG_TAG, (*at, "tags", PROTOCOL_TAG), "must be tcp, or be left out")
    check_tags(reader, (*at, "tags"), tags)
    return _in_zone(tags)


def _inbound(reader: Reader, at: Path, inbound: dict[str, Any], address: str, advertised: str) -> Inbound:
    port, own_address = _integer(inbound, "port"), inbound.get("address", "")
    service_port, service_address = _integer(inbound, "servicePort"), inbound.get("serviceAddress", "")
    _port(reader, (*at, "port"), port)
    if service_port:
        _port(reader, (*at, "servicePort"), service_port)
    if own_address:
        _ip(reader, (*at, "address"), own_address)
    listens_at = own_address or address
    if service_address and _ip(reader, (*at, "serviceAddress"), service_address):
        if (service_address, service_port or port) == (listens_at, port):
            reader.report(
                OUT_OF_RANGE,
                (*at, "serviceAddress"),
                "must differ, with servicePort, from the inbound's address and port",
            )
    tags: dict[str, str] = inbound.get("tags", {})
    if SERVICE_TAG not in tags:
        reader.report(WRONG_TAG, (*at, "tags", SERVICE_TAG), "must be set")
    protocol = tags.get(PROTOCOL_TAG)
    if protocol is not None and protocol.lower() not in PROTOCOLS:
        allowed = ", ".join(sorted(PROTOCOLS))
        reader.report(
            NOT_ONE_OF, (*at, "tags", PROTOCOL_TAG), f"must be one of {allowed}{did_you_mean(protocol, PROTOCOLS)}"
        )
    check_tags(reader, (*at, "tags"), tags)
    return Inbound(
        address=listens_at,
        port=port,
        advertised_address=advertised or listens_at,
        workload_address=service_address or listens_at,
        workload_port=service_port or port,
        tags=_in_zone(tags),
        state=State(inbound.get("state", State.READY.value)),
        ready=inbound.get("health", {"ready": True}).get("ready", False),
        path=at,
    )


def _outbound(reader: Reader, at: Path, outbound: dict[str, Any]) -> Outbound:
    port, address = _integer(outbound, "port"), outbound.get("address", "")
    _port(reader, (*at, "port"), port)
    if address:
        _ip(reader, (*at, "address"), address)
    tags: dict[str, str] = outbound.get("tags", {})
    if SERVICE_TAG not in tags:
        reader.report(WRONG_TAG, (*at, "tags"), f"must have the tag {SERVICE_TAG}")
    if MESH_TAG in tags:
        reader.report(UNSUPPORTED, (*at, "tags", MESH_TAG), "not supported yet: services of other meshes")
    check_tags(reader, (*at, "tags"), tags)
    return Outbound(address=address or "127.0.0.1", port=port, tags=dict(sorted(tags.items())), path=at)


def _integer(written: Mapping[str, Any], key: str) -> int:
    """A number that fits its schema, where 8080.0 is an integer as well; 0 where it is not set, as in protobuf."""
    return int(written.get(key, 0))


def _port(reader: Reader, path: Path, port: int) -> bool:
    if 1 <= port <= 65535:
        return True
    reader.report(OUT_OF_RANGE, path, "must be a port, 1 to 65535")
    return False


def _ip(reader: Reader, path: Path, address: str) -> bool:
    if _is_ip(address):
        return True
    reader.report(WRONG_ADDRESS, path, "must be an IP address")
    return False


def _address(reader: Reader, path: Path, address: str) -> None:
    if not address:
        reader.report(WRONG_ADDRESS, path, "must be set to an IP address")
    elif not _is_ip(address):
        reader.report(
            WRONG_ADDRESS,
            path,
            "must be an IP address (host names, which a control plane resolves, are not supported yet)",
        )
    elif ipaddress.ip_address(address).is_unspecified:
        reader.report(WRONG_ADDRESS, path, "must be an address that others can reach, not 0.0.0.0 or ::")


def _in_zone(tags: Mapping[str, str]) -> Tags:
    """Tags sorted, with the zone that a control plane writes over whatever stands there (`dataplane_manager.go`)."""
    return dict(sorted({**tags, ZONE_TAG: versions.ZONE}.items()))


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text
