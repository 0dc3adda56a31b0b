# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One recorded mesh compiled here and compared with Kuma's answer."""

from __future__ import annotations

import copy
import functools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api

from .facts import Facts
from .initial import written_out
from .protos import ABSENT, Difference, canonical, differences
from .recordings import Case, Resource, ResourceSet, cases
from .rules import NOT_YET, REFUSED, RULES, Rule
from .virtual_ips import virtual_ips

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


def refused(case: Case) -> list[str]:
    """The places at which the case is refused on purpose, if any."""
    return [place for places in REFUSED.values() for document in case.documents for place in places(document)]


def documents(case: Case) -> tuple[Resource, ...]:
    """The documents of a case, and the one that says which address the control plane gave to which service."""
    return (*case.documents, *virtual_ips(case))


# The names of the cases that are compared.
COMPARED = [name for name, case in cases().items() if not not_yet(case) and not refused(case)]


def load(found: Iterable[Resource], name: str) -> api.Universe:
    """A mesh as this collection reads it."""
    return api.load(documents=[api.document(document, file=name) for document in found])


def resource_sets(universe: api.Universe) -> dict[str, ResourceSet]:
    """The resources of every dataplane."""
    assert not universe.errors, "\n".join(map(str, universe.errors))
    return {dataplane.name: api.compile_proxy(universe, dataplane, TARGET) for dataplane in universe.dataplanes}


@functools.cache
def compiled(name: str) -> dict[str, ResourceSet]:
    """The resources of every dataplane of a case."""
    return resource_sets(load(documents(cases()[name]), name))


@functools.cache
def compare(name: str) -> Outcome:
    case = cases()[name]
    ours, outcome, facts = compiled(name), Outcome(), Facts(written_out(documents(case)))
    for dataplane in sorted(ours.keys() | case.kuma.keys()):
        here, there = ours.get(dataplane, {}), case.kuma.get(dataplane, {})
        outcome.differences[dataplane] = [
            f"{type_url.rpartition('.')[2]} {resource}: {path or 'the resource'}: here {left!r}, Kuma has {right!r}"
            for type_url in sorted(here.keys() | there.keys())
            for resource in sorted(here.get(type_url, {}).keys() | there.get(type_url, {}).keys())
            for path, left, right in _compare_resource(
                dataplane,
                type_url,
                here.get(type_url, {}).get(resource),
                there.get(type_url, {}).get(resource),
                facts,
                outcome,
            )
        ]
    return outcome


def _compare_resource(
    dataplane: str, type_url: str, ours: Resource | None, kuma: Resource | None, facts: Facts, outcome: Outcome
) -> list[Difference]:
    outcome.resources += 1
    if ours is None or kuma is None:
        return [Difference("", ours or ABSENT, kuma or ABSENT)]
    left, right = canonical(type_url, ours), canonical(type_url, kuma)
    found = list(differences(left, right))
    destination = facts.destination(dataplane, type_url, right) if found else None
    if destination is None:
        return found
    for rule in RULES:
        if found and rule.type_url == type_url and rule.applies(destination):
            left, right = copy.deepcopy(left), copy.deepcopy(right)
            rule.drop(left, destination)
            rule.drop(right, destination)
            rest = list(differences(left, right))
            if rest != found:
                outcome.fired[rule] += 1
            found = rest
    return found
