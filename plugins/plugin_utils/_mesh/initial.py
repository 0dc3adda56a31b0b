# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policies that a control plane gives every new mesh (Kuma 2.7, `pkg/defaults/mesh`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from . import versions
from .decode import Resources, decode
from .findings import Finding
from .model.mesh import Mesh
from .source import Document

FILE = "initial policy of Kuma 2.7"


def apply(resources: Resources) -> list[Finding]:
    """Add the initial policies of every Mesh that does not skip them.

    A policy of the same kind and name that the user wrote, as exports have them, stands in for the initial one.
    """
    written = {(policy.kind, policy.mesh, policy.name) for policy in resources.policies}
    found: list[Finding] = []
    for mesh in resources.meshes:
        documents = [one for one in _documents(mesh) if (one["type"], mesh.name, one["name"]) not in written]
        initial, findings = decode(Document(document, FILE) for document in documents)
        resources.policies += [replace(policy, initial=True) for policy in initial.policies]
        found += findings
    return found


def _documents(mesh: Mesh) -> Iterator[dict[str, object]]:
    skipped = mesh.skip_creating_initial_policies
    for kind, name, spec in versions.INITIAL_POLICIES:
        if "*" not in skipped and kind not in skipped:
            yield {"type": kind, "mesh": mesh.name, "name": f"{name}-{mesh.name}", "spec": spec}
