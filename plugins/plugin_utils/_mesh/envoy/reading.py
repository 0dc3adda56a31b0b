# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON that somebody wrote for an Envoy message: what is wrong with it, at which places (Kuma 2.7, `jsonpb`).

Names may be in lowerCamelCase or in snake_case, null is unset, durations may be written as in Go. What Kuma drops
without a word is a mistake: an unknown field, or one of two that exclude each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ..findings import Path, did_you_mean, format_path
from ..model.duration import Duration
from ..schema import type_name
from . import protos

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FieldDescriptor


class Sort(Enum):
    """What sort of mistake."""

    UNKNOWN_FIELD = "unknown field"
    WRONG_VALUE = "wrong value"


class Mistake(NamedTuple):
    """What is wrong at a place, which is given in the names that were written."""

    sort: Sort
    path: Path
    message: str

    def __str__(self) -> str:
        return f"{format_path(self.path)}: {self.message}" if self.path else self.message


_GOOGLE = "google.protobuf."
_ANY = _GOOGLE + "Any"
_DURATION = _GOOGLE + "Duration"
# In either alphabet.
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}", re.ASCII)
# Types that stand for JSON itself.
_JSON = {_GOOGLE + "Struct": dict, _GOOGLE + "Value": object, _GOOGLE + "ListValue": list}
# Types whose JSON is a text or number, and what it has to be.
_TEXTS = {
    "BoolValue": "true or false",
    "BytesValue": "base64 text",
    "DoubleValue": "a number",
    "FieldMask": "names of fields, separated by commas",
    "FloatValue": "a number",
    "Int32Value": "a whole number from -2147483648 to 2147483647",
    "Int64Value": "a whole number",
    "StringValue": "a string",
    "Timestamp": "a time such as 2026-01-31T12:00:00Z",
    "UInt32Value": "a whole number from 0 to 4294967295",
    "UInt64Value": "a whole number, not below zero",
}
# Types whose JSON has no members of their own, so that beside `@type` it stands under `value`.
UNDER_VALUE = {_DURATION, *_JSON, *(_GOOGLE + name for name in _TEXTS)}


def read(name: str, value: Any) -> tuple[Any, list[Mistake]]:
    """JSON for a message of a type as `protos.parse` takes it, in lowerCamelCase, and what is wrong with it."""
    reading = _Reading()
    result = reading.message(protos.descriptor(name), value, ())
    return result, reading.mistakes


def pointer_mistake(name: str, parts: Sequence[str], *, creating: bool) -> Mistake | None:
    """What keeps a JSON pointer from leading to a field of a message; its path are the parts up to there.

    The JSON of a message is in lowerCamelCase; what is `creating` a field may have it in snake_case too.
    """
    descriptor: Descriptor | None = protos.descriptor(name)
    # How many steps lead from a field to its message: one more through a list or map.
    through = 0
    for position, part in enumerate(parts):
        if through:
            through -= 1
            continue
        path = tuple(parts[: position + 1])
        if descriptor is None:
            return Mistake(Sort.UNKNOWN_FIELD, path, "there is nothing below a value")
        if descriptor.full_name == _ANY or descriptor.full_name in _JSON:
            return None
        field = _fields(descriptor).get(part)
        if field is None or _is_leaf(descriptor):
            return Mistake(Sort.UNKNOWN_FIELD, path, _no_such_field(descriptor, part))
        if part != field.json_name and not creating:
            return Mistake(Sort.WRONG_VALUE, path, f"in the JSON that is patched it is {field.json_name}")
        descriptor = field.message_type
        if field.is_repeated:
            through = 1
            if descriptor is not None and descriptor.GetOptions().map_entry:
                descriptor = descriptor.fields_by_name["value"].message_type
    return None


def _is_leaf(descriptor: Descriptor) -> bool:
    """Whether the JSON of a message is a text or number."""
    return descriptor.full_name == _DURATION or descriptor.full_name.removeprefix(_GOOGLE) in _TEXTS


def _no_such_field(descriptor: Descriptor, name: str) -> str:
    if _is_leaf(descriptor):
        return "there is nothing below a value"
    known = [field.name if "_" in name else field.json_name for field in descriptor.fields]
    return f"{descriptor.name} has no such field{did_you_mean(name, known)}"


class _Reading:
    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []

    def message(self, descriptor: Descriptor, value: Any, path: Path) -> Any:
        name = descriptor.full_name
        if name == _ANY:
            return self._any(value, path)
        if name == _DURATION:
            return self._duration(value, path)
        if name in _JSON:
            if not isinstance(value, _JSON[name]):
                self._wrong(path, f"must be {type_name(_JSON[name]())}, not {type_name(value)}")
            return value
        if name.startswith(_GOOGLE) and name.removeprefix(_GOOGLE) in _TEXTS:
            return self._text(name.removeprefix(_GOOGLE), value, path)
        if not isinstance(value, dict):
            self._wrong(path, f"must be a mapping, not {type_name(value)}")
            return {}
        return self._members(descriptor, value, path)

    def _members(self, descriptor: Descriptor, value: Mapping[str, Any], path: Path) -> dict[str, Any]:
        known = _fields(descriptor)
        result: dict[str, Any] = {}
        written: dict[str, str] = {}
        for key, member in value.items():
            field = known.get(key)
            if field is None:
                self.mistakes.append(Mistake(Sort.UNKNOWN_FIELD, (*path, key), _no_such_field(descriptor, key)))
                continue
            if member is None and not _takes_null(field):
                continue
            # Of the fields of a oneof there is one at most, as of a field that can be spelled in two ways.
            group = field.json_name if field.containing_oneof is None else field.containing_oneof.full_name
            if group in written:
                self._wrong((*path, key), f"cannot stand beside {written[group]}, one of the two would be dropped")
                continue
            written[group] = key
            result[field.json_name] = self._field(field, member, (*path, key))
        return result

    def _field(self, field: FieldDescriptor, value: Any, path: Path) -> Any:
        if not field.is_repeated:
            return self._single(field, value, path)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            if not isinstance(value, dict):
                self._wrong(path, f"must be a mapping, not {type_name(value)}")
                return {}
            of = field.message_type.fields_by_name["value"]
            return {key: self._single(of, member, (*path, key)) for key, member in value.items()}
        if not isinstance(value, list):
            self._wrong(path, f"must be a list, not {type_name(value)}")
            return []
        return [self._single(field, item, (*path, index)) for index, item in enumerate(value)]

    def _single(self, field: FieldDescriptor, value: Any, path: Path) -> Any:
        if field.message_type is not None:
            return self.message(field.message_type, value, path)
        if field.enum_type is None:
            return self._text(_wrapper(field), value, path)
        names = field.enum_type.values_by_name
        if isinstance(value, str) and value not in names:
            self._wrong(path, f"must be one of {', '.join(names)}{did_you_mean(value, names)}")
        elif not isinstance(value, str | int) or isinstance(value, bool):
            self._wrong(path, f"must be one of {', '.join(names)}, not {type_name(value)}")
        return value

    def _text(self, wrapper: str, value: Any, path: Path) -> Any:
        try:
            protos.parse(_GOOGLE + wrapper, value)
            # The parser makes something of any text.
            fits = wrapper != "BytesValue" or _BASE64.fullmatch(value) is not None
        except protos.NotAMessage:
            fits = False
        if not fits:
            self._wrong(path, f"must be {_TEXTS[wrapper]}, not {_shown(value)}")
        return value

    def _duration(self, value: Any, path: Path) -> Any:
        if not isinstance(value, str):
            self._wrong(path, f"must be a duration such as 1.5s, not {type_name(value)}")
            return value
        try:
            return Duration.parse(value).proto()
        except ValueError:
            self._wrong(path, f"must be a duration such as 1.5s, not '{value}'")
            return value

    def _any(self, value: Any, path: Path) -> Any:
        """A message of the type that `@type` names."""
        if not isinstance(value, dict):
            self._wrong(path, f"must be a mapping, not {type_name(value)}")
            return {}
        if not value:
            return value
        type_url = value.get("@type")
        if not isinstance(type_url, str):
            self._wrong(path, "must have `@type`, for example type.googleapis.com/envoy.config.cluster.v3.Cluster")
            return {}
        try:
            descriptor = protos.descriptor(protos.type_name(type_url))
        except protos.NotAMessage as error:
            hint = did_you_mean(protos.type_name(type_url), protos.types_beside(protos.type_name(type_url)))
            self._wrong((*path, "@type"), f"{error}{hint}")
            return {}
        content = {key: member for key, member in value.items() if key != "@type"}
        if descriptor.full_name not in UNDER_VALUE:
            return {"@type": type_url, **self.message(descriptor, content, path)}
        for key in content.keys() - {"value"}:
            self.mistakes.append(Mistake(Sort.UNKNOWN_FIELD, (*path, key), "unknown field; did you mean 'value'?"))
        return {"@type": type_url, "value": self.message(descriptor, content.get("value"), (*path, "value"))}

    def _wrong(self, path: Path, message: str) -> None:
        self.mistakes.append(Mistake(Sort.WRONG_VALUE, path, message))


@cache
def _fields(descriptor: Descriptor) -> Mapping[str, FieldDescriptor]:
    """The fields of a message by both their names."""
    return {name: field for field in descriptor.fields for name in (field.name, field.json_name)}


def _takes_null(field: FieldDescriptor) -> bool:
    """Whether null is a value of the field, and not its absence."""
    return (
        not field.is_repeated and field.message_type is not None and field.message_type.full_name == _GOOGLE + "Value"
    )


def _wrapper(field: FieldDescriptor) -> str:
    """The type that takes the same values as a field of a number or text."""
    if field.type == field.TYPE_BYTES:
        return "BytesValue"
    return {
        field.CPPTYPE_BOOL: "BoolValue",
        field.CPPTYPE_DOUBLE: "DoubleValue",
        field.CPPTYPE_FLOAT: "FloatValue",
        field.CPPTYPE_INT32: "Int32Value",
        field.CPPTYPE_INT64: "Int64Value",
        field.CPPTYPE_STRING: "StringValue",
        field.CPPTYPE_UINT32: "UInt32Value",
        field.CPPTYPE_UINT64: "UInt64Value",
    }[field.cpp_type]


def _shown(value: Any) -> str:
    """A value in a message, where it is short."""
    if isinstance(value, str):
        return f"'{value}'" if len(value) <= 40 else "a long string"
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else type_name(value)
