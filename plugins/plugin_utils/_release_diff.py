# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two release documents as a diff of their resources; private to this collection.

Only resources that differ are shown, by name, and nothing that may be a secret: what that is, `apply` and this module
know from the same place.
"""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.meshsmith.universal.plugins.module_utils._difference import HIDDEN, redacted

_KINDS = {"cds": "cluster", "lds": "listener", "eds": "endpoints", "rds": "route"}
_LISTED_NAMES = 20


def release_diff(
    title: str, before: bytes | None, after: bytes | None, lines: int, bodies: bool = True
) -> dict[str, str]:
    """One entry for Ansible's `diff`: the resources that differ between two release documents.

    `before` or `after` is None where there is no document. The entry has about `lines` lines; what is left out is
    listed. Without `bodies` only the names of the resources are shown.
    """
    old, new = _resources(before), _resources(after)
    changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    left: list[str] = []
    right: list[str] = []
    for position, name in enumerate(changed):
        removed, added = _blocks(name, old.get(name), new.get(name), bodies)
        if left + right and len(left) + len(right) + len(removed) + len(added) > lines:
            right.append(_rest(changed[position:]))
            break
        left += removed
        right += added
    return {
        "before_header": title,
        "after_header": title,
        "before": "".join(f"{line}\n" for line in left),
        "after": "".join(f"{line}\n" for line in right),
    }


def _resources(document: bytes | None) -> dict[str, Any]:
    """Resources by a readable name, e.g. `cluster backend`."""
    if not document:
        return {}
    found: dict[str, Any] = {}
    for file, content in json.loads(document)["files"].items():
        kind = _KINDS.get(file.partition("/")[0])
        if kind is None:
            found[file] = content
            continue
        for resource in content["resources"]:
            found[f"{kind} {resource.get('name') or resource.get('clusterName', '')}"] = resource
    return found


def _blocks(name: str, old: Any, new: Any, bodies: bool) -> tuple[list[str], list[str]]:
    """The lines of one resource before and after. They differ also where only what is hidden differs."""
    removed, added = _block(name, old, bodies), _block(name, new, bodies)
    if removed == added:
        added[0] += " (hidden values differ)"
    return removed, added


def _block(name: str, resource: Any, bodies: bool) -> list[str]:
    if resource is None:
        return []
    if not bodies:
        return [f"{name} {HIDDEN}"]
    return [name, *(f"  {line}" for line in json.dumps(redacted(resource), indent=2, sort_keys=True).splitlines())]


def _rest(names: list[str]) -> str:
    listed = ", ".join(names[:_LISTED_NAMES]) + (", …" if len(names) > _LISTED_NAMES else "")
    return f"({len(names)} more not shown: {listed})"
