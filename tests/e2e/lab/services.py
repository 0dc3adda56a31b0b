# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh with many services, each with policies of its own, and two Envoys: the client's, and one for them all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab import release
from lab.mesh import Lab, Resource, Server, Sidecar

SERVICE = "kuma.io/service"


class ServicesLab(Lab):
    """Services on one host, or on stand-ins, and the client `web` of all of them, which `start` adds.

    An Envoy takes an inotify instance for each file that it watches, of which a user may have but 128 on many machines;
    these Envoys get each release as one file instead, and watch nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.host = self.sidecar("host")
        self.apps: dict[str, list[Any]] = {}

    @property
    def web(self) -> Sidecar:
        return self.sidecars["web"]

    def add(
        self, service: str, app: Server, protocol: str | None = "http", tags: Mapping[str, str] | None = None
    ) -> None:
        """An instance of a service behind the host's sidecar."""
        # On one address, so that no two applications have the same port: it is what Envoy's clusters are called after.
        self.host.add_inbound(service, self.serve(app, self.host.address), protocol, tags=tags or {})
        self.apps.setdefault(service, []).append(app)

    def stand_in(self, app: Server, service: str = "backend", protocol: str | None = "http") -> None:
        super().stand_in(app, service, protocol)
        self.apps.setdefault(service, []).append(app)

    def start(self) -> None:
        self.consume(*self.apps)
        super().start()

    def place(self, document: bytes, root: Path) -> None:
        release.write_flat(document, root)

    def app(self, service: str) -> Any:
        """The only instance of a service."""
        [app] = self.apps[service]
        return app

    def retry_policy(self, service: str) -> Resource:
        """What the release of `web` has for the requests to a service."""
        files = json.loads(self.releases["web"])["files"]
        [listener] = [
            one
            for one in files["lds"]["resources"]
            if one["trafficDirection"] == "OUTBOUND"
            and one["metadata"]["filterMetadata"]["io.kuma.tags"][SERVICE] == service
        ]
        [host] = files[f"rds/{listener['name']}"]["resources"][0]["virtualHosts"]
        policy: Resource = host["routes"][0]["route"]["retryPolicy"]
        return policy
