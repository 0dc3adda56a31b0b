# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents to typed resources. Whatever does not decode becomes findings; defaults are not filled in here.

Rules and paths are those of Kuma 2.7 (`meta_validator.go`, `validators.go`, `dataplane_validator.go`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .. import schema, versions
from ..findings import NOT_A_MAPPING, Finding, Path, Severity, code, did_you_mean
from ..kinds import POLICY_KINDS, meshproxypatch
from ..model.dataplane import Dataplane
from ..model.mesh import Mesh
from ..model.policies import Policy
from ..model.service import KubernetesService
from ..model.virtual_ips import VirtualIPs
from ..schema import MISSING, UNSUPPORTED, WRONG_TYPE
from ..source import Document
from . import kubernetes, service
from .dataplane import decode_dataplane
from .mesh import decode_mesh
from .policy import decode_policy
from .proxypatch import decode_proxy_patch
from .reader import Reader
from .virtual_ips import decode_virtual_ips

UNKNOWN_KIND = code("MESH008", Severity.ERROR, "unknown kind of resource", "Correct `type`, or take the document out.")

_KUMA_KINDS = versions.KNOWN_KINDS | {"Mesh", "Dataplane"}
_VIRTUAL_IPS = "VirtualIPs"

_PATCH = meshproxypatch.KIND


@dataclass
class Resources:
    """Everything that decoded."""

    meshes: list[Mesh] = field(default_factory=list)
    dataplanes: list[Dataplane] = field(default_factory=list)
    policies: list[Policy] = field(default_factory=list)
    services: list[KubernetesService] = field(default_factory=list)
    virtual_ips: list[VirtualIPs] = field(default_factory=list)


def decode(documents: Iterable[Document]) -> tuple[Resources, list[Finding]]:
    """All documents as resources, and what is wrong with those that are missing from them."""
    resources = Resources()
    findings: list[Finding] = []
    for document in documents:
        _decode(Reader(document, findings), resources)
    return resources, findings


def _decode(reader: Reader, resources: Resources) -> None:
    value = reader.document.value
    if not isinstance(value, dict):
        reader.report(NOT_A_MAPPING, (), f"must be a resource, not {schema.type_name(value)}")
    elif not reader.is_plain(value):
        return
    elif kubernetes.is_kubernetes(value):
        _decode_kubernetes(reader, value, resources)
    elif _identified(reader, value):
        if reader.kind == "Mesh":
            _decode_mesh(reader, value, resources)
        elif reader.kind == "Dataplane":
            dataplane = decode_dataplane(reader, value)
            resources.dataplanes += [dataplane] if dataplane is not None else []
        elif reader.kind == _VIRTUAL_IPS:
            virtual_ips = decode_virtual_ips(reader, value)
            resources.virtual_ips += [virtual_ips] if virtual_ips is not None else []
        else:
            _decode_policy(reader, value, resources)


def _decode_mesh(reader: Reader, value: dict[str, Any], resources: Resources) -> None:
    mesh = decode_mesh(reader, value)
    resources.meshes += [mesh] if mesh is not None else []


def _decode_policy(reader: Reader, value: dict[str, Any], resources: Resources) -> None:
    if reader.kind == _PATCH.name:
        policy = decode_proxy_patch(reader, value)
    else:
        policy = decode_policy(reader, value, POLICY_KINDS[reader.kind])
    resources.policies += [policy] if policy is not None else []


def _decode_kubernetes(reader: Reader, value: dict[str, Any], resources: Resources) -> None:
    kind, metadata = value.get("kind"), value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    reader.kind = kind if isinstance(kind, str) else ""
    reader.name = name if isinstance(name, str) else ""
    kind_of_policy = _PATCH if reader.kind == _PATCH.name else POLICY_KINDS.get(reader.kind)
    if kind_of_policy is not None:
        document = kubernetes.universal_policy(reader, value, kind_of_policy.schema)
        if document is not None:
            universal: Any = document.value
            reader.document = document
            _decode_policy(reader, universal, resources)
    elif reader.kind == "Mesh":
        document = kubernetes.universal_mesh(reader, value)
        if document is not None:
            universal = document.value
            reader.document = document
            _decode_mesh(reader, universal, resources)
    elif reader.kind == "Service" and value.get("apiVersion") == service.API_VERSION:
        decoded = service.decode_service(reader, value)
        resources.services += [decoded] if decoded is not None else []
    elif not reader.kind:
        reader.report(MISSING, ("kind",), "must be set, for example to MeshRetry")
    elif reader.kind in _KUMA_KINDS or not str(value.get("apiVersion", "")).startswith("kuma.io/"):
        reader.report(UNSUPPORTED, ("kind",), f"not supported yet: {reader.kind} in Kubernetes form")
    else:
        _report_unknown_kind(reader, ("kind",))


def _identified(reader: Reader, value: dict[str, object]) -> bool:
    """Note the kind and name of a resource; whether it is one that is decoded here."""
    kind, name = value.get("type"), value.get("name")
    if "type" not in value:
        reader.report(MISSING, ("type",), "must be set, for example to Dataplane")
        return False
    if not isinstance(kind, str):
        reader.report(WRONG_TYPE, ("type",), f"must be a string, not {schema.type_name(kind)}")
        return False
    reader.kind = kind
    reader.name = name if isinstance(name, str) else ""
    if kind in ("Mesh", "Dataplane", _VIRTUAL_IPS, _PATCH.name, *POLICY_KINDS):
        return True
    if kind in versions.KNOWN_KINDS:
        reader.report(UNSUPPORTED, ("type",), f"not supported yet: {kind}")
    else:
        _report_unknown_kind(reader, ("type",))
    return False


def _report_unknown_kind(reader: Reader, path: Path) -> None:
    hint = did_you_mean(reader.kind, _KUMA_KINDS | {_VIRTUAL_IPS})
    reader.report(UNKNOWN_KIND, path, f"unknown kind '{reader.kind}'{hint}")
