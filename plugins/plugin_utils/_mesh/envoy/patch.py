# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of Envoy messages: a message merged into them, or JSON patches (Kuma 2.7, `google_proto.go`, `jsonpatch`).

What a change makes of a message depends on the top-level fields that it names, and on no others. So only these are
read as a message, changed and written back, and as messages have few different values of them, each value is changed
once.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..findings import Path, format_path
from ..model.meshproxypatch import JsonPatch
from . import protos, reading, type_urls

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

_DURATION = "google.protobuf.Duration"
_CLUSTER = protos.type_name(type_urls.CLUSTER)
_THRESHOLDS = "envoy.config.cluster.v3.CircuitBreakers.Thresholds"

# Where an item of a list is, counted from the end if negative.
_INDEX = re.compile(r"-?[0-9]+", re.ASCII)
_ADDING = ("add", "copy", "move")


class _Nothing:
    """What stands at a place where there is none."""


_NOTHING = _Nothing()

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class NotApplicable(Exception):
    """A change cannot be made to a message. The text says why; `step` is the position of the JSON patch at fault."""

    def __init__(self, message: str, step: int | None = None) -> None:
        super().__init__(message)
        self.step = step


class Change(ABC):
    """A change of messages in proto3 JSON, whose members are in lowerCamelCase. Keeps what it has made."""

    def __init__(self) -> None:
        self._fields: dict[str, frozenset[str] | None] = {}
        # JSON, so that each result is one of its own.
        self._made: dict[tuple[str, str], str] = {}

    def apply(self, name: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """What the change makes of a message of the type `name`, which stays as it is. NotApplicable if it cannot."""
        try:
            if name not in self._fields:
                self._fields[name] = self.fields(name)
            fields = self._fields[name]
            part = {key: value for key, value in message.items() if fields is None or key in fields}
            lookup = (name, _canonical(part))
            made = self._made.get(lookup)
            if made is None:
                made = self._made[lookup] = _canonical(self.whole(name, part))
        except protos.NotAMessage as error:
            raise NotApplicable(str(error)) from None
        changed: dict[str, Any] = {key: value for key, value in message.items() if key not in part}
        changed.update(json.loads(made))
        return changed

    @abstractmethod
    def fields(self, name: str) -> frozenset[str] | None:
        """The fields of a message that the change looks at or sets, in lowerCamelCase; None for all."""

    @abstractmethod
    def whole(self, name: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """What the change makes of all that is in a message. NotApplicable or `protos.NotAMessage` if it cannot."""


class Merge(Change):
    """A message of the type `name` is merged into others of its type."""

    def __init__(self, name: str, value: Mapping[str, Any]) -> None:
        super().__init__()
        self._patch = protos.parse(name, value)

    def fields(self, name: str) -> frozenset[str] | None:
        return _with_alternatives(protos.descriptor(name), (field.name for field, _value in self._patch.ListFields()))

    def whole(self, name: str, message: Mapping[str, Any]) -> dict[str, Any]:
        target = protos.parse(name, message)
        _merge(target, self._patch)
        return protos.to_json(target)


class JsonPatches(Change):
    """JSON patches, one after the other, are applied to the JSON of messages."""

    def __init__(self, patches: Sequence[JsonPatch]) -> None:
        super().__init__()
        self._patches = patches

    def fields(self, name: str) -> frozenset[str] | None:
        pointers = [patch.path for patch in self._patches]
        pointers += [patch.from_ for patch in self._patches if patch.from_ is not None]
        first = [parts[0] for parts in map(pointer_parts, pointers) if parts]
        return _with_alternatives(protos.descriptor(name), first) if len(first) == len(pointers) else None

    def whole(self, name: str, message: Mapping[str, Any]) -> dict[str, Any]:
        document: Any = protos.canonical(name, message)
        for step, patch in enumerate(self._patches):
            document = _patched(document, patch, step)
        result, mistakes = reading.read(name, document)
        for mistake in mistakes:
            raise NotApplicable(str(mistake), self._step_of(mistake.path))
        changed = protos.canonical(name, result)
        for place in _second_thresholds(changed) if name == _CLUSTER else ():
            words = f"{format_path(place)} has the priority of one before it, and Envoy looks at the first one only"
            raise NotApplicable(words, self._step_of(place))
        return changed

    def _step_of(self, path: Sequence[str | int]) -> int:
        """The last patch that wrote to a place or around it."""
        place = [str(part) for part in path]
        last = len(self._patches) - 1
        for step in range(last, -1, -1):
            parts = pointer_parts(self._patches[step].path)
            if len(parts) <= len(place) and all(
                part in (there, "-") or part.startswith("-") for part, there in zip(parts, place, strict=False)
            ):
                return step
        return last


def without_effect(name: str, value: Mapping[str, Any]) -> Iterator[Path]:
    """The places in a message that do nothing when it is merged: those that say what is the default anyway."""
    yield from _defaults(protos.parse(name, value), value, ())


def _defaults(message: Message, value: Mapping[str, Any], path: Path) -> Iterator[Path]:
    said = {field.json_name for field, _value in message.ListFields()}
    for key, member in value.items():
        field = message.DESCRIPTOR.fields_by_camelcase_name[key]
        if key not in said:
            yield (*path, key)
        elif field.message_type is not None and not field.is_repeated and isinstance(member, dict):
            if not field.message_type.full_name.startswith("google.protobuf."):
                yield from _defaults(getattr(message, field.name), member, (*path, key))


def _with_alternatives(descriptor: Descriptor, names: Iterable[str]) -> frozenset[str]:
    """The fields of these names, in either spelling, and those that make room for them: the others of a oneof."""
    found: set[str] = set()
    for name in names:
        field = descriptor.fields_by_name.get(name) or descriptor.fields_by_camelcase_name.get(name)
        if field is not None:
            alternatives = [field] if field.containing_oneof is None else field.containing_oneof.fields
            found.update(one.json_name for one in alternatives)
    return frozenset(found)


def _merge(target: Message, patch: Message) -> None:
    """Merge a message into another one of its type: what has its default in `patch` says nothing."""
    for field, value in patch.ListFields():
        if field.is_repeated:
            items = getattr(target, field.name)
            if field.message_type is None:
                items.extend(value)
            elif field.message_type.GetOptions().map_entry:
                _replace_entries(items, value, field.message_type)
            elif field.message_type.full_name == _THRESHOLDS:
                _replace_thresholds(items, value)
            else:
                items.extend(value)
        elif field.message_type is None:
            setattr(target, field.name, value)
        elif field.message_type.full_name == _DURATION:
            # Merged member by member, `0s` would be nothing and `1s` would keep half a second of `2.5s`.
            getattr(target, field.name).CopyFrom(value)
        else:
            member = getattr(target, field.name)
            # It is there, even where nothing is in it.
            member.SetInParent()
            _merge(member, value)


def _replace_entries(entries: Any, patch: Any, entry: Descriptor) -> None:
    for key in patch:
        if entry.fields_by_name["value"].message_type is None:
            entries[key] = patch[key]
        else:
            entries[key].CopyFrom(patch[key])


def _second_thresholds(cluster: Mapping[str, Any]) -> Iterator[Path]:
    for member in ("thresholds", "perHostThresholds"):
        seen = set()
        for position, threshold in enumerate(cluster.get("circuitBreakers", {}).get(member, [])):
            priority = threshold.get("priority")
            if priority in seen:
                yield ("circuitBreakers", member, position)
            seen.add(priority)


def _replace_thresholds(thresholds: Any, patch: Any) -> None:
    """Envoy looks at the first threshold of each priority only, so that a second one would do nothing."""
    for one in patch:
        for position, present in enumerate(thresholds):
            if present.priority == one.priority:
                thresholds[position].CopyFrom(one)
                break
        else:
            thresholds.add().CopyFrom(one)


def pointer_parts(pointer: str) -> list[str]:
    """The steps of a JSON pointer. ValueError for what is none."""
    from jsonpointer import JsonPointer, JsonPointerException

    try:
        return list(JsonPointer(pointer).parts)
    except JsonPointerException as error:
        raise ValueError(str(error)) from None


def _patched(document: Any, patch: JsonPatch, step: int) -> Any:
    """A document after one JSON patch, as Kuma applies it: indices may count from the end, `add` makes the parents
    that are missing, and to remove what is not there is nothing to do."""
    import jsonpatch
    import jsonpointer

    parts = pointer_parts(patch.path)
    if patch.op == "add":
        _make_parents(document, parts)
    operation = {"op": patch.op, "path": _pointer(document, parts, adding=patch.op in _ADDING)}
    if patch.from_ is not None:
        operation["from"] = _pointer(document, pointer_parts(patch.from_))
    if patch.op in ("add", "replace"):
        operation["value"] = copy.deepcopy(patch.value)
    if patch.from_ is not None and _at(document, pointer_parts(patch.from_)) is _NOTHING:
        raise NotApplicable(f"{patch.from_} is not there", step)
    if patch.op == "remove" and _is_absent(document, pointer_parts(operation["path"])):
        return document
    try:
        return jsonpatch.apply_patch(document, [operation], in_place=True)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError):
        if patch.op == "replace":
            words = f"{patch.path} is not there to be replaced; `add` sets it either way"
        else:
            words = f"there is no place for {patch.path}"
        raise NotApplicable(words, step) from None


def _make_parents(document: Any, parts: Sequence[str]) -> None:
    place = document
    for part, following in itertools.pairwise(parts):
        member = _at(place, [part])
        if member is _NOTHING:
            member = [] if following == "-" or _INDEX.fullmatch(following) else {}
            if isinstance(place, dict):
                place[part] = member
            elif isinstance(place, list) and part == str(len(place)):
                place.append(member)
            else:
                return
        place = member


def _pointer(document: Any, parts: Sequence[str], *, adding: bool = False) -> str:
    """A pointer whose indices count from the beginning. Where something is added, -1 is behind the last item."""
    from jsonpointer import JsonPointer

    place, found = document, []
    for position, part in enumerate(parts):
        if isinstance(place, list) and _INDEX.fullmatch(part):
            end = len(place) + 1 if adding and position == len(parts) - 1 else len(place)
            part = str(int(part) + end if -end <= int(part) < 0 else int(part))
        found.append(part)
        place = _at(place, [part])
    return str(JsonPointer.from_parts(found).path)


def _is_absent(document: Any, parts: Sequence[str]) -> bool:
    """Whether nothing is at a place; a step into a list that is no index is a mistake, not an absence."""
    holder = _at(document, parts[:-1])
    if isinstance(holder, list):
        return _INDEX.fullmatch(parts[-1]) is not None and _at(holder, parts[-1:]) is _NOTHING
    return not isinstance(holder, dict) or parts[-1] not in holder


def _at(document: Any, parts: Sequence[str]) -> Any:
    """What stands at a place, or _NOTHING."""
    place = document
    for part in parts:
        if isinstance(place, dict):
            place = place.get(part, _NOTHING)
        elif isinstance(place, list) and _INDEX.fullmatch(part) and -len(place) <= int(part) < len(place):
            place = place[int(part)]
        else:
            return _NOTHING
    return place
