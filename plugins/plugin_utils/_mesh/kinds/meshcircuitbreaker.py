# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""MeshCircuitBreaker: limits, and passive checks that eject hosts (Kuma 2.7, `meshcircuitbreaker`)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from ..envoy import circuit_breaker
from ..findings import NO_EFFECT, Path, Severity, code
from ..model.dataplane import Inbound
from ..model.meshcircuitbreaker import (
    ConnectionLimits,
    Detectors,
    MeshCircuitBreakerConf,
    OutlierDetection,
)
from ..model.target_ref import TargetKind
from ..protocol import Protocol
from .policy_kind import Effects, PolicyKind, Problem, Situation

EMPTY = code(
    "MESH230",
    Severity.ERROR,
    "a MeshCircuitBreaker, or its outlier detection, is empty",
    "Write `connectionLimits` or `outlierDetection`, and in the latter at least one detector.",
)
NEVER_EJECTS = code(
    "MESH231",
    Severity.WARNING,
    "an outlier detection ejects nobody",
    "Raise `maxEjectionPercent`, or take the detection out.",
)
NEVER_FIRES = code(
    "MESH232",
    Severity.WARNING,
    "no detector of an outlier detection can fire",
    "See the message for what each of them needs on this service.",
)

_MINIMUM_HOSTS = 5
_STANDARD_DEVIATION_FACTOR = Decimal("1.9")
_LARGEST = 2**32 - 1
_MAX_EJECTION_PERCENT = 10


def max_retries(conf: MeshCircuitBreakerConf | None) -> int | None:
    """The limit of retries at a time, None where no policy sets limits."""
    if conf is None or conf.connection_limits is None:
        return None
    return conf.connection_limits.max_retries or circuit_breaker.DEFAULT_MAX_RETRIES


def ejectable(conf: MeshCircuitBreakerConf | None, hosts: int) -> int:
    """How many of a service's hosts can be ejected. Envoy rounds down, from the first host on."""
    detection = conf.outlier_detection if conf is not None else None
    if detection is None or detection.disabled:
        return 0
    percent = detection.max_ejection_percent
    return hosts * (_MAX_EJECTION_PERCENT if percent is None else percent) // 100


def _check(conf: MeshCircuitBreakerConf) -> Iterator[Problem]:
    if conf == MeshCircuitBreakerConf():
        yield Problem(EMPTY, (), "must have connectionLimits or outlierDetection")
    detection = conf.outlier_detection
    if detection is not None and detection.detectors in (None, Detectors()):
        names = "totalFailures, gatewayFailures, localOriginFailures, successRate, failurePercentage"
        yield Problem(EMPTY, ("outlierDetection", "detectors"), f"must have at least one of {names}")


def _on_cluster(resource: dict[str, Any], conf: MeshCircuitBreakerConf, _protocol: Protocol) -> None:
    """The cluster of a service or of the application behind an inbound, whatever it speaks."""
    if conf.connection_limits is not None:
        resource["circuitBreakers"] = {"thresholds": [_threshold(conf.connection_limits)]}
    detection = conf.outlier_detection
    if detection is not None and not detection.disabled:
        resource["outlierDetection"] = _outlier_detection(detection)


def _threshold(limits: ConnectionLimits) -> dict[str, int]:
    return _given(
        maxConnections=limits.max_connections,
        maxConnectionPools=limits.max_connection_pools,
        maxPendingRequests=limits.max_pending_requests,
        maxRetries=limits.max_retries,
        maxRequests=limits.max_requests,
    )


def _outlier_detection(detection: OutlierDetection) -> dict[str, Any]:
    detectors = detection.detectors or Detectors()
    rate, percentage = detectors.success_rate, detectors.failure_percentage
    made: dict[str, Any] = _given(
        interval=None if detection.interval is None else detection.interval.proto(),
        baseEjectionTime=None if detection.base_ejection_time is None else detection.base_ejection_time.proto(),
        maxEjectionPercent=detection.max_ejection_percent,
        splitExternalLocalOriginErrors=detection.split_external_and_local_errors,
    )
    for name, detector in (
        ("5xx", detectors.total_failures),
        ("GatewayFailure", detectors.gateway_failures),
        ("LocalOriginFailure", detectors.local_origin_failures),
    ):
        made.update(circuit_breaker.consecutive(name, None if detector is None else detector.consecutive))
    made.update(circuit_breaker.enforcing_success_rate(rate is not None))
    if rate is not None:
        factor = rate.standard_deviation_factor
        made.update(
            _given(
                successRateMinimumHosts=rate.minimum_hosts,
                successRateRequestVolume=rate.request_volume,
                successRateStdevFactor=None if factor is None else min(int(factor * 1000), _LARGEST),
            )
        )
    made.update(circuit_breaker.enforcing_failure_percentage(percentage is not None))
    if percentage is not None:
        made.update(
            _given(
                failurePercentageMinimumHosts=percentage.minimum_hosts,
                failurePercentageRequestVolume=percentage.request_volume,
                failurePercentageThreshold=percentage.threshold,
            )
        )
    return made


def _given(**members: Any) -> dict[str, Any]:
    """Those members that are not None."""
    return {name: value for name, value in members.items() if value is not None}


def _local_port(inbound: Inbound) -> int:
    """Kuma looks for the application's cluster by the port of the inbound, not by that of the application."""
    return inbound.port


def _unused(conf: MeshCircuitBreakerConf, situation: Situation) -> Iterator[Problem]:
    inbound = situation.inbound
    if inbound is not None and inbound.port != inbound.workload_port:
        message = f"has no effect on the application of an inbound whose servicePort is not its port, {inbound.port}"
        for name, section in (
            ("connectionLimits", conf.connection_limits),
            ("outlierDetection", conf.outlier_detection),
        ):
            if section is not None:
                yield Problem(NO_EFFECT, (name,), message)
    detection = conf.outlier_detection
    if detection is not None and not detection.disabled and detection.detectors is not None:
        local = detection.detectors.local_origin_failures
        if local is not None and not detection.split_external_and_local_errors:
            message = "has no effect without splitExternalAndLocalErrors"
            yield Problem(NO_EFFECT, ("outlierDetection", "detectors", "localOriginFailures"), message)


def _advice(conf: MeshCircuitBreakerConf, situation: Situation) -> Iterator[Problem]:
    detection = conf.outlier_detection
    if detection is None or detection.disabled or detection.detectors is None:
        return
    percent = detection.max_ejection_percent
    if percent == 0:
        yield Problem(NEVER_EJECTS, ("outlierDetection", "maxEjectionPercent"), "is 0: no host is ever ejected")
    elif ejectable(conf, situation.endpoints) == 0:
        at: Path = ("outlierDetection",) if percent is None else ("outlierDetection", "maxEjectionPercent")
        of = f"{percent or _MAX_EJECTION_PERCENT} percent of {situation.endpoints} hosts"
        yield Problem(NEVER_EJECTS, at, f"ejects nobody: {of} is less than one")
    reasons = list(_cannot_fire(detection, detection.detectors, situation))
    if len(reasons) == sum(value is not None for value in vars(detection.detectors).values()):
        message = f"holds no detector that can fire: {'; '.join(reasons)}"
        yield Problem(NEVER_FIRES, ("outlierDetection", "detectors"), message)


def _cannot_fire(detection: OutlierDetection, detectors: Detectors, situation: Situation) -> Iterator[str]:
    """Why a detector cannot fire, for each that cannot."""
    split = bool(detection.split_external_and_local_errors)
    answers = situation.protocol.is_http or not split
    for name, counter, fires, need in (
        ("totalFailures", detectors.total_failures, answers, "sees no answers of a service that is not http"),
        ("gatewayFailures", detectors.gateway_failures, answers, "sees no answers of a service that is not http"),
        ("localOriginFailures", detectors.local_origin_failures, split, "needs splitExternalAndLocalErrors"),
    ):
        if counter is not None and counter.consecutive is None:
            yield f"{name} has no number"
        elif counter is not None and not fires:
            yield f"{name} {need}"
    hosts = situation.endpoints
    for name, rate in (("successRate", detectors.success_rate), ("failurePercentage", detectors.failure_percentage)):
        if rate is not None and hosts < (rate.minimum_hosts or _MINIMUM_HOSTS):
            yield f"{name} needs {rate.minimum_hosts or _MINIMUM_HOSTS} hosts, and there are {hosts}"
        elif rate is not None and rate is detectors.success_rate:
            factor = rate.standard_deviation_factor or _STANDARD_DEVIATION_FACTOR
            # Among n hosts none is further from their average than the square root of n - 1 standard deviations.
            if factor**2 >= hosts - 1:
                yield f"{name} sees no host {factor} standard deviations below the average of {hosts}"


KIND = PolicyKind(
    name="MeshCircuitBreaker",
    schema="meshcircuitbreaker",
    conf=MeshCircuitBreakerConf,
    top=frozenset({TargetKind.MESH, TargetKind.MESH_SUBSET, TargetKind.MESH_SERVICE, TargetKind.MESH_SERVICE_SUBSET}),
    to=frozenset({TargetKind.MESH, TargetKind.MESH_SERVICE}),
    from_=frozenset({TargetKind.MESH}),
    lists=("from", "to"),
    check=_check,
    outbound=Effects(cluster=_on_cluster),
    inbound=Effects(cluster=_on_cluster),
    local_port=_local_port,
    unused=_unused,
    advice=_advice,
)
