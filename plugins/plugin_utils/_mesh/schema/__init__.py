# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of resources: JSON Schema (draft 2020-12) with a few keywords of our own. `violations` says what breaks it.

| keyword | says |
|---|---|
| `x-duration` | a Go duration; `positive` refuses zero and less, `not negative` what is less than zero |
| `x-percentage` | an integer or a decimal in a string, 0 to 100 |
| `x-decimal` | an integer or a decimal in a string; `positive` refuses zero and less |
| `x-base64` | base64 text |
| `x-file-path` | an absolute path |
| `x-one-line` | a text without line breaks and tabs, as a header or path has to be |
| `x-unsupported` | Kuma knows the field, this collection does not yet; the value names the feature |
| `x-since`, `x-until` | the Kuma releases that know the field |
| `x-kubernetes-default` | what a Kubernetes API server writes where the field is missing (the CRD's default) |
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from ..findings import Code, Path, Severity, code, did_you_mean
from ..model.duration import Duration

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

UNSUPPORTED = code(
    "MESH009",
    Severity.ERROR,
    "Kuma knows this, the collection does not support it yet",
    "Take it out; nothing is ever ignored silently.",
)
UNKNOWN_FIELD = code(
    "MESH010",
    Severity.ERROR,
    "unknown field",
    "Correct the spelling or take the field out; a control plane would drop it and the policy would do nothing.",
)
MISSING = code("MESH011", Severity.ERROR, "a required field is missing", "Write the field.")
WRONG_TYPE = code("MESH012", Severity.ERROR, "a value has the wrong type", "Write a value of the type that is named.")
NOT_ONE_OF = code("MESH013", Severity.ERROR, "a value is not one of those allowed", "Use one that is listed.")
WRONG_TEXT = code("MESH014", Severity.ERROR, "a text does not have the form it needs", "See the message for the form.")
WRONG_COUNT = code("MESH015", Severity.ERROR, "too few or too many items", "See the message for the limit.")
OUT_OF_RANGE = code("MESH021", Severity.ERROR, "a number or duration is out of range", "See the message for the range.")
NOT_A_DURATION = code(
    "MESH022", Severity.ERROR, "a text is not a duration", "Write a number and a unit: 500ms, 10s, 1m30s, 1h."
)
NOT_BASE64 = code(
    "MESH026",
    Severity.ERROR,
    "a payload is not base64",
    "Encode the bytes of the payload: `printf PING | base64` gives UElORw==.",
)

_TYPE_NAMES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
_DECIMAL = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d{1,3})?\Z", re.ASCII)


@dataclass(frozen=True)
class Violation:
    """One place where a value does not have the shape of its schema."""

    code: Code
    path: Path
    message: str


def violations(name: str, value: object) -> Iterator[Violation]:
    """What keeps `value` from being an instance of the schema `name`, for example `dataplane`."""
    for error in _validator(name).iter_errors(value):
        yield Violation(_CODES[str(error.validator)], tuple(error.absolute_path), error.message)


@cache
def load(name: str) -> Mapping[str, Any]:
    """The schema `name` with its references put in place (the validator need not resolve any)."""
    raw = json.loads((FilePath(__file__).parent / f"{name}.json").read_text(encoding="utf-8"))
    definitions = raw.pop("$defs", {})
    loaded: Mapping[str, Any] = _inline(raw, definitions)
    return loaded


def _inline(node: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inline(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if reference is None:
        return {key: _inline(item, definitions) for key, item in node.items()}
    if reference.startswith("#"):
        return _inline(definitions[reference[1:]], definitions)
    return load(reference.removesuffix(".json"))


def type_name(value: object) -> str:
    """How a message calls the type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, Sequence) else "a mapping"


@cache
def _validator(name: str) -> _Validator:
    from jsonschema import Draft202012Validator, validators

    extend: Any = validators.extend
    return extend(Draft202012Validator, _KEYWORDS)(load(name))


# The validator of jsonschema; its type says less than the keywords here use.
_Validator = Any


def _error(message: str, *path: str | int) -> ValidationError:
    from jsonschema.exceptions import ValidationError

    return ValidationError(message, path=path)


_Errors = Iterator["ValidationError"]


def _type(_validator: _Validator, types: str | Sequence[str], instance: object, _schema: Any) -> _Errors:
    wanted = [types] if isinstance(types, str) else types
    if not any(_validator.is_type(instance, one) for one in wanted):
        yield _error(f"must be {' or '.join(_TYPE_NAMES[one] for one in wanted)}, not {type_name(instance)}")


def _required(_validator: _Validator, names: Sequence[str], instance: object, _schema: Any) -> _Errors:
    if isinstance(instance, dict):
        for name in names:
            if name not in instance:
                yield _error("must be set", name)


def _additional_properties(validator: _Validator, allowed: Any, instance: object, schema: Any) -> _Errors:
    if not isinstance(instance, dict):
        return
    known = schema.get("properties", {})
    if allowed is False:
        for name in instance:
            if name not in known:
                yield _error(f"unknown field{did_you_mean(name, known)}", name)
    else:
        for name, value in instance.items():
            if name not in known:
                yield from _descend(validator, value, allowed, name)


def _properties(validator: _Validator, properties: Mapping[str, Any], instance: object, _schema: Any) -> _Errors:
    if isinstance(instance, dict):
        for name, value in instance.items():
            if name in properties:
                yield from _descend(validator, value, properties[name], name)


def _items(validator: _Validator, items: Any, instance: object, _schema: Any) -> _Errors:
    if isinstance(instance, list):
        for index, item in enumerate(instance):
            yield from _descend(validator, item, items, index)


# By the identity of a part of a schema, which `load` keeps: the validator of that part. Making one takes longer than
# what it has to do for a small value.
_parts: dict[int, _Validator] = {}


def _descend(validator: _Validator, instance: object, schema: Any, step: str | int) -> _Errors:
    part = _parts.get(id(schema))
    if part is None:
        part = _parts[id(schema)] = validator.evolve(schema=schema)
    for error in part.iter_errors(instance):
        error.path.appendleft(step)
        yield error


def _enum(_validator: _Validator, allowed: Sequence[str], instance: object, _schema: Any) -> _Errors:
    # Of another type, `type` has said so.
    if isinstance(instance, str) and instance not in allowed:
        yield _error(f"must be one of {', '.join(allowed)}{did_you_mean(instance, allowed)}")


def _minimum(_validator: _Validator, limit: int, instance: object, schema: Any) -> _Errors:
    if _is_number(instance) and instance < limit:  # type: ignore[operator]
        yield _error("must be greater than zero" if limit == 1 else _range_text(limit, schema.get("maximum")))


def _maximum(_validator: _Validator, limit: int, instance: object, schema: Any) -> _Errors:
    if _is_number(instance) and instance > limit:  # type: ignore[operator]
        yield _error(_range_text(schema.get("minimum"), limit))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _range_text(low: int | None, high: int | None) -> str:
    if high is None:
        return "must not be negative" if low == 0 else f"must not be less than {low}"
    return f"must be between {low} and {high}"


def _min_length(_validator: _Validator, limit: int, instance: object, _schema: Any) -> _Errors:
    if isinstance(instance, str) and len(instance) < limit:
        yield _error("must not be empty")


def _max_length(_validator: _Validator, limit: int, instance: object, _schema: Any) -> _Errors:
    if isinstance(instance, str) and len(instance) > limit:
        yield _error(f"must not be longer than {limit} characters")


def _pattern(_validator: _Validator, pattern: str, instance: object, _schema: Any) -> _Errors:
    # `$` of the schema language matches at the very end only, Python's also before a final line feed.
    if isinstance(instance, str) and instance and not re.search(pattern.removesuffix("$") + r"\Z", instance, re.ASCII):
        yield _error("must consist of lower-case letters, digits and !#$%&'*+-.^_`|~")


def _min_items(_validator: _Validator, limit: int, instance: object, _schema: Any) -> _Errors:
    if isinstance(instance, list) and len(instance) < limit:
        yield _error("must have at least one item, or be left out")


def _max_items(_validator: _Validator, limit: int, instance: object, _schema: Any) -> _Errors:
    if isinstance(instance, list) and len(instance) > limit:
        yield _error(f"must not have more than {limit} items")


def _duration(_validator: _Validator, sign: str, instance: object, _schema: Any) -> _Errors:
    if not isinstance(instance, str):
        return
    try:
        duration = Duration.parse(instance)
    except ValueError:
        error = _error("is not a duration such as 500ms, 10s, 1m30s")
        error.validator = "x-duration-form"
        yield error
        return
    if sign == "positive" and duration.nanoseconds <= 0:
        yield _error("must be greater than zero")
    elif sign == "not negative" and duration.nanoseconds < 0:
        yield _error("must not be negative")


def _percentage(_validator: _Validator, _on: bool, instance: object, _schema: Any) -> _Errors:
    if isinstance(instance, str) and not _DECIMAL.match(instance):
        yield _error("must be a number, for example 62.5 in quotes")
    elif isinstance(instance, str) or _is_number(instance):
        if not 0 <= Decimal(str(instance)) <= 100:
            yield _error("must be between 0 and 100")


def _decimal(_validator: _Validator, _sign: str, instance: object, _schema: Any) -> _Errors:
    if isinstance(instance, str) and not _DECIMAL.match(instance):
        yield _error("must be a number, for example 1.9 in quotes")
    elif isinstance(instance, str) or _is_number(instance):
        if Decimal(str(instance)) <= 0:
            yield _error("must be greater than zero")


def _base64(_validator: _Validator, _on: bool, instance: object, _schema: Any) -> _Errors:
    if isinstance(instance, str):
        try:
            base64.b64decode(instance, validate=True)
        except (binascii.Error, ValueError):
            yield _error("is not base64; `printf PING | base64` gives UElORw==")


def _file_path(_validator: _Validator, _on: bool, instance: object, _schema: Any) -> _Errors:
    if isinstance(instance, str) and not instance.startswith("/"):
        yield _error("must be an absolute path, for example /var/log/envoy/health.log")


def _one_line(_validator: _Validator, _on: bool, instance: object, _schema: Any) -> _Errors:
    if isinstance(instance, str) and re.search(r"[\t\n\r]", instance):
        yield _error("must be one line, without tabs")


def _unsupported(_validator: _Validator, feature: str, _instance: object, _schema: Any) -> _Errors:
    yield _error(f"not supported yet: {feature}")


_KEYWORDS = {
    "type": _type,
    "properties": _properties,
    "items": _items,
    "required": _required,
    "additionalProperties": _additional_properties,
    "enum": _enum,
    "minimum": _minimum,
    "maximum": _maximum,
    "minLength": _min_length,
    "maxLength": _max_length,
    "pattern": _pattern,
    "minItems": _min_items,
    "maxItems": _max_items,
    "x-duration": _duration,
    "x-percentage": _percentage,
    "x-decimal": _decimal,
    "x-base64": _base64,
    "x-file-path": _file_path,
    "x-one-line": _one_line,
    "x-unsupported": _unsupported,
}
_CODES = {
    "type": WRONG_TYPE,
    "required": MISSING,
    "additionalProperties": UNKNOWN_FIELD,
    "enum": NOT_ONE_OF,
    "minimum": OUT_OF_RANGE,
    "maximum": OUT_OF_RANGE,
    "minLength": WRONG_TEXT,
    "maxLength": WRONG_TEXT,
    "pattern": WRONG_TEXT,
    "minItems": WRONG_COUNT,
    "maxItems": WRONG_COUNT,
    "x-duration": OUT_OF_RANGE,
    "x-duration-form": NOT_A_DURATION,
    "x-percentage": OUT_OF_RANGE,
    "x-decimal": OUT_OF_RANGE,
    "x-base64": NOT_BASE64,
    "x-file-path": WRONG_TEXT,
    "x-one-line": WRONG_TEXT,
    "x-unsupported": UNSUPPORTED,
}
