# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where this collection means to differ from Kuma: one named rule per row, README.md has the reasons.

A rule looks at the input alone to say whether it applies to a cluster, and then takes exactly one field out of the
cluster, on both sides. A rule that never makes a difference in a whole run fails the tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .recordings import Resource

SERVICE_TAG = "kuma.io/service"
PROTOCOL_TAG = "kuma.io/protocol"

_SUBSET_CLUSTER = re.compile(r"(.+)-[0-9a-f]{16}\Z")


@dataclass
class Facts:
    """What the rules ask about the input of a case, worked out from the documents alone."""

    # per service the protocol tag of each of its endpoints, in lower case, None where there is none
    protocols: dict[str, list[str | None]] = field(default_factory=dict)
    # every `spec.to[]` of every MeshHealthCheck
    health_checks: list[Resource] = field(default_factory=list)

    @classmethod
    def of(cls, documents: tuple[Resource, ...]) -> Facts:
        facts = cls()
        for document in documents:
            if document["type"] == "Dataplane":
                for inbound in document["networking"].get("inbound", []):
                    if inbound.get("state", "Ready") == "Ready" and inbound.get("health", {}).get("ready", True):
                        protocol = inbound["tags"].get(PROTOCOL_TAG)
                        endpoints = facts.protocols.setdefault(inbound["tags"][SERVICE_TAG], [])
                        endpoints.append(protocol and protocol.lower())
            elif document["type"] == "MeshHealthCheck":
                facts.health_checks.extend(document["spec"].get("to", []))
        return facts

    def protocols_of(self, cluster: str) -> list[str | None]:
        return self.protocols.get(self._service(cluster), [])

    def confs_for(self, cluster: str) -> Iterator[Resource]:
        """The confs that may have gone into the health check of a cluster."""
        for item in self.health_checks:
            target = item["targetRef"]
            if target["kind"] == "Mesh" or target.get("name") == self._service(cluster):
                yield item.get("default", {})

    def _service(self, cluster: str) -> str:
        subset = _SUBSET_CLUSTER.match(cluster)
        return subset[1] if subset and cluster not in self.protocols else cluster


@dataclass(frozen=True)
class Rule:
    """One difference, by its number in README.md. `drop` gets the canonical cluster."""

    row: int
    name: str
    applies: Callable[[Facts, str], bool]
    drop: Callable[[Resource, Facts, str], None]


def _lacks_protocol_tag(facts: Facts, cluster: str) -> bool:
    return None in facts.protocols_of(cluster)


def _speaks(protocol: str) -> Callable[[Facts, str], bool]:
    return lambda facts, cluster: set(facts.protocols_of(cluster)) == {protocol}


def _sends_or_expects_bytes(facts: Facts, cluster: str) -> bool:
    return any(conf.get("tcp", {}).keys() & {"send", "receive"} for conf in facts.confs_for(cluster))


def _headers_with_comma(facts: Facts, cluster: str) -> set[tuple[str, str]]:
    return {
        (operation, header["name"])
        for conf in facts.confs_for(cluster)
        for operation, headers in conf.get("http", {}).get("requestHeadersToAdd", {}).items()
        for header in headers
        if "," in header["value"]
    }


def _has_headers_with_comma(facts: Facts, cluster: str) -> bool:
    return bool(_headers_with_comma(facts, cluster))


def _drop_health_checks(cluster: Resource, _facts: Facts, _name: str) -> None:
    cluster.pop("healthChecks", None)


def _drop_codec(cluster: Resource, _facts: Facts, _name: str) -> None:
    for check in cluster.get("healthChecks", []):
        check.get("httpHealthCheck", {}).pop("codecClientType", None)


def _drop_payload_text(cluster: Resource, _facts: Facts, _name: str) -> None:
    for check in cluster.get("healthChecks", []):
        tcp = check.get("tcpHealthCheck", {})
        for payload in [*([tcp["send"]] if "send" in tcp else []), *tcp.get("receive", [])]:
            payload.pop("text", None)


def _drop_headers_with_comma(cluster: Resource, facts: Facts, name: str) -> None:
    written = _headers_with_comma(facts, name)
    for check in cluster.get("healthChecks", []):
        http = check.get("httpHealthCheck", {})
        if "requestHeadersToAdd" in http:
            kept = [header for header in http["requestHeadersToAdd"] if _operation_and_name(header) not in written]
            http["requestHeadersToAdd"] = kept


def _operation_and_name(header: Resource) -> tuple[str, str]:
    overwrites = header.get("appendAction") == "OVERWRITE_IF_EXISTS_OR_ADD"
    return ("set" if overwrites else "add", header["header"]["key"])


RULES = (
    Rule(6, "a service without a protocol tag speaks tcp", _lacks_protocol_tag, _drop_health_checks),
    Rule(7, "bytes of tcp checks are what the base64 stands for", _sends_or_expects_bytes, _drop_payload_text),
    Rule(8, "header values with commas are sent as written", _has_headers_with_comma, _drop_headers_with_comma),
    Rule(9, "http checks of mesh services speak HTTP/2", _speaks("http"), _drop_codec),
    Rule(24, "kafka services are checked by the tcp section", _speaks("kafka"), _drop_health_checks),
)


# What this collection does not support yet: documents of these kinds are taken out of the input, and the fields that
# they make are taken out of Kuma's answer.
TAKEN_OUT: dict[str, frozenset[str]] = {"MeshRetry": frozenset({"retryPolicy", "maxConnectAttempts"})}

# Cases that cannot be compared yet, by what they need. Each of these must still be refused by `api.load`.
NOT_YET: dict[str, Callable[[Resource], bool]] = {
    "legacy HealthCheck": lambda document: document["type"] == "HealthCheck",
    "legacy TrafficRoute": lambda document: document["type"] == "TrafficRoute",
    "transparent proxying": lambda document: "transparentProxying" in document.get("networking", {}),
}


def without(value: Any, fields: frozenset[str]) -> Any:
    """A copy of the value without the members of these names, however deep."""
    if isinstance(value, dict):
        return {key: without(member, fields) for key, member in value.items() if key not in fields}
    if isinstance(value, list):
        return [without(member, fields) for member in value]
    return value
