# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of `passthrough_traffic`: with a release at hand, ask only hosts that it would cut off."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.meshsmith.universal.plugins.module_utils import _passthrough, _release
from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge

_MODULE = "meshsmith.universal.passthrough_traffic"


class ActionModule(ActionBase):
    """No round trip where the release switches nothing off, else one."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result, whose summary names the host."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        options = dict(self._task.args)
        if (options.get("artifacts_dir") or options.get("artifact")) and not self._blocks(options, variables):
            result.update(changed=False, status="not_asked", summary="its release does not switch passthrough off")
        else:
            result.update(self._execute_module(module_name=_MODULE, module_args=options, task_vars=variables))
        if "summary" in result:
            result["summary"] = f"{variables['inventory_hostname']}: {result['summary']}"
        return result

    def _blocks(self, options: dict[str, Any], variables: dict[str, Any]) -> bool:
        artifact = _edge.artifact_of_host(options, variables, self._templar.template, self._loader)
        document = artifact.read()
        # Most releases have no such listener, and to parse a large one takes a while.
        if not any(name.encode() in document for name in _passthrough.NAMES):
            return False
        try:
            return bool(_passthrough.blocks(_release.parse(document).files))
        except _release.DocumentError as reason:
            raise AnsibleActionFail(f"{artifact.path}: {reason}") from reason
