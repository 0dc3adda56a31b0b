# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh whose services have circuit breakers, applications that keep requests waiting, and connections held open."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from lab.clients import SECONDS, Address
from lab.http_apps import Answer, Http2App, HttpApp, Request
from lab.mesh import FILE, MESH, Resource
from lab.services import ServicesLab
from lab.tcp_apps import CHUNK


class BreakerLab(ServicesLab):
    """Policies are called after the service that they are about, with a number."""

    def limit(self, service: str, **limits: int) -> None:
        """Limits of every client of a service."""
        self._break(service, "to", {"kind": "MeshService", "name": service}, {"connectionLimits": limits})

    def protect(self, service: str, **conf: Any) -> None:
        """A circuit breaker of the inbounds of a service, whoever the client is; `conf` has its sections."""
        self._break(service, "from", {"kind": "Mesh"}, conf)

    def detect(self, service: str, detectors: Resource, **conf: Any) -> None:
        """Passive checks of a service by all its clients: any may be ejected, and nobody comes back within a test.

        So it is unless `conf` says otherwise, where None stands for Envoy's default.
        """
        pace = {"interval": "0.1s", "baseEjectionTime": "60s", "maxEjectionPercent": 100}
        given = {name: value for name, value in {**pace, **conf}.items() if value is not None}
        detection = {**given, "detectors": detectors}
        self._break(service, "to", {"kind": "MeshService", "name": service}, {"outlierDetection": detection})

    def _break(self, service: str, direction: str, target_ref: Resource, conf: Resource) -> None:
        top = {"kind": "Mesh"} if direction == "to" else {"kind": "MeshService", "name": service}
        self.policies.append(
            {
                "type": "MeshCircuitBreaker",
                "mesh": MESH,
                "name": f"{service}-{len(self.policies) + 1}",
                "spec": {"targetRef": top, direction: [{"targetRef": target_ref, "default": conf}]},
            }
        )

    def share(self, service: str, apps: Iterable[HttpApp]) -> None:
        """Instances of a service in applications that run on the host already."""
        for app in apps:
            self.host.add_inbound(service, app, "http")
            self.apps.setdefault(service, []).append(app)

    def warnings(self, service: str) -> set[str]:
        """The codes of what there is to say about a service's circuit breakers."""
        universe = api.load(documents=[api.document(value, file=FILE) for value in self.documents()])
        mine = {one["name"] for one in self.policies if one["name"].rpartition("-")[0] == service}
        return {one.code for one in universe.findings if one.kind == "MeshCircuitBreaker" and one.name in mine}

    def thresholds(self, service: str) -> list[dict[str, int]]:
        """The limits that the release of `web` has for a service."""
        files = json.loads(self.releases["web"])["files"]
        [cluster] = [one for one in files["cds"]["resources"] if one["name"] == service]
        found: list[dict[str, int]] = cluster["circuitBreakers"]["thresholds"]
        return found

    def stat(self, service: str, name: str) -> int:
        """A counter or gauge that `web` has of a service."""
        return self.web.stat(f"cluster.{service}.{name}")

    def ejections(self, service: str) -> dict[str, int]:
        """How often each detector made `web` eject an instance of a service; no zeros."""
        prefix = f"cluster.{service}.outlier_detection.ejections_enforced_"
        found = {
            name.removeprefix(prefix): value for name, value in self.web.envoy.admin.stats(prefix).items() if value
        }
        assert found.pop("total", 0) == sum(found.values())
        return found

    def ejected(self, service: str) -> int:
        """How many instances of a service are ejected now."""
        return self.stat(service, "outlier_detection.ejections_active")


class Gate:
    """Keeps the requests that reach an application waiting until the end of the `with` block, then answers them.

    With `first` the first request of each path does not wait: it gets that answer.
    """

    def __init__(self, app: HttpApp | Http2App, first: Answer | None = None) -> None:
        self._app = app
        self._first = first
        self._seen: set[str] = set()
        self._open = threading.Event()
        self._lock = threading.Lock()
        self.waiting = 0

    def __enter__(self) -> Self:
        self._app.reply = self._reply
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.set()

    def _reply(self, request: Request) -> Answer:
        with self._lock:
            is_first = request.path not in self._seen
            self._seen.add(request.path)
            if is_first and self._first is not None:
                return self._first
            self.waiting += 1
        self._open.wait(SECONDS)
        with self._lock:
            self.waiting -= 1
        return Answer()


@contextmanager
def connected(address: Address) -> Iterator[bool]:
    """A TCP connection that stays, and whether an echo is at its other end."""
    with socket.create_connection(address, timeout=SECONDS) as connection:
        try:
            connection.sendall(b"hello")
            answered = connection.recv(CHUNK) == b"hello"
        except ConnectionError:
            answered = False
        yield answered
