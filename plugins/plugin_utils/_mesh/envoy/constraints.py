# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that Envoy's API states in its descriptors (`validate.rules`), as far as they are used there.

Envoy refuses a message that breaks one. As in Kuma, what stands in a field for any message is not looked at.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from ..findings import Path

if TYPE_CHECKING:
    from google.protobuf.message import Message

_Violations = Iterator[tuple[Path, str]]

_GOOGLE = "google.protobuf."
_DURATION = _GOOGLE + "Duration"
_WRAPPER = re.compile(r"google\.protobuf\.(Bool|Bytes|Double|Float|Int32|Int64|String|UInt32|UInt64)Value")

# `well_known_regex`, by whether it is strict.
_HEADER = {
    ("HTTP_HEADER_NAME", True): re.compile(r":?[0-9a-zA-Z!#$%&'*+\-.^_|~`]+"),
    ("HTTP_HEADER_VALUE", True): re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*"),
    ("HTTP_HEADER_NAME", False): re.compile(r"[^\x00\n\r]+"),
    ("HTTP_HEADER_VALUE", False): re.compile(r"[^\x00\n\r]*"),
}
_NUMBERS = ("double", "float", "int32", "int64", "uint32", "uint64")


def violations(message: Message, path: Path = ()) -> _Violations:
    """The rules that a message breaks, with the places in its proto3 JSON."""
    for oneof in _required(message.DESCRIPTOR):
        if message.WhichOneof(oneof.name) is None:
            yield path, f"must have one of {', '.join(field.json_name for field in oneof.fields)}"
    for field, rules in _rules(message.DESCRIPTOR):
        yield from _field(message, field, rules, (*path, field.json_name))


@cache
def _required(descriptor: Any) -> list[Any]:
    """The oneofs of a message that must be set."""
    required = importlib.import_module("validate.validate_pb2").required
    return [oneof for oneof in descriptor.oneofs if oneof.GetOptions().Extensions[required]]


@cache
def _rules(descriptor: Any) -> list[tuple[Any, Any]]:
    """The fields of a message with the rules for them."""
    rules = importlib.import_module("validate.validate_pb2").rules
    return [(field, field.GetOptions().Extensions[rules]) for field in descriptor.fields]


def _field(message: Message, field: Any, rules: Any, path: Path) -> _Violations:
    value = getattr(message, field.name)
    if field.is_repeated:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            yield from _map(value, field, rules.map, path)
        else:
            yield from _list(value, field, rules.repeated, path)
    elif not field.has_presence or message.HasField(field.name):
        yield from _value(value, field, rules, path)
    elif field.containing_oneof is None and (rules.message.required or rules.any.required or rules.duration.required):
        # A field of a oneof may give way to another one of it.
        yield path, "must be set"


def _map(entries: Any, field: Any, rules: Any, path: Path) -> _Violations:
    if len(entries) < rules.min_pairs:
        yield path, f"must have at least {_count(rules.min_pairs, 'member')}"
    members = field.message_type.fields_by_name
    for key in entries:
        yield from _value(key, members["key"], rules.keys, (*path, str(key)))
        yield from _value(entries[key], members["value"], rules.values, (*path, str(key)))


def _list(items: Any, field: Any, rules: Any, path: Path) -> _Violations:
    if len(items) < rules.min_items:
        yield path, f"must have at least {_count(rules.min_items, 'item')}"
    if rules.HasField("max_items") and len(items) > rules.max_items:
        yield path, f"must have at most {_count(rules.max_items, 'item')}"
    if rules.unique and len(set(items)) < len(items):
        yield path, "must not have an item twice"
    for index, item in enumerate(items):
        yield from _value(item, field, rules.items, (*path, index))


def _value(value: Any, field: Any, rules: Any, path: Path) -> _Violations:
    """What is wrong with one value that is there, whatever message, list or map holds it."""
    if field.message_type is not None:
        name = field.message_type.full_name
        if name == _DURATION:
            yield from _range(_nanoseconds(value), rules.duration, path, of=_nanoseconds, shown=_seconds)
        elif _WRAPPER.fullmatch(name):
            yield from _scalar(value.value, rules, path)
        elif not name.startswith(_GOOGLE) and not rules.message.skip:
            yield from violations(value, path)
    elif field.enum_type is not None:
        if rules.enum.defined_only and value not in field.enum_type.values_by_number:
            yield path, "must be one of the values that have a name"
        elif value in rules.enum.not_in:
            yield path, f"must not be {field.enum_type.values_by_number[value].name}"
    else:
        yield from _scalar(value, rules, path)


def _scalar(value: Any, rules: Any, path: Path) -> _Violations:
    sort = rules.WhichOneof("type")
    if sort in _NUMBERS:
        yield from _range(value, getattr(rules, sort), path)
    elif sort == "string":
        yield from _string(value, rules.string, path)
    elif sort == "bytes":
        yield from _size(len(value), rules.bytes, "len", "bytes", path)
    elif sort == "bool" and rules.bool.HasField("const") and value != rules.bool.const:
        yield path, f"must be {str(rules.bool.const).lower()}"


def _range(value: Any, rules: Any, path: Path, of: Any = lambda limit: limit, shown: Any = str) -> _Violations:
    """Outside of the limits; where the lower one is above the upper one, between them is outside."""
    limits = {name: getattr(rules, name) for name in ("gt", "gte", "lt", "lte") if rules.HasField(name)}
    low = next((limits[name] for name in ("gt", "gte") if name in limits), None)
    high = next((limits[name] for name in ("lt", "lte") if name in limits), None)
    fits = {
        "gt": lambda limit: value > limit,
        "gte": lambda limit: value >= limit,
        "lt": lambda limit: value < limit,
        "lte": lambda limit: value <= limit,
    }
    words = {"gt": "greater than", "gte": "at least", "lt": "less than", "lte": "at most"}
    kept = [fits[name](of(limit)) for name, limit in limits.items()]
    either = low is not None and high is not None and of(high) < of(low)
    if kept and not (any(kept) if either else all(kept)):
        text = (" or " if either else " and ").join(f"{words[name]} {shown(limit)}" for name, limit in limits.items())
        yield path, f"must be {text}"


def _string(value: str, rules: Any, path: Path) -> _Violations:
    if not value and rules.ignore_empty:
        return
    yield from _size(len(value), rules, "len", "characters", path)
    yield from _size(len(value.encode()), rules, "bytes", "bytes", path)
    if not value.startswith(rules.prefix):
        yield path, f"must begin with {rules.prefix}"
    if not value.endswith(rules.suffix):
        yield path, f"must end with {rules.suffix}"
    if rules.HasField("pattern") and not re.search(rules.pattern.removesuffix("$") + r"\Z", value):
        yield path, f"must match {rules.pattern}"
    allowed = getattr(rules, "in")
    if allowed and value not in allowed:
        yield path, f"must be one of {', '.join(allowed)}"
    if rules.HasField("well_known_regex"):
        name = type(rules).DESCRIPTOR.fields_by_name["well_known_regex"].enum_type.values_by_number
        header = _HEADER.get((name[rules.well_known_regex].name, rules.strict))
        if header is not None and not header.fullmatch(value):
            yield path, "must be a header's name or value as HTTP allows it"


def _size(size: int, rules: Any, measure: str, unit: str, path: Path) -> _Violations:
    least, most = getattr(rules, f"min_{measure}"), getattr(rules, f"max_{measure}")
    if size < least:
        yield path, "must not be empty" if least == 1 else f"must have at least {least} {unit}"
    if rules.HasField(f"max_{measure}") and size > most:
        yield path, f"must have at most {most} {unit}"


def _nanoseconds(duration: Any) -> int:
    return int(duration.seconds) * 1_000_000_000 + int(duration.nanos)


def _seconds(duration: Any) -> str:
    return str(duration.ToJsonString())


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
