# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `circuit_breakers`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: circuit_breakers
short_description: The limits and the outlier detection of a service, as one dataplane has them
version_added: 0.2.0
description:
  - >-
    The C(circuit_breakers) and the C(outlier_detection) of the Envoy cluster through which a dataplane reaches a
    service, made of all MeshCircuitBreaker policies that apply there, the initial one of the mesh among them.
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
  - plugin: meshsmith.universal.health_checks
    plugin_type: filter
  - plugin: meshsmith.universal.timeouts
    plugin_type: filter
  - module: meshsmith.universal.explain
"""

EXAMPLES = r"""
- name: Show what limits web-1 towards backend
  ansible.builtin.debug:
    msg: "{{ 'mesh' | meshsmith.universal.circuit_breakers('web-1', 'backend') }}"

- name: Put the same limits into a configuration of one's own
  ansible.builtin.copy:
    dest: "{{ envoy_directory }}/circuit-breakers.json"
    content: "{{ breakers.circuitBreakers | default({}) | to_json }}"
    mode: "0644"
  vars:
    breakers: "{{ 'mesh' | meshsmith.universal.circuit_breakers('web-1', 'backend') }}"
"""

RETURN = r"""
_value:
  description: What no policy sets is left out; an empty mapping when none applies.
  type: dict
  contains:
    circuitBreakers:
      description: A message of the type C(envoy.config.cluster.v3.CircuitBreakers), as proto3 JSON.
      type: dict
      returned: when a policy sets limits
    outlierDetection:
      description: A message of the type C(envoy.config.cluster.v3.OutlierDetection), as proto3 JSON.
      type: dict
      returned: when a policy has outlier detection
  sample:
    circuitBreakers:
      thresholds:
        - maxConnections: 1024
          maxPendingRequests: 1024
          maxRequests: 1024
          maxRetries: 3
"""

from typing import Any

from jinja2 import pass_context

from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge


@pass_context
def circuit_breakers(
    context: Any, mesh: Any, dataplane: str, service: Any, mesh_name: str | None = None
) -> dict[str, Any]:
    """`circuit_breakers` and `outlier_detection` of the cluster of `service`, as the dataplane has it."""
    with _edge.valid_mesh(context, mesh) as loaded:
        name, tags = _edge.service_and_tags(service)
        return _edge.api.circuit_breakers(
            loaded.universe, _edge.dataplane_of(loaded, dataplane, mesh_name), name, tags or None
        )


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, Any]:
        return {"circuit_breakers": circuit_breakers}
