# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Advice: what Kuma would accept in silence and a person would want to know."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .findings import Code, Finding, Path, Severity, code, did_you_mean, format_path
from .index import Index
from .kinds.meshproxypatch import MATCHES_NOTHING, NOT_APPLICABLE
from .kinds.policy_kind import PolicyKind, Problem, Situation
from .merge import Layer, Merged, leaves
from .model.dataplane import PROTOCOL_TAG, Dataplane, Inbound
from .model.mesh import Mesh
from .model.policies import Item, Policy
from .patches import Step, StepError
from .protocol import Protocol, combine
from .proxy import Compiler, Selections, Target
from .routes import Destination
from .versions import KNOWN_KINDS

PASSTHROUGH = code(
    "MESH052",
    Severity.NOTICE,
    "`networking.outbound.passthrough` has no effect",
    "It concerns redirected traffic: give dataplanes `networking.transparentProxying`, or take it out.",
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
NOT_SKIPPED = code(
    "MESH038",
    Severity.WARNING,
    "`skipCreatingInitialPolicies` names what is no kind of policy",
    "Correct the name, which is that of a kind such as MeshRetry, or write `*` for all of them.",
)
ALSO_CHANGES = code(
    "MESH060",
    Severity.WARNING,
    "a policy changes inbounds that it does not select",
    "Select all inbounds of the dataplane, or give the others a policy of the same kind with the values they had.",
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


def meshes(found: Iterable[Mesh], dataplanes: Iterable[Dataplane]) -> Iterator[Finding]:
    """What a mesh says that has no effect, or not the one it seems to have."""
    redirected = {one.mesh for one in dataplanes if one.transparent_proxying is not None}
    for mesh in found:
        for position, kind in enumerate(mesh.skip_creating_initial_policies):
            if kind != "*" and kind not in KNOWN_KINDS:
                path: Path = ("skipCreatingInitialPolicies", position)
                message = f"skips nothing: '{kind}' is no kind of policy{did_you_mean(kind, KNOWN_KINDS)}"
                yield mesh.document.finding(NOT_SKIPPED, path, message, "Mesh", mesh.name)
        if mesh.passthrough is not None and mesh.name not in redirected:
            path = ("networking", "outbound", "passthrough")
            message = "has no effect: no dataplane of the mesh has its traffic redirected"
            yield mesh.document.finding(PASSTHROUGH, path, message, "Mesh", mesh.name)


def workloads(dataplanes: Iterable[Dataplane]) -> Iterator[Finding]:
    """Inbounds whose application listens on another address than loopback, and is not redirected to the proxy."""
    for dataplane in dataplanes:
        for inbound in () if dataplane.redirected else dataplane.inbounds:
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
            if inbound.protocol is Protocol.KAFKA and (dataplane.mesh, inbound.service) not in seen:
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
                found = speakers.setdefault(inbound.service, {})
                found.setdefault(inbound.protocol, []).append((dataplane, inbound))
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
            if policy.initial:
                continue
            yield from _shadowed(policy, policy.from_)
            yield from _shadowed(policy, policy.to)
            for item in policy.to:
                service = item.target_ref.name
                if index.dataplanes and service is not None and service not in offered:
                    message = f"no dataplane offers the service '{service}'{did_you_mean(service, offered)}"
                    yield _of(policy, NAMES_NOTHING, (*item.path[:-1], "targetRef", "name"), message)


def _shadowed(policy: Policy, items: tuple[Item, ...]) -> Iterator[Finding]:
    for position, item in enumerate(items):
        target = item.target_ref.selector().items()
        left = {path for path, _value in leaves(item.conf)}
        if not left:
            continue
        by = []
        for later in items[position + 1 :]:
            written = {path for path, _value in leaves(later.conf)}
            if later.target_ref.selector().items() <= target and left & written:
                left -= written
                by.append(format_path(later.path[:-1]))
        if not left:
            yield _of(policy, SHADOWED, item.path[:-1], f"has no effect: all of it is overridden by {' and '.join(by)}")


def _patches(compiler: Compiler) -> Iterator[Finding]:
    """Modifications of MeshProxyPatch that cannot be carried out, or have no effect on any proxy."""
    selected: set[Policy] = set()
    failed: dict[Step, Finding] = {}
    for dataplane in compiler.index.dataplanes.values():
        policies = compiler.patches.select(dataplane)
        selected.update(policies)
        if policies:
            try:
                compiler.proxy(dataplane, Target())
            except StepError as problem:
                error = problem.error
                message = f"{error} (dataplane '{dataplane.name}')"
                failed.setdefault(problem.step, _of(problem.step.policy, NOT_APPLICABLE, error.path, message))
    yield from failed.values()
    for step in compiler.patches.steps:
        # What comes after a step that failed was not tried.
        if not failed and step.policy in selected and step not in compiler.patches.taken:
            message = "matches nothing on any proxy that the policy selects"
            yield _of(step.policy, MATCHES_NOTHING, step.modification.path, message)


class _Use(NamedTuple):
    """Where policies of a kind are merged: for a service or inbound in a situation, by layers, low to high."""

    kind: PolicyKind
    merged: Merged
    layers: tuple[Layer, ...]
    service: str
    situation: Situation


def policies(compiler: Compiler) -> Iterator[Finding]:
    """Policies that select nothing, settings that do nothing wherever they apply, and what a kind advises against."""
    index = compiler.index
    pairs: dict[tuple[Selections, Destination], None] = {}
    selected: set[Policy] = set()
    for dataplane in index.dataplanes.values():
        selections = compiler.select(dataplane)
        for selection in selections:
            selected.update(selection.rules.policies[position] for position in selection.policies)
        selected.update(compiler.patches.select(dataplane))
        pairs.update(
            {(selections, compiler.destination(outbound.tags)): None for outbound in index.outbounds(dataplane)}
        )
    if index.dataplanes:
        for found in index.policies.values():
            for policy in found:
                if policy not in selected and not policy.initial:
                    yield _of(policy, SELECTS_NOTHING, ("spec", "targetRef"), "selects none of the dataplanes")
    yield from _also_changed(compiler)
    yield from _patches(compiler)
    uses = [*_outbound_uses(compiler, pairs), *_inbound_uses(compiler)]
    yield from _advice(uses)
    yield from _unused(uses)


def _outbound_uses(compiler: Compiler, pairs: Iterable[tuple[Selections, Destination]]) -> Iterator[_Use]:
    """One for each way in which policies meet, however many dataplanes and services share it."""
    told: set[tuple[object, ...]] = set()
    for selections, goal in pairs:
        service = compiler.index.service(goal.service)
        if service.protocol is Protocol.UNKNOWN:
            continue
        positions = tuple([selection.positions(service.name) for selection in selections])
        key = (positions, service.protocol, compiler.number_of_endpoints(goal, service))
        if key not in told:
            told.add(key)
            situation = compiler.situation(goal, service, selections)
            for selection in selections:
                merged = selection.merged(service.name)
                if merged is not None and merged.leaves:
                    layers = tuple(selection.layers(service.name))
                    yield _Use(selection.rules.kind, merged, layers, service.name, situation)


def _inbound_uses(compiler: Compiler) -> Iterator[_Use]:
    told: set[tuple[object, ...]] = set()
    for dataplane in compiler.index.dataplanes.values():
        for inbound, found in compiler.inbounds(dataplane):
            # Not by what they merge to: what loses everywhere is looked at as well.
            layers = tuple([tuple(rules.inbound_layers(inbound)) for rules, _merged in found])
            key = (layers, inbound.protocol, inbound.port == inbound.workload_port)
            if key not in told:
                told.add(key)
                situation = compiler.inbound_situation(inbound, found)
                for (rules, merged), those in zip(found, layers, strict=True):
                    if merged.leaves:
                        yield _Use(rules.kind, merged, those, inbound.service, situation)


def _also_changed(compiler: Compiler) -> Iterator[Finding]:
    """Policies of kinds that touch all inbounds of a proxy, each with one inbound that no policy of it selects."""
    told: set[Policy] = set()
    for dataplane in compiler.index.dataplanes.values():
        for inbound, found in compiler.inbounds(dataplane):
            for rules, merged in found:
                if merged.conf is None or merged.leaves:
                    continue
                kind = rules.kind.name
                policy = rules.policies[rules.select(dataplane).policies[-1]]
                if policy not in told and not policy.initial:
                    told.add(policy)
                    where = f"{inbound.address}:{inbound.port} of {dataplane.name}"
                    message = (
                        f"also changes the inbound {where}: no {kind} selects it, so it gets the constants of {kind}"
                    )
                    yield _of(policy, ALSO_CHANGES, ("spec", "targetRef"), message)


def _advice(uses: list[_Use]) -> Iterator[Finding]:
    told: set[tuple[Layer, Path, str]] = set()
    for use in uses:
        for problem in use.kind.advice(use.merged.conf, use.situation):
            leaf = use.merged.leaves.get(".".join(map(str, problem.path)))
            if leaf is not None and (leaf.layer, problem.path, problem.code.id) not in told:
                told.add((leaf.layer, problem.path, problem.code.id))
                yield from _in_layer(leaf.layer, problem, problem.message)


def _unused(uses: list[_Use]) -> Iterator[Finding]:
    """What is unused in each of its uses. An item for all services may well hold sections for protocols to come."""
    known: dict[tuple[Merged, Protocol, int, Inbound | None], dict[str, Problem]] = {}
    # Of each item what has been unused so far, and what it says of itself at the top.
    left: dict[Layer, dict[str, tuple[Problem, str]]] = {}
    tops: dict[Layer, frozenset[str]] = {}
    # Items of which at least something is used somewhere.
    of_use: set[Layer] = set()
    for use in uses:
        situation = use.situation
        key = (use.merged, situation.protocol, situation.endpoints, situation.inbound)
        if key not in known:
            problems = use.kind.unused(use.merged.conf, situation)
            known[key] = {".".join(map(str, problem.path)): problem for problem in problems}
        unused = known[key]
        for layer in use.layers:
            if layer not in left:
                written = [path for path, _value in leaves(layer.item.conf)]
                left[layer] = {path: (unused[path], use.service) for path in written if path in unused}
                tops[layer] = frozenset(path for path in written if "." not in path)
            elif left[layer]:
                left[layer] = {path: first for path, first in left[layer].items() if path in unused}
            if layer not in of_use and not tops[layer] <= unused.keys():
                of_use.add(layer)
    for layer, dead in left.items():
        general = layer.item.target_ref.name is None and layer.item in layer.policy.to
        for path, (problem, service) in dead.items():
            filled = (*layer.item.path, *problem.path) in layer.policy.document.filled
            if not filled and not (general and "." not in path and layer in of_use):
                example = f" ('{service}', and so for every other it applies to)" if general else ""
                yield from _in_layer(layer, problem, problem.message + example)


def _in_layer(layer: Layer, problem: Problem, message: str) -> Iterator[Finding]:
    """A finding about what the user wrote; what came with the mesh is nobody's mistake."""
    if not layer.policy.initial:
        yield _of(layer.policy, problem.code, (*layer.item.path, *problem.path), message)


def _of(policy: Policy, code: Code, path: Path, message: str) -> Finding:
    return policy.document.finding(code, path, message, policy.kind, policy.name)
