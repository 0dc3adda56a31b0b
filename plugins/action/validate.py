# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action `validate`: the findings of a mesh, on the controller."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge

ARGUMENT_SPEC = {
    "mesh": {"type": "raw", "required": True},
    "hosts": {"type": "str", "default": "mesh"},
    "slice": {"type": "bool", "default": False},
    "templates": {"type": "path"},
    "strict": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    """Checks, and changes nothing: check mode is no different."""

    _requires_connection = False
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(ARGUMENT_SPEC)
        findings = _edge.missing_packages()
        if not findings:
            fleet = _edge.read_fleet(options, task_vars or {}, self._loader)
            findings = fleet.findings
            if not _edge.errors_of(findings):
                findings = _edge.sorted_findings(*findings, *fleet.template_findings())
        counts = _edge.counts(findings)
        result.update(
            changed=False,
            msg=_edge.summary(findings),
            counts=counts,
            findings=[finding.as_dict() for finding in findings],
        )
        if counts["error"] or (options["strict"] and counts["warning"]):
            raise AnsibleActionFail(f"The mesh is not valid: {result['msg']}", result=result)
        return result
