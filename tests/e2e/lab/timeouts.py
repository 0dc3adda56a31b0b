# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh with many services, each with timeouts of its own: on the requests of its client, or at its inbound."""

from __future__ import annotations

import json
from collections.abc import Sequence

from lab.clients import Address
from lab.mesh import MESH, Resource, Sidecar
from lab.services import SERVICE, ServicesLab

TO, FROM = "to", "from"


class TimeoutLab(ServicesLab):
    """The mesh goes without the initial policies of the kinds in `skipped`."""

    def __init__(self, skipped: Sequence[str] = ("*",)) -> None:
        super().__init__()
        self.mesh["skipCreatingInitialPolicies"] = list(skipped)
        self._directions: dict[str, str] = {}

    def time(self, direction: str, service: str, conf: Resource) -> None:
        """A MeshTimeout of what `web` asks of a service (`to`), or of all that reaches the service (`from`)."""
        itself, web = {"kind": "MeshService", "name": service}, {"kind": "MeshService", "name": "web"}
        target, item = (web, itself) if direction == TO else (itself, {"kind": "Mesh"})
        self.timeout(f"{direction}-{service}", target, direction, item, conf)
        self._directions[service] = direction

    def timeout(self, name: str, target_ref: Resource, direction: str, item_ref: Resource, conf: Resource) -> None:
        """A MeshTimeout with one item."""
        spec = {"targetRef": target_ref, direction: [{"targetRef": item_ref, "default": conf}]}
        self.policies.append({"type": "MeshTimeout", "mesh": MESH, "name": name, "spec": spec})

    def timer(self, service: str) -> tuple[Sidecar, str]:
        """The sidecar that has the timeouts of a service, and what its statistics call the service."""
        if self._directions[service] == TO:
            return self.web, service
        return self.host, f"localhost_{self.app(service).port}"

    def inbound(self, service: str) -> Address:
        """Where the host's sidecar takes the requests to a service."""
        [port] = [one["port"] for one in self.host.networking["inbound"] if one["tags"][SERVICE] == service]
        return self.host.address, port

    def route(self, service: str) -> Resource:
        """What the release of `web` does with requests to a service."""
        files = json.loads(self.releases["web"])["files"]
        [route] = [
            host["routes"][0]["route"]
            for key, content in files.items()
            if key.startswith("rds/")
            for resource in content["resources"]
            for host in resource["virtualHosts"]
            if resource["name"] == f"outbound:{service}"
        ]
        found: Resource = route
        return found
