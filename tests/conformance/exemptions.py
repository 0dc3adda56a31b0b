# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a document is judged otherwise than by Kuma, on purpose: one named row each, with its reason.

An exemption looks at the mutation alone and names the places at which the two judgements may differ. One that covers
nothing in a whole run fails the tests.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .recordings import Mutation

Steps = tuple[str | int, ...]

_STEP = re.compile(r'\["(?P<key>(?:[^"\\]|\\.)*)"\]|\[(?P<index>\d+)\]|\.?(?P<member>[^.\[]+)')


@dataclass(frozen=True)
class Exemption:
    """`covers` says whether findings at a place may differ."""

    name: str
    reason: str
    covers: Callable[[Mutation, Steps], bool]


def steps(path: str) -> Steps:
    """A path in Kuma's notation, where `tags["version"]` and `tags.version` are the same."""
    return tuple(
        int(step["index"]) if step["index"] else step["member"] or re.sub(r"\\(.)", r"\1", step["key"])
        for step in _STEP.finditer(path)
    )


def changed_place(change: str) -> Steps:
    """Where a change was made: `("spec", "to", 0)` for `wrapped spec.to.0`; a tag's own dots do no harm here."""
    return tuple(int(step) if step.isdigit() else step for step in change.rpartition(" ")[2].split("."))


def at(mutation: Mutation, place: Steps) -> Any:
    """What stands at a place of the damaged document; None if nothing does."""
    value: Any = mutation.document
    for step in place:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _unknown_field(mutation: Mutation, place: Steps) -> bool:
    """A member that the mutation put into a mapping, other than one that takes any member."""
    return place[:-1] in {
        changed_place(change)
        for change in mutation.changed
        if change.startswith("unknown field") and not change.endswith(".tags")
    }


def _host_name(mutation: Mutation, place: Steps) -> bool:
    if place not in {("networking", "address"), ("networking", "advertisedAddress")}:
        return False
    try:
        ipaddress.ip_address(at(mutation, place))
    except ValueError:
        return isinstance(at(mutation, place), str)
    return False


def _builtin_gateway(mutation: Mutation, place: Steps) -> bool:
    return place == ("spec", "targetRef", "kind") and at(mutation, place) == "MeshGateway"


def _not_base64(mutation: Mutation, place: Steps) -> bool:
    if place[4:6] not in {("tcp", "send"), ("tcp", "receive")}:
        return False
    try:
        return not base64.b64decode(at(mutation, place), validate=True)
    except (binascii.Error, TypeError):
        return isinstance(at(mutation, place), str)


def _null_item(mutation: Mutation, place: Steps) -> bool:
    """A null item of a list, and what is missing in it."""
    items = (place[: end + 1] for end, step in enumerate(place) if isinstance(step, int))
    return mutation.document["type"] == "Dataplane" and any(at(mutation, item) is None for item in items)


EXEMPTIONS = (
    Exemption(
        "unknown field",
        "Kuma drops it silently; here it is an error, because a setting that does nothing is the worst outcome",
        _unknown_field,
    ),
    Exemption("host name as address", "a control plane resolves it at run time; not supported yet", _host_name),
    Exemption("builtin gateway", "a policy for one; not supported yet", _builtin_gateway),
    Exemption("invalid base64", "Kuma sends the text itself; here the bytes that it stands for are sent", _not_base64),
    Exemption("null item", "Kuma reads an empty item and names what it lacks; here it is named itself", _null_item),
)
