# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of a MeshRetry."""

from __future__ import annotations

from dataclasses import dataclass

from . import StringMap
from .duration import Duration


@dataclass(frozen=True)
class BackOff:
    """`backOff`: how long to wait before a retry."""

    base_interval: Duration | None = None
    max_interval: Duration | None = None


@dataclass(frozen=True)
class ResetHeader:
    """A response header that says when to come back; `format` is Seconds or UnixTimestamp."""

    name: str
    format: str


@dataclass(frozen=True)
class RateLimitedBackOff:
    """`rateLimitedBackOff`: to wait as long as the response says."""

    reset_headers: tuple[ResetHeader, ...] | None = None
    max_interval: Duration | None = None


@dataclass(frozen=True)
class HeaderMatch:
    """A match on a header; `type` is Exact, Present, RegularExpression, Absent or Prefix."""

    name: str
    type: str | None = None
    value: str | None = None


@dataclass(frozen=True)
class HostPredicate:
    """An item of `hostSelection`; `predicate` is OmitPreviousHosts, OmitHostsWithTags or OmitPreviousPriorities."""

    predicate: str
    tags: StringMap | None = None
    update_frequency: int | None = None


@dataclass(frozen=True)
class HttpRetry:
    """`http`. Statuses in `retry_on` are decimal texts."""

    num_retries: int | None = None
    per_try_timeout: Duration | None = None
    back_off: BackOff | None = None
    rate_limited_back_off: RateLimitedBackOff | None = None
    retry_on: tuple[str, ...] | None = None
    retriable_request_headers: tuple[HeaderMatch, ...] | None = None
    retriable_response_headers: tuple[HeaderMatch, ...] | None = None
    host_selection: tuple[HostPredicate, ...] | None = None
    host_selection_max_attempts: int | None = None


@dataclass(frozen=True)
class GrpcRetry:
    """`grpc`."""

    num_retries: int | None = None
    per_try_timeout: Duration | None = None
    back_off: BackOff | None = None
    rate_limited_back_off: RateLimitedBackOff | None = None
    retry_on: tuple[str, ...] | None = None


@dataclass(frozen=True)
class TcpRetry:
    """`tcp`."""

    max_connect_attempt: int | None = None


@dataclass(frozen=True)
class MeshRetryConf:
    """`spec.to[].default`."""

    tcp: TcpRetry | None = None
    http: HttpRetry | None = None
    grpc: GrpcRetry | None = None
