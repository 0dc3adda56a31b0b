# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The artifacts directory on the controller; private to this collection.

    <directory>/<mesh>/<dataplane>.json    one release document per dataplane
    <directory>/<mesh>.policies.json       which policies took part in which dataplane
    <directory>/.stamp.json                what the artifacts were compiled from
    <directory>/.lock                      held while a compile is at work

Documents are bytes here: nothing is parsed but what may have to be deleted. A change is staged whole before the first
file is renamed into place, so that a full disk leaves everything as it was. Nobody but the owner can read any of it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Key = tuple[str, str]
"""Mesh and name of a dataplane."""

_STAMP = ".stamp.json"
_STAMP_FORMAT = 1
_LOCK = ".lock"
_STAGE_PREFIX = ".staged-"
_LONGEST_NAME = 255


class UnsafeNameError(ValueError):
    """A mesh or dataplane has a name that cannot be the name of a file."""


@dataclass
class Stamp:
    """What the artifacts were compiled from. `summary` is whatever the caller wants back when nothing has changed."""

    inputs: str = ""
    summary: dict[str, Any] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    def release_id(self, key: Key) -> str:
        """The id of a dataplane's release."""
        return str(self.files[_relative(key)]["id"])


class Artifacts:
    """One artifacts directory. Changes are measured against `baseline`; it is another one in check mode only."""

    def __init__(self, directory: Path, baseline: Path | None = None) -> None:
        self.directory = directory
        self._baseline = baseline or directory

    # --- reading

    def path(self, key: Key) -> Path:
        return self.directory / _relative(key)

    def baseline_bytes(self, key: Key) -> bytes | None:
        """The document that a new one replaces, None when there is none."""
        return _bytes_or_none(self._baseline / _relative(key))

    def differs(self, key: Key) -> bool:
        """Whether the artifact here is another than that of the baseline."""
        return self._baseline != self.directory and _bytes_or_none(self.path(key)) != self.baseline_bytes(key)

    def stamp(self) -> Stamp:
        """The stamp of the last run; an empty one when it is missing or not ours."""
        try:
            content = json.loads((self.directory / _STAMP).read_bytes())
            if content["format"] != _STAMP_FORMAT:
                return Stamp()
            return Stamp(content["inputs"], content["summary"], content["files"])
        except (OSError, ValueError, KeyError, TypeError):
            return Stamp()

    def is_current(self, stamp: Stamp, inputs: str, keys: Iterable[Key]) -> bool:
        """Whether the artifacts of `keys` were compiled from `inputs` and nobody has touched them since."""
        return stamp.inputs == inputs and all(
            self._is_untouched(stamp, inputs, name) for key in keys for name in (_relative(key), _policies_file(key[0]))
        )

    def _is_untouched(self, stamp: Stamp, inputs: str, name: str) -> bool:
        known = stamp.files.get(name)
        return known is not None and known["inputs"] == inputs and known["stat"] == _stat(self.directory / name)

    def others(self, keys: Iterable[Key]) -> list[Key]:
        """Artifacts of the baseline whose dataplanes are not in `keys`. Files that are no artifacts are left alone."""
        wanted = set(keys)
        found = sorted(self._files() - wanted)
        return [key for key in found if _is_artifact(self._baseline / _relative(key), key)]

    def count(self, keys: Iterable[Key]) -> int:
        """How many of `keys` have an artifact in the baseline."""
        return len(self._files() & set(keys))

    def _files(self) -> set[Key]:
        found = set()
        for directory in _scan(self._baseline):
            if directory.is_dir() and not directory.name.startswith("."):
                for file in _scan(Path(directory.path)):
                    stem, suffix = os.path.splitext(file.name)
                    if suffix == ".json" and not file.name.startswith("."):
                        found.add((directory.name, stem))
        return found

    def policies(self, mesh: str) -> dict[str, list[dict[str, Any]]]:
        """The policies that took part in each dataplane of a mesh; empty when the file is missing or not ours."""
        try:
            policies: dict[str, list[dict[str, Any]]] = json.loads((self.directory / _policies_file(mesh)).read_bytes())
        except (OSError, ValueError):
            return {}
        return policies

    # --- writing

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory against other compiles, which wait. Creates it, and clears what a killed run left."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(self.directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o600), "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for entry in _scan(self.directory):
                if entry.name.startswith(_STAGE_PREFIX):
                    shutil.rmtree(entry.path, ignore_errors=True)
            yield

    @contextmanager
    def change(self) -> Iterator[Change]:
        """Stage a change; nothing is in place until `Change.commit`, nothing staged is left behind."""
        staged = Path(tempfile.mkdtemp(prefix=_STAGE_PREFIX, dir=self.directory))
        try:
            yield Change(self, staged)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


class Change:
    """New artifacts on their way into the directory."""

    def __init__(self, artifacts: Artifacts, staged: Path) -> None:
        self._artifacts = artifacts
        self._staged = staged
        self._renames: list[tuple[Path, str]] = []
        self._written: dict[str, dict[str, Any]] = {}
        self._policies: dict[str, dict[str, list[dict[str, Any]]]] = {}
        self._removed: list[Key] = []

    def put(self, key: Key, document: bytes, release_id: str, policies: list[dict[str, Any]]) -> bool:
        """Stage a document. True when it is not the bytes of the baseline."""
        name = _relative(key)
        self._policies.setdefault(key[0], {})[key[1]] = policies
        self._stage(name, document, {"id": release_id})
        return document != self._artifacts.baseline_bytes(key)

    def remove(self, keys: Iterable[Key]) -> None:
        """Take artifacts out, together with what is said about their policies."""
        self._removed += keys

    def commit(self, inputs: str, summary: Mapping[str, Any], stamp: Stamp) -> None:
        """Rename everything into place and stamp it. `stamp` is the one that was there."""
        directory = self._artifacts.directory
        removed = {_relative(key) for key in self._removed}
        for mesh in {*self._policies, *(mesh for mesh, _name in self._removed)}:
            self._stage_policies(mesh)
        files = {name: known for name, known in stamp.files.items() if name not in removed}
        for staged, name in self._renames:
            target = directory / name
            if target.parent != directory:
                target.parent.mkdir(mode=0o700, exist_ok=True)
                target.parent.chmod(0o700)
            os.replace(staged, target)
        for name in removed:
            (directory / name).unlink(missing_ok=True)
        for name, known in self._written.items():
            files[name] = {**known, "inputs": inputs, "stat": _stat(directory / name)}
        content = {"format": _STAMP_FORMAT, "inputs": inputs, "summary": dict(summary), "files": files}
        new = self._staged / "stamp"
        _write(new, json.dumps(content, sort_keys=True, separators=(",", ":")).encode())
        os.replace(new, directory / _STAMP)

    def _stage(self, name: str, content: bytes, known: dict[str, Any]) -> None:
        self._written[name] = known
        if _bytes_or_none(self._artifacts.directory / name) == content:
            return
        staged = self._staged / str(len(self._renames))
        _write(staged, content)
        self._renames.append((staged, name))

    def _stage_policies(self, mesh: str) -> None:
        policies = self._artifacts.policies(mesh) | self._policies.get(mesh, {})
        for key in self._removed:
            if key[0] == mesh:
                policies.pop(key[1], None)
        lines = [f"{json.dumps(dataplane)}: {json.dumps(policies[dataplane])}" for dataplane in sorted(policies)]
        self._stage(_policies_file(mesh), ("{\n" + ",\n".join(lines) + "\n}\n").encode(), {})


def _relative(key: Key) -> str:
    mesh, dataplane = key
    for name in (mesh, f"{dataplane}.json"):
        if name in ("", ".", "..") or "/" in name or "\0" in name or len(name.encode()) > _LONGEST_NAME:
            raise UnsafeNameError(f"the name {name!r} cannot be that of a file")
    return f"{mesh}/{dataplane}.json"


def _policies_file(mesh: str) -> str:
    return f"{mesh}.policies.json"


def _stat(path: Path) -> list[int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]


def _bytes_or_none(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _scan(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_artifact(path: Path, key: Key) -> bool:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return (
        isinstance(document, dict)
        and "digests" in document
        and (document.get("mesh"), document.get("dataplane")) == key
    )


def _write(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
