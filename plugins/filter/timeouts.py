# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `timeouts`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: timeouts
short_description: How long Envoy waits for a service, as one dataplane does it
version_added: 0.2.0
description:
  - >-
    What Envoy is told about timeouts between a dataplane and a service, made of all MeshTimeout policies that apply
    there, the initial ones of the mesh among them.
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
  - module: meshsmith.universal.explain
"""

EXAMPLES = r"""
- name: Show how long web-1 waits for backend
  ansible.builtin.debug:
    msg: "{{ 'mesh' | meshsmith.universal.timeouts('web-1', 'backend') }}"

- name: Let no response of backend take longer than a minute
  ansible.builtin.assert:
    that: timeouts.requestTimeout[:-1] | float <= 60
  vars:
    timeouts: "{{ 'mesh' | meshsmith.universal.timeouts('web-1', 'backend') }}"
"""

RETURN = r"""
_value:
  description:
    - >-
      Durations in seconds, such as V(0.500s), by the names that MeshTimeout has for them: C(connectionTimeout),
      C(idleTimeout), C(maxConnectionDuration), C(maxStreamDuration), C(requestHeadersTimeout), C(requestTimeout) and
      C(streamIdleTimeout). V(0s) is no limit.
    - What Envoy is told nothing about is left out, so that its own default counts.
  type: dict
  sample:
    connectionTimeout: 5s
    idleTimeout: 3600s
    maxConnectionDuration: 0s
    maxStreamDuration: 0s
    requestHeadersTimeout: 0s
    requestTimeout: 15s
    streamIdleTimeout: 1800s
"""

from typing import Any

from jinja2 import pass_context

from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge


@pass_context
def timeouts(context: Any, mesh: Any, dataplane: str, service: Any, mesh_name: str | None = None) -> dict[str, str]:
    """The timeouts between the dataplane and `service`, by the names of MeshTimeout."""
    with _edge.valid_mesh(context, mesh) as loaded:
        name, tags = _edge.service_and_tags(service)
        return _edge.api.timeouts(loaded.universe, _edge.dataplane_of(loaded, dataplane, mesh_name), name, tags or None)


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, Any]:
        return {"timeouts": timeouts}
