# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One recorded mesh compiled here and compared with Kuma's answer."""

from __future__ import annotations

import copy
import functools
from collections import Counter
from dataclasses import dataclass, field

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api

from .protos import ABSENT, CLUSTER, Difference, canonical, differences
from .recordings import Case, Resource, ResourceSet, cases
from .rules import NOT_YET, RULES, TAKEN_OUT, Facts, Rule, without

# The recordings hold the kafka filter, so the target is an Envoy that has it.
TARGET = api.Target(envoy_has_kafka=True)


@dataclass
class Outcome:
    """What came of a case: readable differences by dataplane, and how often each rule took a difference away."""

    differences: dict[str, list[str]] = field(default_factory=dict)
    fired: Counter[Rule] = field(default_factory=Counter)
    resources: int = 0


def not_yet(case: Case) -> str | None:
    """What the case needs and is not supported yet, if anything."""
    needs = (reason for reason, needed in NOT_YET.items() if any(map(needed, case.documents)))
    return next(needs, None)


def load(case: Case) -> api.Universe:
    """The case's mesh as this collection reads it."""
    documents = [document for document in case.documents if document["type"] not in TAKEN_OUT]
    return api.load(documents=[api.document(document, file=case.name) for document in documents])


@functools.cache
def compiled(name: str) -> dict[str, ResourceSet]:
    """The resources of every dataplane of a case."""
    universe = load(cases()[name])
    assert not universe.errors, "\n".join(map(str, universe.errors))
    return {dataplane.name: api.compile_proxy(universe, dataplane, TARGET) for dataplane in universe.dataplanes}


@functools.cache
def compare(name: str) -> Outcome:
    case = cases()[name]
    ours, outcome, facts = compiled(name), Outcome(), Facts.of(case.documents)
    taken_out = frozenset[str]().union(*(TAKEN_OUT.get(document["type"], ()) for document in case.documents))
    for dataplane in sorted(ours.keys() | case.kuma.keys()):
        here, there = ours.get(dataplane, {}), case.kuma.get(dataplane, {})
        outcome.differences[dataplane] = [
            f"{type_url.rpartition('.')[2]} {resource}: {path or 'the resource'}: here {left!r}, Kuma has {right!r}"
            for type_url in sorted(here.keys() | there.keys())
            for resource in sorted(here.get(type_url, {}).keys() | there.get(type_url, {}).keys())
            for path, left, right in _compare_resource(
                type_url,
                resource,
                here.get(type_url, {}).get(resource),
                there.get(type_url, {}).get(resource),
                taken_out,
                facts,
                outcome,
            )
        ]
    return outcome


def _compare_resource(
    type_url: str,
    name: str,
    ours: Resource | None,
    kuma: Resource | None,
    taken_out: frozenset[str],
    facts: Facts,
    outcome: Outcome,
) -> list[Difference]:
    outcome.resources += 1
    if ours is None or kuma is None:
        return [Difference("", ours or ABSENT, kuma or ABSENT)]
    left, right = canonical(type_url, ours), canonical(type_url, without(kuma, taken_out))
    found = list(differences(left, right))
    if type_url != CLUSTER:
        return found
    for rule in RULES:
        if not found:
            break
        if rule.applies(facts, name):
            left, right = copy.deepcopy(left), copy.deepcopy(right)
            rule.drop(left, facts, name)
            rule.drop(right, facts, name)
            rest = list(differences(left, right))
            outcome.fired[rule] += rest != found
            found = rest
    return found
