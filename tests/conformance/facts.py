# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules ask about the input of a case, worked out from its documents alone."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .protos import CLUSTER, LISTENER
from .recordings import Resource

SERVICE_TAG = "kuma.io/service"
PROTOCOL_TAG = "kuma.io/protocol"

_SUBSET_CLUSTER = re.compile(r"(.+)-[0-9a-f]{16}\Z")
_PASSTHROUGH_CLUSTER = re.compile(r"(in|out)bound:passthrough:ipv[46]\Z")


def is_transparent(dataplane: Resource) -> bool:
    """Whether the traffic of its host is redirected to it."""
    return "transparentProxying" in dataplane["networking"]


@dataclass(frozen=True)
class Destination:
    """A service as one dataplane uses it, or where redirected traffic goes that is for no service."""

    # the protocol tags of its endpoints, in lower case; None among them if an endpoint has none
    protocols: frozenset[str | None]
    # every `spec.to[].default` that goes into its configuration, in any order
    health_checks: tuple[Resource, ...]
    retries: tuple[Resource, ...]
    is_passthrough: bool = False

    @property
    def request_retries(self) -> list[Resource]:
        """The sections that go into its retries, if all endpoints speak `http` or all of them `grpc`."""
        section = next(iter(self.protocols)) if self.protocols in ({"http"}, {"grpc"}) else None
        return [conf[section] for conf in self.retries if section in conf]


class Facts:
    """The documents of a case."""

    def __init__(self, documents: tuple[Resource, ...]) -> None:
        self._policies = [document for document in documents if "targetRef" in document.get("spec", {})]
        self._dataplanes = {document["name"]: document for document in documents if document["type"] == "Dataplane"}
        self._protocols: dict[str, set[str | None]] = {}
        for dataplane in self._dataplanes.values():
            for inbound in dataplane["networking"].get("inbound", []):
                if inbound.get("state", "Ready") == "Ready" and inbound.get("health", {}).get("ready", True):
                    protocol = inbound["tags"].get(PROTOCOL_TAG)
                    protocols = self._protocols.setdefault(inbound["tags"][SERVICE_TAG], set())
                    protocols.add(protocol and protocol.lower())

    def destination(self, dataplane: str, type_url: str, resource: Resource) -> Destination | None:
        """Where a cluster, or the listener of an outbound, leads. None for any other resource."""
        if self._is_passthrough(dataplane, type_url, resource):
            return Destination(frozenset(), (), (), is_passthrough=True)
        if type_url == CLUSTER:
            service: str | None = self._service(resource["name"])
        elif type_url == LISTENER and resource.get("trafficDirection") == "OUTBOUND":
            tags = resource.get("metadata", {}).get("filterMetadata", {}).get("io.kuma.tags", {})
            service = tags.get(SERVICE_TAG)
        else:
            service = None
        if service is None:
            return None
        return Destination(
            frozenset(self._protocols.get(service, ())),
            self._confs("MeshHealthCheck", dataplane, service),
            self._confs("MeshRetry", dataplane, service),
        )

    def _is_passthrough(self, dataplane: str, type_url: str, resource: Resource) -> bool:
        is_named_so = type_url == CLUSTER and _PASSTHROUGH_CLUSTER.match(resource["name"]) is not None
        return is_named_so and is_transparent(self._dataplanes[dataplane])

    def _service(self, cluster: str) -> str:
        subset = _SUBSET_CLUSTER.match(cluster)
        return subset[1] if subset and cluster not in self._protocols else cluster

    def _confs(self, kind: str, dataplane: str, service: str) -> tuple[Resource, ...]:
        return tuple(
            item.get("default", {})
            for policy in self._policies
            if policy["type"] == kind and _selects(policy["spec"]["targetRef"], self._dataplanes[dataplane])
            for item in policy["spec"].get("to", [])
            if item["targetRef"]["kind"] == "Mesh" or item["targetRef"]["name"] == service
        )


def _selects(target: Resource, dataplane: Resource) -> bool:
    networking = dataplane["networking"]
    gateway = networking.get("gateway")
    if target.get("proxyTypes") and ("Gateway" if gateway else "Sidecar") not in target["proxyTypes"]:
        return False
    wanted = ({SERVICE_TAG: target["name"]} if "name" in target else {}) | target.get("tags", {})
    inbounds = [gateway] if gateway else networking.get("inbound", [])
    return any(
        all(key in inbound["tags"] and value in ("*", inbound["tags"][key]) for key, value in wanted.items())
        for inbound in inbounds
    )
