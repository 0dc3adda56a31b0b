# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every recorded mesh compiles to the resources that Kuma made of it, but for the differences in rules.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.findings import Severity

from .comparison import COMPARED, compare, compiled, documents, load, not_yet, refused, resource_sets
from .conftest import FIGURE
from .initial import initial_policies, loses_by_name, with_origin, with_smaller_names, written_out
from .recordings import cases
from .rules import NOT_YET, REFUSED, RULES, Rule

LEFT_OUT = [name for name, case in cases().items() if not_yet(case)]
ON_PURPOSE = [name for name, case in cases().items() if refused(case)]
WITH_INITIAL = [name for name in COMPARED if initial_policies(cases()[name].documents)]


@pytest.mark.parametrize("name", COMPARED)
def test_equals_kuma(name: str, record_property: Callable[[str, object], None]) -> None:
    outcome = compare(name)

    assert outcome.resources
    found = [f"{dataplane}: {line}" for dataplane, lines in outcome.differences.items() for line in lines]
    assert not found, "\n".join(found)
    group = name.partition("-")[0]
    record_property(f"{FIGURE}{group} meshes equal", 1)
    record_property(f"{FIGURE}{group} dataplanes equal", len(outcome.differences))
    record_property(f"{FIGURE}{group} resources equal", outcome.resources)
    for rule, count in outcome.fired.items():
        record_property(f"{FIGURE}{group} resources equal by {rule}", count)


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_is_refused(name: str) -> None:
    """A case is only left out while it cannot be compiled."""
    case = cases()[name]

    assert load(documents(case), name).errors, f"{name} can be compared now: take '{not_yet(case)}' out of NOT_YET"


@pytest.mark.parametrize("name", WITH_INITIAL)
def test_initial_policies_are_as_if_written_out(name: str) -> None:
    """What Kuma's answers are made of: it gives what the user creates an origin, so that it wins all ties."""
    found = written_out(with_origin(documents(cases()[name])))

    assert resource_sets(load(found, name)) == compiled(name)


@pytest.mark.parametrize("name", WITH_INITIAL)
def test_initial_policies_win_nothing_but_ties_by_name(name: str) -> None:
    """Row 18: without origins, which an update drops, the smaller name wins, be it that of an initial policy."""
    found = documents(cases()[name])

    assert (resource_sets(load(written_out(found), name)) != compiled(name)) == loses_by_name(found)
    assert resource_sets(load(written_out(with_smaller_names(found)), name)) == compiled(name)


@pytest.mark.parametrize("loses", [True, False])
def test_ties_with_initial_policies_are_among_the_cases(loses: bool) -> None:
    assert any(loses_by_name(cases()[name].documents) == loses for name in WITH_INITIAL)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_every_rule_takes_a_difference_away(rule: Rule) -> None:
    fired = sum((compare(name).fired for name in COMPARED), Counter[Rule]())

    assert fired[rule], f"'{rule.name}' makes no difference: it hides nothing and has to go"


@pytest.mark.parametrize("reason", NOT_YET)
def test_every_reason_leaves_a_case_out(reason: str) -> None:
    assert any(any(map(NOT_YET[reason], case.documents)) for case in cases().values())


@pytest.mark.parametrize("name", ON_PURPOSE)
def test_what_is_refused_on_purpose_is_refused_for_that(name: str) -> None:
    case = cases()[name]
    errors = [finding.path for finding in load(documents(case), name).findings if finding.severity is Severity.ERROR]

    assert sorted(errors) == sorted(refused(case))


@pytest.mark.parametrize("reason", REFUSED)
def test_every_reason_to_refuse_has_a_case(reason: str) -> None:
    assert any(any(REFUSED[reason](document)) for case in cases().values() for document in case.documents)
