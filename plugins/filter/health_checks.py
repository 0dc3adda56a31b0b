# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `health_checks`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: health_checks
short_description: The Envoy health checks of a service, as one dataplane does them
version_added: 0.1.0
description:
  - >-
    The C(health_checks) of the Envoy cluster through which a dataplane reaches a service, made of all MeshHealthCheck
    policies that apply there.
  - An empty list when none applies.
author:
  - The meshsmith.universal authors (@meshsmith)
positional: _input, dataplane, service
extends_documentation_fragment:
  - meshsmith.universal._mesh.filter
  - meshsmith.universal._mesh.dataplane
  - meshsmith.universal._mesh.service
seealso:
  - plugin: meshsmith.universal.effective
    plugin_type: filter
  - plugin: meshsmith.universal.retry_policy
    plugin_type: filter
  - plugin: meshsmith.universal.circuit_breakers
    plugin_type: filter
  - plugin: meshsmith.universal.envoy_resources
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show how web-1 checks the service backend
  ansible.builtin.debug:
    msg: "{{ 'mesh' | meshsmith.universal.health_checks('web-1', 'backend') }}"

- name: Put the same health checks into a configuration of one's own
  ansible.builtin.copy:
    dest: "{{ envoy_directory }}/health-checks.json"
    content: "{{ 'mesh' | meshsmith.universal.health_checks('web-1', 'backend') | to_json }}"
    mode: "0644"
"""

RETURN = r"""
_value:
  description: Messages of the type C(envoy.config.core.v3.HealthCheck), as proto3 JSON.
  type: list
  elements: dict
"""

from typing import Any

from jinja2 import pass_context

from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge


@pass_context
def health_checks(
    context: Any, mesh: Any, dataplane: str, service: Any, mesh_name: str | None = None
) -> list[dict[str, Any]]:
    """`health_checks` of the cluster of `service`, as the dataplane has it."""
    with _edge.valid_mesh(context, mesh) as loaded:
        name, tags = _edge.service_and_tags(service)
        return _edge.api.health_checks(
            loaded.universe, _edge.dataplane_of(loaded, dataplane, mesh_name), name, tags or None
        )


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, Any]:
        return {"health_checks": health_checks}
