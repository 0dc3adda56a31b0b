# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One document while it is decoded: what is found wrong in it, and whether its parts have the shape of a schema."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .. import schema
from ..findings import NOT_REPRESENTABLE, TOO_LARGE, Code, Finding, Path, Severity, code
from ..model import field_name
from ..schema import UNKNOWN_FIELD, UNSUPPORTED, Violation
from ..source import MAX_DEPTH, Document, Place

CONTROL_CHARACTER = code(
    "MESH016", Severity.ERROR, "a text holds control characters", "Take them out; Envoy would refuse the resource."
)

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_INTEGER = re.compile(r"-?[0-9]{1,10}", re.ASCII)


class Reader:
    """Decodes one document. `sound` says whether no error was found in it so far."""

    def __init__(self, document: Document, findings: list[Finding]) -> None:
        self.document = document
        self.kind = ""
        self.name = ""
        self.sound = True
        self._findings = findings
        # From the field names of the schema back to what the user wrote, by path.
        self._written: dict[Path, str] = {}

    def report(self, code: Code, path: Path, message: str, inside: Place | None = None) -> None:
        """Note what is wrong at a path, or at a place inside of the text there."""
        written = tuple(self._written.get(path[: depth + 1], part) for depth, part in enumerate(path))
        self._findings.append(self.document.finding(code, written, message, self.kind, self.name, inside))
        self.sound = self.sound and code.severity is not Severity.ERROR

    def is_plain(self, value: object, path: Path = ()) -> bool:
        """Report what has no place in a resource: values that JSON lacks, and control characters in texts.

        Values from variables need it; of control characters, tokens are made (`envoy.tokens`).
        """
        if isinstance(value, str):
            if _CONTROL.search(value):
                self.report(CONTROL_CHARACTER, path, "must not hold control characters")
                return False
            return True
        if value is None or isinstance(value, int):
            return True
        if len(path) > MAX_DEPTH:
            self.report(TOO_LARGE, path[:1], f"is nested more than {MAX_DEPTH} levels deep")
            return False
        members: Iterable[tuple[str | int, object]] | None = None
        if isinstance(value, list):
            members = enumerate(value)
        elif isinstance(value, dict) and all(isinstance(key, str) for key in value):
            members = value.items()
        if members is not None:
            plain = True
            for key, member in members:
                plain = self.is_plain(member, (*path, key)) and plain
            return plain
        if isinstance(value, float) and math.isfinite(value):
            return True
        what = "a mapping with keys that are not strings" if isinstance(value, dict) else f"a {type(value).__name__}"
        self.report(NOT_REPRESENTABLE, path, f"{what} has no place in a resource")
        return False

    def conforms(self, name: str, value: object, at: Path = ()) -> bool:
        """Report what breaks the schema; whether the value can be decoded all the same."""
        return self._decodable(schema.violations(name, value), at)

    def proto_json(self, name: str, value: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """The body of a protobuf resource, spelled as its schema spells it, and whether it can be decoded.

        Kuma reads these resources with jsonpb: null is unset, fields may be in snake_case, integers may be in strings.
        """
        body = value
        violations = list(schema.violations(name, body))
        if violations:
            body = self._lenient(body, schema.load(name), ())
            violations = list(schema.violations(name, body))
        return body, self._decodable(violations)

    def _decodable(self, violations: Iterable[Violation], at: Path = ()) -> bool:
        """Report violations; whether they are surplus fields only, which do not keep the rest from being decoded."""
        decodable = True
        for violation in violations:
            self.report(violation.code, (*at, *violation.path), violation.message)
            decodable = decodable and violation.code in (UNKNOWN_FIELD, UNSUPPORTED)
        return decodable

    def _lenient(self, value: Any, shape: Mapping[str, Any], path: Path) -> Any:
        if isinstance(value, list) and "items" in shape:
            return [self._lenient(item, shape["items"], (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, str) and shape.get("type") == "integer" and _INTEGER.fullmatch(value):
            return int(value)
        if not isinstance(value, dict) or "properties" not in shape:
            return value
        known, result = shape["properties"], {}
        for written, item in value.items():
            key = written if written in known else field_name(written)
            if key not in known or (key != written and key in value):
                result[written] = item
                continue
            if key != written:
                self._written[(*path, key)] = written
            if item is not None:
                result[key] = self._lenient(item, known[key], (*path, key))
        return result
