# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every recorded mesh compiles to the resources that Kuma made of it, but for the differences in rules.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.findings import Severity

from .comparison import COMPARED, compare, load, not_yet, refused
from .conftest import FIGURE
from .recordings import cases
from .rules import NOT_YET, REFUSED, RULES, Rule

LEFT_OUT = [name for name, case in cases().items() if not_yet(case)]
ON_PURPOSE = [name for name, case in cases().items() if refused(case)]


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
    assert load(cases()[name]).errors, f"{name} can be compared now: take '{not_yet(cases()[name])}' out of NOT_YET"


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
    errors = [finding.path for finding in load(case).findings if finding.severity is Severity.ERROR]

    assert sorted(errors) == sorted(refused(case))


@pytest.mark.parametrize("reason", REFUSED)
def test_every_reason_to_refuse_has_a_case(reason: str) -> None:
    assert any(any(REFUSED[reason](document)) for case in cases().values() for document in case.documents)
