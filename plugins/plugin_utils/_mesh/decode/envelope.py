# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all resources have around their content: name, mesh, labels (Kuma 2.7, `meta_validator.go`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..findings import Severity, code
from ..schema import MISSING
from .reader import Reader

WRONG_NAME = code(
    "MESH023",
    Severity.ERROR,
    "a name has characters that Kuma refuses",
    "Names consist of lower-case letters, digits, '-' and '.', and begin and end with a letter or digit.",
)
WRONG_LABEL = code("MESH027", Severity.ERROR, "a label is not one that Kuma takes", "See the message for the form.")

FIELDS = frozenset({"type", "name", "mesh", "labels", "creationTime", "modificationTime"})

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_MESH_REFERENCE = re.compile(r"[0-9a-z\-_.]*", re.ASCII)
_LABEL_PART = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]", re.ASCII)
_LONGEST_NAME = 253
_LONGEST_MESH_NAME = 63
_LONGEST_LABEL_PART = 63


def content(value: Mapping[str, Any]) -> dict[str, Any]:
    """What is left of a resource without its envelope."""
    return {key: part for key, part in value.items() if key not in FIELDS}


def check_envelope(reader: Reader, value: Mapping[str, Any]) -> bool:
    """Report what is wrong with the envelope; whether it can be used."""
    envelope = {key: part for key, part in value.items() if key in FIELDS}
    if not reader.conforms("envelope", envelope):
        return False
    fits = _name_fits(reader, envelope["name"])
    if reader.kind != "Mesh":
        fits = _mesh_fits(reader, envelope.get("mesh", "")) and fits
    labels: dict[str, str] = envelope.get("labels", {})
    for key, label in labels.items():
        fits = _label_fits(reader, key, label) and fits
    return fits


def _name_fits(reader: Reader, name: str) -> bool:
    longest = _LONGEST_MESH_NAME if reader.kind == "Mesh" else _LONGEST_NAME
    if not name:
        reader.report(WRONG_NAME, ("name",), "must not be empty")
    elif not _NAME.fullmatch(name):
        message = "must consist of a-z, 0-9, '-' and '.', and begin and end with one of a-z, 0-9"
        reader.report(WRONG_NAME, ("name",), message)
    elif len(name) > longest:
        reader.report(WRONG_NAME, ("name",), f"must not be longer than {longest} characters")
    else:
        return True
    return False


def _mesh_fits(reader: Reader, mesh: str) -> bool:
    if not mesh:
        reader.report(MISSING, ("mesh",), "must name the mesh, for example default")
    elif not _MESH_REFERENCE.fullmatch(mesh):
        reader.report(WRONG_NAME, ("mesh",), "must consist of a-z, 0-9, '-', '_' and '.'")
    else:
        return True
    return False


def _label_fits(reader: Reader, key: str, value: str) -> bool:
    path = ("labels", key)
    prefix, slash, short = key.rpartition("/")
    prefix_fits = not slash or (len(prefix) <= _LONGEST_NAME and _NAME.fullmatch(prefix))
    if not prefix_fits or len(short) > _LONGEST_LABEL_PART or not _LABEL_PART.fullmatch(short):
        reader.report(WRONG_LABEL, path, "must be a name such as team, or example.com/team")
    elif value and (len(value) > _LONGEST_LABEL_PART or not _LABEL_PART.fullmatch(value)):
        message = "must be up to 63 letters, digits, '-', '_' and '.', a letter or digit at both ends"
        reader.report(WRONG_LABEL, path, message)
    elif key == "kuma.io/origin" and value not in ("global", "zone"):
        reader.report(WRONG_LABEL, path, "must be global or zone")
    else:
        return True
    return False
