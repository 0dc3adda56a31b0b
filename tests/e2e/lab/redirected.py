# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh on two hosts whose traffic is redirected, each a network namespace with an Envoy that has its own user.

    outside --- web --- backend

Nobody on `outside` is of the mesh.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.meshsmith.universal.plugins.module_utils._admin import Admin, Stats
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from lab import clients, release
from lab.clients import SECONDS, Address, Response
from lab.envoy import Envoy, envoy_binary
from lab.mesh import MESH, Lab, Resource, Server, Sidecar
from lab.namespaces import Namespace
from lab.polling import eventually
from lab.role import ENVOY, ROLE, rendered

INBOUND, OUTBOUND = 15006, 15001
WEB, BACKEND = "10.99.0.1", "10.99.0.2"
WEB_OUTWARD, WEB_OUTWARD6 = "10.98.0.1", "fd98::1"
OUTSIDE, OUTSIDE6 = "10.98.0.2", "fd98::2"
# `outside` drops what is for them, and tells nobody.
NOWHERE, NOWHERE6 = "198.51.100.1", "2001:db8::1"


class RedirectedEnvoy(Envoy):
    """An Envoy in a namespace, with a binary that its user may run."""

    def __init__(self, root: Path, namespace: Namespace, binary: Path) -> None:
        super().__init__(root)
        self._namespace = namespace
        self._binary = binary

    def start(self) -> None:
        with self._namespace.entered():
            super().start(self._binary, user=ENVOY, group=ENVOY, extra_groups=())


class RedirectedHost(Sidecar):
    """A host whose applications know nothing of its Envoy."""

    def __init__(self, name: str, address: str, root: Path, namespace: Namespace, binary: Path) -> None:
        super().__init__(name, address, root)
        self.namespace = namespace
        self.envoy = RedirectedEnvoy(root / name, namespace, binary)
        self.log = root / f"{name}-log" / "passthrough.log"
        self.logging = False
        self.redirection: Resource = {
            "redirectPortInbound": INBOUND,
            "redirectPortOutbound": OUTBOUND,
            "ipFamilyMode": "DualStack",
        }
        self.networking["transparentProxying"] = self.redirection

    def ask(self, address: Address, path: str = "/") -> Response:
        """An HTTP/1.1 request of an application."""
        with self.namespace.entered():
            return clients.get(address, path)

    def send(self, address: Address, message: bytes) -> bytes:
        """A message of an application over TCP, and what comes back."""
        with self.namespace.entered():
            return clients.send(address, message)

    def connect(self, address: Address, wait: float = SECONDS) -> socket.socket:
        """A connection of an application, which waits so long for whatever comes."""
        return self.namespace.connect(*address, wait=wait)

    def refused_after(self, address: Address, wait: float = SECONDS) -> float:
        """After how many seconds a connection is ended on which nobody says anything."""
        start = time.monotonic()
        with self.connect(address, wait) as connection, contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        return time.monotonic() - start

    @contextlib.contextmanager
    def counts(self, expected: Mapping[str, int]) -> Iterator[None]:
        """Envoy's counters grow by so much meanwhile."""
        before = self.envoy.admin.stats()
        yield

        def as_expected() -> bool:
            now = self.envoy.admin.stats()
            found = {name: now.get(name, 0) - before.get(name, 0) for name in expected}
            assert found == expected, f"{found} instead of {expected}"
            return True

        eventually(as_expected)

    def cluster(self, name: str) -> Resource:
        """A cluster as Envoy has it, in its spelling."""
        found: list[Resource] = self.envoy.admin.get_json("/config_dump?resource=dynamic_active_clusters")["configs"]
        [cluster] = [one["cluster"] for one in found if one["cluster"]["name"] == name]
        return dict(cluster)

    def listener(self, name: str) -> Resource:
        """The same for a listener."""
        found: list[Resource] = self.envoy.admin.get_json("/config_dump?resource=dynamic_listeners")["configs"]
        [listener] = [one["active_state"]["listener"] for one in found if one["name"] == name]
        return dict(listener)

    def limits(self, cluster: str) -> dict[str, int]:
        """What limits a cluster, as Envoy goes by it."""
        found = {}
        for line in self.envoy.admin.get("/clusters").splitlines():
            owner, _separator, limit = line.partition("::default_priority::max_")
            if owner == cluster:
                name, _separator, value = limit.partition("::")
                found[name] = int(value)
        return found

    def updates(self) -> Stats:
        """Which files Envoy has read, and what it refused."""
        return Admin(str(self.envoy.root / "run" / "admin.sock"), SECONDS).stats()

    def wait_for(self, digests: Mapping[str, str], before: Stats) -> None:
        """Until Envoy has all files of a release, and nothing of it is on its way."""

        def in_force() -> bool:
            now = self.updates()
            if now.refused_since(before):
                raise RuntimeError(f"Envoy of {self.name} refused part of its release:\n{self.envoy.log_tail()}")
            return bool(now.applied(digests) and not now.warming())

        eventually(in_force, timeout=20)


class RedirectedLab(Lab):
    """The hosts `web` and `backend`, which `lay_cables` makes, and the host `outside`."""

    outside: Namespace

    def __init__(self) -> None:
        super().__init__()
        self.virtual_ips: dict[str, str] = {}
        self._plain = self.mesh
        self._namespaces: list[Namespace] = []

    @property
    def web(self) -> RedirectedHost:
        return self._host("web")

    @property
    def backend(self) -> RedirectedHost:
        return self._host("backend")

    def _host(self, name: str) -> RedirectedHost:
        host = self.sidecars[name]
        assert isinstance(host, RedirectedHost)
        return host

    def lay_cables(self) -> None:
        # Envoy's user has to get at its files.
        self.root.chmod(0o755)
        binary = self.root / "envoy"
        shutil.copy(envoy_binary(), binary)
        web, backend, self.outside = (self._namespace(name) for name in ("web", "backend", "outside"))
        web.join("mesh", backend, "mesh", [(f"{WEB}/24", f"{BACKEND}/24")])
        web.join(
            "wan",
            self.outside,
            "lan",
            [(f"{WEB_OUTWARD}/24", f"{OUTSIDE}/24"), (f"{WEB_OUTWARD6}/64", f"{OUTSIDE6}/64")],
        )
        web.run("ip", "route", "add", "default", "via", OUTSIDE)
        web.run("ip", "route", "add", "default", "via", OUTSIDE6)
        backend.run("ip", "route", "add", "default", "via", WEB)
        self.outside.run("ip", "route", "add", f"{WEB}/32", "via", WEB_OUTWARD)
        for address in (NOWHERE, NOWHERE6):
            self.outside.run("ip", "route", "add", "blackhole", address)
        for name, address, namespace in (("web", WEB, web), ("backend", BACKEND, backend)):
            # The address from which Envoy hands over IPv6 connections. The role puts it there.
            namespace.run("ip", "address", "add", "::6/128", "dev", "lo")
            self.sidecars[name] = RedirectedHost(name, address, self.root, namespace, binary)

    def _namespace(self, name: str) -> Namespace:
        made = Namespace(f"meshsmith-{os.getpid()}-{self.root.name}-{name}")
        self._namespaces.append(made)
        return made

    def serve_on(self, namespace: Namespace, app: Server, address: str, port: int = 0) -> Server:
        """Start an application on a host."""
        with namespace.entered():
            app.start(address, port)
        self._apps.append(app)
        return app

    def offer_on(
        self, host: RedirectedHost, app: Server, service: str, protocol: str = "http", port: int = 8080
    ) -> None:
        """Start an application that listens at its inbound's own address and port."""
        self.serve_on(host.namespace, app, host.address, port)
        tags = {"kuma.io/service": service, "kuma.io/protocol": protocol}
        host.networking.setdefault("inbound", []).append({"port": port, "tags": tags})
        self.virtual_ips.setdefault(service, f"240.0.0.{len(self.virtual_ips) + 1}")

    def vip(self, service: str) -> Address:
        return self.virtual_ips[service], 80

    def documents(self) -> list[Resource]:
        return [*super().documents(), {"type": "VirtualIPs", "mesh": MESH, "services": self.virtual_ips}]

    def target(self, sidecar: Sidecar) -> api.Target:
        assert isinstance(sidecar, RedirectedHost)
        return api.Target(root=str(sidecar.envoy.root), passthrough_log=str(sidecar.log) if sidecar.logging else None)

    def place(self, document: bytes, root: Path) -> None:
        release.write(document, root)
        os.chown(root / "run", ENVOY, ENVOY)

    def start(self) -> None:
        for host in (self.web, self.backend):
            host.log.parent.mkdir()
            os.chown(host.log.parent, ENVOY, ENVOY)
        super().start()
        # As the role does it when nothing else is said.
        [rules] = rendered(self.root, ROLE / "templates" / "envoy-mesh-rules.nft.j2", {"": {}}).values()
        for host in (self.web, self.backend):
            host.namespace.run("nft", "--file", "-", given=rules)

    def reset(self) -> None:
        """What the next release is made of is what the first one was made of."""
        self.policies = []
        self.mesh = {**self._plain, "networking": {"outbound": {"passthrough": True}}}
        self.web.redirection.pop("reachableServices", None)
        self.web.logging = False

    def roll_out(self) -> dict[str, set[str]]:
        """The same as of other labs; the releases are in force afterwards."""
        before = {name: self._host(name).updates() for name in self.sidecars}
        changed = super().roll_out()
        for name, document in self.releases.items():
            self._host(name).wait_for(json.loads(document)["digests"], before[name])
        return changed

    def stop(self) -> None:
        try:
            super().stop()
        finally:
            for namespace in self._namespaces:
                namespace.remove()


def modification(part: str, operation: str, value: Any = None, **match: Any) -> Resource:
    """A modification of MeshProxyPatch; `value` is JSON, which is YAML too."""
    fields = {"operation": operation, "match": match or None, "value": value and json.dumps(value)}
    return {part: {key: field for key, field in fields.items() if field is not None}}


def patch(*modifications: Resource) -> Resource:
    """A MeshProxyPatch of the whole mesh."""
    spec = {"targetRef": {"kind": "Mesh"}, "default": {"appendModifications": list(modifications)}}
    return {"type": "MeshProxyPatch", "mesh": MESH, "name": "patch", "spec": spec}
