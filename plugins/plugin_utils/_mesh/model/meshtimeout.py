# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of a MeshTimeout."""

from __future__ import annotations

from dataclasses import dataclass

from .duration import Duration


@dataclass(frozen=True)
class HttpTimeouts:
    """`http`. Zero switches a timeout off."""

    request_timeout: Duration | None = None
    stream_idle_timeout: Duration | None = None
    max_stream_duration: Duration | None = None
    max_connection_duration: Duration | None = None
    request_headers_timeout: Duration | None = None


@dataclass(frozen=True)
class MeshTimeoutConf:
    """`default` of an item of `spec.to` or `spec.from`."""

    connection_timeout: Duration | None = None
    idle_timeout: Duration | None = None
    http: HttpTimeouts | None = None
