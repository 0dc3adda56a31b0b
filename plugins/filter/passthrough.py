# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `passthrough`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: passthrough
short_description: Whether the traffic of one dataplane may leave the mesh
version_added: 0.2.0
description:
  - >-
    What becomes of redirected traffic of a dataplane that is for no service of the mesh. It passes, or is refused where
    the Mesh has C(networking.outbound.passthrough) set to V(false).
  - What MeshProxyPatch policies make of it is not taken into account.
author:
  - The meshsmith.universal authors (@meshsmith)
positional: _input, dataplane
extends_documentation_fragment:
  - meshsmith.universal._mesh.filter
  - meshsmith.universal._mesh.dataplane
seealso:
  - module: meshsmith.universal.passthrough_traffic
  - plugin: meshsmith.universal.envoy_resources
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show what web-1 does with traffic that leaves the mesh
  ansible.builtin.debug:
    msg: "{{ 'mesh' | meshsmith.universal.passthrough('web-1') }}"

- name: See to it that nothing of web-1 is cut off
  ansible.builtin.assert:
    that: not passing.transparent or passing.passthrough
  vars:
    passing: "{{ 'mesh' | meshsmith.universal.passthrough('web-1') }}"
"""

RETURN = r"""
_value:
  description:
    - C(transparent), whether the dataplane's traffic is redirected. Where it is not, nothing else is in it.
    - C(passthrough), whether traffic may leave the mesh.
    - >-
      C(listeners) and C(clusters), the names of Envoy's resources for redirected traffic that is for no service, of
      both directions. What may not leave the mesh has a listener without a cluster.
    - C(connectTimeout) and C(idleTimeout) of connections that leave the mesh.
  type: dict
  sample:
    transparent: true
    passthrough: true
    listeners: [inbound:passthrough:ipv4, outbound:passthrough:ipv4]
    clusters: [inbound:passthrough:ipv4, outbound:passthrough:ipv4]
    connectTimeout: 10s
    idleTimeout: 1h
"""

from typing import Any

from jinja2 import pass_context

from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge


@pass_context
def passthrough(context: Any, mesh: Any, dataplane: str, mesh_name: str | None = None) -> dict[str, Any]:
    """What becomes of the dataplane's traffic that leaves the mesh."""
    with _edge.valid_mesh(context, mesh) as loaded:
        return _edge.api.passthrough(loaded.universe, _edge.dataplane_of(loaded, dataplane, mesh_name))


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, Any]:
        return {"passthrough": passthrough}
