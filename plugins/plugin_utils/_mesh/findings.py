# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings: what is wrong with a mesh, where it is wrong, and the table of codes.

A user's mistake is never an exception in the core. Every module appends `Finding`s, and whoever asked decides what to
do with them. A code is never reused; `docs/findings.md` is made from `CODES`.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

Path = tuple[str | int, ...]

_PLAIN_MEMBER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*\Z")


class Severity(StrEnum):
    """How much a finding weighs: an error stops compilation, a warning stops it only in strict mode."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True)
class Source:
    """A place in the user's input. Line and column count from 1; both are None where the input has no text."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        if self.line is None:
            return self.file
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Code:
    """One row of the table of codes: `help` is the way out that the documentation prints."""

    id: str
    severity: Severity
    title: str
    help: str


@dataclass(frozen=True)
class Finding:
    """One mistake, warning or notice about one place of the input."""

    code: str
    severity: Severity
    path: str
    message: str
    source: Source
    kind: str = ""
    name: str = ""

    def __str__(self) -> str:
        path = f" {self.path}:" if self.path else ""
        label = "" if self.severity is Severity.ERROR else f"{self.severity.value}: "
        message = self.message.replace("\r", "\\r").replace("\n", "\\n")
        return f"{self.source}: {label}{self.code}{path} {message}"

    def as_dict(self) -> dict[str, str | int | None]:
        """The finding as plain values, for module results and filters."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "path": self.path,
            "message": self.message,
            "file": self.source.file,
            "line": self.source.line,
            "column": self.source.column,
            "kind": self.kind,
            "name": self.name,
        }

    @property
    def sort_key(self) -> tuple[str, int, int, str, str, str]:
        """By source, then by code, so that a run always prints its findings in the same order."""
        return (self.source.file, self.source.line or 0, self.source.column or 0, self.path, self.code, self.message)


CODES: dict[str, Code] = {}


def code(id: str, severity: Severity, title: str, help: str) -> Code:
    """Register a code. The same id twice is a programming error."""
    if id in CODES:
        raise ValueError(f"finding code {id} is registered twice")
    CODES[id] = Code(id, severity, title, help)
    return CODES[id]


def format_path(path: Path) -> str:
    """`("spec", "to", 0, "tags", "kuma.io/zone")` as `spec.to[0].tags["kuma.io/zone"]`, the notation of Kuma."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_MEMBER.match(part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part, ensure_ascii=False)}]"
    return text


def did_you_mean(word: str, known: Iterable[str], most: int = 1) -> str:
    """`; did you mean 'interval'?`, or the empty string when nothing comes close. At most `most` names."""
    by_lower: dict[str, str] = {}
    for name in known:
        by_lower.setdefault(name.lower(), name)
    close = difflib.get_close_matches(word.lower(), sorted(by_lower), n=most, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(by_lower[one]) for one in close)}?" if close else ""


UNREADABLE = code(
    "MESH001",
    Severity.ERROR,
    "a file or directory cannot be read",
    "Check the path and its permissions, and that symbolic links do not form a loop.",
)
NOT_YAML = code(
    "MESH002",
    Severity.ERROR,
    "a file is not YAML",
    "Files are UTF-8 YAML, one or more documents; tabs do not indent.",
)
DUPLICATE_KEY = code(
    "MESH003",
    Severity.ERROR,
    "a key stands twice in one mapping",
    "Remove one of the two; a control plane would silently keep the last.",
)
TOO_LARGE = code(
    "MESH004",
    Severity.ERROR,
    "a file is too large, nested too deeply or expands too far",
    "Split the file; write aliases out.",
)
NO_DOCUMENTS = code(
    "MESH005",
    Severity.ERROR,
    "there is nothing to read",
    "Name a directory with *.yaml, *.yml or *.json files, or the files themselves.",
)
NOT_REPRESENTABLE = code(
    "MESH006",
    Severity.ERROR,
    "a value has no place in a resource",
    "Resources consist of mappings with string keys, lists, strings, finite numbers, booleans and null.",
)
NO_EFFECT = code(
    "MESH054",
    Severity.WARNING,
    "a setting has no effect wherever it applies",
    "Take it out, or correct what keeps it from having one; the message says what that is.",
)
NOT_A_MAPPING = code(
    "MESH007",
    Severity.ERROR,
    "a document is not a resource",
    "Each document is a mapping with `type`, `name` and, but for Mesh, `mesh`.",
)
