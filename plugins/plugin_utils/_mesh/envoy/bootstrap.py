# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bootstrap of an Envoy that reads listeners and clusters from files (Kuma 2.7: `template_v3.go`)."""

from __future__ import annotations

from typing import Any

from . import endpoint, listener, tokens

# The cluster and the listener that offer the admin interface on loopback.
ADMIN = "kuma:envoy:admin"

_STATS_TAGS = (
    ("name", r"^grpc\.((.+)\.)"),
    ("status", r"^grpc.*streams_closed(_([0-9]+))"),
    ("kafka_name", r"^kafka(\.(\S*[0-9]))\."),
    ("kafka_type", r"^kafka\..*\.(.*?(?=_duration|$))"),
    ("worker", r"(worker_([0-9]+)\.)"),
    ("listener", r"((.+?)\.)rbac\."),
)


def bootstrap(admin_port: int | None) -> dict[str, Any]:
    """Admin on a unix socket that only its owner may open; `admin_port` offers it on loopback as well."""
    admin_socket = {"pipe": {"path": f"{tokens.MESH_ROOT}/run/admin.sock", "mode": 0o600}}
    document: dict[str, Any] = {
        "node": {"id": tokens.NODE_ID, "cluster": tokens.NODE_CLUSTER},
        "admin": {"address": admin_socket},
        "defaultRegexEngine": {
            "name": "envoy.regex_engines.google_re2",
            "typedConfig": {"@type": "type.googleapis.com/envoy.extensions.regex_engines.v3.GoogleRE2"},
        },
        "dynamicResources": {"cdsConfig": _watched("cds"), "ldsConfig": _watched("lds")},
        "layeredRuntime": {
            "layers": [
                {
                    "name": "kuma",
                    "staticLayer": {
                        "re2.max_program_size.error_level": 4294967295,
                        "re2.max_program_size.warn_level": 1000,
                    },
                }
            ]
        },
        "statsConfig": {"statsTags": [{"tagName": name, "regex": regex} for name, regex in _STATS_TAGS]},
    }
    if admin_port is not None:
        document["staticResources"] = _admin_on_loopback(admin_port, admin_socket)
    return document


def _watched(name: str) -> dict[str, Any]:
    live = f"{tokens.MESH_ROOT}/live"
    return {
        "resourceApiVersion": "V3",
        "initialFetchTimeout": "0s",
        "pathConfigSource": {"path": f"{live}/{name}.json", "watchedDirectory": {"path": live}},
    }


def file_source(directory: str, name: str) -> dict[str, Any]:
    """Where Envoy finds one EDS or RDS resource; a rename onto the file is what makes it read again."""
    return {
        "resourceApiVersion": "V3",
        "pathConfigSource": {"path": f"{tokens.MESH_ROOT}/live/{directory}/{name}.json"},
    }


def _admin_on_loopback(port: int, admin_socket: dict[str, Any]) -> dict[str, Any]:
    pipe = {"pipe": {"path": admin_socket["pipe"]["path"]}}
    return {
        "clusters": [
            {
                "name": ADMIN,
                "type": "STATIC",
                "connectTimeout": "5s",
                "loadAssignment": {
                    "clusterName": ADMIN,
                    "endpoints": [{"lbEndpoints": [{"endpoint": {"address": pipe}}]}],
                },
            }
        ],
        "listeners": [
            {
                "name": ADMIN,
                **endpoint.address("127.0.0.1", port),
                "filterChains": [{"filters": [listener.tcp_proxy("kuma_envoy_admin", ADMIN)]}],
            }
        ],
    }
