# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates: what they come to, from which lines, and where the mistake is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._templates import Library, RenderingError

FILTERS = {"shout": lambda text: f"{text}!"}
TESTS = {"loud": lambda text: text.endswith("!")}


def library(**sources: str) -> Library:
    files = {name.replace("__", "/") + ".j2": text for name, text in sources.items()}
    return Library(files, FILTERS.get, TESTS.get)


def lines_of(text: str, **variables: Any) -> list[tuple[int, str]]:
    rendered = library(a=text).render("a.j2", variables)
    return list(zip(rendered.lines, rendered.text.split("\n"), strict=True))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a\nb", [(1, "a"), (2, "b")]),
        ("", [(1, "")]),
        ("{# a\nlong\ncomment #}\nx", [(4, "x")]),
        ("{% if one %}\na\n{% endif %}\nb", [(2, "a"), (4, "b")]),
        ("{% if not one %}\na\n{% elif one %}\nb\n{% else %}\nc\n{% endif %}", [(4, "b"), (5, "")]),
        ("{% for i in two %}\n- {{ i }}\n  x\n{% endfor %}", [(2, "- 1"), (3, "  x"), (2, "- 2"), (3, "  x"), (4, "")]),
        ("{% for i in [] %}\na\n{% else %}\nb\n{% endfor %}\nc", [(4, "b"), (6, "c")]),
        ("{% with a = one %}\n{{ a }}\n{% endwith %}\nb", [(2, "1"), (4, "b")]),
        # A line is where its first character that counts stands.
        ("a: {{ one }} {{\none }} {{ one\n}}\nb", [(1, "a: 1 1 1"), (4, "b")]),
        ("  {{ one }}\n\n  {{- one -}}\n\n  b", [(1, "  11b")]),
        # What filters and macros get has no marks in it, so their lines are those of the call.
        (
            "{% macro m() %}\na\nb\n{% endmacro %}\n\n{{ m() | indent }}\nc",
            [(5, ""), (6, "a"), (6, "    b"), (6, ""), (7, "c")],
        ),
        ("\n{% filter upper %}\na\nb\n{% endfilter %}\nc", [(1, ""), (2, "A"), (2, "B"), (6, "c")]),
        ("{% set a %}\nx\n{% endset %}\n{{ a | trim | length }}\nb", [(4, "1"), (5, "b")]),
        ("{{ lines }}\nb", [(1, "one"), (1, "two"), (2, "b")]),
        ("a\r\nb\r\n{{ one }}", [(1, "a"), (2, "b"), (3, "1")]),
    ],
)
def test_each_line_knows_where_it_was_written(text: str, lines: list[tuple[int, str]]) -> None:
    assert lines_of(text, one=1, two=[1, 2], lines="one\ntwo") == lines


def test_templates_are_rendered_with_the_settings_of_ansible() -> None:
    # trim_blocks is on, lstrip_blocks is off, a line feed at the end is left out.
    assert library(a="{% if true %}\n  {% if true %}\nx\n{% endif %}\n{% endif %}\n").render("a.j2", {}).text == "  x\n"


def test_filters_and_tests_of_others_are_found() -> None:
    assert library(a="{{ 'a' | shout }} {{ 'a!' is loud }}").render("a.j2", {}).text == "a! True"


def test_filters_of_jinja_come_first() -> None:
    found = Library({"a.j2": "{{ nothing | default('x') }}"}, {"default": lambda value: value}.get, TESTS.get)
    assert found.render("a.j2", {}).text == "x"


def test_templates_include_and_import_each_other() -> None:
    found = library(
        a="{% import '_m.j2' as m %}{% include 'sub/_b.j2' %} {{ m.f(one) }}",
        _m="{% macro f(x) %}<{{ x }}>{% endmacro %}",
        sub___b="b{{ one }}",
    )
    assert found.render("a.j2", {"one": 1}).text == "b1 <1>"


def test_those_that_begin_with_an_underscore_are_for_others() -> None:
    assert library(b="", a="", _c="", sub__d="", sub___e="").names == ["a.j2", "b.j2", "sub/d.j2"]


@pytest.mark.parametrize(
    ("sources", "name", "line", "message"),
    [
        ({"a": "\n{{ nobody }}"}, "a.j2", 2, "'nobody' is undefined"),
        ({"a": "\n\n{{ one.nam }}"}, "a.j2", 3, "there is no 'nam'; did you mean 'name'?"),
        ({"a": "{{ one.zzz }}"}, "a.j2", 1, "there is no 'zzz'"),
        ({"a": "\n{% if nobody %}{% endif %}"}, "a.j2", 2, "'nobody' is undefined"),
        ({"a": "\n{% for i in nobody %}{% endfor %}"}, "a.j2", 2, "'nobody' is undefined"),
        ({"a": "a\n{{ one }\n"}, "a.j2", 2, "unexpected '}'"),
        ({"a": "a\n\n{% if one %}\n"}, "a.j2", 3, "Unexpected end of template."),
        ({"a": "\n{{ one | shut }}"}, "a.j2", 2, "No filter named 'shut'."),
        ({"a": "\n{{ one is shut }}"}, "a.j2", 2, "No test named 'shut'."),
        ({"a": "\n{{ 1 / 0 }}"}, "a.j2", 2, "ZeroDivisionError: division by zero"),
        ({"a": "\n{{ one.__class__ }}"}, "a.j2", 2, "access to attribute '__class__' of 'dict' object is unsafe."),
        ({"a": "\n\n{{ lookup('env', 'HOME') }}"}, "a.j2", 3, "lookups are not available"),
        ({"a": "\n{% include 'b.j2' %}"}, "a.j2", 2, "there is no template 'b.j2'"),
        ({"a": "\n{% include '../secret' %}"}, "a.j2", 2, "there is no template '../secret'"),
        # The file with the mistake, not the one that uses it.
        ({"a": "{% include '_b.j2' %}", "_b": "\n\n{{ nobody }}"}, "_b.j2", 3, "'nobody' is undefined"),
        ({"a": "{% include '_b.j2' %}", "_b": "\n{{ one }"}, "_b.j2", 2, "unexpected '}'"),
        (
            {"a": "{% import '_b.j2' as b %}\n{{ b.f() }}", "_b": "{% macro f() %}\n{{ nobody }}{% endmacro %}"},
            "_b.j2",
            2,
            "'nobody' is undefined",
        ),
        ({"a": "{% macro f() %}\n{{ f() }}{% endmacro %}{{ f() }}"}, "a.j2", 2, "it calls itself without an end"),
    ],
)
def test_mistakes_are_told_with_their_place(sources: Mapping[str, str], name: str, line: int, message: str) -> None:
    with pytest.raises(RenderingError) as caught:
        library(**sources).render("a.j2", {"one": {"name": 1}})

    assert (caught.value.name, caught.value.line) == (name, line)
    assert str(caught.value).startswith(message)


def test_syntax_is_looked_at_before_anything_is_rendered() -> None:
    with pytest.raises(RenderingError, match="unexpected"):
        library(a="{{ 1 }").compile("a.j2")


def test_a_plugin_that_fails_says_so() -> None:
    def broken(_value: object) -> None:
        raise LookupError("no such service")

    found = Library({"a.j2": "\n{{ 1 | broken }}"}, {"broken": broken}.get, TESTS.get)
    with pytest.raises(RenderingError, match=r"^LookupError: no such service$") as caught:
        found.render("a.j2", {})
    assert caught.value.line == 2


def test_a_plugin_that_cannot_be_loaded_says_so() -> None:
    def find(_name: str) -> None:
        raise ImportError("cannot be imported")

    with pytest.raises(RenderingError, match="ImportError: cannot be imported"):
        Library({"a.j2": "{{ 1 | broken }}"}, find, TESTS.get).compile("a.j2")


def test_a_template_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = library(a="{{ one }}")
    assert found.render("a.j2", {"one": 1}).text == "1"
    monkeypatch.setattr(found._environment, "compile", None)
    assert found.render("a.j2", {"one": 2}).text == "2"
