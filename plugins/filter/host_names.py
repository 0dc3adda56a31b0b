# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `host_names`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: host_names
short_description: The names of services, and the virtual IPs at which one dataplane reaches them
version_added: 0.3.0
description:
  - >-
    By name, such as V(backend.mesh), the virtual IP of each service that a dataplane may reach by its redirected
    traffic. Empty for a dataplane without C(transparentProxying).
  - The role P(meshsmith.universal.transparent_proxy#role) puts them into the name resolution of a host.
author:
  - The meshsmith.universal authors (@meshsmith)
positional: _input, dataplane
extends_documentation_fragment:
  - meshsmith.universal._mesh.filter
  - meshsmith.universal._mesh.dataplane
seealso:
  - module: meshsmith.universal.vips
  - plugin: meshsmith.universal.passthrough
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show how web-1 calls the services that it may reach
  ansible.builtin.debug:
    msg: "{{ 'mesh' | meshsmith.universal.host_names('web-1') }}"
"""

RETURN = r"""
_value:
  description: Addresses by name, sorted by service.
  type: dict
  sample:
    backend.mesh: 240.113.7.42
    web.mesh: 243.1.2.3
"""

from typing import Any

from jinja2 import pass_context

from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge


@pass_context
def host_names(context: Any, mesh: Any, dataplane: str, mesh_name: str | None = None) -> dict[str, str]:
    """Virtual IPs by the names of their services."""
    with _edge.valid_mesh(context, mesh) as loaded:
        return _edge.api.host_names(loaded.universe, _edge.dataplane_of(loaded, dataplane, mesh_name))


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, Any]:
        return {"host_names": host_names}
