# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action `explain`: which policy set what for a dataplane's inbounds and destinations, on the controller."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.findings import Finding

ARGUMENT_SPEC = {
    "mesh": {"type": "raw", "required": True},
    "hosts": {"type": "str", "default": "mesh"},
    "slice": {"type": "bool", "default": False},
    "dataplane": {"type": "str"},
    "mesh_name": {"type": "str"},
    "service": {"type": "raw"},
}


class ActionModule(ActionBase):
    """Looks, and changes nothing: check mode is no different."""

    _requires_connection = False
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        _validation, options = self.validate_argument_spec(ARGUMENT_SPEC)
        missing = _edge.missing_packages()
        if missing:
            raise _failure(missing)
        fleet = _edge.read_fleet(options, variables, self._loader)
        if _edge.errors_of(fleet.findings):
            raise _failure(fleet.findings)
        try:
            dataplane = _dataplane(fleet, options, variables.get("inventory_hostname"))
            service, tags = (None, {}) if options["service"] is None else _edge.service_and_tags(options["service"])
            explanation = fleet.explain(dataplane, service, tags or None)
        except _edge.api.MeshError as error:
            raise AnsibleActionFail(fleet.loaded.hide(str(error))) from error
        result.update(changed=False, text=_edge.api.explanation_text(explanation), **explanation)
        return result


def _dataplane(fleet: _edge.Fleet, options: dict[str, Any], host: str | None) -> _edge.api.DataplaneId:
    """The dataplane that the options name, or else that of the host which runs the task."""
    name, mesh = options["dataplane"], options["mesh_name"]
    if name is None:
        own = fleet.dataplanes.get(str(host))
        if own is None:
            raise AnsibleActionFail(f"the host '{host}' runs no dataplane of the mesh: set dataplane")
        name, mesh = own.name, mesh or own.mesh
    return _edge.dataplane_of(fleet.loaded, name, mesh)


def _failure(findings: list[Finding]) -> AnsibleActionFail:
    return AnsibleActionFail(
        f"Nothing can be explained: {_edge.summary(findings)}",
        result={"counts": _edge.counts(findings), "findings": [finding.as_dict() for finding in findings]},
    )
