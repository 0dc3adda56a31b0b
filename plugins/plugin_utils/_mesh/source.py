# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Source: mesh files as plain values that know where they were written.

`find_files` names the files, `read_files` fetches their bytes, `parse` makes documents of them. Scalars mean what they
mean to Kuma, which reads YAML 1.1 through sigs.k8s.io/yaml: `yes` and `on` are booleans, `017` is fifteen, `1e3` is a
number, dates and `12:30` are strings.

Parsing is one loop over the parser's events, so the depth of the input never becomes depth of the stack. It keeps no
positions: the first `Document.position` of a file reads that file once more, and keeps them.
"""

from __future__ import annotations

import contextlib
import math
import os
import pathlib
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from .findings import (
    DUPLICATE_KEY,
    NO_DOCUMENTS,
    NOT_A_MAPPING,
    NOT_REPRESENTABLE,
    NOT_YAML,
    TOO_LARGE,
    UNREADABLE,
    Code,
    Finding,
    Path,
    Source,
    format_path,
)

SUFFIXES = (".yaml", ".yml", ".json")
MAX_BYTES = 32 * 1024 * 1024
MAX_DEPTH = 100
# Nodes that aliases may add to a file: a constant for small files, and a multiple of what is written out in large ones.
ALIAS_ALLOWANCE = 100_000
ALIAS_FACTOR = 10

# libyaml, or the same interface in Python where PyYAML was built without it. Only its events are used.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
# The end of a line after which a text follows line by line.
_LITERAL = re.compile(r"\|[-+0-9]*[ \t]*(?:[ \t]#.*)?\Z")

_INTEGER = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|(0[0-7]*)|[1-9][0-9]{0,19})\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_NOT_FINITE = frozenset(
    sign + word for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN")
)

_STANDARD = "tag:yaml.org,2002:"
_SCALAR_TAGS: dict[str, type[object]] = {
    _STANDARD + "bool": bool,
    _STANDARD + "float": float,
    _STANDARD + "int": int,
    _STANDARD + "null": type(None),
}


class _Sign:
    """A value that no document can contain."""


_ITEM = _Sign()  # stands for the key where the open collection is a list
_MERGE = _Sign()  # the key `<<`
_REFUSED = _Sign()  # stands for a key or value that a finding is about

Place = tuple[int, int]  # line and column, from 1
_Identity = tuple[int, int]  # of a file or directory, by whatever name: device and inode
_Members = dict[str | int | _Sign, Place]  # of one collection, by key or index


@dataclass(frozen=True)
class Text:
    """A file as read: its name as the user knows it, and its bytes."""

    file: str
    data: bytes

    @cached_property
    def places(self) -> Places:
        """Where everything in the file stands. Costs about as much as `parse`."""
        decoded = _decode(self)
        reading = _Reading(self.file, {}, with_places=True)
        if isinstance(decoded, str):
            reading.read(decoded)
        return Places(reading.roots, reading.members)


@dataclass(frozen=True)
class Places:
    """The documents of a file by index, and by `id()` of every collection in them the places of its members."""

    roots: dict[int, tuple[object, Place]]
    members: dict[int, _Members]


@dataclass(frozen=True, eq=False)
class Document:
    """One YAML document as plain values. `index` counts the documents of its file, the empty ones too; `text` is None
    for documents that come from a variable. Where `value` has been put in another form, `moved` leads from the paths of
    its parts to those in what the user wrote, and `filled` holds those of defaults that nobody wrote."""

    value: object
    file: str
    index: int = 0
    text: Text | None = None
    moved: Mapping[Path, Path] = field(default_factory=dict)
    filled: frozenset[Path] = frozenset()

    def as_written(self, path: Path) -> Path:
        """The path of a part of `value` in what the user wrote."""
        for length in range(len(path), 0, -1):
            place = self.moved.get(path[:length])
            if place is not None:
                return (*place, *path[length:])
        return path

    def position(self, path: Path) -> Place | None:
        """Line and column, from 1, of a member's key or of a list's item; None where the document has no text.

        Where the path does not exist, the nearest parent that does answers; what came through an alias or a merge key
        stands where its anchor is.
        """
        if self.text is None:
            return None
        places = self.text.places
        value: Any
        value, place = places.roots[self.index]
        for part in self.as_written(path):
            members = places.members.get(id(value), {})
            if part not in members:
                break
            value, place = value[part], members[part]
        return place

    def position_in_text(self, path: Path, inside: Place) -> Place | None:
        """Where a line and column of the text at `path` stand, if the file has its lines as they are, after a `|`.

        Where it has not, the text itself.
        """
        begin = self.position(path)
        decoded = None if self.text is None else _decode(self.text)
        if begin is None or not isinstance(decoded, str):
            return begin
        text: Any = self.value
        for part in path:
            text = text[part]
        line, column = inside
        rows, own = _LINE_BREAK.split(decoded), text.split("\n")
        if _LITERAL.search(rows[begin[0] - 1]) and line <= len(own) and begin[0] + line <= len(rows):
            row = rows[begin[0] + line - 1]
            indentation = len(row) - len(own[line - 1])
            if row[max(indentation, 0) :] == own[line - 1] and not row[: max(indentation, 0)].strip(" "):
                return begin[0] + line, max(indentation, 0) + column
        return begin

    def finding(
        self, code: Code, path: Path, message: str, kind: str, name: str, inside: Place | None = None
    ) -> Finding:
        """A finding about a place in this document, or `inside` the text there. The document describes the resource
        `name` of a kind."""
        position = self.position(path) if inside is None else self.position_in_text(path, inside)
        return Finding(
            code.id,
            code.severity,
            format_path(self.as_written(path)),
            message,
            Source(self.file, *(position or ())),
            kind,
            name,
        )


def find_files(paths: Iterable[str]) -> tuple[list[str], list[Finding]]:
    """The files that `paths` stand for, each once however often or by whatever links it is named.

    A file is taken as named. A directory stands for the *.yaml, *.yml and *.json files below it, by name; hidden files
    and directories are left out, links are followed. MESH001: what does not exist, cannot be opened, is not a regular
    file, or is a link back to a directory that holds it. MESH005: a directory without files.
    """
    files: list[str] = []
    findings: list[Finding] = []
    seen: set[_Identity] = set()
    for path in paths:
        try:
            status = os.stat(path)
        except (OSError, ValueError) as error:
            findings.append(_unreadable(path, error))
            continue
        found = [(path, status)]
        if stat.S_ISDIR(status.st_mode):
            problems: list[Finding] = []
            found = sorted(_walk(path, problems), key=lambda entry: entry[0])
            if not found and not problems:
                message = "the directory holds no *.yaml, *.yml or *.json files"
                problems.append(_finding(NO_DOCUMENTS, message, _printable(path)))
            findings += sorted(problems, key=lambda finding: finding.sort_key)
        for file, status in found:
            refusal = _refusal(file, status)
            if refusal:
                findings.append(refusal)
            elif _identity(status) not in seen:
                seen.add(_identity(status))
                files.append(file)
    return files, findings


def read_file(file: str) -> bytes:
    """The bytes of a file; of one that is too large only as many as show that it is."""
    with open(file, "rb") as stream:
        return stream.read(MAX_BYTES + 1)


def read_files(files: Iterable[str], read: Callable[[str], bytes] = read_file) -> tuple[list[Text], list[Finding]]:
    """The texts of `files`, as `find_files` gave them. Whatever `read` raises is a MESH001 of that file."""
    texts: list[Text] = []
    findings: list[Finding] = []
    for file in files:
        try:
            texts.append(Text(file, read(file)))
        except Exception as error:  # noqa: BLE001  # `read` is the caller's, and so are its errors
            findings.append(_unreadable(file, error))
    return texts, findings


def parse(text: Text, tags: Mapping[str, Callable[[str], str]] | None = None) -> tuple[list[Document], list[Finding]]:
    """The documents of a file, and what is wrong with the others.

    A document that has a finding is not among the documents; empty ones are left out. After a syntax error, and where
    a limit is passed (MESH004), the rest of the file is not read. `tags` makes strings of scalars with a tag of the
    user's, such as `!vault`; it gets the scalar's text, and nothing of that text, or of what is raised, is shown.
    """
    decoded = _decode(text)
    if isinstance(decoded, Finding):
        return [], [decoded]
    reading = _Reading(text.file, tags or {}, with_places=False)
    try:
        reading.read(decoded)
    except _PlacesNeeded:
        reading = _Reading(text.file, tags or {}, with_places=True)
        reading.read(decoded)
    documents = [Document(root, text.file, index, text) for index, root in reading.documents]
    return documents, reading.findings


def _finding(code: Code, message: str, file: str, place: Place | None = None, path: Path = ()) -> Finding:
    return Finding(code.id, code.severity, format_path(path), message, Source(file, *(place or ())))


def _unreadable(file: str, error: Exception) -> Finding:
    message = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return _finding(UNREADABLE, " ".join(message.split()), _printable(file))


def _printable(file: str) -> str:
    """The name with `?` for bytes that are not UTF-8, which no terminal, log or JSON would take."""
    return file.encode("utf-8", "replace").decode()


def _refusal(file: str, status: os.stat_result) -> Finding | None:
    """Why a file must not be opened: to open a FIFO is to wait for its writer."""
    if not stat.S_ISREG(status.st_mode):
        return _finding(UNREADABLE, "not a regular file; name a file or a directory", _printable(file))
    if _printable(file) != file:
        return _finding(UNREADABLE, "the file's name is not UTF-8; rename it", _printable(file))
    return None


def _walk(top: str, findings: list[Finding]) -> Iterator[tuple[str, os.stat_result]]:
    """The mesh files below `top`, of whatever kind, each directory once."""
    visited: set[_Identity] = set()
    directories = [(top, _identity(os.stat(top)), _lineage(top))]
    while directories:
        directory, identity, lineage = directories.pop()
        if identity in visited:
            continue
        visited.add(identity)
        try:
            with os.scandir(directory) as entries:
                listing = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda e: e.name)
        except OSError as error:
            findings.append(_unreadable(directory, error))
            continue
        for entry in reversed(listing):
            try:
                status = entry.stat()
            except OSError as error:
                findings.append(_unreadable(entry.path, error))
                continue
            if not stat.S_ISDIR(status.st_mode):
                if entry.name.endswith(SUFFIXES):
                    yield entry.path, status
            elif _identity(status) in lineage:
                message = "the link leads back to a directory that holds it; remove it"
                findings.append(_finding(UNREADABLE, message, _printable(entry.path)))
            else:
                above = _lineage(entry.path) if entry.is_symlink() else {_identity(status)}
                directories.append((entry.path, _identity(status), lineage | above))


def _identity(status: os.stat_result) -> _Identity:
    return status.st_dev, status.st_ino


def _lineage(directory: str) -> frozenset[_Identity]:
    """The directory and all that hold it: a link to any of them is a loop."""
    real = pathlib.Path(directory).resolve()
    identities: set[_Identity] = set()
    for path in (real, *real.parents):
        with contextlib.suppress(OSError):
            identities.add(_identity(path.stat()))
    return frozenset(identities)


def _decode(text: Text) -> str | Finding:
    """The text as characters, if it is text at all and not too much of it."""
    data = text.data
    if len(data) > MAX_BYTES:
        return _finding(TOO_LARGE, f"larger than {MAX_BYTES // 1024**2} MiB; split the file", text.file)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _finding(NOT_YAML, "the file is UTF-16; save it as UTF-8", text.file, (1, 1))
    try:
        decoded = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        undecoded, start = error.object, int(error.start)
        before = undecoded[:start].decode("utf-8-sig")
        message = f"the byte 0x{undecoded[start]:02x} is not UTF-8; save the file as UTF-8"
        return _finding(NOT_YAML, message, text.file, _line_and_column(before))
    control = _CONTROL.search(decoded)
    if control:
        message = f"the control character U+{ord(control[0]):04X} cannot stand in YAML; remove or escape it"
        return _finding(NOT_YAML, message, text.file, _line_and_column(decoded[: control.start()]))
    return decoded


def _line_and_column(before: str) -> Place:
    """The position, from 1, of what follows `before`."""
    lines = _LINE_BREAK.split(before)
    return len(lines), len(lines[-1]) + 1


def _events(text: str) -> Iterator[Any]:
    loader = _LOADER(text)
    try:
        yield from iter(loader.get_event, None)
    except (ValueError, OverflowError) as error:
        # The parser in Python stumbles over escapes that name no character, such as "\UFFFFFFFF".
        raise yaml.MarkedYAMLError(problem="found an invalid escape", problem_mark=loader.get_mark()) from error


class _PlacesNeeded(Exception):
    """There is something to say that takes the place of an earlier node."""


class _LimitPassed(Exception):
    """A finding was made after which the rest of the file is not read."""


class _Refused(Exception):
    """A key or value that cannot be in a document."""

    def __init__(self, message: str, code: Code = NOT_REPRESENTABLE) -> None:
        super().__init__(message)
        self.code = code


class _PlainScalars(dict[str, object]):
    """Values of unquoted scalars by their text. Files repeat themselves: each text is looked at once."""

    def __missing__(self, text: str) -> object:
        value = self[text] = _plain_value(text)
        return value


def _plain_value(text: str) -> object:
    """What goyaml.v2, the parser below sigs.k8s.io/yaml, makes of an unquoted scalar without a tag."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if text in _NOT_FINITE:
        raise _Refused(f"{text} is not a finite number; quote it if it is a string")
    digits = text.replace("_", "")
    integer = _INTEGER.match(digits)
    if integer:
        number = int(digits, 8 if integer[1] else 0)
        if -(2**63) <= number < 2 ** (63 if text[0] == "+" else 64):
            return number
    if _FLOAT.match(digits):
        real = float(digits)
        if math.isfinite(real):
            return real
    return text


class _Open:
    """A mapping or list whose end has not come yet."""

    __slots__ = ("anchor", "key", "levels", "members", "merge", "nodes_before", "part", "value")

    def __init__(self, value: Any, key: _Sign | None, part: object, anchor: str | None, nodes_before: int) -> None:
        self.value = value
        self.key: str | _Sign | None = key  # of the member whose value comes next; None: a key comes next
        self.part = part  # its own key or index in the collection that holds it
        self.anchor = anchor
        self.nodes_before = nodes_before
        self.levels = 1  # of nesting, this one included
        self.merge: Place | None = None  # of its merge key
        self.members: _Members = {}


@dataclass(frozen=True)
class _Anchored:
    """What an alias stands for: the value, how many nodes it has, how many levels."""

    value: object
    nodes: int
    levels: int


class _Reading:
    """One pass over a file: its documents and findings and, `with_places`, where everything stands."""

    def __init__(self, file: str, tags: Mapping[str, Callable[[str], str]], *, with_places: bool) -> None:
        self.file = file
        self.tags = tags
        self.with_places = with_places
        self.documents: list[tuple[int, object]] = []
        self.findings: list[Finding] = []
        self.roots: dict[int, tuple[object, Place]] = {}
        self.members: dict[int, _Members] = {}
        self._plain = _PlainScalars()
        self._written = 0  # nodes in the text
        self._copied = 0  # nodes that aliases add to them
        self._index = -1
        self._begin_document()

    def read(self, text: str) -> None:
        """Take in all documents up to the first syntax error or limit."""
        plain = self._plain
        try:
            for event in _events(text):
                kind = type(event)
                if kind is ScalarEvent:
                    try:
                        value = plain[event.value] if event.implicit[0] else self._quoted_or_tagged(event)
                    except _Refused as refused:
                        value = self._refuse(refused, event)
                    if event.anchor is not None:
                        self._anchors[event.anchor] = _Anchored(value, 1, 0)
                    self._add(value, event)
                elif kind is MappingEndEvent or kind is SequenceEndEvent:
                    self._close()
                elif kind is MappingStartEvent:
                    self._open({}, None, event)
                elif kind is SequenceStartEvent:
                    self._open([], _ITEM, event)
                elif kind is AliasEvent:
                    self._add(self._alias(event), event)
                elif kind is DocumentEndEvent:
                    self._end_document()
        except yaml.MarkedYAMLError as error:
            self._syntax_error(error, text)
        except _LimitPassed:
            pass

    def _begin_document(self) -> None:
        self._index += 1
        self._stack: list[_Open] = []
        self._anchors: dict[str, _Anchored | _Open] = {}
        self._root: tuple[object, Place] = (None, (1, 1))
        self._sound = True

    def _end_document(self) -> None:
        root, place = self.roots[self._index] = self._root
        if self._sound and isinstance(root, dict):
            self.documents.append((self._index, root))
        elif self._sound and root is not None:
            what = "a list; separate resources by lines of `---`" if isinstance(root, list) else "a single value"
            self._report(NOT_A_MAPPING, f"must be a mapping, is {what}", place)
        self._begin_document()

    def _add(self, value: object, event: Any) -> None:
        """Put a value, or a collection that has just begun, where it belongs."""
        self._written += 1
        if not self._stack:
            self._root = (value, _place_of(event.start_mark))
            return
        top = self._stack[-1]
        key = top.key
        if key is _ITEM:
            if self.with_places:
                top.members[len(top.value)] = _place_of(event.start_mark)
            top.value.append(value)
        elif key is not None:
            top.value[key] = value
            top.key = None
        else:
            if not isinstance(value, str) or value in top.value or value == "<<":
                try:
                    value = self._member_key(top, value, event)
                except _Refused as refused:
                    value = self._refuse(refused, event)
            top.key = value
            if self.with_places:
                top.members.setdefault(value, _place_of(event.start_mark))

    def _member_key(self, top: _Open, value: object, event: Any) -> str | _Sign:
        """The key that a value makes, as sigs.k8s.io/yaml writes it into JSON."""
        key: str | _Sign
        if value == "<<" and isinstance(event, ScalarEvent) and event.implicit[0]:
            key = _MERGE
        elif isinstance(value, bool):
            key = "true" if value else "false"
        elif isinstance(value, int):
            key = str(value)
        elif isinstance(value, dict):
            raise _Refused("a mapping cannot be a key; quote the value if it is a template such as {{ name }}")
        elif isinstance(value, list):
            raise _Refused("a list cannot be a key")
        elif isinstance(value, str | _Sign):
            key = value
        else:
            raise _Refused("a key must be a string; quote it")
        if key is _REFUSED or key not in top.value:
            if key is _MERGE:
                top.merge = _place_of(event.start_mark)
            return key
        if not self.with_places:
            raise _PlacesNeeded
        name = "<<" if key is _MERGE else str(key)
        line = top.members[key][0]
        way_out = "; merge several mappings by `<<: [*one, *two]`" if key is _MERGE else ""
        message = f"this key stands in line {line} already{way_out}"
        self._report(DUPLICATE_KEY, message, _place_of(event.start_mark), (*self._path(), name))
        return _REFUSED

    def _open(self, value: Any, key: _Sign | None, event: Any) -> None:
        if len(self._stack) == MAX_DEPTH:
            self._pass_limit(f"nested more than {MAX_DEPTH} levels deep", event)
        tag = event.tag
        if tag is not None and tag not in ("!", _STANDARD + ("map" if key is None else "seq")):
            self._refuse(_Refused(f"the tag {_short(tag)} is not known for a mapping or list"), event)
        top = self._stack[-1] if self._stack else None
        part = None if top is None else len(top.value) if top.key is _ITEM else top.key
        before = self._written + self._copied
        self._add(value, event)
        frame = _Open(value, key, part, event.anchor, before)
        self._stack.append(frame)
        if event.anchor is not None:
            self._anchors[event.anchor] = frame

    def _close(self) -> None:
        frame = self._stack[-1]
        if frame.merge is not None:
            self._merge(frame)
        self._stack.pop()
        if self.with_places:
            self.members[id(frame.value)] = frame.members
        if self._stack:
            self._stack[-1].levels = max(self._stack[-1].levels, frame.levels + 1)
        if frame.anchor is not None and self._anchors[frame.anchor] is frame:
            nodes = self._written + self._copied - frame.nodes_before
            self._anchors[frame.anchor] = _Anchored(frame.value, nodes, frame.levels)

    def _merge(self, frame: _Open) -> None:
        """Carry out a merge key: the mapping's own members win, then those of the sources, first named first."""
        merged = frame.value.pop(_MERGE)
        own = dict(frame.value)
        frame.value.clear()
        for source in merged if isinstance(merged, list) else [merged]:
            if not isinstance(source, dict):
                if source is not _REFUSED and frame.merge is not None:
                    message = "a merge key takes a mapping or a list of mappings"
                    self._report(NOT_REPRESENTABLE, message, frame.merge, (*self._path(), "<<"))
                continue
            frame.value.update((key, source[key]) for key in source if key not in frame.value)
            if self.with_places:
                frame.members = {**self.members[id(source)], **frame.members}
        frame.value.update(own)

    def _alias(self, event: Any) -> object:
        name = event.anchor
        target = self._anchors.get(name)
        if target is None:
            return self._refuse(_Refused(f"no anchor &{name} stands before this alias", NOT_YAML), event)
        if isinstance(target, _Open):
            return self._refuse(_Refused(f"*{name} stands inside of what it names; write it out", TOO_LARGE), event)
        self._copied += target.nodes
        limit = ALIAS_ALLOWANCE + ALIAS_FACTOR * self._written
        if self._copied > limit:
            self._pass_limit(f"aliases repeat more than {limit} nodes", event)
        if len(self._stack) + target.levels > MAX_DEPTH:
            self._pass_limit(f"nested more than {MAX_DEPTH} levels deep through an alias", event)
        if self._stack:
            self._stack[-1].levels = max(self._stack[-1].levels, target.levels + 1)
        return target.value

    def _quoted_or_tagged(self, event: Any) -> object:
        text: str = event.value
        if not text.isascii() and _SURROGATE.search(text):
            # libyaml reports these itself.
            raise _Refused("half of a surrogate pair is not a character; write the character itself", NOT_YAML)
        if event.implicit[1]:
            return text
        tag: str = event.tag
        if tag in self.tags:
            try:
                return self.tags[tag](text)
            except Exception as error:  # noqa: BLE001  # the caller's code; its message may hold the secret
                message = f"the {tag} value cannot be read ({type(error).__name__})"
                raise _Refused(message, UNREADABLE) from None
        if tag == _STANDARD + "str":
            return text
        if tag not in _SCALAR_TAGS:
            raise _Refused(f"the tag {_short(tag)} is not known")
        value = self._plain[text]
        if tag == _STANDARD + "float" and value.__class__ is int:
            return float(value)
        if value.__class__ is not _SCALAR_TAGS[tag]:
            raise _Refused(f"the value is not what its tag {_short(tag)} says")
        return value

    def _syntax_error(self, error: yaml.MarkedYAMLError, text: str) -> None:
        mark: Any = error.problem_mark
        character = text[mark.index : mark.index + 1]
        problem = error.problem or ""
        if character == "\t":
            message = "a tab cannot stand here; indent with spaces"
        elif "cannot start any token" in problem:
            message = f"nothing begins with {character!r} in YAML; quote the value"
        elif "mapping values are not allowed" in problem:
            message = "a second `: ` in one value, or a wrong indentation; quote the value or align the keys"
        else:
            context = f" {error.context}" if error.context else ""
            begin = f" that begins in line {error.context_mark.line + 1}" if context and error.context_mark else ""
            message = f"{problem}{context}{begin}; check brackets, quotes and indentation"
        self._report(NOT_YAML, f"{message}; the rest of the file is not read", _place_of(mark))

    def _pass_limit(self, message: str, event: Any) -> NoReturn:
        self._report(TOO_LARGE, f"{message}; the rest of the file is not read", _place_of(event.start_mark))
        raise _LimitPassed

    def _refuse(self, refused: _Refused, event: Any) -> _Sign:
        self._report(refused.code, str(refused), _place_of(event.start_mark), self._path())
        return _REFUSED

    def _report(self, code: Code, message: str, place: Place, path: Path = ()) -> None:
        self._sound = False
        self.findings.append(_finding(code, message, self.file, place, path))

    def _path(self) -> Path:
        """Of the node that comes next, or of the mapping whose key it is."""
        parts: list[object] = [frame.part for frame in self._stack[1:]]
        if self._stack:
            top = self._stack[-1]
            parts.append(len(top.value) if top.key is _ITEM else top.key)
        path: list[str | int] = []
        for part in parts:
            if part is _MERGE:
                path.append("<<")
            elif isinstance(part, str | int):
                path.append(part)
            else:
                break
        return tuple(path)


def _place_of(mark: Any) -> Place:
    return mark.line + 1, mark.column + 1


def _short(tag: str) -> str:
    return "!!" + tag.removeprefix(_STANDARD) if tag.startswith(_STANDARD) else tag
