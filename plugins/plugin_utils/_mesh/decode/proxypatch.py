# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""MeshProxyPatch (Kuma 2.7, `meshproxypatch/api/v1alpha1/validator.go` and `jsonpatch/validators`).

Unlike Kuma, nothing in a `value` is dropped without a word, and what will do nothing is told.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from ..envoy import constraints, patch, protos, reading
from ..findings import DUPLICATE_KEY, NO_EFFECT, NOT_A_MAPPING, Finding, Path, format_path
from ..kinds.meshproxypatch import CONSTRAINT, JSON_PATCH, KIND, MESSAGES, MODIFICATION, VALUE
from ..model import field_name
from ..model.meshproxypatch import JsonPatch, Match, Modification, Operation, Part
from ..model.policies import Policy
from ..schema import UNKNOWN_FIELD, WRONG_COUNT
from ..source import Document, Text, parse
from .conf import decode_conf
from .policy import check_policy, decode_target_ref, make_policy
from .reader import CONTROL_CHARACTER, Reader

# What Kuma misses where there is no `spec`.
_NOTHING: dict[str, Any] = {"targetRef": {}, "default": {"appendModifications": []}}

_FILTERS = (Part.NETWORK_FILTER, Part.HTTP_FILTER)
_BESIDE = {Operation.ADD_BEFORE: "before", Operation.ADD_AFTER: "after"}
_VALUED = ("add", "replace")
_SOURCED = ("move", "copy")


def decode_proxy_patch(reader: Reader, value: dict[str, Any]) -> Policy | None:
    """A MeshProxyPatch, or None where findings say why not."""
    fits = check_policy(reader, value)
    spec = value.get("spec", _NOTHING)
    if not reader.conforms(KIND.schema, spec, ("spec",)):
        return None
    target_ref = decode_target_ref(reader, ("spec", "targetRef"), spec["targetRef"], KIND.top, KIND.not_yet)
    at = ("spec", "default", "appendModifications")
    items = spec["default"]["appendModifications"]
    if not items:
        reader.report(WRONG_COUNT, at, "must have at least one item")
    modifications = [_modification(reader, (*at, index), item) for index, item in enumerate(items)]
    if not (fits and reader.sound) or target_ref is None:
        return None
    found = tuple(one for one in modifications if one is not None)
    return make_policy(reader, value, target_ref, modifications=found)


def _modification(reader: Reader, at: Path, item: dict[str, Any]) -> Modification | None:
    parts = [part for part in Part if part.value in item]
    if len(parts) != 1:
        names = ", ".join(part.value for part in Part)
        reader.report(MODIFICATION, at, f"must have exactly one of {names}, has {len(parts)} of them")
        return None
    (part,) = parts
    written, path = item[part.value], (*at, part.value)
    operation, match = Operation(written["operation"]), written.get("match", {})
    if operation is Operation.PATCH:
        _check_patch(reader, path, written)
    elif operation is Operation.REMOVE:
        if "value" in written:
            reader.report(MODIFICATION, (*path, "value"), "must not be set to remove something")
    elif "value" not in written:
        reader.report(MODIFICATION, (*path, "value"), "must be set: it is what is added")
    if operation is not Operation.PATCH and written.get("jsonPatches"):
        reader.report(NO_EFFECT, (*path, "jsonPatches"), f"has no effect with {operation.value}")
    _check_match(reader, part, operation, path, written)
    value = None if operation is Operation.REMOVE else _value(reader, part, operation, path, written)
    patches = [
        _json_patch(reader, part, (*path, "jsonPatches", index), one)
        for index, one in enumerate(written.get("jsonPatches", []))
    ]
    return Modification(part, operation, decode_conf(Match, match), value, tuple(patches), path)


def _check_patch(reader: Reader, path: Path, written: Mapping[str, Any]) -> None:
    if "value" in written and written.get("jsonPatches"):
        reader.report(MODIFICATION, path, "must have one of value and jsonPatches, not both")
    elif "value" not in written and not written.get("jsonPatches"):
        reader.report(MODIFICATION, path, "must have value or jsonPatches to patch something")


def _check_match(reader: Reader, part: Part, operation: Operation, path: Path, written: Mapping[str, Any]) -> None:
    match = written.get("match", {})
    name: Path = (*path, "match", "name")
    if operation is Operation.ADD and part is Part.VIRTUAL_HOST:
        if "name" in match:
            reader.report(MODIFICATION, name, "must not be set to add a virtual host, which has its name in value")
    elif operation is Operation.ADD:
        if "match" in written:
            reader.report(MODIFICATION, (*path, "match"), f"must not be set to add a {part.value}")
    elif operation in _BESIDE and not match.get("name"):
        reader.report(MODIFICATION, name, f"must be set: the filter {_BESIDE[operation]} which this one is put")
    elif operation is Operation.PATCH and part in _FILTERS and not match.get("name"):
        reader.report(MODIFICATION, name, "must be set: the filter to patch")
    elif operation in (Operation.ADD_FIRST, Operation.ADD_LAST) and "name" in match:
        reader.report(NO_EFFECT, name, f"has no effect with {operation.value}")


def _value(
    reader: Reader, part: Part, operation: Operation, path: Path, written: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The message in `value`, in lowerCamelCase; None if there is none, or if findings say what is wrong with it."""
    if "value" not in written:
        return None
    at = (*path, "value")
    document = _parsed(reader, part, at, written["value"])
    if document is None:
        return None
    message = MESSAGES[part]
    value, mistakes = reading.read(message, document.value)
    for mistake in mistakes:
        code = UNKNOWN_FIELD if mistake.sort is reading.Sort.UNKNOWN_FIELD else VALUE
        reader.report(code, at, str(mistake), document.position(mistake.path))
    config = value.get("typedConfig") if part in _FILTERS and not mistakes else None
    if config and protos.type_name(config["@type"]) in reading.UNDER_VALUE:
        reader.report(VALUE, at, f"{config['@type']} configures no filter", document.position(("typedConfig",)))
        return None
    if mistakes:
        return None
    try:
        parsed = protos.parse(message, value)
    except protos.NotAMessage as error:
        reader.report(VALUE, at, str(error))
        return None
    if operation is Operation.PATCH:
        code, problems = NO_EFFECT, _unused(part, value, written.get("match", {}).get("name"))
    else:
        code, problems = CONSTRAINT, constraints.violations(parsed)
        if part is Part.LISTENER and not value.get("name"):
            # Envoy could do without, but not tell it from another one when it reads its file again.
            problems = itertools.chain([(("name",), "must not be empty")], problems)
    for place, problem in problems:
        there = _as_written(document, place)
        words = f"{format_path(there)}: {problem}" if there else problem
        reader.report(code, at, words, document.position(there))
    return dict(value)


def _parsed(reader: Reader, part: Part, at: Path, text: str) -> Document | None:
    """The text of `value` as one document, whose places are those in the text."""
    documents, findings = parse(Text(reader.document.file, text.encode("utf-8", "surrogatepass")))
    whole = f"must be the fields of a {MESSAGES[part].rpartition('.')[2]}"
    if len(documents) + len(findings) > 1 and all(one.code == NOT_A_MAPPING.id for one in findings):
        reader.report(VALUE, at, f"{whole}, in one YAML document")
        return None
    for finding in findings:
        code = DUPLICATE_KEY if finding.code == DUPLICATE_KEY.id else VALUE
        message = whole if finding.code == NOT_A_MAPPING.id else _words(finding)
        reader.report(code, at, message, _inside(finding))
    if findings:
        return None
    document = documents[0] if documents else Document({}, reader.document.file)
    inner: list[Finding] = []
    if not Reader(document, inner).is_plain(document.value):
        for finding in inner:
            reader.report(CONTROL_CHARACTER, at, _words(finding), _inside(finding))
        return None
    return document


def _words(finding: Finding) -> str:
    message = finding.message.removesuffix("; the rest of the file is not read")
    return f"{finding.path}: {message}" if finding.path else message


def _inside(finding: Finding) -> tuple[int, int] | None:
    source = finding.source
    return None if source.line is None or source.column is None else (source.line, source.column)


def _as_written(document: Document, place: Path) -> Path:
    """A place in a message, whose members are in lowerCamelCase, in the spelling of the document."""
    value: Any = document.value
    found: list[str | int] = []
    for part in place:
        if isinstance(value, dict) and part not in value:
            part = next((key for key in value if field_name(key) == part), part)
        found.append(part)
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            value = None
    return tuple(found)


def _unused(part: Part, value: Mapping[str, Any], name: str | None) -> Iterator[tuple[Path, str]]:
    """What a `value` says that does nothing to what it is merged into."""
    message, content = MESSAGES[part], value
    at: Path = ()
    if part in _FILTERS:
        for key, member in value.items():
            if key != "typedConfig" and (key, member) != ("name", name):
                yield (key,), "has no effect: only typedConfig of a filter is patched"
        if not value.get("typedConfig"):
            yield (), "has no effect: only typedConfig of a filter is patched"
            return
        message, at = protos.type_name(value["typedConfig"]["@type"]), ("typedConfig",)
        content = {key: member for key, member in value["typedConfig"].items() if key != "@type"}
    elif not value:
        yield (), "has no effect: there is nothing in it"
    for place in patch.without_effect(message, content):
        yield (*at, *place), "has no effect: it is what counts by default, which only jsonPatches can bring back"


def _json_patch(reader: Reader, part: Part, path: Path, written: Mapping[str, Any]) -> JsonPatch:
    op, pointer, source = written["op"], written["path"], written.get("from")
    if source and op not in _SOURCED:
        reader.report(JSON_PATCH, (*path, "from"), f"must not be set with {op}")
    elif op in _SOURCED and not source:
        reader.report(JSON_PATCH, (*path, "from"), f"must be set with {op}")
    if "value" in written and op not in _VALUED:
        reader.report(JSON_PATCH, (*path, "value"), f"must not be set with {op}")
    elif op in _VALUED and "value" not in written:
        reader.report(JSON_PATCH, (*path, "value"), f"must be set with {op}")
    if op == "remove" and pointer in ("", "/"):
        reader.report(JSON_PATCH, (*path, "path"), "must not be the root, which cannot be removed")
    else:
        _check_pointer(reader, part, (*path, "path"), pointer, creating=op not in ("remove", "replace"))
    if source and op in _SOURCED:
        _check_pointer(reader, part, (*path, "from"), source, creating=False)
    return JsonPatch(op, pointer, source or None, written.get("value"))


def _check_pointer(reader: Reader, part: Part, path: Path, pointer: str, *, creating: bool) -> None:
    try:
        parts = patch.pointer_parts(pointer)
    except ValueError:
        reader.report(JSON_PATCH, path, "must begin with '/' and have '~1' for '/' and '~0' for '~' in names")
        return
    # What configures a filter is only known where it is patched.
    if part not in _FILTERS:
        mistake = reading.pointer_mistake(MESSAGES[part], parts, creating=creating)
        if mistake is not None:
            code = UNKNOWN_FIELD if mistake.sort is reading.Sort.UNKNOWN_FIELD else JSON_PATCH
            reader.report(code, path, f"/{'/'.join(map(str, mistake.path))}: {mistake.message}")
