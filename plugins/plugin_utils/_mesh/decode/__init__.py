# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents to typed resources. Whatever does not decode becomes findings; defaults are not filled in here.

Rules and paths are those of Kuma 2.7 (`meta_validator.go`, `validators.go`, `dataplane_validator.go`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .. import schema, versions
from ..findings import NOT_A_MAPPING, Finding, Severity, code, did_you_mean
from ..kinds import POLICY_KINDS
from ..model.dataplane import Dataplane
from ..model.mesh import Mesh
from ..model.policies import Policy
from ..schema import MISSING, UNSUPPORTED, WRONG_TYPE
from ..source import Document
from .dataplane import decode_dataplane
from .mesh import decode_mesh
from .policy import decode_policy
from .reader import Reader

UNKNOWN_KIND = code("MESH008", Severity.ERROR, "unknown kind of resource", "Correct `type`, or take the document out.")


@dataclass
class Resources:
    """Everything that decoded."""

    meshes: list[Mesh] = field(default_factory=list)
    dataplanes: list[Dataplane] = field(default_factory=list)
    policies: list[Policy] = field(default_factory=list)


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
    elif reader.is_plain(value) and _identified(reader, value):
        if reader.kind == "Mesh":
            mesh = decode_mesh(reader, value)
            resources.meshes += [mesh] if mesh is not None else []
        elif reader.kind == "Dataplane":
            dataplane = decode_dataplane(reader, value)
            resources.dataplanes += [dataplane] if dataplane is not None else []
        else:
            policy = decode_policy(reader, value, POLICY_KINDS[reader.kind])
            resources.policies += [policy] if policy is not None else []


def _identified(reader: Reader, value: dict[str, object]) -> bool:
    """Note the kind and name of a resource; whether it is one that is decoded here."""
    if "apiVersion" in value or ("kind" in value and "type" not in value):
        reader.report(UNSUPPORTED, ("apiVersion",), "not supported yet: resources in Kubernetes form; write `type:`")
        return False
    kind, name = value.get("type"), value.get("name")
    if "type" not in value:
        reader.report(MISSING, ("type",), "must be set, for example to Dataplane")
        return False
    if not isinstance(kind, str):
        reader.report(WRONG_TYPE, ("type",), f"must be a string, not {schema.type_name(kind)}")
        return False
    reader.kind = kind
    reader.name = name if isinstance(name, str) else ""
    supported = {"Mesh", "Dataplane", *POLICY_KINDS}
    if kind in supported:
        return True
    if kind in versions.KNOWN_KINDS:
        reader.report(UNSUPPORTED, ("type",), f"not supported yet: {kind}")
    else:
        hint = did_you_mean(kind, supported | versions.KNOWN_KINDS)
        reader.report(UNKNOWN_KIND, ("type",), f"unknown kind '{kind}'{hint}")
    return False
