# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Active health checks of a cluster."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import tokens, type_urls


def http(path: str, expected_statuses: Iterable[int], headers: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """A request over HTTP/2, which the clusters of the mesh speak; each status is a range of one."""
    check: dict[str, Any] = {
        "path": path,
        "codecClientType": "HTTP2",
        "requestHeadersToAdd": [{"header": {"key": "x-kuma-tags", "value": tokens.SOURCE_TAGS}}, *headers],
    }
    ranges = [{"start": str(status), "end": str(status + 1)} for status in expected_statuses]
    if ranges:
        check["expectedStatuses"] = ranges
    return {"httpHealthCheck": check}


def header(name: str, value: str, *, overwrite: bool) -> dict[str, Any]:
    """A request header that is added, or that takes the place of another of the same name; sent as written."""
    # To Envoy the value is a format, in which a percent sign is two.
    option: dict[str, Any] = {"header": {"key": name, "value": value.replace("%", "%%")}}
    if overwrite:
        option["appendAction"] = "OVERWRITE_IF_EXISTS_OR_ADD"
    return option


def tcp(send: bytes | None, receive: Iterable[bytes]) -> dict[str, Any]:
    """A connection, and what is sent and expected over it (Envoy takes payloads as hexadecimal text)."""
    check: dict[str, Any] = {}
    if send:
        check["send"] = {"text": send.hex()}
    blocks = [{"text": block.hex()} for block in receive if block]
    if blocks:
        check["receive"] = blocks
    return {"tcpHealthCheck": check}


def grpc(service_name: str | None, authority: str | None) -> dict[str, Any]:
    """A call of grpc.health.v1.Health/Check."""
    check: dict[str, Any] = {}
    if service_name:
        check["serviceName"] = service_name
    if authority:
        check["authority"] = authority
    return {"grpcHealthCheck": check}


def event_log(path: str) -> dict[str, Any]:
    """Where ejections and returns are written, one JSON object a line."""
    return {
        "name": "envoy.health_check.event_sinks.file",
        "typedConfig": {"@type": type_urls.HEALTH_CHECK_EVENT_FILE_SINK, "eventLogPath": path},
    }
