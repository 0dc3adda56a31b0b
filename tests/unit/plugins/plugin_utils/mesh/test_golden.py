# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Goldens: small meshes, and every byte that is made of them.

`golden/<name>/mesh` is the input, `expected/<mesh>/<dataplane>.json` the release document of each of its dataplanes,
`resources/<mesh>/<dataplane>.json` the same resources before they are split into files, for reading. UPDATE_GOLDENS=1
in the environment writes anew what is made; the diff is then what there is to review.
"""

from __future__ import annotations

import functools
import json
import os
import pathlib
import shutil
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.envoy import type_urls

GOLDEN = pathlib.Path(__file__).parent / "golden"
UPDATE = os.environ.get("UPDATE_GOLDENS") == "1"


def made() -> dict[str, bytes]:
    """The files that belong beside the mesh, by their path. The working directory is that of the golden."""
    universe = api.load(paths=["mesh"])
    assert not universe.errors, "\n".join(map(str, universe.errors))
    files = {}
    for dataplane in universe.dataplanes:
        name = f"{dataplane.mesh}/{dataplane.name}.json"
        resources = json.dumps(api.compile_proxy(universe, dataplane), indent=2, sort_keys=True)
        files[f"expected/{name}"] = api.compile_release(universe, dataplane).document
        files[f"resources/{name}"] = f"{resources}\n".encode()
    return files


def write(directory: pathlib.Path, files: dict[str, bytes]) -> None:
    for part in ("expected", "resources"):
        shutil.rmtree(directory / part, ignore_errors=True)
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)


@pytest.mark.parametrize("directory", sorted(GOLDEN.iterdir()), ids=lambda directory: directory.name)
def test_golden(directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(directory)
    files = made()
    if UPDATE:
        write(directory, files)
    stored = {path.relative_to(directory).as_posix() for path in directory.glob("[er]*/**/*.json")}

    assert stored == set(files)
    for name, content in files.items():
        assert (directory / name).read_bytes() == content, name


# What a control plane makes of some of the goldens, where it deliberately differs from what is made here. The number
# is that of the row in the table of differences; the steps lead to the place in `resources`.

RETRY_POLICY = (
    *(type_urls.LISTENER, "outbound:127.0.0.1:10001", "filterChains", 0, "filters", 0, "typedConfig"),
    *("routeConfig", "virtualHosts", 0, "routes", 0, "route", "retryPolicy"),
)
HTTP_CONDITIONS = "gateway-error,connect-failure,refused-stream"
HEALTH_CHECK = (type_urls.CLUSTER, "backend", "healthChecks", 0)
TCP_CHECK = {"interval": "60s", "timeout": "15s", "unhealthyThreshold": 5, "healthyThreshold": 1, "tcpHealthCheck": {}}
SET = {"appendAction": "OVERWRITE_IF_EXISTS_OR_ADD"}
FILTERS = (type_urls.LISTENER, "inbound:192.0.2.1:80", "filterChains", 0, "filters")
DIFFERENCES: list[tuple[int, tuple[str | int, ...], Any, Any]] = [
    # The policies of 1 and 21 are refused by a control plane.
    (1, (*RETRY_POLICY, "retryOn"), None, "5xx,retriable-status-codes"),
    (1, (*RETRY_POLICY, "retriableStatusCodes"), None, [429, 503]),
    (2, (*RETRY_POLICY, "retryOn"), "canceled,internal", "cancelled,internal"),
    (3, (*RETRY_POLICY, "retryOn"), "5xx", "5xx,retriable-headers"),
    (4, (*RETRY_POLICY, "perTryTimeout"), None, "15s"),
    (5, RETRY_POLICY, None, {"retryOn": HTTP_CONDITIONS, "numRetries": 3, "perTryTimeout": "2s"}),
    (6, HEALTH_CHECK, None, TCP_CHECK),
    (7, (*HEALTH_CHECK, "tcpHealthCheck", "send", "text"), b"UElORw==".hex(), b"PING".hex()),
    (7, (*HEALTH_CHECK, "tcpHealthCheck", "receive", 0, "text"), b"UE9ORw==".hex(), b"PONG".hex()),
    (
        8,
        (*HEALTH_CHECK, "httpHealthCheck", "requestHeadersToAdd", slice(1, None)),
        [
            {"header": {"key": "x-a", "value": "1"}},
            {"header": {"key": "x-a", "value": "2"}},
            {"header": {"key": "accept", "value": "a"}, **SET},
            {"header": {"key": "accept", "value": "b"}, **SET},
        ],
        [{"header": {"key": "x-a", "value": "1,2"}}, {"header": {"key": "accept", "value": "a,b"}, **SET}],
    ),
    (9, (*HEALTH_CHECK, "httpHealthCheck", "codecClientType"), None, "HTTP2"),
    (13, (type_urls.CLUSTER, "outbound:passthrough:ipv4", "connectTimeout"), "5s", "10s"),
    (16, (*FILTERS, 1, "name"), "envoy.filters.network.tcp_proxy", None),
    (16, (*FILTERS, 0, "name"), "envoy.filters.network.kafka_broker", "envoy.filters.network.tcp_proxy"),
    (17, HEALTH_CHECK, TCP_CHECK, None),
    # Once the policy was updated, and so has lost its label of a zone.
    (18, (type_urls.CLUSTER, "backend", "connectTimeout"), "5s", "2s"),
    (21, (*RETRY_POLICY, "retryPriority", "typedConfig", "updateFrequency"), None, 2),
    (22, (*RETRY_POLICY, "retryBackOff"), {"maxInterval": "1s"}, {"baseInterval": "0.025s", "maxInterval": "1s"}),
    (24, HEALTH_CHECK, None, TCP_CHECK),
]


def at(value: Any, steps: tuple[Any, ...]) -> Any:
    """What is found step by step; None where nothing is."""
    try:
        return functools.reduce(lambda found, step: found[step], steps, value)
    except (KeyError, IndexError):
        return None


@pytest.mark.parametrize(("row", "steps", "kuma", "here"), DIFFERENCES)
def test_difference(row: int, steps: tuple[Any, ...], kuma: Any, here: Any) -> None:
    [directory] = GOLDEN.glob(f"difference-{row:02}-*")
    resources = json.loads((directory / "resources" / "default" / "backend-1.json").read_text(encoding="utf-8"))

    assert at(resources, steps) == here != kuma


def test_the_kafka_filter_is_there_where_envoy_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    [directory] = GOLDEN.glob("difference-16-*")
    monkeypatch.chdir(directory)
    universe = api.load(paths=["mesh"])
    resources = api.compile_proxy(universe, universe.dataplanes[0], api.Target(envoy_has_kafka=True))

    for listener in ("inbound:192.0.2.1:80", "outbound:127.0.0.1:10001"):
        filters = resources[type_urls.LISTENER][listener]["filterChains"][0]["filters"]
        assert [one["name"].rpartition(".")[2] for one in filters] == ["kafka_broker", "tcp_proxy"]


def test_every_difference_has_its_golden() -> None:
    goldens = {int(directory.name.split("-")[1]) for directory in GOLDEN.glob("difference-*")}

    assert goldens == {row for row, *_rest in DIFFERENCES}
