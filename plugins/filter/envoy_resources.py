# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `envoy_resources`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: envoy_resources
short_description: All Envoy resources of a dataplane
version_added: 0.1.0
description:
  - >-
    The Envoy configuration of one dataplane as named resources, in the shape in which Kuma's inspect API shows it
    (C(_config)): the whole set, before M(meshsmith.universal.compile) splits it into files.
author:
  - The meshsmith.universal authors (@meshsmith)
positional: _input, dataplane
options:
  root:
    description: Where the mesh lives on the host; some resources name files below it.
    type: str
    default: /etc/envoy/mesh
  envoy_has_kafka:
    description: Whether the Envoy of the host has the Kafka filter.
    type: bool
    default: false
  templates:
    description:
      - >-
        A directory with templates whose resources join those of the dataplane, like
        O(meshsmith.universal.compile#module:templates).
    type: path
extends_documentation_fragment:
  - meshsmith.universal._mesh.filter
  - meshsmith.universal._mesh.dataplane
seealso:
  - module: meshsmith.universal.compile
  - plugin: meshsmith.universal.health_checks
    plugin_type: filter
"""

EXAMPLES = r"""
- name: List the clusters of web-1
  ansible.builtin.debug:
    msg: "{{ resources['type.googleapis.com/envoy.config.cluster.v3.Cluster'] | list }}"
  vars:
    resources: "{{ 'mesh' | meshsmith.universal.envoy_resources('web-1') }}"
"""

RETURN = r"""
_value:
  description: >-
    By type URL, such as V(type.googleapis.com/envoy.config.cluster.v3.Cluster), the resources of that type by name,
    as proto3 JSON.
  type: dict
"""

from typing import Any

from jinja2 import pass_context

from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge


@pass_context
def envoy_resources(
    context: Any,
    mesh: Any,
    dataplane: str,
    mesh_name: str | None = None,
    root: str = _edge.api.Target().root,
    envoy_has_kafka: bool = False,
    templates: str | None = None,
) -> dict[str, Any]:
    """`{type URL: {name: resource}}` of the dataplane."""
    target = _edge.api.Target(root=str(root), envoy_has_kafka=bool(envoy_has_kafka))
    with _edge.valid_mesh(context, mesh) as loaded:
        found = _edge.dataplane_of(loaded, dataplane, mesh_name)
        own = _edge.own_of(context, loaded, templates, found, target)
        return _edge.api.compile_proxy(loaded.universe, found, target, own=own)


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, Any]:
        return {"envoy_resources": envoy_resources}
