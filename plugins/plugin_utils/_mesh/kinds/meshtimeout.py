# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""MeshTimeout: how long connections, requests and silence may last (Kuma 2.7, `meshtimeout`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..envoy import cluster, route
from ..findings import NO_EFFECT, Severity, code
from ..model.duration import Duration
from ..model.meshtimeout import HttpTimeouts, MeshTimeoutConf
from ..model.target_ref import TargetKind
from ..protocol import Protocol
from .policy_kind import Effects, PolicyKind, Problem, Situation

NO_TIMEOUT = code(
    "MESH220",
    Severity.ERROR,
    "a MeshTimeout, or its `http`, names no timeout",
    "Write at least one. In `http`, `requestHeadersTimeout` needs another one beside it.",
)
IDLE_BETWEEN_CHECKS = code(
    "MESH221",
    Severity.WARNING,
    "connections are closed sooner than the service is checked again",
    "Raise `idleTimeout`, or lower the interval of the MeshHealthCheck.",
)

# What counts where a configuration applies, but does not say so (`pkg/plugins/policies/core/defaults`).
_OFF = Duration(0)
_CONNECTION = Duration.parse("5s")
_IDLE = Duration.parse("1h")
_REQUEST = Duration.parse("15s")
_STREAM_IDLE = Duration.parse("30m")


def request_timeout(conf: MeshTimeoutConf | None) -> Duration:
    """After how long a request times out; zero for never."""
    return _OFF if conf is None else _http(conf).request_timeout or _REQUEST


def _http(conf: MeshTimeoutConf) -> HttpTimeouts:
    return conf.http or HttpTimeouts()


def _check(conf: MeshTimeoutConf) -> Iterator[Problem]:
    if conf == MeshTimeoutConf():
        yield Problem(NO_TIMEOUT, (), "must have at least one of connectionTimeout, idleTimeout, http")
    elif conf.http is not None and conf.http == HttpTimeouts(request_headers_timeout=conf.http.request_headers_timeout):
        names = "requestTimeout, streamIdleTimeout, maxStreamDuration, maxConnectionDuration"
        yield Problem(NO_TIMEOUT, ("http",), f"must have at least one of {names}")


def _on_connection_manager(manager: dict[str, Any], conf: MeshTimeoutConf | None, _protocol: Protocol) -> None:
    """HTTP connections to the proxy may be idle for ever, configuration or not."""
    manager.setdefault("commonHttpProtocolOptions", {})["idleTimeout"] = _OFF.proto()
    if conf is not None:
        manager["requestHeadersTimeout"] = (_http(conf).request_headers_timeout or _OFF).proto()


def _on_route(config: dict[str, Any], conf: MeshTimeoutConf | None, _protocol: Protocol) -> None:
    if conf is not None:
        for action in route.actions(config):
            action["timeout"] = _or(_http(conf).request_timeout, _REQUEST)
            action["idleTimeout"] = _or(_http(conf).stream_idle_timeout, _STREAM_IDLE)


def _on_tcp_proxy(proxy: dict[str, Any], conf: MeshTimeoutConf | None, _protocol: Protocol) -> None:
    if conf is not None:
        proxy["idleTimeout"] = _or(conf.idle_timeout, _IDLE)


def _on_cluster(resource: dict[str, Any], conf: MeshTimeoutConf | None, protocol: Protocol) -> None:
    """The cluster of a service or of the application behind an inbound. Kuma leaves the options of grpc alone."""
    if conf is None:
        return
    resource["connectTimeout"] = _or(conf.connection_timeout, _CONNECTION)
    if protocol in (Protocol.HTTP, Protocol.HTTP2):
        cluster.common_http_options(resource).update(
            idleTimeout=_or(conf.idle_timeout, _IDLE),
            maxStreamDuration=_or(_http(conf).max_stream_duration, _OFF),
            maxConnectionDuration=_or(_http(conf).max_connection_duration, _OFF),
        )


def _or(written: Duration | None, constant: Duration) -> str:
    return (constant if written is None else written).proto()


def _unused(conf: MeshTimeoutConf, situation: Situation) -> Iterator[Problem]:
    protocol = situation.protocol
    if not protocol.is_http and conf.http is not None:
        yield Problem(NO_EFFECT, ("http",), f"has no effect: the service speaks {protocol.value}")
    elif protocol is Protocol.GRPC:
        for path, value in (
            (("idleTimeout",), conf.idle_timeout),
            (("http", "maxStreamDuration"), _http(conf).max_stream_duration),
            (("http", "maxConnectionDuration"), _http(conf).max_connection_duration),
        ):
            if value is not None:
                yield Problem(NO_EFFECT, path, "has no effect on a service that speaks grpc")


def _advice(conf: MeshTimeoutConf, situation: Situation) -> Iterator[Problem]:
    # Of grpc the idle timeout has no effect anyhow.
    checks = None if situation.protocol is Protocol.GRPC else situation.confs.get("MeshHealthCheck")
    idle = conf.idle_timeout
    if checks is not None and checks.interval is not None and idle is not None and _OFF < idle < checks.interval:
        yield Problem(IDLE_BETWEEN_CHECKS, ("idleTimeout",), f"is below the interval of checks, {checks.interval}")


_EFFECTS = Effects(
    cluster=_on_cluster, tcp_proxy=_on_tcp_proxy, connection_manager=_on_connection_manager, route=_on_route
)

KIND = PolicyKind(
    name="MeshTimeout",
    schema="meshtimeout",
    conf=MeshTimeoutConf,
    top=frozenset({TargetKind.MESH, TargetKind.MESH_SUBSET, TargetKind.MESH_SERVICE, TargetKind.MESH_SERVICE_SUBSET}),
    to=frozenset({TargetKind.MESH, TargetKind.MESH_SERVICE}),
    not_yet=frozenset({"MeshGateway", "MeshHTTPRoute"}),
    from_=frozenset({TargetKind.MESH}),
    lists=("from", "to"),
    check=_check,
    outbound=_EFFECTS,
    inbound=_EFFECTS,
    touches_all=True,
    unused=_unused,
    advice=_advice,
)
