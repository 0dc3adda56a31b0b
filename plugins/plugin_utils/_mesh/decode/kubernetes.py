# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resources in Kubernetes form, put into Universal form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .. import schema
from ..findings import Path, Severity, code, did_you_mean
from ..schema import UNKNOWN_FIELD, UNSUPPORTED, WRONG_TYPE
from ..source import Document
from .envelope import FIELDS
from .reader import Reader

WRONG_NAMESPACE = code(
    "MESH029",
    Severity.ERROR,
    "a resource is not in the namespace that it belongs to",
    "Kuma 2.7 takes policies in its own namespace only: kuma-system, or kong-mesh-system. A Mesh is in none.",
)

API_VERSION = "kuma.io/v1alpha1"
_SYSTEM_NAMESPACES = ("kuma-system", "kong-mesh-system")
_MESH_LABEL = "kuma.io/mesh"
_MOVED: dict[Path, Path] = {
    ("type",): ("kind",),
    ("name",): ("metadata", "name"),
    ("labels",): ("metadata", "labels"),
    ("mesh",): ("metadata", "labels", _MESH_LABEL),
}


def is_kubernetes(value: Mapping[str, Any]) -> bool:
    """Whether a resource has Kubernetes form."""
    return "apiVersion" in value or ("kind" in value and "type" not in value)


def conforms(reader: Reader, value: Mapping[str, Any], api_version: str) -> bool:
    """Report what is wrong around the `spec` of a resource; whether it can be used."""
    fits = reader.conforms("kubernetes", value)
    if fits and value["apiVersion"] != api_version:
        hint = did_you_mean(value["apiVersion"], (api_version,))
        reader.report(UNSUPPORTED, ("apiVersion",), f"not supported: {value['kind']} of this version{hint}")
        fits = False
    return fits


def universal_policy(reader: Reader, value: Mapping[str, Any], schema_name: str) -> Document | None:
    """A targetRef policy in Universal form, or None where findings say why not.

    The defaults of the custom resource's definition are filled in, as an API server does, before policies are merged.
    """
    if not conforms(reader, value, API_VERSION):
        return None
    metadata = value["metadata"]
    namespace = metadata.get("namespace", _SYSTEM_NAMESPACES[0])
    if namespace not in _SYSTEM_NAMESPACES:
        message = f"must be {' or '.join(_SYSTEM_NAMESPACES)}, where the control plane runs"
        reader.report(WRONG_NAMESPACE, ("metadata", "namespace"), message)
    labels = metadata.get("labels", {})
    resource = {
        "type": value["kind"],
        "name": metadata["name"],
        "mesh": labels.get(_MESH_LABEL, "default"),
        "labels": labels,
    }
    filled: set[Path] = set()
    if "spec" in value:
        resource["spec"] = _with_defaults(value["spec"], schema.load(schema_name), ("spec",), filled)
    return replace(reader.document, value=resource, moved=_MOVED, filled=frozenset(filled))


def universal_mesh(reader: Reader, value: Mapping[str, Any]) -> Document | None:
    """A Mesh in Universal form, where its fields stand at the top, or None where findings say why not."""
    if not conforms(reader, value, API_VERSION):
        return None
    metadata, spec = value["metadata"], value.get("spec", {})
    if "namespace" in metadata:
        reader.report(WRONG_NAMESPACE, ("metadata", "namespace"), "must not be set: a Mesh is in no namespace")
    if not isinstance(spec, dict):
        reader.report(WRONG_TYPE, ("spec",), f"must be a mapping, not {schema.type_name(spec)}")
        return None
    taken = sorted(FIELDS & spec.keys())
    for key in taken:
        reader.report(UNKNOWN_FIELD, ("spec", key), "unknown field")
    if taken:
        return None
    moved = {**_MOVED, **{(key,): ("spec", key) for key in spec}}
    resource = {"type": "Mesh", "name": metadata["name"], "labels": metadata.get("labels", {}), **spec}
    return replace(reader.document, value=resource, moved=moved)


def _with_defaults(value: Any, shape: Mapping[str, Any], path: Path, filled: set[Path]) -> Any:
    """A value with the defaults of its schema; where one was put in is noted in `filled`."""
    if isinstance(value, list):
        # A list inside a configuration is merged as one value, and what its items lack is the same in either form.
        item = shape.get("items", {})
        if "default" not in item.get("properties", {}):
            return value
        return [_with_defaults(one, item, (*path, index), filled) for index, one in enumerate(value)]
    if not isinstance(value, dict) or "properties" not in shape:
        return value
    parts = shape["properties"]
    whole = {key: _with_defaults(item, parts.get(key, {}), (*path, key), filled) for key, item in value.items()}
    for key, part in parts.items():
        if "x-kubernetes-default" in part and key not in whole:
            whole[key] = part["x-kubernetes-default"]
            filled.add((*path, key))
    return whole
