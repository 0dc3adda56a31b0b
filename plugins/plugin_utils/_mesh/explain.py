# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which policy set which field, which ones lost and why, and what became of the field in Envoy.

What a field becomes in Envoy is found out, not written down: the resource is built once more without the field, where
that makes no difference with another value, and compared. So it is true for every kind.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any

from .envoy import names, type_urls
from .findings import Path, format_path
from .fragments import Fragment
from .kinds.policy_kind import PolicyKind, Situation, Statement
from .merge import SECTION, Layer, Merged, leaves
from .model import StringMap, field_name
from .model.dataplane import SERVICE_TAG, Dataplane, Outbound
from .model.duration import Duration
from .model.policies import Policy
from .protocol import Protocol
from .proxy import Compiler, Target
from .routes import Destination


@dataclass(frozen=True, eq=False)
class Field:
    """One field of a merged configuration: its value, who set it, and who set it before, in the order they lost."""

    value: object
    winner: Layer
    losers: tuple[tuple[Layer, object], ...]


def field_origins(merged: Merged, layers: list[Layer]) -> dict[str, Field]:
    """Every field by its path in Kuma's names. `layers` are those that were merged, low to high."""
    history: dict[str, list[tuple[Layer, object]]] = {}
    for layer in layers:
        for path, value in leaves(layer.item.conf):
            history.setdefault(path, []).append((layer, value))
    return {
        path: Field(leaf.value, leaf.layer, tuple(history[path][:-1])) for path, leaf in sorted(merged.leaves.items())
    }


def as_data(merged: Merged, layers: list[Layer]) -> dict[str, Any]:
    """A merged configuration in Kuma's names, and for each of its fields the policies behind it, as plain values."""
    return {
        "conf": plain(merged.conf),
        "fields": {
            path: {
                "value": plain(field.value),
                "policy": _policy(field.winner, path),
                "losers": [
                    {**_policy(layer, path), "value": plain(value), "why": _why(layer, field.winner)}
                    for layer, value in field.losers
                ],
            }
            for path, field in field_origins(merged, layers).items()
        },
    }


def plain(value: object) -> Any:
    """A value of a model as it stands in YAML."""
    if value is SECTION:
        return {}
    if isinstance(value, Duration):
        return str(value)
    if is_dataclass(value):
        members = {field_name(one.name): getattr(value, one.name) for one in fields(value)}
        return {name: plain(member) for name, member in members.items() if member is not None}
    if isinstance(value, StringMap):
        return dict(value)
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else str(value)
    return value


def _policy(layer: Layer, path: str) -> dict[str, object]:
    """Where a layer sets a field."""
    return _place(layer.policy, (*layer.item.path, *path.split(".")))


def _place(policy: Policy, at: Path) -> dict[str, object]:
    document = policy.document
    position = document.position(at)
    return {
        "kind": policy.kind,
        "name": policy.name,
        "file": document.file,
        "line": position[0] if position else None,
        "path": format_path(document.as_written(at)),
    }


def _why(loser: Layer, winner: Layer) -> str:
    """Why one layer lost against another (Kuma 2.7, `matchers/dataplane.go`, `rules.go`)."""
    low, high = loser.policy, winner.policy
    if low is high:
        return "another item of `to` stands later in the same policy"
    if low.target_ref.kind is not high.target_ref.kind:
        return f"less specific: its targetRef is of kind {low.target_ref.kind.value}, not {high.target_ref.kind.value}"
    if low.initial and not high.initial:
        return "it came with the mesh, and what is written counts more"
    if low.origin is not high.origin:
        return f"its origin is {low.origin.value or 'not given'}, and {high.origin.value or 'none'} counts more"
    return f"order: of equals the first name wins, and '{high.name}' comes before '{low.name}'"


# --- what Envoy makes of it


_Change = Callable[[object], object]

_SORTS = {type_urls.CLUSTER: "cluster", type_urls.LISTENER: "listener"}


class _Resources:
    """The resources of one destination or inbound, built of other configurations than the merged ones."""

    def __init__(self, fragments: Iterable[Fragment]) -> None:
        self._fragments = list(fragments)
        self._built = list(self._build(lambda _kind, conf: conf))

    def _build(self, change: Callable[[PolicyKind, Any], Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        for fragment in self._fragments:
            resource = fragment.build(_with_changed(fragment.key, change))
            yield f"{_SORTS[fragment.type_url]} {fragment.name}", resource
            if fragment.route is not None:
                route = _with_changed(fragment.route, change).resource()
                yield f"route {route['name']} of listener {fragment.name}", route

    def touched(self, kind: PolicyKind, path: str) -> list[dict[str, str]]:
        """The fields of Envoy that depend on a field of a kind's configuration."""
        found: dict[tuple[str, str], None] = {}
        for change in (_removed, _other):
            changed = self._build(partial(_changed, kind, path.split("."), change))
            for (name, before), (_name, after) in zip(self._built, changed, strict=True):
                found.update({(name, format_path(at)): None for at in _differences(before, after, ())})
            if found:
                break
        return [{"resource": resource, "field": field} for resource, field in found]


def _with_changed(key: Any, change: Callable[[PolicyKind, Any], Any]) -> Any:
    """The key of a cluster, a listener or a route configuration with other statements."""
    return key._replace(statements=tuple([Statement(one.kind, change(one.kind, one.conf)) for one in key.statements]))


def _other(value: object) -> object:
    """A value that differs."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, Duration):
        return Duration(value.nanoseconds + 1_000_000_000)
    if isinstance(value, int):
        return value + 1
    if isinstance(value, Decimal):
        return value - 1 if value >= 1 else value + 1
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, bytes):
        return value + b"x"
    return value[:-1] if isinstance(value, tuple) else None


def _removed(_value: object) -> None:
    """Nothing, in place of a value."""


def _changed(kind: PolicyKind, path: list[str], change: _Change, other: PolicyKind, conf: Any) -> Any:
    """A configuration with one field changed, where it is that of the kind."""
    return _with(conf, path, change) if other is kind else conf


def _with(conf: Any, path: list[str], change: _Change) -> Any:
    name = next(one.name for one in fields(conf) if field_name(one.name) == path[0])
    value = getattr(conf, name)
    return replace(conf, **{name: change(value) if len(path) == 1 else _with(value, path[1:], change)})


def _differences(before: Any, after: Any, at: Path) -> Iterator[Path]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            if key in before and key in after:
                yield from _differences(before[key], after[key], (*at, key))
            else:
                yield (*at, key)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _differences(one, other, (*at, index))
    else:
        yield at


# --- a destination


def destination_as_data(
    compiler: Compiler, dataplane: Dataplane, goal: Destination, outbounds: list[Outbound], target: Target
) -> dict[str, Any]:
    """One destination of a dataplane, reached through `outbounds`: what every kind says for it, field by field."""
    service = compiler.index.service(goal.service)
    selections = compiler.select(dataplane)
    situation = compiler.situation(goal, service, selections)
    applied = compiler.applied(selections, service)
    bind = not dataplane.redirected
    found = [compiler.outbound(one, bind, service, goal, applied, target) for one in outbounds]
    resources = _Resources([found[0].cluster.fragment, *(one.listener.fragment for one in found)])
    return {
        "service": goal.service,
        "tags": dict(goal.subset),
        "protocol": service.protocol.value,
        "cluster": goal.cluster,
        "endpoints": situation.endpoints,
        "outbounds": [f"{outbound.address}:{outbound.port}" for outbound in outbounds],
        "kinds": {
            selection.rules.kind.name: _kind_as_data(
                selection.rules.kind, merged, selection.layers(service.name), situation, resources
            )
            for selection in selections
            if (merged := selection.merged(service.name)) is not None and merged.leaves
        },
    }


def inbounds_as_data(compiler: Compiler, dataplane: Dataplane, target: Target) -> list[dict[str, Any]]:
    """The inbounds of a dataplane that have a listener: what every kind says for each, field by field."""
    made = compiler.unpatched(dataplane, target)
    inbounds = []
    for inbound, found in compiler.inbounds(dataplane):
        situation = compiler.inbound_situation(inbound, found)
        local, listening = (
            names.local_cluster(inbound.workload_port),
            names.inbound_listener(inbound.address, inbound.port),
        )
        resources = _Resources(
            [made[type_urls.CLUSTER][local].fragment, made[type_urls.LISTENER][listening].fragment],
        )
        inbounds.append(
            {
                "service": inbound.service,
                "address": inbound.address,
                "port": inbound.port,
                "protocol": inbound.protocol.value,
                "kinds": {
                    rules.kind.name: _kind_as_data(
                        rules.kind, merged, rules.inbound_layers(inbound), situation, resources
                    )
                    for rules, merged in found
                    if merged.leaves
                },
            }
        )
    return inbounds


def modifications_as_data(compiler: Compiler, dataplane: Dataplane) -> list[dict[str, Any]]:
    """The modifications of MeshProxyPatch for a dataplane, as they are written, in the order in which they come."""
    return [
        {
            "modification": _written(step.policy.document.value, step.modification.path[:-1]),
            "policy": _place(step.policy, step.modification.path),
        }
        for step in compiler.patches.steps_of(dataplane).steps
    ]


def _written(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value


def _kind_as_data(
    kind: PolicyKind, merged: Merged, layers: list[Layer], situation: Situation, resources: _Resources
) -> dict[str, Any]:
    data = as_data(merged, layers)
    offered = situation.protocol is not Protocol.UNKNOWN
    problems = kind.unused(merged.conf, situation) if offered else ()
    unused = {".".join(map(str, problem.path)): problem.message for problem in problems}
    otherwise = f"has no effect: {'nothing in Envoy depends on it here' if offered else 'nobody offers the service'}"
    for path, field in data["fields"].items():
        section = _is_section(path, data["fields"])
        field["envoy"] = [] if section else resources.touched(kind, path)
        untouched = None if section or field["envoy"] else otherwise
        field["no_effect"] = _reason(path, unused) or untouched
    return data


def _is_section(path: str, fields_: Mapping[str, Any]) -> bool:
    """Whether other fields stand below this one, so that it is nothing by itself."""
    return any(other.startswith(f"{path}.") for other in fields_)


def _reason(path: str, unused: Mapping[str, str]) -> str | None:
    """Why a kind says that a field, or a section that holds it, does nothing."""
    for candidate, message in unused.items():
        if path == candidate or path.startswith(f"{candidate}."):
            return message
    return None


def text(explanation: Mapping[str, Any]) -> str:
    """An explanation for people: each field with its value, where it comes from, what it became and whom it beat."""
    lines = []
    for one in explanation["inbounds"]:
        at = f"{one['address']}:{one['port']}"
        lines.append(f"{explanation['dataplane']} <- {one['service']} ({one['protocol']}, at {at})")
        lines += _kind_lines(one["kinds"])
    for one in explanation["destinations"]:
        tags = "".join(f", {key}={value}" for key, value in one["tags"].items() if key != SERVICE_TAG)
        many = "endpoint" if one["endpoints"] == 1 else "endpoints"
        at = ", ".join(one["outbounds"])
        lines.append(
            f"{explanation['dataplane']} -> {one['service']}{tags} "
            f"({one['protocol']}, {one['endpoints']} {many}, at {at})"
        )
        lines += _kind_lines(one["kinds"])
    for one in explanation["modifications"]:
        lines.append(f"{explanation['dataplane']} is modified by {_where(one['policy'])}")
        lines.append(f"  {_short(one['modification'])}")
    return "\n".join(lines) or f"{explanation['dataplane']} has neither inbounds nor outbounds"


def _kind_lines(kinds: Mapping[str, Any]) -> Iterator[str]:
    if not kinds:
        yield "  no policy applies"
    for kind, data in kinds.items():
        yield f"  {kind}"
        for path, field in data["fields"].items():
            if not _is_section(path, data["fields"]):
                yield from _field_lines(path, field)


def _field_lines(path: str, field: Mapping[str, Any]) -> Iterator[str]:
    yield f"    {path}: {_short(field['value'])}"
    yield f"      from {_where(field['policy'])}"
    for touched in field["envoy"]:
        yield f"      is {touched['field']} of {touched['resource']}"
    if field["no_effect"]:
        yield f"      {field['no_effect']}"
    for loser in reversed(field["losers"]):
        yield f"      instead of {_short(loser['value'])} from {_where(loser)}: {loser['why']}"


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool) else str(value)


def _where(policy: Mapping[str, Any]) -> str:
    line = f":{policy['line']}" if policy["line"] is not None else ""
    return f"{policy['kind']} {policy['name']} ({policy['file']}{line})"
