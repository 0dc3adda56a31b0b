# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""MeshProxyPatch: changes of the Envoy resources themselves, made when all other policies have had their effect (Kuma
2.7, `meshproxypatch`).

Its policies are not merged. The modifications of all that select a proxy are carried out one after the other, those of
the policy with the highest precedence last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from ..envoy import parts, protos, type_urls
from ..envoy.parts import NotThatType
from ..envoy.patch import Change, JsonPatches, Merge, NotApplicable
from ..findings import Path, Severity, code
from ..model import field_name
from ..model.meshproxypatch import Modification, Operation, Part
from ..model.target_ref import TargetKind

VALUE = code(
    "MESH250",
    Severity.ERROR,
    "`value` of a modification is not the Envoy message that it should be",
    "See the message for what is wrong and where. The fields are those of Envoy's v3 API.",
)
CONSTRAINT = code(
    "MESH251",
    Severity.ERROR,
    "what a modification adds breaks a rule of Envoy's API",
    "See the message for the rule; Envoy would refuse the resource.",
)
MODIFICATION = code(
    "MESH252",
    Severity.ERROR,
    "the parts of a modification do not fit together",
    "One part of the proxy per modification; `value` to add, `value` or `jsonPatches` to patch, neither to remove.",
)
JSON_PATCH = code(
    "MESH253",
    Severity.ERROR,
    "an operation of `jsonPatches` is not one",
    "See RFC 6902 and, for the names of fields, Envoy's v3 API in lowerCamelCase.",
)
NOT_APPLICABLE = code(
    "MESH254",
    Severity.ERROR,
    "a modification cannot be applied to a resource that it matches",
    "See the message for the resource; narrow `match`, or correct the path or the type.",
)
MATCHES_NOTHING = code(
    "MESH255",
    Severity.WARNING,
    "a modification matches nothing on any proxy that its policy selects",
    "Compare `match` with what the filter `envoy_resources` shows, or take the modification out.",
)

# What adds have for an origin.
ORIGIN = "mesh-proxy-patch"

# The type of the message in `value`.
MESSAGES = {
    Part.CLUSTER: protos.type_name(type_urls.CLUSTER),
    Part.LISTENER: protos.type_name(type_urls.LISTENER),
    Part.NETWORK_FILTER: "envoy.config.listener.v3.Filter",
    Part.HTTP_FILTER: "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter",
    Part.VIRTUAL_HOST: "envoy.config.route.v3.VirtualHost",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class PatchKind:
    """What decoding has to know of the kind: see PolicyKind."""

    name: str
    schema: str
    top: frozenset[TargetKind]
    not_yet: frozenset[str]


KIND = PatchKind(
    name="MeshProxyPatch",
    schema="meshproxypatch",
    top=frozenset({TargetKind.MESH, TargetKind.MESH_SUBSET, TargetKind.MESH_SERVICE, TargetKind.MESH_SERVICE_SUBSET}),
    not_yet=frozenset({"MeshGateway"}),
)


class PatchError(Exception):
    """A modification cannot be applied to a resource that it matches. `path` leads to the place at fault in the
    document of its policy."""

    def __init__(self, modification: Modification, path: Path, message: str) -> None:
        super().__init__(message)
        self.modification = modification
        self.path = path


class Patched(NamedTuple):
    """A resource after modifications, None for one that was removed, and the positions of those that matched it."""

    resource: dict[str, Any] | None
    matched: frozenset[int]


_Resource = dict[str, Any]
_Tags = Mapping[str, str]

# Where a connection manager can have its routes.
_ROUTES = {"routeConfig", "rds", "scopedRoutes"}

_FILTERS = (Part.NETWORK_FILTER, Part.HTTP_FILTER)


def concerns(modification: Modification, type_url: str, key: str, origin: str, tags: _Tags | None = None) -> bool:
    """Whether a modification may touch the resource of this name and origin; `tags` are those of a listener.

    It may not when this says no. That it does is only sure when it is carried out.
    """
    return _names(modification, type_url, key, origin) and _has(tags or {}, modification)


def concerning(
    modifications: Sequence[Modification], type_url: str, key: str, origin: str, tags: _Tags | None = None
) -> tuple[int, ...]:
    """The positions of those that may touch a resource, each after what those before it may have made of its tags."""
    found: list[int] = []
    retagged = False
    for position, one in enumerate(modifications):
        if _names(one, type_url, key, origin) and (retagged or _has(tags or {}, one)):
            found.append(position)
            retagged = retagged or one.part is Part.LISTENER
    return tuple(found)


def _names(modification: Modification, type_url: str, key: str, origin: str) -> bool:
    part, match = modification.part, modification.match
    name = match.name if part in (Part.CLUSTER, Part.LISTENER) else match.listener_name
    return (
        type_url == (type_urls.CLUSTER if part is Part.CLUSTER else type_urls.LISTENER)
        and not _adds_resource(modification)
        and name in (None, key)
        and match.origin in (None, origin)
    )


def _has(tags: _Tags, modification: Modification) -> bool:
    wanted = modification.match.tags or modification.match.listener_tags or ()
    return all(key in tags and value in ("*", tags[key]) for key, value in wanted)


def _adds_resource(modification: Modification) -> bool:
    return modification.operation is Operation.ADD and modification.part is not Part.VIRTUAL_HOST


def leaves_routes_alone(modification: Modification) -> bool:
    """Whether the routes of a listener stay as they are, and where they are, whatever else is modified."""
    if modification.part is Part.HTTP_FILTER:
        return True
    if modification.part is not Part.NETWORK_FILTER or modification.operation is not Operation.PATCH:
        return False
    if modification.value is not None:
        return not _ROUTES & {*modification.value.get("typedConfig", {})}
    pointers = [
        pointer for one in modification.json_patches for pointer in (one.path, one.from_) if pointer is not None
    ]
    first = {field_name(pointer.split("/")[1]) if "/" in pointer else "" for pointer in pointers}
    return not first & {"", *_ROUTES}


def patched(
    resource: Mapping[str, Any], type_url: str, key: str, origin: str, modifications: Sequence[Modification]
) -> Patched:
    """What modifications, one after the other, make of one resource, which stays as it is. PatchError.

    `key` is the name by which the set of resources knows it, whatever name a modification gives it.
    """
    result: _Resource | None = dict(resource)
    matched: list[int] = []
    for position, modification in enumerate(modifications):
        if result is None:
            break
        tags = parts.tags(result) if type_url == type_urls.LISTENER else None
        if concerns(modification, type_url, key, origin, tags):
            after = _carried_out(modification, key, result)
            if after is not result:
                matched.append(position)
            result = after
    return Patched(result, frozenset(matched))


def addition(modification: Modification) -> tuple[str, str, dict[str, Any]] | None:
    """Type URL, name and content of the cluster or listener that a modification adds; None if it adds none.

    It takes the place of one of the same name.
    """
    if not _adds_resource(modification):
        return None
    type_url = type_urls.CLUSTER if modification.part is Part.CLUSTER else type_urls.LISTENER
    resource = _value(modification)
    return type_url, resource["name"], resource


def _carried_out(modification: Modification, key: str, resource: _Resource) -> _Resource | None:
    """The resource itself where the modification matches nothing of it."""
    try:
        if modification.part in (Part.CLUSTER, Part.LISTENER):
            return None if modification.operation is Operation.REMOVE else _patch_resource(modification, resource)
        if modification.part is Part.VIRTUAL_HOST:
            route_configuration = modification.match.route_configuration_name
            return parts.edit_virtual_hosts(resource, route_configuration, lambda items: _edit(modification, items))
        edit = parts.edit_network_filters if modification.part is Part.NETWORK_FILTER else parts.edit_http_filters
        return edit(resource, lambda items: _edit(modification, items))
    except NotThatType as error:
        raise PatchError(modification, modification.path, f"cannot be applied to {key}: {error}") from None
    except NotApplicable as error:
        path: Path = (*modification.path, "value")
        if error.step is not None:
            path = (*modification.path, "jsonPatches", error.step, "path")
        raise PatchError(modification, path, f"cannot be applied to {key}: {error}") from None


def _edit(modification: Modification, items: list[_Resource]) -> list[_Resource]:
    """Filters, or virtual hosts, after the modification; the same list where it matches none of them."""
    operation, name = modification.operation, modification.match.name
    if operation is Operation.ADD_FIRST:
        return [_value(modification), *items]
    if operation in (Operation.ADD_LAST, Operation.ADD):
        return [*items, _value(modification)]
    found = [position for position, one in enumerate(items) if name in (None, one.get("name", ""))]
    if not found:
        return items
    if operation in (Operation.ADD_BEFORE, Operation.ADD_AFTER):
        place = found[0] if operation is Operation.ADD_BEFORE else found[0] + 1
        return [*items[:place], _value(modification), *items[place:]]
    if operation is Operation.REMOVE:
        return [one for position, one in enumerate(items) if position not in found]
    change = _patch_filter if modification.part in _FILTERS else _patch
    return [change(modification, one) if position in found else one for position, one in enumerate(items)]


def _patch(modification: Modification, message: _Resource) -> _Resource:
    return _change(modification).apply(MESSAGES[modification.part], message)


def _patch_resource(modification: Modification, resource: _Resource) -> _Resource:
    changed = _patch(modification, resource)
    if "name" not in changed:
        # Merging takes no name away.
        raise NotApplicable("it would be left without a name", len(modification.json_patches) - 1)
    return changed


def _patch_filter(modification: Modification, one: _Resource) -> _Resource:
    """Of a filter, its configuration alone is patched."""
    config = one.get("typedConfig")
    if modification.value is not None:
        configured = modification.value.get("typedConfig")
        if not configured:
            return dict(one)
        if not config:
            rest = {key: value for key, value in one.items() if key != "configDiscovery"}
            return {**rest, "typedConfig": _value(modification)["typedConfig"]}
        if config["@type"] != configured["@type"]:
            there, said = protos.type_name(config["@type"]), protos.type_name(configured["@type"])
            raise NotApplicable(f"its filter {one.get('name')} is a {there}, the value is a {said}")
    elif not config:
        raise NotApplicable(f"its filter {one.get('name')} has no typedConfig", 0)
    content = {key: value for key, value in config.items() if key != "@type"}
    changed = _change(modification).apply(protos.type_name(config["@type"]), content)
    return {**one, "typedConfig": {"@type": config["@type"], **changed}}


# What is made of a modification is made once, and lives as long as it does.
_changes: WeakKeyDictionary[Modification, Change] = WeakKeyDictionary()
_values: WeakKeyDictionary[Modification, str] = WeakKeyDictionary()


def _change(modification: Modification) -> Change:
    change = _changes.get(modification)
    if change is None:
        change = _changes[modification] = _new_change(modification)
    return change


def _new_change(modification: Modification) -> Change:
    value = modification.value
    if value is None:
        return JsonPatches(modification.json_patches)
    if modification.part not in _FILTERS:
        return Merge(MESSAGES[modification.part], value)
    config = value["typedConfig"]
    content = {key: member for key, member in config.items() if key != "@type"}
    return Merge(protos.type_name(config["@type"]), content)


def _value(modification: Modification) -> _Resource:
    """The message in `value`, a new one each time."""
    text = _values.get(modification)
    if text is None:
        message = protos.canonical(MESSAGES[modification.part], modification.value)
        text = _values[modification] = json.dumps(message)
    value: _Resource = json.loads(text)
    return value
