# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes Services, as hints about protocols (Kuma 2.7, `ProtocolTagFor`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..findings import NO_EFFECT, Path, Severity, code, did_you_mean
from ..model.service import KubernetesService, ProtocolHint
from ..protocol import PROTOCOLS
from ..schema import NOT_ONE_OF
from .kubernetes import conforms
from .reader import Reader

CONTRADICTION = code(
    "MESH036",
    Severity.WARNING,
    "two places say different things about the protocol of a service",
    "Correct the one that is wrong. The tag of the Dataplane counts before `appProtocol`, that before the annotation.",
)
OTHER_PROTOCOL = code(
    "MESH058",
    Severity.WARNING,
    "`appProtocol` names a protocol that the mesh does not know",
    "Write http, http2, grpc, kafka or tcp; what else a service speaks is tcp to the mesh.",
)

API_VERSION = "v1"
_SUFFIX = ".service.kuma.io/protocol"


def decode_service(reader: Reader, value: dict[str, Any]) -> KubernetesService | None:
    """A Service, or None where findings say why not. What else is in its `spec` is Kubernetes' business."""
    if not conforms(reader, value, API_VERSION) or not reader.conforms("service", value.get("spec", {}), ("spec",)):
        return None
    metadata = value["metadata"]
    namespace = metadata.get("namespace", "default")
    annotations = {key: text for key, text in metadata.get("annotations", {}).items() if key.endswith(_SUFFIX)}
    # Others than TCP are no ports of the mesh.
    ports = [
        (index, port)
        for index, port in enumerate(value.get("spec", {}).get("ports", []))
        if port.get("protocol", "TCP") == "TCP"
    ]
    hints = [
        ProtocolHint(f"{metadata['name']}_{namespace}_svc_{port['port']}", protocol, path)
        for index, port in ports
        for protocol, path in _hint(reader, ("spec", "ports", index), port, annotations)
    ]
    for key in annotations:
        if key not in {f"{port['port']}{_SUFFIX}" for _index, port in ports}:
            reader.report(NO_EFFECT, _annotation(key), "has no effect: the Service has no such TCP port")
    if not reader.sound:
        return None
    document = replace(reader.document, moved={("name",): ("metadata", "name")})
    return KubernetesService(namespace, metadata["name"], tuple(hints), document)


def _hint(
    reader: Reader, at: Path, port: Mapping[str, Any], annotations: Mapping[str, str]
) -> Iterator[tuple[str, Path]]:
    """The protocol of a port, if one is said, and where: `appProtocol` if the mesh knows it, else the annotation."""
    key = f"{port['port']}{_SUFFIX}"
    said, annotated = port.get("appProtocol"), annotations.get(key)
    if annotated is not None and annotated.lower() not in PROTOCOLS:
        allowed = ", ".join(sorted(PROTOCOLS))
        reader.report(NOT_ONE_OF, _annotation(key), f"must be one of {allowed}{did_you_mean(annotated, PROTOCOLS)}")
        return
    if said is not None and said.lower() in PROTOCOLS:
        if annotated is not None and annotated.lower() != said.lower():
            message = f"says {annotated}, but the port's appProtocol says {said}, which counts"
            reader.report(CONTRADICTION, _annotation(key), message)
        yield said.lower(), (*at, "appProtocol")
        return
    if said is not None:
        used = "tcp is used" if annotated is None else f"the annotation's {annotated} is used"
        hint = did_you_mean(said, PROTOCOLS)
        reader.report(OTHER_PROTOCOL, (*at, "appProtocol"), f"'{said}' is no protocol of the mesh{hint or ','} {used}")
    if annotated is not None:
        yield annotated.lower(), _annotation(key)


def _annotation(key: str) -> Path:
    return ("metadata", "annotations", key)
