# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading mesh files: what every scalar means, where everything stands, and the answer to every file that is wrong."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import source
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.source import Document, Text

LOADERS = [pytest.param(yaml.CSafeLoader, id="libyaml"), pytest.param(yaml.SafeLoader, id="python")]


@pytest.fixture(params=LOADERS)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type:
    """Both parsers: most answers must not depend on how PyYAML was built."""
    monkeypatch.setattr(source, "_LOADER", request.param)
    return request.param


def text_of(data: str | bytes) -> Text:
    return Text("mesh.yaml", data if isinstance(data, bytes) else data.encode())


def values(data: str | bytes) -> list[object]:
    documents, findings = source.parse(text_of(data))
    assert [str(finding) for finding in findings] == []
    return [document.value for document in documents]


def value(data: str | bytes) -> object:
    [only] = values(data)
    return only


# What scalars mean. The right-hand sides are what sigs.k8s.io/yaml 1.4.0 answers.


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *((word, True) for word in ("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE")),
        *((word, False) for word in ("n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE")),
        *((word, None) for word in ("", "~", "null", "Null", "NULL")),
        *((word, word) for word in ("oFF", "yEs", "nULL", "tRUE", "none", "<<", "=")),
        ("0", 0),
        ("-0", 0),
        ("+5", 5),
        ("1_000", 1000),
        ("1__0", 10),
        ("_1", "_1"),
        ("0x1F", 31),
        ("0X1f", 31),
        ("-0x10", -16),
        ("0o17", 15),
        ("0O17", 15),
        ("017", 15),
        ("-017", -15),
        ("00", 0),
        ("08", 8.0),
        ("0o8", "0o8"),
        ("0b101", 5),
        ("-0b11", -3),
        ("0b2", "0b2"),
        ("0x", "0x"),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", 2.0**64),
        ("-9223372036854775809", -(2.0**63)),
        ("0xffffffffffffffff", 2**64 - 1),
        ("0x1ffffffffffffffff", "0x1ffffffffffffffff"),
        ("9" * 5000, "9" * 5000),
        ("1.0", 1.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.5", -0.5),
        ("1e3", 1000.0),
        ("1E+3", 1000.0),
        ("-1e-3", -0.001),
        ("1_0.5", 10.5),
        ("6.02e23", 6.02e23),
        ("1e-999", 0.0),
        ("1e999", "1e999"),
        ("123e4567", "123e4567"),
        ("1.5e", "1.5e"),
        (".", "."),
        ("+", "+"),
        ("1.2.3", "1.2.3"),
        ("10.0.0.1", "10.0.0.1"),
        ("1:30", "1:30"),
        ("12:30:45", "12:30:45"),
        ("190:20:30.15", "190:20:30.15"),
        ("2001-01-01", "2001-01-01"),
        ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"),
        ("2001-01-01 10:00:00", "2001-01-01 10:00:00"),
        ("10s", "10s"),
        ("'1'", "1"),
        ('"yes"', "yes"),
        ("''", ""),
        ("!!str 1", "1"),
        ("!!str", ""),
        ("!!str yes", "yes"),
        ("!!int '3'", 3),
        ("!!float 3", 3.0),
        ("!!float '0x10'", 16.0),
        ("!!bool 'yes'", True),
        ("!!null ''", None),
        ("!!map {b: 1}", {"b": 1}),
        ("!!seq [1]", [1]),
        ("|\n  x\n  y\n", "x\ny\n"),
        (">-\n  x\n  y\n", "x y"),
        ('"\\u00e9\\n\\/"', "é\n/"),
        ("é \U0001f600", "é \U0001f600"),
    ],
)
@pytest.mark.usefixtures("loader")
def test_scalar(written: str, meant: object) -> None:
    [(key, got)] = value(f"a: {written}").items()
    assert key == "a"
    assert got == meant
    assert got.__class__ is meant.__class__


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1", "1"),
        ("0x10", "16"),
        ("-0", "0"),
        ("yes", "true"),
        ("off", "false"),
        ("2001-01-01", "2001-01-01"),
        ("1:30", "1:30"),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("''", ""),
        ("'<<'", "<<"),
        ("? x\n", "x"),
        ("kuma.io/service", "kuma.io/service"),
    ],
)
@pytest.mark.usefixtures("loader")
def test_key(written: str, meant: str) -> None:
    assert value(f"{written}: v") == {meant: "v"}


@pytest.mark.parametrize(
    ("data", "meant"),
    [
        ("a: &x {b: [1]}\nc: *x", {"a": {"b": [1]}, "c": {"b": [1]}}),
        ("a: &x 1\nb: &x 2\nc: *x", {"a": 1, "b": 2, "c": 2}),
        ("a: &x [&x 1]\nb: *x", {"a": [1], "b": 1}),
        ("&k foo: 1\nb: {*k : 2}", {"foo": 1, "b": {"foo": 2}}),
        ("a: &x {b: 1, c: 2}\nd: {<<: *x, b: 9}", {"a": {"b": 1, "c": 2}, "d": {"b": 9, "c": 2}}),
        ("a: &x {b: 1, c: 2}\nd: {b: 9, <<: *x}", {"a": {"b": 1, "c": 2}, "d": {"b": 9, "c": 2}}),
        (
            "a: [&x {b: 1}, &y {b: 2, c: 3}]\nd: {<<: [*x, *y]}",
            {"a": [{"b": 1}, {"b": 2, "c": 3}], "d": {"b": 1, "c": 3}},
        ),
        ("a: {<<: {b: 1}, c: 2}", {"a": {"b": 1, "c": 2}}),
        ("a: {<<: []}", {"a": {}}),
        ("a: &x {<<: {b: 1}}\nc: {<<: *x}", {"a": {"b": 1}, "c": {"b": 1}}),
    ],
)
@pytest.mark.usefixtures("loader")
def test_anchors_and_merge_keys(data: str, meant: object) -> None:
    assert value(data) == meant


def test_an_alias_counts_only_in_its_document() -> None:
    assert refusals("a: &x 1\n---\nb: *x") == [("MESH002", 3, 4, "b")]


def test_members_stay_in_the_order_of_the_file() -> None:
    assert list(value("z: 1\na: 2\nm: 3\nb: {<<: {k: 1, j: 2}, i: 3}")) == ["z", "a", "m", "b"]
    assert list(value("b: {<<: [{k: 1, j: 2}, {l: 0}], i: 3}")["b"]) == ["k", "j", "l", "i"]


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfa: \xc3\xa9\r\nb: |\r\n  x\r\n  y\r\n",
        "a: é\rb: |\r  x\r  y\r",
        "a: é\nb: |\n  x\n  y\n",
        "%YAML 1.1\n---\na: é\nb: |\n  x\n  y\n...\n",
        '{"a": "é", "b": "x\\ny\\n"}',
    ],
    ids=["BOM and CRLF", "CR", "LF", "directive", "JSON"],
)
@pytest.mark.usefixtures("loader")
def test_spellings_of_one_document(data: str | bytes) -> None:
    assert value(data) == {"a": "é", "b": "x\ny\n"}


def test_tabs_where_yaml_allows_them() -> None:
    assert value('{\n\t"a":\t1,\n\t"b":\t[\n\t\t2\n\t]\n}\n') == {"a": 1, "b": [2]}
    assert value("a:\t1\t# one\nb: x\ty\n") == {"a": 1, "b": "x\ty"}


@pytest.mark.parametrize(
    ("data", "indexes"),
    [
        ("", []),
        ("\n\n", []),
        ("# nothing\n", []),
        ("---\n", []),
        ("---\n---\n# c\n---\n...\n", []),
        ("null\n---\n~\n", []),
        (b"\xef\xbb\xbf", []),
        ("a: 1\n", [0]),
        ("a: 1\n---\n---\n# c\n---\nb: 1\n---\n", [0, 3]),
        ("a: 1\n...\n---\nb: 2\n", [0, 1]),
    ],
)
@pytest.mark.usefixtures("loader")
def test_empty_documents_are_skipped_but_counted(data: str | bytes, indexes: list[int]) -> None:
    documents, findings = source.parse(text_of(data))
    assert findings == []
    assert [document.index for document in documents] == indexes
    assert all(document.file == "mesh.yaml" for document in documents)


# What is wrong


def refusals(data: str | bytes) -> list[tuple[str, int | None, int | None, str]]:
    _documents, findings = source.parse(text_of(data))
    assert all(finding.source.file == "mesh.yaml" for finding in findings)
    return [(finding.code, finding.source.line, finding.source.column, finding.path) for finding in findings]


@pytest.mark.parametrize(
    ("data", "code", "line", "column", "path", "says"),
    [
        # not YAML
        ("a:\n\tb: 1\n", "MESH002", 2, 1, "", "a tab cannot stand here; indent with spaces; the rest of the file"),
        ("a:\n  b: 1\n\tc: 2\n", "MESH002", 3, 1, "", "indent with spaces"),
        ("\ta: 1\n", "MESH002", 1, 1, "", "indent with spaces"),
        ("- a\n\t- b\n", "MESH002", 2, 1, "", "indent with spaces"),
        ("a: |\n\ttext\n", "MESH002", 2, 1, "", "indent with spaces"),
        ("a: [1\n", "MESH002", 2, 1, "", "flow sequence that begins in line 1; check brackets"),
        ("a: ]\n", "MESH002", 1, 4, "", "check brackets"),
        ("a: 'x\n", "MESH002", 2, 1, "", "quoted scalar that begins in line 1; check brackets, quotes"),
        ("a: @x\n", "MESH002", 1, 4, "", "nothing begins with '@' in YAML; quote the value"),
        ("a: `x`\n", "MESH002", 1, 4, "", "quote the value"),
        ("a: 1\r\nb: %x\r\n", "MESH002", 2, 4, "", "nothing begins with '%'"),
        ("\ufeffa: @x\n", "MESH002", 1, 4, "", "quote the value"),
        ("é: \U0001f600\nè: @x\n", "MESH002", 2, 4, "", "quote the value"),
        ("a: b: c\n", "MESH002", 1, 5, "", "quote the value or align the keys"),
        ("a: 1\n b: 2\n", "MESH002", 2, 3, "", "quote the value or align the keys"),
        ("a: *nope\n", "MESH002", 1, 4, "a", "no anchor &nope stands before"),
        ('a: "\\ud83d\\ude00"\n', "MESH002", 1, None, None, ""),
        ('a: "\\UFFFFFFFF"\n', "MESH002", 1, None, "", "escape"),
        ("%YAML 2.0\n---\na: 1\n", "MESH002", 1, 1, "", "incompatible"),
        ("a: !<x\n", "MESH002", 1, None, "", "tag"),
        ("a: !x!y z\n", "MESH002", 1, 4, "", "tag handle"),
        # not text
        (b"a: 1\nb: caf\xe9\n", "MESH002", 2, 7, "", "0xe9 is not UTF-8; save the file as UTF-8"),
        (b"\xef\xbb\xbf\xc3\xa9: \xff\n", "MESH002", 1, 4, "", "0xff"),
        (b"a: 1\r\nb: \xed\xa0\x80\r\n", "MESH002", 2, 4, "", "0xed"),
        ("a: 1\nb: x\x07y\n", "MESH002", 2, 5, "", "U+0007"),
        ("a: 1\nb: \x00\n", "MESH002", 2, 4, "", "U+0000"),
        ("a: \x7f\n", "MESH002", 1, 4, "", "U+007F"),
        ("a: \x80\n", "MESH002", 1, 4, "", "U+0080"),
        ("a: é\uffff\n", "MESH002", 1, 5, "", "U+FFFF"),
        ("a: 1\n".encode("utf-16"), "MESH002", 1, 1, "", "UTF-16; save it as UTF-8"),
        (b"\xfe\xff\x00a", "MESH002", 1, 1, "", "UTF-16"),
        # duplicate keys
        ("a: 1\nb: 2\na: 3\n", "MESH003", 3, 1, "a", "line 1 already"),
        ("s:\n  t:\n    - x: 1\n      y.z: 2\n      y.z: 3\n", "MESH003", 5, 7, 's.t[0]["y.z"]', "line 4 already"),
        ("1: a\n'1': b\n", "MESH003", 2, 1, '["1"]', "line 1 already"),
        ("a: {<<: {b: 1},\n <<: {b: 2}}\n", "MESH003", 2, 2, 'a["<<"]', "`<<: [*one, *two]`"),
        # no place in a resource
        ("a: .inf\n", "MESH006", 1, 4, "a", ".inf is not a finite number"),
        ("a:\n  - 1\n  - -.INF\n", "MESH006", 3, 5, "a[1]", "-.INF"),
        ("a: .NaN\n", "MESH006", 1, 4, "a", "quote it"),
        ("a: !!float .inf\n", "MESH006", 1, 4, "a", "finite"),
        ("a: !foo 1\n", "MESH006", 1, 4, "a", "the tag !foo is not known"),
        ("a: !!python/name:os.system x\n", "MESH006", 1, 4, "a", "!!python/name:os.system"),
        ("a: !!python/object/apply:os.system [id]\n", "MESH006", 1, 4, "a", "!!python/object/apply:os.system"),
        ("a: !!binary aGk=\n", "MESH006", 1, 4, "a", "!!binary"),
        ("a: !!timestamp 2001-01-01\n", "MESH006", 1, 4, "a", "!!timestamp"),
        ("a: !!set {b}\n", "MESH006", 1, 4, "a", "!!set"),
        ("a: !!omap [b: 1]\n", "MESH006", 1, 4, "a", "!!omap"),
        ("a: !!map [1]\n", "MESH006", 1, 4, "a", "!!map"),
        ("a: !!seq {b: 1}\n", "MESH006", 1, 4, "a", "!!seq"),
        ("a: !!map b\n", "MESH006", 1, 4, "a", "!!map"),
        ("a: !!int 3.0\n", "MESH006", 1, 4, "a", "!!int"),
        ("a: !!bool 1\n", "MESH006", 1, 4, "a", "!!bool"),
        ("a: !!null x\n", "MESH006", 1, 4, "a", "!!null"),
        ("a: !!float yes\n", "MESH006", 1, 4, "a", "!!float"),
        ("a:\n  ~: v\n", "MESH006", 2, 3, "a", "a key must be a string; quote it"),
        ("1.5: v\n", "MESH006", 1, 1, "", "a key must be a string"),
        (".inf: v\n", "MESH006", 1, 1, "", "finite"),
        ("[a]: v\n", "MESH006", 1, 1, "", "a list cannot be a key"),
        ("a: {{ x }}\n", "MESH006", 1, 5, "a", "quote the value if it is a template"),
        ("a: {<<: 1}\n", "MESH006", 1, 5, 'a["<<"]', "a mapping or a list of mappings"),
        ("a: {<<: ~}\n", "MESH006", 1, 5, 'a["<<"]', "a mapping or a list of mappings"),
        ("a: &x 1\nb: {<<: [{c: 1}, *x]}\n", "MESH006", 2, 5, 'b["<<"]', "a mapping or a list of mappings"),
        # expands without end
        ("a: &x [*x]\n", "MESH004", 1, 8, "a[0]", "*x stands inside of what it names"),
        ("a: &x\n  b:\n    c: *x\n", "MESH004", 3, 8, "a.b.c", "write it out"),
        ("a: &x {<<: *x}\n", "MESH004", 1, 12, 'a["<<"]', "stands inside"),
        # not a resource
        ("- a: 1\n- b: 2\n", "MESH007", 1, 1, "", "is a list; separate resources by lines of `---`"),
        ("a: 1\n---\n\n  just words\n", "MESH007", 4, 3, "", "is a single value"),
        ("--- 5\n", "MESH007", 1, 5, "", "is a single value"),
        ("''", "MESH007", 1, 1, "", "is a single value"),
    ],
)
@pytest.mark.usefixtures("loader")
def test_finding(data: str | bytes, code: str, line: int, column: int | None, path: str | None, says: str) -> None:
    documents, [finding] = source.parse(text_of(data))
    assert finding.code == code
    assert finding.severity.value == "error"
    assert finding.source.line == line
    assert column is None or finding.source.column == column
    assert path is None or finding.path == path
    assert says in finding.message
    assert [document.value for document in documents] == ([{"a": 1}] if "---\n\n" in str(data) else [])


@pytest.mark.usefixtures("loader")
def test_every_finding_of_a_file_is_told_and_the_other_documents_are_read() -> None:
    data = textwrap.dedent("""\
        a: 1
        ---
        b: [!x 1, {c: 1, c: 2, c: .inf}]
        b: 2
        ---
        - 1
        ---
        d: 1
        """)
    documents, findings = source.parse(text_of(data))
    assert [(document.index, document.value) for document in documents] == [(0, {"a": 1}), (3, {"d": 1})]
    assert [(f.code, f.source.line, f.source.column, f.path) for f in findings] == [
        ("MESH006", 3, 5, "b[0]"),
        ("MESH003", 3, 18, "b[1].c"),
        ("MESH003", 3, 24, "b[1].c"),
        ("MESH006", 3, 27, "b[1]"),
        ("MESH003", 4, 1, "b"),
        ("MESH007", 6, 1, ""),
    ]


@pytest.mark.usefixtures("loader")
def test_a_syntax_error_ends_the_file() -> None:
    documents, [finding] = source.parse(text_of("a: 1\n---\nb: 2\n---\nc: [\n---\nd: 4\n"))
    assert [document.value for document in documents] == [{"a": 1}, {"b": 2}]
    assert finding.code == "MESH002"
    assert "the rest of the file is not read" in finding.message


@pytest.mark.parametrize("loader_class", LOADERS)
def test_the_control_characters_are_those_that_the_parser_refuses(loader_class: type) -> None:
    every = [chr(point) for point in range(0x110000) if not 0xD800 <= point <= 0xDFFF]
    allowed = "".join(character for character in every if not source._CONTROL.match(character))
    with mock.patch.object(source, "_LOADER", loader_class):
        breaks = dict.fromkeys(map(ord, "\n\r\x85\u2028\u2029"), "\n  ")
        assert len(value("a: |\n  x" + allowed.translate(breaks))["a"]) > 10**6
        for character in filter(source._CONTROL.match, every):
            with pytest.raises(yaml.YAMLError):
                list(yaml.parse(f"a: {character}", Loader=loader_class))


# Tags of the user's


def test_a_tag_is_made_a_string_by_its_constructor() -> None:
    seen = []

    def unlock(text: str) -> str:
        seen.append(text)
        return "secret"

    text = text_of("a: !vault |\n  one\n  two\nb: [!vault '3', !vault yes]\n")
    [document], findings = source.parse(text, {"!vault": unlock})
    assert findings == []
    assert seen == ["one\ntwo\n", "3", "yes"]
    assert document.value == {"a": "secret", "b": ["secret", "secret"]}
    assert document.position(("b", 1)) == (4, 17)
    assert len(seen) == 3, "positions decrypt nothing"


def test_a_failing_constructor_is_a_finding_without_the_value() -> None:
    def unlock(text: str) -> str:
        raise ValueError(f"cannot decrypt {text} to hunter2")

    documents, [finding] = source.parse(text_of("a: 1\n---\nb:\n  c: !vault hunter1\n"), {"!vault": unlock})
    assert [document.value for document in documents] == [{"a": 1}]
    assert str(finding) == "mesh.yaml:4:6: MESH001 b.c: the !vault value cannot be read (ValueError)"
    assert "hunter" not in repr(finding)


def test_a_tag_of_the_users_takes_single_values_only() -> None:
    _documents, [finding] = source.parse(text_of("a: !vault [1]"), {"!vault": str})
    assert (finding.code, finding.source.column) == ("MESH006", 4)


# Positions

MESH = """\
# a comment
type: MeshHealthCheck
---
type: MeshHealthCheck
"name": 'hc'
spec:
  to:
    - targetRef: {kind: MeshService,
                  name: backend}
      default:
        interval: -1
        http: &http
          path: /é
    -
      default:
        http:
          <<: *http
          disabled: no
        tcp: *http
  empty:
  ? complex
  : [a, [b, &c c], *c ]
"""


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((), (4, 1)),
        (("type",), (4, 1)),
        (("name",), (5, 1)),
        (("spec",), (6, 1)),
        (("spec", "to"), (7, 3)),
        (("spec", "to", 0), (8, 7)),
        (("spec", "to", 0, "targetRef", "kind"), (8, 19)),
        (("spec", "to", 0, "targetRef", "name"), (9, 19)),
        (("spec", "to", 0, "default", "interval"), (11, 9)),
        (("spec", "to", 1), (15, 7)),
        (("spec", "to", 1, "default", "http", "path"), (13, 11)),
        (("spec", "to", 1, "default", "http", "disabled"), (18, 11)),
        (("spec", "to", 1, "default", "tcp"), (19, 9)),
        (("spec", "to", 1, "default", "tcp", "path"), (13, 11)),
        (("spec", "empty"), (20, 3)),
        (("spec", "complex"), (21, 5)),
        (("spec", "complex", 0), (22, 6)),
        (("spec", "complex", 1, 1), (22, 13)),
        (("spec", "complex", 2), (22, 20)),
        # what does not exist stands at its nearest parent
        (("nope",), (4, 1)),
        (("spec", "to", 0, "default", "nope", "deeper"), (10, 7)),
        (("spec", "to", 2), (7, 3)),
        (("spec", "to", -1), (7, 3)),
        (("spec", "to", "0"), (7, 3)),
        (("spec", 0), (6, 1)),
        (("name", 0), (5, 1)),
        (("spec", "empty", "x"), (20, 3)),
    ],
)
@pytest.mark.usefixtures("loader")
def test_position(path: tuple[str | int, ...], place: tuple[int, int]) -> None:
    [_mesh, document], findings = source.parse(text_of(MESH))
    assert findings == []
    assert document.position(path) == place


@pytest.mark.usefixtures("loader")
def test_positions_around_documents_that_cannot_be_used() -> None:
    text = text_of("---\n---\n- 1\n---\n\na: 1\n---\nb: [!x 1]\n---\nc:\n  d: 1\n---\ne: [\n")
    documents, findings = source.parse(text)
    assert [finding.code for finding in findings] == ["MESH007", "MESH006", "MESH002"]
    assert [document.position(()) for document in documents] == [(6, 1), (10, 1)]
    assert documents[1].position(("c", "d")) == (11, 3)


def test_a_document_without_text_has_no_positions() -> None:
    assert Document({"a": 1}, "mesh variable").position(("a",)) is None


def test_positions_are_worked_out_when_asked_for_and_once_per_file() -> None:
    text = text_of("a: 1\n---\nb: 1\n")
    loader = mock.Mock(side_effect=yaml.CSafeLoader)
    with mock.patch.object(source, "_LOADER", loader):
        documents, _findings = source.parse(text)
        assert loader.call_count == 1
        assert [document.position(()) for document in documents] == [(1, 1), (3, 1)]
        assert loader.call_count == 2


# Limits


def test_nesting_up_to_the_limit() -> None:
    levels = source.MAX_DEPTH
    document = value("a: " + "[" * (levels - 1) + "]" * (levels - 1))
    assert json.dumps(document).count("[") == levels - 1
    assert refusals("a: " + "[" * levels + "]" * levels) == [("MESH004", 1, 3 + levels, "")]


@pytest.mark.parametrize(
    "data",
    [
        "[" * 10_000,
        "a: " + "[" * 10_000 + "]" * 10_000,
        "{a: " * 10_000,
        "{" * 10_000,
        "- " * 10_000 + "x",
        "? " * 10_000 + "x",
        "a:\n" + "- " * 100_000 + "x",
        "\n".join(" " * level + "a:" for level in range(3_000)),
        "\n".join("[" * 1000 for _number in range(100)),
        "a: " + "!!seq &x [" * 10_000,
    ],
    ids=[
        "lists",
        "closed lists",
        "mappings",
        "mappings as keys",
        "dashes",
        "explicit keys",
        "many",
        "block",
        "wide",
        "tags",
    ],
)
@pytest.mark.usefixtures("loader")
def test_deep_nesting(data: str) -> None:
    started = time.monotonic()
    documents, findings = source.parse(text_of("a: 1\n---\n" + data + "\n---\nb: 1\n"))
    assert [document.value for document in documents] == [{"a": 1}]
    assert findings[-1].code == "MESH004"
    assert "nested more than 100 levels deep; the rest of the file is not read" in findings[-1].message
    assert documents[0].position(("a",)) == (1, 1)
    assert time.monotonic() - started < 60


@pytest.mark.usefixtures("loader")
def test_aliases_do_not_nest_deeper_than_text() -> None:
    data = "\n".join(["a0: &a0 [x]", *(f"a{level}: &a{level} [*a{level - 1}]" for level in range(1, 3000))])
    assert refusals(data) == [("MESH004", 100, 12, "")]
    allowed = value("\n".join(data.splitlines()[:99]))
    assert json.dumps(allowed["a98"]).count("[") == 99


def bomb(levels: int, width: int) -> str:
    lines = [f"a0: &a0 [{', '.join(['lol'] * width)}]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]" for level in range(1, levels)]
    return "\n".join(lines)


def merge_bomb(levels: int, width: int) -> str:
    lines = ["a0: &a0 {" + ", ".join(f"k{i}: {i}" for i in range(width)) + "}"]
    lines += [f"a{level}: {{<<: *a0, x: 1}}" for level in range(1, levels)]
    return "\n".join(lines)


BOMBS = {
    "billion laughs": bomb(9, 10),
    "long": bomb(3000, 2),
    "wide": bomb(2, 3000),
    "merge keys": merge_bomb(3000, 3000),
    "in many documents": "\n---\n".join([bomb(5, 10)] * 1000),
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.usefixtures("loader")
def test_alias_bomb(name: str) -> None:
    started = time.monotonic()
    documents, findings = source.parse(text_of("a: 1\n---\n" + BOMBS[name]))
    assert documents[0].value == {"a": 1}
    assert [finding.code for finding in findings] == ["MESH004"]
    assert "the rest of the file is not read" in findings[0].message
    nodes = sum(len(json.dumps(document.value)) for document in documents)
    assert nodes < 50_000_000
    assert time.monotonic() - started < 60


def test_ordinary_use_of_aliases_is_no_bomb() -> None:
    outbounds = "\n".join(f"  - {{port: {port}, tags: *tags}}" for port in range(20))
    data = "\n---\n".join(
        f"name: web-{number}\ntags: &tags {{a: 1, b: 2, c: 3, d: 4}}\noutbound:\n{outbounds}" for number in range(1000)
    )
    assert len(values(data)) == 1000


@pytest.mark.parametrize(
    "data",
    ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, *BOMBS.values()],
    ids=["lists", "mappings", "dashes", *BOMBS],
)
def test_a_small_process_survives(data: str, tmp_path: Path) -> None:
    """No crash on a small stack, no memory blow-up: the parser's C code is in it, so a process of its own."""
    file = tmp_path / "mesh.yaml"
    file.write_text(data)
    script = textwrap.dedent("""\
        import resource, sys, threading
        from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import source

        resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
        threading.stack_size(256 * 1024)

        def run():
            texts, _findings = source.read_files([sys.argv[1]])
            documents, findings = source.parse(texts[0])
            for document in documents:
                document.position(("a",))
            print(*(finding.code for finding in findings))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        """)
    done = subprocess.run(
        [sys.executable, "-c", script, file],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "MESH004\n", "")


def test_a_file_that_is_too_large_is_not_parsed(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    with file.open("wb") as stream:
        stream.truncate(50 * 1024 * 1024)
    started = time.monotonic()
    [text], [] = source.read_files([str(file)])
    with mock.patch.object(source, "_LOADER", side_effect=AssertionError("parsed")):
        documents, findings = source.parse(text)
    assert time.monotonic() - started < 60
    assert documents == []
    assert [str(finding) for finding in findings] == [f"{file}: MESH004 larger than 32 MiB; split the file"]


def test_a_large_file_is_not_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "endless.yaml"
    with file.open("wb") as stream:
        stream.truncate(2**40)
    [text], [] = source.read_files([str(file)])
    assert len(text.data) == source.MAX_BYTES + 1


def test_a_file_at_the_limit_is_parsed() -> None:
    data = b"a: 1\n# " + b"x" * (source.MAX_BYTES - 8) + b"\n"
    assert len(data) == source.MAX_BYTES
    assert value(data) == {"a": 1}


# Properties


def examples(few: int) -> settings:
    """So many examples, and in CI three times as many, always the same ones."""
    if os.environ.get("HYPOTHESIS_PROFILE") == "ci":
        return settings(max_examples=3 * few, derandomize=True, database=None, deadline=None)
    return settings(max_examples=few, deadline=None)


# PyYAML writes the line breaks of YAML 1.1 that are not of ASCII in a way that does not bring them back.
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029"))
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=15,
)
TOKENS = [
    *"ab01.:-?[]{}&*!|>'\"#%@`,~<\\\n\t\ré\ufeff",
    " ",
    "  ",
    ": ",
    "- ",
    "\n---\n",
    "<<: ",
    "*a ",
    "&a ",
    "!!str ",
]
SYNTAX = st.lists(st.sampled_from(TOKENS)).map("".join)


def is_plain(got: object) -> bool:
    if isinstance(got, dict):
        return all(key.__class__ is str for key in got) and all(map(is_plain, got.values()))
    if isinstance(got, list):
        return all(map(is_plain, got))
    return got.__class__ in (str, int, bool, type(None)) or (got.__class__ is float and math.isfinite(got))


def check_any(data: bytes) -> None:
    """What holds for any input: an answer in bounds, and plain documents with positions."""
    documents, findings = source.parse(text_of(data))
    for document in documents:
        assert isinstance(document.value, dict)
        assert is_plain(document.value)
        line, column = document.position(("a", 0))
        assert 1 <= line <= data.count(b"\n") + data.count(b"\r") + data.count(b"\x85") + 1
        assert 1 <= column <= len(data) + 1
    for finding in findings:
        assert finding.code in ("MESH002", "MESH003", "MESH004", "MESH006", "MESH007")
        assert finding.source.line >= 1
        assert finding.source.column >= 1


@pytest.mark.parametrize("loader_class", LOADERS)
@examples(500)
@given(data=st.binary())
@example(data=b"\xef\xbb\xbf\xff")
def test_any_bytes_have_an_answer(loader_class: type, data: bytes) -> None:
    with mock.patch.object(source, "_LOADER", loader_class):
        check_any(data)


@pytest.mark.parametrize("loader_class", LOADERS)
@examples(2000)
@given(data=SYNTAX)
@example(data="%YAML 1." + "9" * 5000 + "\n---\na")
@example(data="a: " + "9" * 5000)
@example(data="a: 0x" + "9" * 5000)
@example(data="? *a\n: &a b")
def test_anything_that_looks_like_yaml_has_an_answer(loader_class: type, data: str) -> None:
    with mock.patch.object(source, "_LOADER", loader_class):
        check_any(data.encode())


@pytest.mark.parametrize("loader_class", LOADERS)
@examples(300)
@given(document=st.dictionaries(WORDS, PLAIN, max_size=5))
def test_json_comes_back(loader_class: type, document: dict[str, object]) -> None:
    data = json.dumps(document, ensure_ascii=False)
    data = source._CONTROL.sub(lambda control: f"\\u{ord(control[0]):04x}", data)
    with mock.patch.object(source, "_LOADER", loader_class):
        got = value(data)
    assert got == document
    assert repr(got) == repr(document), "types and order too"


def is_bare(text: str) -> bool:
    """Whether PyYAML writes without quotes what Kuma reads as something else than a string."""
    return not isinstance(source._plain_value(text), str) if text not in source._NOT_FINITE else True


@st.composite
def shared(draw: st.DrawFn) -> dict[str, object]:
    """Documents in which values come back, which `safe_dump` writes as aliases."""
    members = draw(st.lists(PLAIN, min_size=1, max_size=4))
    keys = draw(st.lists(WORDS, max_size=6, unique=True))
    return {key: draw(st.sampled_from(members)) for key in keys}


@pytest.mark.parametrize("loader_class", LOADERS)
@examples(300)
@given(document=shared(), flow=st.sampled_from([None, True, False]), unicode=st.booleans())
def test_what_pyyaml_writes_comes_back(
    loader_class: type, document: dict[str, object], flow: bool | None, unicode: bool
) -> None:
    class Dumper(yaml.SafeDumper):
        """Quotes what only PyYAML takes for a string."""

        def represent_text(self, text: str) -> yaml.Node:
            return self.represent_scalar("tag:yaml.org,2002:str", text, style='"' if is_bare(text) else None)

    Dumper.add_representer(str, Dumper.represent_text)
    data = yaml.dump(document, Dumper=Dumper, default_flow_style=flow, allow_unicode=unicode, sort_keys=False)
    with mock.patch.object(source, "_LOADER", loader_class):
        got = value(data)
    assert got == document
    assert repr(got) == repr(document), "types and order too"


NAMES = st.text("klm", min_size=1, max_size=4)


def paths(got: object, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    members = got.items() if isinstance(got, dict) else enumerate(got) if isinstance(got, list) else ()
    for part, member in members:
        yield (*above, part)
        yield from paths(member, (*above, part))


@examples(100)
@given(
    document=st.dictionaries(
        NAMES,
        st.recursive(NAMES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)),
        min_size=1,
    ),
    flow=st.sampled_from([None, True, False]),
)
def test_every_path_leads_to_its_own_text(document: dict[str, object], flow: bool | None) -> None:
    data = yaml.safe_dump(document, default_flow_style=flow, sort_keys=False, width=60)
    [parsed], [] = source.parse(text_of(data))
    lines = data.splitlines()
    places = [parsed.position(path) for path in paths(document)]
    for path, (line, column) in zip(paths(document), places, strict=True):
        rest = lines[line - 1][column - 1 :]
        member = document
        for part in path:
            member = member[part]
        if isinstance(path[-1], str):
            assert rest.startswith(f"{path[-1]}:")
        elif isinstance(member, str):
            assert rest.startswith(member)
    members = [place for path, place in zip(paths(document), places, strict=True) if isinstance(path[-1], str)]
    assert members == sorted(set(members)), "in the order of the file, no two alike"


# Files


def find(*names: str | Path) -> tuple[list[str], list[str]]:
    files, findings = source.find_files([str(name) for name in names])
    return files, [str(finding) for finding in findings]


def write(top: Path, *names: str) -> None:
    for name in names:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(f"name: {name}\n")


@pytest.fixture
def mesh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory `mesh` below the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mesh").mkdir()
    return tmp_path / "mesh"


def test_a_directory_stands_for_its_yaml_files(mesh: Path) -> None:
    write(
        mesh,
        "b.yaml",
        "a.yml",
        "c.json",
        "d.txt",
        "README",
        "sub/z.yaml",
        "sub/deep/y.yaml",
        "e.yaml.bak",
        "f.yaml/g.yml",
    )
    write(mesh, ".hidden.yaml", ".git/config.yaml", "sub/.x/a.yaml")
    expected = ["a.yml", "b.yaml", "c.json", "f.yaml/g.yml", "sub/deep/y.yaml", "sub/z.yaml"]
    assert find("mesh") == ([f"mesh/{name}" for name in expected], [])
    assert find("mesh/") == ([f"mesh/{name}" for name in expected], [])
    assert find("./mesh/sub/..") == ([f"./mesh/sub/../{name}" for name in expected], [])
    assert find(mesh) == ([f"{mesh}/{name}" for name in expected], [])


def test_a_named_file_is_taken_whatever_it_is_called(mesh: Path) -> None:
    write(mesh, "policies.txt", ".hidden")
    assert find("mesh/policies.txt", "mesh/.hidden") == (["mesh/policies.txt", "mesh/.hidden"], [])


def test_a_file_is_read_once(mesh: Path) -> None:
    write(mesh, "a.yaml", "b.yaml")
    (mesh / "c.yaml").symlink_to("a.yaml")
    (mesh / "d.yaml").symlink_to(mesh / "a.yaml")
    assert find("mesh/b.yaml", "mesh", "mesh/../mesh", mesh) == (["mesh/b.yaml", "mesh/a.yaml"], [])


def test_links_to_directories_are_followed(mesh: Path, tmp_path: Path) -> None:
    write(tmp_path, "elsewhere/a.yaml", "elsewhere/sub/b.yaml")
    (mesh / "link").symlink_to("../elsewhere")
    assert find("mesh") == (["mesh/link/a.yaml", "mesh/link/sub/b.yaml"], [])
    (tmp_path / "top").symlink_to("mesh")
    assert find("top") == (["top/link/a.yaml", "top/link/sub/b.yaml"], [])


@pytest.mark.parametrize("target", [".", "..", "sub", "/", "../../mesh"])
def test_a_loop_is_a_finding_at_the_link(mesh: Path, target: str) -> None:
    write(mesh, "a.yaml", "sub/b.yaml")
    (mesh / "sub" / "loop").symlink_to(target if target != "sub" else "../sub")
    files, findings = find("mesh")
    assert files == ["mesh/a.yaml", "mesh/sub/b.yaml"]
    assert findings == ["mesh/sub/loop: MESH001 the link leads back to a directory that holds it; remove it"]


def test_a_loop_over_two_links(mesh: Path) -> None:
    write(mesh, "a/a.yaml", "b/b.yaml")
    (mesh / "a" / "to-b").symlink_to("../b")
    (mesh / "b" / "to-a").symlink_to("../a")
    files, findings = find("mesh")
    assert files == ["mesh/a/a.yaml", "mesh/a/to-b/b.yaml"]
    assert findings == ["mesh/a/to-b/to-a: MESH001 the link leads back to a directory that holds it; remove it"]


def test_a_link_to_itself(mesh: Path) -> None:
    (mesh / "a.yaml").symlink_to("a.yaml")
    reason = os.strerror(errno.ELOOP)
    assert find("mesh") == ([], [f"mesh/a.yaml: MESH001 {reason}"])
    assert find("mesh/a.yaml") == ([], [f"mesh/a.yaml: MESH001 {reason}"])


def test_many_ways_to_one_directory_are_walked_once(mesh: Path) -> None:
    for level in range(40):
        write(mesh, f"{level}/{level:02}.yaml")
        (mesh / str(level) / "left").symlink_to(f"../{level + 1}")
        (mesh / str(level) / "right").symlink_to(f"../{level + 1}")
    write(mesh, "40/40.yaml")
    started = time.monotonic()
    files, findings = find("mesh/0")
    assert [os.path.basename(file) for file in files] == [f"{level:02}.yaml" for level in range(41)]
    assert findings == []
    assert time.monotonic() - started < 60


def test_what_does_not_exist(mesh: Path) -> None:
    write(mesh, "a.yaml")
    (mesh / "gone.yaml").symlink_to("nowhere")
    reason = os.strerror(errno.ENOENT)
    files, findings = find("mesh/nope.yaml", "mesh", "", "a\0b")
    assert files == ["mesh/a.yaml"]
    assert findings == [
        f"mesh/nope.yaml: MESH001 {reason}",
        f"mesh/gone.yaml: MESH001 {reason}",
        f": MESH001 {reason}",
        "a\0b: MESH001 embedded null byte",
    ]


def test_a_directory_without_yaml(mesh: Path) -> None:
    write(mesh, "README.md", "sub/x.txt", ".hidden/a.yaml", "full/a.yaml")
    assert find("mesh/sub", "mesh") == (
        ["mesh/full/a.yaml"],
        ["mesh/sub: MESH005 the directory holds no *.yaml, *.yml or *.json files"],
    )
    assert find("mesh/full", "mesh/full")[1] == []


def test_special_files_are_never_opened(mesh: Path) -> None:
    write(mesh, "a.yaml")
    os.mkfifo(mesh / "fifo.yaml")
    os.mkfifo(mesh / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("mesh/socket.yaml")
        files, findings = find("mesh", "mesh/fifo", "/dev/zero")
    assert files == ["mesh/a.yaml"]
    message = "MESH001 not a regular file; name a file or a directory"
    assert findings == [
        f"{name}: {message}" for name in ("mesh/fifo.yaml", "mesh/socket.yaml", "mesh/fifo", "/dev/zero")
    ]


def test_a_name_that_is_not_utf8(mesh: Path) -> None:
    write(mesh, "a.yaml")
    Path(os.fsdecode(os.fsencode(mesh) + b"/caf\xe9.yaml")).touch()
    assert find("mesh") == (["mesh/a.yaml"], ["mesh/caf?.yaml: MESH001 the file's name is not UTF-8; rename it"])
    assert find("\ud800")[1][0].startswith("?: MESH001 ")


def test_directories_deeper_than_pythons_stack(mesh: Path) -> None:
    write(mesh, "a.yaml")
    top = os.getcwd()
    os.chdir(mesh)
    for _number in range(1100):
        os.mkdir("d")
        os.chdir("d")
    Path("z.yaml").touch()
    os.chdir(top)
    try:
        files, findings = find("mesh")
    finally:
        subprocess.run(["rm", "-r", "mesh/d"], check=True)
    assert files == ["mesh/a.yaml", "mesh/" + "d/" * 1100 + "z.yaml"]
    assert findings == []


@contextlib.contextmanager
def somebody() -> Iterator[Path]:
    """A directory, as a user who is not root."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)
        for directory, _names, _files in os.walk(name):
            Path(directory).chmod(0o755)


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_what_must_not_be_read() -> None:
    reason = os.strerror(errno.EACCES)
    with somebody() as top:
        write(top, "a.yaml", "locked/b.yaml", "secret.yaml")
        (top / "secret.yaml").chmod(0)
        (top / "locked").chmod(0)
        with without_privileges():
            files, findings = find(top)
            assert files == [f"{top}/a.yaml", f"{top}/secret.yaml"]
            assert findings == [f"{top}/locked: MESH001 {reason}"]
            assert find(top / "locked") == ([], [f"{top}/locked: MESH001 {reason}"])
            assert find(top / "locked" / "b.yaml") == ([], [f"{top}/locked/b.yaml: MESH001 {reason}"])
            texts, problems = source.read_files(files)
    assert texts == [Text(f"{top}/a.yaml", b"name: a.yaml\n")]
    assert [str(problem) for problem in problems] == [f"{top}/secret.yaml: MESH001 {reason}"]


def test_files_are_read_as_bytes(mesh: Path) -> None:
    (mesh / "a.yaml").write_bytes(b"\xff\r\n")
    assert source.read_files(["mesh/a.yaml"]) == ([Text("mesh/a.yaml", b"\xff\r\n")], [])


def test_what_the_callers_reader_raises_is_a_finding() -> None:
    class VaultError(Exception):
        pass

    def read(file: str) -> bytes:
        if file == "os":
            raise PermissionError(errno.EACCES, "Permission denied", "os")
        if file == "bare":
            raise OSError
        if file == "vault":
            raise VaultError("no password\n  was given") from ValueError("hunter2")
        return file.encode()

    texts, findings = source.read_files(["a", "os", "bare", "vault", "b"], read)
    assert texts == [Text("a", b"a"), Text("b", b"b")]
    assert [str(finding) for finding in findings] == [
        "os: MESH001 Permission denied",
        "bare: MESH001 OSError",
        "vault: MESH001 no password was given",
    ]


def test_from_directory_to_documents(mesh: Path) -> None:
    (mesh / "hc.yaml").write_text(MESH)
    (mesh / "mesh.json").write_text('{\n  "type": "Mesh", "name": "default"\n}\n')
    files, _findings = source.find_files(["mesh"])
    texts, _findings = source.read_files(files)
    documents = [document for text in texts for document in source.parse(text)[0]]
    assert [(document.file, document.index) for document in documents] == [
        ("mesh/hc.yaml", 0),
        ("mesh/hc.yaml", 1),
        ("mesh/mesh.json", 0),
    ]
    assert documents[2].position(("name",)) == (2, 19)
