# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Advice: what Kuma would accept in silence and a person would want to know."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .findings import Code, Finding, Path, Severity, code, did_you_mean, format_path
from .index import Index
from .kinds.policy_kind import PolicyKind, Problem, Situation
from .merge import Layer, Merged, leaves
from .model.dataplane import PROTOCOL_TAG, Dataplane, Inbound
from .model.mesh import Mesh
from .model.policies import Policy
from .protocol import Protocol, combine
from .proxy import Compiler, Selections
from .routes import Destination
from .versions import INITIAL_POLICIES

INITIAL = code(
    "MESH050",
    Severity.NOTICE,
    "a control plane would give this mesh initial policies",
    "They are not applied yet. Write `skipCreatingInitialPolicies: ['*']` to say that the mesh goes without them.",
)
PASSTHROUGH = code(
    "MESH052",
    Severity.NOTICE,
    "`networking.outbound.passthrough` has no effect",
    "It concerns redirected traffic, and transparent proxying is not supported yet: applications connect directly.",
)
KAFKA = code(
    "MESH053",
    Severity.NOTICE,
    "a kafka service is proxied as plain TCP where Envoy lacks the Kafka filter",
    "The filter counts requests and is part of Envoy's contrib builds; set `mesh_envoy_has_kafka: true` for hosts that "
    "have such a build.",
)
OPEN_WORKLOAD = code(
    "MESH051",
    Severity.NOTICE,
    "an application can be reached past its proxy",
    "Let it listen on loopback and write `serviceAddress: 127.0.0.1`, or close its port to other hosts.",
)
DISAGREE = code(
    "MESH037",
    Severity.WARNING,
    "the endpoints of a service disagree about its protocol",
    "Give all inbounds of the service the same `kuma.io/protocol`; until then it is what they have in common.",
)
SELECTS_NOTHING = code(
    "MESH055",
    Severity.WARNING,
    "a policy selects no proxy",
    "Correct `spec.targetRef`, or take the policy out.",
)
NAMES_NOTHING = code(
    "MESH056",
    Severity.WARNING,
    "an item of `to` names a service that no dataplane offers",
    "Correct the name: it is the value of the tag `kuma.io/service`.",
)
SHADOWED = code(
    "MESH057",
    Severity.WARNING,
    "an item of `to` is overridden wholly by later ones of its policy",
    "Later items win, whatever they name: put the item that is more special last, or take it out.",
)

_MOST_NAMES = 5


def meshes(found: Iterable[Mesh]) -> Iterator[Finding]:
    """What a mesh says, or leaves unsaid, that has another effect under a control plane."""
    for mesh in found:
        skipped = set(mesh.skip_creating_initial_policies)
        missing = [] if "*" in skipped else [kind for kind in INITIAL_POLICIES if kind not in skipped]
        if missing:
            message = f"the initial policies of a mesh ({', '.join(missing)}) are not applied yet"
            yield mesh.document.finding(INITIAL, ("name",), message, "Mesh", mesh.name)
        if mesh.passthrough is not None:
            path = ("networking", "outbound", "passthrough")
            message = "has no effect: no dataplane of the mesh has its traffic redirected"
            yield mesh.document.finding(PASSTHROUGH, path, message, "Mesh", mesh.name)


def workloads(dataplanes: Iterable[Dataplane]) -> Iterator[Finding]:
    """Inbounds whose application listens on another address than loopback."""
    for dataplane in dataplanes:
        for inbound in dataplane.inbounds:
            if inbound.has_listener and not ipaddress.ip_address(inbound.workload_address).is_loopback:
                where = f"{inbound.workload_address}:{inbound.workload_port}"
                message = f"the application listens on {where}, where it can be reached past the proxy"
                path = (*inbound.path, "serviceAddress")
                yield dataplane.document.finding(OPEN_WORKLOAD, path, message, "Dataplane", dataplane.name)


def kafka(dataplanes: Iterable[Dataplane]) -> Iterator[Finding]:
    """Kafka services, once each, at the first inbound that is tagged so."""
    seen: set[tuple[str, str]] = set()
    for dataplane in sorted(dataplanes, key=lambda one: one.name):
        for inbound in dataplane.inbounds:
            protocol = Protocol.of_tag(inbound.tags.get(PROTOCOL_TAG))
            if protocol is Protocol.KAFKA and (dataplane.mesh, inbound.service) not in seen:
                seen.add((dataplane.mesh, inbound.service))
                message = f"'{inbound.service}' is proxied as plain TCP on hosts without mesh_envoy_has_kafka"
                path = (*inbound.path, "tags", PROTOCOL_TAG)
                yield dataplane.document.finding(KAFKA, path, message, "Dataplane", dataplane.name)


def protocols(index: Index) -> Iterator[Finding]:
    """Services whose endpoints do not all speak the same."""
    speakers: dict[str, dict[Protocol, list[tuple[Dataplane, Inbound]]]] = {}
    for dataplane in index.dataplanes.values():
        for inbound in dataplane.inbounds:
            if inbound.healthy:
                protocol = Protocol.of_tag(inbound.tags.get(PROTOCOL_TAG))
                speakers.setdefault(inbound.service, {}).setdefault(protocol, []).append((dataplane, inbound))
    for service, found in speakers.items():
        if len(found) > 1:
            by_number = sorted(found.items(), key=lambda one: (-len(one[1]), one[0].value))
            said = " and ".join(f"{protocol.value} on {_names(those)}" for protocol, those in by_number)
            message = f"'{service}' speaks {said}: {combine(found).value} to the mesh"
            dataplane, inbound = by_number[-1][1][0]
            path = (*inbound.path, "tags", PROTOCOL_TAG)
            yield dataplane.document.finding(DISAGREE, path, message, "Dataplane", dataplane.name)


def _names(speakers: list[tuple[Dataplane, Inbound]]) -> str:
    names = list(dict.fromkeys(dataplane.name for dataplane, _inbound in speakers))
    return ", ".join(names) if len(names) <= _MOST_NAMES else f"{', '.join(names[:_MOST_NAMES])} and others"


def targets(index: Index) -> Iterator[Finding]:
    """Items of `to` that concern nothing, or that others of their policy make up for."""
    offered = {inbound.service for dataplane in index.dataplanes.values() for inbound in dataplane.inbounds}
    for policies in index.policies.values():
        for policy in policies:
            for position, item in enumerate(policy.to):
                service = item.target_ref.name
                if index.dataplanes and service is not None and service not in offered:
                    message = f"no dataplane offers the service '{service}'{did_you_mean(service, offered)}"
                    yield _of(policy, NAMES_NOTHING, (*item.path[:-1], "targetRef", "name"), message)
                yield from _shadowed(policy, position)


def _shadowed(policy: Policy, position: int) -> Iterator[Finding]:
    item = policy.to[position]
    target = item.target_ref.selector().items()
    left = {path for path, _value in leaves(item.conf)}
    if not left:
        return
    by = []
    for later in policy.to[position + 1 :]:
        written = {path for path, _value in leaves(later.conf)}
        if later.target_ref.selector().items() <= target and left & written:
            left -= written
            by.append(format_path(later.path[:-1]))
    if not left:
        yield _of(policy, SHADOWED, item.path[:-1], f"has no effect: all of it is overridden by {' and '.join(by)}")


class _Use(NamedTuple):
    """Where policies of a kind are merged: for a service in a situation, by a number of layers, low to high."""

    kind: PolicyKind
    merged: Merged
    layers: tuple[Layer, ...]
    service: str
    situation: Situation


def policies(compiler: Compiler) -> Iterator[Finding]:
    """Policies that select nothing, settings that do nothing wherever they apply, and what a kind advises against."""
    index = compiler.index
    pairs: dict[tuple[Selections, Destination], None] = {}
    selected: set[tuple[str, int]] = set()
    for dataplane in index.dataplanes.values():
        selections = compiler.select(dataplane)
        for selection in selections:
            selected.update((selection.rules.kind.name, position) for position in selection.policies)
        pairs.update({(selections, compiler.destination(outbound.tags)): None for outbound in dataplane.outbounds})
    if index.dataplanes:
        for kind, found in index.policies.items():
            for position, policy in enumerate(found):
                if (kind, position) not in selected:
                    yield _of(policy, SELECTS_NOTHING, ("spec", "targetRef"), "selects none of the dataplanes")
    uses = _uses(compiler, pairs)
    yield from _advice(uses)
    yield from _unused(uses)


def _uses(compiler: Compiler, pairs: Iterable[tuple[Selections, Destination]]) -> list[_Use]:
    found: dict[tuple[object, ...], _Use] = {}
    for selections, goal in pairs:
        service = compiler.index.service(goal.service)
        if service.protocol is Protocol.UNKNOWN:
            continue
        situation = compiler.situation(goal, service)
        for selection in selections:
            merged = selection.merged(service.name)
            if merged is not None:
                key = (selection.rules.kind, selection.positions(service.name), situation)
                if key not in found:
                    layers = tuple(selection.layers(service.name))
                    found[key] = _Use(selection.rules.kind, merged, layers, service.name, situation)
    return list(found.values())


def _advice(uses: list[_Use]) -> Iterator[Finding]:
    told: set[tuple[Layer, Path, str]] = set()
    for use in uses:
        for problem in use.kind.advice(use.merged.conf, use.situation):
            leaf = use.merged.leaves.get(".".join(map(str, problem.path)))
            if leaf is not None and (leaf.layer, problem.path, problem.code.id) not in told:
                told.add((leaf.layer, problem.path, problem.code.id))
                yield _in_layer(leaf.layer, problem, problem.message)


def _unused(uses: list[_Use]) -> Iterator[Finding]:
    """What is unused in each of its uses. An item for all services may well hold sections for protocols to come."""
    problems = [
        {".".join(map(str, one.path)): one for one in use.kind.unused(use.merged.conf, use.situation)} for use in uses
    ]
    ever = {(use.kind.name, path) for use, unused in zip(uses, problems, strict=True) for path in unused}
    dead: dict[tuple[Layer, str], tuple[Problem, str]] = {}
    alive: set[tuple[Layer, str]] = set()
    # Items of which at least something is used somewhere.
    of_use: set[Layer] = set()
    layers = {layer for use in uses for layer in use.layers}
    written = {layer: {path for path, _value in leaves(layer.item.conf)} for layer in layers}
    for use, unused in zip(uses, problems, strict=True):
        for layer in use.layers:
            for path in written[layer]:
                if path in unused:
                    dead.setdefault((layer, path), (unused[path], use.service))
                elif (use.kind.name, path) in ever:
                    alive.add((layer, path))
                if "." not in path and path not in unused:
                    of_use.add(layer)
    for (layer, path), (problem, service) in dead.items():
        general = layer.item.target_ref.name is None
        filled = (*layer.item.path, *problem.path) in layer.policy.document.filled
        if (layer, path) not in alive and not filled and not (general and "." not in path and layer in of_use):
            example = f" ('{service}', and so for every other it applies to)" if general else ""
            yield _in_layer(layer, problem, problem.message + example)


def _in_layer(layer: Layer, problem: Problem, message: str) -> Finding:
    return _of(layer.policy, problem.code, (*layer.item.path, *problem.path), message)


def _of(policy: Policy, code: Code, path: Path, message: str) -> Finding:
    return policy.document.finding(code, path, message, policy.kind, policy.name)
