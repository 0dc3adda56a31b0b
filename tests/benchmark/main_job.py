# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a whole mesh takes from YAML files to artifacts on disk, and how much memory.

    python tests/benchmark/main_job.py
    python tests/benchmark/main_job.py --dataplanes 1000 --dense 0 --profile

Every measurement is a process of its own. "all" is from starting it until the last artifact is written. "x json" is how
many times longer compiling and writing take than to serialise and write the same objects by compact `json.dumps`.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import json
import pstats
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
PROTOCOLS = ("http", "http", "http", "http2", "grpc", "tcp", "tcp")
REGIONS = ("eu", "us", "ap", "sa")
# What the main job has to reach: ms per dataplane to compile and serialise, seconds for all, MB of memory.
TARGETS = {"spread": (1.5, 4.0, 400.0), "dense": (4.0, None, None)}
# Dataplanes for which the targets of time and memory are meant.
TARGET_DATAPLANES = 1000

Resource = dict[str, Any]


def main() -> None:
    arguments = _arguments()
    if arguments.measure:
        print(json.dumps(measure(*map(Path, arguments.measure), arguments.started, arguments.profile)))
        return
    each = ", ".join(f"{arguments.policies // share} {kind}" for kind, (_conf, share) in CONFS.items())
    print(f"{arguments.services} services, {arguments.outbounds} outbounds each; {each}")
    _head()
    for count in arguments.dataplanes:
        _run("spread", count, arguments.outbounds, arguments)
    for modified, patch in PATCHES.items():
        print(f"the same with a MeshProxyPatch of {modified} everywhere")
        _head()
        for count in arguments.dataplanes[:2]:
            _run("spread", count, arguments.outbounds, arguments, patch=patch)
    if arguments.dense:
        print(f"all {arguments.services} services as outbounds of each dataplane, each everywhere on the same port")
        _head()
        _run("dense", arguments.dense, arguments.services, arguments)
        print("the same, but every dataplane has them on ports of its own choice")
        _head()
        _run("dense", arguments.dense, arguments.services, arguments, shuffled=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--dataplanes", type=int, nargs="+", default=[100, 1000, 5000], help="one measurement each")
    parser.add_argument("--services", type=int, default=200)
    parser.add_argument("--outbounds", type=int, default=20)
    parser.add_argument("--policies", type=int, default=200)
    parser.add_argument("--dense", type=int, default=200, help="dataplanes that use every service; 0 leaves that out")
    parser.add_argument("--profile", action="store_true", help="show where the time goes (and be slower)")
    parser.add_argument("--measure", nargs=2, metavar=("MESH", "ARTIFACTS"), help=argparse.SUPPRESS)
    parser.add_argument("--started", type=float, help=argparse.SUPPRESS)
    return parser.parse_args()


# --- the mesh ---------------------------------------------------------------------------------------------------------


def write_mesh(
    directory: Path,
    dataplanes: int,
    services: int,
    outbounds: int,
    policies: int,
    shuffled: bool = False,
    patch: Resource | None = None,
) -> None:
    """A mesh directory, always the same one for the same numbers, with the initial policies.

    `policies` is the number of MeshHealthChecks and of MeshRetries; of the other kinds there are a quarter as many.
    """
    chance = random.Random(0)
    (directory / "dataplanes").mkdir()
    (directory / "policies").mkdir()
    _write(directory / "mesh.yaml", {"type": "Mesh", "name": "default"})
    for number in range(dataplanes):
        used = chance.sample(range(services), outbounds)
        one = _dataplane(number, services, used if shuffled else sorted(used))
        _write(directory / "dataplanes" / f"{one['name']}.yaml", one)
    for kind, (conf, share) in CONFS.items():
        for number in range(policies // share):
            one = _policy(kind, conf, number, services, chance)
            _write(directory / "policies" / f"{one['name']}.yaml", one)
    if patch is not None:
        spec = {"targetRef": {"kind": "Mesh"}, "default": {"appendModifications": [patch]}}
        one = {"type": "MeshProxyPatch", "mesh": "default", "name": "everywhere", "spec": spec}
        _write(directory / "policies" / "patch.yaml", one)


def _write(file: Path, document: Resource) -> None:
    file.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False))


def _dataplane(number: int, services: int, used: list[int]) -> Resource:
    """Each has a set of tags of its own."""
    service = number % services
    tags = {
        "kuma.io/service": f"service-{service}",
        "kuma.io/protocol": PROTOCOLS[service % len(PROTOCOLS)],
        "version": f"v{number % 3}",
        "region": REGIONS[number % len(REGIONS)],
        "instance": f"i-{number}",
    }
    address = f"10.{number // 62500}.{number // 250 % 250}.{number % 250 + 1}"
    return {
        "type": "Dataplane",
        "mesh": "default",
        "name": f"host-{number}",
        "networking": {
            "address": address,
            "inbound": [{"port": 8080, "servicePort": 18080, "serviceAddress": "127.0.0.1", "tags": tags}],
            "outbound": [
                {"port": 10001 + index, "tags": {"kuma.io/service": f"service-{other}"}}
                for index, other in enumerate(used)
            ],
        },
    }


def _policy(kind: str, conf: Conf, number: int, services: int, chance: random.Random) -> Resource:
    service = f"service-{chance.randrange(services)}"
    top: Resource = (
        {"kind": "Mesh"},
        {"kind": "MeshSubset", "tags": {"version": f"v{chance.randrange(3)}", "region": chance.choice(REGIONS)}},
        {"kind": "MeshService", "name": service},
        {"kind": "MeshService", "name": service},
    )[number % 4]
    to: list[Resource] = []
    if number % 3 == 0:
        to.append({"targetRef": {"kind": "Mesh"}, "default": conf(chance, *PROTOCOLS)})
    for name in chance.sample(range(services), min(services, chance.randrange(1, 4))):
        protocol = PROTOCOLS[name % len(PROTOCOLS)]
        target = {"kind": "MeshService", "name": f"service-{name}"}
        to.append({"targetRef": target, "default": conf(chance, protocol)})
    spec = {"targetRef": top, "to": to}
    return {"type": kind, "mesh": "default", "name": f"{kind.lower()}-{number}", "spec": spec}


def _health_check(chance: random.Random, *protocols: str) -> Resource:
    """How services of these protocols are checked."""
    conf: Resource = {
        "interval": f"{chance.randrange(5, 60)}s",
        "timeout": f"{chance.randrange(1, 5)}s",
        "unhealthyThreshold": chance.randrange(1, 9),
        "healthyThreshold": chance.randrange(1, 9),
    }
    if {"http", "http2"} & {*protocols}:
        conf["http"] = {
            "path": chance.choice(("/", "/health", "/ready")),
            "expectedStatuses": [200, 204],
            "requestHeadersToAdd": {"set": [{"name": "x-check", "value": str(chance.randrange(9))}]},
        }
    if "tcp" in protocols:
        conf["tcp"] = {}
    if "grpc" in protocols:
        conf["grpc"] = {"serviceName": "health"}
    return conf


def _retry(chance: random.Random, *protocols: str) -> Resource:
    """When requests and connections to services of these protocols are tried again."""
    attempts = {
        "numRetries": chance.randrange(1, 9),
        "perTryTimeout": f"{chance.randrange(1, 9)}s",
        "backOff": {"baseInterval": "50ms", "maxInterval": f"{chance.randrange(1, 9)}s"},
    }
    conf: Resource = {}
    if {"http", "http2"} & {*protocols}:
        conf["http"] = {**attempts, "retryOn": ["5xx", "ConnectFailure", "429", "HttpMethodGet"]}
    if "tcp" in protocols:
        conf["tcp"] = {"maxConnectAttempt": chance.randrange(1, 9)}
    if "grpc" in protocols:
        conf["grpc"] = {**attempts, "retryOn": ["Unavailable"]}
    return conf


def _timeout(chance: random.Random, *protocols: str) -> Resource:
    """How long connections and requests to services of these protocols may take."""
    conf: Resource = {"connectionTimeout": f"{chance.randrange(1, 9)}s"}
    if {"http", "http2", "grpc"} & {*protocols}:
        conf["http"] = {"requestTimeout": f"{chance.randrange(100, 200)}s", "streamIdleTimeout": "1h"}
    if {"http", "http2", "tcp"} & {*protocols}:
        conf["idleTimeout"] = f"{chance.randrange(1, 9)}h"
    return conf


def _circuit_breaker(chance: random.Random, *_protocols: str) -> Resource:
    """Limits, and hosts that are ejected."""
    detectors = {"totalFailures": {"consecutive": chance.randrange(3, 9)}}
    return {
        "connectionLimits": {"maxConnections": chance.randrange(100, 9999), "maxRetries": 99},
        "outlierDetection": {"interval": "10s", "maxEjectionPercent": 50, "detectors": detectors},
    }


Conf = Callable[..., Resource]
# Of each kind how it is configured, and the part of the number of policies that it has.
CONFS: dict[str, tuple[Conf, int]] = {
    "MeshHealthCheck": (_health_check, 1),
    "MeshRetry": (_retry, 1),
    "MeshTimeout": (_timeout, 4),
    "MeshCircuitBreaker": (_circuit_breaker, 4),
}


# What a MeshProxyPatch for all proxies modifies: every cluster of a service, and every listener of one that is proxied
# as HTTP.
_MANAGER = "envoy.filters.network.http_connection_manager"
_TYPE = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
PATCHES: dict[str, Resource] = {
    "clusters": {
        "cluster": {
            "operation": "Patch",
            "match": {"origin": "outbound"},
            "value": json.dumps({"circuitBreakers": {"thresholds": [{"maxConnections": 2048}]}}),
        }
    },
    "connection managers": {
        "networkFilter": {
            "operation": "Patch",
            "match": {"name": _MANAGER, "origin": "outbound"},
            "value": json.dumps({"typedConfig": {"@type": _TYPE, "streamIdleTimeout": "9s"}}),
        }
    },
}


# --- measuring --------------------------------------------------------------------------------------------------------


def measure(mesh: Path, artifacts: Path, started: float, profile: bool) -> Resource:
    """Load, compile and write one mesh in this process: seconds, and MB at their highest until all is written."""
    sys.path.insert(0, str(CHECKOUT / "collections"))
    from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api

    profiler = cProfile.Profile()
    if profile:
        profiler.enable()
    times = {"start": time.monotonic() - started, "load": 0.0, "compile": 0.0, "write": 0.0}
    clock = _Clock(times)
    with clock("load"):
        universe = api.load(paths=[str(mesh)])
    if universe.errors:
        raise SystemExit("\n".join(map(str, universe.errors)))
    # As the action does.
    gc.freeze()
    written = 0
    for dataplane in universe.dataplanes:
        with clock("compile"):
            document = api.compile_release(universe, dataplane).document
        with clock("write"):
            (artifacts / f"{dataplane.name}.json").write_bytes(document)
        written += len(document)
    times["all"] = time.monotonic() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if profile:
        profiler.disable()
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(25)
    return {"times": times, "memory": memory, "bytes": written, "json": sum(_plain_json(artifacts))}


class _Clock:
    """Adds the time spent in a `with` block to one of several sums."""

    def __init__(self, sums: dict[str, float]) -> None:
        self._sums = sums

    def __call__(self, name: str) -> _Clock:
        self._name = name
        return self

    def __enter__(self) -> None:
        self._since = time.perf_counter()

    def __exit__(self, *_exception: object) -> None:
        self._sums[self._name] += time.perf_counter() - self._since


def _plain_json(artifacts: Path) -> Iterator[float]:
    """Seconds that serialising and writing takes, per artifact, when there is nothing to work out."""
    for file in sorted(artifacts.iterdir()):
        content = json.loads(file.read_bytes())
        since = time.perf_counter()
        file.write_text(json.dumps(content, separators=(",", ":")))
        yield time.perf_counter() - since


def _run(
    shape: str,
    dataplanes: int,
    outbounds: int,
    arguments: argparse.Namespace,
    shuffled: bool = False,
    patch: Resource | None = None,
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        mesh, artifacts = Path(scratch, "mesh"), Path(scratch, "artifacts")
        mesh.mkdir()
        artifacts.mkdir()
        write_mesh(mesh, dataplanes, arguments.services, outbounds, arguments.policies, shuffled, patch)
        command = [sys.executable, __file__, "--measure", str(mesh), str(artifacts)]
        command += ["--profile"] if arguments.profile else []
        command += ["--started", str(time.monotonic())]
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    _row(shape, dataplanes, json.loads(answer))


# --- the table --------------------------------------------------------------------------------------------------------

COLUMNS = ("dataplanes", "load s", "compile s", "write s", "all s", "MB", "ms each", "kB each", "x json")


def _head() -> None:
    print("".join(f"{column:>11}" for column in COLUMNS))


def _row(shape: str, dataplanes: int, answer: Resource) -> None:
    times = answer["times"]
    each = 1000 * times["compile"] / dataplanes
    ratio = (times["compile"] + times["write"]) / answer["json"]
    figures = (times["load"], times["compile"], times["write"], times["all"], answer["memory"], each)
    print(f"{dataplanes:11}" + "".join(f"{x:11.2f}" for x in (*figures, answer["bytes"] / dataplanes / 1000, ratio)))
    most_each, most_all, most_memory = TARGETS[shape]
    verdicts = [_verdict(f"{most_each} ms each", each <= most_each)]
    if most_all and dataplanes == TARGET_DATAPLANES:
        verdicts += [_verdict(f"{most_all} s", times["all"] <= most_all)]
        verdicts += [_verdict(f"{most_memory:.0f} MB", answer["memory"] <= most_memory)]
    print(f"{'':11}  target: {', '.join(verdicts)}", flush=True)


def _verdict(target: str, reached: bool) -> str:
    return f"{target} ({'reached' if reached else 'MISSED'})"


if __name__ == "__main__":
    main()
