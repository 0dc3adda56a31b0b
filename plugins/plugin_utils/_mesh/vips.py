# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual IPs: which service gets which address, and the names that lead to it.

An address is a hash of the names of mesh and service. It does not depend on what other services there are, so that
whoever adds one comes to the same address wherever that is done; only where it is taken is the next free one used.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_address

from .decode.virtual_ips import WRONG_CIDR
from .findings import Code, Finding, Path, Severity, code
from .index import Index
from .model.dataplane import Dataplane
from .model.virtual_ips import VirtualIPs

NO_HOST_NAME = code(
    "MESH244",
    Severity.WARNING,
    "a virtual IP lacks a name",
    "Rename the service where its name is to be resolved: a host name consists of labels of up to 63 letters, digits, "
    "'-' and '_', and of 253 characters at most. Until then clients have to use the address.",
)

HEADER = """\
# Written by the playbook meshsmith.universal.vips. Keep it under version control: it is what the services' addresses
# are remembered by. Where branches conflict, keep the lines of both sides and run the playbook.
"""

_DOMAIN = "mesh"
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII | re.IGNORECASE)
_LONGEST_NAME = 253

_PLAIN = re.compile(r"[a-z][a-z0-9._-]*", re.ASCII)
# Values of their own in YAML 1.1.
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


class RangeExhaustedError(Exception):
    """A range has fewer addresses than services need. The text is for the user."""


@dataclass(frozen=True)
class Assignment:
    """Who gets which address. `services` holds all by name; each of them is in one of `kept`, `added` and `moved`,
    which has the earlier address as well. `gone` are those among them that nobody offers, `forgotten` those that were
    among them.
    """

    mesh: str
    cidr: IPv4Network
    services: Mapping[str, str]
    added: Mapping[str, str]
    kept: Mapping[str, str]
    moved: Mapping[str, tuple[str, str]]
    forgotten: Mapping[str, str]
    gone: tuple[str, ...]

    def text(self) -> str:
        """The document, one line for each service: the same bytes for the same addresses."""
        lines = ["---", "type: VirtualIPs", f"mesh: {_scalar(self.mesh)}", f"cidr: {self.cidr}"]
        lines.append("services:" if self.services else "services: {}")
        lines += [f"  {_scalar(service)}: {address}" for service, address in self.services.items()]
        return HEADER + "".join(f"{line}\n" for line in lines)


def assign(
    mesh: str, cidr: IPv4Network, offered: Collection[str], table: Mapping[str, str], forget: bool = False
) -> Assignment:
    """Addresses for the services that are offered and for those in the table, which keep the ones they have.

    An address outside `cidr`, or that an earlier service by name has too, is not kept. With `forget`, services that
    nobody offers lose theirs. RangeExhaustedError if there are not enough addresses.
    """
    forgotten = {service: table[service] for service in sorted(table) if forget and service not in offered}
    kept: dict[str, str] = {}
    taken: set[int] = set()
    for service in sorted(table.keys() - forgotten.keys()):
        address = IPv4Address(table[service])
        if address in cidr and int(address) not in taken:
            kept[service] = str(address)
            taken.add(int(address))
    homeless = sorted({*offered, *table} - kept.keys() - forgotten.keys())
    given = dict(zip(homeless, _free_addresses(mesh, cidr, homeless, taken), strict=True))
    return Assignment(
        mesh=mesh,
        cidr=cidr,
        services=dict(sorted({**kept, **given}.items())),
        added={service: address for service, address in given.items() if service not in table},
        kept=kept,
        moved={service: (table[service], address) for service, address in given.items() if service in table},
        forgotten=forgotten,
        gone=tuple(sorted((kept.keys() | given.keys()) - set(offered))),
    )


def _free_addresses(mesh: str, cidr: IPv4Network, services: Collection[str], taken: set[int]) -> Iterator[str]:
    """An address for each service: from its hash on the first that is not taken. The first and the last address of the
    range are not given out."""
    first, size = int(cidr.network_address) + 1, cidr.num_addresses - 2
    free = size - sum(first <= address < first + size for address in taken)
    if len(services) > free:
        raise RangeExhaustedError(
            f"the range {cidr} has {size} addresses, of which {size - free} are taken, and {len(services)} more are "
            "needed: choose a larger range, or forget services that are gone"
        )
    for service in services:
        offset = hash_of(mesh, service) % size
        while first + offset in taken:
            offset = (offset + 1) % size
        taken.add(first + offset)
        yield str(IPv4Address(first + offset))


def _scalar(text: str) -> str:
    """A text that YAML takes for nothing else."""
    return text if _PLAIN.fullmatch(text) and text not in _WORDS else json.dumps(text)


def hash_of(mesh: str, service: str) -> int:
    """The number that decides on a service's address."""
    return int.from_bytes(hashlib.sha256(f"{mesh}/{service}".encode()).digest()[:8], "big")


def host_names(services: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """By service the names that lead to its address: `<service>.mesh`, and with dots for underscores where it has any.

    Names that are no valid host names are left out, and so are those that would lead to two services: a service's own
    name counts before one with dots for underscores. Upper and lower case are the same.
    """
    services = sorted(services)
    own = Counter(_own_name(service).lower() for service in services)
    claims = Counter(name.lower() for service in services for name in _valid_names(service))
    return {
        service: tuple(
            name for name in _valid_names(service) if (own if name == _own_name(service) else claims)[name.lower()] == 1
        )
        for service in services
    }


def _valid_names(service: str) -> list[str]:
    """The names that a service would have if there were no other."""
    names = dict.fromkeys((_own_name(service), _own_name(service.replace("_", "."))))
    return [name for name in names if _is_host_name(name)]


def _own_name(service: str) -> str:
    return f"{service}.{_DOMAIN}"


def _is_host_name(name: str) -> bool:
    return len(name) <= _LONGEST_NAME and all(_LABEL.fullmatch(label) for label in name.split("."))


def check(index: Index) -> Iterator[Finding]:
    """What is wrong with the virtual IPs of a mesh beside the rest of it."""
    if index.virtual_ips is not None:
        yield from _overlap(index.virtual_ips, index.dataplanes.values())
        yield from _nameless(index.virtual_ips, index.virtual_outbounds)


def _overlap(table: VirtualIPs, dataplanes: Iterable[Dataplane]) -> Iterator[Finding]:
    """The first dataplane that has an address of the range: what is meant for its host would end at a service."""
    for dataplane in dataplanes:
        inbounds = (address for one in dataplane.inbounds for address in (one.address, one.advertised_address))
        for address in (dataplane.address, *inbounds):
            if ip_address(address) in table.cidr:
                message = f"{table.cidr} must not hold {address}, an address of the dataplane '{dataplane.name}'"
                yield _of(table, WRONG_CIDR, ("cidr",), message)
                return


def _nameless(table: VirtualIPs, offered: Collection[str]) -> Iterator[Finding]:
    names = host_names(offered)
    owners: dict[str, list[str]] = {}
    for service in offered:
        for name in _valid_names(service):
            owners.setdefault(name.lower(), []).append(service)
    for service in offered:
        valid = _valid_names(service)
        if not valid:
            message = f"has no name: '{_own_name(service)}' is not a valid host name"
            yield _of(table, NO_HOST_NAME, ("services", service), message)
        for name in valid:
            if name not in names[service]:
                others = " and ".join(f"'{other}'" for other in owners[name.lower()] if other != service)
                message = f"does not have the name '{name}', which is also that of {others}"
                yield _of(table, NO_HOST_NAME, ("services", service), message)


def _of(table: VirtualIPs, code: Code, path: Path, message: str) -> Finding:
    return table.document.finding(code, path, message, "VirtualIPs", "")
