# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What policies of kind MeshProxyPatch make of the resources of proxies, once everything else has had its effect.

What modifications make of a fragment is found once for all dataplanes that have both. Tokens in a resource stay tokens:
nothing that a modification does looks into texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from .envoy import type_urls
from .fragments import Fragment, Placed
from .kinds import meshproxypatch
from .match import Matcher
from .model.dataplane import Dataplane
from .model.meshproxypatch import Modification
from .model.policies import Maker, Policy


@dataclass(frozen=True, eq=False)
class Step:
    """One modification of one policy."""

    policy: Policy
    modification: Modification


class StepError(Exception):
    """A step cannot be taken. `error` says where in its policy and why."""

    def __init__(self, step: Step, error: meshproxypatch.PatchError) -> None:
        super().__init__(f"{step.policy.kind} {step.policy.name}: {error}")
        self.step = step
        self.error = error


class _Outcome(NamedTuple):
    """What steps make of a fragment, None if they remove it, and those of them that matched it."""

    fragment: Fragment | None
    taken: tuple[Step, ...]


class Steps:
    """The steps of the policies that select a proxy, in the order in which they are taken."""

    def __init__(self, patches: Patches, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)
        self._patches = patches
        self._modifications = [step.modification for step in steps]
        self._additions: list[tuple[int, Fragment]] = []
        # What is added takes the place of what has its name, which no later step meets.
        self._replaced: dict[tuple[str, str], int] = {}
        for position, modification in enumerate(self._modifications):
            addition = meshproxypatch.addition(modification)
            if addition is not None:
                type_url, name, resource = addition
                fragment = Fragment.whole(type_url, name, meshproxypatch.ORIGIN, resource, shared=True)
                self._additions.append((position, fragment))
                self._replaced.setdefault((type_url, name), position)
        self._placed: dict[Placed, Placed | None] = {}
        self._added: dict[int, Placed | None] = {}

    def take(self, clusters: dict[str, Placed], listeners: dict[str, Placed]) -> None:
        """Change the resources of a proxy. StepError."""
        for named in (clusters, listeners):
            for name, placed in list(named.items()):
                after = self._after(placed)
                if after is None:
                    del named[name]
                elif after is not placed:
                    named[name] = after
        for position, added in self._additions:
            if position not in self._added:
                self._added[position] = self._addition(position, added)
            left = self._added[position]
            named = clusters if added.type_url == type_urls.CLUSTER else listeners
            named.pop(added.name, None)
            if left is not None:
                named[added.name] = left

    def _addition(self, position: int, added: Fragment) -> Placed | None:
        """What is left of what a step adds, after those that come later."""
        step = self.steps[position]
        self._patches.taken.add(step)
        fragment, taken = self._patches.outcome(added, self.steps[position + 1 :])
        return None if fragment is None else Placed(fragment, _makers((step, *taken)))

    def _after(self, placed: Placed) -> Placed | None:
        """What is left of a resource; the same where no step concerns it."""
        if placed in self._placed:
            return self._placed[placed]
        fragment = placed.fragment
        until = self._replaced.get((fragment.type_url, fragment.name), len(self.steps))
        positions = meshproxypatch.concerning(
            self._modifications[:until], fragment.type_url, fragment.name, fragment.origin, fragment.tags
        )
        after: Placed | None = placed
        if positions:
            left, taken = self._patches.outcome(fragment, tuple([self.steps[position] for position in positions]))
            if left is not fragment:
                makers = tuple(dict.fromkeys((*placed.makers, *_makers(taken))))
                after = None if left is None else Placed(left, makers)
        if fragment.shared:
            self._placed[placed] = after
        return after


class Patches:
    """The policies of one mesh, by precedence."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        self.steps = [Step(policy, one) for policy in policies for one in policy.modifications]
        # Steps that have matched something so far.
        self.taken: set[Step] = set()
        self._policies = policies
        self._matcher = Matcher(policies)
        self._of_selected: dict[tuple[int, ...], Steps] = {}
        self._outcomes: dict[tuple[object, tuple[Step, ...]], _Outcome] = {}

    def select(self, dataplane: Dataplane) -> tuple[Policy, ...]:
        """The policies that select a dataplane, low to high."""
        return tuple([self._policies[position] for position in self._matcher.select(dataplane)])

    def steps_of(self, dataplane: Dataplane) -> Steps:
        """The steps to take for a dataplane (Kuma: the modifications of all policies, one list after the other)."""
        selected = self._matcher.select(dataplane)
        steps = self._of_selected.get(selected)
        if steps is None:
            policies = {self._policies[position] for position in selected}
            steps = Steps(self, [step for step in self.steps if step.policy in policies])
            self._of_selected[selected] = steps
        return steps

    def outcome(self, fragment: Fragment, steps: tuple[Step, ...]) -> _Outcome:
        """What steps make of a fragment. StepError."""
        # Many listeners differ in their routes alone.
        alone = fragment.route is not None and all(map(_leaves_routes_alone, steps))
        lookup = (fragment.key if alone else fragment, steps)
        found = self._outcomes.get(lookup)
        if found is None:
            found = self._take(fragment, steps, alone)
            if fragment.shared:
                self._outcomes[lookup] = found
        left, taken = found
        if not alone or left is None or not taken:
            return _Outcome(left if taken else fragment, taken)
        return _Outcome(replace(left, route=fragment.route), taken)

    def _take(self, fragment: Fragment, steps: tuple[Step, ...], alone: bool) -> _Outcome:
        """With `alone`, the routes of a listener are left out of it."""
        modifications = [step.modification for step in steps]
        type_url, name, origin = fragment.type_url, fragment.name, fragment.origin
        before = fragment.build(fragment.key) if alone else fragment.resource()
        try:
            resource, matched = meshproxypatch.patched(before, type_url, name, origin, modifications)
        except meshproxypatch.PatchError as error:
            raise StepError(steps[modifications.index(error.modification)], error) from None
        taken = tuple([step for position, step in enumerate(steps) if position in matched])
        self.taken.update(taken)
        if resource is None or not taken:
            return _Outcome(None if resource is None else fragment, taken)
        if alone:
            return _Outcome(fragment.with_listener(resource), taken)
        return _Outcome(Fragment.whole(type_url, name, origin, resource, fragment.shared), taken)


def _leaves_routes_alone(step: Step) -> bool:
    return meshproxypatch.leaves_routes_alone(step.modification)


def _makers(steps: Sequence[Step]) -> tuple[Maker, ...]:
    return tuple([step.policy.maker(step.modification.path) for step in steps])
