# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of `apply`: read the artifact, ask the host, hand over the document where the host lacks it."""

from __future__ import annotations

import os
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.meshsmith.universal.plugins.module_utils import _release
from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge

_MODULE = "meshsmith.universal.apply"


class ActionModule(ActionBase):
    """One module call where nothing is to be done; a second one, after the transfer, where the document is needed."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        options = dict(self._task.args)
        if "release" in options:
            raise AnsibleActionFail("release cannot be set: use artifacts_dir or artifact")
        artifact = _edge.artifact_of_host(options, variables, self._templar.template, self._loader)
        options.update(dataplane=artifact.dataplane, mesh_name=artifact.mesh)
        document = artifact.read()
        release = _verified(document, artifact)
        wanted = {"id": release.id, "digests": release.digests}

        result = self._call(options, wanted, variables)
        if result.pop("lacking", False):
            result = self._call(options, dict(wanted, document=self._transfer(document)), variables)
        if result.get("failed"):
            self._tell_lines(result)
        return result

    def _tell_lines(self, result: dict[str, Any]) -> None:
        """Add the lines of the policies at fault, where their files are at hand. The release has their paths only."""
        base = _edge.base_directory(self._loader.get_basedir())
        for policy in result.get("policies", ()):
            line = _edge.line_of(policy, base) if policy.get("path") else None
            if line is not None:
                policy["line"] = line
                place = f"{policy['file']} {policy['path']}"
                result["msg"] = result["msg"].replace(place, f"{policy['file']}:{line} {policy['path']}")

    def _call(self, options: dict[str, Any], wanted: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        arguments = dict(options, release=wanted)
        result: dict[str, Any] = self._execute_module(module_name=_MODULE, module_args=arguments, task_vars=variables)
        # The digests are ours, not the user's, and there may be hundreds.
        result.get("invocation", {}).get("module_args", {}).pop("release", None)
        return result

    def _transfer(self, document: bytes) -> str:
        """Put the document on the host, readable by its owner alone. Ansible removes the directory after the task."""
        directory = self._make_tmp_path()
        path = os.path.join(directory, "release.json")
        self._transfer_data(path, document)
        self._remote_chmod((path,), "0600")
        # After that: it may add the user whom the task becomes.
        self._fixup_perms2((directory, path), execute=False)
        return path


def _verified(document: bytes, artifact: _edge.HostArtifact) -> _release.Release:
    try:
        release = _release.parse(document)
    except _release.DocumentError as reason:
        raise AnsibleActionFail(f"{artifact.path}: {reason}") from reason
    if (release.mesh, release.dataplane) != (artifact.mesh, artifact.dataplane):
        raise AnsibleActionFail(
            f"{artifact.path} is the release of dataplane {release.dataplane} in mesh {release.mesh}, "
            f"not of {artifact.dataplane} in mesh {artifact.mesh}"
        )
    return release
