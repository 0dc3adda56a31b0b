# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates of Jinja that know where each of their lines was written; private to this collection.

Ansible's own template engine says neither in which line a variable is undefined nor which line a piece of text comes
from, and a template is compiled anew each time it is rendered. So templates are rendered by Jinja itself, with the
settings and plugins of Ansible, which whoever makes a `Library` hands over.
"""

from __future__ import annotations

import difflib
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from jinja2 import BaseLoader, Environment, StrictUndefined, Template, TemplateNotFound, TemplateSyntaxError, nodes
from jinja2.exceptions import TemplateError, TemplateRuntimeError
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import missing

SUFFIX = ".j2"

# Say in a rendered text which line of the template comes next. No template can write them: YAML has no such characters.
_BEGIN, _END = "\x02", "\x03"
_MARK = re.compile(f"{_BEGIN}([0-9]+){_END}")


# What makes the filter or the test of a name; None where there is none.
Find = Callable[[str], Callable[..., Any] | None]


class RenderingError(Exception):
    """A template cannot be compiled or rendered. `name` is that of the file with the mistake, maybe an included one."""

    def __init__(self, name: str, line: int, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.line = line


@dataclass(frozen=True)
class Text:
    """A rendered text, and for each of its lines the line of the template where that was written."""

    text: str
    lines: tuple[int, ...]


class Library:
    """Templates by name, which may include and import each other. Each is compiled once."""

    def __init__(
        self,
        sources: Mapping[str, str],
        filters: Find,
        tests: Find,
    ) -> None:
        self._sources = sources
        # As Ansible sets Jinja up.
        self._environment = SandboxedEnvironment(loader=_Loader(sources), undefined=_Undefined, trim_blocks=True)
        self._environment.filters = _Plugins(self._environment.filters, filters)
        self._environment.tests = _Plugins(self._environment.tests, tests)
        self._environment.globals |= dict.fromkeys(("lookup", "q", "query"), _no_lookup)
        self._compiled: dict[str, Template] = {}

    @property
    def names(self) -> list[str]:
        """The templates to render. Those whose name begins with `_` are there for others to include and import."""
        return [name for name in sorted(self._sources) if not name.rpartition("/")[2].startswith("_")]

    def compile(self, name: str) -> None:
        """See to it that a template is compiled. RenderingError if it cannot be."""
        self._template(name)

    def render(self, name: str, variables: Mapping[str, Any]) -> Text:
        """A template, filled in. RenderingError if it cannot be."""
        template = self._template(name)
        try:
            marked = template.render(variables)
        except Exception as error:
            # A template can call anything, and so anything can go wrong.
            raise self._error(name, error) from error
        return _unmarked(marked)

    def _template(self, name: str) -> Template:
        if name not in self._compiled:
            environment = self._environment
            try:
                tree = environment.parse(self._sources[name], name, name)
                _mark(tree.body)
                code = environment.compile(tree, name, name)
            except Exception as error:
                # A filter that cannot be loaded is found out here.
                raise self._error(name, error) from error
            self._compiled[name] = Template.from_code(environment, code, environment.make_globals(None))
        return self._compiled[name]

    def _error(self, name: str, error: Exception) -> RenderingError:
        """What went wrong, in the innermost template that took part."""
        if isinstance(error, TemplateSyntaxError):
            return RenderingError(error.name or name, error.lineno, error.message or "syntax error")
        line = 1
        for frame, number in traceback.walk_tb(error.__traceback__):
            if frame.f_code.co_filename in self._sources:
                name, line = frame.f_code.co_filename, number
        return RenderingError(name, line, _words(error))


def _words(error: Exception) -> str:
    if isinstance(error, TemplateNotFound):
        return f"there is no template '{error.name}'"
    if isinstance(error, RecursionError):
        return "it calls itself without an end"
    said = " ".join(str(error).split())
    if isinstance(error, TemplateError) or (said and type(error).__module__ != "builtins"):
        return said
    return f"{type(error).__name__}: {said}"


def _no_lookup(*_arguments: Any, **_options: Any) -> NoReturn:
    raise TemplateRuntimeError(
        "lookups are not available: what is compiled depends on the mesh and the templates alone"
    )


class _Loader(BaseLoader):
    """Finds what templates include. A name that begins with a dot stands for nothing outside of the directory."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        if template not in self._sources:
            raise TemplateNotFound(template)
        return self._sources[template], template, lambda: True


class _Plugins(dict[str, Any]):
    """Jinja's own filters or tests, and behind them those of somebody else, who is asked for each name once."""

    def __init__(self, own: Mapping[str, Any], find: Find) -> None:
        super().__init__(own)
        self._find = find

    def __missing__(self, name: str) -> Any:
        found = self._find(name)
        if found is None:
            raise KeyError(name)
        self[name] = found
        return found

    def __contains__(self, name: object) -> bool:
        return self.get(name) is not None

    def get(self, name: Any, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default


class _Undefined(StrictUndefined):
    """What is not there, and may have been meant otherwise."""

    __slots__ = ()

    def __init__(self, hint: str | None = None, obj: Any = missing, name: Any = None, **rest: Any) -> None:
        if hint is None and isinstance(obj, Mapping):
            close = difflib.get_close_matches(str(name), [str(key) for key in obj], n=1)
            hint = f"there is no '{name}'" + (f"; did you mean '{close[0]}'?" if close else "")
        super().__init__(hint, obj, name, **rest)


def _mark(body: Iterable[nodes.Node]) -> None:
    """Put the line before everything that goes straight into the rendered text.

    What a filter, a macro or a variable may get instead is left alone: it must not be able to see the marks.
    """
    for node in body:
        if isinstance(node, nodes.Output):
            node.nodes = list(_marked(node.nodes))
        elif isinstance(node, nodes.If):
            _mark([*node.body, *node.elif_, *node.else_])
        elif isinstance(node, nodes.For) and not node.recursive:
            _mark([*node.body, *node.else_])
        elif isinstance(node, nodes.With | nodes.Scope):
            _mark(node.body)


def _marked(parts: Iterable[nodes.Expr]) -> Iterator[nodes.Expr]:
    for part in parts:
        if isinstance(part, nodes.TemplateData):
            lines = part.data.split("\n")
            text = "\n".join(f"{_BEGIN}{part.lineno + number}{_END}{line}" for number, line in enumerate(lines))
            yield nodes.TemplateData(text, lineno=part.lineno)
        else:
            yield nodes.TemplateData(f"{_BEGIN}{part.lineno}{_END}", lineno=part.lineno)
            yield part


def _unmarked(marked: str) -> Text:
    """The text without its marks. A line is where its first character that counts was written."""
    lines, written, text = [], 1, []
    for line in marked.split("\n"):
        begin, *rest = _MARK.split(line)
        at = written
        for number, piece in zip(rest[::2], rest[1::2], strict=True):
            written = int(number)
            if not begin.strip():
                at = written
            begin += piece
        lines.append(at)
        text.append(begin)
    return Text("\n".join(text), tuple(lines))
