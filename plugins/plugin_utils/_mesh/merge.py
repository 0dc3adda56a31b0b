# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the policies that select a dataplane merge to for a service, and which policy each field comes from.

Kuma folds configurations as JSON merge patches (RFC 7396), later ones over earlier ones. Absent fields and null leave
what is there, lists are replaced as a whole, mappings are merged member by member. Since no member is ever deleted,
that equals writing the leaves of one configuration after the other, which also says who wrote each leaf last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, cached_property
from typing import Any, Final, get_args, get_type_hints

from .kinds.policy_kind import PolicyKind, Statement
from .match import Matcher
from .model import field_name
from .model.dataplane import SERVICE_TAG, Dataplane, Inbound
from .model.policies import Item, Maker, Policy

# What a mapping sets by being there.
SECTION: Final = object()


@dataclass(frozen=True, eq=False)
class Layer:
    """One item of one policy's `to` or `from`, to be merged with others. Layers are compared by identity."""

    policy: Policy
    item: Item

    @cached_property
    def maker(self) -> Maker:
        """What names it as what made a resource."""
        return self.policy.maker(self.item.path)


@dataclass(frozen=True, eq=False)
class Leaf:
    """One field that one layer sets, by its path in Kuma's names, such as `http.path`."""

    path: str
    value: object
    layer: Layer


@dataclass(frozen=True, eq=False)
class Merged:
    """A merged configuration and, by path, its leaves."""

    statement: Statement
    leaves: Mapping[str, Leaf]

    @property
    def conf(self) -> Any:
        return self.statement.conf

    @cached_property
    def winners(self) -> tuple[Layer, ...]:
        """The layers that set at least one field, in the order of their fields."""
        return tuple(dict.fromkeys(leaf.layer for leaf in self.leaves.values()))


class Rules:
    """The policies of one kind, ready to be merged. Dataplanes share results that are the same for them."""

    def __init__(self, kind: PolicyKind, policies: Sequence[Policy]) -> None:
        self.kind = kind
        self.policies = policies
        self._matcher = Matcher(policies)
        self._paths = tuple(_leaf_paths(kind.conf))
        self._layers: list[Layer] = []
        self._leaves: list[dict[str, Leaf]] = []
        # Of each policy, the positions of its layers: those for every service, those for one, and those for inbounds.
        self._general: list[list[int]] = []
        self._special: list[dict[str, list[int]]] = []
        self._inbound: list[list[int]] = []
        for policy in policies:
            self._general.append([])
            self._special.append({})
            for item in policy.to:
                service = item.target_ref.selector().get(SERVICE_TAG)
                layers = self._general[-1] if service is None else self._special[-1].setdefault(service, [])
                layers.append(self._add(policy, item))
            self._inbound.append([self._add(policy, item) for item in policy.from_])
        # What counts where policies that select a proxy say nothing, and on inbounds that none of them selects.
        self._silent = Merged(Statement(kind, None), {}) if kind.touches_all else None
        self._bare = Merged(Statement(kind, kind.conf()), {}) if kind.touches_all else None
        self._selections: dict[tuple[tuple[int, ...], bool], Selection] = {}
        self._by_layers: dict[tuple[int, ...], Merged] = {}
        self._by_leaves: dict[tuple[Leaf | None, ...], Merged] = {}
        self._statements: dict[tuple[object, ...], Statement] = {}

    def _add(self, policy: Policy, item: Item) -> int:
        layer = Layer(policy, item)
        self._layers.append(layer)
        self._leaves.append({path: Leaf(path, value, layer) for path, value in leaves(item.conf)})
        return len(self._layers) - 1

    def select(self, dataplane: Dataplane) -> Selection:
        """The policies that select a dataplane."""
        selected = self._matcher.select(dataplane)
        # A gateway has no inbounds, so that policies without `to` are none for it.
        effective = dataplane.gateway_tags is None or any(self._general[at] or self._special[at] for at in selected)
        selection = self._selections.get((selected, effective))
        if selection is None:
            general = [position for policy in selected for position in self._general[policy]]
            special: dict[str, list[int]] = {}
            for policy in selected:
                for service, found in self._special[policy].items():
                    special.setdefault(service, []).extend(found)
            silent = self._silent if selected and effective else None
            selection = Selection(self, selected, general, special, silent)
            self._selections[selected, effective] = selection
        return selection

    def for_inbound(self, selection: Selection, inbound: Inbound) -> Merged | None:
        """What the policies say for an inbound of a proxy for which `selection` is selected; None for nothing."""
        if not selection.policies:
            return None
        selected = self._matcher.select_inbound(inbound)
        if not selected:
            return self._bare
        positions = tuple([position for policy in selected for position in self._inbound[policy]])
        return self.merge(positions) if positions else self._silent

    def inbound_layers(self, inbound: Inbound) -> list[Layer]:
        """The layers that concern an inbound, low to high."""
        selected = self._matcher.select_inbound(inbound)
        return [self._layers[position] for policy in selected for position in self._inbound[policy]]

    def layer(self, position: int) -> Layer:
        return self._layers[position]

    def merge(self, positions: tuple[int, ...]) -> Merged:
        """The layers at these positions, low to high, merged."""
        merged = self._by_layers.get(positions)
        if merged is None:
            found: dict[str, Leaf] = {}
            for position in positions:
                found.update(self._leaves[position])
            merged = self._by_layers[positions] = self._of_leaves(tuple(map(found.get, self._paths)))
        return merged

    def _of_leaves(self, found: tuple[Leaf | None, ...]) -> Merged:
        merged = self._by_leaves.get(found)
        if merged is None:
            by_path = {leaf.path: leaf for leaf in found if leaf is not None}
            values = tuple(None if leaf is None else leaf.value for leaf in found)
            statement = self._statements.get(values)
            if statement is None:
                statement = Statement(self.kind, _builder(self.kind.conf)("", by_path))
                self._statements[values] = statement
            merged = self._by_leaves[found] = Merged(statement, by_path)
        return merged


class Selection:
    """The policies of one kind that select a dataplane; `policies` are their positions by precedence, low to high."""

    def __init__(
        self,
        rules: Rules,
        policies: tuple[int, ...],
        general: list[int],
        special: Mapping[str, list[int]],
        silent: Merged | None,
    ) -> None:
        self.rules = rules
        self.policies = policies
        self._general = general
        self._special = special
        self._silent = silent
        self._found: dict[str, tuple[tuple[int, ...], Merged | None]] = {}

    def layers(self, service: str) -> list[Layer]:
        """The layers that concern a service, low to high."""
        return [self.rules.layer(position) for position in self.positions(service)]

    def merged(self, service: str) -> Merged | None:
        """What the policies say for the service (Kuma: the rule that `Compute` finds); None for nothing."""
        # Asked for each outbound of each dataplane: the second lookup is for the first time.
        return (self._found.get(service) or self._of(service))[1]

    def positions(self, service: str) -> tuple[int, ...]:
        """The positions of the layers that concern a service, low to high."""
        return self._of(service)[0]

    def _of(self, service: str) -> tuple[tuple[int, ...], Merged | None]:
        found = self._found.get(service)
        if found is None:
            own = self._special.get(service)
            positions = tuple(sorted(self._general + own) if own else self._general)
            found = (positions, self.rules.merge(positions) if positions else self._silent)
            self._found[service] = found
        return found


def leaves(conf: Any, prefix: str = "") -> Iterator[tuple[str, object]]:
    """The fields that a configuration sets. A mapping is one as well, of value SECTION: `tcp: {}` says something."""
    for one in fields(conf):
        value = getattr(conf, one.name)
        if value is None:
            continue
        path = prefix + field_name(one.name)
        if is_dataclass(value):
            yield path, SECTION
            yield from leaves(value, path + ".")
        else:
            yield path, value


def _leaf_paths(conf: type, prefix: str = "") -> Iterator[str]:
    for name, section in _members(conf):
        yield prefix + field_name(name)
        if section is not None:
            yield from _leaf_paths(section, prefix + field_name(name) + ".")


@cache
def _builder(conf: type) -> Callable[[str, Mapping[str, Leaf]], Any]:
    members = [
        (name, field_name(name), None if section is None else _builder(section)) for name, section in _members(conf)
    ]

    def build(prefix: str, found: Mapping[str, Leaf]) -> Any:
        values = {}
        for name, key, section in members:
            leaf = found.get(prefix + key)
            if leaf is not None:
                values[name] = leaf.value if section is None else section(f"{prefix}{key}.", found)
        return conf(**values)

    return build


@cache
def _members(conf: type) -> tuple[tuple[str, type | None], ...]:
    """The fields of a configuration, each with its dataclass where it is a section of its own."""
    hints = get_type_hints(conf)
    members: list[tuple[str, type | None]] = []
    for one in fields(conf):
        section = next(
            (type_ for type_ in get_args(hints[one.name]) if isinstance(type_, type) and is_dataclass(type_)), None
        )
        members.append((one.name, section))
    return tuple(members)
