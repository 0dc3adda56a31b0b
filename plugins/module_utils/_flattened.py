# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release as one static configuration, the only form in which `envoy --mode validate` looks at all of it.

Private to this collection. Of a release as it lies on a host that mode reads the bootstrap and nothing else, so every
listener, route configuration, cluster and endpoint becomes a static resource.
"""

from __future__ import annotations

import os

from ansible_collections.meshsmith.universal.plugins.module_utils import _release
from ansible_collections.meshsmith.universal.plugins.module_utils._errors import RefusedError

_FILE_ACCESS_LOG = ".FileAccessLog"


def flatten(release, clusters=None, listeners=None):
    """Return the bootstrap of a release with its resources as static ones; `clusters` and `listeners` are indices.

    The admin interface is left out, it belongs to the running Envoy. Logs go nowhere: a check leaves no file.
    """
    bootstrap = {
        key: value for key, value in release.files["bootstrap"].items() if key not in ("admin", "dynamicResources")
    }
    static = dict(bootstrap.get("staticResources", {}))
    flat_clusters = [
        _static_cluster(release, cluster) for cluster in _pick(release.files["cds"]["resources"], clusters)
    ]
    flat_listeners = [
        _static_listener(release, listener) for listener in _pick(release.files["lds"]["resources"], listeners)
    ]
    # Ours come first: Envoy's error names their index.
    static["clusters"] = flat_clusters + static.get("clusters", [])
    static["listeners"] = flat_listeners + static.get("listeners", [])
    bootstrap["staticResources"] = static
    return bootstrap


def _pick(resources, indices):
    return resources if indices is None else [resources[index] for index in indices]


def _untyped(resource):
    return {key: value for key, value in resource.items() if key != "@type"}


def _file_key(source):
    """Return the key of the file a config source reads; paths end in `<folder>/<name>.json`."""
    path = source.get("pathConfigSource", {}).get("path", "") if isinstance(source, dict) else ""
    folder, name = os.path.split(path)
    return f"{os.path.basename(folder)}/{name[: -len('.json')]}" if name.endswith(".json") else None


def _static_cluster(release, cluster):
    flat = _without_logs(_untyped(cluster))
    if flat.get("type") != "EDS":
        return flat
    source = flat.pop("edsClusterConfig", {}).get("edsConfig")
    content = release.files.get(_file_key(source))
    if content is None or len(content["resources"]) != 1:
        raise RefusedError("cluster/" + cluster["name"], "its endpoints are not in the release")
    flat["type"] = "STATIC"
    flat["loadAssignment"] = _untyped(content["resources"][0])
    return flat


def _static_listener(release, listener):
    def inline(value):
        if isinstance(value, list):
            return [inline(item) for item in value]
        if not isinstance(value, dict):
            return value
        copy = {key: inline(item) for key, item in value.items() if key != "rds"}
        if "rds" in value:
            content = release.files.get(_file_key(value["rds"].get("configSource")))
            if content is None or len(content["resources"]) != 1:
                raise RefusedError("listener/" + listener["name"], "its routes are not in the release")
            copy["routeConfig"] = _untyped(content["resources"][0])
        return copy

    return inline(_without_logs(_untyped(listener)))


def _log_member(value):
    """Return the member of a part of a resource that is the path of a log, None where there is none."""
    if "eventLogPath" in value:
        return "eventLogPath"
    return "path" if str(value.get("@type", "")).endswith(_FILE_ACCESS_LOG) else None


def _without_logs(value):
    if isinstance(value, list):
        return [_without_logs(item) for item in value]
    if isinstance(value, dict):
        member = _log_member(value)
        return {key: "/dev/null" if key == member else _without_logs(item) for key, item in value.items()}
    return value


def logs(release):
    """Return (label, path) of every event log of health checks and every access log that is a file."""
    found = []

    def walk(label, value):
        if isinstance(value, list):
            for item in value:
                walk(label, item)
        elif isinstance(value, dict):
            path = value.get(_log_member(value))
            # What is below /dev is no file, such as /dev/stdout.
            if isinstance(path, str) and path and not path.startswith("/dev/"):
                found.append((label, path))
            for item in value.values():
                walk(label, item)

    for key in ("cds", "lds"):
        for resource in release.files[key]["resources"]:
            walk(_release.label(key, resource), resource)
    return found
