# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a release document: laid out as on a host, or flattened into one static configuration."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any


def write(document: bytes, root: Path) -> None:
    """Put the files of a release where Envoy on a host below `root` reads them, and make room for its admin socket."""
    _make_room(root)
    for directory in ("rds", "eds"):
        (root / "live" / directory).mkdir(parents=True, exist_ok=True)
    for key, content in json.loads(document)["files"].items():
        (root / "live" / f"{key}.json").write_text(json.dumps(content))


def write_flat(document: bytes, root: Path) -> None:
    """The same with one file that has it all, and that Envoy does not watch."""
    _make_room(root)
    (root / "live").mkdir(exist_ok=True)
    (root / "live" / "bootstrap.json").write_text(json.dumps(flatten(document)))


def _make_room(root: Path) -> None:
    (root / "run").mkdir(mode=0o700, parents=True, exist_ok=True)


def move_in(document: bytes, root: Path) -> set[str]:
    """Move those files of a release that have changed to where Envoy watches them; return their keys."""
    changed = set()
    for key, content in json.loads(document)["files"].items():
        live = root / "live" / f"{key}.json"
        if not live.exists() or json.loads(live.read_bytes()) != content:
            beside = root / "live" / ".beside"
            beside.write_text(json.dumps(content))
            beside.rename(live)
            changed.add(key)
    return changed


def names(document: bytes, key: str) -> set[str]:
    """The names of the resources in one file of a release, e.g. of `lds`."""
    return {resource["name"] for resource in json.loads(document)["files"][key]["resources"]}


def flatten(document: bytes) -> dict[str, Any]:
    """One bootstrap with every listener, route, cluster and endpoint as a static resource, all that Envoy checks."""
    files = json.loads(document)["files"]
    endpoints = {
        resource["clusterName"]: _untyped(resource)
        for key, content in files.items()
        if key.startswith("eds/")
        for resource in content["resources"]
    }
    # By file: listeners of one service have route configurations of one name.
    routes = {
        key.removeprefix("rds/"): _untyped(resource)
        for key, content in files.items()
        if key.startswith("rds/")
        for resource in content["resources"]
    }
    bootstrap = copy.deepcopy(files["bootstrap"])
    bootstrap.pop("dynamicResources", None)
    static = bootstrap.setdefault("staticResources", {})
    static.setdefault("clusters", []).extend(_static_cluster(c, endpoints) for c in files["cds"]["resources"])
    static.setdefault("listeners", []).extend(_static_listener(r, routes) for r in files["lds"]["resources"])
    return dict(bootstrap)


def _untyped(resource: dict[str, Any]) -> dict[str, Any]:
    return {key: copy.deepcopy(value) for key, value in resource.items() if key != "@type"}


def _static_cluster(resource: dict[str, Any], endpoints: dict[str, dict[str, Any]]) -> dict[str, Any]:
    cluster = _untyped(resource)
    if cluster.pop("edsClusterConfig", None) is not None:
        cluster["type"] = "STATIC"
        cluster["loadAssignment"] = endpoints[cluster["name"]]
    return cluster


def _static_listener(resource: dict[str, Any], routes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    listener = _untyped(resource)
    for chain in listener["filterChains"]:
        for network_filter in chain["filters"]:
            rds = network_filter.get("typedConfig", {}).pop("rds", None)
            if rds is not None:
                file = Path(rds["configSource"]["pathConfigSource"]["path"])
                network_filter["typedConfig"]["routeConfig"] = routes[file.stem]
    return listener
