# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which policies select a dataplane (Kuma 2.7, `matchers/dataplane.go`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .model.dataplane import SERVICE_TAG, Dataplane, Inbound, State, Tags
from .model.policies import Policy
from .model.target_ref import ProxyType

_Selector = tuple[int, frozenset[tuple[str, str]], frozenset[ProxyType]]


class Matcher:
    """Selects among the policies of one kind. The cost of a dataplane grows with its tags, not with the policies."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        self._everywhere: list[_Selector] = []
        self._by_tag: dict[tuple[str, str], list[_Selector]] = {}
        for position, policy in enumerate(policies):
            tags = frozenset(policy.target_ref.selector().items())
            selector = (position, tags, policy.target_ref.proxy_types)
            if tags:
                # Any of the tags would do; those of a service are the rarest.
                first = min(tags, key=lambda item: (item[0] != SERVICE_TAG, item))
                self._by_tag.setdefault(first, []).append(selector)
            else:
                self._everywhere.append(selector)

    def select(self, dataplane: Dataplane) -> tuple[int, ...]:
        """Positions of the policies that select the dataplane, through any of its inbounds, in order of precedence."""
        if dataplane.gateway_tags is not None:
            return self._select([dataplane.gateway_tags], ProxyType.GATEWAY)
        tags = [inbound.tags for inbound in dataplane.inbounds if inbound.state is not State.IGNORED]
        return self._select(tags, ProxyType.SIDECAR)

    def select_inbound(self, inbound: Inbound) -> tuple[int, ...]:
        """Positions of the policies that select a sidecar through this inbound, in order of precedence."""
        return () if inbound.state is State.IGNORED else self._select([inbound.tags], ProxyType.SIDECAR)

    def _select(self, targets: Iterable[Tags], proxy_type: ProxyType) -> tuple[int, ...]:
        """What a selector is held against: each inbound by itself, or the tags of a delegated gateway."""
        selected: set[int] = set()
        for tags in targets:
            items = tags.items()
            for position, wanted, proxy_types in self._candidates(tags):
                if wanted <= items and (not proxy_types or proxy_type in proxy_types):
                    selected.add(position)
        return tuple(sorted(selected))

    def _candidates(self, tags: Tags) -> Iterator[_Selector]:
        yield from self._everywhere
        for item in tags.items():
            yield from self._by_tag.get(item, ())
