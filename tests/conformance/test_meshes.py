# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every recorded mesh compiles to the resources that Kuma made of it, but for the differences in rules.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from .comparison import compare, load, not_yet
from .conftest import FIGURE
from .recordings import cases
from .rules import NOT_YET, RULES, TAKEN_OUT, Rule

COMPARED = [name for name, case in cases().items() if not not_yet(case)]
LEFT_OUT = [name for name, case in cases().items() if not_yet(case)]


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
        record_property(f"{FIGURE}{group} resources equal by rule {rule.row}, {rule.name}", count)


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_is_refused(name: str) -> None:
    """A case is only left out while it cannot be compiled."""
    assert load(cases()[name]).errors, f"{name} can be compared now: take '{not_yet(cases()[name])}' out of NOT_YET"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"row {rule.row}")
def test_every_rule_takes_a_difference_away(rule: Rule) -> None:
    fired = sum((compare(name).fired for name in COMPARED), Counter[Rule]())

    assert fired[rule], f"'{rule.name}' makes no difference: it hides nothing and has to go"


@pytest.mark.parametrize("reason", NOT_YET)
def test_every_reason_leaves_a_case_out(reason: str) -> None:
    assert any(any(map(NOT_YET[reason], case.documents)) for case in cases().values())


@pytest.mark.parametrize("kind", TAKEN_OUT)
def test_every_kind_that_is_taken_out_is_there(kind: str) -> None:
    assert any(document["type"] == kind for case in cases().values() for document in case.documents)
