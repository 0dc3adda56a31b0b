# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action `compile`: a mesh into release documents on the controller."""

from __future__ import annotations

import gc
import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from ansible import constants as C  # noqa: N812 -- the name it has in all of Ansible's plugins
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge
from ansible_collections.meshsmith.universal.plugins.plugin_utils._artifacts import (
    Artifacts,
    Key,
    Stamp,
    UnsafeNameError,
)
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.findings import Finding
from ansible_collections.meshsmith.universal.plugins.plugin_utils._release_diff import release_diff

ARGUMENT_SPEC = {
    "mesh": {"type": "raw", "required": True},
    "hosts": {"type": "str", "default": "mesh"},
    "slice": {"type": "bool", "default": False},
    "templates": {"type": "path"},
    "artifacts_dir": {"type": "path", "required": True},
    "max_removed": {"type": "int", "default": 50},
    "revision": {"type": "str"},
}
DIFF_LINES = 1000
"""So much of a diff is shown in one run; a fleet's can be a hundred times as long."""


class ActionModule(ActionBase):
    """Writes artifacts; in check mode into a directory that goes with the run."""

    _requires_connection = False
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        _validation, options = self.validate_argument_spec(ARGUMENT_SPEC)
        if not 0 <= options["max_removed"] <= 100:
            raise AnsibleActionFail("max_removed is a percentage, from 0 to 100")
        missing = _edge.missing_packages()
        if missing:
            raise _failure(missing)
        fleet = _edge.read_fleet(options, task_vars, self._loader)
        directory = Path(_edge.resolve(options["artifacts_dir"], _edge.base_directory(self._loader.get_basedir())))
        run = _Run(fleet, options, limited_to=_limited_to(task_vars), with_diff=bool(self._task.diff))
        try:
            result.update(run.check(directory) if self._task.check_mode else run.write(directory))
        except OSError as error:
            raise AnsibleActionFail(f"Cannot write the artifacts to {directory}: {error}") from error
        except UnsafeNameError as error:
            raise AnsibleActionFail(str(error)) from error
        return result


class _Run:
    """One call of `compile`."""

    def __init__(
        self, fleet: _edge.Fleet, options: dict[str, Any], limited_to: list[str] | None, with_diff: bool
    ) -> None:
        self._fleet = fleet
        self._options = options
        self._limited_to = limited_to
        self._partial = options["slice"] or limited_to is not None
        self._inputs = hashlib.sha256(f"{fleet.inputs}\n{options['revision']}".encode()).hexdigest()
        self._diff_lines = DIFF_LINES if with_diff else 0

    def write(self, directory: Path) -> dict[str, Any]:
        """Bring the artifacts up to date."""
        return self._up_to_date(Artifacts(directory))

    def check(self, directory: Path) -> dict[str, Any]:
        """Say what `write` would do. What it would write goes below Ansible's local temporary directory."""
        current = self._current(Artifacts(directory))
        if current:
            return current
        name = "meshsmith-" + hashlib.sha256(str(directory).encode()).hexdigest()[:16]
        return self._up_to_date(Artifacts(Path(C.DEFAULT_LOCAL_TMP) / name, baseline=directory))

    def _up_to_date(self, artifacts: Artifacts) -> dict[str, Any]:
        current = self._current(artifacts)
        if current:
            return current
        findings = self._fleet.findings
        if not _edge.errors_of(findings):
            dataplanes = self._dataplanes()
            wanted = [dataplanes[key] for key in self._wanted(list(dataplanes), self._hosts())]
            findings = _edge.sorted_findings(*findings, *self._fleet.template_findings(wanted))
        if _edge.errors_of(findings):
            raise _failure(findings)
        with artifacts.locked():
            # Another run may have been faster.
            return self._current(artifacts) or self._compile(artifacts, findings)

    def _current(self, artifacts: Artifacts) -> dict[str, Any] | None:
        """The result when the artifacts are those of these inputs already, else None. Costs hashing and `stat`."""
        stamp = artifacts.stamp()
        if stamp.inputs != self._inputs:
            return None
        everything = [_key(entry) for entry in stamp.summary["dataplanes"]]
        wanted = self._wanted(everything, {host: _key(key) for host, key in stamp.summary["hosts"].items()})
        if not artifacts.is_current(stamp, self._inputs, wanted):
            return None
        if not self._partial and artifacts.others(everything):
            return None
        return self._result(artifacts, stamp, wanted, {key for key in wanted if artifacts.differs(key)})

    def _compile(self, artifacts: Artifacts, findings: list[Finding]) -> dict[str, Any]:
        fleet = self._fleet
        dataplanes, hosts = self._dataplanes(), self._hosts()
        wanted = self._wanted(list(dataplanes), hosts)
        stale = artifacts.others(dataplanes)
        self._guard(artifacts.count(dataplanes) + len(stale), len(dataplanes), stale)
        summary = {
            "dataplanes": sorted(dataplanes),
            "hosts": hosts,
            "findings": [finding.as_dict() for finding in findings],
            "msg": _edge.summary(findings),
            "counts": _edge.counts(findings),
        }
        # Ansible runs an action in a process of its own. The mesh lives as long as that, and collecting garbage would
        # look through all of it again and again, which costs a fifth of the time.
        gc.freeze()
        diffs = []
        changed = set()
        with artifacts.change() as change:
            for key in wanted:
                release, policies = fleet.release(dataplanes[key], self._options["revision"])
                if change.put(key, release.document, release.id, policies):
                    changed.add(key)
                    diffs += self._diff(artifacts, key, release.document)
            removed = [] if self._partial else stale
            change.remove(removed)
            for key in removed:
                diffs += self._diff(artifacts, key, None)
            change.commit(self._inputs, summary, artifacts.stamp())
        result = self._result(artifacts, artifacts.stamp(), wanted, changed)
        result["changed"] = bool(changed or removed)
        result["removed"] = [f"{mesh}/{name}" for mesh, name in removed]
        if diffs:
            result["diff"] = diffs
        return result

    def _dataplanes(self) -> dict[Key, _edge.api.DataplaneId]:
        universe = self._fleet.loaded.universe
        return {(dataplane.mesh, dataplane.name): dataplane for dataplane in universe.dataplanes}

    def _hosts(self) -> dict[str, Key]:
        return {host: (dataplane.mesh, dataplane.name) for host, dataplane in self._fleet.dataplanes.items()}

    def _wanted(self, dataplanes: list[Key], hosts: dict[str, Key]) -> list[Key]:
        """The dataplanes to compile, in order: all, or in a partial run those of its hosts, if these have any."""
        if not self._partial:
            return sorted(dataplanes)
        own = hosts if self._limited_to is None else self._limited_to
        return sorted(hosts[host] for host in own if host in hosts) or sorted(dataplanes)

    def _guard(self, before: int, now: int, gone: list[Key]) -> None:
        """Refuse to believe in a mesh that has lost much of itself since the last artifacts."""
        lost = before - now
        if lost * 100 > self._options["max_removed"] * before:
            names = ", ".join(name for _mesh, name in gone[:10]) + (", …" if len(gone) > 10 else "")
            raise AnsibleActionFail(
                f"The mesh has {now} dataplanes, {before} artifacts are there: {lost * 100 // before} % are gone, "
                f"and max_removed is {self._options['max_removed']} %. Gone: {names}. If this run misses a part of the "
                "inventory or of the mesh, put that right; if they are meant to go, set max_removed to 100."
            )

    def _diff(self, artifacts: Artifacts, key: Key, document: bytes | None) -> list[dict[str, str]]:
        if self._diff_lines <= 0:
            return []
        entry = release_diff(
            f"{key[0]}/{key[1]}",
            artifacts.baseline_bytes(key),
            document,
            lines=self._diff_lines,
            bodies=not self._fleet.has_encrypted_files,
        )
        for side in ("before", "after"):
            entry[side] = self._fleet.hide(entry[side])
        if not entry["before"] and not entry["after"]:
            # Where resources come from has changed, not they themselves.
            return []
        self._diff_lines -= entry["before"].count("\n") + entry["after"].count("\n")
        return [entry]

    def _result(self, artifacts: Artifacts, stamp: Stamp, wanted: list[Key], changed: set[Key]) -> dict[str, Any]:
        times = Counter(name for _mesh, name in wanted)
        policies = {mesh: artifacts.policies(mesh) for mesh in {mesh for mesh, _name in wanted}}
        return {
            "changed": bool(changed),
            "artifacts_dir": str(artifacts.directory),
            "msg": stamp.summary["msg"],
            "counts": stamp.summary["counts"],
            "findings": stamp.summary["findings"],
            "dataplanes": len(stamp.summary["dataplanes"]),
            "removed": [],
            "releases": {
                name if times[name] == 1 else f"{mesh}/{name}": {
                    "id": stamp.release_id((mesh, name)),
                    "mesh": mesh,
                    "path": str(artifacts.path((mesh, name))),
                    "changed": (mesh, name) in changed,
                    "policies": [f"{one['kind']} {one['name']}" for one in policies[mesh].get(name, ())],
                }
                for mesh, name in wanted
            },
        }


def _limited_to(task_vars: dict[str, Any]) -> list[str] | None:
    """The hosts of the play when the run was started with `--limit`, else None."""
    if not task_vars.get("ansible_limit"):
        return None
    return [str(host) for host in task_vars.get("ansible_play_hosts_all") or ()]


def _key(entry: Any) -> Key:
    mesh, name = entry
    return mesh, name


def _failure(findings: list[Finding]) -> AnsibleActionFail:
    return AnsibleActionFail(
        f"Nothing was compiled: {_edge.summary(findings)}",
        result={"counts": _edge.counts(findings), "findings": [finding.as_dict() for finding in findings]},
    )
