# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab: applications and their Dataplanes become a mesh, which is compiled and run by one Envoy per Dataplane."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from lab import clients, release
from lab.clients import Address, Response
from lab.envoy import Envoy
from lab.loopback import Network
from lab.polling import eventually

MESH = "default"
INBOUND_PORT = 8080
OUTBOUND_PORT = 10001
FILE = "lab"

# Ten checks a second; the timeout, of which only a hanging application makes use, leaves room for a busy machine.
FAST = {"interval": "0.1s", "noTrafficInterval": "0.1s", "timeout": "2s", "unhealthyThreshold": 1}

Resource = dict[str, Any]


class Server(Protocol):
    """An application that a Dataplane can offer."""

    address: str
    port: int

    def start(self, address: str, port: int = 0) -> None: ...

    def stop(self) -> None: ...


class Sidecar:
    """One host of the lab: its Dataplane, and the Envoy that runs beside its applications."""

    def __init__(self, name: str, address: str, root: Path) -> None:
        self.name = name
        self.address = address
        self.networking: Resource = {"address": address}
        self.envoy = Envoy(root / name)
        self._outbounds: dict[str, Address] = {}

    @property
    def document(self) -> Resource:
        return {"type": "Dataplane", "mesh": MESH, "name": self.name, "networking": self.networking}

    @property
    def endpoint(self) -> str:
        """Where others reach the first inbound, as `address:port`."""
        return self.endpoint_of(0)

    def endpoint_of(self, inbound: int) -> str:
        entry = self.networking["inbound"][inbound]
        address = self.networking.get("advertisedAddress") or entry.get("address") or self.address
        return f"{address}:{entry['port']}"

    def add_inbound(self, service: str, app: Server, protocol: str | None = None, **fields: Any) -> None:
        """An inbound in front of `app`: `tags` come on top of service and protocol, other `fields` as they are."""
        inbounds = self.networking.setdefault("inbound", [])
        tags = _tags(service, protocol, fields.pop("tags", {}))
        place = {"port": INBOUND_PORT + len(inbounds), "serviceAddress": app.address, "servicePort": app.port}
        inbounds.append({**place, "tags": tags, **fields})

    def add_outbound(self, name: str, tags: Mapping[str, str], **fields: Any) -> None:
        """An outbound listener on the host's own address unless `fields` say otherwise; `name` is how tests call it."""
        outbounds = self.networking.setdefault("outbound", [])
        entry = {"address": self.address, "port": OUTBOUND_PORT + len(outbounds), "tags": dict(tags), **fields}
        outbounds.append({key: value for key, value in entry.items() if value is not None})
        self._outbounds[name] = (entry["address"] or "127.0.0.1", entry["port"])

    def outbound(self, name: str) -> Address:
        """Where an application on this host reaches the outbound of this name."""
        return self._outbounds[name]

    def get(self, outbound: str, path: str = "/", headers: Mapping[str, str] | None = None) -> Response:
        """One HTTP/1.1 request of an application on this host."""
        return clients.get(self.outbound(outbound), path, headers)

    def healthy(self, cluster: str) -> set[str]:
        """The endpoints of a cluster that this host's Envoy holds for healthy, as `address:port`."""
        return {endpoint for endpoint, healthy in self.envoy.admin.endpoints(cluster).items() if healthy}

    def stat(self, name: str) -> int:
        return self.envoy.admin.stat(name)

    def wait_healthy(self, cluster: str, *sidecars: Sidecar) -> None:
        """Until exactly these hosts are the healthy endpoints of a cluster."""
        expected = {sidecar.endpoint for sidecar in sidecars}

        def as_expected() -> bool:
            found = self.healthy(cluster)
            assert found == expected, f"healthy in {cluster} are {sorted(found)}, not {sorted(expected)}"
            return True

        eventually(as_expected)


class Lab:
    """A mesh on this machine. Add hosts and policies, `start`, and `stop` in the end."""

    def __init__(self) -> None:
        # A unix socket's path has at most 107 bytes, which the directories of pytest would use up.
        self.root = Path(tempfile.mkdtemp(prefix="lab-", dir="/tmp"))
        self.mesh: Resource = {"type": "Mesh", "name": MESH, "skipCreatingInitialPolicies": ["*"]}
        self.policies: list[Resource] = []
        self.sidecars: dict[str, Sidecar] = {}
        self.releases: dict[str, bytes] = {}
        self._network = Network()
        self._apps: list[Server] = []
        self._stand_ins: list[Resource] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def address(self) -> str:
        """A loopback address that nobody else in the lab uses."""
        return self._network.address()

    def serve(self, app: Server, address: str | None = None) -> Server:
        """Start an application, on an address of its own unless told otherwise."""
        app.start(address or self.address())
        self._apps.append(app)
        return app

    def sidecar(self, name: str) -> Sidecar:
        """A host without inbounds and outbounds yet."""
        sidecar = Sidecar(name, self.address(), self.root)
        self.sidecars[name] = sidecar
        return sidecar

    def offer(self, app: Server, service: str = "backend", protocol: str | None = "http", **fields: Any) -> Sidecar:
        """Start an application, and a host that offers it; the host is called after the service, with a number."""
        host = _resource_name(service)
        number = sum(1 for name in self.sidecars if name.rpartition("-")[0] == host) + 1
        sidecar = self.sidecar(f"{host}-{number}")
        sidecar.add_inbound(service, self.serve(app), protocol, **fields)
        return sidecar

    def stand_in(self, app: Server, service: str = "backend", protocol: str | None = "http") -> None:
        """Start an application where others expect the sidecar of its host, which has none."""
        self.serve(app)
        # Nobody reads the port of the application; it may not be the inbound's own.
        inbound = {"port": app.port, "servicePort": 1, "tags": _tags(service, protocol)}
        self._stand_ins.append(
            {
                "type": "Dataplane",
                "mesh": MESH,
                "name": f"stand-in-{len(self._stand_ins) + 1}",
                "networking": {"address": app.address, "inbound": [inbound]},
            }
        )

    def consume(self, *services: str, name: str = "web", **subsets: Mapping[str, str]) -> Sidecar:
        """A host with an outbound for each service and each set of tags, and an inbound behind which nobody listens."""
        sidecar = self.sidecar(name)
        sidecar.networking["inbound"] = [
            {"port": INBOUND_PORT, "servicePort": INBOUND_PORT + 1, "tags": {"kuma.io/service": name}}
        ]
        self._add_outbounds(sidecar, services, subsets)
        return sidecar

    def consume_by_gateway(self, *services: str, name: str = "edge", **subsets: Mapping[str, str]) -> Sidecar:
        """The same as a delegated gateway."""
        sidecar = self.sidecar(name)
        sidecar.networking["gateway"] = {"type": "DELEGATED", "tags": {"kuma.io/service": name}}
        self._add_outbounds(sidecar, services, subsets)
        return sidecar

    @staticmethod
    def _add_outbounds(sidecar: Sidecar, services: tuple[str, ...], subsets: Mapping[str, Mapping[str, str]]) -> None:
        for service in services:
            sidecar.add_outbound(service, {"kuma.io/service": service})
        for name, tags in subsets.items():
            sidecar.add_outbound(name, tags)

    def check(self, service: str = "backend", **conf: Any) -> None:
        """A MeshHealthCheck of the whole mesh on one service, at the lab's pace unless `conf` says otherwise."""
        self.policies.append(
            {
                "type": "MeshHealthCheck",
                "mesh": MESH,
                "name": f"check-{_resource_name(service)}",
                "spec": {
                    "targetRef": {"kind": "Mesh"},
                    "to": [{"targetRef": {"kind": "MeshService", "name": service}, "default": {**FAST, **conf}}],
                },
            }
        )

    def retry(self, service: str = "backend", target_ref: Resource | None = None, **conf: Any) -> None:
        """A MeshRetry on one service, of the whole mesh unless `target_ref` says otherwise; `conf` has its sections."""
        self.policies.append(
            {
                "type": "MeshRetry",
                "mesh": MESH,
                "name": f"retry-{len(self.policies) + 1:03}",
                "spec": {
                    "targetRef": target_ref or {"kind": "Mesh"},
                    "to": [{"targetRef": {"kind": "MeshService", "name": service}, "default": conf}],
                },
            }
        )

    def documents(self) -> list[Resource]:
        return [
            self.mesh,
            *(sidecar.document for sidecar in self.sidecars.values()),
            *self._stand_ins,
            *self.policies,
        ]

    def compile(self) -> None:
        """Make `releases`, one document for each sidecar, from what the lab consists of."""
        universe = api.load(documents=[api.document(value, file=FILE) for value in self.documents()])
        assert not universe.errors, "\n".join(str(finding) for finding in universe.errors)
        for name, sidecar in self.sidecars.items():
            found = api.find_dataplane(universe, name)
            self.releases[name] = api.compile_release(universe, found, self.target(sidecar)).document

    def target(self, sidecar: Sidecar) -> api.Target:
        """What a release has to know of a host."""
        return api.Target(root=str(sidecar.envoy.root))

    def start(self) -> None:
        """Compile and write every Dataplane, run its Envoy, and make sure that it took the whole release."""
        self.compile()
        for name, sidecar in self.sidecars.items():
            self.place(self.releases[name], sidecar.envoy.root)
        # Servers before clients: whoever refuses the first check counts as sick until the next one.
        for is_client in (False, True):
            group = [s.envoy for s in self.sidecars.values() if ("outbound" in s.networking) is is_client]
            for envoy in group:
                envoy.start()
            for envoy in group:
                envoy.wait_ready()
        for name, sidecar in self.sidecars.items():
            _assert_complete(sidecar, self.releases[name])

    def place(self, document: bytes, root: Path) -> None:
        """Put a release where an Envoy that is about to start reads it."""
        release.write(document, root)

    def roll_out(self) -> dict[str, set[str]]:
        """Compile what has become of the lab and move it in; return the files that changed, by sidecar."""
        self.compile()
        return {
            name: release.move_in(self.releases[name], sidecar.envoy.root) for name, sidecar in self.sidecars.items()
        }

    def stop(self) -> None:
        for sidecar in self.sidecars.values():
            sidecar.envoy.stop()
        for app in self._apps:
            app.stop()
        self._network.release()
        shutil.rmtree(self.root, ignore_errors=True)

    def logs(self) -> dict[str, str]:
        """The end of every Envoy's log, for whoever reads a failure."""
        return {name: sidecar.envoy.log_tail() for name, sidecar in self.sidecars.items()}


def _tags(service: str, protocol: str | None, more: Mapping[str, str] | None = None) -> dict[str, str]:
    tags = {"kuma.io/service": service, **(more or {})}
    if protocol is not None:
        tags["kuma.io/protocol"] = protocol
    return tags


def _resource_name(service: str) -> str:
    """A service's name may have underscores, that of a resource may not."""
    return service.replace("_", "-")


def _assert_complete(sidecar: Sidecar, document: bytes) -> None:
    """Envoy rejected nothing, and runs every listener and cluster of the release."""
    admin = sidecar.envoy.admin
    stats = admin.stats()
    refused = {
        name: value
        for name, value in stats.items()
        if value and name.endswith((".update_rejected", ".update_failure", "listener_create_failure"))
    }
    assert not refused, f"{sidecar.name} refused part of its release: {refused}\n{sidecar.envoy.log_tail()}"
    assert admin.listeners() >= release.names(document, "lds")
    assert admin.clusters() >= release.names(document, "cds")
