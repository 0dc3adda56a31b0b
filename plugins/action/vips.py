# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action `vips`: an address for every service of a mesh, remembered in a file on the controller."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import is_encrypted
from ansible.plugins.action import ActionBase

from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.findings import Finding

ARGUMENT_SPEC = {
    "mesh": {"type": "raw", "required": True},
    "hosts": {"type": "str", "default": "mesh"},
    "slice": {"type": "bool", "default": False},
    "mesh_name": {"type": "str"},
    "file": {"type": "path"},
    "cidr": {"type": "str"},
    "forget": {"type": "bool", "default": False},
}
_SUFFIXES = (".yaml", ".yml")


class ActionModule(ActionBase):
    """Writes the file where it is to change; in check mode it only says so."""

    _requires_connection = False
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(ARGUMENT_SPEC)
        if options["forget"] and options["slice"]:
            raise AnsibleActionFail("forget needs the whole fleet: in a slice, services that are there seem to be gone")
        missing = _edge.missing_packages()
        if missing:
            raise _failure(missing)
        run = _Run(options, task_vars or {}, self._loader)
        try:
            before = run.file.read_bytes() if run.file.exists() else b""
            after = run.content(before)
            if after != before and not self._task.check_mode:
                _replace(run.file, after)
        except OSError as error:
            raise AnsibleActionFail(f"Cannot keep the virtual IPs in {run.file}: {error.strerror}") from None
        result.update(run.result, changed=after != before)
        if self._task.diff and after != before:
            result["diff"] = run.difference(before, after)
        return result


class _Run:
    """One call of `vips`: `file` is where the virtual IPs are or will be, `content` what it has to hold."""

    def __init__(self, options: dict[str, Any], task_vars: dict[str, Any], loader: DataLoader) -> None:
        self._base = _edge.base_directory(loader.get_basedir())
        paths, _documents = _edge.paths_or_documents(options["mesh"])
        self._paths = [_edge.resolve(path, self._base) for path in paths]
        named = self._named(options["file"])
        if named is not None and not named.exists() and str(named) in self._paths:
            # The file is a part of the mesh that is yet to be written.
            options = {**options, "mesh": [path for path in self._paths if path != str(named)]}
        self._fleet = _edge.read_fleet(options, task_vars, loader, [str(named)] if named and named.exists() else [])
        universe = self._fleet.loaded.universe
        try:
            self._assignment = _edge.api.virtual_ips(
                universe, options["mesh_name"], options["cidr"], forget=options["forget"]
            )
        except _edge.api.MeshError as error:
            raise _failure(self._fleet.findings, self._fleet.loaded.hide(str(error))) from None
        self._table = universe.indexes[self._assignment.mesh].virtual_ips
        self.file = self._file(named)
        self.result: dict[str, Any] = {}

    def _named(self, file: str | None) -> Path | None:
        """The file that the option names, which must be one that is read with the mesh."""
        if file is None:
            return None
        named = Path(_edge.resolve(file, self._base))
        if named.suffix not in _SUFFIXES:
            raise AnsibleActionFail(f"file must end in {' or '.join(_SUFFIXES)}, and {named} does not")
        if self._paths and not any(_is_read_with(Path(path), named) for path in self._paths):
            raise AnsibleActionFail(
                f"{named} is not a part of the mesh, and nobody would read it: choose a file in a directory of the "
                "mesh, or name the file in mesh too"
            )
        return named

    def _file(self, named: Path | None) -> Path:
        """Where the virtual IPs are, or else where they are to be: as named, or in the mesh's directory."""
        mesh = self._assignment.mesh
        if self._table is None:
            if named is not None:
                return named
            if len(self._paths) != 1 or not os.path.isdir(self._paths[0]):
                raise AnsibleActionFail("file is required, as mesh is not one directory")
            return Path(self._paths[0], f"virtual-ips-{mesh}.yaml")
        document = self._table.document
        if document.text is None:
            raise AnsibleActionFail(
                f"a variable holds virtual IPs of the mesh '{mesh}': take them out of mesh, they are read from file"
            )
        present = Path(_edge.resolve(document.file, self._base))
        if named is not None and not (named.exists() and named.samefile(present)):
            raise AnsibleActionFail(
                f"the virtual IPs of the mesh '{mesh}' are in {present}: name that file, or move it"
            )
        if sum(one.file == document.file for one in self._fleet.loaded.documents) > 1:
            raise AnsibleActionFail(f"{present} holds other documents too: give the virtual IPs a file of their own")
        return present

    def content(self, before: bytes) -> bytes:
        """What the file has to hold. Fails where the mesh would have errors with it."""
        mesh = self._assignment.mesh
        if is_encrypted(before):
            raise AnsibleActionFail(f"{self.file} is encrypted: decrypt it, as virtual IPs are no secrets")
        if self._table is None and before:
            # Never to be written over: whatever keeps it from being read, the addresses in it are to be remembered.
            if _edge.errors_of(self._fleet.findings):
                raise _failure(self._fleet.findings)
            raise AnsibleActionFail(f"{self.file} is there, and holds no virtual IPs of the mesh '{mesh}'")
        after = self._assignment.text().encode()
        if self._table is None and not self._assignment.services:
            after = before
        fleet = self._fleet
        if after != before:
            name = _edge.label(str(self.file), self._base) if self._table is None else self._table.document.file
            fleet = fleet.with_file(name, after)
        if _edge.errors_of(fleet.findings):
            raise _failure(fleet.findings)
        self.result = self._told(fleet.findings)
        return after

    def _told(self, findings: list[Finding]) -> dict[str, Any]:
        assignment = self._assignment
        return {
            "file": str(self.file),
            "mesh": assignment.mesh,
            "cidr": str(assignment.cidr),
            "added": dict(assignment.added),
            "kept": dict(assignment.kept),
            "moved": {service: {"before": old, "after": new} for service, (old, new) in assignment.moved.items()},
            "forgotten": dict(assignment.forgotten),
            "gone": list(assignment.gone),
            "msg": _edge.summary(findings),
            "counts": _edge.counts(findings),
            "findings": [finding.as_dict() for finding in findings],
        }

    def difference(self, before: bytes, after: bytes) -> dict[str, str]:
        """The entry for Ansible's `diff`."""
        hide = self._fleet.loaded.hide
        return {
            "before_header": str(self.file),
            "after_header": str(self.file),
            "before": hide(before.decode(errors="replace")),
            "after": hide(after.decode()),
        }


def _is_read_with(path: Path, file: Path) -> bool:
    """Whether a file is, or would be, among those that a path of the mesh stands for."""
    path, file = path.resolve(), file.resolve()
    if path == file:
        return True
    return path in file.parents and not any(part.startswith(".") for part in file.relative_to(path).parts)


def _replace(file: Path, content: bytes) -> None:
    """Put the whole content in place at once. A file that is there keeps its mode, and a link leads where it led."""
    file = file.resolve()
    # Hidden, so that nobody who reads the mesh meanwhile takes it for a part of it.
    staged = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with open(staged, "xb") as stream:
            if file.exists():
                os.fchmod(stream.fileno(), file.stat().st_mode & 0o7777)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        staged.replace(file)
    finally:
        staged.unlink(missing_ok=True)


def _failure(findings: list[Finding], reason: str = "") -> AnsibleActionFail:
    words = [reason] if reason else []
    if _edge.errors_of(findings):
        words.append(_edge.summary(findings))
    return AnsibleActionFail(
        f"No virtual IPs were written: {'; '.join(words)}",
        result={"counts": _edge.counts(findings), "findings": [finding.as_dict() for finding in findings]},
    )
