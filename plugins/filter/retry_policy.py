# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `retry_policy`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: retry_policy
short_description: How often and when Envoy tries a service again, as one dataplane does it
version_added: 0.2.0
description:
  - >-
    The C(retry_policy) of the Envoy route through which a dataplane reaches a service, made of all MeshRetry policies
    that apply there.
  - Of a service that is proxied as TCP, how often a connection is attempted.
  - An empty mapping when nothing is tried again.
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
- name: Show when web-1 sends a request to backend again
  ansible.builtin.debug:
    msg: "{{ 'mesh' | meshsmith.universal.retry_policy('web-1', 'backend') }}"

- name: Allow no more than three retries of one request
  ansible.builtin.assert:
    that: policy.numRetries | default(1) <= 3
  vars:
    policy: "{{ 'mesh' | meshsmith.universal.retry_policy('web-1', 'backend') }}"
"""

RETURN = r"""
_value:
  description: >-
    A message of the type C(envoy.config.route.v3.RetryPolicy), as proto3 JSON. For a service that is proxied as TCP a
    mapping with the one member C(maxConnectAttempts).
  type: dict
"""

from typing import Any

from jinja2 import pass_context

from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge


@pass_context
def retry_policy(context: Any, mesh: Any, dataplane: str, service: Any, mesh_name: str | None = None) -> dict[str, Any]:
    """`retry_policy` of the route to `service`, as the dataplane has it, or the attempts of its TCP proxy."""
    with _edge.valid_mesh(context, mesh) as loaded:
        name, tags = _edge.service_and_tags(service)
        return _edge.api.retry_policy(
            loaded.universe, _edge.dataplane_of(loaded, dataplane, mesh_name), name, tags or None
        )


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, Any]:
        return {"retry_policy": retry_policy}
