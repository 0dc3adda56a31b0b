# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""MeshRetry: requests that are sent again, and connections that are tried again (Kuma 2.7, `meshretry`)."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from ..envoy import retry, route
from ..findings import NO_EFFECT, Path, Severity, code, did_you_mean
from ..model.dataplane import SERVICE_TAG
from ..model.duration import Duration
from ..model.meshretry import (
    BackOff,
    GrpcRetry,
    HeaderMatch,
    HostPredicate,
    HttpRetry,
    MeshRetryConf,
    RateLimitedBackOff,
)
from ..model.target_ref import TargetKind
from ..protocol import Protocol
from . import meshcircuitbreaker, meshtimeout
from .policy_kind import Effects, PolicyKind, Problem, Situation

EMPTY = code(
    "MESH210",
    Severity.ERROR,
    "a MeshRetry, or a section of it, is empty",
    "Write at least one of `tcp`, `http`, `grpc`, and in each of them what is to happen.",
)
UNKNOWN_CONDITION = code(
    "MESH211",
    Severity.ERROR,
    "a condition of `retryOn` is none",
    "Use a name from the list in the documentation of MeshRetry, or a status such as 503.",
)
WRONG_PREDICATE = code(
    "MESH212",
    Severity.ERROR,
    "an item of `hostSelection` lacks what it needs, or stands there twice",
    "See the message for what is wrong.",
)
NOT_FOR_ENVOY = code(
    "MESH213",
    Severity.WARNING,
    "a value that Kuma accepts and Envoy would refuse",
    "Write what is meant; the message says what is used instead.",
)
BASE_ABOVE_MAXIMUM = code(
    "MESH214",
    Severity.WARNING,
    "the base interval of a back-off is above its maximum",
    "Envoy refuses the route on the host, and the former release stays. Raise `maxInterval`, or lower `baseInterval`.",
)
TIMEOUT_TOO_LONG = code(
    "MESH215",
    Severity.WARNING,
    "the request times out before its retries can",
    "Lower `perTryTimeout` or `numRetries`, or raise the timeout of the request.",
)
MANY_RETRIES = code(
    "MESH216",
    Severity.WARNING,
    "ten or more retries in quick succession",
    "A service that fails gets many times its load. Lower `numRetries`, or set `backOff.baseInterval` to 1s or more.",
)
LIMITED_RETRIES = code(
    "MESH218",
    Severity.WARNING,
    "more retries than the circuit breaker lets through at a time",
    "Raise `connectionLimits.maxRetries` of a MeshCircuitBreaker, or lower `numRetries`.",
)
BAD_REGEX = code(
    "MESH219",
    Severity.WARNING,
    "a regular expression that Envoy refuses",
    "Correct it; Envoy reads RE2. It refuses the route on the host, and the former release stays.",
)
METHODS_ONLY = code(
    "MESH217",
    Severity.WARNING,
    "`retryOn` names methods, but nothing that can fail",
    "Methods limit which requests are retried. Add the conditions; without any, the default ones apply.",
)

_CONDITIONS = {
    "5xx": "5xx",
    "5XX": "5xx",
    "GatewayError": "gateway-error",
    "Reset": "reset",
    "Retriable4xx": "retriable-4xx",
    "ConnectFailure": "connect-failure",
    "EnvoyRatelimited": "envoy-ratelimited",
    "RefusedStream": "refused-stream",
    "Http3PostConnectFailure": "http3-post-connect-failure",
}
_METHODS = {
    f"HttpMethod{method.capitalize()}": method
    for method in ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
}
# Those that Go's `http.StatusText` has a text for.
_STATUSES = {str(status.value) for status in HTTPStatus}
_GRPC_CONDITIONS = {
    # Kuma writes `canceled`, which Envoy does not know.
    "Canceled": "cancelled",
    "DeadlineExceeded": "deadline-exceeded",
    "Internal": "internal",
    "ResourceExhausted": "resource-exhausted",
    "Unavailable": "unavailable",
}
_HTTP_DEFAULT = ("gateway-error", "connect-failure", "refused-stream")
_WRONG_ANYWHERE = (
    "missing )",
    "unbalanced parenthesis",
    "unterminated character set",
    "bad character range",
    "bad escape (end of pattern)",
)
_GRPC_DEFAULT = (
    "cancelled",
    "connect-failure",
    "gateway-error",
    "refused-stream",
    "reset",
    "resource-exhausted",
    "unavailable",
)
_MATCHES = {
    "Exact": "exact",
    "Prefix": "prefix",
    "RegularExpression": "regex",
    "Present": "present",
    "Absent": "absent",
}
_RESET_FORMATS = {"Seconds": "SECONDS", "UnixTimestamp": "UNIX_TIMESTAMP"}
_NEVER = Duration(0)
_PER_TRY_TIMEOUT = Duration.parse("15s")
_BASE_INTERVAL = Duration.parse("25ms")
_UPDATE_FREQUENCY = 2
_ENVOY_RETRIES = 1
_MANY = 10
_CALM = Duration.parse("1s")

# The section that is for the protocol of a service: http2 counts as http, kafka as tcp.
_SECTIONS = {
    Protocol.HTTP: "http",
    Protocol.HTTP2: "http",
    Protocol.GRPC: "grpc",
    Protocol.TCP: "tcp",
    Protocol.KAFKA: "tcp",
}


def _check(conf: MeshRetryConf) -> Iterator[Problem]:
    if conf == MeshRetryConf():
        yield Problem(EMPTY, (), "must have at least one of tcp, http, grpc")
    if conf.tcp is not None:
        yield from _check_tcp(conf.tcp.max_connect_attempt)
    for name, section in _requests(conf):
        yield from _check_requests(section, (name,))
    if conf.http is not None:
        for index, condition in enumerate(conf.http.retry_on or ()):
            if condition not in _CONDITIONS and condition not in _METHODS and condition not in _STATUSES:
                yield Problem(UNKNOWN_CONDITION, ("http", "retryOn", index), _unknown(condition))
        for name, matches in (
            ("retriableRequestHeaders", conf.http.retriable_request_headers),
            ("retriableResponseHeaders", conf.http.retriable_response_headers),
        ):
            for index, match in enumerate(matches or ()):
                yield from _check_match(match, ("http", name, index))
        yield from _check_predicates(conf.http.host_selection or ())


def _requests(conf: MeshRetryConf) -> Iterator[tuple[str, HttpRetry | GrpcRetry]]:
    """The sections about requests, by name."""
    if conf.http is not None:
        yield "http", conf.http
    if conf.grpc is not None:
        yield "grpc", conf.grpc


def _check_tcp(attempts: int | None) -> Iterator[Problem]:
    if attempts is None:
        yield Problem(EMPTY, ("tcp",), "must have maxConnectAttempt")
    elif attempts == 0:
        message = "is less than the one attempt that Envoy makes in any case: 1 is used"
        yield Problem(NOT_FOR_ENVOY, ("tcp", "maxConnectAttempt"), message)


def _check_requests(section: HttpRetry | GrpcRetry, at: Path) -> Iterator[Problem]:
    # How often to look for a host is no reason for a retry.
    bare = replace(section, host_selection_max_attempts=None) if isinstance(section, HttpRetry) else section
    if bare in (HttpRetry(), GrpcRetry()):
        yield Problem(EMPTY, at, "must have at least one field that says what is retried")
    if section.per_try_timeout is not None and section.per_try_timeout < _NEVER:
        message = f"is less than no time at all: the default {_PER_TRY_TIMEOUT} is used"
        yield Problem(NOT_FOR_ENVOY, (*at, "perTryTimeout"), message)
    if section.back_off == BackOff():
        yield Problem(EMPTY, (*at, "backOff"), "must have baseInterval or maxInterval")
    maximum = section.back_off.max_interval if section.back_off is not None else None
    if maximum is not None and maximum <= _NEVER:
        message = "must be greater than zero for Envoy: the default, ten times the base interval, is used"
        yield Problem(NOT_FOR_ENVOY, (*at, "backOff", "maxInterval"), message)


def _unknown(condition: str) -> str:
    hint = did_you_mean(condition, [*_CONDITIONS, *_METHODS, *_STATUSES], most=3)
    return f"unknown condition '{condition}'{hint or '; write a name such as GatewayError, or a status such as 503'}"


def _check_match(match: HeaderMatch, at: Path) -> Iterator[Problem]:
    kind = _MATCHES[match.type or "Exact"]
    if kind in ("present", "absent"):
        if match.value is not None:
            yield Problem(NO_EFFECT, (*at, "value"), f"has no effect: a match of type {match.type} looks at no value")
    elif not match.value:
        matched = "any value" if kind == "prefix" else "the empty value only"
        yield Problem(NOT_FOR_ENVOY, (*at, "value"), f"is not set, and the match takes {matched}")
    elif kind == "regex":
        problem = _regex_problem(match.value)
        if problem:
            yield Problem(BAD_REGEX, (*at, "value"), f"is no regular expression for Envoy: {problem}")


def _regex_problem(text: str) -> str | None:
    """Why RE2 refuses an expression, as far as Python can tell: only what is wrong in any dialect counts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            re.compile(text)
        except re.error as error:
            return error.msg if error.msg.startswith(_WRONG_ANYWHERE) else None
        except (OverflowError, RecursionError):
            return None
    return None


def _check_predicates(predicates: Iterable[HostPredicate]) -> Iterator[Problem]:
    by_priority = False
    for index, one in enumerate(predicates):
        at = ("http", "hostSelection", index)
        if one.predicate == "OmitHostsWithTags":
            if not one.tags:
                yield Problem(WRONG_PREDICATE, (*at, "tags"), "must be set with predicate OmitHostsWithTags")
            elif not _host_tags(one):
                yield Problem(NO_EFFECT, (*at, "tags"), f"has no effect: all hosts of a service have its {SERVICE_TAG}")
        elif one.tags:
            yield Problem(NO_EFFECT, (*at, "tags"), f"has no effect with predicate {one.predicate}")
        if one.predicate == "OmitPreviousPriorities":
            if by_priority:
                yield Problem(WRONG_PREDICATE, (*at, "predicate"), "must not be OmitPreviousPriorities a second time")
            by_priority = True
            if one.update_frequency is not None and one.update_frequency <= 0:
                yield Problem(WRONG_PREDICATE, (*at, "updateFrequency"), "must be greater than zero")
        elif one.update_frequency is not None:
            yield Problem(NO_EFFECT, (*at, "updateFrequency"), f"has no effect with predicate {one.predicate}")


def _on_route(config: dict[str, Any], conf: MeshRetryConf, protocol: Protocol) -> None:
    section = getattr(conf, _SECTIONS[protocol])
    if section is not None:
        policy = _http(section) if isinstance(section, HttpRetry) else _grpc(section)
        for action in route.actions(config):
            action["retryPolicy"] = policy


def _on_tcp_proxy(proxy: dict[str, Any], conf: MeshRetryConf, protocol: Protocol) -> None:
    if protocol in _SECTIONS and conf.tcp is not None and conf.tcp.max_connect_attempt is not None:
        proxy["maxConnectAttempts"] = max(conf.tcp.max_connect_attempt, 1)


def _http(conf: HttpRetry) -> dict[str, Any]:
    """A retry policy of Envoy. Statuses, methods and response headers come on top of the conditions or the defaults."""
    written = conf.retry_on or ()
    conditions = [_CONDITIONS[one] for one in written if one in _CONDITIONS] or [*_HTTP_DEFAULT]
    statuses = [int(one) for one in written if one in _STATUSES]
    requests = [retry.method(_METHODS[one]) for one in written if one in _METHODS]
    requests += _matches(conf.retriable_request_headers)
    responses = _matches(conf.retriable_response_headers)
    predicates = [one for one in conf.host_selection or () if one.predicate != "OmitPreviousPriorities"]
    if statuses:
        conditions.append("retriable-status-codes")
    if responses:
        # Kuma leaves this out, and with it the response headers do nothing.
        conditions.append("retriable-headers")
    policy = {"retryOn": ",".join(conditions), **_attempts(conf)}
    if statuses:
        policy["retriableStatusCodes"] = statuses
    if requests:
        policy["retriableRequestHeaders"] = requests
    if responses:
        policy["retriableHeaders"] = responses
    if predicates:
        policy["retryHostPredicate"] = [_predicate(one) for one in predicates]
    for one in conf.host_selection or ():
        if one.predicate == "OmitPreviousPriorities":
            policy["retryPriority"] = retry.previous_priorities(one.update_frequency or _UPDATE_FREQUENCY)
    if conf.host_selection_max_attempts is not None:
        policy["hostSelectionRetryMaxAttempts"] = str(conf.host_selection_max_attempts)
    return policy


def _grpc(conf: GrpcRetry) -> dict[str, Any]:
    conditions = [_GRPC_CONDITIONS[one] for one in conf.retry_on or ()] or _GRPC_DEFAULT
    return {"retryOn": ",".join(conditions), **_attempts(conf)}


def _attempts(conf: HttpRetry | GrpcRetry) -> dict[str, Any]:
    """How often, how long and when."""
    timeout = conf.per_try_timeout
    if timeout is None or timeout < _NEVER:
        timeout = _PER_TRY_TIMEOUT
    policy: dict[str, Any] = {"perTryTimeout": timeout.proto()}
    if conf.num_retries is not None:
        policy["numRetries"] = conf.num_retries
    intervals = _back_off(conf.back_off)
    if intervals:
        policy["retryBackOff"] = intervals
    limited = conf.rate_limited_back_off
    if limited is not None and limited.reset_headers:
        policy["rateLimitedRetryBackOff"] = _rate_limited(limited)
    return policy


def _back_off(conf: BackOff | None) -> dict[str, str]:
    base, maximum = (conf.base_interval, conf.max_interval) if conf is not None else (None, None)
    if maximum is not None and maximum > _NEVER:
        # Envoy needs a base interval. Kuma leaves it out, and Envoy refuses the route.
        return {"baseInterval": (base or min(_BASE_INTERVAL, maximum)).proto(), "maxInterval": maximum.proto()}
    return {"baseInterval": base.proto()} if base is not None else {}


def _rate_limited(conf: RateLimitedBackOff) -> dict[str, Any]:
    headers = [{"name": one.name, "format": _RESET_FORMATS[one.format]} for one in conf.reset_headers or ()]
    limited: dict[str, Any] = {"resetHeaders": headers}
    if conf.max_interval is not None:
        limited["maxInterval"] = conf.max_interval.proto()
    return limited


def _matches(matches: Iterable[HeaderMatch] | None) -> list[dict[str, Any]]:
    return [retry.header_match(one.name, _MATCHES[one.type or "Exact"], one.value or "") for one in matches or ()]


def _predicate(one: HostPredicate) -> dict[str, Any]:
    if one.predicate == "OmitPreviousHosts":
        return retry.previous_hosts()
    return retry.hosts_with_metadata(_host_tags(one))


def _host_tags(one: HostPredicate) -> dict[str, str]:
    """The tags by which hosts of one service can differ; endpoints do not carry that of the service."""
    return {key: value for key, value in one.tags or () if key != SERVICE_TAG}


def _unused(conf: MeshRetryConf, situation: Situation) -> Iterator[Problem]:
    wanted = _SECTIONS.get(situation.protocol)
    for name in ("tcp", "http", "grpc"):
        if getattr(conf, name) is not None and name != wanted:
            yield Problem(NO_EFFECT, (name,), f"has no effect: the service speaks {situation.protocol.value}")
    if conf.http is not None and wanted == "http":
        if conf.http.host_selection and situation.endpoints == 1:
            message = "has no effect: there is a single endpoint, which gets every retry"
            yield Problem(NO_EFFECT, ("http", "hostSelection"), message)
        if conf.http.host_selection_max_attempts is not None and not conf.http.host_selection:
            message = "has no effect without hostSelection"
            yield Problem(NO_EFFECT, ("http", "hostSelectionMaxAttempts"), message)
    for name, section in _requests(conf):
        limited = section.rate_limited_back_off
        if name == wanted and limited is not None and not limited.reset_headers:
            yield Problem(NO_EFFECT, (name, "rateLimitedBackOff"), "has no effect without resetHeaders")


def _advice(conf: MeshRetryConf, situation: Situation) -> Iterator[Problem]:
    wanted = _SECTIONS.get(situation.protocol)
    for name, section in _requests(conf):
        if name == wanted:
            timeout = meshtimeout.request_timeout(situation.confs.get("MeshTimeout"))
            limit = meshcircuitbreaker.max_retries(situation.confs.get("MeshCircuitBreaker"))
            yield from _advice_on_requests(section, (name,), timeout, limit)
    if conf.http is not None and wanted == "http" and conf.http.retry_on:
        if all(one in _METHODS for one in conf.http.retry_on):
            message = f"names methods only, so that the default conditions apply: {', '.join(_HTTP_DEFAULT)}"
            yield Problem(METHODS_ONLY, ("http", "retryOn"), message)


def _advice_on_requests(
    section: HttpRetry | GrpcRetry, at: Path, request_timeout: Duration, limit: int | None
) -> Iterator[Problem]:
    back_off = section.back_off or BackOff()
    base, maximum = back_off.base_interval, back_off.max_interval
    if base is not None and maximum is not None and base > maximum > _NEVER:
        yield Problem(BASE_ABOVE_MAXIMUM, (*at, "backOff", "baseInterval"), f"is above maxInterval, {maximum}")
    if section.num_retries is not None and section.num_retries >= _MANY and (base or _BASE_INTERVAL) < _CALM:
        message = f"means up to {section.num_retries + 1} requests for one, {base or _BASE_INTERVAL} apart at first"
        yield Problem(MANY_RETRIES, (*at, "numRetries"), message)
    if section.num_retries is not None and limit is not None and section.num_retries > limit:
        message = f"is above maxRetries, {limit}: under load retries are silently cancelled"
        yield Problem(LIMITED_RETRIES, (*at, "numRetries"), message)
    timeout = section.per_try_timeout
    if timeout is not None and timeout > _NEVER and request_timeout > _NEVER:
        tries = 1 + (_ENVOY_RETRIES if section.num_retries is None else section.num_retries)
        if timeout >= request_timeout:
            message = f"never comes into force: the whole request times out after {request_timeout}"
            yield Problem(TIMEOUT_TOO_LONG, (*at, "perTryTimeout"), message)
        elif timeout.nanoseconds * tries > request_timeout.nanoseconds:
            message = f"leaves no room for {tries} tries: the whole request times out after {request_timeout}"
            yield Problem(TIMEOUT_TOO_LONG, (*at, "perTryTimeout"), message)


KIND = PolicyKind(
    name="MeshRetry",
    schema="meshretry",
    conf=MeshRetryConf,
    top=frozenset({TargetKind.MESH, TargetKind.MESH_SUBSET, TargetKind.MESH_SERVICE, TargetKind.MESH_SERVICE_SUBSET}),
    to=frozenset({TargetKind.MESH, TargetKind.MESH_SERVICE}),
    not_yet=frozenset({"MeshGateway", "MeshHTTPRoute"}),
    lists=("to",),
    check=_check,
    outbound=Effects(tcp_proxy=_on_tcp_proxy, route=_on_route),
    unused=_unused,
    advice=_advice,
)
