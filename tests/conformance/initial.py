# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The initial policies of a recorded mesh as documents among its others."""

from __future__ import annotations

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import versions

from .recordings import Resource

ORIGIN = "kuma.io/origin"

Documents = tuple[Resource, ...]

_KINDS = {kind for kind, _name, _spec in versions.INITIAL_POLICIES}


def initial_policies(documents: Documents) -> list[Resource]:
    """Those that come with the Mesh, under Kuma's names."""
    return [
        {"type": kind, "mesh": mesh["name"], "name": f"{name}-{mesh['name']}", "spec": spec}
        for mesh in documents
        if mesh["type"] == "Mesh"
        for kind, name, spec in versions.INITIAL_POLICIES
        if not {kind, "*"} & {*mesh.get("skipCreatingInitialPolicies", ())}
    ]


def written_out(documents: Documents) -> Documents:
    """The initial policies are documents like any other, and the Mesh gets none by itself."""
    given = (one | {"skipCreatingInitialPolicies": ["*"]} if one["type"] == "Mesh" else one for one in documents)
    return (*given, *initial_policies(documents))


def with_origin(documents: Documents) -> Documents:
    """The user's policies as a control plane stores them when they are created. Initial ones are stored without."""
    return tuple(one | {"labels": {ORIGIN: "zone"}} if one["type"] in _KINDS else one for one in documents)


def with_smaller_names(documents: Documents) -> Documents:
    """The names of the user's policies come before those of all initial ones, in the same order as before."""
    return tuple(one | {"name": f"a-{one['name']}"} if one["type"] in _KINDS else one for one in documents)


def loses_by_name(documents: Documents) -> bool:
    """Whether a policy of the user ties with an initial one and has the greater name: in Kuma the smaller one wins."""
    return any(
        (one["type"], one["spec"]["targetRef"]["kind"]) == (initial["type"], initial["spec"]["targetRef"]["kind"])
        and one["name"] > initial["name"]
        for initial in initial_policies(documents)
        for one in documents
        if one["type"] in _KINDS
    )
