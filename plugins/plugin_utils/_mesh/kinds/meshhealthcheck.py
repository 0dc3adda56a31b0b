# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""MeshHealthCheck: active health checks of the services that a proxy consumes (Kuma 2.7, `meshhealthcheck`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from decimal import Decimal
from typing import Any

from ..envoy import health_check
from ..findings import NO_EFFECT, Severity, code
from ..model import field_name
from ..model.duration import Duration
from ..model.meshhealthcheck import HttpHealthCheck, MeshHealthCheckConf, TcpHealthCheck
from ..model.target_ref import TargetKind
from ..protocol import Protocol
from . import meshcircuitbreaker
from .policy_kind import Effects, PolicyKind, Problem, Situation

NO_CHECK = code(
    "MESH201",
    Severity.ERROR,
    "a MeshHealthCheck names no protocol to check",
    "Write at least one of `http`, `tcp`, `grpc`; an empty mapping (`tcp: {}`) is enough.",
)

HOST_HEADER = code(
    "MESH202",
    Severity.ERROR,
    "a health check changes the host header",
    "Envoy refuses that. Take the header out; a proxy that is checked answers whatever the host.",
)

NO_PANIC = code(
    "MESH203",
    Severity.WARNING,
    "a panic threshold that can never be reached",
    "Write a section for the protocol of the service, so that it is checked, or raise `maxEjectionPercent`.",
)
# What says something also where no check is made, or how to make one.
_WITHOUT_CHECK = frozenset({"healthyPanicThreshold", "failTrafficOnPanic", "http", "tcp", "grpc"})

_INTERVAL = Duration.parse("1m")
_TIMEOUT = Duration.parse("15s")
_UNHEALTHY_THRESHOLD = 5
_HEALTHY_THRESHOLD = 1
_PATH = "/"


def _check(conf: MeshHealthCheckConf) -> Iterator[Problem]:
    if conf.http is None and conf.tcp is None and conf.grpc is None:
        yield Problem(NO_CHECK, (), "must have at least one of http, tcp, grpc")
    modifier = conf.http.request_headers_to_add if conf.http is not None else None
    if modifier is not None:
        for section, headers in (("set", modifier.set), ("add", modifier.add)):
            for index, header in enumerate(headers or ()):
                if header.name == "host":
                    path = ("http", "requestHeadersToAdd", section, index, "name")
                    yield Problem(HOST_HEADER, path, "must not be host, which Envoy does not let a check change")


def _on_cluster(cluster: dict[str, Any], conf: MeshHealthCheckConf, protocol: Protocol) -> None:
    if conf.healthy_panic_threshold is not None:
        cluster.setdefault("commonLbConfig", {})["healthyPanicThreshold"] = {
            "value": _number(conf.healthy_panic_threshold)
        }
    if conf.fail_traffic_on_panic is not None:
        cluster.setdefault("commonLbConfig", {})["zoneAwareLbConfig"] = {
            "failTrafficOnPanic": conf.fail_traffic_on_panic
        }
    check = _protocol_check(conf, protocol)
    if check is not None:
        cluster.setdefault("healthChecks", []).append({**_timing(conf), **check})


def _protocol_check(conf: MeshHealthCheckConf, protocol: Protocol) -> dict[str, Any] | None:
    """At most one check per service (`configurer.go`): that of its protocol, or tcp where that one is disabled."""
    tcp = conf.tcp if conf.tcp is not None and not conf.tcp.disabled else None
    if protocol in (Protocol.HTTP, Protocol.HTTP2) and conf.http is not None:
        if not conf.http.disabled:
            return _http(conf.http)
        return _tcp(tcp) if tcp is not None else None
    if protocol is Protocol.GRPC and conf.grpc is not None:
        if not conf.grpc.disabled:
            return health_check.grpc(conf.grpc.service_name, conf.grpc.authority)
        return _tcp(tcp) if tcp is not None else None
    # Kafka falls back to the more general protocol, as documented.
    if protocol in (Protocol.TCP, Protocol.KAFKA) and tcp is not None:
        return _tcp(tcp)
    return None


def _http(conf: HttpHealthCheck) -> dict[str, Any]:
    modifier = conf.request_headers_to_add
    headers = []
    if modifier is not None:
        headers += [health_check.header(one.name, one.value, overwrite=False) for one in modifier.add or ()]
        headers += [health_check.header(one.name, one.value, overwrite=True) for one in modifier.set or ()]
    return health_check.http(conf.path or _PATH, conf.expected_statuses or (), headers)


def _tcp(conf: TcpHealthCheck) -> dict[str, Any]:
    return health_check.tcp(conf.send, conf.receive or ())


def _timing(conf: MeshHealthCheckConf) -> dict[str, Any]:
    timing: dict[str, Any] = {
        "interval": (conf.interval or _INTERVAL).proto(),
        "timeout": (conf.timeout or _TIMEOUT).proto(),
        "unhealthyThreshold": conf.unhealthy_threshold or _UNHEALTHY_THRESHOLD,
        "healthyThreshold": conf.healthy_threshold or _HEALTHY_THRESHOLD,
    }
    for key, duration in (
        ("initialJitter", conf.initial_jitter),
        ("intervalJitter", conf.interval_jitter),
        ("noTrafficInterval", conf.no_traffic_interval),
    ):
        if duration is not None:
            timing[key] = duration.proto()
    if conf.interval_jitter_percent is not None:
        timing["intervalJitterPercent"] = conf.interval_jitter_percent
    if conf.event_log_path is not None:
        timing["eventLogger"] = [health_check.event_log(conf.event_log_path)]
    if conf.always_log_health_check_failures is not None:
        timing["alwaysLogHealthCheckFailures"] = conf.always_log_health_check_failures
    if conf.reuse_connection is not None:
        timing["reuseConnection"] = conf.reuse_connection
    return timing


def _unused(conf: MeshHealthCheckConf, situation: Situation) -> Iterator[Problem]:
    protocol = situation.protocol
    own = "http" if protocol in (Protocol.HTTP, Protocol.HTTP2) else "grpc" if protocol is Protocol.GRPC else "tcp"
    disabled = own != "tcp" and getattr(conf, own) is not None and getattr(conf, own).disabled
    for name in ("tcp", "http", "grpc"):
        if getattr(conf, name) is not None and name != own and not (name == "tcp" and disabled):
            yield Problem(NO_EFFECT, (name,), f"has no effect: the service speaks {protocol.value}")
    if _protocol_check(conf, protocol) is None:
        for one in fields(conf):
            name = field_name(one.name)
            if name not in _WITHOUT_CHECK and getattr(conf, one.name) is not None:
                yield Problem(NO_EFFECT, (name,), "has no effect: the service is not checked")


def _advice(conf: MeshHealthCheckConf, situation: Situation) -> Iterator[Problem]:
    threshold = conf.healthy_panic_threshold
    checked = _protocol_check(conf, situation.protocol) is not None
    if threshold is None or checked or not situation.endpoints:
        return
    hosts = situation.endpoints
    left = hosts - meshcircuitbreaker.ejectable(situation.confs.get("MeshCircuitBreaker"), hosts)
    if 0 < threshold <= Decimal(100 * left) / hosts:
        message = f"is never reached: the service is not checked, and outlier detection leaves {left} of {hosts} hosts"
        yield Problem(NO_PANIC, ("healthyPanicThreshold",), message)


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


KIND = PolicyKind(
    name="MeshHealthCheck",
    schema="meshhealthcheck",
    conf=MeshHealthCheckConf,
    top=frozenset({TargetKind.MESH, TargetKind.MESH_SUBSET, TargetKind.MESH_SERVICE, TargetKind.MESH_SERVICE_SUBSET}),
    to=frozenset({TargetKind.MESH, TargetKind.MESH_SERVICE}),
    check=_check,
    unused=_unused,
    advice=_advice,
    outbound=Effects(cluster=_on_cluster),
)
