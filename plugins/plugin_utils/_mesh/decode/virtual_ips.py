# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of virtual IPs, a kind of our own that Kuma does not know."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from ..findings import Path, Severity, code
from ..model.virtual_ips import DEFAULT_CIDR, VirtualIPs, virtual_network
from .reader import Reader
from .tags import is_tag_value

WRONG_CIDR = code(
    "MESH240",
    Severity.ERROR,
    "a range is of no use for virtual IPs",
    "Write an IPv4 network that nothing else uses, such as 240.0.0.0/4, which is taken when `cidr` is left out.",
)
WRONG_VIRTUAL_IP = code(
    "MESH241",
    Severity.ERROR,
    "a virtual IP is not an IPv4 address of the range",
    "Take the line out and run the playbook meshsmith.universal.vips, which gives the service another address.",
)
SHARED_VIRTUAL_IP = code(
    "MESH242",
    Severity.ERROR,
    "two services have one virtual IP",
    "Run the playbook meshsmith.universal.vips: the first service by name keeps the address, the other one gets a new "
    "one.",
)
WRONG_SERVICE = code(
    "MESH243",
    Severity.ERROR,
    "a virtual IP belongs to what cannot be a service",
    "Write the service's name as its dataplanes do in `kuma.io/service`, or take the line out.",
)

# Every host of a network answers to it.
_ALL_HOSTS = IPv4Address("255.255.255.255")


def decode_virtual_ips(reader: Reader, value: dict[str, Any]) -> VirtualIPs | None:
    """The virtual IPs of a mesh, or None where findings say why not. That two services share one keeps nobody from
    reading the rest: whoever gives out addresses puts it right."""
    if not reader.conforms("virtualips", value):
        return None
    cidr = _cidr(reader, value["cidr"]) if "cidr" in value else DEFAULT_CIDR
    services: dict[str, str] = dict(sorted(value.get("services", {}).items()))
    if cidr is not None:
        for service, address in services.items():
            _entry(reader, ("services", service), service, address, cidr)
    if cidr is None or not reader.sound:
        return None
    _report_shared(reader, services)
    return VirtualIPs(value["mesh"], cidr, services, reader.document)


def _cidr(reader: Reader, text: str) -> IPv4Network | None:
    try:
        return virtual_network(text)
    except ValueError as error:
        reader.report(WRONG_CIDR, ("cidr",), str(error))
        return None


def _entry(reader: Reader, path: Path, service: str, address: str, cidr: IPv4Network) -> None:
    if not is_tag_value(service):
        reader.report(WRONG_SERVICE, path, "is not the name of a service: letters, digits and . - _ :")
    try:
        parsed = IPv4Address(address)
    except ValueError:
        reader.report(WRONG_VIRTUAL_IP, path, "must be an IPv4 address")
        return
    if parsed not in cidr:
        reader.report(WRONG_VIRTUAL_IP, path, f"must be an address of {cidr}")
    elif parsed == _ALL_HOSTS:
        reader.report(WRONG_VIRTUAL_IP, path, f"cannot be {_ALL_HOSTS}, which means all hosts")


def _report_shared(reader: Reader, services: Mapping[str, str]) -> None:
    """Each service whose address an earlier one by name has; the message names the place of that one."""
    owners: dict[str, str] = {}
    for service, address in services.items():
        owner = owners.setdefault(address, service)
        if owner != service:
            document = reader.document
            where = document.finding(SHARED_VIRTUAL_IP, ("services", owner), "", reader.kind, reader.name).source
            message = f"{address} is also the address of '{owner}' in {where}"
            reader.report(SHARED_VIRTUAL_IP, ("services", service), message)
