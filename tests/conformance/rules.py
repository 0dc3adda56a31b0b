# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where this collection means to differ from Kuma: one named rule per difference, README.md has the reasons.

A rule looks at the input alone to say whether it applies to a resource, and then takes exactly one field out of the
resource, or one condition or its spelling out of `retry_on`, on both sides. A rule that never makes a difference in a
whole run fails the tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .facts import Destination
from .protos import CLUSTER, LISTENER
from .recordings import Resource


@dataclass(frozen=True)
class Rule:
    """One difference, by its number in README.md. `drop` gets the canonical resource, one of the type `type_url`."""

    row: int
    name: str
    type_url: str
    applies: Callable[[Destination], bool]
    drop: Callable[[Resource, Destination], None]

    def __str__(self) -> str:
        return f"rule {self.row}, {self.name}"


def _lacks_protocol_tag(destination: Destination) -> bool:
    return None in destination.protocols


def _speaks(protocol: str) -> Callable[[Destination], bool]:
    return lambda destination: destination.protocols == {protocol}


def _speaks_http2(destination: Destination) -> bool:
    # What http2 and grpc have in common is http2.
    return "http2" in destination.protocols and destination.protocols <= {"http2", "grpc"}


def _is_checked_as_tcp(destination: Destination) -> bool:
    return any("tcp" in conf for conf in destination.health_checks)


def _is_retried_as(section: str) -> Callable[[Destination], bool]:
    return lambda destination: any(section in conf for conf in destination.retries)


def _all(*conditions: Callable[[Destination], bool]) -> Callable[[Destination], bool]:
    return lambda destination: all(condition(destination) for condition in conditions)


def _sends_or_expects_bytes(destination: Destination) -> bool:
    return any(conf.get("tcp", {}).keys() & {"send", "receive"} for conf in destination.health_checks)


def _headers_with_comma(destination: Destination) -> set[tuple[str, str]]:
    return {
        (operation, header["name"])
        for conf in destination.health_checks
        for operation, headers in conf.get("http", {}).get("requestHeadersToAdd", {}).items()
        for header in headers
        if "," in header["value"]
    }


def _has_headers_with_comma(destination: Destination) -> bool:
    return bool(_headers_with_comma(destination))


def _retries_canceled(destination: Destination) -> bool:
    return any("Canceled" in section.get("retryOn", []) for section in destination.request_retries)


def _looks_at_response_headers(destination: Destination) -> bool:
    return any(section.get("retriableResponseHeaders") for section in destination.request_retries)


def _lacks_per_try_timeout(destination: Destination) -> bool:
    sections = destination.request_retries
    return bool(sections) and not any("perTryTimeout" in section for section in sections)


def _has_maximum_without_base(destination: Destination) -> bool:
    given = {field for section in destination.request_retries for field in section.get("backOff", {})}
    return given == {"maxInterval"}


def _is_passthrough(destination: Destination) -> bool:
    return destination.is_passthrough


def _drop_default_connect_timeout(cluster: Resource, _destination: Destination) -> None:
    # One that a MeshProxyPatch sets is compared.
    if cluster["connectTimeout"] in ("5s", "10s"):
        del cluster["connectTimeout"]


def _drop_health_checks(cluster: Resource, _destination: Destination) -> None:
    cluster.pop("healthChecks", None)


def _drop_codec(cluster: Resource, _destination: Destination) -> None:
    for check in cluster.get("healthChecks", []):
        check.get("httpHealthCheck", {}).pop("codecClientType", None)


def _drop_payload_text(cluster: Resource, _destination: Destination) -> None:
    for check in cluster.get("healthChecks", []):
        tcp = check.get("tcpHealthCheck", {})
        for payload in [*([tcp["send"]] if "send" in tcp else []), *tcp.get("receive", [])]:
            payload.pop("text", None)


def _drop_headers_with_comma(cluster: Resource, destination: Destination) -> None:
    written = _headers_with_comma(destination)
    for check in cluster.get("healthChecks", []):
        http = check.get("httpHealthCheck", {})
        if "requestHeadersToAdd" in http:
            kept = [header for header in http["requestHeadersToAdd"] if _operation_and_name(header) not in written]
            http["requestHeadersToAdd"] = kept


def _operation_and_name(header: Resource) -> tuple[str, str]:
    overwrites = header.get("appendAction") == "OVERWRITE_IF_EXISTS_OR_ADD"
    return ("set" if overwrites else "add", header["header"]["key"])


def _filters(listener: Resource) -> Iterator[Resource]:
    for chain in listener.get("filterChains", []):
        for one in chain.get("filters", []):
            yield one["typedConfig"]


def _actions(listener: Resource) -> Iterator[Resource]:
    for one in _filters(listener):
        for host in one.get("routeConfig", {}).get("virtualHosts", []):
            for route in host.get("routes", []):
                yield route.get("route", {})


def _retry_policies(listener: Resource) -> Iterator[Resource]:
    return (action["retryPolicy"] for action in _actions(listener) if "retryPolicy" in action)


def _drop_attempts(listener: Resource, _destination: Destination) -> None:
    for one in _filters(listener):
        one.pop("maxConnectAttempts", None)


def _drop_retry_policy(listener: Resource, _destination: Destination) -> None:
    for action in _actions(listener):
        action.pop("retryPolicy", None)


def _drop_per_try_timeout(listener: Resource, _destination: Destination) -> None:
    for policy in _retry_policies(listener):
        policy.pop("perTryTimeout", None)


def _drop_base_interval(listener: Resource, _destination: Destination) -> None:
    for policy in _retry_policies(listener):
        policy.get("retryBackOff", {}).pop("baseInterval", None)


def _drop_retriable_headers(listener: Resource, _destination: Destination) -> None:
    for policy in _retry_policies(listener):
        conditions = policy.get("retryOn", "").split(",")
        policy["retryOn"] = ",".join(one for one in conditions if one != "retriable-headers")


def _drop_spelling_of_cancelled(listener: Resource, _destination: Destination) -> None:
    for policy in _retry_policies(listener):
        conditions = policy.get("retryOn", "").split(",")
        policy["retryOn"] = ",".join("cancelled" if one == "canceled" else one for one in conditions)


_UNTAGGED_CHECKED = _all(_lacks_protocol_tag, _is_checked_as_tcp)
_UNTAGGED_RETRIED = _all(_lacks_protocol_tag, _is_retried_as("tcp"))
_HTTP2_RETRIED = _all(_speaks_http2, _is_retried_as("http"))
_KAFKA_CHECKED = _all(_speaks("kafka"), _is_checked_as_tcp)
_KAFKA_RETRIED = _all(_speaks("kafka"), _is_retried_as("tcp"))

RULES = (
    Rule(2, "Canceled is spelled as Envoy knows it", LISTENER, _retries_canceled, _drop_spelling_of_cancelled),
    Rule(3, "response headers are looked at", LISTENER, _looks_at_response_headers, _drop_retriable_headers),
    Rule(4, "a try times out after 15s by default", LISTENER, _lacks_per_try_timeout, _drop_per_try_timeout),
    Rule(5, "requests to http2 services are retried", LISTENER, _HTTP2_RETRIED, _drop_retry_policy),
    Rule(6, "services without a protocol tag have tcp checks", CLUSTER, _UNTAGGED_CHECKED, _drop_health_checks),
    Rule(6, "services without a protocol tag have tcp attempts", LISTENER, _UNTAGGED_RETRIED, _drop_attempts),
    Rule(7, "bytes of tcp checks are what the base64 stands for", CLUSTER, _sends_or_expects_bytes, _drop_payload_text),
    Rule(8, "header values are sent as written", CLUSTER, _has_headers_with_comma, _drop_headers_with_comma),
    Rule(9, "http checks of mesh services speak HTTP/2", CLUSTER, _speaks("http"), _drop_codec),
    Rule(13, "passthrough has 10s to connect", CLUSTER, _is_passthrough, _drop_default_connect_timeout),
    Rule(22, "a back-off has a base interval", LISTENER, _has_maximum_without_base, _drop_base_interval),
    Rule(24, "kafka services have tcp checks", CLUSTER, _KAFKA_CHECKED, _drop_health_checks),
    Rule(24, "kafka services have tcp attempts", LISTENER, _KAFKA_RETRIED, _drop_attempts),
)


# Cases that cannot be compared yet, by what they need. Each of these must still be refused by `api.load`.
NOT_YET: dict[str, Callable[[Resource], bool]] = {
    "legacy HealthCheck": lambda document: document["type"] == "HealthCheck",
    "legacy TrafficRoute": lambda document: document["type"] == "TrafficRoute",
}


def _base_intervals_of_zero(document: Resource) -> Iterator[str]:
    items = document["spec"].get("to", []) if document["type"] == "MeshRetry" else []
    for index, item in enumerate(items):
        for section in ("http", "grpc"):
            interval = item.get("default", {}).get(section, {}).get("backOff", {}).get("baseInterval")
            if interval is not None and not re.search("[1-9]", interval):
                yield f"spec.to[{index}].default.{section}.backOff.baseInterval"


# Cases that are refused here on purpose and by Kuma not, by the row that says so. Each gives the places in a document.
REFUSED: dict[str, Callable[[Resource], Iterator[str]]] = {
    "row 23, a base interval of zero": _base_intervals_of_zero,
}
