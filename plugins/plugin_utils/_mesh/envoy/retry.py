# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retries of requests: `envoy.config.route.v3.RetryPolicy` and its extensions (Kuma 2.7, `meshretry/plugin/xds`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import type_urls


def header_match(name: str, kind: str, value: str) -> dict[str, Any]:
    """A header matcher; `kind` is `exact`, `prefix`, `regex`, `present` or `absent`.

    An empty prefix matches any value and an empty expression the empty value, which Envoy takes in other words only.
    """
    if kind in ("present", "absent") or (kind == "prefix" and not value):
        return {"name": name, "presentMatch": kind != "absent"}
    if kind == "regex" and value:
        return {"name": name, "stringMatch": {"safeRegex": {"regex": value}}}
    return {"name": name, "stringMatch": {"prefix" if kind == "prefix" else "exact": value}}


def method(name: str) -> dict[str, Any]:
    """A matcher of requests with this method."""
    return header_match(":method", "exact", name)


def previous_hosts() -> dict[str, Any]:
    """Passes over hosts that were tried before."""
    return {
        "name": "envoy.retry_host_predicates.previous_hosts",
        "typedConfig": {"@type": type_urls.PREVIOUS_HOSTS},
    }


def hosts_with_metadata(tags: Mapping[str, str]) -> dict[str, Any]:
    """Passes over hosts that have all these tags, which without any are all hosts: then there is none to prefer."""
    config: dict[str, Any] = {"@type": type_urls.OMIT_HOST_METADATA}
    if tags:
        config["metadataMatch"] = {"filterMetadata": {"envoy.lb": dict(tags)}}
    return {"name": "envoy.retry_host_predicates.omit_host_metadata", "typedConfig": config}


def previous_priorities(update_frequency: int) -> dict[str, Any]:
    """Passes over priorities that were tried before, each `update_frequency` attempts."""
    return {
        "name": "envoy.retry_priorities.previous_priorities",
        "typedConfig": {"@type": type_urls.PREVIOUS_PRIORITIES, "updateFrequency": update_frequency},
    }
